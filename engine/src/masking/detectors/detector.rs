//! What a detector is, and how a policy chooses detectors.

use super::rule::{Check, Context, ContextStart, Ends, Lead, RuleSpec};
use crate::masking::search::{
    automaton::Automaton,
    bytes::{Anchor, ByteSet},
};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, sync::Arc};

pub(in crate::masking) use super::rule::Left;

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

/// What finds one kind of secret: one of the [`catalogue()`](crate::masking::catalogue()) or one of
/// a policy's own.
#[derive(Debug, Clone)]
pub struct Detector {
    pub(in crate::masking) name: Cow<'static, str>,
    description: Cow<'static, str>,
    severity: Severity,
    source: Cow<'static, str>,
    pub(in crate::masking) rules: Arc<[RuleSpec]>,
    /// Confirms a match by its checksum or structure. Confirmation is reported, never required:
    /// see [`checksum`](super::checksum).
    pub(in crate::masking) confirm: Option<fn(&[u8]) -> bool>,
    /// Automata that were built when it was checked: what is in use is not built again.
    #[expect(
        dead_code,
        reason = "an automaton is shared for as long as somebody holds it"
    )]
    in_use: Arc<[Arc<Automaton>]>,
}

impl Detector {
    /// A detector that does not come with Chaperone.
    pub(in crate::masking) fn custom(
        name: String,
        description: String,
        severity: Severity,
        source: String,
        rules: Vec<RuleSpec>,
    ) -> Self {
        Self {
            name: Cow::Owned(name),
            description: Cow::Owned(description),
            severity,
            source: Cow::Owned(source),
            rules: rules.into(),
            confirm: None,
            in_use: Arc::default(),
        }
    }

    /// The same, which keeps automata of its patterns in use.
    pub(in crate::masking) fn with_built(self, built: Vec<Arc<Automaton>>) -> Self {
        Self {
            in_use: built.into(),
            ..self
        }
    }

    /// The full name, such as `secrets/github-pat`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name in replacements: without its group, such as `github-pat`.
    pub fn short_name(&self) -> &str {
        self.name.split_once('/').map_or(&*self.name, |(_, s)| s)
    }

    /// One line on what it finds.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// How bad a leak is.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Where the format is documented (URL); empty if its author named nothing.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether matches are confirmed by a checksum or a structure inside the secret.
    pub fn confirms(&self) -> bool {
        self.confirm.is_some()
    }
}

/// A detector of the catalogue, as it is written there.
#[derive(Debug)]
pub(in crate::masking) struct Builtin {
    pub(in crate::masking) name: &'static str,
    pub(in crate::masking) description: &'static str,
    pub(in crate::masking) severity: Severity,
    pub(in crate::masking) source: &'static str,
    pub(in crate::masking) shapes: &'static [Shape],
    pub(in crate::masking) confirm: Option<fn(&[u8]) -> bool>,
}

impl Builtin {
    /// The detector as it is used.
    pub(in crate::masking) fn detector(&self) -> Detector {
        Detector {
            name: Cow::Borrowed(self.name),
            description: Cow::Borrowed(self.description),
            severity: self.severity,
            source: Cow::Borrowed(self.source),
            rules: self.shapes.iter().map(Shape::rule).collect(),
            confirm: self.confirm,
            in_use: Arc::default(),
        }
    }
}

/// A rule of a built-in detector, as it is written in the catalogue. See [`RuleSpec`].
#[derive(Debug)]
pub(in crate::masking) struct Shape {
    /// Literals, one of which stands in every match. Each has up to 64 bytes.
    pub(in crate::masking) anchors: &'static [&'static str],
    /// Whether the anchors match in either case.
    pub(in crate::masking) ignore_case: bool,
    /// Anchors that are not literals.
    pub(in crate::masking) sets: &'static [&'static [ByteSet]],
    /// Bytes between the beginning of the match and the anchor.
    pub(in crate::masking) lead: u8,
    /// Instead of `lead` a run of bytes of a class, and its greatest length. See [`Lead::Run`].
    pub(in crate::masking) run: Option<(ByteSet, u8)>,
    /// The boundary before the match.
    pub(in crate::masking) left: Left,
    /// Text that leads to the secret and is not secret itself, from the beginning of the match on.
    /// It matches a bounded length only, and the secret may begin at any of its ends. Without it
    /// the secret begins with the match.
    pub(in crate::masking) context: Option<&'static str>,
    /// Where the context begins.
    pub(in crate::masking) from: ContextStart,
    /// The secret.
    pub(in crate::masking) secret: &'static str,
    /// What must follow the secret.
    pub(in crate::masking) tail: Option<&'static str>,
    /// Bytes at the end of what `secret` matches that are not part of the secret.
    pub(in crate::masking) after: u8,
    /// A test that the secret has to pass beyond its pattern, for shapes that harmless text has
    /// too.
    pub(in crate::masking) must: Option<fn(&[u8]) -> bool>,
    /// See [`RuleSpec::refuted`].
    pub(in crate::masking) refuted: Option<fn(&[u8]) -> bool>,
}

impl Shape {
    fn rule(&self) -> RuleSpec {
        let literals = self.anchors.iter().map(|text| match self.ignore_case {
            true => Anchor::ignoring_case(text),
            false => Anchor::literal(text),
        });
        let sets = self.sets.iter().map(|sets| Anchor::from(sets.to_vec()));
        RuleSpec {
            anchors: literals.chain(sets).collect(),
            lead: match self.run {
                Some((class, max)) => Lead::Run { class, max },
                None => Lead::Fixed(self.lead),
            },
            left: self.left,
            context: self.context.map(|pattern| Context {
                pattern: Cow::Borrowed(pattern),
                from: self.from,
            }),
            secret: Cow::Borrowed(self.secret),
            tail: self.tail.map(Cow::Borrowed),
            after: self.after,
            ends: Ends::Longest,
            must: self.must.map(Check::Secret),
            refuted: self.refuted,
        }
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
pub fn chooses(selector: &str, name: &str) -> bool {
    match selector.strip_suffix('*') {
        Some(prefix) => prefix.contains('/') && name.starts_with(prefix),
        None => selector == name,
    }
}

/// Up to three names that resemble `selector`.
pub(in crate::masking) fn near<'a>(
    selector: &str,
    names: impl Iterator<Item = &'a str>,
) -> Vec<String> {
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
    fn a_star_needs_a_group_before_it() {
        assert!(chooses("secrets/*", "secrets/a"));
        assert!(chooses("secrets/git*", "secrets/github-pat"));
        assert!(!chooses("*", "secrets/a"));
        assert!(!chooses("secrets/a", "secrets/ab"));
    }
}
