//! Slots of many events, searched for anchors in one pass.
//!
//! A secret that a template does not have begins because of an anchor that lies at least in part in
//! a slot, if no context goes on into the slot. Which anchors could lie over its edge is a question
//! of what stands around it, which is always the same: nearly always none. So most windows are the
//! slot and one byte before it, and a pass over a kilobyte of them costs less than discovery in two
//! of them.

use crate::masking::{
    bodies::plan::Plan,
    detectors::rule::BEHIND,
    search::{bytes::ByteSet, set::DetectorSet},
    text::fold,
};

/// The windows of a template, and what was gathered of them.
#[derive(Clone, Default)]
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
        let mut runs = set.runs.iter();
        let next = after.first();
        if runs.any(|run| next.is_none_or(|&byte| run.class.contains(byte))) {
            return None;
        }
        let (last, next) = (before.last(), after.first());
        let has = |set: &ByteSet, byte: Option<&u8>| byte.is_none_or(|byte| set.contains(*byte));
        for head in &set.heads {
            let sets = head.text.sets();
            for (at, pair) in (1..).zip(sets.windows(2)) {
                let &[left, right] = pair else { continue };
                // Nearly no anchor goes on over a quote.
                if has(&left, last) {
                    self.widen_before(sets.get(..at)?, before, is_first)?;
                }
                if has(&right, next) {
                    self.widen_after(sets.get(at..)?, after, is_last)?;
                }
            }
            // What begins so near behind the slot asks what stands in it.
            for at in 0..BEHIND.min(after.len().saturating_add(1)) {
                let after = after.get(at..).unwrap_or_default();
                let stands = agree(sets.iter(), after.iter());
                if stands && (sets.len() <= after.len() || !is_last) {
                    return None;
                }
            }
        }
        (self.before <= before.len()).then_some(())
    }

    /// The beginning of an anchor may stand before the slot.
    fn widen_before(&mut self, sets: &[ByteSet], before: &[u8], is_first: bool) -> Option<()> {
        if agree(sets.iter().rev(), before.iter().rev()) {
            match sets.len() <= before.len() {
                true => self.before = self.before.max(sets.len().saturating_add(1)),
                false if is_first => {}
                false => return None,
            }
        }
        Some(())
    }

    /// The end of an anchor may stand behind it.
    fn widen_after(&mut self, sets: &[ByteSet], after: &[u8], is_last: bool) -> Option<()> {
        if agree(sets.iter(), after.iter()) {
            match sets.len() <= after.len() {
                true => self.after = self.after.max(sets.len()),
                false if is_last => {}
                false => return None,
            }
        }
        Some(())
    }
}

/// Whether each byte is in its set, as far as there are both.
fn agree<'a>(sets: impl Iterator<Item = &'a ByteSet>, bytes: impl Iterator<Item = &'a u8>) -> bool {
    sets.zip(bytes).all(|(set, byte)| set.contains(*byte))
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

    /// Searches what was added, and appends the events, in order, in which an anchor may stand, or
    /// what hides one.
    pub(super) fn search(&mut self, plan: &Plan, found: &mut Vec<usize>) {
        if self.text.is_empty() {
            return;
        }
        self.places.clear();
        for set in plan.sets() {
            set.candidates(&self.text, &mut self.places);
        }
        let events = self.places.iter().filter_map(|&place| {
            let next = self.ends.partition_point(|&(end, _)| end <= place);
            self.ends.get(next).map(|&(_, event)| event)
        });
        found.extend(events);
        if fold::hides(&self.text) {
            found.extend(self.ends.iter().map(|&(_, event)| event));
        }
        found.sort_unstable();
        found.dedup();
        self.text.clear();
        self.text.shrink_to(512);
        self.ends.clear();
        self.ends.shrink_to(32);
    }
}
