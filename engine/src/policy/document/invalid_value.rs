//! Why a text is no value of its kind.

use std::fmt;

/// A sentence that says what was expected, without a full stop. Whoever reads the document adds
/// where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidValue(pub(super) String);

impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidValue {}
