//! Streams of deltas without events: a line of JSON for each (Ollama), or an array that grows
//! (Gemini without `alt=sse`).
//!
//! Each line, or element, is a record, read as the data of an event is: its pieces of texts that go
//! on are those of [`protocols`](super::protocols), and what waits, waits by records. A line is
//! taken for one of a stream only if it has a member that says so (see
//! [`Dialect::records`](crate::upstreams::Dialect::records)).
//!
//! A record that is longer than [`MAX_EVENT`] is read as it comes, like any JSON. What is no record
//! makes the rest a body of JSON, or whatever that takes it for.

use super::{Channels, MAX_EVENT, Reader, blocked_from, known::known};
use crate::masking::{
    bodies::desk::Desk,
    formats::{Format, json::Json},
};
use crate::upstreams::error_line;

/// A body of records.
pub(in crate::masking) struct Records {
    split: Split,
    /// Of the request.
    path: Option<Box<[u8]>>,
    /// The beginning of a record that has not ended.
    record: Vec<u8>,
    /// Raw offset of the record that has not ended, or else of the next byte.
    start: u64,
    reader: Reader,
    channels: Channels,
    /// Reads a long record, or the rest of the body.
    json: Option<Box<Json>>,
    /// It reads the rest of the body.
    for_good: bool,
    /// A part of a record has left, so no other can follow.
    is_torn: bool,
}

/// Finds records.
#[derive(Debug)]
enum Split {
    Lines,
    Elements(Elements),
}

/// Where in an array that is the whole body we are.
#[derive(Debug, Default)]
struct Elements {
    has_begun: bool,
    /// Containers that are open in the element.
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// So many bytes between records.
    Between(usize),
    /// So many bytes, with which a record ends.
    Ends(usize),
    /// All belongs to a record that goes on.
    GoesOn,
    /// No record.
    None,
}

impl Split {
    fn next(&mut self, bytes: &[u8]) -> Next {
        match self {
            Self::Lines => match memchr::memchr(b'\n', bytes) {
                Some(at) => Next::Ends(at.saturating_add(1)),
                None => Next::GoesOn,
            },
            Self::Elements(elements) => elements.next(bytes),
        }
    }
}

impl Elements {
    fn next(&mut self, bytes: &[u8]) -> Next {
        for (at, &byte) in (0_usize..).zip(bytes) {
            let after = at.saturating_add(1);
            if self.in_string {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'{' | b'[' if self.depth > 0 => self.depth = self.depth.saturating_add(1),
                b'"' if self.depth > 0 => self.in_string = true,
                b'}' | b']' if self.depth > 0 => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Next::Ends(after);
                    }
                }
                _ if self.depth > 0 => {}
                _ if at > 0 => return Next::Between(at),
                b'{' if self.has_begun => self.depth = 1,
                b'[' if !self.has_begun => {
                    self.has_begun = true;
                    return Next::Between(after);
                }
                b',' | b']' | b' ' | b'\n' | b'\r' | b'\t' => return Next::Between(after),
                _ => return Next::None,
            }
        }
        Next::GoesOn
    }
}

impl Records {
    /// Lines of JSON.
    pub(in crate::masking) fn lines(path: Option<&[u8]>) -> Self {
        Self::new(Split::Lines, path)
    }

    /// An array whose elements are the deltas of a stream.
    pub(in crate::masking) fn elements() -> Self {
        Self::new(Split::Elements(Elements::default()), None)
    }

    fn new(split: Split, path: Option<&[u8]>) -> Self {
        let mut reader = Reader::new();
        reader.own = Json::at_path(path);
        Self {
            split,
            path: path.map(Into::into),
            record: Vec::new(),
            start: 0,
            reader,
            channels: Channels::default(),
            json: None,
            for_good: false,
            is_torn: false,
        }
    }

    /// Reads a record that is there as a whole, from the raw offset `self.start` on. `false` if it
    /// is none.
    fn whole(&mut self, desk: &mut Desk<'_>, record: &[u8]) -> bool {
        let says = match self.split {
            Split::Lines => &*known().records,
            Split::Elements(_) => &[],
        };
        let is_record = self
            .reader
            .record(desk, record, self.start, says, &mut self.channels);
        let end = self.start.saturating_add(record.len() as u64);
        if is_record {
            self.channels.event(desk, self.start, end);
        }
        is_record
    }

    /// Reads what waits, and what comes next of it, as JSON.
    fn as_json(&mut self, desk: &mut Desk<'_>, for_good: bool) {
        // Nothing can wait for it: more than the cap would.
        self.channels.force(desk);
        let mut json = Box::new(Json::at_path(self.path.as_deref()));
        if let Split::Elements(_) = self.split {
            // It stands in an array.
            json.push(desk, b"[", self.start);
        }
        json.push(desk, &std::mem::take(&mut self.record), self.start);
        self.json = Some(json);
        self.for_good = for_good;
    }

    /// How far everything is decided, if `at` is how far the stream was read.
    fn decided(&mut self, desk: &mut Desk<'_>, at: u64) -> u64 {
        let read = match &self.json {
            Some(json) => json.undecided().unwrap_or(at),
            None if self.is_torn => at,
            None => self.start,
        };
        let decided = self.channels.waits_from().map_or(read, |at| at.min(read));
        self.channels.settle(desk, decided);
        decided
    }
}

impl Format for Records {
    fn push(&mut self, desk: &mut Desk<'_>, chunk: &[u8], from: u64) -> u64 {
        let mut rest = chunk;
        let mut at = from;
        // A block ends the stream at the first record that tells of it, wherever the chunk ends.
        while !rest.is_empty() && desk.blocked.is_none() {
            if self.record.is_empty() && self.json.is_none() {
                self.start = at;
            }
            let next = match self.for_good {
                true => Next::GoesOn,
                false => self.split.next(rest),
            };
            let (length, ends) = match next {
                Next::Between(length) => {
                    rest = rest.get(length..).unwrap_or_default();
                    at = at.saturating_add(length as u64);
                    self.start = at;
                    continue;
                }
                Next::None => {
                    self.as_json(desk, true);
                    (rest.len(), false)
                }
                Next::Ends(length) => (length, true),
                Next::GoesOn => (rest.len(), false),
            };
            let (new, later) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            let end = at.saturating_add(new.len() as u64);
            if self.json.is_none() && self.record.len().saturating_add(new.len()) > MAX_EVENT {
                self.as_json(desk, false);
            }
            if self.json.is_none() {
                self.record.extend_from_slice(new);
                if ends {
                    let mut record = std::mem::take(&mut self.record);
                    if self.whole(desk, &record) {
                        record.clear();
                        record.shrink_to(4096);
                        self.record = record;
                    } else {
                        self.record = record;
                        self.as_json(desk, true);
                    }
                }
            } else if let Some(json) = &mut self.json {
                json.push(desk, new, at);
            }
            if let Some(json) = &mut self.json {
                self.is_torn |= blocked_from(desk, self.start);
                let is_over = match self.split {
                    Split::Lines => json.is_between(),
                    Split::Elements(_) => json.is_json(),
                };
                if ends && !self.for_good && is_over {
                    json.finish(desk, end);
                    self.is_torn |= blocked_from(desk, self.start);
                    self.json = None;
                } else {
                    self.for_good |= ends;
                }
            }
            rest = later;
            at = end;
            if ends && self.json.is_none() && desk.blocked.is_none() {
                self.start = at;
            }
        }
        self.decided(desk, at)
    }

    fn finish(&mut self, desk: &mut Desk<'_>, end: u64) {
        if self.json.is_none() && !self.record.is_empty() {
            let record = std::mem::take(&mut self.record);
            if !self.whole(desk, &record) {
                self.record = record;
                self.as_json(desk, true);
            }
        }
        if let Some(mut json) = self.json.take() {
            json.finish(desk, end);
            self.is_torn |= blocked_from(desk, self.start);
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

    /// A line that is an error. An array would have to be closed.
    fn ending(&self, message: &str) -> Option<Vec<u8>> {
        let is_line = !self.is_torn && matches!(self.split, Split::Lines);
        is_line.then(|| format!("{}\n", error_line(message)).into_bytes())
    }
}
