//! Where in a token's claims a value stands, as a policy writes it.
//!
//! Three spellings: `realm_access.roles` (dots lead into objects, or belong to a name),
//! `resource_access.my\.app.roles` (`\.` is a dot of a name, `\\` a backslash, every other dot
//! separates), and `/resource_access/my.app/roles` (a JSON Pointer, RFC 6901).
//!
//! What it promises: a claim that is there is found or refused, never taken for absent. Absent
//! groups let a caller past every rule that denies a group. So a name without an escape is tried
//! with every grouping of its dots; more than one that leads to a value is refused, and so is a way
//! on which something other than an object stands.
//!
//! Weighed: one reading, in which each dot separates. It is simpler, and a name with a dot in it
//! then means "no groups" without a word. Claims are a tree, so trying every grouping visits no
//! value twice.

use std::borrow::Cow;

use serde_json::{Map, Value};

type Claims = Map<String, Value>;

/// A claim's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClaimPath<'a> {
    /// The names of the members to follow, one after the other.
    Exact(Vec<Cow<'a, str>>),
    /// Names with dots between them, or with dots in them.
    Dotted(&'a str),
}

/// Why nothing can be said of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unclear {
    /// On the way stands something that has no members.
    NoObject,
    /// Several groupings of the dots lead to a value.
    Several,
    /// The path itself cannot be read.
    Path(&'static str),
}

impl<'a> ClaimPath<'a> {
    /// Reads a path as the policy has it.
    ///
    /// # Errors
    /// A sentence for its author: an escape that means nothing.
    pub(crate) fn parse(written: &'a str) -> Result<Self, &'static str> {
        if let Some(pointer) = written.strip_prefix('/') {
            let names = pointer.split('/').map(|name| {
                unescape(name, '~', |byte| match byte {
                    '0' => Some('~'),
                    '1' => Some('/'),
                    _ => None,
                })
            });
            let names: Option<Vec<_>> = names.collect();
            return names.map(Self::Exact).ok_or(
                "in a JSON Pointer (it begins with `/`) `~` is written `~0`, and `/` in a name `~1`",
            );
        }
        if !written.contains('\\') {
            return Ok(Self::Dotted(written));
        }
        let names = separate(written).into_iter().map(|name| {
            unescape(name, '\\', |byte| match byte {
                '.' | '\\' => Some(byte),
                _ => None,
            })
        });
        let names: Option<Vec<_>> = names.collect();
        names
            .map(Self::Exact)
            .ok_or("`\\` stands only before a dot that belongs to a name, or before another `\\`")
    }

    /// Whether a path has one of the spellings that say exactly which names are meant.
    pub(crate) fn has_escapes(written: &str) -> bool {
        written.starts_with('/') || written.contains('\\')
    }

    /// Whether nobody can tell which of the dots separate: there are three or more, and none of
    /// them is escaped. A name with a slash or a colon is a URL or has a namespace, and is whole.
    #[cfg(feature = "authoring")]
    pub(crate) fn is_ambiguous(&self) -> bool {
        match self {
            Self::Dotted(name) => name.matches('.').count() > 2 && !name.contains(['/', ':']),
            Self::Exact(_) => false,
        }
    }

    /// The value in these claims; `null` is as good as absent.
    pub(super) fn find<'c>(&self, claims: &'c Claims) -> Result<Option<&'c Value>, Unclear> {
        let mut search = Search::default();
        match self {
            Self::Exact(names) => search.exact(claims, names),
            Self::Dotted(name) => search.dotted(claims, name),
        }
        match (search.found.as_slice(), search.is_blocked) {
            ([], true) => Err(Unclear::NoObject),
            ([], false) => Ok(None),
            ([value], _) => Ok(Some(*value)),
            _ => Err(Unclear::Several),
        }
    }

    /// Whether this member of the claims is the first step of the path, in any reading.
    pub(super) fn begins_with(&self, member: &str) -> bool {
        match self {
            Self::Exact(names) => names.first().is_some_and(|first| first == member),
            Self::Dotted(name) => name
                .strip_prefix(member)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
        }
    }
}

/// What the readings of one path came to.
#[derive(Default)]
struct Search<'c> {
    found: Vec<&'c Value>,
    /// A reading met something that has no members.
    is_blocked: bool,
}

impl<'c> Search<'c> {
    fn exact(&mut self, claims: &'c Claims, names: &[Cow<'_, str>]) {
        let Some((first, rest)) = names.split_first() else {
            return;
        };
        let Some(value) = claims.get(first.as_ref()) else {
            return;
        };
        if rest.is_empty() {
            self.take(value);
        } else if let Some(object) = self.enter(value) {
            self.exact(object, rest);
        }
    }

    fn dotted(&mut self, claims: &'c Claims, name: &str) {
        if let Some(value) = claims.get(name) {
            self.take(value);
        }
        for (at, _) in name.match_indices('.') {
            let (first, rest) = name.split_at_checked(at).unwrap_or_default();
            let rest = rest.strip_prefix('.').unwrap_or_default();
            if let Some(value) = claims.get(first)
                && let Some(object) = self.enter(value)
            {
                self.dotted(object, rest);
            }
        }
    }

    fn take(&mut self, value: &'c Value) {
        if !value.is_null() {
            self.found.push(value);
        }
    }

    fn enter(&mut self, value: &'c Value) -> Option<&'c Claims> {
        self.is_blocked |= !(value.is_object() || value.is_null());
        value.as_object()
    }
}

/// Splits at the dots before which no backslash stands.
fn separate(written: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = written;
    let mut from = 0;
    while let Some(found) = rest.get(from..).and_then(|rest| rest.find(['.', '\\'])) {
        let at = from.saturating_add(found);
        let (name, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
        match after.strip_prefix('.') {
            Some(after) => {
                names.push(name);
                rest = after;
                from = 0;
            }
            None => {
                // The escape and what it escapes.
                let escaped = after.chars().take(2).map(char::len_utf8);
                from = escaped.fold(at, usize::saturating_add);
            }
        }
    }
    names.push(rest);
    names
}

/// Resolves the escapes of a name; `None` where one means nothing.
fn unescape(
    name: &str,
    escape: char,
    means: impl Fn(char) -> Option<char>,
) -> Option<Cow<'_, str>> {
    if !name.contains(escape) {
        return Some(Cow::Borrowed(name));
    }
    let mut plain = String::with_capacity(name.len());
    let mut chars = name.chars();
    while let Some(char) = chars.next() {
        plain.push(match char {
            char if char == escape => means(chars.next()?)?,
            char => char,
        });
    }
    Some(Cow::Owned(plain))
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn names(written: &str) -> Vec<String> {
        match ClaimPath::parse(written).unwrap() {
            ClaimPath::Exact(names) => names.into_iter().map(Cow::into_owned).collect(),
            ClaimPath::Dotted(name) => vec![name.to_owned()],
        }
    }

    #[test]
    fn escapes_say_which_dots_belong_to_a_name() {
        let cases: [(&str, &[&str]); 9] = [
            (
                r"resource_access.my\.app.roles",
                &["resource_access", "my.app", "roles"],
            ),
            (r"a\\.b", &[r"a\", "b"]),
            (r"a\\\.b", &[r"a\.b"]),
            (r"\.a.é\.", &[".a", "é."]),
            (r"a\..b", &["a.", "b"]),
            (
                "/resource_access/my.app/roles",
                &["resource_access", "my.app", "roles"],
            ),
            ("/a~1b/c~0d/~01", &["a/b", "c~d", "~1"]),
            ("/", &[""]),
            ("a.b", &["a.b"]),
        ];
        for (written, expected) in cases {
            assert_eq!(names(written), expected, "{written}");
        }
    }

    #[test]
    fn an_escape_that_means_nothing_is_no_path() {
        for written in [r"a\b", r"a\", r"a\\\", r"\é", "/a~", "/a~2", "/~~0"] {
            assert!(ClaimPath::parse(written).is_err(), "{written}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// However names are grouped with dots: what is there is found, and only where it stands.
        #[test]
        fn what_is_there_is_found_or_refused(names in prop::collection::vec("[ab.]{1,3}", 1..5), other in "[ab.]{1,4}") {
            let mut value = json!(["g"]);
            for name in names.iter().rev() {
                value = json!({ name: value });
            }
            if let Some(claims) = value.as_object_mut() {
                claims.entry(other).or_insert(json!({ "b": ["other"] }));
            }
            let claims = value.as_object().unwrap();
            let joined = names.join(".");
            let found = ClaimPath::parse(&joined).unwrap().find(claims);
            prop_assert!(found.is_err() || found == Ok(Some(&json!(["g"]))), "{joined}: {found:?}");
            let escaped: Vec<String> = names.iter().map(|name| name.replace('.', r"\.")).collect();
            let written = format!("{}{}", escaped.join("."), if joined.contains('.') { "" } else { r"\." });
            if joined.contains('.') && written.contains('\\') {
                prop_assert_eq!(ClaimPath::parse(&written).unwrap().find(claims), Ok(Some(&json!(["g"]))));
            }
            let pointer: String = names.iter().map(|name| format!("/{name}")).collect();
            prop_assert_eq!(ClaimPath::parse(&pointer).unwrap().find(claims), Ok(Some(&json!(["g"]))));
        }
    }
}
