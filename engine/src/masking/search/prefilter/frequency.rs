//! How frequent runs of three bytes are in text: of an anchor the rarest are looked for.

use super::runs::gram;
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// Runs of three bytes that are frequent in text, most frequent first: counted, in equal shares,
/// over documentation, Rust, Python, JavaScript, JSON, YAML and manuals.
const FREQUENT: &str = include_str!("frequent.txt");

/// From this sum of [frequencies](Frequencies::of) on runs hit more than one position in eight.
pub(super) const EVERYWHERE: u64 = 1 << 27;

/// How often runs of three bytes occur in text.
pub(super) struct Frequencies(HashMap<u32, u32, BuildHasherDefault<Product>>);

/// Hashes a run by one multiplication. Each run of each anchor is asked for, so a hash that
/// withstands chosen keys took most of the time of building.
#[derive(Default)]
struct Product(u64);

impl Hasher for Product {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        // 2^64 over the golden ratio; the map takes both ends of the hash.
        let product = (self.0 ^ u64::from(number)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ (product >> 32);
    }
}

impl Frequencies {
    pub(super) fn new() -> Self {
        let runs = FREQUENT
            .lines()
            .flat_map(|line| line.as_bytes().as_chunks().0);
        let mut ranks = HashMap::default();
        for (rank, run) in (0..).zip(runs) {
            // Some bytes are alike when cases are; the more frequent run counts.
            ranks.entry(gram(*run)).or_insert(rank);
        }
        Self(ranks)
    }

    /// How often any of these runs occurs, very roughly; `None` if that is not below `limit`.
    pub(super) fn of_all(&self, grams: impl Iterator<Item = u32>, limit: u64) -> Option<u64> {
        let mut sum = 0_u64;
        for gram in grams {
            sum = sum.saturating_add(self.of(gram));
            if sum >= limit {
                return None;
            }
        }
        Some(sum)
    }

    /// How often a run occurs, very roughly, in 2^-30; and what a bit costs that is set for
    /// nothing.
    fn of(&self, gram: u32) -> u64 {
        // Counted: about 0.15 divided by the rank plus 100.
        let by_rank = |rank: u32| {
            let rank = u64::from(rank.saturating_add(100));
            160_000_000_u64.checked_div(rank).unwrap_or(u64::MAX)
        };
        let frequency = match self.0.get(&gram) {
            Some(&rank) => by_rank(rank),
            None => {
                let [run @ .., _] = gram.to_le_bytes();
                let product = run.iter().fold(1_u64, |p, &b| p.saturating_mul(share(b)));
                product.min(by_rank(u32::try_from(self.0.len()).unwrap_or(u32::MAX)))
            }
        };
        frequency.saturating_add(1 << 12)
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
