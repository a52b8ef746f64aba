//! How frequent runs of three bytes are in text: of an anchor the rarest are looked for.

use super::runs::gram;

/// Runs of three bytes that are frequent in text, most frequent first: counted, in equal shares,
/// over documentation, Rust, Python, JavaScript, JSON, YAML and manuals.
const FREQUENT: &str = include_str!("frequent.txt");

/// From this sum of [frequencies](Frequencies::of) on runs hit more than one position in eight.
pub(super) const EVERYWHERE: u64 = 1 << 27;

/// The least that [`Frequencies::of`] says of any run.
const LEAST: u64 = 1 << 12;

/// Slots of the table, in powers of two: four times as many as there are runs.
const LOG_SLOTS: u32 = 13;

/// How often runs of three bytes occur in text.
///
/// A table with linear probing, as a set of a few hundred detectors asks for some hundred thousand
/// runs: with the standard library's map, whose hash withstands chosen keys, that took most of the
/// time of making a search.
pub(super) struct Frequencies {
    /// Runs with their ranks. No run of three bytes is [`FREE`].
    slots: Box<[(u32, u16)]>,
    runs: u16,
}

const FREE: u32 = u32::MAX;

impl Frequencies {
    pub(super) fn new() -> Self {
        let mut this = Self {
            slots: vec![(FREE, 0); 1 << LOG_SLOTS].into(),
            runs: 0,
        };
        let runs = FREQUENT
            .lines()
            .flat_map(|line| line.as_bytes().as_chunks().0);
        for (rank, run) in (0..).zip(runs) {
            let run = gram(*run);
            // Some bytes are alike when cases are; the more frequent run counts.
            if let Some(slot) = this.slot(run)
                && let Some(free) = this.slots.get_mut(slot)
                && free.0 == FREE
            {
                *free = (run, rank);
                this.runs = this.runs.saturating_add(1);
            }
        }
        this
    }

    /// Where a run stands, or could stand.
    fn slot(&self, run: u32) -> Option<usize> {
        let first = run.wrapping_mul(0x9E37_79B1) >> 32_u32.wrapping_sub(LOG_SLOTS);
        let (before, from) = self.slots.split_at_checked(first as usize)?;
        let ours = |slot: &(u32, u16)| slot.0 == run || slot.0 == FREE;
        match from.iter().position(ours) {
            Some(further) => Some((first as usize).wrapping_add(further)),
            None => before.iter().position(ours),
        }
    }

    /// The rank of a run that is frequent.
    pub(super) fn rank(&self, run: u32) -> Option<u16> {
        let slot = self.slots.get(self.slot(run)?)?;
        (slot.0 == run).then_some(slot.1)
    }

    /// How often a run occurs, very roughly, in 2^-30; and what a bit costs that is set for
    /// nothing.
    pub(super) fn of(&self, gram: u32) -> u64 {
        // Counted: about 0.15 divided by the rank plus 100.
        let by_rank = |rank: u16| {
            let rank = u64::from(rank).saturating_add(100);
            160_000_000_u64.checked_div(rank).unwrap_or(u64::MAX)
        };
        let frequency = match self.rank(gram) {
            Some(rank) => by_rank(rank),
            None => {
                let [run @ .., _] = gram.to_le_bytes();
                let product = run.iter().fold(1_u64, |p, &b| p.saturating_mul(share(b)));
                product.min(by_rank(self.runs))
            }
        };
        frequency.saturating_add(LEAST)
    }

    /// What `of` says of all these `count` runs together, unless that is more than `most`. So many
    /// runs that even the rarest would be too frequent are not looked at.
    pub(super) fn sum(
        &self,
        count: u32,
        most: u64,
        runs: impl Iterator<Item = u32>,
    ) -> Option<u64> {
        if LEAST.saturating_mul(u64::from(count)) > most {
            return None;
        }
        let mut sum = 0_u64;
        for run in runs {
            sum = sum.saturating_add(self.of(run));
            if sum > most {
                return None;
            }
        }
        Some(sum)
    }
}

/// The share of a byte in text, very roughly, in thousandths and never 0.
pub(super) fn share(byte: u8) -> u64 {
    match byte.to_ascii_lowercase() {
        b' ' => 120,
        b'e' => 80,
        b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 50,
        b'l' | b'd' | b'c' | b'u' | b'm' | b'p' | b'h' | b'"' => 28,
        b'f' | b'g' | b'y' | b'b' | b'w' | b'v' | b'_' | b':' | b'/' | b'.' | b',' => 15,
        b'k' | b'x' | b'-' | b'=' | b'(' | b')' | b'0'..=b'9' => 9,
        b'j' | b'q' | b'z' => 4,
        _ => 2,
    }
}
