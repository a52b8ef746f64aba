//! What a review has found.

use crate::policy::error::{Faults, Place};

/// Whether a document is new, or was in force before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Strictness {
    /// Errors are errors.
    New,
    /// They are warnings.
    Published,
}

/// What has no effect or cannot be what was meant, and what is easily mistaken.
#[derive(Debug)]
pub(in crate::policy) struct Findings {
    pub(in crate::policy) errors: Faults,
    pub(in crate::policy) warnings: Faults,
}

/// The text of a place as it was written. Patterns lose their trailing slash when they are read.
pub(in crate::policy) type Written<'a> = dyn Fn(&Place) -> Option<&'a str> + 'a;

impl Findings {
    /// Nothing yet, in a document of which so much was not read.
    pub(super) fn beside(faults: &Faults) -> Self {
        Self {
            errors: Faults::beside(faults.unread()),
            warnings: Faults::beside(faults.unread()),
        }
    }
}

/// The faults of a document beside which the review runs, and those that it has found itself so
/// far.
pub(super) struct Faulty<'a> {
    pub(super) faults: &'a Faults,
    pub(super) more: Option<&'a Faults>,
}

impl Faulty<'_> {
    /// Whether all of the value at a place was read and is good. What is said of several places
    /// would only follow from a fault of one of them otherwise.
    pub(super) fn is_sound(&self, place: &Place) -> bool {
        self.faults.unread().has(place)
            && !self.faults.is_in(place)
            && !self.more.is_some_and(|more| more.is_in(place))
    }
}
