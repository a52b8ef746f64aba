//! The question to a policy, and its answer.

use std::sync::Arc;

use serde::Serialize;

use crate::identity::Principal;
use crate::policy::document::{ApproveTerms, Connection, Effect};
use crate::upstreams::Operation;

/// The reason when no rule matched.
pub const NO_RULE_MATCHED: &str = "no_rule_matched";
/// The reason when the host, or the connection, is none of the policy's; as the gate's code.
pub const UNKNOWN_CONNECTION: &str = "unknown_connection";

/// A request as far as it is known before its body.
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts<'a> {
    /// Who asks, as the token said.
    pub principal: &'a Principal,
    /// The connection that the host belongs to, of the same policy.
    pub connection: &'a Connection,
    /// The method, which [`Operation::of`] has accepted.
    pub method: &'a str,
    /// The host, in the spelling of [`host_of`](crate::request::host_of).
    pub host: &'a str,
    /// The path in normal form: [`RequestTarget::path`](crate::request::RequestTarget::path). Never
    /// the path as it was sent, which other spellings could take past a rule.
    pub path: &'a str,
    /// The operation of the request.
    pub operation: &'a Operation,
}

/// The answer of a policy to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The effect.
    pub effect: Effect,
    /// The rule that decided: of the matching rules with this effect, the first of the document.
    /// `None` when nothing matched, which denies.
    pub rule: Option<Arc<str>>,
    /// The rule's reason; without a rule, [`NO_RULE_MATCHED`] or another code.
    pub reason: Arc<str>,
    /// The terms of the deciding rule. `Some` exactly when the effect is `approve`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approve: Option<ApproveTerms>,
    /// Whether any matching rule, the deciding one or not, says `audit: required`.
    pub audit_required: bool,
}

impl Decision {
    /// A denial that no rule made.
    pub fn denied_without_rule(code: &str) -> Self {
        Self {
            effect: Effect::Deny,
            rule: None,
            reason: code.into(),
            approve: None,
            audit_required: false,
        }
    }
}
