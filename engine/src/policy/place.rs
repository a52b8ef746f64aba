//! Places in a document, which errors and warnings name.

use std::fmt;

use serde::{Serialize, Serializer};

use super::wording::shorten;

/// A path into a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place(pub(super) Vec<PathStep>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PathStep {
    Key(String),
    Index(usize),
}

impl Place {
    pub(super) fn key(&self, key: &str) -> Self {
        self.with(PathStep::Key(key.to_owned()))
    }

    pub(super) fn index(&self, index: usize) -> Self {
        self.with(PathStep::Index(index))
    }

    /// This place, and below it the other.
    #[cfg(feature = "authoring")]
    pub(super) fn followed_by(&self, below: &Self) -> Self {
        Self([self.0.as_slice(), below.0.as_slice()].concat())
    }

    /// Whether it is the other place, or below it.
    pub(super) fn is_in(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// Whether it is below the other place.
    pub(super) fn is_below(&self, other: &Self) -> bool {
        self.0.len() > other.0.len() && self.is_in(other)
    }

    pub(super) fn with(&self, step: PathStep) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |key: &str| {
            !key.is_empty()
                && key
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        for (depth, step) in self.0.iter().enumerate() {
            match step {
                PathStep::Key(key) if plain(key) && depth == 0 => f.write_str(key)?,
                PathStep::Key(key) if plain(key) => write!(f, ".{key}")?,
                PathStep::Key(key) => write!(f, "[{:?}]", shorten(key))?,
                PathStep::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
