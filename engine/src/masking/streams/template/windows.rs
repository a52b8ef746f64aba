//! Slots of many events, searched for anchors in one pass.
//!
//! A secret that a template does not have begins because of an anchor that lies at least in part in
//! a slot, if no context goes on into the slot. Which anchors could lie over its edge is a question
//! of what stands around it, which is always the same: nearly always none. So most windows are the
//! slot and one byte before it, and a pass over a kilobyte of them costs less than discovery in two
//! of them.

use crate::masking::{bodies::plan::Plan, detectors::rule::BEHIND, search::set::DetectorSet};

/// The windows of a template, and what was gathered of them.
#[derive(Default)]
pub(super) struct Windows {
    /// By the numbers of their slots.
    of: Vec<(usize, Window)>,
    text: Vec<u8>,
    /// Where in the text what was added of an event ends, and the event.
    ends: Vec<(usize, usize)>,
    places: Vec<usize>,
}

/// What is searched with a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    before: usize,
    after: usize,
}

/// What stands at one side of a slot, up to the next slot there, and whether the text begins or
/// ends with it.
type Side<'a> = (&'a [u8], bool);

impl Default for Window {
    /// An anchor may be found only behind a certain byte.
    fn default() -> Self {
        Self {
            before: 1,
            after: 0,
        }
    }
}

impl Window {
    /// Makes it so wide that an anchor of this set which lies in part in the slot, whatever that
    /// says, lies in the window. `None` if that cannot be said, or if what stands in the slot could
    /// mean something for an anchor behind it.
    pub(super) fn widen(
        &mut self,
        set: &DetectorSet,
        (before, is_first): Side<'_>,
        (after, is_last): Side<'_>,
    ) -> Option<()> {
        let next = after.first();
        let mut runs = set.runs.iter();
        if runs.any(|run| next.is_none_or(|&byte| run.class.contains(byte))) {
            return None;
        }
        for head in &set.heads {
            let sets = head.text.sets();
            for at in 1..sets.len() {
                let (begin, end) = sets.split_at_checked(at)?;
                let agrees = begin.iter().rev().zip(before.iter().rev());
                if agrees.into_iter().all(|(set, byte)| set.contains(*byte)) {
                    match begin.len() <= before.len() {
                        true => self.before = self.before.max(begin.len().saturating_add(1)),
                        false if is_first => {}
                        false => return None,
                    }
                }
                let mut agrees = end.iter().zip(after);
                if agrees.all(|(set, byte)| set.contains(*byte)) {
                    match end.len() <= after.len() {
                        true => self.after = self.after.max(end.len()),
                        false if is_last => {}
                        false => return None,
                    }
                }
            }
            // What begins so near behind the slot asks what stands in it.
            for at in 0..BEHIND {
                let after = after.get(at..).unwrap_or_default();
                let mut agrees = sets.iter().zip(after);
                let stands = agrees.all(|(set, byte)| set.contains(*byte));
                if stands && (sets.len() <= after.len() || !is_last) {
                    return None;
                }
            }
        }
        (self.before <= before.len()).then_some(())
    }
}

impl Windows {
    pub(super) fn insert(&mut self, slot: usize, window: Window) {
        self.of.push((slot, window));
    }

    /// Adds a slot of the `number`th event, which is at this place. `false` if it has no window.
    pub(super) fn add(
        &mut self,
        number: usize,
        slot: usize,
        event: &[u8],
        (from, to): (usize, usize),
    ) -> bool {
        let Some((_, window)) = self.of.iter().find(|(of, _)| *of == slot) else {
            return false;
        };
        let from = from.saturating_sub(window.before);
        let to = to.saturating_add(window.after);
        self.text
            .extend_from_slice(event.get(from..to).unwrap_or_default());
        self.ends.push((self.text.len(), number));
        true
    }

    /// Searches what was added, and appends the events, in order, in which an anchor may stand.
    pub(super) fn search(&mut self, plan: &Plan, found: &mut Vec<usize>) {
        self.places.clear();
        for set in std::iter::once(&plan.acting).chain(&plan.reporting) {
            set.candidates(&self.text, &mut self.places);
        }
        let events = self.places.iter().filter_map(|&place| {
            let next = self.ends.partition_point(|&(end, _)| end <= place);
            self.ends.get(next).map(|&(_, event)| event)
        });
        found.extend(events);
        found.sort_unstable();
        found.dedup();
        self.text.clear();
        self.text.shrink_to(512);
        self.ends.clear();
        self.ends.shrink_to(32);
    }
}
