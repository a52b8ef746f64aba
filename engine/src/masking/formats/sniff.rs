//! Bodies whose type says little or lies: their first bytes say what they are.

use super::{Format, binary::Binary, form::Form, json::Json, sse::Sse, text::Text};
use crate::masking::{content::Kind, desk::Desk};

/// A body whose format is not known before its first byte that is not blank.
pub(in crate::masking) struct Sniff {
    kind: Kind,
    path: Option<Box<[u8]>>,
    known: Option<Box<dyn Format>>,
}

impl Sniff {
    /// A body that is of this kind unless it begins like another one.
    pub(in crate::masking) fn new(kind: Kind, path: Option<Box<[u8]>>) -> Self {
        Self {
            kind,
            path,
            known: None,
        }
    }
}

/// `{` and `[` begin JSON, whatever the type says: clients send it as a form or as text, and readers take it. What goes
/// on as something else is read as text from there on.
fn open(kind: &Kind, path: Option<&[u8]>, first: u8) -> Box<dyn Format> {
    match (first, kind) {
        (b'{' | b'[', _) | (_, Kind::Json) => Box::new(Json::at_path(path)),
        (_, Kind::EventStream) => Box::new(Sse::new()),
        (_, Kind::Form) => Box::new(Form::new()),
        (_, Kind::Octets | Kind::Binary) => Box::new(Binary::new()),
        _ => Box::new(Text::new()),
    }
}

impl Format for Sniff {
    fn push(&mut self, desk: &mut Desk<'_>, chunk: &[u8], from: u64) -> u64 {
        if let Some(known) = &mut self.known {
            return known.push(desk, chunk, from);
        }
        // Blanks and a byte order mark mean nothing to anybody.
        let blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | 0xEF | 0xBB | 0xBF);
        let end = from.saturating_add(chunk.len() as u64);
        let Some(at) = chunk.iter().position(|byte| !blank(byte)) else {
            return end;
        };
        let body = chunk.get(at..).unwrap_or_default();
        let first = body.first().copied().unwrap_or_default();
        self.known
            .insert(open(&self.kind, self.path.as_deref(), first))
            .push(desk, body, from.saturating_add(at as u64))
    }

    fn finish(&mut self, desk: &mut Desk<'_>, end: u64) {
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
