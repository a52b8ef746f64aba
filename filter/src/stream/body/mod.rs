//! One direction's body: masked, counted and recorded as it streams.
//!
//! # States
//!
//! | state | when | a piece of the body | trailers | next |
//! |---|---|---|---|---|
//! | `Flowing` | Envoy keeps nothing of it for us | is masked and goes on; Envoy keeps it if its end is undecided | go on; with an end undecided the stream is broken off | `Awaited`, `Held`, `Resumed`, `Placed`, `Slowed`, `Cut`, `Stopped` |
//! | `Awaited` (response) | the headers wait for the first look at the body | as `Flowing`; the headers go on with it, or wait with it | as `Flowing` | `Flowing`, `Placed`, `Slowed`, `Cut`, `Stopped` |
//! | `Placed` | Envoy keeps decided bytes, masked, since others behind them are undecided | only the new bytes are masked | the undecided bytes are put behind the decided ones, and all goes on | `Flowing`, `Placed`, `Slowed`, `Regained`, `Cut`, `Stopped` |
//! | `Held` (request) | the verdict waits for the whole body: Envoy keeps it as it came | is kept; with the last one all are masked in their place, in steps, and when no more may be kept, as one piece | all kept bytes are masked in their place | `Whole`, `Placed`, `Slowed`, `Flowing`, `Stopped` |
//! | `Whole` (request) | all of it is masked in its place, in Envoy's buffer, or was (`whole`) | does not come | go on | `Resumed` |
//! | `Resumed` (request) | the request was released outside of its callbacks: all that came meanwhile comes in one | as `Flowing` | as `Flowing` | `Flowing`, `Placed`, `Cut`, `Stopped` |
//! | `Slowed` | Envoy keeps decided bytes out of reach: a verdict is pending that does not wait for them, there was no room for what follows them, or a tick is to let them go for another reason | is masked; Envoy keeps it | go on if nothing is undecided, else the stream is broken off | `Flowing`, `Cut`, `Stopped` |
//! | `Ending` | its end has come, and it was too much work at once | does not come | do not come: the callback has been there already, or stops | `Slowed`, `Cut`, `Stopped` |
//! | `Regained` | a tick has let go bytes that waited within reach | as `Slowed` | as `Slowed` | `Slowed`, `Flowing`, `Cut`, `Stopped` |
//! | `Cut` (response) | it ended before a secret, and its reader was told | is dropped | go on | |
//! | `Stopped` | it must not go on | does not come | do not come | |
//!
//! In the states `Awaited`, `Placed`, `Ending` and `Stopped` callbacks return Pause, so that Envoy
//! sends nothing on, and in `Slowed` Hold ([`BodyWay::flow`]). While the verdict is pending they
//! return one of the two whatever the state.
//!
//! # Nobody waits for ever
//!
//! A sender may wait for an answer in the middle of its body: chunked HTTP/1.1, streams of HTTP/2,
//! upgrades. So what waits for the next bytes waits for a bounded time only ([`BodyWay::let_go`]):
//! `Awaited` and `Placed` end then, from a tick. Two facts about Envoy, which stand at the head of
//! `host`, shape how:
//!
//! - After a pause within reach and a resume from a tick, 1.36.2 loses the piece of a next callback
//!   that continues. So that callback holds instead, and the next tick lets its piece go:
//!   `Regained`, `Slowed`.
//! - A callback may pause inside of a resume, but if trailers wait behind it, their callback has to
//!   stop, too, or the whole body is lost. So it does, and the next tick lets everything go:
//!   `Placed` with `in_resume`, `Slowed`.
//!
//! # Bounded
//!
//! A callback makes no more of its bytes than there is `room` for, and the pipe keeps the rest as
//! it came. The state is `Slowed` until the next tick lets the bytes go that were made. Until then
//! Envoy's watermark slows the sender down. (Inside of a resume no callback may stop, and the state
//! is `Flowing`.) The rest stays in the pipe until the next callback, and never goes from a tick: a
//! callback is the only sign that Envoy has taken the bytes before. With the end of the body there
//! is no next callback, and a rest is a reason to stop.
//!
//! # In steps
//!
//! Nor does a callback do more work than may be done at once: other streams of the worker wait
//! meanwhile. What it leaves stays in the pipe, and ticks go on with it ([`BodyWay::work_on`]), in
//! turn with other streams. Callbacks that come before only add to it. It cannot stay in Envoy:
//!
//! - After Hold the buffer is out of reach from ticks, and goes on as it is.
//! - After Pause it is within reach, but nothing slows the sender down: over the limit Envoy ends
//!   the stream.
//!
//! So what is left waits here, and what was made of it in Envoy:
//!
//! - within reach (`Placed`), if it is [live](BodyWay::kept), the piece was short and little is
//!   there: ticks add what they make, and let it go when nothing is left. Nobody has to send more
//!   for that. A fast sender's pieces are as long as Envoy's limit, and one of those behind a pause
//!   is over it; a body whose length is known goes on by itself.
//! - else behind Hold (`Slowed`), which slows the sender down once Envoy keeps more than its
//!   limit. What ticks make waits here for the next callback, up to [`MADE_AHEAD`]; and while more
//!   than [`FEW`] bytes are left, Envoy keeps what was made before.
//! - at the end (`Ending`) behind Pause: ticks add what they make, and then the stream ends. The
//!   same when trailers come to `Placed`. If they come to what is out of reach, the stream is
//!   broken off.
//!
//! Two states do not let themselves be divided, and a callback works on in them, however long it
//! takes:
//!
//! - The end, when more would become of the rest than Envoy keeps within reach (`keeps`). A resume
//!   lets all of an ended body go at once, so all of it would have to stand in Envoy's buffer, and
//!   one that grows over its limit behind Pause ends the stream.
//! - The middle, while [`MOST_LEFT`] bytes wait: nothing has slowed the sender down yet, and
//!   nothing can but what was made.
//!
//! What all streams of a worker leave is bounded (`node`, `limits.expanded_bytes`), and what goes
//! beyond is a reason to stop.
//!
//! # Where undecided bytes wait
//!
//! A masker holds the last bytes of a chunk back while they may begin a secret. Where they wait is
//! a choice between two faults:
//!
//! - in wasm memory ([`Tail::InMemory`]): the rest of the chunk goes on at once, but if trailers
//!   come next there is no buffer left to put the tail into. Only where no trailers are expected;
//!   should they come nevertheless with a tail held, the stream is broken off, since sending on
//!   would silently cut the body.
//! - behind a pause ([`Tail::InBuffer`]): the decided bytes stay in Envoy's buffer, which can be
//!   edited at trailers too, at the price of delaying the chunk. For gRPC, for announced trailers,
//!   and for all requests: HTTP/2 requests may end in trailers that nobody announced, and whoever
//!   waits for a part of a request is served by the next callback, or after the bounded time. Envoy
//!   refuses to buffer beyond a limit, so after so many bytes the decided ones go on and the tail
//!   waits in memory.
//!
//! Either way undecided bytes are never in a buffer that Envoy may send.

mod outcome;
mod recording;
mod seeing;
mod stage;
mod tail;
mod ticks;
mod whole;

use chaperone_engine::audit::EventKind;
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::masking::{Blocked, DecodingError, Findings, Secrets};

pub(super) use self::outcome::{Again, LetGo, Passed, Piece, Stop};
use self::recording::Recording;
use self::seeing::Seeing;
pub(super) use self::seeing::Whole;
pub(super) use self::stage::HeldBody;
use self::stage::Stage;
pub(super) use self::tail::Tail;
use self::tail::{TRAILERS_EXPECTED_BYTES, TRAILERS_POSSIBLE_BYTES};
use super::flow::Flow;
use super::pipe::{Out, Pipe};
use super::rest::Rest;
use super::room::{Leaves, Room};
use crate::host::{Direction, Host};
use crate::node::MAX_REST;

/// So many times as long as other things, bytes that there was no room for wait for the next ones:
/// their sender may have been slowed down by whoever reads what has gone on.
const REST_WAITS_TIMES: u64 = 20;

/// Most bytes that ticks make before Envoy gives a buffer for them: more than its limit for one, so
/// that it slows the sender down as soon as it has them.
const MADE_AHEAD: usize = 1280 * 1024;
/// While more than so many bytes wait to be worked on, Envoy keeps what was made of those before,
/// so that it slows the sender down.
const FEW: usize = 64 * 1024;
/// Most bytes that a callback leaves for ticks, in the middle of a body.
const MOST_LEFT: usize = 2 * 1024 * 1024;
/// Longest piece after which Envoy may keep a body within reach, where nothing slows its sender
/// down: a sender that is faster sends longer ones.
const SLOW_PIECE: usize = 256 * 1024;
/// And most bytes that become of it and of what Envoy keeps: half of its limit.
const MOST_WITHIN_REACH: usize = 512 * 1024;

/// One direction's body.
#[derive(Debug)]
pub(super) struct BodyWay {
    direction: Direction,
    pipe: Pipe,
    tail: Tail,
    stage: Stage,
    /// Whoever reads it may want each piece at once, or trailers may follow.
    is_live: bool,
    /// How many bytes Envoy can keep of it within reach.
    keeps: usize,
    /// How many it keeps out of reach.
    held_back: usize,
    recording: Recording,
    /// What ticks have made while Envoy's buffer was out of reach.
    made: Rest,
    /// All of it is being masked in its place.
    seeing: Option<Box<Seeing>>,
    /// Since when bytes, or headers, wait for the next bytes.
    since: UnixMillis,
    /// Bytes sent on, after masking.
    pub(super) sent: u64,
    /// The end was seen.
    pub(super) ended: bool,
}

impl BodyWay {
    pub(super) fn new(direction: Direction, pipe: Pipe, tail: Tail, record_bytes: usize) -> Self {
        Self {
            direction,
            pipe,
            tail,
            stage: Stage::Flowing,
            is_live: false,
            keeps: 0,
            held_back: 0,
            recording: Recording::UpTo(record_bytes),
            made: Rest::default(),
            seeing: None,
            since: UnixMillis(0),
            sent: 0,
            ended: false,
        }
    }

    /// The same, of which Envoy can keep so many bytes within reach; `is_live`: whoever reads it
    /// may want each piece at once, or trailers may follow. Streams of events are, gRPC, and
    /// whatever does not say how long it is.
    pub(super) fn kept(self, keeps: usize, is_live: bool) -> Self {
        Self {
            keeps,
            is_live,
            ..self
        }
    }

    /// A body that is not touched and not recorded.
    pub(super) fn untouched(direction: Direction) -> Self {
        Self::new(direction, Pipe::default(), Tail::InMemory, 0)
    }

    /// Whether its bytes may change.
    pub(super) fn changes(&self) -> bool {
        !self.pipe.is_empty()
    }

    /// Whether its content encoding is taken off.
    pub(super) fn decodes(&self) -> bool {
        self.pipe.decodes()
    }

    /// The findings in it.
    pub(super) fn findings(&self) -> Option<&Findings> {
        self.pipe.findings()
    }

    /// The secrets that were masked in it, to be restored.
    pub(super) fn secrets(&self) -> Option<&Secrets> {
        self.pipe.secrets()
    }

    /// Its stream is over. Gives an event that records what had gone on and was not recorded yet: a
    /// body that broke off has some.
    pub(super) fn end_record(&mut self) -> Option<EventKind> {
        let rest = self.pipe.end_record();
        self.recording.chunk(self.direction, rest)
    }

    /// The secret at which it ended.
    pub(super) fn blocked(&self) -> Option<&Blocked> {
        self.pipe.blocked()
    }

    /// The return value of its callbacks once the request has been let through.
    pub(super) fn flow(&self) -> Flow {
        match self.stage {
            Stage::Awaited
            | Stage::Placed { .. }
            | Stage::Ending { .. }
            | Stage::Stopped { .. } => Flow::Pause,
            Stage::Slowed => Flow::Hold,
            Stage::Flowing
            | Stage::Held(_)
            | Stage::Whole
            | Stage::Resumed
            | Stage::Regained
            | Stage::Cut => Flow::Continue,
        }
    }

    /// The return value of its callbacks while a verdict is pending that does not wait for more of
    /// it.
    pub(super) fn flow_before_verdict(&self) -> Flow {
        match self.stage {
            // A tick may have to change what Envoy keeps.
            Stage::Held(_) | Stage::Whole | Stage::Ending { .. } => Flow::Pause,
            _ => Flow::Hold,
        }
    }

    /// The headers of this response wait for the first look at its body.
    pub(super) fn hold_headers(&mut self, now: UnixMillis) {
        self.since = now;
        self.stage = Stage::Awaited;
    }

    /// Whether the headers of this response have not left, so that they can be answered instead.
    pub(super) fn holds_headers(&self) -> bool {
        self.stage.holds_headers()
    }

    /// Another piece of a request's body came while the verdict is pending: Envoy keeps `bytes` of
    /// it now.
    pub(super) fn hold(&mut self, bytes: usize, end: bool) {
        self.ended |= end;
        self.stage = Stage::Held(HeldBody { bytes });
    }

    /// The part of a request's body that Envoy keeps as it came.
    pub(super) const fn held(&self) -> Option<HeldBody> {
        match self.stage {
            Stage::Held(held) => Some(held),
            _ => None,
        }
    }

    /// The request is released outside of its callbacks.
    pub(super) fn resumed(&mut self) {
        self.held_back = 0;
        self.stage = match self.stage {
            Stage::Placed { .. } => Stage::Regained,
            // Nothing comes inside of the resume: the callbacks have been there already.
            Stage::Slowed => Stage::Flowing,
            _ => Stage::Resumed,
        };
    }

    /// Whether it waits for ticks.
    pub(super) fn is_behind(&self) -> bool {
        self.pipe.is_behind()
    }

    /// Whether what has come of it was much more work than reading it.
    pub(super) fn is_dense(&self) -> bool {
        self.pipe.is_dense()
    }

    /// Bytes of it that stay here: there was no room for what becomes of them, or it was too much
    /// work at once, or Envoy gave no buffer for what was made of them.
    pub(super) fn rest(&self) -> usize {
        let seen = self.seeing.as_ref().map_or(0, |seeing| seeing.made());
        let made = self.made.len().saturating_add(seen);
        self.pipe.rest().saturating_add(made)
    }

    /// Whether something of it stays here.
    pub(super) fn has_rest(&self) -> bool {
        self.pipe.has_rest() || !self.made.is_empty()
    }

    /// A body callback.
    pub(super) fn data(&mut self, host: &dyn Host, piece: Piece, room: &mut Room<'_>) -> Passed {
        let Piece { size, end, waiting } = piece;
        self.ended |= end;
        let before = self.stage;
        if before == Stage::Cut {
            let last = self.made.take_all();
            host.replace_body(self.direction, size, &last);
            self.sent = self.sent.saturating_add(last.len() as u64);
            return Passed::ON;
        }
        let slowed = waiting || matches!(before, Stage::Slowed | Stage::Regained);
        self.stage = if slowed {
            Stage::Slowed
        } else {
            Stage::Flowing
        };
        let again = (slowed && !waiting).then_some(Again::Soon);
        if self.pipe.is_empty() {
            self.sent = self.sent.saturating_add(size as u64);
            return Passed {
                again,
                ..Passed::ON
            };
        }
        let buffer = host.body(self.direction, size);
        if buffer.len() != size {
            return self.stopped(before, Stop::Lost);
        }
        let placed = before.placed().min(buffer.len());
        room.leave(match end {
            true => Leaves::Becoming(self.room_at_end(placed)),
            false => Leaves::Most(MOST_LEFT),
        });
        let (done, new) = buffer.split_at_checked(placed).unwrap_or((&[], &buffer));
        let mut out = match self.through(new, end, room) {
            Ok(out) => out,
            Err(error) => return self.stopped(before, Stop::Unreadable(error)),
        };
        let has_rest = self.pipe.has_rest();
        let is_behind = self.pipe.is_behind();
        if has_rest && (end && !is_behind || self.pipe.encoded() > MAX_REST) {
            return self.stopped(before, Stop::Expanded);
        }
        let blocked = self.is_blocked();
        if blocked == Some(Stop::Blocked) {
            let event = self.recording.chunk(self.direction, out.masked);
            return Passed {
                event,
                ..self.stopped(before, Stop::Blocked)
            };
        }
        if !self.made.is_empty() {
            let mut sent = self.made.take_all();
            sent.extend_from_slice(&out.sent);
            out.sent = sent.into();
            out.unchanged = false;
        }
        // The common case, clean bytes that need not wait, copies nothing but what is recorded.
        if !out.unchanged {
            if done.is_empty() {
                host.replace_body(self.direction, size, &out.sent);
            } else {
                // There is no replacing in the middle: the front goes back in with the rest.
                host.replace_body(self.direction, size, &[done, &out.sent].concat());
            }
        }
        self.sent = self.sent.saturating_add(out.sent.len() as u64);
        let decided = placed.saturating_add(out.sent.len());
        let mut again = again;
        if blocked.is_some() {
            self.pipe.drop_rest();
            self.stage = Stage::Cut;
        } else if has_rest {
            self.since = host.steady();
            if end {
                self.stage = Stage::Ending {
                    with_headers: before.holds_headers(),
                    room: self
                        .keeps
                        .saturating_sub(decided.saturating_add(self.held_back)),
                };
            } else if is_behind && self.may_stay(before, piece, decided) {
                self.stage = Stage::Placed {
                    bytes: decided,
                    with_headers: before.holds_headers(),
                    in_resume: before == Stage::Resumed,
                };
            } else if before != Stage::Resumed {
                // Inside of a resume it must not stop; what has gone on slows the sender down then.
                self.stage = Stage::Slowed;
            }
            again = again.or(Some(Again::Soon));
        } else if !end && !slowed && self.pipe.held() > 0 && self.may_wait(before, decided) {
            self.stage = Stage::Placed {
                bytes: decided,
                with_headers: before.holds_headers(),
                in_resume: before == Stage::Resumed,
            };
            self.since = host.steady();
            again = Some(Again::Late);
        }
        if self.stage == Stage::Slowed {
            self.held_back = self.held_back.saturating_add(decided);
        }
        Passed {
            stop: blocked,
            event: self.recording.chunk(self.direction, out.masked),
            again,
        }
    }

    /// How many bytes more Envoy can keep within reach once the body has ended, if it keeps
    /// `placed` already. Nothing slows a sender down then, and more is a reason to end the stream.
    fn room_at_end(&self, placed: usize) -> usize {
        let kept = placed.saturating_add(self.held_back);
        let kept = kept.saturating_add(self.made.len());
        self.keeps.saturating_sub(kept)
    }

    /// Whether Envoy may keep a body within reach of ticks while they work on what was left of it.
    fn may_stay(&self, before: Stage, piece: Piece, decided: usize) -> bool {
        let becomes = decided.saturating_add(self.pipe.will_become());
        match before {
            _ if !self.is_live || becomes > MOST_WITHIN_REACH => false,
            // Bytes are in the buffer already that must not be seen again.
            Stage::Slowed => false,
            _ if piece.waiting => false,
            // Trailers may be waiting right behind, and all of it is in Envoy's buffer anyway.
            Stage::Resumed => decided <= TRAILERS_EXPECTED_BYTES,
            _ if piece.size > SLOW_PIECE => false,
            _ => {
                let most = match self.tail {
                    Tail::InBuffer { max } if !before.holds_headers() => max,
                    _ => TRAILERS_POSSIBLE_BYTES,
                };
                decided <= most
            }
        }
    }

    /// Whether so many `decided` bytes may wait in Envoy's buffer for undecided ones.
    fn may_wait(&self, before: Stage, decided: usize) -> bool {
        match self.tail {
            // Trailers may be waiting right behind, and all of it is in Envoy's buffer anyway.
            Tail::InBuffer { .. } if before == Stage::Resumed => decided <= TRAILERS_EXPECTED_BYTES,
            _ if before.holds_headers() => decided <= TRAILERS_POSSIBLE_BYTES,
            Tail::InBuffer { max } => decided <= max,
            Tail::InMemory => false,
        }
    }

    /// The trailers callback: the body is over, and undecided bytes must get into the buffer.
    pub(super) fn trailers(&mut self, host: &dyn Host) -> Passed {
        self.ended = true;
        let before = self.stage;
        if matches!(before, Stage::Cut | Stage::Whole) {
            return Passed::ON;
        }
        self.stage = Stage::Flowing;
        if self.pipe.is_empty() {
            return Passed::ON;
        }
        if self.has_rest() {
            let Stage::Placed {
                with_headers,
                bytes,
                ..
            } = before
            else {
                return self.stopped(before, Stop::Expanded);
            };
            self.stage = Stage::Ending {
                with_headers,
                room: self.keeps.saturating_sub(bytes),
            };
            return Passed {
                again: Some(Again::Soon),
                ..Passed::ON
            };
        }
        let held = self.pipe.held();
        let out = match self.pipe.finish() {
            Ok(out) => out,
            Err(error) => return self.stopped(before, Stop::Unreadable(error)),
        };
        let blocked = self.is_blocked();
        if blocked == Some(Stop::Blocked) {
            return self.stopped(before, Stop::Blocked);
        }
        match before {
            Stage::Placed { bytes, .. } => host.append_body(self.direction, bytes, &out.sent),
            _ if held == 0 && out.sent.is_empty() => {}
            _ => return self.stopped(before, Stop::Lost),
        }
        let mut again = None;
        if blocked.is_some() {
            self.stage = Stage::Cut;
        } else if before.is_in_resume() {
            self.stage = Stage::Slowed;
            again = Some(Again::Soon);
        }
        self.sent = self.sent.saturating_add(out.sent.len() as u64);
        Passed {
            stop: blocked,
            event: self.recording.chunk(self.direction, out.masked),
            again,
        }
    }

    fn stopped(&mut self, before: Stage, stop: Stop) -> Passed {
        self.stage = Stage::Stopped {
            before_headers: before.holds_headers(),
        };
        Passed {
            stop: Some(stop),
            ..Passed::ON
        }
    }

    fn through<'a>(
        &mut self,
        bytes: &'a [u8],
        end: bool,
        room: &mut Room<'_>,
    ) -> Result<Out<'a>, DecodingError> {
        let mut out = self.pipe.push(bytes, self.recording.room(), room)?;
        if end && !self.pipe.has_rest() {
            out.append(self.pipe.finish()?);
        }
        Ok(out)
    }

    /// [`Stop::Blocked`] or [`Stop::Told`] if it ended before a secret.
    fn is_blocked(&self) -> Option<Stop> {
        let told = self.pipe.blocked()?.told;
        Some(match self.direction {
            Direction::Response if told => Stop::Told,
            // Upstream is never told: half a request is not to be acted on.
            _ => Stop::Blocked,
        })
    }
}
