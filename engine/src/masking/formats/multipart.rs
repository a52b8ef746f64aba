//! Bodies of parts (`multipart/*`, RFC 2046 §5.1; forms: RFC 7578). Each part is read in the format
//! that its own headers say; what stands around the parts, their headers too, is text.
//!
//! Transfer encodings of parts (base64, quoted-printable) are not decoded: RFC 7578 §4.7 has done
//! away with them.

use super::{Format, open_within, sniff::Sniff, whole::Whole};
use crate::base::percent;
use crate::masking::{
    bodies::{
        content::{Content, Kind, parameter},
        desk::Desk,
    },
    offsets::RawAt,
    text::tap::{Escaping, Tap},
};
use memchr::memmem::Finder;

/// Longest block of a part's headers that is read; later ones are not known.
const MAX_HEADERS: usize = 8 * 1024;

/// The headers with each on one line: a line that begins with a blank goes on with the one before
/// (RFC 5322 §2.2.3).
fn unfolded(headers: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(headers.len());
    for line in headers.split_inclusive(|byte| *byte == b'\n') {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            while matches!(out.last(), Some(b'\r' | b'\n')) {
                out.pop();
            }
        }
        out.extend_from_slice(line);
    }
    out
}

/// Most pieces that a name is read from.
const MAX_PIECES: usize = 8;

/// What a disposition may say that the part's name is: `name`; `name*` (RFC 8187), which RFC 7578
/// forbids and some readers take; and its pieces `name*0`, `name*1*` (RFC 2231 §3). Readers differ
/// in which they believe.
fn names(disposition: &[u8]) -> Vec<Vec<u8>> {
    let plain = parameter(disposition, b"name");
    let encoded = parameter(disposition, b"name*").map(|value| extended(&value));
    let pieces = (0..MAX_PIECES).map_while(|n| {
        let name = format!("name*{n}");
        parameter(disposition, name.as_bytes()).or_else(|| {
            let value = parameter(disposition, format!("{name}*").as_bytes())?;
            Some(if n == 0 {
                extended(&value)
            } else {
                percent::decoded(&value)
            })
        })
    });
    let pieces = pieces.fold(Vec::new(), |all, piece| [all, piece].concat());
    plain
        .into_iter()
        .chain(encoded)
        .chain((!pieces.is_empty()).then_some(pieces))
        .collect()
}

/// The value of `UTF-8'en'pass%77ord`.
fn extended(value: &[u8]) -> Vec<u8> {
    let text = value.splitn(3, |byte| *byte == b'\'').last();
    percent::decoded(text.unwrap_or(value))
}

/// A body of parts.
#[derive(Clone)]
pub(in crate::masking) struct Multipart {
    /// What ends a part: a line feed, two dashes and the boundary.
    end: Finder<'static>,
    state: State,
    /// What may be the beginning of a line that ends a part, and the raw offset where it stands.
    cut: Vec<u8>,
    cut_at: u64,
    /// The stream begins as if a line had ended before it: the first byte of `cut` is not in it.
    beginning: bool,
    headers: Vec<u8>,
    /// The header line that is being read is empty so far.
    is_empty: bool,
    around: Tap,
    part: Option<Part>,
    /// Raw offset up to which the part is decided, if that is not all of it.
    undecided: Option<u64>,
    nested: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first part, or in one.
    Content,
    /// Right after a boundary: so many dashes were read.
    Boundary(u8),
    Headers,
    /// After the last part.
    Epilogue,
}

enum Part {
    Read(Box<dyn Format>),
    Masked(Whole),
}

impl Clone for Part {
    fn clone(&self) -> Self {
        match self {
            Self::Read(format) => Self::Read(format.copy()),
            Self::Masked(whole) => Self::Masked(whole.clone()),
        }
    }
}

impl Multipart {
    /// Parts with this boundary. `nested`: how many multiparts this one is in.
    pub(in crate::masking) fn new(boundary: &[u8], nested: u8) -> Self {
        Self {
            end: Finder::new(&[b"\n--", boundary].concat()).into_owned(),
            state: State::Content,
            cut: vec![b'\n'],
            cut_at: 0,
            beginning: true,
            headers: Vec::new(),
            is_empty: true,
            around: Tap::new(Escaping::Plain),
            // What stands before the first part may be all of a body that is no multipart.
            part: Some(Part::Read(Box::new(Sniff::new(Kind::Text, None)))),
            undecided: None,
            nested,
        }
    }

    /// Whether `text` may go on to be the end of a part; `true` in the second place if it is one.
    fn ends(&self, text: &[u8]) -> (bool, bool) {
        let line = text.strip_prefix(b"\r").unwrap_or(text);
        let end = self.end.needle();
        (end.starts_with(line), line.len() == end.len())
    }

    /// Reads bytes of a part, or around parts.
    fn feed(&mut self, desk: &mut Desk<'_>, bytes: &[u8], raw: u64) {
        if bytes.is_empty() {
            return;
        }
        let end = raw.saturating_add(bytes.len() as u64);
        match &mut self.part {
            None => self.around.push_plain(desk, bytes, raw),
            Some(Part::Masked(whole)) => {
                whole.push(desk, bytes, raw, bytes.len() as u64);
                self.undecided = whole.undecided();
            }
            Some(Part::Read(format)) => {
                let decided = format.push(desk, bytes, raw);
                self.undecided = (decided < end).then_some(decided);
            }
        }
    }

    /// Gives up a beginning that was none.
    fn feed_cut(&mut self, desk: &mut Desk<'_>) {
        let cut = std::mem::take(&mut self.cut);
        let beginning = std::mem::take(&mut self.beginning);
        let text = cut.get(usize::from(beginning)..).unwrap_or_default();
        self.feed(desk, text, self.cut_at);
    }

    fn end_part(&mut self, desk: &mut Desk<'_>, end: u64) {
        match self.part.take() {
            None => self.around.finish(desk),
            Some(Part::Masked(mut whole)) => whole.finish(desk),
            Some(Part::Read(mut format)) => format.finish(desk, end),
        }
        self.undecided = None;
    }

    /// Reads content up to the end of the part, if it is there. Gives the rest.
    fn content<'a>(&mut self, desk: &mut Desk<'_>, bytes: &'a [u8], raw: u64) -> &'a [u8] {
        let mut rest = bytes;
        while !self.cut.is_empty() {
            let Some((&byte, after)) = rest.split_first() else {
                return rest;
            };
            self.cut.push(byte);
            match self.ends(&self.cut) {
                (true, true) => {
                    self.cut.clear();
                    self.beginning = false;
                    self.end_part(desk, self.cut_at);
                    self.state = State::Boundary(0);
                    return after;
                }
                (true, false) => rest = after,
                (false, _) => {
                    self.cut.pop();
                    self.feed_cut(desk);
                }
            }
        }
        let raw = raw.saturating_add(bytes.len().saturating_sub(rest.len()) as u64);
        let found = self.end.find(rest);
        // A part ends before the line break that belongs to the boundary.
        let mut length = found.unwrap_or_else(|| {
            let tail = rest.len().saturating_sub(self.end.needle().len());
            let mut places = (tail..rest.len()).filter(|at| {
                let text = rest.get(*at..).unwrap_or_default();
                matches!(text, [b'\r' | b'\n', ..]) && self.ends(text).0
            });
            places.next().unwrap_or(rest.len())
        });
        if found.is_some() && rest.get(..length).is_some_and(|text| text.ends_with(b"\r")) {
            length = length.saturating_sub(1);
        }
        let (content, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        self.feed(desk, content, raw);
        self.cut_at = raw.saturating_add(length as u64);
        if let Some(at) = found {
            self.end_part(desk, self.cut_at);
            self.state = State::Boundary(0);
            let at = at.saturating_add(self.end.needle().len());
            return rest.get(at..).unwrap_or_default();
        }
        self.cut.extend_from_slice(after);
        &[]
    }

    /// Reads a line of headers, or what is there of it. Gives the rest.
    fn headers<'a>(&mut self, desk: &mut Desk<'_>, bytes: &'a [u8], raw: u64) -> &'a [u8] {
        let length = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at.saturating_add(1));
        let (line, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
        self.around.push_plain(desk, line, raw);
        if self.headers.len() < MAX_HEADERS {
            self.headers.extend_from_slice(line);
        }
        self.is_empty &= matches!(line, b"\r\n" | b"\n" | b"\r");
        if line.ends_with(b"\n") {
            if self.is_empty {
                self.around.finish(desk);
                self.open(desk);
                // The part may be empty: its end follows at once.
                self.cut = vec![b'\n'];
                self.cut_at = raw.saturating_add(line.len() as u64);
                self.beginning = true;
                self.state = State::Content;
            }
            self.is_empty = true;
        }
        rest
    }

    /// Begins the part that the headers announce.
    fn open(&mut self, desk: &Desk<'_>) {
        let headers = unfolded(&std::mem::take(&mut self.headers));
        let find = |name: &[u8]| {
            headers.split(|b| *b == b'\n').find_map(|line| {
                let at = line.iter().position(|b| *b == b':')?;
                let (found, value) = line.split_at_checked(at)?;
                let is_it = found.trim_ascii().eq_ignore_ascii_case(name);
                is_it.then(|| value.get(1..).unwrap_or_default().trim_ascii())
            })
        };
        let names = find(b"content-disposition").map(names).unwrap_or_default();
        let key = names.iter().find_map(|name| desk.plan.keys.get(name));
        let key = key.map(|key| format!("keys/{key}"));
        let key = key.map(|key| Whole::new(desk, key, Escaping::Plain));
        self.part = Some(match key {
            Some(whole) if !whole.passes() => Part::Masked(whole),
            _ => {
                let content = Content::of(find(b"content-type"));
                Part::Read(open_within(&content, self.nested.saturating_add(1)))
            }
        });
    }
}

impl Format for Multipart {
    fn copy(&self) -> Box<dyn Format> {
        Box::new(self.clone())
    }

    fn push(&mut self, desk: &mut Desk<'_>, chunk: &[u8], from: u64) -> u64 {
        let end = from.saturating_add(chunk.len() as u64);
        if self.beginning && self.cut.len() == 1 {
            self.cut_at = from;
        }
        let mut rest = chunk;
        while let [first, after @ ..] = rest {
            let raw = end.saturating_sub(rest.len() as u64);
            rest = match self.state {
                State::Content => self.content(desk, rest, raw),
                State::Headers => self.headers(desk, rest, raw),
                State::Boundary(1) if *first == b'-' => {
                    self.state = State::Epilogue;
                    after
                }
                State::Boundary(0) if *first == b'-' => {
                    self.state = State::Boundary(1);
                    after
                }
                State::Boundary(_) => {
                    self.is_empty = true;
                    let newline = memchr::memchr(b'\n', rest);
                    let length = newline.map_or(rest.len(), |at| at.saturating_add(1));
                    let (line, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                    // Blanks may stand here; whatever it is, it is read.
                    self.around.push_plain(desk, line, raw);
                    self.state = match newline {
                        Some(_) => State::Headers,
                        None => State::Boundary(2),
                    };
                    after
                }
                State::Epilogue => {
                    self.around.push_plain(desk, rest, raw);
                    &[]
                }
            };
        }
        let cut = (!self.cut.is_empty()).then_some(self.cut_at);
        let around = self.around.undecided().map(RawAt::get);
        let places = [cut, self.undecided, around];
        places.into_iter().flatten().fold(end, u64::min)
    }

    fn finish(&mut self, desk: &mut Desk<'_>, end: u64) {
        self.feed_cut(desk);
        self.end_part(desk, end);
        self.around.finish(desk);
    }
}
