//! Streams of deltas without events: a line of JSON for each (Ollama), or an array that grows
//! (Gemini without `alt=sse`).
//!
//! Each line, or element, is a record, read as the data of an event is: its pieces of texts that go
//! on are those of [`deltas`](super::deltas), and what waits, waits by records. A line is taken for
//! one of a stream only if it has a member that says so (see
//! [`Dialect::records`](crate::upstreams::Dialect::records)).
//!
//! A record that is too long to wait for is read as it comes, like any JSON. What is no record
//! makes the rest a body of JSON, or whatever that takes it for.

use super::{
    channels::Channels,
    reader::Reader,
    units::{End, Framing, Long},
};
use crate::masking::{
    bodies::desk::Desk,
    formats::{Format as _, json::Json},
};
use crate::upstreams::error_line;

/// Where records end.
#[derive(Clone)]
pub(super) struct Records {
    split: Split,
    /// Of the request.
    path: Option<Box<[u8]>>,
}

/// Reads a long record, or the rest of the body.
#[derive(Clone)]
pub(super) struct LongRecord {
    json: Json,
    is_line: bool,
}

/// Finds records.
#[derive(Debug, Clone)]
enum Split {
    Lines,
    Elements(Elements),
}

/// Where in an array that is the whole body we are.
#[derive(Debug, Clone, Default)]
struct Elements {
    has_begun: bool,
    /// Containers that are open in the element.
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

impl Elements {
    /// How many bytes between elements come next.
    fn between(&mut self, bytes: &[u8]) -> usize {
        if self.depth > 0 {
            return 0;
        }
        let between = bytes.iter().take_while(|byte| match byte {
            b'[' => !std::mem::replace(&mut self.has_begun, true),
            b',' | b']' | b' ' | b'\n' | b'\r' | b'\t' => true,
            _ => false,
        });
        between.count()
    }

    fn end(&mut self, bytes: &[u8]) -> End {
        for (after, &byte) in (1_usize..).zip(bytes) {
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
                        return End::After(after);
                    }
                }
                _ if self.depth > 0 => {}
                b'{' if self.has_begun => self.depth = 1,
                _ => return End::NoUnit,
            }
        }
        End::Later
    }
}

impl Records {
    /// Lines of JSON, in the answer to a request with this path.
    pub(super) fn lines(path: Option<&[u8]>) -> Self {
        Self {
            split: Split::Lines,
            path: path.map(Into::into),
        }
    }

    /// An array whose elements are the deltas of a stream.
    pub(super) fn elements() -> Self {
        Self {
            split: Split::Elements(Elements::default()),
            path: None,
        }
    }
}

impl Framing for Records {
    type Long = LongRecord;

    fn between(&mut self, bytes: &[u8]) -> usize {
        match &mut self.split {
            Split::Lines => 0,
            Split::Elements(elements) => elements.between(bytes),
        }
    }

    fn end(&mut self, bytes: &[u8]) -> End {
        match &mut self.split {
            Split::Lines => memchr::memchr(b'\n', bytes)
                .map_or(End::Later, |at| End::After(at.saturating_add(1))),
            Split::Elements(elements) => elements.end(bytes),
        }
    }

    fn read(
        &self,
        reader: &mut Reader,
        desk: &mut Desk<'_>,
        record: &[u8],
        base: u64,
        channels: &mut Channels,
    ) -> bool {
        reader.record(desk, record, base, channels)
    }

    fn may_be_none(&self) -> bool {
        true
    }

    fn long(&self, desk: &mut Desk<'_>, start: u64) -> LongRecord {
        let is_line = matches!(self.split, Split::Lines);
        let mut json = Json::at_path(self.path.as_deref());
        if !is_line {
            // It stands in an array.
            json.push(desk, b"[", start);
        }
        LongRecord { json, is_line }
    }

    /// A line that is an error. An array would have to be closed.
    fn ending(&self, _: &Reader, message: &str) -> Option<Vec<u8>> {
        let is_line = matches!(self.split, Split::Lines);
        is_line.then(|| format!("{}\n", error_line(message)).into_bytes())
    }
}

impl Long for LongRecord {
    fn push(&mut self, desk: &mut Desk<'_>, bytes: &[u8], raw: u64) {
        self.json.push(desk, bytes, raw);
    }

    fn is_over(&self) -> bool {
        match self.is_line {
            true => self.json.is_between(),
            false => self.json.is_json(),
        }
    }

    fn finish(&mut self, desk: &mut Desk<'_>, end: u64) {
        self.json.finish(desk, end);
    }

    fn undecided(&self) -> Option<u64> {
        self.json.undecided()
    }
}
