//! Who is told what is skimmed.

use crate::base::tokens::{
    Sink,
    escape::{self, Escape},
};

/// Where a tokenizer says what it skims: escapes as to a [`Sink`], each in the order of the
/// bytes, and after them all which containers are open.
pub(crate) trait Skimming: Sink {
    /// What matters about the strings that come next; `None` if one of them, or the one that is
    /// open, is of interest wherever it stands.
    fn skims(&self) -> Option<Skims>;

    /// Whether a key that ends with these two bytes may be one that [interests](Self::interests):
    /// 0 if not. If the key has but one, a quote stands before it.
    fn may_interest(&self, last: u8, before: u8) -> u32;

    /// Whether this key or its value is to be told in the calls of [`Sink`].
    fn interests(&self, name: &[u8]) -> bool;

    /// Tells of the escapes that begin at these `places` in `bytes`, which stand at the raw offset
    /// `raw`. Those before `from` were told. Gives where the last one ends.
    fn escapes(&mut self, bytes: &[u8], raw: u64, from: usize, places: &[u32]) -> usize {
        let mut end = from;
        for place in places {
            let at = *place as usize;
            // The second half of a pair was read with the first one.
            if at < end {
                continue;
            }
            if let Escape::Means {
                text,
                len,
                raw: raw_len,
            } = escape::read(bytes.get(at..).unwrap_or_default())
            {
                let text = text.get(..len).unwrap_or_default();
                self.unit(text, raw.wrapping_add(at as u64), raw_len as u32);
                end = at.wrapping_add(raw_len);
            }
        }
        end
    }

    /// These containers are open now.
    fn skimmed(&mut self, containers: Containers);
}

/// What matters to who is told what is skimmed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Skims {
    /// Whether it matters that a string, which is no key, begins with a blank, an escape or a
    /// bracket: such strings are told in the calls of [`Sink`].
    pub(crate) documents: bool,
    /// So many containers are known by more than their brackets: it matters whether one of them
    /// ends.
    pub(crate) known: u8,
}

/// Containers that are open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Containers {
    pub(crate) depth: u8,
    /// So many of them, the outermost ones, are those that were [known](Skims::known).
    pub(crate) known: u8,
    /// The lowest bit is that of the innermost one: 1 for an object.
    pub(super) objects: u64,
}

impl Containers {
    /// Whether that at this depth is an array; that of the outermost is 0.
    pub(crate) fn is_array(self, depth: u8) -> bool {
        let within = self.depth.wrapping_sub(1).wrapping_sub(depth);
        self.objects.wrapping_shr(u32::from(within)) & 1 == 0
    }
}
