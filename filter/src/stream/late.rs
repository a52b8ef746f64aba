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
//! | bytes that there was no room for ([`room`](super::room)) | twenty times as long, and then the stream ends |
//! | decided bytes, behind which others are undecided | they go on; the undecided ones wait in memory |
//!
//! Undecided bytes themselves never go on before they are decided: whoever could make the gate give
//! up by waiting would get any secret through.

use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::gate::{ReadFor, Refused};

use super::body::{Again, LetGo};
use super::room::Room;
use super::{Around, Phase, Stream, Waiting};
use crate::host::Direction;

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

    fn look_again_at(&mut self, around: &mut Around<'_>, at: UnixMillis) {
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
            Phase::Waiting(Waiting::Body(read_for)) => self.body_is_late(around, read_for),
            Phase::Open { .. } => {
                for direction in [Direction::Request, Direction::Response] {
                    self.let_go(around, direction);
                }
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
                let mut more = |bytes, taken| node.expand(host, bytes, taken);
                let passed = self.request_body.place(host, &mut Room::of(&mut more));
                let is_stopped = passed.stop.is_some();
                self.passed(around, Direction::Request, passed);
                if !is_stopped {
                    self.let_through(around, None, true);
                }
            }
        }
    }

    fn let_go(&mut self, around: &mut Around<'_>, direction: Direction) {
        let most = self.config.limits.body_wait_ms;
        match self.way(direction).let_go(around.host.steady(), most) {
            LetGo::Nothing => {}
            LetGo::At(until) => self.look_again_at(around, until),
            LetGo::Now => {
                around.host.resume(direction);
                if self.way(direction).has_rest() {
                    self.look_again(around, Again::Late);
                }
            }
            LetGo::Stop(stop) => self.stop(around, direction, stop),
        }
    }
}
