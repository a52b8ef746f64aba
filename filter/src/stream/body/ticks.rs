//! What ticks do with a body: they work on what a callback has left, and let go what has waited
//! long enough.

use chaperone_engine::base::time::UnixMillis;

use super::{
    Again, BodyWay, FEW, LetGo, MADE_AHEAD, Passed, Piece, REST_WAITS_TIMES, Room, Stage, Stop,
};
use crate::host::Host;

impl BodyWay {
    /// Time passed: whether what waits is to go on now. `most`: milliseconds that it may wait for
    /// the next bytes.
    pub(in crate::stream) fn let_go(&mut self, now: UnixMillis, most: u64) -> LetGo {
        let after = match self.stage {
            // What was made slows the sender down while more waits than can be made ahead.
            Stage::Slowed if self.can_work() && self.pipe.rest() > FEW => return LetGo::Soon,
            Stage::Slowed => {
                self.stage = Stage::Flowing;
                self.held_back = 0;
                return LetGo::Now;
            }
            Stage::Awaited => Stage::Flowing,
            Stage::Ending { .. } => return LetGo::Soon,
            Stage::Placed { .. } if self.pipe.has_rest() => return LetGo::Soon,
            Stage::Placed { .. } if self.pipe.held() == 0 => {
                self.stage = Stage::Regained;
                return LetGo::Now;
            }
            Stage::Placed { .. } => Stage::Regained,
            Stage::Flowing | Stage::Resumed | Stage::Regained if self.can_work() => {
                return LetGo::Soon;
            }
            Stage::Flowing | Stage::Resumed | Stage::Regained
                if self.pipe.encoded() > 0 || (self.pipe.has_rest() && !self.pipe.is_behind()) =>
            {
                // No callback comes, so there is no buffer to put it into.
                let most = most.saturating_mul(REST_WAITS_TIMES);
                let until = self.since.saturating_add(most);
                if now < until {
                    return LetGo::At(until);
                }
                let stopped = self.stopped(self.stage, Stop::Expanded);
                return stopped.stop.map_or(LetGo::Nothing, LetGo::Stop);
            }
            _ => return LetGo::Nothing,
        };
        let until = self.since.saturating_add(most);
        if now < until {
            return LetGo::At(until);
        }
        self.stage = after;
        LetGo::Now
    }

    /// Whether ticks can go on with what was left because it was too much work.
    pub(in crate::stream) fn can_work(&self) -> bool {
        match self.stage {
            Stage::Placed { .. } | Stage::Ending { .. } => self.pipe.has_rest(),
            Stage::Slowed | Stage::Flowing | Stage::Resumed | Stage::Regained => {
                self.pipe.is_behind() && self.made.len() < MADE_AHEAD
            }
            _ => false,
        }
    }

    /// Whether its end has come, and what is left of it is worked on.
    const fn is_ending(&self) -> bool {
        matches!(self.stage, Stage::Ending { .. })
    }

    /// Whether ticks add to what Envoy keeps of it, so that it must not be let go yet.
    pub(in crate::stream) fn is_growing(&self) -> bool {
        match self.stage {
            Stage::Ending { .. } => true,
            Stage::Placed { .. } => self.pipe.has_rest(),
            _ => false,
        }
    }

    /// When it is to be looked at again, if something of it stays here.
    pub(in crate::stream) fn when_again(&self) -> Again {
        match self.can_work() {
            true => Again::Soon,
            false => Again::Late,
        }
    }

    /// A tick goes on with what was left ([`Self::can_work`]). What is made goes into Envoy's
    /// buffer where that is within reach, and else waits for the next callback.
    pub(in crate::stream) fn work_on(&mut self, host: &dyn Host, room: &mut Room<'_>) -> Passed {
        let before = self.stage;
        let ending = self.is_ending();
        let out = match self.through(&[], ending, room) {
            Ok(out) => out,
            Err(error) => return self.stopped(before, Stop::Unreadable(error)),
        };
        let has_rest = self.pipe.has_rest();
        if ending && has_rest && !self.pipe.is_behind() {
            return self.stopped(before, Stop::Expanded);
        }
        let blocked = self.is_blocked();
        let event = self.recording.chunk(self.direction, out.masked);
        if blocked == Some(Stop::Blocked) {
            return Passed {
                event,
                ..self.stopped(before, Stop::Blocked)
            };
        }
        self.since = host.steady();
        match &mut self.stage {
            Stage::Placed { bytes, .. } => {
                host.append_body(self.direction, usize::MAX, &out.sent);
                self.sent = self.sent.saturating_add(out.sent.len() as u64);
                *bytes = bytes.saturating_add(out.sent.len());
            }
            Stage::Ending { room, .. } => {
                let Some(left) = room.checked_sub(out.sent.len()) else {
                    return self.stopped(before, Stop::Expanded);
                };
                *room = left;
                host.append_body(self.direction, usize::MAX, &out.sent);
                self.sent = self.sent.saturating_add(out.sent.len() as u64);
                if !has_rest {
                    self.stage = Stage::Slowed;
                }
            }
            _ => self.made.push(&out.sent),
        }
        if blocked.is_some() {
            // Its reader has been told; the rest is dropped as it comes.
            self.pipe.drop_rest();
            if matches!(
                before,
                Stage::Placed { .. } | Stage::Ending { .. } | Stage::Slowed
            ) {
                host.resume(self.direction);
            }
            self.stage = Stage::Cut;
        }
        Passed {
            stop: blocked,
            event,
            again: None,
        }
    }

    /// A tick masks the part of a request's body that Envoy keeps as it came, in its place; more of
    /// it will come.
    pub(in crate::stream) fn place(&mut self, host: &dyn Host, room: &mut Room<'_>) -> Passed {
        let Some(held) = self.held() else {
            return Passed::ON;
        };
        let before = self.sent;
        let piece = Piece {
            size: held.bytes,
            end: false,
            waiting: false,
        };
        let passed = self.data(host, piece, room);
        // Whatever is left of it: the callbacks have paused, and ticks can add what they make.
        if passed.stop.is_none() {
            let placed = self.sent.saturating_sub(before);
            self.stage = Stage::Placed {
                bytes: usize::try_from(placed).unwrap_or(usize::MAX),
                with_headers: false,
                in_resume: false,
            };
        }
        passed
    }
}
