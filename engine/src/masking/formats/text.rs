//! Plain text, everything that no other format knows, and bytes of an unknown kind: the body is one
//! text.

use super::Format;
use crate::masking::{
    bodies::desk::Desk,
    offsets::RawAt,
    text::tap::{Escaping, Tap},
};

#[derive(Clone)]
pub(in crate::masking) struct Text {
    tap: Tap,
}

impl Text {
    pub(in crate::masking) fn new() -> Self {
        Self::written(Escaping::Plain)
    }

    /// Bytes that may count themselves: replacements are as long as what they replace.
    pub(in crate::masking) fn octets() -> Self {
        Self::written(Escaping::SameLength)
    }

    fn written(escaping: Escaping) -> Self {
        Self {
            tap: Tap::new(escaping),
        }
    }
}

impl Format for Text {
    fn copy(&self) -> Box<dyn Format> {
        Box::new(self.clone())
    }

    fn push(&mut self, desk: &mut Desk<'_>, chunk: &[u8], from: u64) -> u64 {
        self.tap.push_plain(desk, chunk, from);
        let end = from.saturating_add(chunk.len() as u64);
        self.tap.undecided().map_or(end, RawAt::get)
    }

    fn finish(&mut self, desk: &mut Desk<'_>, _end: u64) {
        self.tap.finish(desk);
    }
}
