//! One direction's body: masked, counted and recorded as it streams.
//!
//! # Where a tail that may be a secret waits
//!
//! A masker holds the last bytes of a chunk back while they may begin a secret. Where they wait is a
//! choice between two faults:
//!
//! - in wasm memory ([`Tail::InMemory`]): the rest of the chunk goes on at once, but if trailers come
//!   next there is no buffer left to put the tail into. Only where no trailers are expected; should
//!   they come nevertheless with a tail held, the stream is broken off, since sending on would
//!   silently cut the body.
//! - behind a pause ([`Tail::InBuffer`]): what is decided stays in Envoy's buffer, which can be edited
//!   at trailers too, at the price of delaying the chunk. For gRPC, for announced trailers, and for all
//!   requests: HTTP/2 requests may end in trailers that nobody announced, and nobody waits for a part of
//!   a request as people wait for a part of an answer. Envoy refuses what it buffers beyond a limit, so
//!   after so many bytes the decided ones go on and the tail waits in memory.
//!
//! Either way undecided bytes are never in a buffer that Envoy may send.

use chaperone_engine::audit::{Body, EventKind};
use chaperone_engine::masking::{DecodingError, MaskedBody};

use super::Flow;
use super::pipe::{Out, Pipe};
use crate::host::{Direction, Host};

/// For a body that will end in trailers: half of Envoy's default `per_connection_buffer_limit_bytes`.
const TRAILERS_EXPECTED: Tail = Tail::InBuffer { max: 512 * 1024 };
/// For a body that could.
const TRAILERS_POSSIBLE: Tail = Tail::InBuffer { max: 64 * 1024 };

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

/// One direction's body.
#[derive(Debug)]
pub(super) struct BodyWay {
    direction: Direction,
    pipe: Pipe,
    tail: Tail,
    /// Masked bytes at the front of Envoy's buffer, which is paused while this is `Some`.
    placed: Option<usize>,
    /// The next body callback comes from within a resume of headers and body together. If it paused and
    /// trailers were waiting too, Envoy would lose the whole body (seen on 1.36 and 1.40).
    pub(super) resumed: bool,
    /// The headers wait for the first look at the body, and go on with its first bytes once these are decided.
    pub(super) holds_headers: bool,
    /// The whole body was masked in Envoy's buffer.
    pub(super) is_whole: bool,
    /// The body ended before a secret, and its reader was told so; what still comes is dropped.
    is_cut: bool,
    /// Bytes that may still be recorded.
    record_left: usize,
    record_truncated: bool,
    /// Bytes sent on, after masking.
    pub(super) sent: u64,
    /// The end was seen.
    pub(super) ended: bool,
}

/// What one callback did to a body.
#[derive(Debug)]
pub(super) struct Passed {
    pub(super) flow: Flow,
    /// Why the body must not go on as it is.
    pub(super) stop: Option<Stop>,
    /// For the record, if masking applies and there is room.
    pub(super) event: Option<EventKind>,
}

/// Why a body must not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The host did not give the bytes that it said there are, and what was not seen was not masked; or trailers
    /// came while undecided bytes had no buffer to go to.
    Lost,
    /// Its content encoding cannot be read on.
    Unreadable(DecodingError),
    /// It has a secret that policy blocks. `told`: its reader has been told in the body's own format, and the stream
    /// is to end once that has arrived.
    Blocked { told: bool },
    /// Decoded, it is longer than what is kept of a body that has to be seen whole.
    TooLarge,
}

impl Passed {
    const fn on() -> Self {
        Self {
            flow: Flow::Continue,
            stop: None,
            event: None,
        }
    }

    const fn stopped(stop: Stop) -> Self {
        Self {
            flow: Flow::Pause,
            stop: Some(stop),
            event: None,
        }
    }
}

impl BodyWay {
    pub(super) fn new(direction: Direction, pipe: Pipe, tail: Tail, record_bytes: usize) -> Self {
        Self {
            direction,
            pipe,
            tail,
            placed: None,
            resumed: false,
            holds_headers: false,
            is_whole: false,
            is_cut: false,
            record_left: record_bytes,
            record_truncated: false,
            sent: 0,
            ended: false,
        }
    }

    /// Whether its bytes may change.
    pub(super) fn changes(&self) -> bool {
        !self.pipe.is_empty()
    }

    pub(super) fn pipe(&self) -> &Pipe {
        &self.pipe
    }

    /// A body callback: `size` bytes are in the buffer, of which the first `placed` are masked.
    pub(super) fn data(&mut self, host: &dyn Host, size: usize, end: bool) -> Passed {
        self.ended |= end;
        let resumed = std::mem::take(&mut self.resumed);
        if self.is_cut {
            host.replace_body(self.direction, size, &[]);
            return Passed::on();
        }
        if self.pipe.is_empty() {
            self.sent = self.sent.saturating_add(size as u64);
            return Passed::on();
        }
        let buffer = host.body(self.direction, size);
        if buffer.len() != size {
            return Passed::stopped(Stop::Lost);
        }
        let placed = self.placed.take().unwrap_or(0).min(buffer.len());
        let (done, new) = buffer.split_at_checked(placed).unwrap_or((&[], &buffer));
        let out = match self.through(new, end) {
            Ok(out) => out,
            Err(error) => return Passed::stopped(Stop::Unreadable(error)),
        };
        let stop = self.blocked();
        if stop == Some(Stop::Blocked { told: false }) {
            // Nothing of what was given together with the secret goes on either.
            return Passed {
                event: self.chunk_event(out.masked),
                ..Passed::stopped(Stop::Blocked { told: false })
            };
        }
        self.is_cut = stop.is_some();
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
        let tail = if self.holds_headers {
            TRAILERS_POSSIBLE
        } else {
            self.tail
        };
        let flow = match tail {
            Tail::InBuffer { max }
                if !end && !resumed && self.pipe.held() > 0 && waiting <= max =>
            {
                self.placed = Some(waiting);
                Flow::Pause
            }
            _ => Flow::Continue,
        };
        self.holds_headers &= flow == Flow::Pause;
        Passed {
            flow,
            stop,
            event: self.chunk_event(out.masked),
        }
    }

    /// The trailers callback: the body is over, and what is held must get into the buffer.
    pub(super) fn trailers(&mut self, host: &dyn Host) -> Passed {
        self.ended = true;
        if self.pipe.is_empty() || self.is_cut {
            return Passed::on();
        }
        let held = self.pipe.held();
        let out = match self.pipe.finish() {
            Ok(out) => out,
            Err(error) => return Passed::stopped(Stop::Unreadable(error)),
        };
        let stop = self.blocked();
        if stop == Some(Stop::Blocked { told: false }) {
            return Passed::stopped(Stop::Blocked { told: false });
        }
        match self.placed.take() {
            Some(placed) => host.append_body(self.direction, placed, &out.sent),
            None if held == 0 && out.sent.is_empty() => {}
            None => return Passed::stopped(Stop::Lost),
        }
        self.is_cut = stop.is_some();
        self.holds_headers = false;
        self.sent = self.sent.saturating_add(out.sent.len() as u64);
        Passed {
            stop,
            event: self.chunk_event(out.masked),
            ..Passed::on()
        }
    }

    /// A whole body that is held in Envoy's buffer: masked in place, up to `limit` bytes. For requests that wait.
    /// Gives its bytes, and what there is to record of them.
    ///
    /// # Errors
    /// It must not go on.
    pub(super) fn whole(
        &mut self,
        host: &dyn Host,
        size: usize,
        limit: usize,
    ) -> Result<(Vec<u8>, Option<EventKind>), Stop> {
        self.ended = true;
        self.is_whole = true;
        let buffer = host.body(self.direction, size);
        self.sent = buffer.len() as u64;
        if self.pipe.is_empty() {
            return Ok((buffer, None));
        }
        if buffer.len() != size {
            return Err(Stop::Lost);
        }
        let decodes = self.pipe.decoder.is_some();
        let out = self.through(&buffer, true).map_err(Stop::Unreadable)?;
        if let Some(stop) = self.blocked() {
            return Err(stop);
        }
        if decodes && out.sent.len() > limit {
            return Err(Stop::TooLarge);
        }
        self.sent = out.sent.len() as u64;
        if !out.unchanged && *out.sent != *buffer {
            if size == 0 {
                host.append_body(self.direction, 0, &out.sent);
            } else {
                host.replace_body(self.direction, size, &out.sent);
            }
        }
        let bytes = out.sent.into_owned();
        Ok((bytes, self.chunk_event(out.masked)))
    }

    fn through<'a>(&mut self, bytes: &'a [u8], end: bool) -> Result<Out<'a>, DecodingError> {
        let mut out = self.pipe.push(bytes, self.record_left > 0)?;
        if end {
            out.append(self.pipe.finish()?);
        }
        Ok(out)
    }

    fn blocked(&self) -> Option<Stop> {
        let told = self.pipe.blocked()?.told;
        // Upstream is never told: half a request is not to be acted on.
        let told = told && self.direction == Direction::Response;
        Some(Stop::Blocked { told })
    }

    fn chunk_event(&mut self, mut body: MaskedBody) -> Option<EventKind> {
        if body.is_empty() || self.record_truncated {
            return None;
        }
        let truncated = body.len() > self.record_left;
        body.truncate(self.record_left);
        self.record_left = self.record_left.saturating_sub(body.len());
        self.record_truncated = truncated;
        let direction = self.direction;
        Some(EventKind::Chunk {
            direction,
            body: Body::new(&body),
            truncated,
        })
    }
}
