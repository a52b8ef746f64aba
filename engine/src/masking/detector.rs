//! What a detector is, and how a policy chooses detectors.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How bad it is when this secret leaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Identifies an account or a project but opens little by itself.
    Low,
    /// Opens something narrow or for a short time.
    Medium,
    /// Opens an account or a service.
    High,
    /// Opens much, for long, and is hard to revoke: signing keys, storage account keys.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// What finds one kind of secret.
#[derive(Debug)]
pub struct Detector {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) severity: Severity,
    pub(super) source: &'static str,
    pub(super) shapes: &'static [Shape],
    /// Confirms a match by its checksum or structure. Confirmation is reported, never required:
    /// see [`checksum`](super::checksum).
    pub(super) confirm: Option<fn(&[u8]) -> bool>,
}

impl Detector {
    /// The full name, such as `secrets/github-pat`.
    pub fn name(&self) -> &str {
        self.name
    }

    /// The name in replacements: without its group, such as `github-pat`.
    pub fn short_name(&self) -> &str {
        self.name.split_once('/').map_or(self.name, |(_, s)| s)
    }

    /// One line on what it finds.
    pub fn description(&self) -> &str {
        self.description
    }

    /// How bad a leak is.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Where the format is documented (URL).
    pub fn source(&self) -> &str {
        self.source
    }

    /// Whether matches are confirmed by a checksum or a structure inside the secret.
    pub fn confirms(&self) -> bool {
        self.confirm.is_some()
    }
}

/// One form in which a secret stands in text: where to look, what may stand before, what it is.
#[derive(Debug)]
pub(super) struct Shape {
    /// Literals, one of which stands in every match. Each has 3 to 64 bytes.
    pub(super) anchors: &'static [&'static str],
    /// Whether the anchors match in either case (they are written in lower case then).
    pub(super) ignore_case: bool,
    /// Bytes between the beginning of the match and the anchor.
    pub(super) lead: u8,
    /// What may stand before the match.
    pub(super) left: Left,
    /// Text that leads to the secret and is not secret itself, from the anchor on. It matches a bounded
    /// length only, and the secret may begin at any of its ends. Without it the secret begins with
    /// the match.
    pub(super) context: Option<&'static str>,
    /// The secret.
    pub(super) secret: &'static str,
    /// Bytes at the end of what `secret` matches that are not part of the secret.
    pub(super) after: u8,
    /// What must hold of the secret beyond its pattern, for shapes that harmless text has too.
    pub(super) must: Option<fn(&[u8]) -> bool>,
}

/// What may stand before a match. The end of an escape (`\n`, `\u0022`, `%3D`) never belongs to the word
/// that follows, so it counts as a boundary in all of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Anything: the anchor is unmistakable.
    Any,
    /// No letter, digit or underscore.
    NotWord,
    /// No letter, digit, `_`, `-`, `+` or `/`: not the inside of encoded data or of a longer name.
    NotToken,
    /// Something that opens a value: a quote, `=`, `:`, `>`, `(`, `,`, a backtick; or the text begins.
    Opening,
}

/// How many bytes before a match decide about [`Left`].
pub(super) const BEHIND: usize = 6;

impl Left {
    /// Whether a match may begin after `behind`, the last bytes before it.
    pub(super) fn allows(self, behind: [u8; BEHIND]) -> bool {
        let [.., last] = behind;
        let refused = match self {
            Self::Any => false,
            Self::NotWord => is_word(last),
            Self::NotToken => is_word(last) || matches!(last, b'-' | b'+' | b'/'),
            Self::Opening => !matches!(
                last,
                b'"' | b'\'' | b'`' | b'=' | b':' | b'>' | b'(' | b',' | b'\\'
            ),
        };
        !refused || ends_an_escape(behind)
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn ends_an_escape(behind: [u8; BEHIND]) -> bool {
    match behind {
        [.., b'\\', b'n' | b'r' | b't' | b'f' | b'b' | b'v'] => true,
        [.., b'%', a, b] | [.., b'\\', b'x', a, b] => {
            a.is_ascii_hexdigit() && b.is_ascii_hexdigit()
        }
        [b'\\', b'u', rest @ ..] => rest.iter().all(u8::is_ascii_hexdigit),
        _ => false,
    }
}

/// Why a set of detectors cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DetectorError {
    /// A selector chooses nothing.
    Unknown {
        /// The selector as written.
        selector: String,
        /// Names that were perhaps meant, best first.
        near: Vec<String>,
    },
    /// A detector's own definition is wrong.
    Invalid {
        /// The detector's name.
        detector: String,
        /// What is wrong, as a sentence.
        reason: String,
    },
}

impl fmt::Display for DetectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { selector, near } => {
                write!(f, "no detector is called {selector:?}")?;
                if near.is_empty() {
                    f.write_str("; write \"secrets/*\" for all that find secrets")
                } else {
                    write!(f, "; did you mean {}?", near.join(" or "))
                }
            }
            Self::Invalid { detector, reason } => write!(f, "detector {detector}: {reason}"),
        }
    }
}

impl std::error::Error for DetectorError {}

/// Whether `selector` chooses `name`: the name itself, or its beginning followed by one `*`.
pub(super) fn chooses(selector: &str, name: &str) -> bool {
    match selector.strip_suffix('*') {
        Some(prefix) => prefix.contains('/') && name.starts_with(prefix),
        None => selector == name,
    }
}

/// Up to three names that resemble `selector`.
pub(super) fn near<'a>(selector: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wanted = selector.trim_end_matches('*');
    let short = wanted.split_once('/').map_or(wanted, |(_, s)| s);
    let mut ranked: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let own = name.split_once('/').map_or(name, |(_, s)| s);
            let distance = if short.len() >= 3 && (own.contains(short) || short.contains(own)) {
                1
            } else {
                edits(short, own)
            };
            (distance.saturating_mul(3) <= own.len().max(short.len())).then_some((distance, name))
        })
        .collect();
    ranked.sort_unstable();
    ranked
        .into_iter()
        .take(3)
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// Levenshtein distance in bytes; both texts are short names.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut left = i.saturating_add(1);
        let mut next = vec![left];
        for (y, pair) in b.bytes().zip(row.windows(2)) {
            let [diagonal, above] = *pair else { continue };
            left = left
                .saturating_add(1)
                .min(above.saturating_add(1))
                .min(diagonal.saturating_add(usize::from(x != y)));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn an_escape_before_a_word_is_a_boundary() {
        let after = |text: &str| {
            let mut behind = [b'='; BEHIND];
            for b in text.bytes() {
                behind.rotate_left(1);
                behind[BEHIND - 1] = b;
            }
            Left::NotWord.allows(behind)
        };
        for text in ["", " ", "=", "-", "a\\n", "x\\u003d", "a%3D", "\\x3d"] {
            assert!(after(text), "{text:?}");
        }
        for text in ["n", "task", "_", "9", "\\q", "u003d", "3D"] {
            assert!(!after(text), "{text:?}");
        }
    }

    #[test]
    fn a_star_needs_a_group_before_it() {
        assert!(chooses("secrets/*", "secrets/a"));
        assert!(chooses("secrets/git*", "secrets/github-pat"));
        assert!(!chooses("*", "secrets/a"));
        assert!(!chooses("secrets/a", "secrets/ab"));
    }
}
