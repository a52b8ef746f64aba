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
use chaperone_engine::masking::{MaskedBody, Masker};

use super::Flow;
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
    /// Nothing where no masking applies: bytes pass as they are and are only counted.
    masker: Option<Masker>,
    tail: Tail,
    /// Masked bytes at the front of Envoy's buffer, which is paused while this is `Some`.
    placed: Option<usize>,
    /// The next body callback comes from within a resume of headers and body together. If it paused and
    /// trailers were waiting too, Envoy would lose the whole body (seen on 1.36 and 1.40).
    pub(super) resumed: bool,
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
    /// The host did not give the bytes that it said there are. What was not seen was not masked: the
    /// stream must be broken off.
    pub(super) unseen: bool,
    /// For the record, if masking applies and there is room.
    pub(super) event: Option<EventKind>,
}

/// Trailers came while undecided bytes had no buffer to go to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TailLost;

impl BodyWay {
    pub(super) fn new(
        direction: Direction,
        masker: Option<Masker>,
        tail: Tail,
        record_bytes: usize,
    ) -> Self {
        Self {
            direction,
            masker,
            tail,
            placed: None,
            resumed: false,
            record_left: record_bytes,
            record_truncated: false,
            sent: 0,
            ended: false,
        }
    }

    pub(super) fn masks(&self) -> bool {
        self.masker.is_some()
    }

    pub(super) fn masker(&self) -> Option<&Masker> {
        self.masker.as_ref()
    }

    /// A body callback: `size` bytes are in the buffer, of which the first `placed` are masked.
    pub(super) fn data(&mut self, host: &dyn Host, size: usize, end: bool) -> Passed {
        self.ended |= end;
        let resumed = std::mem::take(&mut self.resumed);
        let Some(masker) = &mut self.masker else {
            self.sent = self.sent.saturating_add(size as u64);
            return Passed {
                flow: Flow::Continue,
                unseen: false,
                event: None,
            };
        };
        let buffer = host.body(self.direction, size);
        if buffer.len() != size {
            return Passed {
                flow: Flow::Pause,
                unseen: true,
                event: None,
            };
        }
        let placed = self.placed.take().unwrap_or(0).min(buffer.len());
        let (done, new) = buffer.split_at_checked(placed).unwrap_or((&[], &buffer));
        let chunk = masker.push(new);
        let unchanged = chunk.is_unchanged();
        // The common case, clean bytes in Memory mode, copies nothing but what is recorded.
        let recording = self.record_left > 0;
        let mut masked = if unchanged && !recording && !end {
            self.sent = self.sent.saturating_add(new.len() as u64);
            MaskedBody::default()
        } else {
            chunk.into_body()
        };
        let mut rest = MaskedBody::default();
        if end {
            rest = masker.finish();
            masked.append(&rest);
        }
        if !(unchanged && rest.is_empty()) {
            if done.is_empty() {
                host.replace_body(self.direction, size, masked.as_bytes());
            } else {
                // There is no replacing in the middle: the front goes back in with the rest.
                host.replace_body(self.direction, size, &[done, masked.as_bytes()].concat());
            }
        }
        self.sent = self.sent.saturating_add(masked.len() as u64);
        let fresh = if unchanged { new.len() } else { masked.len() };
        let waiting = placed.saturating_add(fresh);
        let flow = match self.tail {
            Tail::InBuffer { max } if !end && !resumed && masker.held() > 0 && waiting <= max => {
                self.placed = Some(waiting);
                Flow::Pause
            }
            _ => Flow::Continue,
        };
        Passed {
            flow,
            unseen: false,
            event: self.chunk_event(masked),
        }
    }

    /// The trailers callback: the body is over, and what is held must get into the buffer.
    pub(super) fn trailers(&mut self, host: &dyn Host) -> Result<Option<EventKind>, TailLost> {
        self.ended = true;
        let Some(masker) = &mut self.masker else {
            return Ok(None);
        };
        if masker.held() == 0 {
            return Ok(None);
        }
        let Some(placed) = self.placed.take() else {
            return Err(TailLost);
        };
        let rest = masker.finish();
        host.append_body(self.direction, placed, rest.as_bytes());
        self.sent = self.sent.saturating_add(rest.len() as u64);
        Ok(self.chunk_event(rest))
    }

    /// A whole body that is held in Envoy's buffer: masked in place. For requests that wait.
    pub(super) fn whole(&mut self, host: &dyn Host, size: usize) -> (Vec<u8>, Option<EventKind>) {
        self.ended = true;
        let buffer = host.body(self.direction, size);
        self.sent = buffer.len() as u64;
        let Some(masker) = &mut self.masker else {
            return (buffer, None);
        };
        let mut masked = masker.push(&buffer).into_body();
        masked.append(masker.finish());
        self.sent = masked.len() as u64;
        if masked.as_bytes() != buffer.as_slice() {
            if size == 0 {
                host.append_body(self.direction, 0, masked.as_bytes());
            } else {
                host.replace_body(self.direction, size, masked.as_bytes());
            }
        }
        let bytes = masked.as_bytes().to_vec();
        (bytes, self.chunk_event(masked))
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
