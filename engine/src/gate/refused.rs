//! Everything that an agent is told when a request or its answer does not go through: the code, and
//! a sentence.
//!
//! Whoever refuses makes one of these here, so that the sentences of one product stand side by
//! side. Each says what is wrong and, where that helps, what to send instead. None carries more
//! than the agent sent itself.

use super::Code;
use crate::identity::Refusal;
use crate::masking::DecodingError;
use crate::policy::{Decision, Direction};
use crate::request::headers::Claim;

/// A request, or its answer, that does not go through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why, as a stable code.
    pub code: Code,
    /// Why, as a sentence for the agent.
    pub detail: String,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::new(Code::Identity(refusal.code), refusal.detail)
    }
}

impl Refused {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }

    // === the request line, and headers beside it ===

    /// A header asks for something else than the request line does. `name` as it came, cut.
    pub(super) fn claimed(name: &str, claim: Claim) -> Self {
        let (code, detail) = match claim {
            Claim::Identity => (
                Code::ClaimedIdentity,
                format!(
                    "The header {name} asks the upstream to act for somebody else, which no rule has seen; leave it out."
                ),
            ),
            Claim::Method => (
                Code::MethodOverride,
                format!(
                    "The header {name} overrides the method; send the request with the method that is meant."
                ),
            ),
            Claim::Path => (
                Code::AmbiguousPath,
                format!(
                    "The header {name} names another path; send the request to the path that is meant."
                ),
            ),
            Claim::Host => (
                Code::InvalidHost,
                format!(
                    "The header {name} names another host; send the request to the host that is meant."
                ),
            ),
        };
        Self::new(code, detail)
    }

    // === the policy, or a human ===

    /// A rule denies the request, or none allows it.
    pub(super) fn denied(decision: &Decision) -> Self {
        let detail = match &decision.rule {
            Some(_) => format!("The policy denies this request: {}", decision.reason),
            None => "No rule of the policy allows this request.".to_owned(),
        };
        Self::new(Code::Denied, detail)
    }

    /// A secret was found that the policy blocks, by the detector of this name.
    pub fn secret(detector: &str) -> Self {
        Self::new(
            Code::SecretBlocked,
            format!(
                "A secret was found ({detector}), and the policy does not let it pass. Send the request without it."
            ),
        )
    }

    /// A human said no, perhaps in these words.
    pub fn by_human(words: Option<&str>) -> Self {
        let words = words.unwrap_or("no reason was given");
        Self::new(
            Code::ApprovalDenied,
            format!("A human denied this request: {words}"),
        )
    }

    /// No human said anything before the question expired.
    pub fn by_silence() -> Self {
        Self::new(
            Code::ApprovalExpired,
            "Nobody answered in time, and silence denies.",
        )
    }

    /// The request has waited as long as it may, and the question stays open. `body_seen`: the
    /// question is about the whole request, so that the same request sent again finds the answer.
    pub fn ticket(body_seen: bool) -> Self {
        if body_seen {
            Self::new(
                Code::ApprovalRequired,
                "A human must approve this request. Send the very same request again once they have.",
            )
        } else {
            Self::new(
                Code::ApprovalTimeout,
                "Nobody answered while the request waited. Its body cannot be seen before the verdict here, so an \
                 approval is good for one waiting request only: send it again, and have it approved while it waits.",
            )
        }
    }

    /// No question was opened: too many are.
    pub fn too_many_pending() -> Self {
        Self::new(
            Code::TooManyPending,
            "A human must approve this request, and too many requests already wait for an answer: of this caller, or of \
             all. Nobody was asked; send it again when some have been answered.",
        )
    }

    // === what cannot be read, held or masked ===

    /// The body has to be seen whole, and is longer than the `limit` in bytes.
    pub fn too_large(limit: usize) -> Self {
        Self::new(
            Code::BodyTooLarge,
            format!(
                "The whole body has to be seen before it goes on; at most {limit} bytes are kept for that."
            ),
        )
    }

    /// More than there is room for would become of a body at once.
    pub fn expanded(direction: Direction) -> Self {
        match direction {
            Direction::Request => Self::new(
                Code::ExpandedRequest,
                "Decoded, the body is much longer than it came, and the gate has no room for it now. Send it without \
                 content-encoding, or in parts.",
            ),
            Direction::Response => Self::new(
                Code::ExpandedResponse,
                "The upstream sent a body that becomes much longer than it came, and the gate has no room for it now.",
            ),
        }
    }

    /// The body has to be seen whole, and no more of it came for so many milliseconds.
    pub fn unfinished(waited_ms: u64) -> Self {
        Self::new(
            Code::BodyUnfinished,
            format!(
                "A human has to see the whole body before it goes on, and for {waited_ms} ms no more of it came. Send \
                 it to its end without waiting for an answer."
            ),
        )
    }

    /// A body that is not what its content encoding says, found while it was read.
    pub fn undecodable(direction: Direction, error: DecodingError) -> Self {
        let code = match direction {
            Direction::Request => Code::UnreadableRequest,
            Direction::Response => Code::UnreadableEncoding,
        };
        Self::new(code, format!("It cannot be masked: {error}."))
    }

    // === what is missing on our side ===

    /// There is no policy to ask.
    pub fn no_policy() -> Self {
        Self::new(
            Code::NoPolicy,
            "The gate has not received a policy yet; try again shortly.",
        )
    }

    /// There is no room for the request's record.
    pub fn audit_full() -> Self {
        Self::new(
            Code::AuditFull,
            "Records wait to be stored and there is no room for more; try again shortly.",
        )
    }

    /// The request's record was not stored in time, and has to be.
    pub fn audit_unavailable() -> Self {
        Self::new(
            Code::AuditUnavailable,
            "This request may only go on once its record is stored, and it could not be.",
        )
    }

    /// There is no way to ask a human.
    pub fn nobody_to_ask() -> Self {
        Self::new(
            Code::ControlPlaneUnavailable,
            "This request needs a human's approval, and the control plane does not answer.",
        )
    }
}
