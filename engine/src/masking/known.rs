//! What was learned at places that are decided, so that text made for it is not read over and over.
//!
//! Two attempts of one rule that are in the same state at the same place see the same from there on. So an attempt that
//! was decided leaves behind where it came by and what it found after that, and a later one that comes by in the same state
//! is decided too. Each byte is then read by as many attempts as there are states that differ, and by those that
//! began less than two waypoints before, not by all that began in the last [`MAX_HELD`](super::MAX_HELD) bytes.
//!
//! What is found does not change, but for one thing. What a rule asks beyond its pattern is asked of each find by
//! itself; a long find that was refused for [`MAX_REFUSALS`] beginnings is taken for a secret at the next.

use super::automaton::State;
use std::collections::BTreeMap;

/// How far apart the places are at which attempts compare their states, in bytes. A power of two; attempts that are
/// younger, such as those of most secrets, never do.
pub(super) const WAYPOINT: usize = 32;
/// Finds of more bytes than this are long.
const LONG: usize = 512;
/// How many beginnings of a long find are refused, with the same end, before the next is masked without being asked about.
/// Text made for it has a beginning at every byte of a find of 8 KiB, and each is asked about all of it.
const MAX_REFUSALS: u32 = 64;
/// Most entries: 256 waypoints in what a text holds, with 64 states each. Of more states than that the later ones are
/// read again by each attempt, which costs more than `cost` counts.
const MAX_ENTRIES: usize = 1 << 14;

/// A place at which an attempt came by, and all that decides what it finds from there on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Waypoint {
    /// Offset in the text.
    pub(super) at: u64,
    pub(super) state: State,
    /// A hash of the tails that are not decided, 0 if all are.
    pub(super) tails: u64,
}

/// What one text remembers of places that were decided, as far as it still holds their bytes. Positions are
/// offsets in the text.
#[derive(Default)]
pub(super) struct Known {
    /// By place and rule: the last end that follows, if one does.
    ends: BTreeMap<(Waypoint, u16), Option<u64>>,
    /// By rule and place: whether its tail matches there.
    tails: BTreeMap<(u16, u64), bool>,
    /// By end and rule: how many long finds were refused.
    refusals: BTreeMap<(u64, u16), u32>,
}

impl Known {
    /// What an attempt of `rule` finds from here on: where its match ends, if it has a longer one. `None` if none was
    /// here before.
    pub(super) fn end(&self, here: Waypoint, rule: u16) -> Option<Option<u64>> {
        if self.ends.is_empty() {
            return None;
        }
        self.ends.get(&(here, rule)).copied()
    }

    /// An attempt of `rule` that came by here is decided, and found its last end only after that, or no more. It had begun
    /// at `begun`, and no later one comes by at places before that: they make room.
    pub(super) fn learn_end(&mut self, here: Waypoint, rule: u16, end: Option<u64>, begun: u64) {
        if self.ends.len() >= MAX_ENTRIES
            && let Some(first) = self.ends.first_entry()
            && first.key().0.at < begun
        {
            first.remove();
        }
        if self.ends.len() < MAX_ENTRIES {
            self.ends.insert((here, rule), end);
        }
    }

    /// Whether the tail of `rule` matches at `at`, if that is known.
    pub(super) fn tail(&self, rule: u16, at: u64) -> Option<bool> {
        if self.tails.is_empty() {
            return None;
        }
        self.tails.get(&(rule, at)).copied()
    }

    /// The tail of `rule` was looked for at `at`.
    pub(super) fn learn_tail(&mut self, rule: u16, at: u64, matches: bool) {
        if self.tails.len() < MAX_ENTRIES {
            self.tails.insert((rule, at), matches);
        }
    }

    /// Whether a find of `length` bytes that ends at `end` is still asked about.
    pub(super) fn may_be_refused(&self, length: usize, end: u64, rule: u16) -> bool {
        let count = || self.refusals.get(&(end, rule)).copied().unwrap_or(0);
        length <= LONG || count() < MAX_REFUSALS
    }

    /// A find was refused.
    pub(super) fn refused(&mut self, length: usize, end: u64, rule: u16) {
        if length > LONG {
            let count = self.refusals.entry((end, rule)).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// Forgets what lies before `at`; all if nothing is held.
    pub(super) fn forget_before(&mut self, at: u64, held: bool) {
        if !held {
            self.ends.clear();
            self.tails.clear();
            self.refusals.clear();
        }
        if !self.ends.is_empty() {
            let first = Waypoint {
                at,
                state: State::FIRST,
                tails: 0,
            };
            self.ends = self.ends.split_off(&(first, 0));
        }
        self.tails.retain(|&(_, place), _| place >= at);
        if !self.refusals.is_empty() {
            self.refusals = self.refusals.split_off(&(at, 0));
        }
    }
}
