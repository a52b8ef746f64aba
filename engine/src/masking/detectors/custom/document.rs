//! A custom detector as it stands in the policy document.

use serde::{Deserialize, Serialize};

use crate::masking::Severity;

/// A detector of the policy's own: a regular expression, and what must hold of what it finds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CustomDetector {
    /// Unique name: `custom/` and then 1 to 63 of `a-z 0-9 . _ -`, beginning with a letter or
    /// digit.
    pub name: String,
    /// One line on what it finds, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How bad it is when such a secret leaks.
    #[serde(default = "CustomDetector::default_severity")]
    pub severity: Severity,
    /// What to look for, in the syntax of RE2 and Rust's `regex`: no look-around, no
    /// back-references. It works on bytes: classes and `(?i)` are ASCII.
    pub regex: String,
    /// The capture group that is the secret; 0 is the whole match. Left out: the first group that
    /// can hold one (not empty, in no repetition, more than a choice of fixed words), or the whole
    /// match if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_group: Option<u32>,
    /// Words, one of which must stand at most 255 bytes before a match; case is ignored. They are
    /// only looked for where the regex does not say itself what stands in every match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// The least entropy of the secret, in Shannon bits per byte, 0 to 8: `3.5` tells random text
    /// from words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "authoring", schemars(range(min = 0.0, max = 8.0)))]
    pub entropy: Option<f64>,
    /// What is found and is no secret. One entry that applies is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Allow>,
}

impl CustomDetector {
    fn default_severity() -> Severity {
        Severity::High
    }
}

/// What makes a find no secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Regular expressions, one of which matches anywhere in what `on` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regexes: Vec<String>,
    /// Words, one of which stands in the secret; case is ignored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stopwords: Vec<String>,
    /// What the regular expressions look at.
    #[serde(default, skip_serializing_if = "AllowOn::is_secret")]
    pub on: AllowOn,
    /// Whether a regular expression *and* a stopword must apply; otherwise one of the two is
    /// enough.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

/// What the regular expressions of an [`Allow`] look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AllowOn {
    /// The secret.
    #[default]
    Secret,
    /// All that the detector's regex matched, as far as it is at hand: up to 512 bytes before the
    /// secret.
    Match,
    /// The line, as far as it is at hand: from its beginning, but at most 512 bytes before the
    /// secret, to the end of the match. What follows the match has not been read yet.
    Line,
}

impl AllowOn {
    fn is_secret(&self) -> bool {
        *self == Self::Secret
    }
}
