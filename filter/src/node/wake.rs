//! A node's answers to streams: news for those that wait, and a no for those that may not wait.

use chaperone_engine::link::AskAnswer;

/// News for a stream: it need not wait any longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wake {
    /// [`Node::require_durable`](super::Node::require_durable): the event is stored.
    Durable,
    /// [`Node::require_durable`](super::Node::require_durable): it could not be stored in time. 503
    /// `audit_unavailable`.
    AuditUnavailable,
    /// [`Node::ask`](super::Node::ask): how the request stands.
    Answer(AskAnswer),
    /// [`Node::ask`](super::Node::ask): no answer. 503 `control_plane_unavailable`.
    AskUnavailable,
    /// [`Node::wait`](super::Node::wait): decided, one way or the other; ask again with the same
    /// record.
    Changed,
    /// [`Node::wait`](super::Node::wait): the hold budget is over; take a ticket.
    Timeout,
    /// [`Node::end_later`](super::Node::end_later): now.
    Over,
    /// [`Node::wake_at`](super::Node::wake_at): it is time.
    Due,
}

/// The queue, or the caller's share of it, is full and `on_audit_full` is `block`: 503
/// `audit_full`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditFull;

/// As many streams are parked as `limits.hold_streams` allows: take a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyHeld;
