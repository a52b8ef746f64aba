//! What is wrong with a document, where, and what was expected.

use std::fmt;

use serde::{Serialize, Serializer};

/// The most errors that are kept: a file of another kind gives thousands.
const MAX_ERRORS: usize = 50;

/// Everything that was found wrong with a document. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PolicyErrors(Vec<PolicyError>);

/// One fault of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyError {
    /// Where, as a path into the document: `rules[2].match.groups[0]`. Empty for the whole document.
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

/// A path into a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place(pub(super) Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

// === impl Place ===

impl Place {
    pub(super) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    pub(super) fn with(&self, step: Step) -> Self {
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
                Step::Key(key) if plain(key) && depth == 0 => f.write_str(key)?,
                Step::Key(key) if plain(key) => write!(f, ".{key}")?,
                Step::Key(key) => write!(f, "[{:?}]", shorten(key))?,
                Step::Index(index) => write!(f, "[{index}]")?,
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
        self.0.iter()
    }

    /// A fault of the document as a whole.
    pub fn of_document(message: impl Into<String>) -> Self {
        Self::one(Place::default(), None, message)
    }

    pub(super) fn one(path: Place, position: Option<Position>, message: impl Into<String>) -> Self {
        Self(vec![PolicyError {
            path,
            position,
            message: message.into(),
        }])
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
        for (n, error) in self.0.iter().enumerate() {
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
}

impl Faults {
    pub(super) fn push(&mut self, error: PolicyError) {
        if self.list.len() < MAX_ERRORS {
            self.list.push(error);
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    pub(super) fn at(&mut self, path: Place, message: impl Into<String>) {
        self.push(PolicyError {
            path,
            position: None,
            message: message.into(),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// `Ok` when nothing was found.
    pub(super) fn finish(
        mut self,
        locate: impl Fn(&Place) -> Option<Position>,
    ) -> Result<(), PolicyErrors> {
        if self.list.is_empty() {
            return Ok(());
        }
        for error in &mut self.list {
            error.position = error.position.or_else(|| locate(&error.path));
        }
        // By position where it is known, so that people can go through the file from the top.
        self.list.sort_by_key(|error| error.position);
        if self.dropped > 0 {
            let message = format!("{} more errors are not shown", self.dropped);
            self.list.push(PolicyError {
                path: Place::default(),
                position: None,
                message,
            });
        }
        Err(PolicyErrors(self.list))
    }
}

// === wording ===

/// `text`, cut to what fits into a message.
pub(super) fn shorten(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    match text.char_indices().nth(MAX_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

/// `` `a`, `b` or `c` ``
pub(super) fn choices<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names
        .into_iter()
        .map(|name| format!("`{}`", shorten(name)))
        .collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// Of `names`, the one that `wrong` was probably meant to be.
pub(super) fn near_miss<'a>(
    wrong: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wrong = shorten(wrong).to_lowercase();
    // A third of the letters may differ: `alow` is `allow`, `http` is not `https-proxy`.
    let tolerance = wrong.chars().count().div_ceil(3).min(3);
    names
        .into_iter()
        .map(|name| (edit_distance(&wrong, &shorten(name).to_lowercase()), name))
        .filter(|(distance, _)| *distance <= tolerance)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `; did you mean ...?` or, without a near miss, what was expected instead.
pub(super) fn suggest(wrong: &str, names: &[&str]) -> String {
    /// More choices than this are a list to look up, not a hint.
    const MAX_CHOICES: usize = 16;
    match near_miss(wrong, names.iter().copied()) {
        Some(name) => format!("; did you mean `{name}`?"),
        None if names.is_empty() => String::new(),
        None if names.len() > MAX_CHOICES => {
            let first = names.iter().copied().take(MAX_CHOICES);
            format!("; expected one of {}, …", choices(first))
        }
        None => format!("; expected {}", choices(names.iter().copied())),
    }
}

/// Levenshtein distance. Its callers bound the lengths.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(b.chars()) {
            let replaced = diagonal.saturating_add(usize::from(x != y));
            diagonal = *cell;
            left = replaced
                .min(left.saturating_add(1))
                .min(cell.saturating_add(1));
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        let keys = ["connections", "groups", "subjects", "apiVersion"];
        for (wrong, right) in [
            ("goups", Some("groups")),
            ("group", Some("groups")),
            ("Groups", Some("groups")),
            ("apiversion", Some("apiVersion")),
            ("connectoins", Some("connections")),
            ("x", None),
            ("verbs", None),
        ] {
            assert_eq!(near_miss(wrong, keys), right, "{wrong}");
        }
    }

    #[test]
    fn the_edit_distance_counts_insertions_deletions_and_replacements() {
        for (a, b, distance) in [
            ("", "", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("abc", "abc", 0),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
            assert_eq!(edit_distance(b, a), distance, "{b} {a}");
        }
    }
}
