//! Who calls, in the words that policy and records use.

use serde::{Deserialize, Serialize};

/// The caller, as the issuer's configured claims describe it.
///
/// A plain value: records and policy tests build it freely. That a request's principal was verified
/// is shown by the [`VerifiedToken`](super::VerifiedToken) around it, which only the verifier
/// makes.
///
/// It travels from the filter to a control plane that may be older: members that it does not know
/// are ignored there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
pub struct Principal {
    /// The issuer, `iss`. A subject means nothing without it: two issuers may use the same one.
    pub issuer: String,
    /// The subject, never empty.
    pub subject: String,
    /// Groups in the token's order, without repetition; empty when the token names none.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The client that acts for the subject: the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The issuer's session, which ties the records of one agent run together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}
