//! The faults of a document, each with its place and the form that was expected.

use std::fmt;

use serde::Serialize;

pub use super::place::Place;
use super::unread::Unread;

/// The most errors that are shown: a file of another kind gives thousands.
const MAX_SHOWN: usize = 50;
/// The most that are kept until it is known which of them stand first.
const MAX_KEPT: usize = 2_000;

/// Everything that was found wrong with a document. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PolicyErrors {
    errors: Vec<PolicyError>,
    #[serde(skip)]
    warnings: Vec<PolicyError>,
}

/// One fault of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyError {
    /// Where, as a path into the document: `rules[2].match.groups[0]`. Empty for the whole
    /// document.
    pub path: Place,
    /// Where, in the text, when the document was read from text that keeps positions (YAML).
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// What is wrong and what was expected, in a sentence without a full stop.
    pub message: String,
}

/// A position in a text. Both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
}

// === impl PolicyError ===

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.path.0.is_empty(), self.position) {
            (true, None) => {}
            (true, Some(at)) => write!(f, "line {}, column {}: ", at.line, at.column)?,
            (false, None) => write!(f, "{}: ", self.path)?,
            (false, Some(at)) => {
                write!(
                    f,
                    "{} (line {}, column {}): ",
                    self.path, at.line, at.column
                )?;
            }
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for PolicyError {}

// === impl PolicyErrors ===

impl PolicyErrors {
    /// The errors, in the order of the document.
    pub fn iter(&self) -> std::slice::Iter<'_, PolicyError> {
        self.errors.iter()
    }

    /// What is probably not meant elsewhere in the document, in its order.
    pub fn warnings(&self) -> &[PolicyError] {
        &self.warnings
    }

    #[cfg(feature = "authoring")]
    pub(super) fn with_warnings(self, warnings: Vec<PolicyError>) -> Self {
        Self { warnings, ..self }
    }

    /// A fault of the document as a whole.
    pub fn of_document(message: impl Into<String>) -> Self {
        Self::one(Place::default(), None, message)
    }

    pub(super) fn one(path: Place, position: Option<Position>, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::of(vec![PolicyError {
            path,
            position,
            message,
        }])
    }

    fn of(errors: Vec<PolicyError>) -> Self {
        let warnings = Vec::new();
        Self { errors, warnings }
    }
}

impl<'a> IntoIterator for &'a PolicyErrors {
    type Item = &'a PolicyError;
    type IntoIter = std::slice::Iter<'a, PolicyError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for PolicyErrors {
    /// One line per error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.errors.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyErrors {}

/// Gathers errors so that one run reports them all.
#[derive(Debug, Default)]
pub(super) struct Faults {
    list: Vec<PolicyError>,
    dropped: usize,
    unread: Unread,
}

impl Faults {
    /// For another look at a document of which so much was not read.
    #[cfg(feature = "authoring")]
    pub(super) fn beside(unread: &Unread) -> Self {
        Self {
            unread: unread.clone(),
            ..Self::default()
        }
    }

    /// A fault, whatever else was not read.
    pub(super) fn push(&mut self, error: PolicyError) {
        if self.list.len() < MAX_KEPT {
            self.list.push(error);
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// As [`push`](Self::push), without a position.
    pub(super) fn certainly(&mut self, path: Place, message: impl Into<String>) {
        self.push(PolicyError {
            path,
            position: None,
            message: message.into(),
        });
    }

    /// A fault of the value at a place, if that was written so.
    pub(super) fn at(&mut self, path: Place, message: impl Into<String>) {
        if !self.unread.hides(&path) {
            self.certainly(path, message);
        }
    }

    /// A fault that other places make together with this one: a reference to nothing, terms without
    /// their effect. It is none where one of them was not read.
    pub(super) fn between(&mut self, path: Place, others: &[Place], message: impl Into<String>) {
        if others.iter().all(|other| self.unread.has(other)) {
            self.at(path, message);
        }
    }

    /// What was not read.
    pub(super) fn unread(&self) -> &Unread {
        &self.unread
    }

    pub(super) fn unread_mut(&mut self) -> &mut Unread {
        &mut self.unread
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether there is a fault at a place.
    #[cfg(feature = "authoring")]
    pub(super) fn is_at(&self, place: &Place) -> bool {
        self.list.iter().any(|error| error.path == *place)
    }

    /// Whether there is a fault at a place or below.
    #[cfg(feature = "authoring")]
    pub(super) fn is_in(&self, place: &Place) -> bool {
        self.list.iter().any(|error| error.path.is_in(place))
    }

    /// Takes over what another has gathered.
    #[cfg(feature = "authoring")]
    pub(super) fn append(&mut self, other: Self) {
        for error in other.list {
            self.push(error);
        }
        self.dropped = self.dropped.saturating_add(other.dropped);
    }

    /// Leaves out what is said of places that something was said of already.
    #[cfg(feature = "authoring")]
    pub(super) fn without_places_of(mut self, other: &Self) -> Self {
        self.list.retain(|error| !other.is_at(&error.path));
        self
    }

    /// `Ok` when nothing was found.
    pub(super) fn finish(
        self,
        locate: impl Fn(&Place) -> Option<Position>,
    ) -> Result<(), PolicyErrors> {
        if self.list.is_empty() {
            return Ok(());
        }
        Err(PolicyErrors::of(self.sorted(locate, "errors")))
    }

    /// What was found, for what is no error.
    #[cfg(feature = "authoring")]
    pub(super) fn into_list(self, locate: impl Fn(&Place) -> Option<Position>) -> Vec<PolicyError> {
        self.sorted(locate, "warnings")
    }

    fn sorted(
        mut self,
        locate: impl Fn(&Place) -> Option<Position>,
        kind: &str,
    ) -> Vec<PolicyError> {
        for error in &mut self.list {
            error.position = error.position.or_else(|| locate(&error.path));
        }
        // By position where it is known, so that people can go through the file from the top.
        self.list.sort_by_key(|error| error.position);
        let beyond = self.list.len().saturating_sub(MAX_SHOWN);
        self.list.truncate(MAX_SHOWN);
        let more = self.dropped.saturating_add(beyond);
        if more > 0 {
            let message = format!("{more} more {kind} are not shown");
            self.list.push(PolicyError {
                path: Place::default(),
                position: None,
                message,
            });
        }
        self.list
    }
}
