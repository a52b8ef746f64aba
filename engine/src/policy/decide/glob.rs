//! Matching of patterns, in time that no input can blow up.
//!
//! Neither kind backtracks: a run of literals between wildcards is searched for once, from the
//! left, because a match further right can only leave less text for the parts after it.

use std::hash::{Hash, Hasher};

use memchr::memmem;

use crate::policy::document::{HostPattern, OperationPattern, PathPattern};
use crate::policy::hosts;

/// A pattern of one dimension, ready to match. Two that are equal match the same.
pub(in crate::policy) trait Matcher {
    /// The text that alone is matched, for patterns without a wildcard.
    fn literal(&self) -> Option<&str>;
    fn matches(&self, text: &str) -> bool;
}

/// `*` stands for any run of characters, none among them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::policy) struct Glob {
    first: Box<str>,
    middle: Box<[Part]>,
    /// `None` when there is no `*`.
    last: Option<Box<str>>,
}

/// A literal between two stars. Its searcher is linear, and costs more to build than to use.
#[derive(Debug, Clone)]
struct Part {
    text: Box<str>,
    finder: memmem::Finder<'static>,
}

impl Part {
    fn new(text: Box<str>) -> Self {
        Self {
            finder: memmem::Finder::new(text.as_bytes()).into_owned(),
            text,
        }
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Part {}

impl Hash for Part {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Glob {
    pub(in crate::policy) fn new(pattern: &str) -> Self {
        let mut parts = pattern.split('*').map(Box::<str>::from);
        let first = parts.next().unwrap_or_default();
        let last = parts.next_back();
        let middle = parts
            .filter(|part| !part.is_empty())
            .map(Part::new)
            .collect();
        Self {
            first,
            middle,
            last,
        }
    }

    /// Over operations in lower case: Azure RBAC compares actions without case.
    pub(in crate::policy) fn operation(pattern: &OperationPattern) -> Self {
        Self::new(&pattern.as_str().to_ascii_lowercase())
    }
}

impl Matcher for Glob {
    fn literal(&self) -> Option<&str> {
        self.last.is_none().then_some(&self.first)
    }

    fn matches(&self, text: &str) -> bool {
        let Some(last) = &self.last else {
            return *text == *self.first;
        };
        let Some(rest) = text.strip_prefix(&*self.first) else {
            return false;
        };
        let Some(mut rest) = rest.strip_suffix(&**last) else {
            return false;
        };
        for part in &self.middle {
            let after = part.finder.find(rest.as_bytes());
            match after.and_then(|at| rest.get(at.saturating_add(part.text.len())..)) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        true
    }
}

/// `*` within a segment, `**` for any number of segments.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::policy) enum PathGlob {
    Literal(Box<str>),
    /// `/v1/**`, the most common pattern, as `/v1`.
    Below(Box<str>),
    /// The pieces between `**`. The first piece is bound to the beginning of the path, the last to
    /// its end; without `**` there is one piece, bound to both.
    Pieces(Box<[Box<[Glob]>]>),
}

impl PathGlob {
    /// `fold` compares without case, for upstreams whose paths have none.
    pub(in crate::policy) fn new(pattern: &PathPattern, fold: bool) -> Self {
        let folded = pattern.as_str().to_ascii_lowercase();
        let pattern = if fold {
            folded.as_str()
        } else {
            pattern.as_str()
        };
        if !pattern.contains('*') {
            return Self::Literal(pattern.into());
        }
        if let Some(parent) = pattern.strip_suffix("/**")
            && !parent.contains('*')
        {
            return Self::Below(parent.into());
        }
        let mut pieces = Vec::new();
        let mut piece = Vec::new();
        for segment in segments(pattern) {
            if segment == "**" {
                pieces.push(std::mem::take(&mut piece).into_boxed_slice());
            } else {
                piece.push(Glob::new(segment));
            }
        }
        pieces.push(piece.into_boxed_slice());
        Self::Pieces(pieces.into())
    }
}

/// The segments of a path in normal form; none for `/`.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    let rest = path.strip_prefix('/').unwrap_or(path);
    rest.split('/').filter(|segment| !segment.is_empty())
}

impl Matcher for PathGlob {
    fn literal(&self) -> Option<&str> {
        match self {
            Self::Literal(path) => Some(path),
            _ => None,
        }
    }

    fn matches(&self, path: &str) -> bool {
        let pieces = match self {
            Self::Literal(literal) => return *path == **literal,
            Self::Below(parent) => {
                let rest = path.strip_prefix(&**parent);
                return rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            }
            Self::Pieces(pieces) => pieces,
        };
        let path: Vec<&str> = segments(path).collect();
        let Some((first, others)) = pieces.split_first() else {
            return false;
        };
        let Some((head, mut rest)) = path.split_at_checked(first.len()) else {
            return false;
        };
        if !fits(first, head) {
            return false;
        }
        let Some((last, middle)) = others.split_last() else {
            return rest.is_empty();
        };
        for piece in middle.iter().filter(|piece| !piece.is_empty()) {
            let found = rest
                .windows(piece.len())
                .position(|window| fits(piece, window));
            let end = found.map(|at| at.saturating_add(piece.len()));
            match end.and_then(|end| rest.get(end..)) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        let tail = rest
            .len()
            .checked_sub(last.len())
            .and_then(|start| rest.get(start..));
        tail.is_some_and(|tail| fits(last, tail))
    }
}

fn fits(globs: &[Glob], segments: &[&str]) -> bool {
    globs.len() == segments.len() && globs.iter().zip(segments).all(|(glob, s)| glob.matches(s))
}

impl Matcher for HostPattern {
    fn literal(&self) -> Option<&str> {
        (!self.as_str().starts_with("*.")).then_some(self.as_str())
    }

    fn matches(&self, host: &str) -> bool {
        hosts::matches(self, host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_star_in_an_operation_stands_for_any_run_of_characters() {
        for (pattern, operation, matches) in [
            ("*", "", true),
            ("*", "a/b", true),
            ("*/read", "microsoft.compute/virtualmachines/read", true),
            ("*/read", "read", false),
            ("*/read", "a/readx", false),
            (
                "microsoft.storage/*",
                "microsoft.storage/storageaccounts/write",
                true,
            ),
            ("microsoft.storage/*", "microsoft.storagex/a", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*b*c*", "abxc", true),
            ("*b*c*", "acxb", false),
            ("a**b", "ab", true),
            ("abc", "abc", true),
            ("abc", "ab", false),
        ] {
            assert_eq!(
                Glob::new(pattern).matches(operation),
                matches,
                "{pattern} {operation}"
            );
        }
    }

    #[test]
    fn one_star_stays_within_a_segment_and_two_cross() {
        for (pattern, path, matches) in [
            ("/", "/", true),
            ("/", "/a", false),
            ("/v1/models", "/v1/models", true),
            ("/v1/models", "/v1/modelsx", false),
            ("/v1/*", "/v1/models", true),
            ("/v1/*", "/v1", false),
            ("/v1/*", "/v1/models/x", false),
            ("/v1/m*s", "/v1/models", true),
            ("/v1/**", "/v1", true),
            ("/v1/**", "/v1/a/b", true),
            ("/v1/**", "/v10", false),
            ("/**", "/", true),
            ("/**", "/a/b", true),
            ("/**/admin", "/admin", true),
            ("/**/admin", "/a/b/admin", true),
            ("/**/admin", "/a/b/admin/c", false),
            ("/a/**/b/*/c/**/d", "/a/x/b/y/b/1/c/d", true),
            ("/a/**/b/*/c/**/d", "/a/x/b/y/c", false),
            ("/**/a/**/b/**", "/b/a", false),
            ("/**/**", "/", true),
            ("/x/**/x", "/x", false),
            ("/x/**/x", "/x/x", true),
        ] {
            let glob = PathGlob::new(&pattern.parse().unwrap(), false);
            assert_eq!(glob.matches(path), matches, "{pattern} {path}");
        }
    }

    #[test]
    fn hostile_text_costs_no_more_than_its_length() {
        // A backtracking matcher needs more steps for this than there are atoms.
        let text = "a/".repeat(4000);
        let glob = Glob::new(&format!("{}b", "*a".repeat(200)));
        assert!(!glob.matches(&text));
        let path = format!("/{}", "a".repeat(20).as_str()) + &"/a".repeat(4000);
        let pattern = format!("/{}**/b", "**/*a*a*a/".repeat(40));
        assert!(!PathGlob::new(&pattern.parse().unwrap(), false).matches(&path));
    }

    #[cfg(not(target_arch = "wasm32"))]
    mod agrees_with_the_definition {
        use super::*;
        use proptest::prelude::*;

        /// `*` as the definition reads: try every run.
        fn star(pattern: &[char], text: &[char]) -> bool {
            match pattern.split_first() {
                None => text.is_empty(),
                Some(('*', rest)) => (0..=text.len()).any(|n| star(rest, &text[n..])),
                Some((c, rest)) => text.first() == Some(c) && star(rest, &text[1..]),
            }
        }

        fn path(pattern: &[&str], text: &[&str]) -> bool {
            match pattern.split_first() {
                None => text.is_empty(),
                Some((&"**", rest)) => (0..=text.len()).any(|n| path(rest, &text[n..])),
                Some((glob, rest)) => text.split_first().is_some_and(|(first, after)| {
                    let chars = |s: &str| s.chars().collect::<Vec<_>>();
                    star(&chars(glob), &chars(first)) && path(rest, after)
                }),
            }
        }

        proptest! {
            #[test]
            fn for_operations(pattern in "[ab/*]{0,8}", text in "[ab/]{0,10}") {
                let chars = |s: &str| s.chars().collect::<Vec<_>>();
                prop_assert_eq!(Glob::new(&pattern).matches(&text), star(&chars(&pattern), &chars(&text)));
            }

            #[test]
            fn for_paths(
                pattern in proptest::collection::vec("[ab]{1,2}|[ab]?\\*[ab]?|\\*\\*", 0..6),
                text in proptest::collection::vec("[ab]{1,3}", 0..7),
            ) {
                let glob = PathGlob::new(&format!("/{}", pattern.join("/")).parse().unwrap(), false);
                let pattern: Vec<&str> = pattern.iter().map(String::as_str).collect();
                let segments: Vec<&str> = text.iter().map(String::as_str).collect();
                prop_assert_eq!(glob.matches(&format!("/{}", text.join("/"))), path(&pattern, &segments));
            }
        }
    }
}
