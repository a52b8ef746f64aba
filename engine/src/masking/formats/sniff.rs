//! Bodies whose type says little or lies: their first bytes say what they are.

use super::{
    Format,
    form::Form,
    grpc::{Grpc, is_flag},
    json::{Json, Sink, Tokenizer},
    text::Text,
};
use crate::masking::bodies::{content::Kind, desk::Desk};
use crate::masking::streams;
use crate::upstreams::DIALECTS;

/// A body whose format is not known before its first byte that is not blank.
pub(in crate::masking) struct Sniff {
    kind: Kind,
    path: Option<Box<[u8]>>,
    /// The first bytes, while they say nothing yet, and where they stand.
    head: Vec<u8>,
    head_at: u64,
    known: Option<Box<dyn Format>>,
}

impl Clone for Sniff {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind.clone(),
            path: self.path.clone(),
            head: self.head.clone(),
            head_at: self.head_at,
            known: self.known.as_ref().map(|known| known.copy()),
        }
    }
}

impl Sniff {
    /// A body that is of this kind unless it begins like another one.
    pub(in crate::masking) fn new(kind: Kind, path: Option<Box<[u8]>>) -> Self {
        Self {
            kind,
            path,
            head: Vec::new(),
            head_at: 0,
            known: None,
        }
    }
}

/// Longest beginning that is looked at.
const MAX_HEAD: usize = 512;

/// Blanks and a byte order mark mean nothing to anybody.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0xEF | 0xBB | 0xBF)
}

/// Whether a body of another type is a stream of events: fields, comments and empty lines, and then
/// data that is JSON. Nothing less, since YAML begins with `data:` and `id:` too, and what is no
/// stream must be read as one text. `None`: more bytes are needed.
fn is_event_stream(head: &[u8]) -> Option<bool> {
    let fields: [&[u8]; 4] = [b"event:", b"id:", b"retry:", b":"];
    let mut rest = head;
    loop {
        if let Some(value) = rest.strip_prefix(b"data:") {
            return match value.strip_prefix(b" ").unwrap_or(value) {
                [] => None,
                [first, ..] => Some(matches!(first, b'{' | b'[')),
            };
        }
        let is_empty = matches!(rest, [b'\n' | b'\r', ..]);
        if !is_empty && !fields.iter().any(|field| rest.starts_with(field)) {
            let is_cut = fields
                .iter()
                .chain([&b"data:".as_slice()])
                .any(|field| field.starts_with(rest));
            return if is_cut { None } else { Some(false) };
        }
        let end = memchr::memchr2(b'\n', b'\r', rest)?;
        rest = rest.get(end.saturating_add(1)..).unwrap_or_default();
    }
}

/// What is read of the beginning of a document.
#[derive(Default)]
struct Beginning {
    /// The name of a member has ended.
    has_name: bool,
    /// Before that stood a byte that no document has in a string.
    has_control: bool,
}

impl Sink for Beginning {
    fn structure(&mut self, byte: u8, _raw: u64) {
        self.has_name |= byte == b':';
    }

    fn plain(&mut self, text: &[u8], _raw: u64) {
        self.has_control |= !self.has_name && text.iter().any(u8::is_ascii_control);
    }
}

/// Whether bytes of any kind are JSON. A bracket is not enough: it may be a length. The name of a
/// member is, or as many bytes as are looked at. `None`: more of them are needed.
fn is_json(head: &[u8], all: bool) -> Option<bool> {
    let Some(begin) = head.iter().position(|byte| !is_blank(*byte)) else {
        return all.then_some(false);
    };
    let document = head.get(begin..).unwrap_or_default();
    if !document.starts_with(b"{") && !document.starts_with(b"[") {
        return Some(false);
    }
    let mut beginning = Beginning::default();
    let read = Tokenizer::new().read(document, 0, &mut beginning);
    if beginning.has_control || beginning.has_name {
        return Some(!beginning.has_control);
    }
    match read {
        Ok(()) => all.then_some(true),
        Err(_) => Some(false),
    }
}

impl Sniff {
    /// The format that begins with `head`; `None` if more bytes are needed. `{` and `[` begin JSON,
    /// whatever the type says: clients send it as a form or as text, and readers take it. What goes
    /// on as something else is read as text from there on.
    fn open(&self, head: &[u8], ended: bool) -> Option<Box<dyn Format>> {
        let looked = head.get(..MAX_HEAD).unwrap_or(head);
        let all = ended || head.len() >= MAX_HEAD;
        if self.kind == Kind::Grpc && head.first().is_some_and(|first| is_flag(*first)) {
            return Some(Box::new(Grpc::new()));
        }
        if self.kind != Kind::EventStream {
            let begin = looked.iter().position(|byte| !is_blank(*byte));
            let begun = begin.and_then(|begin| looked.get(begin..));
            match is_event_stream(begun.unwrap_or_default()) {
                Some(true) => return Some(streams::events()),
                None if !all => return None,
                _ => {}
            }
        }
        if self.is_octets() {
            return Some(match is_json(looked, all)? {
                true if self.is_stream(head) => streams::elements(),
                true => Box::new(Json::at_path(self.path.as_deref()).in_octets()),
                false => Box::new(Text::octets()),
            });
        }
        Some(match (head.first(), &self.kind) {
            (Some(b'{'), Kind::JsonLines) => streams::lines(self.path.as_deref()),
            _ if self.is_stream(head) => streams::elements(),
            (Some(b'{' | b'['), _) | (_, Kind::Json | Kind::JsonLines) => {
                Box::new(Json::at_path(self.path.as_deref()))
            }
            (_, Kind::EventStream) => streams::events(),
            (_, Kind::Form) => Box::new(Form::new()),
            _ => Box::new(Text::new()),
        })
    }

    /// Whether the type says that the bytes are of any kind, so that they may count themselves.
    fn is_octets(&self) -> bool {
        matches!(self.kind, Kind::Octets | Kind::Binary | Kind::Grpc)
    }

    /// Whether `head` begins an array that is the deltas of a model's answer.
    fn is_stream(&self, head: &[u8]) -> bool {
        let mut bytes = head.iter().filter(|byte| !is_blank(**byte));
        let path = self.path.as_deref().unwrap_or_default();
        let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
        let mut arrays = DIALECTS.iter().flat_map(|dialect| dialect.arrays);
        bytes.next() == Some(&b'[') && arrays.any(|end| path.ends_with(end))
    }
}

impl Format for Sniff {
    fn copy(&self) -> Box<dyn Format> {
        Box::new(self.clone())
    }

    fn push(&mut self, desk: &mut Desk<'_>, chunk: &[u8], from: u64) -> u64 {
        if let Some(known) = &mut self.known {
            return known.push(desk, chunk, from);
        }
        let end = from.saturating_add(chunk.len() as u64);
        let mut rest = chunk;
        if self.head.is_empty() {
            // Among octets blanks may be a tag and a length.
            let begins = |byte: &u8| self.is_octets() || !is_blank(*byte);
            let Some(at) = chunk.iter().position(begins) else {
                return end;
            };
            rest = chunk.get(at..).unwrap_or_default();
            self.head_at = from.saturating_add(at as u64);
            if let Some(mut format) = self.open(rest, false) {
                let decided = format.push(desk, rest, self.head_at);
                self.known = Some(format);
                return decided;
            }
        }
        // No more bytes are ever needed than are looked at.
        let missing = MAX_HEAD.saturating_sub(self.head.len());
        let (new, rest) = rest.split_at_checked(missing).unwrap_or((rest, &[]));
        self.head.extend_from_slice(new);
        let Some(mut format) = self.open(&self.head, false) else {
            return self.head_at;
        };
        let head = std::mem::take(&mut self.head);
        let mut decided = format.push(desk, &head, self.head_at);
        if !rest.is_empty() {
            let raw = end.saturating_sub(rest.len() as u64);
            decided = format.push(desk, rest, raw);
        }
        self.known = Some(format);
        decided
    }

    fn finish(&mut self, desk: &mut Desk<'_>, end: u64) {
        let head = std::mem::take(&mut self.head);
        if !head.is_empty() {
            match self.open(&head, true) {
                Some(mut format) => {
                    format.push(desk, &head, self.head_at);
                    self.known = Some(format);
                }
                None => desk.fault.cannot_be("a body has ended and is of no kind"),
            }
        }
        if let Some(known) = &mut self.known {
            known.finish(desk, end);
        }
    }

    fn stops(&self, bytes: usize) -> bool {
        let bytes = bytes.saturating_add(self.head.len());
        self.known.as_ref().is_some_and(|known| known.stops(bytes))
    }

    fn cut(&self, at: u64) -> u64 {
        self.known.as_ref().map_or(at, |known| known.cut(at))
    }

    fn ending(&self, message: &str) -> Option<Vec<u8>> {
        self.known.as_ref()?.ending(message)
    }
}
