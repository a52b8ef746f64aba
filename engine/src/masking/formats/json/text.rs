//! A text that goes on over several places of a body, and that may be a JSON document.

use super::inner::{self, Inner, Rest};
use crate::masking::{
    bodies::desk::Desk,
    offsets::RawAt,
    text::tap::{Escaping, Piece, Tap},
};

/// One text: its secrets are masked, and if it is JSON, what its keys say is one.
#[derive(Clone)]
pub(in crate::masking) struct JsonText {
    tap: Tap,
    /// It stands in JSON strings, so it may be a document.
    may_be_json: bool,
    document: Document,
    inner: Option<Box<Inner>>,
    kept: Kept,
}

/// What the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Document {
    /// Blank so far.
    Unseen,
    Json,
    /// No document, or one in which no key counts.
    None,
}

/// What is left of a text without the values that are masked whole.
#[derive(Clone, Default)]
struct Kept {
    text: Vec<u8>,
    pieces: Vec<Piece>,
}

impl Rest for Kept {
    fn insert(&mut self, text: &[u8], pieces: &[Piece]) {
        self.text.extend_from_slice(text);
        self.pieces.extend_from_slice(pieces);
    }
}

impl std::fmt::Debug for JsonText {
    /// Without what it holds: it may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JsonText").finish_non_exhaustive()
    }
}

impl JsonText {
    /// A text in JSON strings; any other is no document.
    pub(in crate::masking) fn new(escaping: Escaping) -> Self {
        Self {
            tap: Tap::new(escaping),
            may_be_json: matches!(escaping, Escaping::Json { .. }),
            document: Document::Unseen,
            inner: None,
            kept: Kept::default(),
        }
    }

    /// Reads text as a [`Tap`] does; each piece is a run without escapes, or one escape.
    pub(in crate::masking) fn push(&mut self, desk: &mut Desk<'_>, text: &[u8], pieces: &[Piece]) {
        if self.document == Document::Unseen {
            match inner::begins(text) {
                _ if !self.may_be_json || !desk.plan.has_keys() => self.document = Document::None,
                Some(true) => {
                    self.document = Document::Json;
                    self.inner.get_or_insert_with(|| Box::new(Inner::new(1)));
                }
                Some(false) => self.document = Document::None,
                None => {}
            }
        }
        let (Some(inner), Document::Json) = (&mut self.inner, self.document) else {
            self.tap.push(desk, text, pieces);
            return;
        };
        let mut rest = text;
        for piece in pieces {
            let length = usize::try_from(piece.len).unwrap_or(0);
            let (part, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            rest = after;
            if !inner.push(desk, &mut self.kept, part, &[*piece]) {
                self.kept.insert(part, &[*piece]);
            }
        }
        desk.fault
            .unless(rest.is_empty(), "pieces are shorter than their text");
        if inner.is_broken() {
            self.document = Document::None;
            inner.finish(desk, &mut self.kept);
        }
        self.give(desk);
    }

    /// See [`Tap::boundary`]: a document may begin here, too, unless one goes on.
    pub(in crate::masking) fn boundary(&mut self, desk: &mut Desk<'_>) {
        self.tap.boundary();
        let is_between = match (&self.inner, self.document) {
            (_, Document::None) => true,
            (Some(inner), _) => inner.is_between(),
            (None, _) => false,
        };
        if is_between {
            self.end_document(desk);
        }
    }

    /// Ends the text: what was undecided is decided. It is then as new.
    pub(in crate::masking) fn finish(&mut self, desk: &mut Desk<'_>) {
        self.end_document(desk);
        self.tap.finish(desk);
    }

    /// Lets the raw bytes of the leftmost undecided place go, all but the last, whatever it is: see
    /// [`Tap::let_go`]. Gives whether there were any.
    pub(in crate::masking) fn let_go(&mut self, desk: &mut Desk<'_>) -> bool {
        let before = self.undecided();
        let value = self.inner.as_ref().and_then(|inner| inner.undecided());
        match &mut self.inner {
            Some(inner) if value.is_some() && value == before => inner.let_go(desk),
            _ => {
                self.tap.let_go(desk);
            }
        }
        self.undecided() != before
    }

    /// Masks the leftmost undecided place, whatever it is. Gives whether that decided something.
    pub(in crate::masking) fn force(&mut self, desk: &mut Desk<'_>) -> bool {
        let before = self.undecided();
        let value = self.inner.as_ref().and_then(|inner| inner.undecided());
        match &mut self.inner {
            Some(inner) if value.is_some() && value == before => inner.force(desk),
            _ => self.tap.force(desk),
        }
        self.undecided() != before
    }

    /// Raw offset of the first byte that is not decided; `None` if all are.
    pub(in crate::masking) fn undecided(&self) -> Option<u64> {
        let value = self.inner.as_ref().and_then(|inner| inner.undecided());
        let text = self.tap.undecided().map(RawAt::get);
        value.into_iter().chain(text).min()
    }

    fn end_document(&mut self, desk: &mut Desk<'_>) {
        if let (Some(inner), Document::Json) = (&mut self.inner, self.document) {
            inner.finish(desk, &mut self.kept);
            self.give(desk);
        }
        self.document = Document::Unseen;
    }

    fn give(&mut self, desk: &mut Desk<'_>) {
        self.tap.push(desk, &self.kept.text, &self.kept.pieces);
        self.kept.text.clear();
        self.kept.text.shrink_to(1024);
        self.kept.pieces.clear();
        self.kept.pieces.shrink_to(32);
    }
}
