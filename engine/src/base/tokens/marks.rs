//! Where in some bytes strings and escapes may begin or end, for many bytes at once.

use crate::base::lanes::{self, LANES};

/// Where in some bytes quotes and backslashes stand; asked from left to right. What is known of a
/// window of bytes answers for all strings that begin and end in it.
pub(super) struct Marks<'a> {
    pub(super) bytes: &'a [u8],
    /// The window.
    start: usize,
    end: usize,
    /// A bit for each of its bytes; the lowest is that of the first one.
    bits: u64,
}

/// Bytes in a whole window.
const WINDOW: usize = 4 * LANES;

impl<'a> Marks<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            start: 0,
            end: 0,
            bits: 0,
        }
    }

    /// The place of the first one at or after `from`, which is not before any that was asked for;
    /// the end of the bytes if there is none.
    #[inline]
    pub(super) fn next(&mut self, from: usize) -> usize {
        if from < self.end {
            let bits = self.bits >> (from.wrapping_sub(self.start) & (WINDOW - 1));
            if bits != 0 {
                return from.wrapping_add(bits.trailing_zeros() as usize);
            }
        }
        self.search(from.max(self.end))
    }

    /// Moves the window to `from` or, if it holds none there, to where the next one stands.
    #[inline(never)]
    fn search(&mut self, mut from: usize) -> usize {
        loop {
            let rest = self.bytes.get(from..).unwrap_or_default();
            let (bits, length) = match rest.first_chunk::<WINDOW>() {
                Some(window) => (marks(window), WINDOW),
                None => (marks(rest), rest.len()),
            };
            (self.start, self.bits) = (from, bits);
            self.end = from.wrapping_add(length);
            if bits != 0 {
                return from.wrapping_add(bits.trailing_zeros() as usize);
            }
            let rest = self.bytes.get(self.end..).unwrap_or_default();
            if rest.is_empty() {
                return self.end;
            }
            // A long string: one call of the vector search that needs to find no more than this.
            let found = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            from = self.end.wrapping_add(found);
        }
    }
}

/// The quotes and backslashes of a window.
#[inline]
fn marks(window: &[u8]) -> u64 {
    let (blocks, rest) = window.as_chunks::<LANES>();
    let known = blocks.iter().rev().fold(0, |bits, block| {
        bits << LANES | u64::from(lanes::quotes_and_backslashes(block))
    });
    let last = u64::from(lanes::quotes_and_backslashes_of_few(rest));
    known | last << (blocks.len().wrapping_mul(LANES) & (WINDOW - 1))
}

/// How many blanks stand at `at`, where there is one.
#[inline]
pub(super) fn blank(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    // Mostly one, or the indentation of a line.
    if !rest.get(1).is_some_and(is_blank) {
        return 1;
    }
    let (blocks, last) = rest.as_chunks::<LANES>();
    let mut length = 0_usize;
    for block in blocks {
        let others = !lanes::blanks(block);
        if others != 0 {
            return length.wrapping_add(others.trailing_zeros() as usize);
        }
        length = length.wrapping_add(LANES);
    }
    length.wrapping_add(last.iter().take_while(|byte| is_blank(byte)).count())
}
