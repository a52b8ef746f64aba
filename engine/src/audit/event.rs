//! The steps of a record.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::boot::BootId;
use crate::base::time::UnixMillis;
use crate::identity::{Principal, TokenOwner};
use crate::masking::AsMasked;
use crate::policy::{Direction, Effect};
use crate::upstreams::Operation;

/// Names one record: the boot id of the node and the number of the stream under it, both hex.
///
/// Made without randomness per request, unique across nodes as boot ids are, and readable in an
/// access log: `5f0c…-1a`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordId(pub String);

impl RecordId {
    /// The record of the `stream`-th stream that the node `boot` has seen.
    pub fn new(boot: &BootId, stream: u64) -> Self {
        Self(format!("{}-{stream:x}", boot.as_str()))
    }
}

impl std::fmt::Display for RecordId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One step of a record, numbered by its node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Position in the node's sequence, from 1, without gaps.
    pub seq: u64,
    /// The record that this is a step of.
    pub record: RecordId,
    /// When the step happened, by the node's clock.
    pub at: UnixMillis,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The request as it is recorded. Path and query are masked before they get here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RequestLine {
    /// Method as sent (RFC 9110 §9).
    pub method: String,
    /// Host without port, lower case; empty when the request named none that could be read.
    pub host: String,
    /// Path without query, masked.
    pub path: String,
    /// Query without `?`, masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

/// One of the requests that are recorded together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedExample {
    /// When it came.
    pub at: UnixMillis,
    /// What was asked, masked and cut.
    pub request: RequestLine,
    /// The `user-agent` header, masked and cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// `x-request-id` as Envoy set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Refused requests of one kind, recorded together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aggregated {
    /// How many.
    pub requests: u64,
    /// When the first one came.
    pub first: UnixMillis,
    /// When the last one came.
    pub last: UnixMillis,
    /// Why they were refused; absent where Envoy answered before it asked the gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// HTTP status of the answers.
    pub status: u16,
    /// Where they came from; absent where it is not known, or where there were too many sources to
    /// tell them apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Whose token it was; as `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_owner: Option<TokenOwner>,
    /// The first ones.
    pub examples: Vec<RefusedExample>,
}

/// What happened in one step.
// Pointers of 32 bits make the variants small enough for the lint.
#[cfg_attr(
    target_pointer_width = "64",
    expect(
        clippy::large_enum_variant,
        reason = "an event is made, serialised and dropped; boxing would cost an allocation per request"
    )
)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum EventKind {
    /// The request's headers arrived. With `audit: required` this is durable before upstream is
    /// contacted.
    Received {
        /// What was asked.
        request: RequestLine,
        /// Who asked; absent when the token was refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        principal: Option<Principal>,
        /// Whom a refused token was made for; absent when its signature was not good, or when it
        /// was not refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_owner: Option<TokenOwner>,
        /// The address that the request came from, as Envoy trusts it, without port.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
        /// The `user-agent` header, masked and cut.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_agent: Option<String>,
        /// The connection by name; absent when the host belongs to none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<String>,
        /// What it does in the upstream's terms; absent when it was refused before that was asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        operation: Option<Operation>,
        /// Policy version under which the whole stream runs; absent when there is none yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy_version: Option<u64>,
        /// `x-request-id` as Envoy set it, to join with access logs and traces.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
        /// Names of headers that do not go upstream as the agent wrote them, masked and cut. Of a
        /// request that is refused later nothing goes upstream.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        taken: Vec<String>,
    },
    /// The stream is parked until a human answers.
    Held {
        /// The approval that it waits for.
        approval: String,
        /// The rule that asked for it.
        rule: String,
    },
    /// The verdict.
    Decided {
        /// Allow or deny; `approve` where it became a ticket.
        effect: Effect,
        /// The deciding rule; absent where nothing matched or no rule was reached.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
        /// Why, as the agent is told.
        reason: String,
        /// The stable code of a refusal (`token_expired`, `denied`, `no_policy`, …).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// How a human's answer took part.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval: Option<ApprovalOutcome>,
    },
    /// The request went upstream.
    Forwarded {},
    /// The first byte of the response's headers came from upstream.
    ResponseStarted {
        /// HTTP status.
        status: u16,
    },
    /// A piece of a body, after masking.
    Chunk {
        /// Which body.
        direction: Direction,
        /// The bytes.
        body: Body,
        /// Set on the last recorded piece when the body went on beyond the recording limit.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        truncated: bool,
    },
    /// The stream ended as HTTP says it should.
    Completed {
        /// HTTP status that the agent got.
        status: u16,
        /// How long it took and how much went through.
        #[serde(flatten)]
        timings: Timings,
    },
    /// Refused requests that have no record of their own: this is the only step of the record that
    /// stands for all of them.
    Aggregated(Aggregated),
    /// The stream ended early.
    Aborted {
        /// Who ended it, as far as the node can tell.
        cause: AbortCause,
        /// How long it took and how much went through.
        #[serde(flatten)]
        timings: Timings,
    },
}

impl EventKind {
    /// The name of every stage.
    pub const STAGES: &'static [&'static str] = &[
        "received",
        "held",
        "decided",
        "forwarded",
        "response_started",
        "chunk",
        "completed",
        "aggregated",
        "aborted",
    ];

    /// The stage's name, as in the serialised form.
    pub const fn stage(&self) -> &'static str {
        match self {
            Self::Received { .. } => "received",
            Self::Held { .. } => "held",
            Self::Decided { .. } => "decided",
            Self::Forwarded {} => "forwarded",
            Self::ResponseStarted { .. } => "response_started",
            Self::Chunk { .. } => "chunk",
            Self::Completed { .. } => "completed",
            Self::Aborted { .. } => "aborted",
            Self::Aggregated(_) => "aggregated",
        }
    }
}

/// How a human's answer took part in a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalOutcome {
    /// The approval's id.
    pub id: String,
    /// Who decided: all who said yes, with a comma between them, or the one who said no; absent
    /// when nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Why a stream ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbortCause {
    /// The agent went away before the end.
    Downstream,
    /// The upstream broke off, or Envoy could not reach it.
    Upstream,
    /// The filter ended the stream itself (a response whose encoding it cannot read, say).
    Filter,
    /// Nothing told which.
    Unknown,
}

impl AbortCause {
    /// All causes.
    pub const ALL: &'static [Self] = &[
        Self::Downstream,
        Self::Upstream,
        Self::Filter,
        Self::Unknown,
    ];

    /// The cause's name, as in the serialised form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Downstream => "downstream",
            Self::Upstream => "upstream",
            Self::Filter => "filter",
            Self::Unknown => "unknown",
        }
    }
}

/// Durations in milliseconds since the request's headers arrived, and sizes in bytes on the wire
/// side of the filter (after masking).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timings {
    /// Until the verdict, including any wait for a human.
    pub decided_ms: u64,
    /// Until the response's headers; absent when none came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<u64>,
    /// Until the end.
    pub total_ms: u64,
    /// Request body bytes sent upstream.
    pub request_bytes: u64,
    /// Response body bytes sent to the agent.
    pub response_bytes: u64,
    /// Secrets masked or blocked, by detector, both directions together.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub masked: BTreeMap<String, u64>,
    /// Secrets that passed because policy only wants them reported, by detector.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reported: BTreeMap<String, u64>,
    /// The detector at whose finding a body was ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
    /// Code of the reason for which the gate ended it after it had let the request go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Body bytes in an event: text where they are UTF-8, base64 where not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// UTF-8 text.
    Text(String),
    /// Anything else, standard base64 with padding (RFC 4648 §4).
    Base64(String),
}

impl Body {
    /// The only way in: what has not passed the masker cannot be recorded.
    pub fn new(masked: &impl AsMasked) -> Self {
        let bytes = masked.masked();
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(STANDARD.encode(bytes)),
        }
    }
}
