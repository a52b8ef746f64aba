//! Where a text stands in the raw bytes.

use crate::masking::offsets::{RawAt, Span};

/// A run of a text and the raw bytes that it was read from. If both have the same length they
/// correspond byte by byte; else the run is one unit (an escape) that is masked whole or not at
/// all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking) struct Piece {
    /// Bytes of text; may be 0 for raw bytes that mean nothing.
    pub(in crate::masking) len: u32,
    /// Where the first raw byte stands.
    pub(in crate::masking) raw: RawAt,
    /// Raw bytes.
    pub(in crate::masking) raw_len: u32,
}

impl Piece {
    /// Text that stands in the raw bytes as it is.
    pub(in crate::masking) fn plain(raw: impl Into<RawAt>, len: usize) -> Self {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        Self {
            len,
            raw: raw.into(),
            raw_len: len,
        }
    }

    /// Text that is read where `raw_len` raw bytes stand, which are masked whole or not at all.
    pub(in crate::masking) fn unit(len: usize, raw: impl Into<RawAt>, raw_len: u32) -> Self {
        Self {
            len: u32::try_from(len).unwrap_or(u32::MAX),
            raw: raw.into(),
            raw_len,
        }
    }

    /// Whether its raw bytes stand for themselves.
    pub(super) fn is_plain(&self) -> bool {
        self.len == self.raw_len
    }

    /// Bytes of text.
    pub(super) fn length(&self) -> u64 {
        u64::from(self.len)
    }

    /// Its raw bytes.
    pub(in crate::masking) fn raw_span(&self) -> Span<RawAt> {
        Span {
            from: self.raw,
            to: self.raw.plus(self.raw_len.into()),
        }
    }

    /// Its raw bytes, if they do not stand for themselves.
    pub(super) fn wide(&self) -> u64 {
        match self.is_plain() {
            true => 0,
            false => u64::from(self.raw_len),
        }
    }
}

/// Whether `pieces` are those of `text`: as long, and in order.
pub(super) fn covers(pieces: &[Piece], text: &[u8]) -> bool {
    let length: u64 = pieces.iter().map(Piece::length).sum();
    length == text.len() as u64 && pieces.is_sorted_by(|a, b| a.raw_span().to <= b.raw)
}
