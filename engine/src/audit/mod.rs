//! What is recorded, and is anything missing?
//!
//! A *record* is one request with its response; an *event* is one step of it, in the stages of
//! Kubernetes audit: received, held, decided, forwarded, response started, chunks, completed or
//! aborted. Refusals that nobody is known to have asked for come in floods: beyond a few of them, a
//! record stands for many requests, and its one event, *aggregated*, counts them. Every node
//! numbers its events from 1 without gaps under a *boot id*, so the control plane knows what is
//! missing without asking: `(boot, seq)` is the identity of an event, a batch can be sent twice
//! without harm, and a hole in the numbers is a lost event.
//!
//! # Promises
//! - A number is given out once and in order. An event that was sent and not acknowledged goes out
//!   again.
//! - The queue is bounded in bytes; when it is full, or the caller's share of it, they are told
//!   before the request is let through. The operator chooses by [`OnAuditFull`] what happens then.
//! - However much one subject sends, another finds room and is not sent later for it.
//! - A body enters an event only as [`MaskedBody`](crate::masking): unmasked bytes cannot be
//!   recorded by accident.

mod attributes;
mod boot;
mod caller;
mod event;
mod queue;
mod reading;
mod refusals;
mod shares;

pub use attributes::{
    ATTRIBUTES, Attribute, AttributeShape, AttributeType, AttributeValue, RecordAttributes,
    RecordState, Unreadable,
};
pub use boot::BootId;
pub use caller::{MAX_USER_AGENT, shortened, source_address, user_agent};
pub use event::{
    AbortCause, Aggregated, ApprovalOutcome, Body, Event, EventKind, RecordId, RefusedExample,
    RequestLine, Timings,
};
pub use queue::{Batch, Overflow, Queue, QueueLimits};
pub use reading::{ReadEvent, UnknownEvent};
pub use refusals::{Recorded, Refusal, Refusals, WINDOW_MS};
pub use shares::{Place, Sharer};

use serde::{Deserialize, Serialize};

/// The fate of a new request when the event queue of its node is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnAuditFull {
    /// Refuse the request with 503 `audit_full`: nothing passes that is not recorded.
    #[default]
    Block,
    /// Let the request through unrecorded and count the lost events.
    Drop,
}
