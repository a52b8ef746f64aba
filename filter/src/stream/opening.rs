//! From a yes to the upstream: the record that may have to be stored first, and how a request that
//! Envoy holds is made to go on.

use chaperone_engine::audit::{ApprovalOutcome, EventKind};
use chaperone_engine::gate::{ReadFor, Refused};
use chaperone_engine::policy::Effect;

use super::body::Again;
use super::room::Room;
use super::scan::Scan;
use super::{Around, Phase, Stream, Waiting, metric};
use crate::host::Direction;
use crate::node::Work;

impl Stream {
    /// A body callback while the verdict is pending (the "body" profile only).
    pub(super) fn body_while_waiting(&mut self, around: &mut Around<'_>, size: usize, end: bool) {
        let Phase::Waiting(Waiting::Body(read_for)) = self.phase else {
            // The verdict does not wait for it: it waits for the verdict, masked, where nothing can
            // be lost.
            self.open_body(around, Direction::Request, size, end);
            return;
        };
        self.request_body.hold(size, end);
        self.piece_came(around);
        let limit = self.config.limits.body_bytes;
        match read_for {
            ReadFor::Approval if size > limit => self.refuse(around, Refused::too_large(limit)),
            ReadFor::Blocking if size > limit => {
                // What was held has no end in sight. From here on it goes as in the other profile:
                // a secret ends it when it comes.
                self.let_through(around, None, false);
                if self.goes_on() {
                    self.open_body(around, Direction::Request, size, end);
                }
            }
            _ if !end => {}
            _ => {
                let is_asked = read_for == ReadFor::Approval;
                self.request_body.see_whole(limit, is_asked);
                let (host, node) = (around.host, &mut *around.node);
                let scan = Scan::begin(host, size);
                let work = node.callback_work(host, size, scan.began());
                let done = self.see(around, read_for, false, work);
                around.node.callback_worked(around.host, done, size);
                scan.end(around.host, around.node);
            }
        }
    }

    /// A tick goes on with a body that is masked as a whole before the verdict.
    pub(super) fn see_on(&mut self, around: &mut Around<'_>, read_for: ReadFor) {
        match around.node.tick_work(around.host) {
            Some(work) => {
                let done = self.see(around, read_for, true, work);
                around.node.worked(done);
            }
            // Others had their turn. This one keeps its place before all that come later.
            None => {
                let at = self.due_at;
                self.look_again_at(around, at);
            }
        }
    }

    /// Masks the whole body, which Envoy holds, in its place, as far as the work goes; then the
    /// verdict is asked for. `outside`: no callback of the request is running. Gives the work that
    /// was done.
    fn see(
        &mut self,
        around: &mut Around<'_>,
        read_for: ReadFor,
        outside: bool,
        work: Work<'_>,
    ) -> u64 {
        let mut room = Room::worked(work);
        let mut seen = self.request_body.see(around.host, &mut room);
        let mut done = room.work().done();
        if !self.may_keep_rest(around) && matches!(seen, Ok(None)) {
            // It is more than all bodies of a worker may leave, so this one waits no longer.
            let mut room = Room::worked(Work::endless());
            seen = self.request_body.see(around.host, &mut room);
            done = done.saturating_add(room.work().done());
            self.may_keep_rest(around);
        }
        if let Ok(Some(body)) = &mut seen
            && let Some(event) = body.event.take()
        {
            self.note(around, event);
        }
        match (seen, read_for) {
            (Err(stop), _) => self.stop(around, Direction::Request, stop),
            (Ok(None), _) => self.look_again(around, Again::Soon),
            (Ok(Some(body)), ReadFor::Approval) => self.ask(around, Some(body)),
            (Ok(Some(_)), ReadFor::Blocking) => self.let_through(around, None, outside),
        }
        done
    }

    /// The verdict is yes; the record may still have to be stored first. `outside` says
    /// that no callback of the request is running.
    pub(super) fn let_through(
        &mut self,
        around: &mut Around<'_>,
        granted: Option<ApprovalOutcome>,
        outside: bool,
    ) {
        let Some(case) = &mut self.case else { return };
        case.granted = granted;
        if !case.decision.audit_required {
            self.open(around, outside);
            return;
        }
        // The event was lost because there is no room for it.
        let Some(received) = case.received else {
            self.refuse(around, Refused::audit_unavailable());
            return;
        };
        around.node.require_durable(around.host, self.id, received);
        self.phase = Phase::Waiting(Waiting::Durable);
    }

    /// Lets the request go on.
    pub(super) fn open(&mut self, around: &mut Around<'_>, outside: bool) {
        self.leave_waiting(around);
        self.decided_ms = self.elapsed(around.host);
        self.went_on = true;
        self.phase = Phase::Open {
            tunnel: self.request.is_upgrade,
        };
        if let Some(case) = &self.case {
            let rule = case.rule();
            let metrics = around.node.metrics();
            metrics.count(around.host, metric::ALLOWED, 1);
            if let Some(rule) = &rule {
                metrics.count(around.host, &metric::of(metric::RULE_ALLOWED, rule), 1);
            }
            let decided = EventKind::Decided {
                effect: Effect::Allow,
                rule,
                reason: case.decision.reason.to_string(),
                code: None,
                approval: case.granted.clone(),
            };
            self.note(around, decided);
        }
        self.note(around, EventKind::Forwarded {});
        if outside {
            self.release(around);
        }
    }

    /// Resumes a request that Envoy holds. What it keeps of the body within reach has been masked
    /// by then.
    fn release(&mut self, around: &mut Around<'_>) {
        if self.request_body.is_growing() {
            // What is left of it is still being worked on. With a resume it would go on without
            // that, or end.
            self.look_again(around, Again::Soon);
            return;
        }
        self.request_body.resumed();
        around.host.resume(Direction::Request);
        if self.request_body.has_rest() {
            let again = self.request_body.when_again();
            self.look_again(around, again);
        }
    }

    /// Whether the request was not refused.
    fn goes_on(&self) -> bool {
        matches!(self.phase, Phase::Open { .. } | Phase::Waiting(_))
    }

    /// Whatever the stream waited for, it does not any more.
    pub(super) fn leave_waiting(&mut self, around: &mut Around<'_>) {
        if matches!(self.phase, Phase::Waiting(_)) {
            around.node.cancel(self.id);
        }
        if std::mem::take(&mut self.held) {
            let metrics = around.node.metrics();
            metrics.gauge(around.host, metric::HELD_STREAMS, -1);
        }
    }
}
