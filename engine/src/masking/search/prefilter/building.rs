//! From targets to a search for them.

use super::{
    Prefilter, Rarity, Target,
    clues::{Around, Bucket, Clue, Gram, Sketch},
    frequency::{EVERYWHERE, Frequencies},
    table::{Bits, hash},
};
use std::collections::HashMap;

/// Above this many runs an anchor is rather found by a rare byte.
const MANY_RUNS: usize = 256;
/// Most runs of a set. A tenth of the bit set is full then, and one position in ten is looked at.
const MAX_CLUES: usize = 24_000;
/// Most bytes that are searched for singly.
const MAX_RARE: usize = 3;

/// A search while it is built: targets come one by one, in the order of their numbers.
pub(in crate::masking) struct Building {
    frequencies: Frequencies,
    sketches: Vec<Sketch>,
    clues: Vec<(u32, Clue)>,
    /// Of the clues of a target at one offset all are alike.
    arounds: HashMap<Clue, Around>,
    rare: Vec<u8>,
    rarities: Vec<Rarity>,
}

impl Building {
    pub(in crate::masking) fn new() -> Self {
        Self {
            frequencies: Frequencies::new(),
            sketches: Vec::new(),
            clues: Vec::new(),
            arounds: HashMap::new(),
            rare: Vec::new(),
            rarities: Vec::new(),
        }
    }

    /// Adds a target.
    ///
    /// # Errors
    /// Its number, and why it cannot be searched for.
    pub(in crate::masking) fn add(
        &mut self,
        number: u16,
        target: &Target,
    ) -> Result<(), (usize, String)> {
        let refuse = |reason: &str| Err((usize::from(number), reason.to_owned()));
        self.sketches.push(Sketch::of(target));
        let runs = target
            .runs(&self.frequencies)
            .filter(|(cost, _)| *cost < EVERYWHERE);
        let many = runs.as_ref().is_none_or(|(_, runs)| {
            let all = runs.iter().map(|run| run.grams.len());
            all.fold(0, usize::saturating_add) > MANY_RUNS
        });
        if many
            && let Some((offset, byte)) = target.rare()
            && (self.rare.contains(&byte) || self.rare.len() < MAX_RARE)
        {
            if !self.rare.contains(&byte) {
                self.rare.push(byte);
            }
            let clue = Clue {
                target: number,
                offset,
            };
            self.rarities.push(Rarity { byte, clue });
            return Ok(());
        }
        let Some((_, runs)) = runs else {
            return refuse(
                "it would have to be tried at almost every byte: give it a keyword or a literal beginning",
            );
        };
        for run in runs {
            let clue = Clue {
                target: number,
                offset: run.offset,
            };
            self.arounds.insert(clue, Around::of(target, run.offset));
            self.clues
                .extend(run.grams.into_iter().map(|gram| (gram, clue)));
        }
        if self.clues.len() > MAX_CLUES {
            return refuse(
                "the detectors together have too many beginnings to look for: give them keywords or literal beginnings",
            );
        }
        Ok(())
    }

    /// The search for these targets, which have all been added.
    pub(in crate::masking) fn finish(self, targets: Vec<Target>) -> Prefilter {
        let Self {
            mut clues, arounds, ..
        } = self;
        clues.sort_unstable_by_key(|&(gram, clue)| (hash(gram), gram, clue));
        let mut this = Prefilter {
            targets,
            bits: Bits::of(clues.iter().map(|(gram, _)| *gram)),
            grams: Vec::new(),
            clues: Vec::with_capacity(clues.len()),
            arounds: Vec::new(),
            sketches: self.sketches,
            buckets: Box::new([Bucket::default(); 8193]),
            rare: self.rare,
            rarities: self.rarities,
        };
        let mut numbers = HashMap::new();
        for same in clues.chunk_by(|(a, _), (b, _)| super::bucket(*a) == super::bucket(*b)) {
            let from = count(this.grams.len());
            for alike in same.chunk_by(|(a, _), (b, _)| a == b) {
                let begin = count(this.clues.len());
                this.clues.extend(alike.iter().map(|(_, clue)| *clue));
                if let Some(&(gram, _)) = alike.first() {
                    let clues = (begin, count(this.clues.len()));
                    this.grams.push(Gram { gram, clues });
                }
            }
            let known = same.iter().filter_map(|(_, clue)| arounds.get(clue));
            let (Some(around), Some((gram, _))) = (known.copied().reduce(Around::or), same.first())
            else {
                continue;
            };
            let around = *numbers.entry(around).or_insert_with(|| {
                this.arounds.push(around);
                count(this.arounds.len()).wrapping_sub(1)
            });
            if let Some(bucket) = this.buckets.get_mut(super::bucket(*gram)) {
                *bucket = Bucket {
                    grams: from,
                    around,
                };
            }
        }
        // Empty buckets begin where the next ones do.
        let mut next = count(this.grams.len());
        let mut later = clues
            .iter()
            .rev()
            .map(|(gram, _)| super::bucket(*gram))
            .peekable();
        for (number, bucket) in this.buckets.iter_mut().enumerate().rev() {
            match later.peek() {
                Some(used) if *used == number => next = bucket.grams,
                _ => bucket.grams = next,
            }
            while later.next_if(|used| *used == number).is_some() {}
        }
        this.grams.shrink_to_fit();
        this.arounds.shrink_to_fit();
        this
    }
}

/// An index, or how many there are; never more than [`MAX_CLUES`].
fn count(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}
