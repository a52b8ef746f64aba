//! What filter and control plane say to each other: the data-plane interface.
//!
//! Four calls, all `POST` with JSON both ways, all authenticated by the node token
//! (`authorization: Bearer …`):
//!
//! | path | asks | waits? |
//! |---|---|---|
//! | [`POLICY_PATH`] | is there a bundle newer than mine? | up to `wait_ms` |
//! | [`EVENTS_PATH`] | take these events | no |
//! | [`ASK_PATH`] | may this request pass? | no |
//! | [`WATCH_PATH`] | tell me when one of these approvals is decided | up to `wait_ms` |
//!
//! Every answer of the control plane carries the header [`MARKER`]: Envoy makes up answers of its
//! own (503, 504) that look like the control plane's, so an answer without the marker is treated as
//! no answer.
//!
//! A [`Watched`] decides nothing: it only wakes a stream. The stream then asks again with its own
//! record id, and the control plane decides in that one transaction whether the stream may spend a
//! one-time grant. Asking again gives the same answer. So a lost answer can be asked for again, and
//! of two streams that wait for the same approval only one passes.
//!
//! # Versions
//! Filter and control plane are upgraded at different times (`docs/upgrades.md`), so members are
//! only ever added, and the reader ignores those that it does not know. Not ignored is what would
//! be half understood to somebody's harm: anything in a signed bundle, and terms of an approval. An
//! event of a kind that is not known is read as a [`ReadEvent`](crate::audit::ReadEvent).

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::approval::{ApprovalState, RequestDigest, Standing};
use crate::audit::{BootId, Event, RecordId, RequestLine};
use crate::bundle::{Envelope, Serial};
use crate::identity::{Principal, UnknownKey};
use crate::policy::ApproveTerms;
use crate::upstreams::Operation;

/// Header on every answer of the control plane, with [`MARKER_VALUE`].
pub const MARKER: &str = "x-chaperone";
/// The data plane's version, as [`MARKER`]'s value.
pub const MARKER_VALUE: &str = "1";

/// Long poll for a newer bundle: [`PolicyRequest`] to [`PolicyAnswer`].
pub const POLICY_PATH: &str = "/node/v1/policy";
/// A batch of events: [`EventBatch`] to [`EventAck`].
pub const EVENTS_PATH: &str = "/node/v1/events";
/// Asks whether a request may pass: [`AskRequest`] to [`AskAnswer`].
pub const ASK_PATH: &str = "/node/v1/approvals/ask";
/// Multiplexed long poll for decisions: [`WatchRequest`] to [`WatchAnswer`].
pub const WATCH_PATH: &str = "/node/v1/approvals/watch";

/// Longest wait that the control plane grants a long poll, milliseconds.
pub const MAX_WAIT_MS: u64 = 55_000;

/// The longest name of a node, characters.
pub const MAX_NODE_NAME: usize = 256;

/// Who is speaking: one Envoy worker's filter instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NodeId {
    /// Envoy's node id, or the name that the filter's configuration gives: 1 to [`MAX_NODE_NAME`]
    /// characters, none of them a control character. No other name is read: it stands in lists and
    /// logs that people look at.
    #[serde(deserialize_with = "node_name")]
    pub name: String,
    /// This life of the VM.
    pub boot: BootId,
}

fn node_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let fits = (1..=MAX_NODE_NAME).contains(&name.chars().count());
    if fits && !name.chars().any(char::is_control) {
        return Ok(name);
    }
    Err(D::Error::custom(format_args!(
        "node.name: 1 to {MAX_NODE_NAME} printable characters"
    )))
}

/// [`POLICY_PATH`]: is there a newer bundle?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyRequest {
    /// Who asks, for all workers of this Envoy.
    pub node: NodeId,
    /// The filter's own version.
    pub filter_version: String,
    /// The bundle that this worker enforces; absent while the worker has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforced: Option<Serial>,
    /// Why the last bundle was refused, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Keys that tokens named and no key set had: refresh is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_keys: Vec<UnknownKey>,
    /// Milliseconds to wait for news; 0 answers at once (a status report).
    pub wait_ms: u64,
    /// The revision of the policy language that the filter reads
    /// ([`REVISION`](crate::policy::REVISION) of its build).
    #[serde(default = "unreported")]
    pub reads: u32,
    /// The keys that the filter pins ([`PublicKey::id`](crate::bundle::PublicKey::id) of each).
    /// None from filters that do not say so: those pin one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<String>,
}

/// Filters from before this was reported.
const fn unreported() -> u32 {
    crate::policy::UNREPORTED
}

/// Answer to [`PolicyRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyAnswer {
    /// The newer bundle, or nothing when the wait ended without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Envelope>,
}

/// [`EVENTS_PATH`]: a batch as the control plane reads it. The filter writes the same shape with
/// [`EventBatchHead::write`], around events that are JSON already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventBatch {
    /// Who sends.
    #[serde(flatten)]
    pub head: EventBatchHead,
    /// Numbered without gaps.
    pub events: Vec<Event>,
}

/// All of an [`EventBatch`] but the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventBatchHead {
    /// Who sends.
    pub node: NodeId,
    /// Events lost since the boot because the queue was full (`on_audit_full: drop`).
    pub dropped: u64,
    /// The last batch of this life: the node shuts down after it, and silence is then no fault.
    #[serde(default)]
    pub closing: bool,
}

impl EventBatchHead {
    /// The JSON of an [`EventBatch`] around `events`, a JSON array as [`crate::audit::Batch`] holds
    /// it.
    pub fn write(&self, events: &str) -> Result<String, serde_json::Error> {
        let mut json = serde_json::to_string(self)?;
        json.pop();
        json.push_str(",\"events\":");
        json.push_str(events);
        json.push('}');
        Ok(json)
    }
}

/// Answer to [`EventBatch`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventAck {
    /// Everything up to and including this number is durable.
    pub acknowledged: u64,
}

/// [`ASK_PATH`]: may this request pass?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AskRequest {
    /// Who asks.
    pub node: NodeId,
    /// The stream's record: asking again with the same one never spends a second grant.
    pub record: RecordId,
    /// The parts of the request that the approval binds to, as one digest.
    pub digest: RequestDigest,
    /// Policy version that the stream runs under.
    pub policy_version: u64,
    /// The rule that wants a human.
    pub rule: String,
    /// Its reason.
    pub reason: String,
    /// Its terms.
    pub terms: ApproveTerms,
    /// Who is calling.
    pub principal: Principal,
    /// Connection by name.
    pub connection: String,
    /// The operation of the request.
    pub operation: Operation,
    /// The request, masked.
    pub request: RequestLine,
    /// `content-type` of the request, if it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The body as approvers may see it: masked, and cut to the filter's preview limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyPreview>,
}

/// A body as approvers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyPreview {
    /// The beginning of the masked body.
    pub content: crate::audit::Body,
    /// Bytes of the whole body as it goes upstream; 0 when the request has none.
    pub total_bytes: Option<u64>,
    /// Whether `content` is less than the whole.
    pub truncated: bool,
}

/// Answer to [`AskRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskAnswer {
    /// The approval's id, to be asked about and shown to the agent; empty where no question was
    /// opened.
    pub approval: String,
    /// How it stands for this record.
    pub answer: Standing,
    /// Who decided, when somebody did: all who said yes, or the one who said no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The approver's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// When the question ends unanswered.
    pub expires_at: crate::base::time::UnixMillis,
}

/// [`WATCH_PATH`]: wake me when one of these is decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchRequest {
    /// Who asks.
    pub node: NodeId,
    /// Approval ids.
    pub approvals: Vec<String>,
    /// Milliseconds to wait; the answer comes at once when one is no longer pending.
    pub wait_ms: u64,
}

/// Answer to [`WatchRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchAnswer {
    /// Those that are no longer pending.
    pub decided: Vec<Watched>,
}

/// One approval that is no longer pending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Its id.
    pub approval: String,
    /// Where it stands; unknown ids come back as expired.
    pub state: ApprovalState,
}
