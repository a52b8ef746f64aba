//! What was learned at places that are decided, so that text made for it is not read over and over.
//!
//! Two attempts of one rule that are in the same state at the same place see the same from there
//! on. So an attempt that was decided leaves behind where it came by and what it found after that,
//! and a later one that comes by in the same state is decided too. Each byte is then read by as
//! many attempts as there are states that differ, and by those that began less than two waypoints
//! before, not by all that began in the last [`MAX_HELD`](crate::masking::MAX_HELD) bytes.
//!
//! What is found does not change, but for one thing. What a rule asks beyond its pattern is asked
//! of each find by itself. A long find that was refused for [`MAX_REFUSALS`] beginnings is taken
//! for a secret at the next; and so is a find of a custom detector where asking has cost too much
//! in the text before it ([`Asked`]). Both are statements about the text.

use super::{reading::MAX_STATES, tails::Tails};
use crate::masking::{
    bodies::fault::Fault,
    detectors::rule::Check,
    offsets::{Span, TextAt},
    search::automaton::State,
};
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
/// How many ends of long finds are remembered before those that are passed make room.
const MANY: usize = 1 << 12;
/// What asking about finds may cost at once, in steps: two milliseconds.
const MAX_ASKED: u64 = 1 << 20;
/// What it may cost for each byte of a text. In 64 bytes of text made for it there are 64 finds,
/// each is asked about all of its bytes and 512 before them, and a policy can ask a lot. A find of
/// 40 bytes of a rule that asks for entropy and 1,400 stopwords costs a thousand.
const ASKED_EACH: u64 = 1 << 11;

/// A place at which an attempt came by. Its state there and the text decide which ends it has from
/// there on; where its secret might have ended before does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking) struct Waypoint {
    pub(in crate::masking) at: TextAt,
    /// The number of the rule.
    pub(in crate::masking) rule: u16,
    pub(in crate::masking) state: State,
}

/// Where a secret ends, and where that is known: the offset of the byte that said so. The latter
/// counts for rules whose first end counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking) struct End {
    pub(in crate::masking) at: TextAt,
    pub(in crate::masking) known: TextAt,
}

/// An end that follows a place, counted from there; [`NO_END`] if none does.
type Distances = (u16, u16);
const NO_END: Distances = (u16::MAX, u16::MAX);
/// A rule, its state, and the end.
type Entry = ((u16, State), Distances);

/// What one text remembers of places that were decided, as far as it still holds their bytes.
/// Positions are offsets in the text.
#[derive(Clone, Default)]
pub(in crate::masking) struct Known {
    /// By place, and there sorted by rule and state. 8 bytes each.
    ends: BTreeMap<TextAt, Vec<Entry>>,
    /// How many `ends` has.
    count: usize,
    /// Where what must follow secrets stands.
    pub(super) tails: Tails,
    /// By end and rule: how many long finds were refused.
    refusals: BTreeMap<(TextAt, u16), u32>,
    asked: Asked,
    /// What those that read the text have come to that cannot be; for the desk.
    pub(super) fault: Fault,
}

/// What asking about finds has cost in one text, less what it may cost for each of its bytes.
#[derive(Default, Clone, Copy)]
struct Asked {
    cost: u64,
    /// The place up to which that is known.
    at: TextAt,
}

impl Asked {
    /// What it has cost before the place `at`.
    fn before(self, at: TextAt) -> u64 {
        let bytes = at.since(self.at);
        self.cost.saturating_sub(bytes.saturating_mul(ASKED_EACH))
    }
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
            at: here.at.plus(at.into()),
            known: here.at.plus(known.into()),
        }))
    }

    /// An attempt that came by here is decided, and its match ends at this place or after it, or it
    /// has no such end. It had begun at `begun`, and no later one comes by at places before that:
    /// they make room.
    pub(in crate::masking) fn learn_end(
        &mut self,
        here: &Waypoint,
        end: Option<End>,
        begun: TextAt,
    ) {
        if self.count >= MAX_ENDS {
            self.forget_ends(begun);
        }
        let distance = |to: TextAt| match to >= here.at {
            true => u16::try_from(to.since(here.at)).ok(),
            false => None,
        };
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

    fn forget_ends(&mut self, before: TextAt) {
        while let Some(first) = self.ends.first_entry().filter(|e| *e.key() < before) {
            self.count = self.count.saturating_sub(first.get().len());
            first.remove();
        }
    }

    /// Whether the rule's `check` is asked about a find, of `length` bytes.
    pub(in crate::masking) fn ask(
        &mut self,
        find: Span<TextAt>,
        length: usize,
        rule: u16,
        check: &Check,
    ) -> bool {
        let alike = || self.refusals.get(&(find.to, rule)).copied().unwrap_or(0);
        if length > LONG && alike() >= MAX_REFUSALS {
            return false;
        }
        // Built-in rules ask for little, and have no need of a bound on it.
        if let Check::Found { .. } = check {
            let cost = self.asked.before(find.from);
            if cost >= MAX_ASKED {
                return false;
            }
            let cost = cost.saturating_add(check.cost(length));
            self.asked = Asked {
                cost,
                at: find.from,
            };
        }
        true
    }

    /// A find, of `length` bytes, was refused.
    pub(in crate::masking) fn refused(&mut self, find: Span<TextAt>, length: usize, rule: u16) {
        if length > LONG {
            if self.refusals.len() >= MANY {
                self.refusals = self.refusals.split_off(&(find.from, 0));
            }
            let count = self.refusals.entry((find.to, rule)).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// Forgets what lies before `at`; all if nothing is held, but not what asking has cost.
    pub(in crate::masking) fn forget_before(&mut self, at: TextAt, held: bool) {
        if !held {
            *self = Self {
                asked: self.asked,
                ..Self::default()
            };
        }
        self.forget_ends(at);
        self.tails.forget_before(at);
        if !self.refusals.is_empty() {
            self.refusals = self.refusals.split_off(&(at, 0));
        }
    }
}
