//! Plain text, and everything that no other format knows: the body is one text.

use super::Format;
use crate::masking::{
    desk::Desk,
    tap::{Escaping, Tap},
};

pub(in crate::masking) struct Text {
    tap: Tap,
}

impl Text {
    pub(in crate::masking) fn new() -> Self {
        Self {
            tap: Tap::new(Escaping::Plain),
        }
    }
}

impl Format for Text {
    fn push(&mut self, desk: &mut Desk<'_>, chunk: &[u8], from: u64) -> u64 {
        self.tap.push_plain(desk, chunk, from);
        let end = from.saturating_add(chunk.len() as u64);
        self.tap.undecided().unwrap_or(end)
    }

    fn finish(&mut self, desk: &mut Desk<'_>, _end: u64) {
        self.tap.finish(desk);
    }
}
