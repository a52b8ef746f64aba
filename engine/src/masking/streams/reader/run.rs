//! Events that are like one of the last, before their texts are read.

use super::template::At;

/// What is kept from run to run, in elements.
const KEPT: usize = 32;

/// Such events, in order. Kept for its memory.
#[derive(Clone, Default)]
pub(super) struct Run {
    /// Where they end.
    pub(super) ends: Vec<usize>,
    /// Which template each is like, by its number.
    pub(super) like: Vec<usize>,
    /// Where their slots are.
    pub(super) places: Vec<At>,
    /// Those that have to be looked at on their own, by their numbers.
    pub(super) doubtful: Vec<usize>,
}

/// How far events were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking::streams) struct Passed {
    /// How many bytes.
    pub(in crate::masking::streams) length: usize,
    /// Where in them the last event begins.
    pub(in crate::masking::streams) last: usize,
}

impl Run {
    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.ends.clear();
        self.ends.shrink_to(KEPT);
        self.like.clear();
        self.like.shrink_to(KEPT);
        self.places.clear();
        self.places.shrink_to(KEPT);
        self.doubtful.clear();
        self.doubtful.shrink_to(KEPT);
    }
}
