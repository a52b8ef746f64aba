//! One direction's body: masked, counted and recorded as it streams.
//!
//! # States
//!
//! | state | when | a piece of the body | trailers | next |
//! |---|---|---|---|---|
//! | `Flowing` | Envoy keeps nothing of it for us | is masked and goes on; Envoy keeps it if its end is undecided | go on; with an end undecided the stream is broken off | `Placed`, `Cut`, `Stopped` |
//! | `Awaited` (response) | the headers wait for the first look at the body | as `Flowing`; the headers go on with it, or wait with it | as `Flowing` | `Flowing`, `Placed`, `Cut`, `Stopped` |
//! | `Placed` | Envoy keeps decided bytes, masked, since others behind them are undecided | only the new bytes are masked | the undecided bytes are put behind the decided ones, and all goes on | `Flowing`, `Placed`, `Cut`, `Stopped` |
//! | `Held` (request) | no verdict yet, or none that a callback has seen: Envoy keeps the body as it came | is kept; after the verdict all kept bytes are masked as one piece | are kept; after the verdict all kept bytes are masked in their place | `Whole`, `Resumed`, and as `Flowing` |
//! | `Whole` (request) | all of it was masked in its place, in Envoy's buffer | does not come | go on | `Resumed` |
//! | `Resumed` (request) | the request was released outside of its callbacks | as `Flowing`, but all that is decided goes on | as `Flowing` | `Flowing`, `Cut`, `Stopped` |
//! | `Cut` (response) | it ended before a secret, and its reader was told | is dropped | go on | |
//! | `Stopped` | it must not go on | does not come | do not come | |
//!
//! In the states `Awaited`, `Placed` and `Stopped` callbacks return Pause, so that Envoy sends nothing on
//! ([`BodyWay::flow`]). While the verdict is pending they do so whatever the state.
//!
//! # Where undecided bytes wait
//!
//! A masker holds the last bytes of a chunk back while they may begin a secret. Where they wait is a
//! choice between two faults:
//!
//! - in wasm memory ([`Tail::InMemory`]): the rest of the chunk goes on at once, but if trailers come
//!   next there is no buffer left to put the tail into. Only where no trailers are expected; should
//!   they come nevertheless with a tail held, the stream is broken off, since sending on would
//!   silently cut the body.
//! - behind a pause ([`Tail::InBuffer`]): the decided bytes stay in Envoy's buffer, which can be edited
//!   at trailers too, at the price of delaying the chunk. For gRPC, for announced trailers, and for all
//!   requests: HTTP/2 requests may end in trailers that nobody announced, and nobody waits for a part of
//!   a request as people wait for a part of an answer. Envoy refuses to buffer beyond a limit, so
//!   after so many bytes the decided ones go on and the tail waits in memory.
//!
//! Either way undecided bytes are never in a buffer that Envoy may send.

use chaperone_engine::audit::{Body, EventKind};
use chaperone_engine::masking::{Blocked, DecodingError, Findings, MaskedBody, Secrets};

use super::flow::Flow;
use super::pipe::{Out, Pipe};
use crate::host::{Direction, Host};

/// For a body that will end in trailers: half of Envoy's default `per_connection_buffer_limit_bytes`.
const TRAILERS_EXPECTED: Tail = Tail::InBuffer { max: 512 * 1024 };
/// For a body that could.
const TRAILERS_POSSIBLE: Tail = Tail::InBuffer {
    max: TRAILERS_POSSIBLE_BYTES,
};
/// Also the most that waits together with the headers of a response.
const TRAILERS_POSSIBLE_BYTES: usize = 64 * 1024;

/// Where undecided bytes wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// No trailers are expected.
    InMemory,
    /// Trailers may come. At most so many bytes wait with the tail.
    InBuffer { max: usize },
}

impl Tail {
    pub(super) const fn of(direction: Direction, announces_trailers: bool) -> Self {
        match direction {
            _ if announces_trailers => TRAILERS_EXPECTED,
            Direction::Request => TRAILERS_POSSIBLE,
            Direction::Response => Self::InMemory,
        }
    }
}

/// Where a body stands; see the module's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Flowing,
    Awaited,
    Placed {
        /// Masked bytes at the front of Envoy's buffer.
        bytes: usize,
        /// The response's headers wait with them.
        with_headers: bool,
    },
    Held(HeldBody),
    Whole,
    /// The next body callback comes from within a resume of headers and body together. If it paused and
    /// trailers were waiting too, Envoy would lose the whole body (seen on 1.36 and 1.40).
    Resumed,
    Cut,
    Stopped {
        /// The response's headers have not left, so that they can be answered instead.
        before_headers: bool,
    },
}

impl Stage {
    /// The response's headers wait for the body.
    const fn holds_headers(self) -> bool {
        matches!(
            self,
            Self::Awaited
                | Self::Placed {
                    with_headers: true,
                    ..
                }
                | Self::Stopped {
                    before_headers: true
                }
        )
    }

    /// Bytes at the front of Envoy's buffer that are masked already.
    const fn placed(self) -> usize {
        match self {
            Self::Placed { bytes, .. } => bytes,
            _ => 0,
        }
    }
}

/// The body of a request that Envoy keeps for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeldBody {
    /// How much there is.
    pub(super) bytes: usize,
    /// The body has ended. If it has not, its last callback has paused it, and Envoy would lose the next piece
    /// after a resume from outside.
    pub(super) is_complete: bool,
}

/// One direction's body.
#[derive(Debug)]
pub(super) struct BodyWay {
    direction: Direction,
    pipe: Pipe,
    tail: Tail,
    stage: Stage,
    recording: Recording,
    /// Bytes sent on, after masking.
    pub(super) sent: u64,
    /// The end was seen.
    pub(super) ended: bool,
}

/// The outcome of one callback for a body.
#[derive(Debug)]
pub(super) struct Passed {
    /// Why the body must not go on as it is.
    pub(super) stop: Option<Stop>,
    /// For the record, if masking applies and there is room.
    pub(super) event: Option<EventKind>,
}

/// Why a body must not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The host did not give the bytes that it said there are, and unseen bytes are unmasked bytes; or trailers
    /// came while undecided bytes had no buffer to go to.
    Lost,
    /// Its content encoding cannot be read on.
    Unreadable(DecodingError),
    /// It has a secret that policy blocks. Bytes that came together with the secret do not go on either.
    Blocked,
    /// The same in a response whose reader has been told in the body's own format: that still goes on, and the
    /// stream is to end once it has arrived.
    Told,
    /// It has to be seen whole, and decoded it is longer than may be kept.
    TooLarge,
}

impl Passed {
    const ON: Self = Self {
        stop: None,
        event: None,
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
        self.pipe.decoder.is_some()
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
            Stage::Flowing | Stage::Held(_) | Stage::Whole | Stage::Resumed | Stage::Cut => {
                Flow::Continue
            }
        }
    }

    /// The headers of this response wait for the first look at its body.
    pub(super) fn hold_headers(&mut self) {
        self.stage = Stage::Awaited;
    }

    /// Whether the headers of this response have not left, so that they can be answered instead.
    pub(super) fn holds_headers(&self) -> bool {
        self.stage.holds_headers()
    }

    /// Another piece of a request's body came while the verdict is pending: Envoy keeps `bytes` of it now.
    pub(super) fn hold(&mut self, bytes: usize, end: bool) {
        self.ended |= end;
        self.stage = Stage::Held(HeldBody {
            bytes,
            is_complete: end,
        });
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
        self.stage = Stage::Resumed;
    }

    /// A body callback: `size` bytes are in the buffer.
    pub(super) fn data(&mut self, host: &dyn Host, size: usize, end: bool) -> Passed {
        self.ended |= end;
        let before = self.stage;
        if before == Stage::Cut {
            host.replace_body(self.direction, size, &[]);
            return Passed::ON;
        }
        self.stage = Stage::Flowing;
        if self.pipe.is_empty() {
            self.sent = self.sent.saturating_add(size as u64);
            return Passed::ON;
        }
        let buffer = host.body(self.direction, size);
        if buffer.len() != size {
            return self.stopped(before, Stop::Lost);
        }
        let placed = before.placed().min(buffer.len());
        let (done, new) = buffer.split_at_checked(placed).unwrap_or((&[], &buffer));
        let out = match self.through(new, end) {
            Ok(out) => out,
            Err(error) => return self.stopped(before, Stop::Unreadable(error)),
        };
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
        let waiting = placed.saturating_add(out.sent.len());
        if blocked.is_some() {
            self.stage = Stage::Cut;
        } else if !end && self.pipe.held() > 0 && self.may_wait(before, waiting) {
            self.stage = Stage::Placed {
                bytes: waiting,
                with_headers: before.holds_headers(),
            };
        }
        Passed {
            stop: blocked,
            event: self.recording.chunk(self.direction, out.masked),
        }
    }

    /// Whether `waiting` decided bytes may wait in Envoy's buffer for undecided ones.
    fn may_wait(&self, before: Stage, waiting: usize) -> bool {
        match (before, self.tail) {
            (Stage::Resumed, _) => false,
            _ if before.holds_headers() => waiting <= TRAILERS_POSSIBLE_BYTES,
            (_, Tail::InBuffer { max }) => waiting <= max,
            (_, Tail::InMemory) => false,
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
        if let Stage::Held(held) = before {
            // The verdict fell outside, after the last piece of the body: no callback has masked what Envoy
            // keeps, and Continue would send it.
            return match self.mask_in_place(host, held.bytes, usize::MAX) {
                Ok((_, event)) => Passed { stop: None, event },
                Err(stop) => self.stopped(before, stop),
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
        if blocked.is_some() {
            self.stage = Stage::Cut;
        }
        self.sent = self.sent.saturating_add(out.sent.len() as u64);
        Passed {
            stop: blocked,
            event: self.recording.chunk(self.direction, out.masked),
        }
    }

    /// Masks a request's whole body, which Envoy keeps, in its place; up to `limit` bytes once it is decoded.
    /// Gives its bytes, and the event that records them.
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
        let buffer = host.body(self.direction, size);
        self.sent = buffer.len() as u64;
        if self.pipe.is_empty() {
            return Ok((buffer, None));
        }
        if buffer.len() != size {
            return Err(Stop::Lost);
        }
        let decodes = self.decodes();
        let out = self.through(&buffer, true).map_err(Stop::Unreadable)?;
        if let Some(stop) = self.is_blocked() {
            return Err(stop);
        }
        if decodes && out.sent.len() > limit {
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
            event: None,
        }
    }

    fn through<'a>(&mut self, bytes: &'a [u8], end: bool) -> Result<Out<'a>, DecodingError> {
        let mut out = self.pipe.push(bytes, self.recording.has_room())?;
        if end {
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

/// How much of a body may still be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recording {
    /// So many bytes.
    UpTo(usize),
    /// The record says that it was cut.
    Truncated,
}

impl Recording {
    const fn has_room(self) -> bool {
        matches!(self, Self::UpTo(1..))
    }

    /// The event that records a piece, and less room for the next.
    fn chunk(&mut self, direction: Direction, mut body: MaskedBody) -> Option<EventKind> {
        let Self::UpTo(left) = *self else {
            return None;
        };
        if body.is_empty() {
            return None;
        }
        let truncated = body.len() > left;
        body.truncate(left);
        *self = if truncated {
            Self::Truncated
        } else {
            Self::UpTo(left.saturating_sub(body.len()))
        };
        Some(EventKind::Chunk {
            direction,
            body: Body::new(&body),
            truncated,
        })
    }
}
