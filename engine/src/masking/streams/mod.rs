//! Server-sent events (WHATWG HTML §9.2), and in them the texts of models and tools.
//!
//! # What is a text
//!
//! - A string in an event's JSON is a text of its own, unless it is a piece of a text that goes on
//!   over events: a delta of a model's answer, of its reasoning, of a tool's arguments, for each
//!   choice, block or tool call. See [`protocols`].
//! - Data that is no JSON is a text that goes on over the events of the same name, since models and
//!   tools stream text like this. It may as well be a text for each event, so a secret may also
//!   begin wherever an event does.
//! - Comments, names of events, identifiers and unknown fields of one event are one text, line by
//!   line.
//!
//! # What happens to events
//!
//! They are never made, dropped or reordered. An event leaves with its last byte, unless a text is
//! undecided: then all events wait from the first on that holds an undecided byte, and leave as
//! they came if it was a false alarm. The first piece of a secret gets the replacement, the pieces
//! in later events become empty. A text ends, and is decided, where its protocol says so, or with
//! the stream.
//!
//! An event that has not ended waits; no reader can use a part of it. No more than 32 KiB of it
//! wait, and 256 KiB of whole events. If more whole events wait, the leftmost undecided places are
//! let go, emptied: their text is held still, and the replacement stands in the last piece. A
//! longer event is read as it comes, and each of its strings is a text of its own: no protocol
//! sends such deltas.

mod alike;
mod channels;
mod ending;
mod known;
mod lines;
mod long;
mod paths;
mod protocols;
mod reader;
mod records;
mod tape;
mod template;

use crate::masking::bodies::desk::Desk;
use crate::masking::formats::Format;
use crate::upstreams::Dialect;
use channels::Channels;
use lines::Ends;
use long::LongEvent;
use reader::Reader;
pub(in crate::masking) use records::Records;

/// Longest event that is read as a whole.
const MAX_EVENT: usize = 32 * 1024;

pub(in crate::masking) struct Sse {
    ends: Ends,
    /// The beginning of an event that has not ended.
    event: Vec<u8>,
    /// Raw offset of the event that has not ended, or else of the next byte.
    start: u64,
    long: Option<Box<LongEvent>>,
    channels: Channels,
    reader: Reader,
    /// The last one that an event has shown.
    dialect: Option<&'static Dialect>,
    /// A part of an event has left, so no other can follow.
    is_torn: bool,
}

impl Sse {
    pub(in crate::masking) fn new() -> Self {
        Self {
            ends: Ends::default(),
            event: Vec::new(),
            start: 0,
            long: None,
            channels: Channels::default(),
            reader: Reader::new(),
            dialect: None,
            is_torn: false,
        }
    }

    /// Reads an event that is there as a whole, from the raw offset `self.start` on.
    fn whole(&mut self, desk: &mut Desk<'_>, event: &[u8]) {
        self.reader
            .read(desk, event, self.start, &mut self.channels);
        self.dialect = self.reader.deltas.dialect.or(self.dialect);
        let end = self.start.saturating_add(event.len() as u64);
        self.channels.event(desk, self.start, end);
    }

    /// Reads the events with which `bytes` begin, from the raw offset `self.start` on, that are
    /// like the last one. Gives their length.
    fn alike(&mut self, desk: &mut Desk<'_>, bytes: &[u8]) -> Option<usize> {
        let start = self.start;
        let passed = self.reader.alike(desk, bytes, start, &mut self.channels)?;
        self.dialect = self.reader.deltas.dialect.or(self.dialect);
        // Of an event at which the body ends nothing leaves.
        let read = match desk.blocked {
            Some(_) => passed.last,
            None => passed.length,
        };
        self.start = start.saturating_add(read as u64);
        Some(passed.length)
    }

    /// Reads an event that has become too long to wait for its end.
    fn too_long(&mut self, desk: &mut Desk<'_>) {
        // Nothing can wait for it: more than the cap would.
        self.channels.force(desk);
        let mut long = Box::new(LongEvent::new());
        long.push(desk, &std::mem::take(&mut self.event), self.start);
        self.long = Some(long);
    }

    /// How far everything is decided, if `at` is how far the stream was read.
    fn decided(&mut self, desk: &mut Desk<'_>, at: u64) -> u64 {
        self.channels.read_gathered(desk);
        let read = match &self.long {
            Some(long) => long.undecided().unwrap_or(at),
            None if self.is_torn => at,
            None => self.start,
        };
        let decided = self.channels.waits_from().map_or(read, |at| at.min(read));
        self.channels.settle(desk, decided);
        decided
    }
}

impl Format for Sse {
    fn push(&mut self, desk: &mut Desk<'_>, chunk: &[u8], from: u64) -> u64 {
        let mut rest = chunk;
        let mut at = from;
        // A block ends the stream at the first event that tells of it, wherever the chunk ends.
        while !rest.is_empty() && desk.blocked.is_none() {
            let is_new = self.event.is_empty() && self.long.is_none();
            if is_new && self.ends.skips(rest) {
                rest = rest.get(1..).unwrap_or_default();
                at = at.saturating_add(1);
                self.start = at;
                continue;
            }
            if is_new {
                self.start = at;
                if let Some(length) = self.alike(desk, rest) {
                    rest = rest.get(length..).unwrap_or_default();
                    at = at.saturating_add(length as u64);
                    continue;
                }
            }
            let end = self.ends.find(rest);
            let (new, later) = rest
                .split_at_checked(end.unwrap_or(rest.len()))
                .unwrap_or((rest, &[]));
            if self.long.is_none() && self.event.len().saturating_add(new.len()) > MAX_EVENT {
                self.too_long(desk);
            }
            if let Some(long) = &mut self.long {
                long.push(desk, new, at);
                self.is_torn |= blocked_from(desk, self.start);
            } else if end.is_some() && self.event.is_empty() {
                self.whole(desk, new);
            } else {
                self.event.extend_from_slice(new);
                if end.is_some() {
                    let mut event = std::mem::take(&mut self.event);
                    if self.alike(desk, &event).is_none() {
                        self.whole(desk, &event);
                    }
                    event.clear();
                    event.shrink_to(4096);
                    self.event = event;
                }
            }
            rest = later;
            at = at.saturating_add(new.len() as u64);
            if end.is_some() {
                if let Some(mut long) = self.long.take() {
                    long.finish(desk);
                    self.is_torn |= blocked_from(desk, self.start);
                }
                if desk.blocked.is_none() {
                    self.start = at;
                }
            }
        }
        self.decided(desk, at)
    }

    fn finish(&mut self, desk: &mut Desk<'_>, end: u64) {
        // Readers drop an event without its blank line, but not all do.
        if let Some(mut long) = self.long.take() {
            long.finish(desk);
            self.is_torn |= blocked_from(desk, self.start);
        } else if !self.event.is_empty() {
            let event = std::mem::take(&mut self.event);
            self.whole(desk, &event);
        }
        self.channels.end(desk, &[]);
        self.channels.settle(desk, end);
    }

    fn cut(&self, at: u64) -> u64 {
        if self.is_torn {
            at
        } else if at >= self.start {
            self.start
        } else {
            self.channels.event_at(at).unwrap_or(at)
        }
    }

    fn ending(&self, message: &str) -> Option<Vec<u8>> {
        let deltas = &self.reader.deltas;
        (!self.is_torn).then(|| {
            ending::ending(
                self.dialect,
                deltas.sequence_number,
                deltas.answers.as_deref(),
                message,
            )
        })?
    }
}

/// Whether the body has to end at or after this raw offset.
fn blocked_from(desk: &Desk<'_>, start: u64) -> bool {
    let at = desk.blocked.as_ref().and_then(|block| block.at);
    at.is_some_and(|at| at.get() >= start)
}
