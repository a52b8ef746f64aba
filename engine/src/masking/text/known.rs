//! What was learned at places that are decided, so that text made for it is not read over and over.
//!
//! Two attempts of one rule that are in the same state at the same place see the same from there
//! on. So an attempt that was decided leaves behind where it came by and what it found after that,
//! and a later one that comes by in the same state is decided too. Each byte is then read by as
//! many attempts as there are states that differ, and by those that began less than two waypoints
//! before, not by all that began in the last [`MAX_HELD`](crate::masking::MAX_HELD) bytes.
//!
//! What is found does not change, but for one thing. What a rule asks beyond its pattern is asked
//! of each find by itself; a long find that was refused for [`MAX_REFUSALS`] beginnings is taken
//! for a secret at the next, and so is one whose end is beyond the first [`MAX_REFUSED`] at which
//! long finds were refused, among the bytes that a text holds.

use super::{reading::MAX_STATES, tails::Tails};
use crate::masking::search::automaton::State;
use std::collections::BTreeMap;

/// Finds of more bytes than this are long.
const LONG: usize = 512;
/// How many beginnings of a long find are refused, with the same end, before the next is masked
/// without being asked about. Text made for it has a beginning at every byte of a find of 8 KiB,
/// and each is asked about all of it.
const MAX_REFUSALS: u32 = 64;
/// Most places that are remembered with states: 256 waypoints in what a text holds, and
/// [`MAX_STATES`] at each.
const MAX_ENDS: usize = 256 * MAX_STATES;
/// Most ends of long finds of which refusals are counted. At others a long find is masked without
/// being asked about.
const MAX_REFUSED: usize = 1 << 12;

/// A place at which an attempt came by. Its state there and the text decide which ends it has from
/// there on; where its secret might have ended before does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking) struct Waypoint {
    /// Offset in the text.
    pub(in crate::masking) at: u64,
    /// The number of the rule.
    pub(in crate::masking) rule: u16,
    pub(in crate::masking) state: State,
}

/// Where a secret ends, and where that is known: the offset of the byte that said so. The latter
/// counts for rules whose first end counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking) struct End {
    pub(in crate::masking) at: u64,
    pub(in crate::masking) known: u64,
}

/// An end that follows a place, counted from there; [`NO_END`] if none does.
type Distances = (u16, u16);
const NO_END: Distances = (u16::MAX, u16::MAX);
/// A rule, its state, and the end.
type Entry = ((u16, State), Distances);

/// What one text remembers of places that were decided, as far as it still holds their bytes.
/// Positions are offsets in the text.
#[derive(Default)]
pub(in crate::masking) struct Known {
    /// By place, and there sorted by rule and state. 8 bytes each.
    ends: BTreeMap<u64, Vec<Entry>>,
    /// How many `ends` has.
    count: usize,
    /// Where what must follow secrets stands.
    pub(super) tails: Tails,
    /// By end and rule: how many long finds were refused.
    refusals: BTreeMap<(u64, u16), u32>,
}

impl Known {
    /// Where the match of an attempt ends that is here, if that is at this place or after it.
    /// `None` if none was here before.
    pub(in crate::masking) fn end(&self, here: &Waypoint) -> Option<Option<End>> {
        let place = self.ends.get(&here.at)?;
        let key = (here.rule, here.state);
        let found = place.binary_search_by_key(&key, |&(key, _)| key).ok()?;
        let &(_, distances) = place.get(found)?;
        let (at, known) = distances;
        Some((distances != NO_END).then(|| End {
            at: here.at.saturating_add(at.into()),
            known: here.at.saturating_add(known.into()),
        }))
    }

    /// An attempt that came by here is decided, and its match ends at this place or after it, or it
    /// has no such end. It had begun at `begun`, and no later one comes by at places before that:
    /// they make room.
    pub(in crate::masking) fn learn_end(&mut self, here: &Waypoint, end: Option<End>, begun: u64) {
        if self.count >= MAX_ENDS {
            self.forget_ends(begun);
        }
        let distance = |to: u64| u16::try_from(to.checked_sub(here.at)?).ok();
        let end = match end {
            None => Some(NO_END),
            Some(end) => distance(end.at).zip(distance(end.known)),
        };
        let Some(end) = end.filter(|_| self.count < MAX_ENDS) else {
            return;
        };
        let place = self.ends.entry(here.at).or_default();
        let key = (here.rule, here.state);
        if let Err(i) = place.binary_search_by_key(&key, |&(key, _)| key) {
            place.insert(i, (key, end));
            self.count = self.count.saturating_add(1);
        }
    }

    fn forget_ends(&mut self, before: u64) {
        while let Some(first) = self.ends.first_entry().filter(|e| *e.key() < before) {
            self.count = self.count.saturating_sub(first.get().len());
            first.remove();
        }
    }

    /// Whether a find of `length` bytes that ends at `end` is still asked about.
    pub(in crate::masking) fn may_be_refused(&self, length: usize, end: u64, rule: u16) -> bool {
        length <= LONG
            || match self.refusals.get(&(end, rule)) {
                Some(&count) => count < MAX_REFUSALS,
                None => self.refusals.len() < MAX_REFUSED,
            }
    }

    /// A find was refused.
    pub(in crate::masking) fn refused(&mut self, length: usize, end: u64, rule: u16) {
        if length > LONG {
            let count = self.refusals.entry((end, rule)).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// Forgets what lies before `at`; all if nothing is held.
    pub(in crate::masking) fn forget_before(&mut self, at: u64, held: bool) {
        if !held {
            *self = Self::default();
        }
        self.forget_ends(at);
        self.tails.forget_before(at);
        if !self.refusals.is_empty() {
            self.refusals = self.refusals.split_off(&(at, 0));
        }
    }
}
