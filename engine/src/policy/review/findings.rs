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
#[derive(Debug, Default)]
pub(in crate::policy) struct Findings {
    pub(in crate::policy) errors: Faults,
    pub(in crate::policy) warnings: Faults,
}

/// The text of a place as it was written. Patterns lose their trailing slash when they are read.
pub(in crate::policy) type Written<'a> = dyn Fn(&Place) -> Option<&'a str> + 'a;
