//! Whether sets of texts, each said by a regular expression, have a text in common.
//!
//! A pattern of a rule is one set, the operations that a protocol can produce are another. Where
//! they share nothing, no request meets the rule. That is asked of the expressions themselves, so a
//! new protocol brings its set and no code.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use regex_automata::nfa::thompson::{Compiler, Config, NFA, State, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::util::syntax;

use crate::policy::document::{OperationPattern, PathPattern};

/// The most steps of one comparison. Whatever is not found to be apart by then is taken to meet: a
/// rule that works must never be refused.
const MAX_STEPS: usize = 200_000;

/// A set of texts in lower case.
pub(super) struct Texts(NFA);

/// The sets that were asked for: thousands of rules say the same few.
#[derive(Default)]
pub(super) struct Known(HashMap<String, Option<Rc<Texts>>>);

impl Known {
    /// As [`Texts::of`].
    pub(super) fn texts(&mut self, expression: String) -> Option<Rc<Texts>> {
        if let Some(known) = self.0.get(&expression) {
            return known.clone();
        }
        let made = Texts::of(&expression).map(Rc::new);
        self.0.insert(expression, made.clone());
        made
    }
}

impl Texts {
    /// Those that an expression matches from end to end. `None` when it is none, or is too large.
    pub(super) fn of(expression: &str) -> Option<Self> {
        let syntax = syntax::Config::new().unicode(false).utf8(false);
        let config = Config::new()
            .utf8(false)
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(1 << 20));
        let nfa = Compiler::new()
            .syntax(syntax)
            .configure(config)
            .build(expression);
        nfa.ok().map(Self)
    }

    /// Those that a pattern over operations matches.
    pub(super) fn of_operation(pattern: &OperationPattern) -> Option<Self> {
        Self::of(&glob(&pattern.as_str().to_ascii_lowercase(), "[ -~]*"))
    }

    /// Whether one text is in both.
    pub(super) fn meet(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.0, &other.0);
        let start = (ours.start_anchored(), theirs.start_anchored());
        let mut seen = HashSet::from([start]);
        let mut open = vec![start];
        let mut steps = 0_usize;
        while let Some((a, b)) = open.pop() {
            steps = steps.saturating_add(1);
            if steps > MAX_STEPS {
                return true;
            }
            let mut visit = |pair| {
                if seen.insert(pair) {
                    open.push(pair);
                }
            };
            if let Some(next) = without_a_byte(ours.state(a)) {
                next.into_iter().for_each(|a| visit((a, b)));
                continue;
            }
            if let Some(next) = without_a_byte(theirs.state(b)) {
                next.into_iter().for_each(|b| visit((a, b)));
                continue;
            }
            match (ours.state(a), theirs.state(b)) {
                (State::Match { .. }, State::Match { .. }) => return true,
                (ours, theirs) => {
                    for byte in b' '..=b'~' {
                        if let (Some(a), Some(b)) = (after(ours, byte), after(theirs, byte)) {
                            visit((a, b));
                        }
                    }
                }
            }
        }
        false
    }
}

/// The states that follow without a byte; `None` for one that wants a byte or is an end.
fn without_a_byte(state: &State) -> Option<Vec<StateID>> {
    match state {
        State::Union { alternates } => Some(alternates.to_vec()),
        State::BinaryUnion { alt1, alt2 } => Some(vec![*alt1, *alt2]),
        State::Capture { next, .. } | State::Look { next, .. } => Some(vec![*next]),
        State::ByteRange { .. }
        | State::Sparse(_)
        | State::Dense(_)
        | State::Fail
        | State::Match { .. } => None,
    }
}

fn after(state: &State, byte: u8) -> Option<StateID> {
    match state {
        State::ByteRange { trans } => trans.matches_byte(byte).then_some(trans.next),
        State::Sparse(transitions) => transitions.matches_byte(byte),
        State::Dense(transitions) => transitions.matches_byte(byte),
        _ => None,
    }
}

/// An expression for the paths that a pattern matches, in lower case; `None` for one that matches
/// them all.
pub(super) fn paths(pattern: &PathPattern) -> Option<String> {
    let pattern = pattern.as_str().to_ascii_lowercase();
    let segments: Vec<&str> = pattern.split('/').skip(1).collect();
    if segments.iter().all(|segment| *segment == "**") {
        return None;
    }
    let mut expression = String::new();
    for segment in segments {
        if segment == "**" {
            expression.push_str("(?:/[^/ ]+)*");
        } else {
            expression.push('/');
            expression.push_str(&glob(segment, "[^/ ]*"));
        }
    }
    Some(expression)
}

/// A pattern whose `*` stand for `run`.
fn glob(pattern: &str, run: &str) -> String {
    let parts = pattern.split('*').map(escaped);
    parts.collect::<Vec<_>>().join(run)
}

/// A text as an expression for itself.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_ascii_alphanumeric() && c.is_ascii_graphic() {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn meet(a: &str, b: &str) -> bool {
        let (a, b) = (Texts::of(a).unwrap(), Texts::of(b).unwrap());
        assert_eq!(a.meet(&b), b.meet(&a));
        a.meet(&b)
    }

    #[test]
    fn sets_meet_that_share_a_text_from_end_to_end() {
        for (a, b, expected) in [
            ("abc", "abc", true),
            ("abc", "ab", false),
            ("ab", "abc", false),
            ("[a-z]+", "x", true),
            ("[a-z]*/read", "get [ -~]*", false),
            ("[ -~]*/read", "[a-z]+ /[ -~]*", true),
            ("a*b*", "", true),
            ("(?:aa)+", "(?:aaa)+", true),
            ("a(?:aa)+", "(?:aa)+", false),
        ] {
            assert_eq!(meet(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_pattern_is_the_set_of_what_it_matches() {
        for (pattern, text, expected) in [
            ("*/read", "a/read", true),
            ("*/read", "a/ready", false),
            ("GET /v1.0/$x(*)", "get /v1.0/$x(1)", true),
            ("GET /v1.0", "get /v1x0", false),
        ] {
            let pattern: OperationPattern = pattern.parse().unwrap();
            let set = Texts::of_operation(&pattern).unwrap();
            let one = Texts::of(&escaped(text)).unwrap();
            assert_eq!(set.meet(&one), expected, "{pattern} {text}");
        }
        for (pattern, path, expected) in [
            ("/v1/**", "/v1", true),
            ("/v1/**", "/v1/a/b", true),
            ("/v1/**", "/v10", false),
            ("/v1/*", "/v1/a", true),
            ("/v1/*", "/v1/a/b", false),
            ("/**/a", "/x/y/a", true),
            ("/", "/", true),
        ] {
            let pattern: PathPattern = pattern.parse().unwrap();
            let set = Texts::of(&paths(&pattern).unwrap()).unwrap();
            assert_eq!(
                set.meet(&Texts::of(&escaped(path)).unwrap()),
                expected,
                "{pattern} {path}"
            );
        }
        assert_eq!(paths(&"/**".parse().unwrap()), None);
    }
}
