//! Which runs of three bytes a target is looked for by.

use super::{
    Target,
    frequency::{Frequencies, share},
};
use crate::masking::search::bytes::ByteSet;

/// Three bytes in a row of a target.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) offset: i8,
    /// All that may stand there.
    pub(super) grams: Vec<u32>,
}

/// Most runs at one offset of one anchor.
pub(super) const MAX_RUNS: u32 = 4096;
/// The share of a byte (see [`share`]) that is rare enough to be searched for singly.
const RARE: u64 = 2;

/// Sets the bit by which upper and lower case differ.
pub(super) const FOLD: u32 = 0x20_2020;

/// Three bytes as a number, letters of both cases alike (some other bytes too, which is harmless).
pub(super) fn gram(run: [u8; 3]) -> u32 {
    let [a, b, c] = run;
    u32::from_le_bytes([a, b, c, 0]) | FOLD
}

/// The set with the case bit of every byte set.
pub(super) fn folded(set: ByteSet) -> ByteSet {
    set.iter().map(|b| b | 0x20).collect()
}

/// All runs that these three sets, whose case bits are set, can form.
pub(super) fn grams(sets: [ByteSet; 3]) -> impl Iterator<Item = u32> {
    let [a, b, c] = sets;
    let pairs = a.iter().flat_map(move |a| b.iter().map(move |b| (a, b)));
    pairs.flat_map(move |(a, b)| c.iter().map(move |c| gram([a, b, c])))
}

impl Target {
    /// Every position that is known, with its offset from the anchor's beginning.
    pub(super) fn positions(&self) -> Vec<(i8, ByteSet)> {
        let before = self.before.map(|set| (-1, set));
        let own = (0_i8..).zip(self.text.sets().iter().copied());
        before.into_iter().chain(own).collect()
    }

    /// The runs of three bytes to look for, with their offsets, and how often they will hit, very
    /// roughly. `None` if they are too many.
    pub(super) fn runs(&self, frequencies: &Frequencies) -> Option<(u64, [Run; 2])> {
        let positions: Vec<_> = self
            .positions()
            .into_iter()
            .map(|(at, set)| (at, folded(set)))
            .collect();
        let mut windows: Vec<(u32, i8, [ByteSet; 3])> = Vec::new();
        for run in positions.windows(3) {
            let [(at, a), (_, b), (_, c)] = *run else {
                continue;
            };
            let sets = [a, b, c];
            let sizes = sets.iter().map(|set| set.len());
            let size = sizes.fold(1, u32::saturating_mul);
            if size <= MAX_RUNS {
                windows.push((size, at, sets));
            }
        }
        // The smallest first: most of the others are then too large to be the rarest.
        windows.sort_by_key(|&(size, at, _)| (size, at));
        let mut best: [Option<(u64, i8, [ByteSet; 3])>; 2] = [None, None];
        for (size, at, sets) in windows {
            let Some(slot) = best.get_mut(usize::from(at.rem_euclid(2) == 1)) else {
                continue;
            };
            let most = slot.as_ref().map_or(u64::MAX, |(least, ..)| *least);
            let Some(cost) = frequencies.sum(size, most, grams(sets)) else {
                continue;
            };
            // Of equals the one that stands first.
            if slot.is_none_or(|(least, known, _)| (cost, at) < (least, known)) {
                *slot = Some((cost, at, sets));
            }
        }
        let [even, odd] = best;
        let run = |(cost, offset, sets)| {
            let grams = grams(sets).collect();
            (cost, Run { offset, grams })
        };
        let ((even_cost, even), (odd_cost, odd)) = (run(even?), run(odd?));
        Some((even_cost.saturating_add(odd_cost), [even, odd]))
    }

    /// A byte that stands at a known offset and is rare in text.
    pub(super) fn rare(&self) -> Option<(i8, u8)> {
        self.positions()
            .into_iter()
            .filter_map(|(at, set)| Some((at, set.single()?)))
            .filter(|&(_, byte)| share(byte) <= RARE)
            .min_by_key(|&(_, byte)| share(byte))
    }
}
