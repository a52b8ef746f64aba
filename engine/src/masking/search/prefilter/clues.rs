//! What is known about a run that was found: refutes nearly all of them at a few instructions each.

use super::{Target, runs::folded};
use crate::masking::search::bytes::ByteSet;

/// A run of three bytes that matters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gram {
    /// The run, its case bits set.
    pub(super) gram: u32,
    /// Where its clues begin and end.
    pub(super) clues: (u16, u16),
}

/// The runs that have the upper thirteen bits of their hash in common.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bucket {
    /// Where they begin. They end where those of the next bucket begin.
    pub(super) grams: u16,
    /// The number of their [`Around`].
    pub(super) around: u16,
}

/// A place in a text that may belong to target number `target`, which begins `offset` bytes
/// earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Clue {
    pub(super) target: u16,
    pub(super) offset: i8,
}

/// Which bytes stand right before and after some runs in any of their targets: a bit for each kind
/// of byte.
///
/// Runs must be chosen at even and at odd offsets, so short anchors have no choice and their runs
/// are often those of ordinary words (`cio_` is looked for by `io_` and `ion`); the two bytes
/// around tell these words apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Around {
    before: u64,
    after: u64,
}

impl Around {
    /// Around a run of `target` that begins at `offset`.
    pub(super) fn of(target: &Target, offset: i8) -> Self {
        let kinds = |at: Option<i8>| {
            let set = match at {
                Some(-1) => target.before,
                Some(at) => usize::try_from(at)
                    .ok()
                    .and_then(|at| target.text.sets().get(at).copied()),
                None => None,
            };
            let bytes = set.unwrap_or(ByteSet::ALL).iter();
            bytes.fold(0, |kinds, byte| kinds | 1_u64.wrapping_shl(kind(byte)))
        };
        Self {
            before: kinds(offset.checked_sub(1)),
            after: kinds(offset.checked_add(3)),
        }
    }

    /// What agrees with one of both.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            before: self.before | other.before,
            after: self.after | other.after,
        }
    }

    /// Whether a target may lie around a run, as 0 or 1.
    #[inline]
    pub(super) fn agrees(self, before: u8, after: u8) -> u64 {
        self.before.wrapping_shr(kind(before)) & self.after.wrapping_shr(kind(after)) & 1
    }
}

/// A number below 64 for each byte. Letters of both cases have the same, and of those bytes of
/// ASCII that text has no letter, digit or sign has that of another one.
#[inline]
const fn kind(byte: u8) -> u32 {
    ((byte & 0x1F) | (byte & 0x40) >> 1) as u32
}

/// The first eight bytes of a target, as far as each is one byte (but for its case): compared at
/// once before any of them is compared exactly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sketch {
    /// The bytes, with their case bits set; 0 where more than one may stand.
    bytes: u64,
    /// All bits of the bytes that are known.
    known: u64,
}

const FOLDED_WORD: u64 = 0x2020_2020_2020_2020;

impl Sketch {
    pub(super) fn of(target: &Target) -> Self {
        let mut sketch = ([0_u8; 8], [0_u8; 8]);
        let slots = sketch.0.iter_mut().zip(sketch.1.iter_mut());
        for ((byte, known), set) in slots.zip(target.text.sets()) {
            if let Some(single) = folded(*set).single() {
                (*byte, *known) = (single, u8::MAX);
            }
        }
        Self {
            bytes: u64::from_le_bytes(sketch.0),
            known: u64::from_le_bytes(sketch.1),
        }
    }

    /// Whether the target may begin at `start`, as far as eight bytes follow.
    #[inline]
    pub(super) fn agrees(self, text: &[u8], start: usize) -> bool {
        let eight = text.get(start..).and_then(<[u8]>::first_chunk);
        eight.is_none_or(|eight| {
            (u64::from_le_bytes(*eight) | FOLDED_WORD) & self.known == self.bytes
        })
    }
}
