//! People's words, which are kept for good and shown in terminals.

/// The longest comment, in characters.
pub(crate) const MAX_CHARACTERS: usize = 1000;

/// A comment that may be kept: not empty, bounded, and without control characters but line ends,
/// which could move a terminal's cursor and rewrite other lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Comment(String);

/// A comment is not as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidComment;

impl std::fmt::Display for InvalidComment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "at most {MAX_CHARACTERS} characters, none of them control characters"
        )
    }
}

impl Comment {
    /// The comment in `text` without the space around it; `None` when nothing is left.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub(crate) fn new(text: &str) -> Result<Option<Self>, InvalidComment> {
        let text = text.trim();
        if text.chars().count() > MAX_CHARACTERS
            || text.chars().any(|c| c.is_control() && c != '\n')
        {
            return Err(InvalidComment);
        }
        Ok(Some(Self(text.to_owned())).filter(|comment| !comment.0.is_empty()))
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The text.
    pub(crate) fn into_string(self) -> String {
        self.0
    }
}
