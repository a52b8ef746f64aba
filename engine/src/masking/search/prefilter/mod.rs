//! Finds the few places where a secret could begin, at memory speed.
//!
//! Every match of a rule holds one of its *anchors* (`ghp_`, `AccountKey`, four digits) at a known
//! place. Of each anchor two [runs] of three bytes are chosen, one that begins at an even
//! offset and one that begins at an odd one, those that are rarest in text. One of them begins at
//! an even position of the chunk wherever the anchor stands. So one look at every second position,
//! in a hashed [bit set](table) of all runs that matter (8 or 32 KiB, in the first-level cache),
//! finds every anchor. Four of five hits are refuted by the two bytes [around](clues) them, in
//! base64 nineteen of twenty; the others are compared with whole anchors. An anchor of wide sets
//! whose runs would fill the bit set, but which has one rare byte (`@`), is found by searching for
//! that byte instead.
//!
//! # The ways weighed
//!
//! Figures are speeds in V8 over prose, source and base64, with the anchors of all detectors of
//! secrets, as multiples of the speed of the same search without vectors.
//!
//! - This search: 1.5 to 1.7. The look-ups alone would be 2.6, and half of the rest is what two or
//!   three thousand places in a megabyte of prose cost that look like anchors up to the bytes
//!   around.
//! - The same with a branch for each hit: 1.1 to 1.3. Most hits are false (16,000 in a megabyte of
//!   prose, 1.6 % of all places), and a branch that is guessed wrong costs more than the comparison
//!   that it would spare. Therefore hits are sifted without one.
//! - Tables of nibbles and shuffles, as Teddy in Hyperscan and `aho-corasick` does: three bytes, at
//!   every place. With eight groups of anchors the pass is 1.5 times as fast as these look-ups,
//!   with sixteen 1.2 times. But with 650 anchors 11 % of all places are candidates for eight
//!   groups, 5 % for sixteen, 3 % for 24 (2 to 3 % with the bits of a byte mixed so that halves
//!   overlap), and then each must be looked up in the bit set after all. That costs more than it
//!   saves.
//! - `aho-corasick`'s packed searcher: for at most 64 patterns, bytes and not sets of them, and
//!   without WebAssembly. Its automaton takes a step through a table for each byte, one after
//!   another, where these look-ups overlap.
//! - Pairs instead of threes: many more places to look at. Every third place or fewer: tokens begin
//!   with as little as `sk-` and one more byte, which hold runs at an even and an odd offset only.

mod building;
mod clues;
mod frequency;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod reference;
mod runs;
mod table;

use super::bytes::{Anchor, ByteSet};
use clues::{Around, Bucket, Clue, Gram, Sketch};
use runs::gram;
use table::{BLOCK, Bits};

pub(in crate::masking) use building::Building;

/// An anchor to look for, with what is known about the bytes around it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::masking) struct Target {
    /// The anchor and at least one byte that follows it, at least [`WINDOW`] positions.
    pub(in crate::masking) text: Anchor,
    /// What stands directly before the anchor in a match; else all bytes and none.
    pub(in crate::masking) before: Option<ByteSet>,
}

impl Target {
    /// How many bytes from its beginning on must be there for [`Prefilter::search`] to find it.
    pub(in crate::masking) fn window(&self) -> usize {
        self.text.sets().len()
    }

    /// Whether it stands at `start`.
    fn stands(&self, text: &[u8], start: usize) -> bool {
        let before = start.checked_sub(1).and_then(|at| text.get(at));
        let rest = text.get(start..).unwrap_or_default();
        rest.len() >= self.window()
            && self.text.agrees(rest)
            && self
                .before
                .is_none_or(|set| before.is_some_and(|&byte| set.contains(byte)))
    }
}

/// The compiled search for all anchors of a set.
pub(in crate::masking) struct Prefilter {
    targets: Vec<Target>,
    bits: Bits,
    /// The runs, in the order of their hashes.
    grams: Vec<Gram>,
    /// The clues of each run.
    clues: Vec<Clue>,
    /// The different surroundings of runs.
    arounds: Vec<Around>,
    /// One for each target.
    sketches: Vec<Sketch>,
    /// By the upper thirteen bits of a run's hash.
    buckets: Box<[Bucket; 8193]>,
    /// Bytes that are searched for singly.
    rare: Vec<u8>,
    /// Targets that have one of them.
    rarities: Vec<Rarity>,
}

/// A byte by which a target is found.
struct Rarity {
    byte: u8,
    clue: Clue,
}

/// Fewest positions of a target: they hold a run at an even and one at an odd offset.
pub(in crate::masking) const WINDOW: usize = 4;
/// Longest anchor; keeps offsets in a byte and the tail short.
pub(in crate::masking) const MAX_ANCHOR: usize = 64;

/// Blocks whose hits are noted before they are looked at.
const BATCH: usize = 32;
/// Hits of a block that are noted without a branch.
const FEW: usize = 4;
/// Room for all hits of a batch.
const ROOM: usize = BATCH * BLOCK / 2 + FEW;

/// The number of a run's [`Bucket`].
#[inline]
const fn bucket(gram: u32) -> usize {
    (table::hash(gram) >> 3) as usize
}

impl Prefilter {
    /// Calls `found` with the number and position of every anchor that stands in `text` with its
    /// whole [window](Target::window) and with what stands before it. The order is not that of the
    /// positions.
    pub(in crate::masking) fn search(&self, text: &[u8], mut found: impl FnMut(u16, usize)) {
        match &self.bits {
            _ if self.clues.is_empty() => {}
            Bits::Small(bits) => self.search_runs(bits, text, &mut found),
            Bits::Large(bits) => self.search_runs(bits, text, &mut found),
        }
        let mut rarity = |at: usize| self.check_rarity(text, at, &mut found);
        match *self.rare {
            [] => {}
            [a] => memchr::memchr_iter(a, text).for_each(&mut rarity),
            [a, b] => memchr::memchr2_iter(a, b, text).for_each(&mut rarity),
            [a, b, c, ..] => memchr::memchr3_iter(a, b, c, text).for_each(&mut rarity),
        }
    }

    fn search_runs<const BYTES: usize>(
        &self,
        bits: &[u8; BYTES],
        text: &[u8],
        found: &mut impl FnMut(u16, usize),
    ) {
        let mut base = 0_usize;
        // Between looking up and comparing, no branch depends on the text: it would often be
        // guessed wrong, which costs more than all that is done about a hit.
        let mut noted = [(0_u16, 0_u16); BATCH];
        let mut hits = [0_u16; ROOM];
        loop {
            let batch = text.get(base..).unwrap_or_default();
            let blocks = batch.windows(BLOCK + 2).step_by(BLOCK).take(BATCH);
            let (read, n) = note(bits, blocks, &mut noted);
            if read == 0 {
                break;
            }
            let n = spread(noted.get(..n).unwrap_or_default(), &mut hits);
            let n = self.sift(text, base, hits.get_mut(..n).unwrap_or_default());
            for &at in hits.get(..n).unwrap_or_default() {
                self.check(text, base.wrapping_add(usize::from(at)), found);
            }
            base = base.wrapping_add(read);
        }
        for at in (base..text.len()).step_by(2) {
            let Some(run) = text.get(at..).and_then(<[u8]>::first_chunk::<3>) else {
                break;
            };
            if table::is_set(bits, gram(*run)) {
                self.check(text, at, found);
            }
        }
    }

    /// Moves those of the hits to the front, offsets from `base` in `text`, whose surroundings may
    /// be those of an anchor. Gives how many they are.
    #[inline]
    fn sift(&self, text: &[u8], base: usize, hits: &mut [u16]) -> usize {
        let mut n = 0_usize;
        for i in 0..hits.len() {
            let Some(&hit) = hits.get(i) else { break };
            let at = base.wrapping_add(usize::from(hit)).wrapping_sub(1);
            let agrees = match text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
                Some(eight) => {
                    let [before, a, b, c, after, ..] = *eight;
                    let bucket = self.buckets.get(bucket(gram([a, b, c])));
                    let around = bucket.and_then(|b| self.arounds.get(usize::from(b.around)));
                    around.map_or(0, |around| around.agrees(before, after))
                }
                // At the very ends of the text.
                None => 1,
            };
            if let Some(slot) = hits.get_mut(n) {
                *slot = hit;
            }
            n = n.wrapping_add(agrees as usize);
        }
        n
    }

    /// Looks whether the run at `at` belongs to an anchor.
    fn check(&self, text: &[u8], at: usize, found: &mut impl FnMut(u16, usize)) {
        let Some(run) = text.get(at..).and_then(<[u8]>::first_chunk::<3>) else {
            return;
        };
        let gram = gram(*run);
        let bucket = bucket(gram);
        let (Some(from), Some(to)) = (
            self.buckets.get(bucket),
            self.buckets.get(bucket.wrapping_add(1)),
        ) else {
            return;
        };
        let grams = self
            .grams
            .get(usize::from(from.grams)..usize::from(to.grams));
        for entry in grams.unwrap_or_default() {
            if entry.gram == gram {
                self.compare(entry.clues, text, at, found);
            }
        }
    }

    /// Looks whether one of these clues is right about the run at `at`.
    fn compare(
        &self,
        (from, to): (u16, u16),
        text: &[u8],
        at: usize,
        found: &mut impl FnMut(u16, usize),
    ) {
        let clues = self.clues.get(usize::from(from)..usize::from(to));
        for clue in clues.unwrap_or_default() {
            self.compare_one(*clue, text, at, found);
        }
    }

    /// Looks whether the rare byte at `at` belongs to an anchor.
    fn check_rarity(&self, text: &[u8], at: usize, found: &mut impl FnMut(u16, usize)) {
        let Some(&byte) = text.get(at) else { return };
        for rarity in &self.rarities {
            if rarity.byte == byte {
                self.compare_one(rarity.clue, text, at, found);
            }
        }
    }

    #[inline]
    fn compare_one(&self, clue: Clue, text: &[u8], at: usize, found: &mut impl FnMut(u16, usize)) {
        let number = usize::from(clue.target);
        let Some(start) = at.checked_sub_signed(isize::from(clue.offset)) else {
            return;
        };
        let (Some(sketch), Some(target)) = (self.sketches.get(number), self.targets.get(number))
        else {
            return;
        };
        if sketch.agrees(text, start) && target.stands(text, start) {
            found(clue.target, start);
        }
    }

    /// Bytes of memory that the search occupies.
    pub(in crate::masking) fn memory(&self) -> usize {
        let targets = self
            .targets
            .iter()
            .map(|t| size_of::<Target>().wrapping_add(size_of_val(t.text.sets())))
            .fold(0, usize::wrapping_add);
        [
            size_of::<Self>(),
            targets,
            self.bits.memory(),
            size_of_val(&*self.grams),
            size_of_val(&*self.clues),
            size_of_val(&*self.arounds),
            size_of_val(&*self.sketches),
            size_of_val(&*self.buckets),
            size_of_val(&*self.rarities),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }
}

/// Notes which of these blocks have hits: their offsets and their [hits](table::hits). Gives how
/// many bytes were looked at and how many blocks were noted.
#[inline]
fn note<'a, const BYTES: usize>(
    bits: &[u8; BYTES],
    blocks: impl Iterator<Item = &'a [u8]>,
    noted: &mut [(u16, u16); BATCH],
) -> (usize, usize) {
    let (mut read, mut n) = (0_usize, 0_usize);
    for block in blocks {
        let hits = block
            .first_chunk()
            .map_or(0, |block| table::hits(bits, block));
        if let Some(slot) = noted.get_mut(n) {
            *slot = (read as u16, hits);
        }
        n = n.wrapping_add(usize::from(hits != 0));
        read = read.wrapping_add(BLOCK);
    }
    (read, n)
}

/// From hits as bits to hits as offsets; gives how many they are.
#[inline]
fn spread(noted: &[(u16, u16)], hits: &mut [u16; ROOM]) -> usize {
    let mut n = 0_usize;
    for &(at, bits) in noted {
        let mut left = bits;
        let mut next = || {
            let hit = at.wrapping_add((left.trailing_zeros() as u16).wrapping_mul(2));
            left &= left.wrapping_sub(1);
            hit
        };
        // As a rule there are one or two. Those that are not there are written over.
        if let Some(few) = hits.get_mut(n..).and_then(<[u16]>::first_chunk_mut::<FEW>) {
            few.fill_with(&mut next);
        }
        let count = bits.count_ones() as usize;
        if count > FEW
            && let Some(more) = hits.get_mut(n.wrapping_add(FEW)..n.wrapping_add(count))
        {
            more.fill_with(&mut next);
        }
        n = n.wrapping_add(count);
    }
    n
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
