//! One request with its response: the return value of each callback, the changes, the record.
//!
//! ```text
//!        headers
//!   New ─────────► Waiting(Body ► Answer ► Human ► Durable) ──► Open ──► response ──► log
//!     └──────────────┴──────── refused ──► Answered                └──► Broken
//! ```
//!
//! # Promises
//! - `Stream::flow` alone derives a callback's return value, from the phase and, once the request
//!   has been let through, from the state of its body. While a verdict is pending every request
//!   callback returns Pause or Hold: in Envoy, Continue from *any* body or trailers callback
//!   releases held headers upstream.
//! - Nothing that a client may legally do hangs. A verdict that needs no body holds headers and
//!   body together, so that it does not depend on what comes; where bytes are waited for, that ends
//!   after `limits.body_wait_ms` (`late`).
//! - A stream answers the agent at most once, and never after it let the request go on.
//! - A stream keeps the gate that it began under; a newer policy is for newer streams.
//! - Every stream closes its record exactly once, in [`Stream::log`], whatever came before.

mod approval;
mod blocked;
mod body;
mod close;
mod flow;
mod header_values;
mod headers;
mod late;
pub(crate) mod metric;
mod opening;
mod pipe;
mod received;
mod refuse;
mod request;
mod response;
mod rest;
mod room;
mod scan;
mod shown;
mod unidentified;
mod verdict;

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use chaperone_engine::audit::{ApprovalOutcome, EventKind, Place, RecordId, Sharer};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::gate::{Code, Gate, Masking, ReadFor, Refused};
use chaperone_engine::identity::Principal;
use chaperone_engine::link::AskRequest;
use chaperone_engine::masking::{DetectorSet, Findings, FingerprintKey, Plan};
use chaperone_engine::policy::Decision;
use chaperone_engine::upstreams::Operation;

use crate::host::{ContextId, Direction, Host};
use crate::node::{Config, Node, Wake, Work};
use body::{BodyWay, Piece};
use request::Request;
use room::Room;
use scan::Scan;
use shown::Shown;

pub use flow::Flow;

/// The things that a stream works with; lent to it for one callback.
pub struct Around<'a> {
    /// Envoy.
    pub host: &'a dyn Host,
    /// The state that all streams of the VM share.
    pub node: &'a mut Node,
    /// The built-in detectors, for records and for people while no policy names others.
    pub detectors: &'a Detectors,
}

/// The built-in detectors, compiled when they are first asked for: a policy usually brings the same
/// ones, compiled rules are the largest thing that a worker holds, and twice is too much.
#[derive(Debug, Default)]
pub struct Detectors(OnceCell<Option<Arc<Plan>>>);

impl Detectors {
    fn plan(&self) -> Option<Arc<Plan>> {
        let compile = || {
            let set = DetectorSet::compile(&["secrets/*"]).ok()?;
            Some(Arc::new(Plan::masking(Arc::new(set))))
        };
        self.0.get_or_init(compile).clone()
    }
}

/// Where a stream stands.
#[derive(Debug)]
enum Phase {
    /// No headers yet.
    New,
    /// The verdict is pending.
    Waiting(Waiting),
    /// Let through. A tunnel is an upgrade: its bytes are not a body.
    Open { tunnel: bool },
    /// We have answered. The answer passes through our own response callbacks, and once it does
    /// (`passing`) it must go on; a response that upstream had begun before must not.
    Answered { passing: bool },
    /// Envoy answered while the verdict was pending, so no verdict will come.
    Overtaken,
    /// We broke the stream off.
    Broken,
}

/// The step that a verdict waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// The rest of the body, and why.
    Body(ReadFor),
    /// The control plane's answer.
    Answer,
    /// A human.
    Human,
    /// The record's durability; the last step.
    Durable,
}

/// Everything that is known once the request has been decided on.
#[derive(Debug)]
struct Case {
    gate: Rc<Gate>,
    principal: Principal,
    connection: String,
    /// Masked, as it is shown.
    operation: Operation,
    decision: Decision,
    masking: Masking,
    line: chaperone_engine::audit::RequestLine,
    host_name: String,
    target: (String, Option<String>),
    /// The received event, if the queue took it.
    received: Option<Place>,
    /// The question, once it was asked.
    asked: Option<AskRequest>,
    /// The approval that is asked about, once there is one.
    approval: Option<String>,
    /// The human's answer that lets the request pass.
    granted: Option<ApprovalOutcome>,
    /// When holding ends.
    hold_until: UnixMillis,
    /// The digest is bound to this very stream: no later request can match it.
    unseen_body: bool,
}

impl Case {
    /// The deciding rule's name.
    fn rule(&self) -> Option<String> {
        self.decision.rule.as_deref().map(str::to_owned)
    }
}

/// One stream.
pub struct Stream {
    id: ContextId,
    config: Rc<Config>,
    phase: Phase,
    record: Option<RecordId>,
    /// The record is that of many refused requests, which this one is only counted in.
    is_counted: bool,
    /// Whose share of the event queue the record takes.
    sharer: Sharer,
    /// The address that the request came from.
    source: Option<String>,
    request: Request,
    case: Option<Case>,
    request_body: BodyWay,
    response_body: BodyWay,
    held: bool,
    /// When the last piece of a body came that is read before the verdict.
    piece_at: UnixMillis,
    /// Bytes of its bodies that it keeps as they came.
    kept: usize,
    /// The node was asked to wake it at a time.
    is_timed: bool,
    /// The earliest such time.
    due_at: UnixMillis,
    began: UnixMillis,
    decided_ms: u64,
    /// The request went on. What its body was counted for before then may never have left.
    went_on: bool,
    first_byte_ms: Option<u64>,
    status: Option<u16>,
    /// Findings outside of bodies.
    found: Findings,
    /// The detector at whose finding a body was ended.
    blocked: Option<String>,
    /// Why it was ended after it was let through.
    ended_for: Option<Code>,
}

impl Stream {
    /// A stream under a root's configuration.
    pub fn new(host: &dyn Host, id: ContextId, config: Rc<Config>) -> Self {
        Self {
            id,
            config,
            phase: Phase::New,
            record: None,
            is_counted: false,
            sharer: Sharer::GATE,
            source: None,
            request: Request::default(),
            case: None,
            request_body: BodyWay::untouched(Direction::Request),
            response_body: BodyWay::untouched(Direction::Response),
            held: false,
            piece_at: UnixMillis(0),
            kept: 0,
            is_timed: false,
            due_at: UnixMillis(0),
            began: host.steady(),
            decided_ms: 0,
            went_on: false,
            first_byte_ms: None,
            status: None,
            found: Findings::default(),
            blocked: None,
            ended_for: None,
        }
    }

    /// The return value of a callback of this direction now. The only place that says so.
    fn flow(&self, direction: Direction) -> Flow {
        match (direction, &self.phase) {
            // Let through: only a body that waits for its own next bytes can pause it.
            (Direction::Request, Phase::Open { .. }) => self.request_body.flow(),
            (Direction::Response, Phase::Open { .. }) => self.response_body.flow(),
            // The verdict needs no more of the body.
            (
                Direction::Request,
                Phase::Waiting(Waiting::Answer | Waiting::Human | Waiting::Durable),
            ) => self.request_body.flow_before_verdict(),
            // No verdict, or one against it: nothing of the request goes on.
            (Direction::Request, _) | (_, Phase::Broken | Phase::Answered { passing: false }) => {
                Flow::Pause
            }
            // Upstream was never asked, or its response was refused: what passes now is our own
            // answer or Envoy's.
            (
                Direction::Response,
                Phase::New
                | Phase::Waiting(_)
                | Phase::Answered { passing: true }
                | Phase::Overtaken,
            ) => Flow::Continue,
        }
    }

    /// Headers came.
    pub fn headers(&mut self, around: &mut Around<'_>, direction: Direction, end: bool) -> Flow {
        match direction {
            Direction::Request => self.request_headers(around, end),
            Direction::Response => self.response_headers(around, end),
        }
        self.flow(direction)
    }

    /// A piece of a body came; `size` is all that is in the buffer.
    pub fn body(
        &mut self,
        around: &mut Around<'_>,
        direction: Direction,
        size: usize,
        end: bool,
    ) -> Flow {
        match (direction, &self.phase) {
            (Direction::Request, Phase::Waiting(_)) => self.body_while_waiting(around, size, end),
            (_, Phase::Open { tunnel: true }) => self.way(direction).ended |= end,
            (_, Phase::Open { tunnel: false }) => self.open_body(around, direction, size, end),
            _ => {}
        }
        self.flow(direction)
    }

    /// Trailers came: the body is over.
    pub fn trailers(&mut self, around: &mut Around<'_>, direction: Direction) -> Flow {
        match (direction, &self.phase) {
            (Direction::Request, Phase::Waiting(Waiting::Body(_))) => {
                let kept = self.request_body.held().map_or(0, |held| held.bytes);
                self.body_while_waiting(around, kept, true);
            }
            (_, Phase::Open { tunnel: true }) => self.way(direction).ended = true,
            (Direction::Request, Phase::Waiting(_)) | (_, Phase::Open { tunnel: false }) => {
                let passed = self.way(direction).trailers(around.host);
                self.passed(around, direction, passed);
            }
            _ => {}
        }
        self.flow(direction)
    }

    /// A piece of the body of a request that nothing but its verdict keeps, or of its answer.
    fn open_body(&mut self, around: &mut Around<'_>, direction: Direction, size: usize, end: bool) {
        let piece = Piece {
            size,
            end,
            waiting: !self.is_open(),
        };
        let (host, node) = (around.host, &mut *around.node);
        let scan = Scan::begin(host, size);
        // What waits for a tick goes on there, in turn with other streams. So does a body that has
        // been dense, once callbacks have done what they may.
        let way = self.way(direction);
        let work = match way.is_behind() || (way.is_dense() && node.is_busy()) {
            true => Work::none(),
            false => node.callback_work(host, size, scan.began()),
        };
        let mut more = |bytes, taken| node.expand(host, bytes, taken);
        let mut room = Room::of(&mut more, work);
        let passed = self.way(direction).data(host, piece, &mut room);
        let done = room.work().done();
        around.node.callback_worked(host, done, size);
        scan.end(host, around.node);
        self.passed(around, direction, passed);
    }

    fn passed(&mut self, around: &mut Around<'_>, direction: Direction, passed: body::Passed) {
        if let Some(event) = passed.event {
            self.note(around, event);
        }
        if let Some(again) = passed.again {
            self.look_again(around, again);
        }
        let may_keep = self.may_keep_rest(around);
        let stop = passed.stop;
        let stop = stop.or((!may_keep).then_some(body::Stop::Expanded));
        if let Some(stop) = stop {
            self.stop(around, direction, stop);
        }
    }

    /// Counts what stays here of its bodies. `false`: it is more than may.
    fn may_keep_rest(&mut self, around: &mut Around<'_>) -> bool {
        let rests = [self.request_body.rest(), self.response_body.rest()];
        let kept = rests.iter().fold(0, |all, rest| rest.saturating_add(all));
        let before = std::mem::replace(&mut self.kept, kept);
        kept == before || around.node.keep(before, kept)
    }

    /// News for a stream that waits. The caller has made it the effective stream.
    pub fn wake(&mut self, around: &mut Around<'_>, wake: Wake) {
        if wake == Wake::Over {
            if self.is_open() && !self.response_body.ended {
                self.break_off(around);
            }
            return;
        }
        if wake == Wake::Due {
            self.due(around);
            return;
        }
        let Phase::Waiting(waiting) = self.phase else {
            return;
        };
        match (waiting, wake) {
            (Waiting::Durable, Wake::Durable) => self.open(around, true),
            (Waiting::Durable, Wake::AuditUnavailable) => {
                self.refuse(around, Refused::audit_unavailable());
            }
            (Waiting::Answer, Wake::Answer(answer)) => self.answered(around, &answer),
            (Waiting::Answer, Wake::AskUnavailable) => {
                self.refuse(around, Refused::nobody_to_ask())
            }
            (Waiting::Human, Wake::Changed) => self.ask_again(around),
            (Waiting::Human, Wake::Timeout) => self.ticket(around),
            // News about an earlier step, too late to matter.
            _ => {}
        }
    }

    /// Whether the stream has been let through.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    fn way(&mut self, direction: Direction) -> &mut BodyWay {
        match direction {
            Direction::Request => &mut self.request_body,
            Direction::Response => &mut self.response_body,
        }
    }

    /// Records an event of a request that was let in: when there is no room any more it is lost and
    /// counted, since the request cannot be taken back.
    fn note(&self, around: &mut Around<'_>, event: EventKind) {
        if let Some(record) = self.record.as_ref().filter(|_| !self.is_counted) {
            let _ = around.node.record(around.host, self.sharer, record, &event);
        }
    }

    fn fingerprint_key(&self) -> FingerprintKey {
        FingerprintKey::from_bytes(*self.config.fingerprint_key.expose())
    }

    fn shown(&self, around: &Around<'_>) -> Shown {
        let own = self.case.as_ref().map(|case| Rc::clone(&case.gate));
        let gate = own.or_else(|| around.node.gate());
        let plan = gate.and_then(|gate| gate.shown());
        Shown {
            plan: plan.or_else(|| around.detectors.plan()),
            key: self.fingerprint_key(),
        }
    }

    fn elapsed(&self, host: &dyn Host) -> u64 {
        host.steady().since(self.began)
    }

    fn break_off(&mut self, around: &mut Around<'_>) {
        self.phase = Phase::Broken;
        around.host.reset();
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("id", &self.id)
            .field("phase", &self.phase)
            .finish()
    }
}
