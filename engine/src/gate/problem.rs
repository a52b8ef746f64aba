//! The answer to the agent when a request does not go through: problem details (RFC 9457).

use serde::Serialize;

use super::Code;
use crate::audit::RecordId;

/// Media type of [`Problem::to_json`].
pub const MEDIA_TYPE: &str = "application/problem+json";

/// The `type` of a problem (RFC 9457 §3.1.1) with this code, from the gate and from the control
/// plane alike: `urn:chaperone:problem:denied`.
pub fn problem_type(code: &str) -> String {
    format!("urn:chaperone:problem:{code}")
}

/// The answer to an agent, so that it can act: correct the request, ask a human, wait, or give up.
///
/// Every field may be shown to the agent: none carries a token, a body or an unverified value
/// beyond what the agent sent itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// [`problem_type`] of the code.
    #[serde(rename = "type")]
    pub type_: String,
    /// The same for every occurrence of the code.
    pub title: &'static str,
    /// HTTP status.
    pub status: u16,
    /// This occurrence, in a sentence.
    pub detail: String,
    /// The stable code.
    pub code: &'static str,
    /// The deciding rule, where one decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The rule's reason, where one decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The record, for whoever looks into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The approval to ask about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// Where a human answers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_url: Option<String>,
    /// Seconds after which sending the same request again makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}

impl Problem {
    /// A problem with the code's own title and status.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            type_: problem_type(code.as_str()),
            title: code.title(),
            status: code.status(),
            detail: detail.into(),
            code: code.as_str(),
            rule: None,
            reason: None,
            record: None,
            approval: None,
            approval_url: None,
            retry_after_s: None,
        }
    }

    /// Names the rule and its reason.
    #[must_use]
    pub fn decided_by(mut self, rule: Option<&str>, reason: &str) -> Self {
        self.rule = rule.map(str::to_owned);
        self.reason = Some(reason.to_owned());
        self
    }

    /// Names the record.
    #[must_use]
    pub fn recorded_as(mut self, record: &RecordId) -> Self {
        self.record = Some(record.0.clone());
        self
    }

    /// Names the approval, and when to try again.
    #[must_use]
    pub fn ticket(mut self, approval: &str, url: Option<String>, retry_after_s: u64) -> Self {
        self.approval = Some(approval.to_owned());
        self.approval_url = url;
        self.retry_after_s = Some(retry_after_s);
        self
    }

    /// The body of the answer.
    pub fn to_json(&self) -> String {
        // A struct of strings and numbers always serialises; were that ever untrue, an empty object
        // still goes with the right status.
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }
}
