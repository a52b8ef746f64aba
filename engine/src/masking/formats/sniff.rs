//! Bodies whose type says little or lies: their first bytes say what they are.

use super::{Format, form::Form, json::Json, text::Text};
use crate::masking::bodies::{content::Kind, desk::Desk};
use crate::masking::streams::{Records, Sse};
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

/// Whether a body of another type is a stream of events: fields, and then data that is JSON.
/// Nothing less, since YAML begins with `data:` and `id:` too, and what is no stream must be read
/// as one text. `None`: more bytes are needed.
fn is_event_stream(head: &[u8]) -> Option<bool> {
    let mut rest = head;
    loop {
        if let Some(value) = rest.strip_prefix(b"data:") {
            return match value.strip_prefix(b" ").unwrap_or(value) {
                [] => None,
                [first, ..] => Some(matches!(first, b'{' | b'[')),
            };
        }
        let fields: [&[u8]; 3] = [b"event:", b"id:", b"retry:"];
        if !fields.iter().any(|field| rest.starts_with(field)) {
            let is_cut = fields
                .iter()
                .chain([&b"data:".as_slice()])
                .any(|field| field.starts_with(rest));
            return if is_cut { None } else { Some(false) };
        }
        let end = memchr::memchr2(b'\n', b'\r', rest)?;
        let ending = if rest.get(end..).is_some_and(|end| end.starts_with(b"\r\n")) {
            2
        } else {
            1
        };
        rest = rest.get(end.saturating_add(ending)..).unwrap_or_default();
        if rest == b"\n" || rest.is_empty() {
            return None;
        }
    }
}

impl Sniff {
    /// The format that begins with `head`; `None` if more bytes are needed. `{` and `[` begin JSON,
    /// whatever the type says: clients send it as a form or as text, and readers take it. What goes
    /// on as something else is read as text from there on.
    fn open(&self, head: &[u8], ended: bool) -> Option<Box<dyn Format>> {
        if matches!(self.kind, Kind::Text | Kind::Json | Kind::JsonLines) {
            let looked = head.get(..MAX_HEAD).unwrap_or(head);
            match is_event_stream(looked) {
                Some(true) => return Some(Box::new(Sse::new())),
                None if !ended && head.len() < MAX_HEAD => return None,
                _ => {}
            }
        }
        Some(match (head.first(), &self.kind) {
            (Some(b'{'), Kind::JsonLines) => Box::new(Records::lines(self.path.as_deref())),
            (Some(b'['), Kind::Json) if self.is_stream() => Box::new(Records::elements()),
            (Some(b'{' | b'['), _) | (_, Kind::Json | Kind::JsonLines) => {
                Box::new(Json::at_path(self.path.as_deref()))
            }
            (_, Kind::EventStream) => Box::new(Sse::new()),
            (_, Kind::Form) => Box::new(Form::new()),
            (_, Kind::Octets | Kind::Binary | Kind::Grpc) => Box::new(Text::octets()),
            (_, Kind::Text | Kind::Plain | Kind::Multipart(_)) => Box::new(Text::new()),
        })
    }

    /// Whether an array is the deltas of a model's answer.
    fn is_stream(&self) -> bool {
        let path = self.path.as_deref().unwrap_or_default();
        let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
        let mut arrays = DIALECTS.iter().flat_map(|dialect| dialect.arrays);
        arrays.any(|end| path.ends_with(end))
    }
}

impl Format for Sniff {
    fn push(&mut self, desk: &mut Desk<'_>, chunk: &[u8], from: u64) -> u64 {
        if let Some(known) = &mut self.known {
            return known.push(desk, chunk, from);
        }
        let end = from.saturating_add(chunk.len() as u64);
        let mut rest = chunk;
        if self.head.is_empty() {
            // Blanks and a byte order mark mean nothing to anybody, but among octets they may be a
            // tag and a length.
            let is_text = self.kind != Kind::Octets;
            let blank =
                |b: &u8| is_text && matches!(b, b' ' | b'\t' | b'\r' | b'\n' | 0xEF | 0xBB | 0xBF);
            let Some(at) = chunk.iter().position(|byte| !blank(byte)) else {
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
        while let [first, after @ ..] = rest {
            self.head.push(*first);
            rest = after;
            if let Some(mut format) = self.open(&self.head, false) {
                let head = std::mem::take(&mut self.head);
                let mut decided = format.push(desk, &head, self.head_at);
                if !rest.is_empty() {
                    let raw = end.saturating_sub(rest.len() as u64);
                    decided = format.push(desk, rest, raw);
                }
                self.known = Some(format);
                return decided;
            }
        }
        self.head_at
    }

    fn finish(&mut self, desk: &mut Desk<'_>, end: u64) {
        if !self.head.is_empty() {
            match self.open(&self.head, true) {
                Some(mut format) => {
                    format.push(desk, &self.head, self.head_at);
                    self.known = Some(format);
                }
                None => desk.fault.cannot_be("a body has ended and is of no kind"),
            }
        }
        if let Some(known) = &mut self.known {
            known.finish(desk, end);
        }
    }

    fn cut(&self, at: u64) -> u64 {
        self.known.as_ref().map_or(at, |known| known.cut(at))
    }

    fn ending(&self, message: &str) -> Option<Vec<u8>> {
        self.known.as_ref()?.ending(message)
    }
}
