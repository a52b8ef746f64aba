//! JSON, alone or one value after the other (NDJSON, JSON text sequences).
//!
//! A document is one text whose secrets stand in its strings. Each string, key or value, is a span
//! of its own, in which escapes mean what they stand for; a secret ends where its string ends.
//! Structure and numbers are never changed, but they are read: what names a secret stands in
//! another string than the secret (`"AccountKey": "…"`, `"keyName": "key1", "value": "…"`).
//!
//! The alternative, a text for each string, loses those names, and costs a search for each of many
//! short strings; so there is one search for each chunk, and nothing is copied where there is no
//! escape.
//!
//! Bytes that are not JSON make the rest of the body plain text: whatever a malformed or
//! mislabelled body is, secrets in it are masked.

mod encoded;
mod inner;
mod keys;
mod kubernetes;
mod logprobs;
mod quiet;
mod text;

use inner::Rest;
pub(in crate::masking) use inner::begins as begins_json;
use keys::Keys;
pub(in crate::masking) use kubernetes::{Kubernetes, Role};
pub(in crate::masking) use text::JsonText;

pub(in crate::masking) use crate::base::tokens::{NotJson, Sink, Tokenizer, skip_string};

use super::{
    Format,
    transcript::{Buffers, Transcript},
};
use crate::base::tokens::escape;
use crate::masking::{
    bodies::desk::Desk,
    offsets::RawAt,
    text::tap::{Escaping, Piece, Tap},
};

/// A body of JSON values. Ending it makes it as new.
///
/// What is pushed need not be without gaps: a protocol that reads a string itself leaves its
/// content out.
#[derive(Clone)]
pub(in crate::masking) struct Json {
    tap: Tap,
    tokenizer: Tokenizer,
    /// No longer JSON.
    is_text: bool,
    /// How replacements are written in what is no longer JSON.
    rest: Escaping,
    /// A number or literal that the last chunk cut, and where it stands: if it turns out to be
    /// none, it is text. Or a bracket that the last chunk ended with, with what was cut behind it:
    /// see [`OPENING`].
    carry: Vec<u8>,
    carry_at: u64,
    buffers: Buffers,
    keys: Keys,
    path: Option<Box<[u8]>>,
    parts: quiet::Parts,
    /// How many bytes in a row were read in the other way since something stayed undecided.
    noted: usize,
}

/// Begins an array. But `[INFO]` is no array, nor is the placeholder of a secret: a bracket that
/// something follows which makes it no JSON belongs to that text. So it is decided with the byte
/// behind it.
const OPENING: &[u8] = b"[";

const ESCAPING: Escaping = Escaping::Json { nested: 0 };

impl Json {
    pub(in crate::masking) fn new() -> Self {
        Self::at_path(None)
    }

    /// In the body of a request to this path, or of its answer.
    pub(in crate::masking) fn at_path(path: Option<&[u8]>) -> Self {
        Self {
            path: path.map(Into::into),
            parts: quiet::Parts::new(),
            noted: 0,
            tap: Tap::new(ESCAPING),
            tokenizer: Tokenizer::new(),
            is_text: false,
            rest: Escaping::Plain,
            carry: Vec::new(),
            carry_at: 0,
            buffers: Buffers::default(),
            keys: Keys::at_path(path),
        }
    }

    /// In a body that may count its bytes: what is no JSON keeps its length.
    pub(in crate::masking) fn in_octets(mut self) -> Self {
        self.rest = Escaping::SameLength;
        self
    }

    /// Raw offset of the first byte that is not decided; `None` if all are.
    pub(in crate::masking) fn undecided(&self) -> Option<u64> {
        let pending = match self.is_text {
            true => None,
            false => self.tokenizer.pending(),
        };
        let opening = match self.is_text {
            true => None,
            false => self.opening(),
        };
        let places = [
            self.tap.undecided().map(RawAt::get),
            self.keys.undecided(),
            pending,
            opening,
        ];
        places.into_iter().flatten().min()
    }

    /// Raw offset of the bracket that waits.
    fn opening(&self) -> Option<u64> {
        self.carry.starts_with(OPENING).then_some(self.carry_at)
    }

    /// Whether all that came is JSON.
    pub(in crate::masking) fn is_json(&self) -> bool {
        !self.is_text
    }

    /// Whether all that came is whole values of JSON.
    pub(in crate::masking) fn is_between(&self) -> bool {
        self.is_json()
            && self.tokenizer.depth() == 0
            && self.tokenizer.pending().is_none()
            && !self.tokenizer.in_string()
    }

    /// Does what is decided of log probabilities, which other texts may stand in; the document was
    /// read up to the raw offset `read`.
    #[inline]
    fn settle(&mut self, desk: &mut Desk<'_>, read: u64) {
        let to = self.tap.undecided().map_or(read, |at| at.get().min(read));
        self.keys.settle(desk, read, to);
    }

    /// The rest is text. It begins with what was taken for a number.
    fn give_up(&mut self, desk: &mut Desk<'_>) {
        self.is_text = true;
        self.tap.escape(self.rest);
        let seams: &[usize] = match self.tokenizer.depth() {
            0 => &[],
            _ => &[0],
        };
        let carry = std::mem::take(&mut self.carry);
        let piece = Piece::plain(self.carry_at, carry.len());
        self.tap.push_seamed(desk, &carry, &[piece], seams);
    }
}

/// Where text begins that goes on at `at`, or that ends there and is not decided: at the bracket
/// before it, if there is one. `carried_at` is that of a bracket before the chunk. Strings do not
/// end at `at`, so any bracket opens an array.
fn before_opening(chunk: &[u8], from: u64, carried_at: Option<u64>, at: u64) -> u64 {
    let length = usize::try_from(at.saturating_sub(from)).unwrap_or(0);
    let is_opening = chunk
        .get(..length)
        .is_some_and(|read| read.ends_with(OPENING));
    match carried_at.filter(|carried| carried.saturating_add(1) == at) {
        Some(carried) => carried,
        None if is_opening => at.saturating_sub(1),
        None => at,
    }
}

impl Json {
    /// Reads the next bytes.
    fn read(&mut self, desk: &mut Desk<'_>, chunk: &[u8], from: u64) -> u64 {
        let end = from.saturating_add(chunk.len() as u64);
        if self.is_text {
            self.tap.push_plain(desk, chunk, from);
            self.settle(desk, end);
            return self.undecided().unwrap_or(end);
        }
        if chunk.is_empty() {
            return self.undecided().unwrap_or(end);
        }
        let carried = !self.carry.is_empty();
        let carried_at = self.opening();
        let mut reader = Reader {
            tap: &mut self.tap,
            keys: &mut self.keys,
            desk,
            depth: self.tokenizer.depth(),
            out: Transcript::new(std::mem::take(&mut self.buffers), chunk, from),
        };
        reader.out.plain(&self.carry, self.carry_at);
        let read = self.tokenizer.read(chunk, from, &mut reader);
        let pending = self.tokenizer.pending();
        let in_string = self.tokenizer.in_string();
        let read_to = match read {
            // An escape that is cut stands in a string, where a bracket opens nothing.
            Ok(()) if in_string => pending.unwrap_or(end),
            Ok(()) => before_opening(chunk, from, carried_at, pending.unwrap_or(end)),
            Err(NotJson { raw }) => before_opening(chunk, from, carried_at, raw),
        };
        if carried && read_to == self.carry_at {
            // The number goes on to the end of the chunk, or turned out to be none.
            reader.out.clear();
        } else {
            reader.out.emit(reader.desk, reader.tap, read_to);
            self.carry.clear();
            self.carry_at = read_to;
        }
        self.buffers = reader.out.into_buffers();
        let rest = chunk
            .get(usize::try_from(read_to.saturating_sub(from)).unwrap_or(0)..)
            .unwrap_or_default();
        if read.is_err() {
            self.keys.end(desk, read_to);
            self.give_up(desk);
            self.tap
                .push_plain(desk, rest, end.saturating_sub(rest.len() as u64));
            self.settle(desk, end);
            return self.undecided().unwrap_or(end);
        }
        if !self.tokenizer.in_string() {
            self.carry.extend_from_slice(rest);
        }
        self.settle(desk, read_to);
        self.undecided().unwrap_or(end)
    }
}

impl Format for Json {
    fn copy(&self) -> Box<dyn Format> {
        Box::new(self.clone())
    }

    fn push(&mut self, desk: &mut Desk<'_>, chunk: &[u8], from: u64) -> u64 {
        let mut done = 0_usize;
        // Up to where the part that comes next is not known to be quiet.
        let mut until = 0_usize;
        loop {
            let mut rest = chunk.get(done..).unwrap_or_default();
            let mut at = from.saturating_add(done as u64);
            if done >= until && !self.is_text {
                let (passed, to) = self.pass_quiet(desk, rest, at);
                until = done.saturating_add(to);
                done = done.saturating_add(passed);
                at = at.saturating_add(passed as u64);
                rest = rest.get(passed..).unwrap_or_default();
            }
            let part = match self.is_text {
                true => rest,
                false => {
                    let length = until.saturating_sub(done).max(quiet::STEP);
                    rest.get(..length).unwrap_or(rest)
                }
            };
            let undecided = self.read(desk, part, at);
            done = done.saturating_add(part.len());
            if done >= chunk.len() {
                return undecided;
            }
        }
    }

    fn finish(&mut self, desk: &mut Desk<'_>, end: u64) {
        if !self.is_text {
            let in_string = self.tokenizer.in_string();
            let mut reader = Reader {
                tap: &mut self.tap,
                keys: &mut self.keys,
                desk,
                depth: self.tokenizer.depth(),
                out: Transcript::new(Buffers::default(), &[], end),
            };
            self.tokenizer.finish(&mut reader);
            reader.keys.finish(reader.desk, &mut reader.out);
            reader.out.emit(reader.desk, reader.tap, end);
            if !in_string && !self.carry.is_empty() {
                self.give_up(desk);
            }
        }
        self.tap.finish(desk);
        self.keys.end(desk, end);
        self.keys.settle(desk, end, end);
        self.tap.escape(ESCAPING);
        self.tokenizer = Tokenizer::new();
        self.keys = Keys::at_path(self.path.as_deref());
        self.is_text = false;
        self.carry.clear();
    }
}

impl Rest for Transcript<'_> {
    fn insert(&mut self, text: &[u8], pieces: &[Piece]) {
        Transcript::insert(self, text, pieces);
    }
}

/// Appends what the content of a whole string means to `text`, and where it stands to `pieces`.
/// `raw` is the offset of its first byte.
///
/// The [`Tokenizer`] reads strings, too, but looks for their end and carries on what is cut. For
/// strings of which the end is known this loop, in which one byte is looked for, is the faster one:
/// each delta with an escape comes through here.
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
                    let raw_len = u32::try_from(raw).unwrap_or(0);
                    pieces.push(Piece::unit(len, at, raw_len));
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
    keys: &'a mut Keys,
    desk: &'a mut Desk<'d>,
    /// Open containers.
    depth: u8,
    out: Transcript<'a>,
}

impl Sink for Reader<'_, '_> {
    #[inline]
    fn structure(&mut self, byte: u8, raw: u64) {
        match byte {
            b'{' | b'[' => {
                // Between documents all is text: it costs nothing, and `4111 1111 …` is JSON, too.
                if self.depth == 0 {
                    self.out.seam(raw);
                }
                self.depth = self.depth.saturating_add(1);
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    self.out.seam(raw.saturating_add(1));
                }
            }
            _ => {}
        }
        self.keys.structure(self.desk, byte, raw, self.depth);
    }

    #[inline]
    fn string_start(&mut self, is_key: bool, raw: u64) {
        if self.depth == 0 {
            self.out.seam(raw);
        }
        self.out.seam(raw.saturating_add(1));
        self.keys.string_start(self.desk, is_key, raw);
    }

    #[inline]
    fn string_end(&mut self, raw: u64) {
        self.keys
            .string_end(self.desk, &mut self.out, raw, self.depth);
        self.out.seam(raw);
        if self.depth == 0 {
            self.out.seam(raw.saturating_add(1));
        }
    }

    #[inline]
    fn plain(&mut self, text: &[u8], raw: u64) {
        let piece = Piece::plain(raw, text.len());
        if self.keys.take(self.desk, &mut self.out, text, &[piece]) {
            self.out.skip(raw, raw.saturating_add(text.len() as u64));
        } else {
            self.out.plain(text, raw);
        }
    }

    fn unit(&mut self, text: &[u8], raw: u64, raw_len: u32) {
        let to = raw.saturating_add(u64::from(raw_len));
        let piece = Piece::unit(text.len(), raw, raw_len);
        if self.keys.take(self.desk, &mut self.out, text, &[piece]) {
            self.out.skip(raw, to);
            return;
        }
        self.out.unit(text, raw, raw_len);
        if self.out.is_full() {
            self.out.emit(self.desk, self.tap, to);
        }
    }
}
