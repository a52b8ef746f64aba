//! JSON, alone or one value after the other (NDJSON, JSON text sequences).
//!
//! A document is one text whose secrets stand in its strings. Each string, key or value, is a span of its own, in which
//! escapes mean what they stand for; a secret ends where its string ends. Structure and numbers are never
//! changed, but they are read: what names a secret stands in another string than the secret
//! (`"AccountKey": "…"`, `"keyName": "key1", "value": "…"`).
//!
//! The alternative, a text for each string, loses those names, and costs a search for each of many short strings; so
//! there is one search for each chunk, and nothing is copied where there is no escape.
//!
//! Bytes that are not JSON make the rest of the body plain text: whatever a malformed or mislabelled body
//! is, secrets in it are masked.

mod escape;
mod path;
mod tokenizer;

pub(in crate::masking) use path::{Path, Step};
pub(in crate::masking) use tokenizer::{NotJson, Sink, Tokenizer};

use super::Format;
use crate::masking::{
    desk::Desk,
    tap::{Escaping, Piece, Tap},
};

/// A body of JSON values. Ending it makes it as new.
///
/// What is pushed need not be without gaps: a protocol that reads a string itself leaves its content out.
pub(in crate::masking) struct Json {
    tap: Tap,
    tokenizer: Tokenizer,
    /// No longer JSON.
    is_text: bool,
    /// A number or literal that the last chunk cut, and where it stands: if it turns out to be none, it is text.
    carry: Vec<u8>,
    carry_at: u64,
    line: Line,
}

/// A part of the document's text. It is a part of the chunk as it is, up to the first escape, which makes a
/// copy.
#[derive(Default)]
struct Line {
    text: Vec<u8>,
    pieces: Vec<Piece>,
    seams: Vec<usize>,
    /// Raw offset from which on nothing is copied.
    plain: u64,
}

const ESCAPING: Escaping = Escaping::Json { nested: 0 };

/// Bytes that are copied before the tap reads them: few, so that they stay in the processor's cache.
const COPIED: usize = 8 * 1024;

impl Json {
    pub(in crate::masking) fn new() -> Self {
        Self {
            tap: Tap::new(ESCAPING),
            tokenizer: Tokenizer::new(),
            is_text: false,
            carry: Vec::new(),
            carry_at: 0,
            line: Line::default(),
        }
    }

    /// Raw offset of the first byte that is not decided; `None` if all are.
    pub(in crate::masking) fn undecided(&self) -> Option<u64> {
        let pending = match self.is_text {
            true => None,
            false => self.tokenizer.pending(),
        };
        self.tap.undecided().into_iter().chain(pending).min()
    }

    /// The rest is text. It begins with what was taken for a number.
    fn give_up(&mut self, desk: &mut Desk<'_>) {
        self.is_text = true;
        self.tap.escape(Escaping::Plain);
        let seams: &[usize] = match self.tokenizer.depth() {
            0 => &[],
            _ => &[0],
        };
        let carry = std::mem::take(&mut self.carry);
        let piece = Piece::plain(self.carry_at, carry.len());
        self.tap.push_seamed(desk, &carry, &[piece], seams);
    }
}

impl Format for Json {
    fn push(&mut self, desk: &mut Desk<'_>, chunk: &[u8], from: u64) -> u64 {
        let end = from.saturating_add(chunk.len() as u64);
        if self.is_text {
            self.tap.push_plain(desk, chunk, from);
            return self.undecided().unwrap_or(end);
        }
        let carried = !self.carry.is_empty();
        let mut line = std::mem::take(&mut self.line);
        line.plain = from;
        let mut reader = Reader {
            tap: &mut self.tap,
            desk,
            chunk,
            from,
            depth: self.tokenizer.depth(),
            line,
        };
        reader.plain(&self.carry, self.carry_at);
        let read = self.tokenizer.read(chunk, from, &mut reader);
        let pending = self.tokenizer.pending();
        let read_to = match read {
            Err(NotJson { raw }) => raw,
            Ok(()) => pending.unwrap_or(end),
        };
        if carried && read_to == self.carry_at {
            // The number goes on to the end of the chunk, or turned out to be none.
            reader.line.clear();
        } else {
            reader.emit(read_to);
            self.carry.clear();
            self.carry_at = read_to;
        }
        self.line = reader.line;
        let rest = chunk
            .get(usize::try_from(read_to.saturating_sub(from)).unwrap_or(0)..)
            .unwrap_or_default();
        if read.is_err() {
            self.give_up(desk);
            self.tap
                .push_plain(desk, rest, end.saturating_sub(rest.len() as u64));
            return self.undecided().unwrap_or(end);
        }
        if !self.tokenizer.in_string() {
            self.carry.extend_from_slice(rest);
        }
        self.undecided().unwrap_or(end)
    }

    fn finish(&mut self, desk: &mut Desk<'_>, end: u64) {
        if !self.is_text {
            let in_string = self.tokenizer.in_string();
            let mut reader = Reader {
                tap: &mut self.tap,
                desk,
                chunk: &[],
                from: end,
                depth: self.tokenizer.depth(),
                line: Line {
                    plain: end,
                    ..Line::default()
                },
            };
            self.tokenizer.finish(&mut reader);
            reader.emit(end);
            if !in_string && !self.carry.is_empty() {
                self.give_up(desk);
            }
        }
        self.tap.finish(desk);
        self.tap.escape(ESCAPING);
        self.tokenizer = Tokenizer::new();
        self.is_text = false;
        self.carry.clear();
    }
}

/// Appends what the content of a whole string means to `text`, and where it stands to `pieces`. `raw` is the offset of
/// its first byte.
pub(in crate::masking) fn decode(
    content: &[u8],
    raw: u64,
    text: &mut Vec<u8>,
    pieces: &mut Vec<Piece>,
) {
    let mut rest = content;
    let mut at = raw;
    while !rest.is_empty() {
        let skip = match memchr::memchr(b'\\', rest) {
            Some(0) => match escape::read(rest) {
                escape::Escape::Means {
                    text: means,
                    len,
                    raw,
                } => {
                    text.extend_from_slice(means.get(..len).unwrap_or_default());
                    pieces.push(Piece {
                        len: u32::try_from(len).unwrap_or(0),
                        raw: at,
                        raw_len: u32::try_from(raw).unwrap_or(0),
                    });
                    rest = rest.get(raw..).unwrap_or_default();
                    at = at.saturating_add(raw as u64);
                    continue;
                }
                escape::Escape::Nothing { raw } => raw,
                escape::Escape::Cut => rest.len(),
            },
            Some(found) => found,
            None => rest.len(),
        };
        let (plain, after) = rest.split_at_checked(skip).unwrap_or((rest, &[]));
        text.extend_from_slice(plain);
        pieces.push(Piece::plain(at, plain.len()));
        at = at.saturating_add(plain.len() as u64);
        rest = after;
    }
}

/// Reads one chunk.
struct Reader<'a, 'd> {
    tap: &'a mut Tap,
    desk: &'a mut Desk<'d>,
    chunk: &'a [u8],
    /// Raw offset of the chunk.
    from: u64,
    /// Open containers.
    depth: u8,
    line: Line,
}

impl Reader<'_, '_> {
    /// What stands at this raw offset begins or ends a span.
    fn seam(&mut self, raw: u64) {
        let plain = usize::try_from(raw.saturating_sub(self.line.plain)).unwrap_or(0);
        self.line
            .seams
            .push(self.line.text.len().saturating_add(plain));
    }

    /// Copies what stands as it is up to the raw offset `to`.
    fn copy(&mut self, to: u64) {
        let text = slice(self.chunk, self.from, self.line.plain, to);
        if !text.is_empty() {
            self.line.text.extend_from_slice(text);
            self.line
                .pieces
                .push(Piece::plain(self.line.plain, text.len()));
        }
        self.line.plain = to;
    }

    /// Lets the tap read the text up to the raw offset `to`.
    fn emit(&mut self, to: u64) {
        if self.line.pieces.is_empty() {
            let text = slice(self.chunk, self.from, self.line.plain, to);
            let piece = Piece::plain(self.line.plain, text.len());
            self.tap
                .push_seamed(self.desk, text, &[piece], &self.line.seams);
            self.line.plain = to;
        } else {
            self.copy(to);
            self.tap.push_seamed(
                self.desk,
                &self.line.text,
                &self.line.pieces,
                &self.line.seams,
            );
        }
        self.line.clear();
    }
}

impl Line {
    fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(COPIED);
        self.pieces.clear();
        self.pieces.shrink_to(64);
        self.seams.clear();
        self.seams.shrink_to(64);
    }
}

/// The bytes from the raw offset `start` to `end` of a chunk that begins at `from`.
fn slice(chunk: &[u8], from: u64, start: u64, end: u64) -> &[u8] {
    let start = usize::try_from(start.saturating_sub(from)).unwrap_or(usize::MAX);
    let end = usize::try_from(end.saturating_sub(from)).unwrap_or(usize::MAX);
    chunk.get(start..end).unwrap_or_default()
}

impl Sink for Reader<'_, '_> {
    fn structure(&mut self, byte: u8, raw: u64) {
        match byte {
            b'{' | b'[' => {
                // Between documents all is text: it costs nothing, and `4111 1111 …` is JSON, too.
                if self.depth == 0 {
                    self.seam(raw);
                }
                self.depth = self.depth.saturating_add(1);
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    self.seam(raw.saturating_add(1));
                }
            }
            _ => {}
        }
    }

    fn string_start(&mut self, _is_key: bool, raw: u64) {
        if self.depth == 0 {
            self.seam(raw);
        }
        self.seam(raw.saturating_add(1));
    }

    fn string_end(&mut self, raw: u64) {
        self.seam(raw);
        if self.depth == 0 {
            self.seam(raw.saturating_add(1));
        }
    }

    fn plain(&mut self, text: &[u8], raw: u64) {
        // Only what an earlier chunk began is not in this one.
        if raw < self.from && !text.is_empty() {
            self.line.text.extend_from_slice(text);
            self.line.pieces.push(Piece::plain(raw, text.len()));
            self.line.plain = raw.saturating_add(text.len() as u64);
        }
    }

    fn unit(&mut self, text: &[u8], raw: u64, raw_len: u32) {
        self.copy(raw);
        self.line.text.extend_from_slice(text);
        self.line.pieces.push(Piece {
            len: u32::try_from(text.len()).unwrap_or(0),
            raw,
            raw_len,
        });
        self.line.plain = raw.saturating_add(u64::from(raw_len));
        if self.line.text.len() >= COPIED {
            self.emit(self.line.plain);
        }
    }
}
