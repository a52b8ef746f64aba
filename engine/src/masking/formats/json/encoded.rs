//! Strings that may be base64 (RFC 4648 §4) with a secret in it.

use super::inner::Rest;
use crate::masking::{
    bodies::{
        desk::Desk,
        edit::{Edit, Edits},
    },
    formats::whole::Whole,
    offsets::RawAt,
    text::{
        channel::MAX_HELD,
        tap::{Escaping, Piece, Tap},
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD};

/// A string that is base64 so far. It is held until its end, but no longer than a secret would be.
#[derive(Clone, Default)]
pub(super) struct Encoded {
    text: Vec<u8>,
    pieces: Vec<Piece>,
}

impl Encoded {
    /// Reads on. Gives whether it still may be base64; if not, it is to be
    /// [released](Self::release), and what was pushed last is not in it.
    pub(super) fn push(&mut self, text: &[u8], pieces: &[Piece]) -> bool {
        let is_base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
        let length = self.text.len().saturating_add(text.len());
        if length > MAX_HELD || !text.iter().all(is_base64) {
            return false;
        }
        self.text.extend_from_slice(text);
        self.pieces.extend_from_slice(pieces);
        true
    }

    /// Gives the text back, to be read as other text is.
    pub(super) fn release(&mut self, rest: &mut dyn Rest) {
        rest.insert(&self.text, &self.pieces);
        self.text.clear();
        self.pieces.clear();
    }

    /// The string ended: if it is base64 with a secret in it, it becomes base64 without.
    pub(super) fn finish(&mut self, desk: &mut Desk<'_>, rest: &mut dyn Rest) {
        let found = match BASE64_STANDARD.decode(&self.text) {
            Ok(decoded) => self.mask(desk, &decoded),
            Err(_) => false,
        };
        if !found {
            self.release(rest);
        }
    }

    /// Gives what came so far to a value that is masked whole.
    pub(super) fn pour(&self, desk: &mut Desk<'_>, whole: &mut Whole) {
        whole.push_pieces(desk, &self.text, &self.pieces);
    }

    pub(super) fn undecided(&self) -> Option<u64> {
        self.pieces.first().map(|piece| piece.raw.get())
    }

    fn mask(&self, desk: &mut Desk<'_>, decoded: &[u8]) -> bool {
        let Some(start) = self.undecided() else {
            return false;
        };
        let mut edits = Edits::default();
        // Where it stands is said here, not by what is decoded.
        let earlier = desk.blocked.take();
        (desk.judged, desk.work) = {
            let mut inner = Desk {
                plan: desk.plan,
                key: desk.key,
                findings: desk.findings,
                edits: &mut edits,
                secrets: desk.secrets,
                blocked: desk.blocked,
                fault: desk.fault,
                only_reports: desk.only_reports,
                judged: desk.judged,
                work: desk.work,
                marks: Vec::new(),
            };
            let mut tap = Tap::new(Escaping::Plain);
            tap.push_plain(&mut inner, decoded, RawAt::START);
            tap.finish(&mut inner);
            (inner.judged, inner.work)
        };
        let found = desk.blocked.take();
        let is_blocked = found.is_some();
        *desk.blocked = earlier.or_else(|| {
            found.map(|mut block| {
                block.at = None;
                block
            })
        });
        if let (true, Some(block)) = (is_blocked, &mut desk.blocked) {
            block.stands(RawAt::new(start));
            return true;
        }
        if edits.is_empty() {
            return false;
        }
        let mut masked = Vec::new();
        let end = RawAt::START.after(decoded.len());
        edits.apply(decoded, RawAt::START, end, &mut masked);
        let mut replacement = BASE64_STANDARD.encode(masked).into_bytes();
        for piece in &self.pieces {
            desk.edits.add(Edit {
                at: piece.raw_span(),
                replacement: std::mem::take(&mut replacement),
            });
        }
        true
    }
}
