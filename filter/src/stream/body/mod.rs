//! One direction's body: masked, counted and recorded as it streams.
//!
//! # States
//!
//! | state | when | a piece of the body | trailers | next |
//! |---|---|---|---|---|
//! | `Flowing` | Envoy keeps nothing of it for us | is masked and goes on; Envoy keeps it if its end is undecided | go on; with an end undecided the stream is broken off | `Awaited`, `Held`, `Resumed`, `Placed`, `Slowed`, `Cut`, `Stopped` |
//! | `Awaited` (response) | the headers wait for the first look at the body | as `Flowing`; the headers go on with it, or wait with it | as `Flowing` | `Flowing`, `Placed`, `Slowed`, `Cut`, `Stopped` |
//! | `Placed` | Envoy keeps decided bytes, masked, since others behind them are undecided | only the new bytes are masked | the undecided bytes are put behind the decided ones, and all goes on | `Flowing`, `Placed`, `Slowed`, `Regained`, `Cut`, `Stopped` |
//! | `Held` (request) | the verdict waits for the whole body: Envoy keeps it as it came | is kept; with the last one, or when no more may be kept, all are masked as one piece | all kept bytes are masked in their place | `Whole`, `Placed`, `Slowed`, `Flowing`, `Stopped` |
//! | `Whole` (request) | all of it was masked in its place, in Envoy's buffer | does not come | go on | `Resumed` |
//! | `Resumed` (request) | the request was released outside of its callbacks: all that came meanwhile comes in one | as `Flowing` | as `Flowing` | `Flowing`, `Placed`, `Cut`, `Stopped` |
//! | `Slowed` | Envoy keeps decided bytes out of reach: a verdict is pending that does not wait for them, there was no room for what follows them, or a tick is to let them go for another reason | is masked; Envoy keeps it | go on if nothing is undecided, else the stream is broken off | `Flowing`, `Cut`, `Stopped` |
//! | `Regained` | a tick has let go bytes that waited within reach | as `Slowed` | as `Slowed` | `Slowed`, `Flowing`, `Cut`, `Stopped` |
//! | `Cut` (response) | it ended before a secret, and its reader was told | is dropped | go on | |
//! | `Stopped` | it must not go on | does not come | do not come | |
//!
//! In the states `Awaited`, `Placed` and `Stopped` callbacks return Pause, so that Envoy sends
//! nothing on, and in `Slowed` Hold ([`BodyWay::flow`]). While the verdict is pending they return
//! one of the two whatever the state.
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

mod recording;
mod stage;
mod tail;

use chaperone_engine::audit::EventKind;
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::masking::{Blocked, DecodingError, Findings, Secrets};

use self::recording::Recording;
pub(super) use self::stage::HeldBody;
use self::stage::Stage;
pub(super) use self::tail::Tail;
use self::tail::{TRAILERS_EXPECTED_BYTES, TRAILERS_POSSIBLE_BYTES};
use super::flow::Flow;
use super::pipe::{Out, Pipe};
use super::room::Room;
use crate::host::{Direction, Host};
use crate::node::MAX_REST;

/// So many times as long as other things, bytes that there was no room for wait for the next ones:
/// their sender may have been slowed down by whoever reads what has gone on.
const REST_WAITS_TIMES: u64 = 20;

/// One direction's body.
#[derive(Debug)]
pub(super) struct BodyWay {
    direction: Direction,
    pipe: Pipe,
    tail: Tail,
    stage: Stage,
    recording: Recording,
    /// Since when bytes, or headers, wait for the next bytes.
    since: UnixMillis,
    /// Bytes sent on, after masking.
    pub(super) sent: u64,
    /// The end was seen.
    pub(super) ended: bool,
}

/// A body callback.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    /// Bytes in the buffer.
    pub(super) size: usize,
    /// They are the last ones.
    pub(super) end: bool,
    /// The verdict is pending, and does not wait for them.
    pub(super) waiting: bool,
}

/// The outcome of one callback for a body.
#[derive(Debug)]
pub(super) struct Passed {
    /// Why the body must not go on as it is.
    pub(super) stop: Option<Stop>,
    /// For the record, if masking applies and there is room.
    pub(super) event: Option<EventKind>,
    /// When [`BodyWay::let_go`] is to be asked.
    pub(super) again: Option<Again>,
}

/// When something that waits is to be looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// In the next tick.
    Soon,
    /// When it has waited for as long as it may.
    Late,
}

/// What becomes of bytes that wait, once time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LetGo {
    /// Nothing waits.
    Nothing,
    /// Not before then.
    At(UnixMillis),
    /// The stream is to be resumed in this direction now.
    Now,
    /// The body must not go on.
    Stop(Stop),
}

/// Why a body must not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The host did not give the bytes that it said there are, and unseen bytes are unmasked bytes;
    /// or trailers came while undecided bytes had no buffer to go to.
    Lost,
    /// Its content encoding cannot be read on.
    Unreadable(DecodingError),
    /// It has a secret that policy blocks. Bytes that came together with the secret do not go on
    /// either.
    Blocked,
    /// The same in a response whose reader has been told in the body's own format: that still goes
    /// on, and the stream is to end once it has arrived.
    Told,
    /// It has to be seen whole, and decoded it is longer than may be kept.
    TooLarge,
    /// More would become of it at once than there is room for.
    Expanded,
}

impl Passed {
    const ON: Self = Self {
        stop: None,
        event: None,
        again: None,
    };
}

impl BodyWay {
    pub(super) fn new(direction: Direction, pipe: Pipe, tail: Tail, record_bytes: usize) -> Self {
        Self {
            direction,
            pipe,
            tail,
            stage: Stage::Flowing,
            recording: Recording::UpTo(record_bytes),
            since: UnixMillis(0),
            sent: 0,
            ended: false,
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

    /// The secret at which it ended.
    pub(super) fn blocked(&self) -> Option<&Blocked> {
        self.pipe.blocked()
    }

    /// The return value of its callbacks once the request has been let through.
    pub(super) fn flow(&self) -> Flow {
        match self.stage {
            Stage::Awaited | Stage::Placed { .. } | Stage::Stopped { .. } => Flow::Pause,
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
            Stage::Held(_) | Stage::Whole => Flow::Pause,
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
        self.stage = match self.stage {
            Stage::Placed { .. } => Stage::Regained,
            // Nothing comes inside of the resume: the callbacks have been there already.
            Stage::Slowed => Stage::Flowing,
            _ => Stage::Resumed,
        };
    }

    /// Time passed: whether what waits is to go on now. `most`: milliseconds that it may wait for
    /// the next bytes.
    pub(super) fn let_go(&mut self, now: UnixMillis, most: u64) -> LetGo {
        let after = match self.stage {
            Stage::Slowed => {
                self.stage = Stage::Flowing;
                return LetGo::Now;
            }
            Stage::Awaited => Stage::Flowing,
            Stage::Placed { .. } => Stage::Regained,
            Stage::Flowing | Stage::Resumed | Stage::Regained if self.pipe.has_rest() => {
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

    /// A tick masks the part of a request's body that Envoy keeps as it came, in its place; more of
    /// it will come.
    pub(super) fn place(&mut self, host: &dyn Host, room: &mut Room<'_>) -> Passed {
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

    /// Bytes of it that stay here as they came, since there was no room for what becomes of them.
    pub(super) fn rest(&self) -> usize {
        self.pipe.rest()
    }

    /// Whether something of it stays here.
    pub(super) fn has_rest(&self) -> bool {
        self.pipe.has_rest()
    }

    /// A body callback.
    pub(super) fn data(&mut self, host: &dyn Host, piece: Piece, room: &mut Room<'_>) -> Passed {
        let Piece { size, end, waiting } = piece;
        self.ended |= end;
        let before = self.stage;
        if before == Stage::Cut {
            host.replace_body(self.direction, size, &[]);
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
        let (done, new) = buffer.split_at_checked(placed).unwrap_or((&[], &buffer));
        let out = match self.through(new, end, room) {
            Ok(out) => out,
            Err(error) => return self.stopped(before, Stop::Unreadable(error)),
        };
        let has_rest = self.pipe.has_rest();
        if has_rest && (end || self.pipe.rest() > MAX_REST) {
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
            self.stage = Stage::Cut;
        } else if has_rest {
            self.since = host.steady();
            // Inside of a resume it must not stop; what has gone on slows the sender down then.
            if before != Stage::Resumed {
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
        Passed {
            stop: blocked,
            event: self.recording.chunk(self.direction, out.masked),
            again,
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
        if self.pipe.has_rest() {
            return self.stopped(before, Stop::Expanded);
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

    /// Masks a request's whole body, which Envoy keeps, in its place; up to `limit` bytes once it
    /// is decoded. Gives its bytes, and the event that records them.
    ///
    /// # Errors
    /// It must not go on.
    pub(super) fn whole(
        &mut self,
        host: &dyn Host,
        limit: usize,
    ) -> Result<(Vec<u8>, Option<EventKind>), Stop> {
        let size = self.held().map_or(0, |held| held.bytes);
        self.mask_in_place(host, size, limit)
    }

    fn mask_in_place(
        &mut self,
        host: &dyn Host,
        size: usize,
        limit: usize,
    ) -> Result<(Vec<u8>, Option<EventKind>), Stop> {
        self.ended = true;
        self.stage = Stage::Whole;
        // Without a byte there was no callback that stopped, and Envoy has no buffer that may be
        // read.
        let buffer = if size == 0 {
            Vec::new()
        } else {
            host.body(self.direction, size)
        };
        self.sent = buffer.len() as u64;
        if self.pipe.is_empty() {
            return Ok((buffer, None));
        }
        if buffer.len() != size {
            return Err(Stop::Lost);
        }
        let decodes = self.decodes();
        let mut room = Room::most(limit);
        let out = self.through(&buffer, true, &mut room);
        let out = out.map_err(Stop::Unreadable)?;
        if let Some(stop) = self.is_blocked() {
            return Err(stop);
        }
        if self.pipe.has_rest() || (decodes && out.sent.len() > limit) {
            return Err(Stop::TooLarge);
        }
        let event = self.recording.chunk(self.direction, out.masked);
        self.sent = out.sent.len() as u64;
        if out.unchanged || *out.sent == *buffer {
            return Ok((buffer, event));
        }
        let masked = out.sent.into_owned();
        if size == 0 {
            host.append_body(self.direction, 0, &masked);
        } else {
            host.replace_body(self.direction, size, &masked);
        }
        Ok((masked, event))
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
