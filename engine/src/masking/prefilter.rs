//! Finds the few places where a secret could begin, at memory speed.
//!
//! Each detector has literal *anchors* (`ghp_`, `AccountKey`). For each anchor the three bytes that
//! are rarest in text are chosen; they contain exactly one pair of bytes that begins at an even
//! position, wherever the anchor stands. So one look at every second pair, in a bit set of all
//! pairs that matter (8 KiB, stays in the first-level cache), finds every anchor. Hits are few;
//! each is compared with the whole anchor.
//!
//! This beat the alternatives where it counts, inside V8: Aho-Corasick looks at every byte through a
//! table of states (0.4 GB/s there), and its vector searcher exists only for native targets.

/// A literal that a detector's matches contain at a fixed place.
#[derive(Debug, Clone)]
pub(super) struct Anchor {
    /// At least three bytes; lower case if `ignore_case`.
    pub(super) literal: Box<[u8]>,
    /// Whether ASCII letters match in either case.
    pub(super) ignore_case: bool,
}

impl Anchor {
    /// Whether `text` begins with the anchor, or, if it is shorter, with the anchor's first bytes.
    pub(super) fn agrees(&self, text: &[u8]) -> bool {
        let n = self.literal.len().min(text.len());
        match (self.literal.get(..n), text.get(..n)) {
            (Some(a), Some(b)) if self.ignore_case => a.eq_ignore_ascii_case(b),
            (Some(a), Some(b)) => a == b,
            _ => false,
        }
    }
}

/// A pair of bytes that stands `offset` bytes into anchor number `anchor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Clue {
    second: u8,
    offset: u8,
    anchor: u16,
}

/// The compiled search for all anchors of a set.
pub(super) struct Prefilter {
    anchors: Vec<Anchor>,
    pairs: Box<[u64; 1024]>,
    clues: Box<[Vec<Clue>; 256]>,
}

/// Shortest anchor: three bytes are what two neighbouring pairs need.
pub(super) const MIN_ANCHOR: usize = 3;
/// Longest anchor; keeps offsets in a byte and the tail short.
pub(super) const MAX_ANCHOR: usize = 64;

impl Prefilter {
    /// Builds the search. Anchors have between [`MIN_ANCHOR`] and [`MAX_ANCHOR`] bytes.
    pub(super) fn new(anchors: Vec<Anchor>) -> Self {
        let mut this = Self {
            pairs: Box::new([0; 1024]),
            clues: Box::new([const { Vec::new() }; 256]),
            anchors: Vec::new(),
        };
        for (number, anchor) in anchors.iter().enumerate() {
            let Ok(number) = u16::try_from(number) else {
                break;
            };
            let pairs: Vec<(usize, u8, u8)> = anchor
                .literal
                .windows(2)
                .enumerate()
                .filter_map(|(i, w)| Some((i, *w.first()?, *w.get(1)?)))
                .collect();
            let rarest = pairs
                .windows(2)
                .min_by_key(|two| {
                    two.iter()
                        .map(|&(_, a, b)| commonness(a).saturating_mul(commonness(b)))
                        .fold(0_u32, u32::saturating_add)
                })
                .unwrap_or_default();
            for &(offset, a, b) in rarest {
                let offset = u8::try_from(offset).unwrap_or(u8::MAX);
                for first in cases(a, anchor.ignore_case) {
                    for second in cases(b, anchor.ignore_case) {
                        this.add(first, second, offset, number);
                    }
                }
            }
        }
        for list in this.clues.iter_mut() {
            list.sort_unstable();
            list.dedup();
        }
        this.anchors = anchors;
        this
    }

    fn add(&mut self, first: u8, second: u8, offset: u8, anchor: u16) {
        let pair = u16::from_le_bytes([first, second]);
        if let Some(word) = self.pairs.get_mut(usize::from(pair >> 6)) {
            *word |= 1_u64.wrapping_shl(u32::from(pair));
        }
        if let Some(list) = self.clues.get_mut(usize::from(first)) {
            list.push(Clue {
                second,
                offset,
                anchor,
            });
        }
    }

    /// The anchor of this number.
    pub(super) fn anchor(&self, number: u16) -> Option<&Anchor> {
        self.anchors.get(usize::from(number))
    }

    /// Calls `found` with the number and position of every anchor that stands whole in `text`.
    /// The order is that of the clues, not of the positions.
    pub(super) fn search(&self, text: &[u8], mut found: impl FnMut(u16, usize)) {
        let (blocks, _) = text.as_chunks::<32>();
        for (i, block) in blocks.iter().enumerate() {
            if self.any_pair(block) {
                let base = i.wrapping_mul(32);
                self.look(text, base, base.wrapping_add(32), &mut found);
            }
        }
        let base = blocks.len().wrapping_mul(32);
        self.look(text, base, text.len(), &mut found);
    }

    /// Whether one of the sixteen even pairs of a block matters. Without branches, so that the
    /// processor overlaps the sixteen loads.
    #[inline]
    fn any_pair(&self, block: &[u8; 32]) -> bool {
        let (words, _) = block.as_chunks::<8>();
        let mut hit = 0_u64;
        for word in words {
            let word = u64::from_le_bytes(*word);
            hit |= self.bit(word as u16)
                | self.bit((word >> 16) as u16)
                | self.bit((word >> 32) as u16)
                | self.bit((word >> 48) as u16);
        }
        hit & 1 != 0
    }

    /// The pair's membership in the lowest bit; the other bits are noise.
    #[inline]
    fn bit(&self, pair: u16) -> u64 {
        self.pairs
            .get(usize::from(pair >> 6))
            .copied()
            .unwrap_or(0)
            .wrapping_shr(u32::from(pair))
    }

    /// Looks at the even pairs in `from..to` one by one.
    fn look(&self, text: &[u8], from: usize, to: usize, found: &mut impl FnMut(u16, usize)) {
        let (pairs, _) = text.get(from..to).unwrap_or_default().as_chunks::<2>();
        for (i, pair) in pairs.iter().enumerate() {
            if self.bit(u16::from_le_bytes(*pair)) & 1 != 0 {
                let at = from.wrapping_add(i.wrapping_mul(2));
                self.confirm(text, at, *pair, found);
            }
        }
    }

    fn confirm(&self, text: &[u8], at: usize, pair: [u8; 2], found: &mut impl FnMut(u16, usize)) {
        let [first, second] = pair;
        let clues = self.clues.get(usize::from(first));
        for clue in clues.into_iter().flatten().filter(|c| c.second == second) {
            let Some(start) = at.checked_sub(usize::from(clue.offset)) else {
                continue;
            };
            let (Some(anchor), Some(rest)) = (
                self.anchors.get(usize::from(clue.anchor)),
                text.get(start..),
            ) else {
                continue;
            };
            if rest.len() >= anchor.literal.len() && anchor.agrees(rest) {
                found(clue.anchor, start);
            }
        }
    }

    /// Bytes of memory that the search occupies.
    pub(super) fn memory(&self) -> usize {
        let clues = self.clues.iter().map(Vec::len).fold(0, usize::wrapping_add);
        let literals = self
            .anchors
            .iter()
            .map(|a| a.literal.len())
            .fold(0, usize::wrapping_add);
        size_of::<Self>()
            .saturating_add(8192)
            .saturating_add(size_of_val(&*self.clues))
            .saturating_add(clues.saturating_mul(size_of::<Clue>()))
            .saturating_add(literals)
    }
}

fn cases(byte: u8, ignore_case: bool) -> impl Iterator<Item = u8> {
    let other = byte.to_ascii_uppercase();
    [Some(byte), (ignore_case && other != byte).then_some(other)]
        .into_iter()
        .flatten()
}

/// How often a byte stands in prose, code and JSON, very roughly, per thousand and never 0.
fn commonness(byte: u8) -> u32 {
    match byte {
        b' ' => 120,
        b'e' => 80,
        b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 50,
        b'l' | b'd' | b'c' | b'u' | b'm' | b'p' | b'h' | b'"' => 28,
        b'f' | b'g' | b'y' | b'b' | b'w' | b'v' | b'_' | b':' | b'/' | b'.' | b',' => 15,
        b'k' | b'x' | b'-' | b'=' | b'(' | b')' | b'0'..=b'9' => 9,
        b'A'..=b'Z' | b'j' | b'q' | b'z' => 4,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefilter(literals: &[(&str, bool)]) -> Prefilter {
        Prefilter::new(
            literals
                .iter()
                .map(|&(literal, ignore_case)| Anchor {
                    literal: literal.as_bytes().into(),
                    ignore_case,
                })
                .collect(),
        )
    }

    proptest! {
        #[test]
        fn every_anchor_is_found_wherever_it_stands(
            text in proptest::collection::vec(proptest::sample::select(b"abcAB_-. ".to_vec()), 0..200),
        ) {
            let search = prefilter(&[("abc", false), ("a_b", true), ("cab-", true), ("b.a.c", false), ("bca", false)]);
            let mut found = Vec::new();
            search.search(&text, |anchor, at| found.push((at, anchor)));
            found.sort_unstable();
            let mut expected = Vec::new();
            for at in 0..text.len() {
                for (number, anchor) in (0_u16..).zip(&search.anchors) {
                    let end = at + anchor.literal.len();
                    if end <= text.len() && anchor.agrees(&text[at..end]) {
                        expected.push((at, number));
                    }
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
