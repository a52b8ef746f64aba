//! What waits for the next bytes of a body, and they do not come.
//!
//! A client may send a part of its request and then wait for an answer, and an upstream may send
//! headers, or a part of its answer, and then wait for more of the request. If the gate waited for
//! the next bytes meanwhile, all three would wait for ever. So it waits for `limits.body_wait_ms`,
//! counted from the last bytes:
//!
//! | waits | then |
//! |---|---|
//! | a human, to be asked about the whole body | the request is refused: 408 `body_unfinished` |
//! | a request, until all of it was looked at for what policy blocks | it goes on as it comes, as one that is too long to be kept |
//! | the headers of an answer, for the first look at its body | they go on |
//! | bytes that were too much work for one callback | they are worked on in the next ticks, in turn with other streams; what becomes of them goes on then, or with the next bytes where Envoy gives no buffer before |
//! | bytes that there was no room for ([`room`](super::room)) | twenty times as long, and then the stream ends |
//! | decided bytes, behind which others are undecided | they go on; the undecided ones wait in memory |
//!
//! Undecided bytes themselves never go on before they are decided: whoever could make the gate give
//! up by waiting would get any secret through.

use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::gate::{ReadFor, Refused};

use super::body::{Again, LetGo, Stop};
use super::room::Room;
use super::{Around, Phase, Stream, Waiting};
use crate::host::Direction;
use crate::node::Work;

impl Stream {
    /// [`Stream::due`] is to look at the stream again.
    pub(super) fn look_again(&mut self, around: &mut Around<'_>, again: Again) {
        let now = around.host.steady();
        let at = match again {
            Again::Soon => now,
            Again::Late => now.saturating_add(self.config.limits.body_wait_ms),
        };
        self.look_again_at(around, at);
    }

    pub(super) fn look_again_at(&mut self, around: &mut Around<'_>, at: UnixMillis) {
        self.due_at = match self.is_timed {
            true => self.due_at.min(at),
            false => at,
        };
        self.is_timed = true;
        around.node.wake_at(around.host, self.id, at);
    }

    /// A piece of a body that is read before the verdict came, or its headers did.
    pub(super) fn piece_came(&mut self, around: &mut Around<'_>) {
        self.piece_at = around.host.steady();
        if !self.is_timed {
            self.look_again(around, Again::Late);
        }
    }

    /// Time passed.
    pub(super) fn due(&mut self, around: &mut Around<'_>) {
        self.is_timed = false;
        match self.phase {
            Phase::Waiting(Waiting::Body(read_for)) if self.request_body.is_seen_whole() => {
                self.see_on(around, read_for);
            }
            Phase::Waiting(Waiting::Body(read_for)) => self.body_is_late(around, read_for),
            Phase::Open { .. } => {
                for direction in [Direction::Request, Direction::Response] {
                    if self.work_on(around, direction) {
                        self.let_go(around, direction);
                    }
                }
            }
            // Its body is looked through while the verdict is pending, and waits for that.
            Phase::Waiting(_) => {
                self.work_on(around, Direction::Request);
            }
            _ => {}
        }
    }

    fn body_is_late(&mut self, around: &mut Around<'_>, read_for: ReadFor) {
        let most = self.config.limits.body_wait_ms;
        let until = self.piece_at.saturating_add(most);
        if around.host.steady() < until {
            self.look_again_at(around, until);
            return;
        }
        match read_for {
            ReadFor::Approval => self.refuse(around, Refused::unfinished(most)),
            ReadFor::Blocking => {
                let (host, node) = (around.host, &mut *around.node);
                let work = node.tick_work(host).unwrap_or(Work::none());
                let mut more = |bytes, taken| node.expand(host, bytes, taken);
                let mut room = Room::of(&mut more, work);
                let passed = self.request_body.place(host, &mut room);
                let done = room.work().done();
                around.node.worked(done);
                let is_stopped = passed.stop.is_some();
                self.passed(around, Direction::Request, passed);
                if !is_stopped {
                    self.let_through(around, None, true);
                }
            }
        }
    }

    /// Takes up what was left of a body because it was too much work for one callback. Whether the
    /// stream goes on.
    fn work_on(&mut self, around: &mut Around<'_>, direction: Direction) -> bool {
        if !self.way(direction).can_work() {
            return true;
        }
        let (host, node) = (around.host, &mut *around.node);
        let Some(work) = node.tick_work(host) else {
            // Others had their turn. This one keeps its place before all that come later.
            let at = self.due_at;
            self.look_again_at(around, at);
            return true;
        };
        let mut more = |bytes, taken| node.expand(host, bytes, taken);
        let mut room = Room::of(&mut more, work);
        let passed = self.way(direction).work_on(host, &mut room);
        let done = room.work().done();
        around.node.worked(done);
        let goes_on = passed.stop.is_none() || passed.stop == Some(Stop::Told);
        self.passed(around, direction, passed);
        goes_on
    }

    fn let_go(&mut self, around: &mut Around<'_>, direction: Direction) {
        let most = self.config.limits.body_wait_ms;
        match self.way(direction).let_go(around.host.steady(), most) {
            LetGo::Nothing => {}
            LetGo::Soon => self.look_again(around, Again::Soon),
            LetGo::At(until) => self.look_again_at(around, until),
            LetGo::Now => {
                around.host.resume(direction);
                if self.way(direction).has_rest() {
                    let again = self.way(direction).when_again();
                    self.look_again(around, again);
                }
            }
            LetGo::Stop(stop) => self.stop(around, direction, stop),
        }
    }
}
