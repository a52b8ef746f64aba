//! What a rule is: one form in which a secret stands in text, before it is compiled.
//!
//! The built-in detectors are written as [`Shape`](super::detector::Shape)s, those of a policy as
//! regular expressions; both become rules.
//!
//! # The parts of a rule
//!
//! A rule of `secrets/assigned-secret`, in a text in which it finds one:
//!
//! ```text
//!     my api_key = k7Dq2mPz9XvB4nLw;
//!        └─────┘└─┘└──────────────┘│
//!        anchor │  secret          tail
//!               context
//! ```
//!
//! The *match* is all that leads to the secret, and the secret. Only the secret is masked.
//!
//! | part | is |
//! |---|---|
//! | anchor | bytes that every match has at a known place, and that text seldom has. The search looks for nothing else |
//! | lead | the bytes of the match before its anchor: so many of any kind, or a *run*, which is all bytes of a class that stand there. See [`Lead`] |
//! | left | a condition on the bytes before the match, so that `sk-` in `risk-` is none. See [`Left`] |
//! | context | the part of the match that leads to the secret, and is none. The secret may begin wherever it ends |
//! | secret | a pattern, matched from one place on; the longest match counts, unless `ends` says the first |
//! | tail | a pattern that has to match behind the secret, and is no part of it |
//! | after | a number of bytes at the end of the secret's pattern that are no part of the secret: the `@` behind a password in a URL |
//! | must | a test of the find, for forms that harmless text has, too: it looks random, its check digits are right. Asked once. See [`Check`] |
//! | refuted | a test of the beginning of the secret, after 256 bytes without a match: whether waiting on is in vain. See [`doubt`](super::doubt) |

use crate::masking::search::bytes::{Anchor, ByteSet};
use std::{borrow::Cow, fmt, sync::Arc};

/// One form in which a secret stands in text: where to look, what may stand around it, what it is.
#[derive(Debug, Clone)]
pub(in crate::masking) struct RuleSpec {
    /// Alternatives: one of them stands in every match, at the place that `lead` says.
    pub(in crate::masking) anchors: Vec<Anchor>,
    /// What stands between the beginning of the match and the anchor.
    pub(in crate::masking) lead: Lead,
    /// The boundary before the match.
    pub(in crate::masking) left: Left,
    /// What leads to the secret and is not secret itself. The secret may begin wherever it matches.
    pub(in crate::masking) context: Option<Context>,
    /// The secret, from the end of the context or else from the beginning of the match.
    pub(in crate::masking) secret: Cow<'static, str>,
    /// What must match directly after the secret and is not part of it.
    pub(in crate::masking) tail: Option<Cow<'static, str>>,
    /// Bytes at the end of what `secret` matches that are not part of the secret.
    pub(in crate::masking) after: u8,
    /// Which of the places where the secret may end is its end.
    pub(in crate::masking) ends: Ends,
    /// A test that a find has to pass beyond its pattern, for shapes that harmless text has too.
    /// It decides: a find that fails it is none, and no shorter one is tried.
    pub(in crate::masking) must: Option<Check>,
    /// Whether what begins so, with the first [`DOUBTED`](super::doubt::DOUBTED) bytes of which
    /// nothing has matched, is no secret whatever follows.
    pub(in crate::masking) refuted: Option<fn(&[u8]) -> bool>,
}

/// The bytes between the beginning of a match and its anchor. They belong to the match; the byte
/// before them is asked about by [`Left`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking) enum Lead {
    /// So many bytes of any kind. 0: the match begins with its anchor.
    Fixed(u8),
    /// All bytes of a class that stand before the anchor, 1 to `max` of them: the match begins
    /// where they begin. The anchor cannot begin with a byte of the class, and the pattern reads at
    /// most `max` of them first.
    Run {
        /// Which bytes.
        class: ByteSet,
        /// Most of them.
        max: u8,
    },
}

/// Which of the places where a secret may end is its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking) enum Ends {
    /// The last one: nothing is cut off.
    Longest,
    /// The first one: for what goes on up to a closing mark, whatever stands between.
    First,
}

/// Text before a secret.
#[derive(Debug, Clone)]
pub(in crate::masking) struct Context {
    /// The pattern. It should match a bounded length only.
    pub(in crate::masking) pattern: Cow<'static, str>,
    /// Where it begins to match.
    pub(in crate::masking) from: ContextStart,
}

/// Where a [`Context`] begins to match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking) enum ContextStart {
    /// With the match, lead and anchor included.
    Match,
    /// After the anchor: what rules that differ in their keyword only have in common is compiled
    /// once.
    AnchorEnd,
    /// Where the anchor ends, and at each of the [`NEAR`](crate::masking::search::discovery::NEAR)
    /// bytes after it.
    Near,
}

/// What is asked about a secret that a pattern has found.
#[derive(Clone)]
pub(in crate::masking) enum Check {
    /// About the secret alone.
    Secret(fn(&[u8]) -> bool),
    /// About the secret and the text before it.
    Found {
        /// How many bytes before the secret the test wants to see.
        lookback: u16,
        /// What it costs for each byte that it sees.
        cost: u32,
        /// The test.
        test: Arc<dyn Fn(&Found<'_>) -> bool + Send + Sync>,
    },
}

/// What it costs to ask, beside the bytes that are looked at.
const ASKED: u64 = 64;

/// What a [`Check`] sees.
#[derive(Clone, Copy)]
pub(in crate::masking) struct Found<'a> {
    /// The secret.
    pub(in crate::masking) secret: &'a [u8],
    /// The bytes before it, as many as the check wants; fewer only where the text begins.
    pub(in crate::masking) before: &'a [u8],
}

impl Check {
    /// Bytes before the secret that it wants to see.
    pub(in crate::masking) fn lookback(&self) -> usize {
        match self {
            Self::Secret(_) => 0,
            Self::Found { lookback, .. } => usize::from(*lookback),
        }
    }

    /// What it costs at most to ask about a secret of `length` bytes; see
    /// [`Budget`](crate::masking::Budget).
    pub(in crate::masking) fn cost(&self, length: usize) -> u64 {
        let each = match self {
            Self::Secret(_) => 4,
            Self::Found { cost, .. } => u64::from(*cost),
        };
        let bytes = length.saturating_add(self.lookback()) as u64;
        bytes.saturating_mul(each).saturating_add(ASKED)
    }

    /// Asks.
    pub(in crate::masking) fn holds(&self, found: &Found<'_>) -> bool {
        match self {
            Self::Secret(test) => test(found.secret),
            Self::Found { lookback, test, .. } => {
                let skip = found.before.len().saturating_sub(usize::from(*lookback));
                test(&Found {
                    secret: found.secret,
                    before: found.before.get(skip..).unwrap_or_default(),
                })
            }
        }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Check")
    }
}

/// The boundary on the left of a match: which bytes may stand before it. The end of an escape
/// (`\n`, `\u0022`, `%3D`) never belongs to the word that follows, so all of these but
/// [`Value`](Self::Value) allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::masking) enum Left {
    /// Anything: the anchor is unmistakable.
    Any,
    /// No letter, digit or underscore.
    NotWord,
    /// No letter, digit, `_`, `-`, `+` or `/`: not the inside of encoded data or of a longer name.
    NotToken,
    /// No letter, digit, `_`, `.`, `-`, `+` or `/`: not the inside of a longer number, a version or
    /// a path.
    NotNumber,
    /// Something that opens a value: a quote, `=`, `:`, `>`, `(`, `,`, a backtick; or the text or a
    /// line begins.
    Opening,
    /// Something that assigns a value: `=`, `:` or `>`, also with a quote or a space after it. Not
    /// the text's beginning. For what begins like any word: words of prose that streams need not
    /// wait then.
    Value,
}

/// How many bytes before a match decide about [`Left`].
pub(in crate::masking) const BEHIND: usize = 6;

impl Left {
    /// Whether a match may begin after `behind`, the last bytes before it.
    #[inline]
    pub(in crate::masking) fn allows(self, behind: [u8; BEHIND]) -> bool {
        let [.., last] = behind;
        let refused = match self {
            Self::Any => false,
            Self::NotWord => is_word(last),
            Self::NotToken => is_word(last) || matches!(last, b'-' | b'+' | b'/'),
            Self::NotNumber => is_word(last) || matches!(last, b'.' | b'-' | b'+' | b'/'),
            Self::Value => !assigns(behind),
            Self::Opening => !matches!(
                last,
                b'"' | b'\''
                    | b'`'
                    | b'='
                    | b':'
                    | b'>'
                    | b'('
                    | b','
                    | b'\\'
                    | b'\n'
                    | b'\r'
                    | b'\t'
            ),
        };
        !refused || (self != Self::Value && ends_an_escape(behind))
    }

    /// Whether a match may follow this byte, whatever stands before it: asked first, since it is
    /// cheap.
    pub(in crate::masking) fn may_follow(self, last: u8) -> bool {
        match self {
            Self::Value => matches!(
                last,
                b' ' | b'\n' | b'\r' | b'"' | b'\'' | b'`' | b'=' | b':' | b'>' | b'\\'
            ),
            // The end of an escape may be a letter or a digit.
            _ => {
                self.allows([0, 0, 0, 0, 0, last])
                    || last.is_ascii_hexdigit()
                    || matches!(last, b'n' | b'r' | b't' | b'f' | b'b' | b'v')
            }
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn assigns(behind: [u8; BEHIND]) -> bool {
    // What the text's beginning looks like; see `Carried`.
    if behind == [b'='; BEHIND] {
        return false;
    }
    let mut before = behind.into_iter().rev().peekable();
    let space = |b: &u8| matches!(b, b' ' | b'\n' | b'\r');
    while before.next_if(space).is_some() {}
    if before
        .next_if(|b| matches!(b, b'"' | b'\'' | b'`'))
        .is_some()
    {
        while before.next_if_eq(&b'\\').is_some() {}
        while before.next_if(space).is_some() {}
    }
    matches!(before.next(), Some(b'=' | b':' | b'>'))
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

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_may_not_follow_a_byte_follows_nothing_that_ends_with_it() {
        let all = [
            Left::Any,
            Left::NotWord,
            Left::NotToken,
            Left::NotNumber,
            Left::Opening,
            Left::Value,
        ];
        let ends = ["", "\\", "\\x4", "\\u004", "%4", "=", "= ", "=\"", "k", " "];
        for (left, end) in all.into_iter().flat_map(|left| ends.map(|end| (left, end))) {
            for last in 0..=255 {
                let mut behind = [b'k'; BEHIND];
                for b in end.bytes().chain([last]) {
                    behind.rotate_left(1);
                    behind[BEHIND - 1] = b;
                }
                assert!(
                    !left.allows(behind) || left.may_follow(last),
                    "{left:?} {end:?} {last}"
                );
            }
        }
    }

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
    fn a_value_is_assigned_with_or_without_quotes() {
        let after = |text: &str| {
            let mut behind = [b'='; BEHIND];
            for b in text.bytes() {
                behind.rotate_left(1);
                behind[BEHIND - 1] = b;
            }
            Left::Value.allows(behind)
        };
        for text in [
            "k=",
            "k=\"",
            "\"k\": \"",
            "k\\\":\\\"",
            "k: ",
            "<k>",
            "k = '",
        ] {
            assert!(after(text), "{text:?}");
        }
        for text in ["", "a ", "say \"", "(", "x(\"", "{\"", "a\n", "a, \""] {
            assert!(!after(text), "{text:?}");
        }
    }

    #[test]
    fn a_check_sees_no_more_than_it_asked_for() {
        let check = Check::Found {
            lookback: 3,
            cost: 1,
            test: Arc::new(|found| found.before == b"ab=" && found.secret == b"x"),
        };
        assert!(check.holds(&Found {
            secret: b"x",
            before: b"zzab="
        }));
        assert!(!check.holds(&Found {
            secret: b"x",
            before: b"b="
        }));
    }
}
