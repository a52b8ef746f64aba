//! Offsets in the two kinds of bytes that masking counts, so that none is taken for the other.
//!
//! A body is a stream of *raw* bytes: as it came, but for its content encoding. A *text* is what a
//! format decodes of it, and begins at an offset of 0 of its own wherever it stands. An offset in
//! the bytes at hand, a chunk or what is held, stays a `usize`; [`Window`] says where these stand.
//!
//! Nothing here overflows: an offset stays at the highest or lowest there is. No body is so long.

/// Makes the type of one kind of offset.
macro_rules! offset {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(in crate::masking) struct $name(u64);

        // Each kind has what the other has, whether or not it is used.
        #[allow(dead_code)]
        impl $name {
            /// Where counting begins.
            pub(in crate::masking) const START: Self = Self(0);

            #[inline]
            pub(in crate::masking) const fn new(offset: u64) -> Self {
                Self(offset)
            }

            #[inline]
            pub(in crate::masking) const fn get(self) -> u64 {
                self.0
            }

            /// So many bytes later.
            #[inline]
            pub(in crate::masking) const fn plus(self, bytes: u64) -> Self {
                Self(self.0.saturating_add(bytes))
            }

            /// After so many bytes that are at hand.
            #[inline]
            pub(in crate::masking) const fn after(self, bytes: usize) -> Self {
                self.plus(bytes as u64)
            }

            /// So many bytes earlier; at the beginning if there are not so many.
            #[inline]
            pub(in crate::masking) const fn minus(self, bytes: u64) -> Self {
                Self(self.0.saturating_sub(bytes))
            }

            /// How many bytes it is from `earlier` to here; 0 if that is later.
            #[inline]
            pub(in crate::masking) const fn since(self, earlier: Self) -> u64 {
                self.0.saturating_sub(earlier.0)
            }

            /// Which of the bytes at hand this is, if they begin at `first`. The first if it lies
            /// before them; if it lies too far after them, none that there is.
            #[inline]
            pub(in crate::masking) fn index(self, first: Self) -> usize {
                usize::try_from(self.since(first)).unwrap_or(usize::MAX)
            }

            /// All offsets from here on.
            #[inline]
            pub(in crate::masking) fn on(self) -> impl Iterator<Item = Self> {
                (self.0..).map(Self)
            }
        }
    };
}

offset! {
    /// Offset of a byte in a body as it came.
    RawAt
}

offset! {
    /// Offset of a byte in a decoded text.
    TextAt
}

/// Formats count raw bytes only, and in numbers.
impl From<u64> for RawAt {
    #[inline]
    fn from(offset: u64) -> Self {
        Self(offset)
    }
}

/// What lies from one offset up to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking) struct Span<T> {
    pub(in crate::masking) from: T,
    /// After the last byte.
    pub(in crate::masking) to: T,
}

impl<T: Copy + Ord> Span<T> {
    #[inline]
    pub(in crate::masking) fn new(from: impl Into<T>, to: impl Into<T>) -> Self {
        Self {
            from: from.into(),
            to: to.into(),
        }
    }

    /// Whether there is no byte in it.
    #[inline]
    pub(in crate::masking) fn is_empty(self) -> bool {
        self.to <= self.from
    }

    /// Whether both have a place in common that lies inside of one of them.
    #[inline]
    pub(in crate::masking) fn meets(self, other: Self) -> bool {
        self.from < other.to && other.from < self.to
    }

    /// What both reach over, and what stands between them.
    #[inline]
    pub(in crate::masking) fn joined(self, other: Self) -> Self {
        Self {
            from: self.from.min(other.from),
            to: self.to.max(other.to),
        }
    }
}

impl Span<RawAt> {
    /// How many bytes it has.
    #[inline]
    pub(in crate::masking) fn length(self) -> u64 {
        self.to.since(self.from)
    }
}

/// Bytes of a text that are at hand, and where they stand in it.
#[derive(Clone, Copy)]
pub(in crate::masking) struct Window<'a> {
    pub(in crate::masking) bytes: &'a [u8],
    /// Where the first of them stands.
    pub(in crate::masking) base: TextAt,
}

impl<'a> Window<'a> {
    /// Where in the text the byte at `at` stands.
    #[inline]
    pub(in crate::masking) fn place(self, at: usize) -> TextAt {
        self.base.after(at)
    }

    /// Which of the bytes stands at `place` in the text; the first if that lies before them.
    #[inline]
    pub(in crate::masking) fn at(self, place: TextAt) -> usize {
        place.index(self.base)
    }

    /// The first bytes of it.
    #[inline]
    pub(in crate::masking) fn up_to(self, end: usize) -> Option<Window<'a>> {
        let bytes = self.bytes.get(..end)?;
        Some(Window { bytes, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn offsets_stay_in_their_bounds() {
        let (first, last) = (RawAt::START, RawAt::new(u64::MAX));
        assert_eq!(last.plus(1), last);
        assert_eq!(first.minus(1), first);
        assert_eq!(first.since(last), 0);
        assert!(first.on().take(2).eq([first, first.plus(1)]));
    }

    #[test]
    fn spans_meet_where_they_have_a_byte_in_common() {
        let span = |from: u64, to: u64| Span::<RawAt>::new(from, to);
        for (a, b, meets) in [
            (span(0, 4), span(4, 8), false),
            (span(0, 5), span(4, 8), true),
            (span(4, 4), span(0, 8), true),
            (span(4, 4), span(4, 8), false),
            (span(4, 8), span(4, 8), true),
        ] {
            assert_eq!((a.meets(b), b.meets(a)), (meets, meets), "{a:?} {b:?}");
        }
        assert_eq!(span(0, 4).joined(span(6, 8)), span(0, 8));
    }
}
