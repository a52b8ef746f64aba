//! Why a configuration is refused.

/// A configuration that was refused: the place, and the kind of value that was expected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Dotted path of the setting; empty for the whole document.
    pub place: String,
    /// The kind of value that was expected, without the value that was found.
    pub expected: String,
}

impl ConfigError {
    pub(in crate::node) fn new(place: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            expected: expected.into(),
        }
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = if self.place.is_empty() {
            "the document"
        } else {
            &self.place
        };
        write!(
            f,
            "The filter's configuration is refused at {place}: {}.",
            self.expected
        )
    }
}

impl std::error::Error for ConfigError {}
