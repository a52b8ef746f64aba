//! The same search without vectors, one look-up after another: tests compare the two.

use super::{
    Target,
    frequency::{EVERYWHERE, Frequencies},
    runs::{FOLD, Run, folded, gram},
};

/// Above this many an anchor is rather found by a rare byte.
const MANY_RUNS: usize = 256;
/// From this number of clues on the table is the large one.
const LARGE: usize = 2000;

/// A place in a text that may belong to target number `target`, which begins `offset` bytes
/// earlier.
#[derive(Debug, Clone, Copy)]
struct Clue {
    gram: u32,
    target: u16,
    offset: i8,
    /// Of the target; here, so that most hits are refuted by what lies side by side in memory.
    sketch: Sketch,
}

impl Clue {
    /// Whether the first bytes of the target may stand in `text`, in which the run stands at `at`.
    #[inline]
    fn may_be(&self, text: &[u8], at: usize) -> bool {
        let start = at.wrapping_sub_signed(isize::from(self.offset));
        let eight = text.get(start..).and_then(<[u8]>::first_chunk);
        eight.is_none_or(|eight| self.sketch.agrees(*eight))
    }
}

/// The first eight bytes of a target, as far as each is one byte (but for its case): compared at
/// once before any of them is compared exactly.
#[derive(Debug, Clone, Copy)]
struct Sketch {
    /// The bytes, with their case bits set; 0 where more than one may stand.
    bytes: u64,
    /// All bits of the bytes that are known.
    known: u64,
}

impl Sketch {
    fn of(target: &Target) -> Self {
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

    /// Whether a text that begins with these bytes may begin with the target.
    #[inline]
    fn agrees(self, eight: [u8; 8]) -> bool {
        (u64::from_le_bytes(eight) | FOLDED_WORD) & self.known == self.bytes
    }
}

/// The compiled search for all anchors of a set.
pub(super) struct Prefilter {
    targets: Vec<Target>,
    bits: Bits,
    /// Clues in the order of their hashes.
    clues: Vec<Clue>,
    /// For the upper thirteen bits of each hash where its clues begin.
    buckets: Box<[u16; 8193]>,
    /// Bytes that are searched for singly, at most three.
    rare: Vec<u8>,
    /// Targets that have one of them, with its offset: the byte as the clue's gram.
    rarities: Vec<Clue>,
}

/// One bit for each hash of a run that matters. The smaller table stays in the first-level cache
/// whatever else is there; in the larger one few bits of a large set are set for nothing.
enum Bits {
    /// 8 KiB.
    Small(Box<[u8; 8192]>),
    /// 32 KiB.
    Large(Box<[u8; 32768]>),
}

/// Most runs of a set. A tenth of the bit set is full then, and one position in ten is looked at.
const MAX_CLUES: usize = 24_000;
/// Bytes whose runs are looked up without a branch.
const BLOCK: usize = 32;
/// Blocks whose hits are noted before they are looked at.
const BATCH: usize = 64;

const FOLDED_WORD: u64 = 0x2020_2020_2020_2020;

/// The product with 2^24 over the golden ratio (Knuth, TAOCP 6.4), moved to the upper 24 bits; the
/// uppermost ones are the better ones. What stands above the three bytes of the run falls out.
#[inline]
const fn hash(gram: u32) -> u32 {
    gram.wrapping_mul(0x9E37_7900)
}

/// Where the bit of a run stands in a table of 2^`log` bytes: the byte and the bit.
#[inline]
const fn place(gram: u32, log: u32) -> (usize, u32) {
    let upper = hash(gram).wrapping_shr(29_u32.wrapping_sub(log));
    ((upper >> 3) as usize, upper & 7)
}

/// Where the clues of a run begin in [`Prefilter::buckets`].
#[inline]
const fn bucket(gram: u32) -> usize {
    (hash(gram) >> 19) as usize
}

impl Prefilter {
    /// Builds the search.
    ///
    /// # Errors
    /// The number of a target that cannot be searched for, and why.
    pub(super) fn new(targets: Vec<Target>) -> Result<Self, (usize, String)> {
        let mut this = Self {
            targets: Vec::new(),
            bits: Bits::Small(Box::new([0; 8192])),
            clues: Vec::new(),
            buckets: Box::new([0; 8193]),
            rare: Vec::new(),
            rarities: Vec::new(),
        };
        let frequencies = Frequencies::new();
        for (number, target) in (0_u16..).zip(&targets) {
            let sketch = Sketch::of(target);
            let refuse = |reason: &str| Err((usize::from(number), reason.to_owned()));
            let runs = target
                .runs(&frequencies)
                .filter(|(cost, _)| *cost < EVERYWHERE);
            let many = runs.as_ref().is_none_or(|(_, runs)| {
                let all = runs.iter().map(|run| run.grams.len());
                all.fold(0, usize::saturating_add) > MANY_RUNS
            });
            if many
                && let Some((offset, byte)) = target.rare()
                && (this.rare.contains(&byte) || this.rare.len() < 3)
            {
                if !this.rare.contains(&byte) {
                    this.rare.push(byte);
                }
                this.rarities.push(Clue {
                    gram: u32::from(byte),
                    target: number,
                    offset,
                    sketch,
                });
                continue;
            }
            let Some((_, runs)) = runs else {
                return refuse(
                    "it would have to be tried at almost every byte: give it a keyword or a literal beginning",
                );
            };
            for Run { offset, grams } in runs {
                this.clues.extend(grams.into_iter().map(|gram| Clue {
                    gram,
                    target: number,
                    offset,
                    sketch,
                }));
            }
            if this.clues.len() > MAX_CLUES {
                return refuse(
                    "the detectors together have too many beginnings to look for: give them keywords or literal beginnings",
                );
            }
        }
        this.targets = targets;
        this.clues
            .sort_unstable_by_key(|clue| (hash(clue.gram), clue.gram, clue.target, clue.offset));
        if this.clues.len() >= LARGE {
            this.bits = Bits::Large(Box::new([0; 32768]));
        }
        for clue in &this.clues {
            let bits = match &mut this.bits {
                Bits::Small(bits) => bits.as_mut_slice(),
                Bits::Large(bits) => bits.as_mut_slice(),
            };
            let (byte, bit) = place(clue.gram, bits.len().trailing_zeros());
            if let Some(byte) = bits.get_mut(byte) {
                *byte |= 1_u8.wrapping_shl(bit);
            }
            // For now how many there are in each bucket, one further on.
            let bucket = bucket(clue.gram).wrapping_add(1);
            if let Some(count) = this.buckets.get_mut(bucket) {
                *count = count.saturating_add(1);
            }
        }
        let mut sum = 0_u16;
        for bucket in this.buckets.iter_mut() {
            sum = sum.saturating_add(*bucket);
            *bucket = sum;
        }
        Ok(this)
    }

    /// Calls `found` with the number and position of every anchor that stands in `text` with its
    /// whole [window](Target::window). The order is that of the clues, not of the positions.
    pub(super) fn search(&self, text: &[u8], mut found: impl FnMut(u16, usize)) {
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
        // Hits are noted first and looked at later, a batch at a time: a branch for each block
        // would often be guessed wrong.
        let mut noted = [(0_usize, 0_u16); BATCH];
        let mut base = 0_usize;
        loop {
            let rest = text.get(base..).unwrap_or_default();
            let mut n = 0_usize;
            let mut at = base;
            // Each block with the two bytes after it, in which its last run ends.
            for block in rest.windows(BLOCK + 2).step_by(BLOCK).take(BATCH) {
                let hits = block.first_chunk().map_or(0, |block| hits(bits, block));
                if let Some(slot) = noted.get_mut(n) {
                    *slot = (at, hits);
                }
                n = n.wrapping_add(usize::from(hits != 0));
                at = at.wrapping_add(BLOCK);
            }
            for &(at, mut hits) in noted.iter().take(n) {
                while hits != 0 {
                    let at = at.wrapping_add((hits.trailing_zeros() as usize).wrapping_mul(2));
                    self.check(text, at, found);
                    hits &= hits.wrapping_sub(1);
                }
            }
            if at == base {
                break;
            }
            base = at;
        }
        for at in (base..text.len()).step_by(2) {
            let Some(run) = text.get(at..).and_then(<[u8]>::first_chunk::<3>) else {
                break;
            };
            if bit(bits, gram(*run)) != 0 {
                self.check(text, at, found);
            }
        }
    }

    /// Looks whether the run at `at` belongs to an anchor.
    fn check(&self, text: &[u8], at: usize, found: &mut impl FnMut(u16, usize)) {
        let Some(run) = text.get(at..).and_then(<[u8]>::first_chunk::<3>) else {
            return;
        };
        let gram = gram(*run);
        let bucket = bucket(gram);
        let (Some(&from), Some(&to)) = (
            self.buckets.get(bucket),
            self.buckets.get(bucket.wrapping_add(1)),
        ) else {
            return;
        };
        let clues = self.clues.get(usize::from(from)..usize::from(to));
        for clue in clues.unwrap_or_default() {
            if clue.gram == gram && clue.may_be(text, at) {
                self.compare(clue, text, at, found);
            }
        }
    }

    /// Looks whether the rare byte at `at` belongs to an anchor.
    fn check_rarity(&self, text: &[u8], at: usize, found: &mut impl FnMut(u16, usize)) {
        let Some(&byte) = text.get(at) else { return };
        for clue in &self.rarities {
            if clue.gram == u32::from(byte) {
                self.compare(clue, text, at, found);
            }
        }
    }

    #[inline]
    fn compare(&self, clue: &Clue, text: &[u8], at: usize, found: &mut impl FnMut(u16, usize)) {
        let Some(start) = at.checked_sub_signed(isize::from(clue.offset)) else {
            return;
        };
        if let (Some(target), Some(rest)) = (
            self.targets.get(usize::from(clue.target)),
            text.get(start..),
        ) && rest.len() >= target.window()
            && target.text.agrees(rest)
        {
            found(clue.target, start);
        }
    }
}

/// One bit for each of the sixteen even positions of a block, which the next bytes follow. Without
/// branches, so that the processor overlaps the sixteen loads.
#[inline]
fn hits<const BYTES: usize>(bits: &[u8; BYTES], block: &[u8; BLOCK + 2]) -> u16 {
    let runs = block.windows(4).step_by(2).rev();
    runs.fold(0, |hits, run| {
        let run = run.first_chunk().map_or(0, |run| u32::from_le_bytes(*run));
        (hits << 1) | bit(bits, run | FOLD)
    })
}

/// Whether the run in the lowest three bytes, whose case bits are set, may matter, as 0 or 1.
#[inline]
fn bit<const BYTES: usize>(bits: &[u8; BYTES], run: u32) -> u16 {
    let log = const { BYTES.trailing_zeros() };
    let (byte, bit) = place(run, log);
    bits.get(byte).map_or(0, |byte| u16::from(byte >> bit & 1))
}
