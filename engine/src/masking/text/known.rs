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

use crate::masking::search::automaton::State;
use std::collections::BTreeMap;

/// How far apart the places are at which attempts compare their states, in bytes. A power of two;
/// attempts that are younger, such as those of most secrets, never do.
pub(in crate::masking) const WAYPOINT: usize = 32;
/// Finds of more bytes than this are long.
const LONG: usize = 512;
/// How many beginnings of a long find are refused, with the same end, before the next is masked
/// without being asked about. Text made for it has a beginning at every byte of a find of 8 KiB,
/// and each is asked about all of it.
const MAX_REFUSALS: u32 = 64;
/// In how many states rules with the same anchor may come by at one place so that each is
/// remembered; what counts on being in more is refused at publish (`cost`), because each attempt
/// would read on.
pub(in crate::masking) const MAX_STATES: usize = 640;
/// Most places that are remembered with states: 256 waypoints in what a text holds, and
/// [`MAX_STATES`] at each.
const MAX_ENDS: usize = 256 * MAX_STATES;
/// Most tails that wait at all remembered places. Beyond that attempts are not compared, and read
/// on.
pub(in crate::masking) const MAX_WAITING: usize = 1 << 16;
/// Most places where a tail was looked for: twice what a text holds, as rules may share them.
const MAX_TAILS: usize = 1 << 14;
/// Most ends of long finds of which refusals are counted. At others a long find is masked without
/// being asked about.
const MAX_REFUSED: usize = 1 << 12;

/// Tails that are not decided: their states, and how many bytes before the place they began.
pub(in crate::masking) type Waiting = Box<[(State, u16)]>;

/// A place at which an attempt came by, and all that decides what it finds from there on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::masking) struct Waypoint {
    /// Offset in the text.
    pub(in crate::masking) at: u64,
    /// The number of the rule.
    pub(in crate::masking) rule: u16,
    pub(in crate::masking) state: State,
    /// Compared whole: were it by a hash, two that differ could be taken for one, and a secret be
    /// missed.
    pub(in crate::masking) waiting: Waiting,
}

/// Where the last end lies that follows a place, counted from there (it lies before it where a tail
/// waited), if one does.
type End = Option<i16>;
/// A rule, its state, and the end.
type Entry = ((u16, State), End);

/// What one text remembers of places that were decided, as far as it still holds their bytes.
/// Positions are offsets in the text.
#[derive(Default)]
pub(in crate::masking) struct Known {
    /// By place, and there sorted by rule and state, where no tail waits. 8 bytes each, 2 MiB at
    /// most.
    ends: BTreeMap<u64, Vec<Entry>>,
    /// How many `ends` has.
    count: usize,
    /// Where tails wait.
    waiting: BTreeMap<Waypoint, End>,
    /// How many wait at these places.
    all_waiting: usize,
    /// By place and rule: whether its tail matches there.
    tails: BTreeMap<(u64, u16), bool>,
    /// By end and rule: how many long finds were refused.
    refusals: BTreeMap<(u64, u16), u32>,
}

impl Known {
    /// What an attempt finds from here on: where its match ends, if it has a longer one. `None` if
    /// none was here before.
    pub(in crate::masking) fn end(&self, here: &Waypoint) -> Option<Option<u64>> {
        let end = match here.waiting.is_empty() {
            true => {
                let place = self.ends.get(&here.at)?;
                let found = place.binary_search_by_key(&(here.rule, here.state), |&(key, _)| key);
                found.ok().and_then(|i| place.get(i)).map(|(_, end)| end)
            }
            false => self.waiting.get(here),
        };
        end.map(|end| end.map(|end| here.at.saturating_add_signed(end.into())))
    }

    /// An attempt that came by here is decided, and found its last end only after that, or no more.
    /// It had begun at `begun`, and no later one comes by at places before that: they make room.
    pub(in crate::masking) fn learn_end(&mut self, here: &Waypoint, end: Option<u64>, begun: u64) {
        if self.count >= MAX_ENDS || self.all_waiting >= MAX_WAITING {
            self.forget_ends(begun);
        }
        let distance = |end: u64| {
            let distance = i64::try_from(end).ok()?;
            i16::try_from(distance.checked_sub_unsigned(here.at)?).ok()
        };
        let end = match end.map(distance) {
            Some(None) => return,
            Some(end) => end,
            None => None,
        };
        if here.waiting.is_empty() {
            if self.count < MAX_ENDS {
                let place = self.ends.entry(here.at).or_default();
                let key = (here.rule, here.state);
                if let Err(i) = place.binary_search_by_key(&key, |&(key, _)| key) {
                    place.insert(i, (key, end));
                    self.count = self.count.saturating_add(1);
                }
            }
        } else if self.all_waiting.saturating_add(here.waiting.len()) <= MAX_WAITING
            && self.waiting.insert(here.clone(), end).is_none()
        {
            self.all_waiting = self.all_waiting.saturating_add(here.waiting.len());
        }
    }

    fn forget_ends(&mut self, before: u64) {
        while let Some(first) = self.ends.first_entry().filter(|e| *e.key() < before) {
            self.count = self.count.saturating_sub(first.get().len());
            first.remove();
        }
        while let Some(first) = self.waiting.first_entry().filter(|e| e.key().at < before) {
            self.all_waiting = self.all_waiting.saturating_sub(first.key().waiting.len());
            first.remove();
        }
    }

    /// Whether the tail of `rule` matches at `at`, if that is known.
    pub(in crate::masking) fn tail(&self, rule: u16, at: u64) -> Option<bool> {
        if self.tails.is_empty() {
            return None;
        }
        self.tails.get(&(at, rule)).copied()
    }

    /// The tail of `rule` was looked for at `at`.
    pub(in crate::masking) fn learn_tail(&mut self, rule: u16, at: u64, matches: bool) {
        if self.tails.len() < MAX_TAILS {
            self.tails.insert((at, rule), matches);
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
        if !self.tails.is_empty() {
            self.tails = self.tails.split_off(&(at, 0));
        }
        if !self.refusals.is_empty() {
            self.refusals = self.refusals.split_off(&(at, 0));
        }
    }
}
