//! The parts of a document that could not be read, or not for sure.
//!
//! All mistakes of a document are told in one run, so the checks run over a document with faults,
//! too. What they find must then be true all the same: nothing is said of a value that nobody has
//! written, and nothing that only follows from a fault that was told already. Whoever checks
//! something that depends on several places asks here whether they were all read.

use super::place::{PathStep, Place};

/// Parts of a document.
#[derive(Debug, Default, Clone)]
pub(super) struct Unread(Vec<Part>);

#[derive(Debug, Clone)]
struct Part {
    place: Place,
    /// Whether something stands there that nobody has written. If not, it was written, and
    /// something else was, too: a key that stands there twice.
    made_up: bool,
}

impl Unread {
    /// Something that nobody has written stands at a place, so that the rest can be looked at.
    pub(super) fn made_up(&mut self, place: Place) {
        let made_up = true;
        self.0.push(Part { place, made_up });
    }

    /// At a place stands one of several values.
    pub(super) fn doubtful(&mut self, place: Place) {
        let made_up = false;
        self.0.push(Part { place, made_up });
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a finding about the value at a place is nobody's: it, or something in it, was not
    /// written.
    pub(super) fn hides(&self, place: &Place) -> bool {
        self.0
            .iter()
            .any(|part| (part.made_up && place.is_in(&part.place)) || part.place.is_below(place))
    }

    /// Whether all of the value at a place was read.
    pub(super) fn has(&self, place: &Place) -> bool {
        !self
            .0
            .iter()
            .any(|part| place.is_in(&part.place) || part.place.is_in(place))
    }

    /// Whether all of the map at a place was read, apart from the values of these keys. A key that
    /// is not known counts: it may have been meant to be any other.
    pub(super) fn has_all_but(&self, place: &Place, keys: &[&str]) -> bool {
        let matters = |part: &Part| {
            place.is_in(&part.place)
                || (part.place.is_below(place)
                    && !matches!(part.place.0.get(place.0.len()),
                        Some(PathStep::Key(key)) if keys.contains(&key.as_str())))
        };
        !self.0.iter().any(matters)
    }

    /// Whether the list at a place has all its entries, whatever these are.
    pub(super) fn has_list(&self, place: &Place) -> bool {
        !self.0.iter().any(|part| place.is_in(&part.place))
    }

    /// Whether a key of each entry of a list was read.
    pub(super) fn has_each(&self, list: &Place, count: usize, key: &str) -> bool {
        self.0.is_empty()
            || (self.has_list(list)
                && (0..count).all(|index| self.has(&list.index(index).key(key))))
    }
}
