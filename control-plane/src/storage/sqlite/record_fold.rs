//! From the events of a record to its summary.
//!
//! Events of one record may arrive in several batches. Each batch is folded into a [`Patch`], which
//! holds only what its events say; the database merges it into what it has. So the summary is the
//! same however the events were cut into batches.

use std::collections::BTreeMap;

use chaperone_api::RecordState;
use chaperone_engine::audit::{AbortCause, Event, EventKind, ReadEvent, Timings};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::identity::Principal;
use chaperone_engine::policy::Effect;

/// What some events of one record say about it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Patch {
    pub(crate) state: Option<RecordState>,
    /// The earliest event seen.
    pub(crate) received_at: Option<UnixMillis>,
    pub(crate) ended_at: Option<UnixMillis>,
    pub(crate) principal: Option<Principal>,
    pub(crate) connection: Option<String>,
    pub(crate) operation: Option<String>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) method: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) query: Option<String>,
    pub(crate) effect: Option<Effect>,
    pub(crate) rule: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) approval: Option<String>,
    pub(crate) approved_by: Option<String>,
    pub(crate) policy_version: Option<u64>,
    pub(crate) request_id: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) abort_cause: Option<&'static str>,
    pub(crate) timings: Option<Timings>,
}

impl Patch {
    /// Adds what one event says. Events come in the order of their numbers.
    pub(crate) fn add(&mut self, event: ReadEvent) {
        let at = event.at();
        let earliest = self.received_at.map_or(at, |before| before.min(at));
        self.received_at = Some(earliest);
        match event {
            ReadEvent::Known(event) => self.add_known(event),
            ReadEvent::Unknown(event) => {
                // The names alone end a record, which would otherwise look as if it went on for
                // ever.
                self.state = match event.stage.as_str() {
                    "completed" => Some(RecordState::Completed),
                    "aborted" => Some(RecordState::Aborted),
                    _ => return,
                };
                self.ended_at = Some(at);
            }
        }
    }

    fn add_known(&mut self, event: Event) {
        match event.kind {
            EventKind::Received {
                request,
                principal,
                connection,
                operation,
                policy_version,
                request_id,
            } => {
                self.method = Some(request.method);
                self.host = Some(request.host);
                self.path = Some(request.path);
                self.query = request.query;
                self.principal = principal;
                self.connection = connection;
                if let Some(operation) = operation {
                    self.operation = Some(operation.action);
                    self.attributes = operation.attributes;
                }
                self.policy_version = policy_version;
                self.request_id = request_id;
            }
            EventKind::Held { approval, rule } => {
                self.approval = Some(approval);
                self.rule = Some(rule);
            }
            EventKind::Decided {
                effect,
                rule,
                reason,
                code,
                approval,
            } => {
                self.effect = Some(effect);
                self.rule = rule.or(self.rule.take());
                self.reason = Some(reason);
                self.code = code;
                if let Some(approval) = approval {
                    self.approval = Some(approval.id);
                    self.approved_by = approval.by;
                }
            }
            EventKind::Forwarded {} | EventKind::Chunk { .. } => {}
            EventKind::ResponseStarted { status } => self.status = Some(status),
            EventKind::Completed { status, timings } => {
                self.state = Some(RecordState::Completed);
                self.status = Some(status);
                self.ended_at = Some(event.at);
                self.timings = Some(timings);
            }
            EventKind::Aborted { cause, timings } => {
                self.state = Some(RecordState::Aborted);
                self.abort_cause = Some(abort_cause(cause));
                self.ended_at = Some(event.at);
                self.timings = Some(timings);
            }
        }
    }
}

/// The cause as in the event's JSON.
const fn abort_cause(cause: AbortCause) -> &'static str {
    match cause {
        AbortCause::Downstream => "downstream",
        AbortCause::Upstream => "upstream",
        AbortCause::Filter => "filter",
        AbortCause::Unknown => "unknown",
    }
}
