//! Sets of bytes, and anchors made of them.

use std::fmt;

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::masking) struct ByteSet([u64; 4]);

impl ByteSet {
    /// No byte.
    pub(in crate::masking) const EMPTY: Self = Self([0; 4]);
    /// Every byte.
    pub(in crate::masking) const ALL: Self = Self([u64::MAX; 4]);

    /// One byte.
    pub(in crate::masking) const fn byte(byte: u8) -> Self {
        Self::EMPTY.with(byte)
    }

    /// The bytes of a list.
    pub(in crate::masking) const fn of(bytes: &[u8]) -> Self {
        let mut set = Self::EMPTY;
        let mut rest = bytes;
        while let [byte, more @ ..] = rest {
            set = set.with(*byte);
            rest = more;
        }
        set
    }

    /// The bytes from `first` to `last`, both included.
    pub(in crate::masking) const fn range(first: u8, last: u8) -> Self {
        let mut set = Self::EMPTY;
        let mut byte = first;
        while byte <= last {
            set = set.with(byte);
            match byte.checked_add(1) {
                Some(next) => byte = next,
                None => break,
            }
        }
        set
    }

    /// A letter in both cases; any other byte alone.
    pub(in crate::masking) const fn either_case(byte: u8) -> Self {
        Self::byte(byte.to_ascii_lowercase()).with(byte.to_ascii_uppercase())
    }

    /// This set and one byte more.
    pub(in crate::masking) const fn with(self, byte: u8) -> Self {
        let bit = 1_u64.wrapping_shl(byte as u32);
        let [a, b, c, d] = self.0;
        Self(match byte >> 6 {
            0 => [a | bit, b, c, d],
            1 => [a, b | bit, c, d],
            2 => [a, b, c | bit, d],
            _ => [a, b, c, d | bit],
        })
    }

    /// The bytes of both sets.
    pub(in crate::masking) const fn union(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a | e, b | f, c | g, d | h])
    }

    /// The bytes that both sets have.
    pub(in crate::masking) const fn common(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a & e, b & f, c & g, d & h])
    }

    /// Whether the set has this byte.
    #[inline]
    pub(in crate::masking) const fn contains(self, byte: u8) -> bool {
        let [a, b, c, d] = self.0;
        let word = match byte >> 6 {
            0 => a,
            1 => b,
            2 => c,
            _ => d,
        };
        word.wrapping_shr(byte as u32) & 1 != 0
    }

    /// How many bytes it has.
    pub(in crate::masking) const fn len(self) -> u32 {
        let [a, b, c, d] = self.0;
        a.count_ones()
            .wrapping_add(b.count_ones())
            .wrapping_add(c.count_ones())
            .wrapping_add(d.count_ones())
    }

    /// Whether it has none.
    pub(in crate::masking) const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The bytes, in order.
    pub(in crate::masking) fn iter(self) -> impl Iterator<Item = u8> + Clone {
        (0..=255).filter(move |&byte| self.contains(byte))
    }

    /// The only byte of a set of one.
    pub(in crate::masking) fn single(self) -> Option<u8> {
        (self.len() == 1).then(|| self.iter().next()).flatten()
    }
}

impl FromIterator<u8> for ByteSet {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Self {
        bytes.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for ByteSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<u8> = self.iter().collect();
        write!(f, "[{}]", bytes.escape_ascii())
    }
}

/// Bytes that stand at a known place in every match of a rule: one set for each position. A
/// literal is the case in which every set has one byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::masking) struct Anchor(Box<[ByteSet]>);

impl Anchor {
    /// A literal.
    pub(in crate::masking) fn literal(text: &str) -> Self {
        Self(text.bytes().map(ByteSet::byte).collect())
    }

    /// A literal whose ASCII letters may stand in either case.
    pub(in crate::masking) fn ignoring_case(text: &str) -> Self {
        Self(text.bytes().map(ByteSet::either_case).collect())
    }

    /// The sets, by position.
    pub(in crate::masking) fn sets(&self) -> &[ByteSet] {
        &self.0
    }

    /// Whether `text` begins with the anchor, or, if it is shorter, with the anchor's first bytes.
    #[inline]
    pub(in crate::masking) fn agrees(&self, text: &[u8]) -> bool {
        self.0.iter().zip(text).all(|(set, &b)| set.contains(b))
    }
}

impl From<Vec<ByteSet>> for Anchor {
    fn from(sets: Vec<ByteSet>) -> Self {
        Self(sets.into())
    }
}

impl fmt::Debug for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for set in &self.0 {
            match set.single() {
                Some(byte) => write!(f, "{}", byte.escape_ascii())?,
                None => fmt::Debug::fmt(set, f)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_set_has_the_bytes_it_was_made_of() {
        let set = ByteSet::range(b'a', b'c').with(0).with(255);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, b'a', b'b', b'c', 255]);
        assert_eq!(set.len(), 5);
        assert_eq!(ByteSet::range(0, 255), ByteSet::ALL);
        assert_eq!(ByteSet::either_case(b'_'), ByteSet::byte(b'_'));
        assert_eq!(ByteSet::either_case(b'K'), ByteSet::of(b"kK"));
        assert_eq!(set.common(ByteSet::of(b"bx")).single(), Some(b'b'));
    }

    #[test]
    fn an_anchor_agrees_with_what_may_become_it() {
        let anchor = Anchor::ignoring_case("Key");
        for text in ["", "k", "KE", "keY", "keyed"] {
            assert!(anchor.agrees(text.as_bytes()), "{text:?}");
        }
        assert!(!anchor.agrees(b"kay"));
        assert!(!Anchor::literal("Key").agrees(b"key"));
    }
}
