//! Rules of every kind against a slow reading of what they say, over every cut.

use super::{
    super::{Content, Detector, DetectorSet, Masker, Plan, Severity},
    key,
};
use crate::masking::{
    detectors::rule::{BEHIND, Check, Context, ContextStart, Ends, Found, Lead, Left, RuleSpec},
    search::bytes::{Anchor, ByteSet},
};
use std::sync::Arc;

fn rule(anchor: Anchor, secret: &str) -> RuleSpec {
    RuleSpec {
        anchors: vec![anchor],
        lead: Lead::Fixed(0),
        left: Left::Any,
        context: None,
        secret: secret.to_owned().into(),
        tail: None,
        after: 0,
        ends: Ends::Longest,
        must: None,
        refuted: None,
    }
}

fn detector(name: &str, rules: Vec<RuleSpec>) -> Detector {
    Detector::custom(
        format!("custom/{name}"),
        String::new(),
        Severity::High,
        String::new(),
        rules,
    )
}

fn set_of(rules: Vec<RuleSpec>) -> Result<Arc<DetectorSet>, super::super::DetectorError> {
    DetectorSet::of([detector("x", rules)]).map(Arc::new)
}

fn in_pieces(set: &Arc<DetectorSet>, text: &[u8], cuts: &[usize]) -> Vec<u8> {
    let plan = Arc::new(Plan::masking(Arc::clone(set)));
    let mut masker = Masker::new(plan, key(), &Content::text());
    let mut out = Vec::new();
    let mut from = 0;
    for &to in cuts.iter().chain([&text.len()]) {
        out.extend_from_slice(masker.push(&text[from..to]).as_bytes());
        from = to;
    }
    out.extend_from_slice(masker.finish().as_bytes());
    out
}

/// Masked whole and over every single cut, which must be the same.
fn masked(set: &Arc<DetectorSet>, text: &str) -> String {
    let whole = in_pieces(set, text.as_bytes(), &[]);
    for cut in 0..=text.len() {
        let cut_once = in_pieces(set, text.as_bytes(), &[cut]);
        assert_eq!(
            cut_once.escape_ascii().to_string(),
            whole.escape_ascii().to_string(),
            "cut at {cut}"
        );
    }
    let single: Vec<usize> = (1..text.len().max(1)).collect();
    assert_eq!(in_pieces(set, text.as_bytes(), &single), whole);
    String::from_utf8(whole).unwrap()
}

/// What `text` becomes when these parts of it, written between `<` and `>`, are masked.
fn check(set: &Arc<DetectorSet>, marked: &str) {
    let text = marked.replace(['<', '>'], "");
    let mut expected = String::new();
    for (i, part) in marked.split(['<', '>']).enumerate() {
        match i % 2 {
            0 => expected.push_str(part),
            _ => expected.push_str(&replacement(part.as_bytes())),
        }
    }
    assert_eq!(masked(set, &text), expected, "{marked}");
}

fn replacement(secret: &[u8]) -> String {
    format!("[masked:x:{}]", key().fingerprint(secret))
}

fn digits(n: usize) -> Anchor {
    vec![ByteSet::range(b'0', b'9'); n].into()
}

#[test]
fn an_anchor_may_be_made_of_sets() {
    let cards = set_of(vec![RuleSpec {
        left: Left::NotWord,
        ..rule(digits(4), r"[0-9]{4}(?:[ -]?[0-9]{4}){3}\b")
    }])
    .unwrap();
    check(
        &cards,
        "pay with <4111 1111 1111 1111>, or <5500000000000004>; not 12345, x4111111111111111 or 41111111111111112",
    );
}

#[test]
fn a_match_may_begin_with_a_run_before_its_anchor() {
    let local = ByteSet::range(b'a', b'z').union(ByteSet::of(b"._+-"));
    let set = set_of(vec![RuleSpec {
        lead: Lead::Run {
            class: local,
            max: 8,
        },
        left: Left::NotWord,
        ..rule(
            Anchor::literal("@"),
            r"[a-z._+-]{1,8}@(?:[a-z0-9-]{1,20}\.){1,4}[a-z]{2,8}",
        )
    }])
    .unwrap();
    check(
        &set,
        "<ann@example.org>, bob@nowhere @ann <c.d@example.com>",
    );
    check(&set, "<x@y.zz> @q.rs waytoolong@example.org");
    check(&set, "Xann@example.org 9bob@example.org");
}

#[test]
fn what_is_held_for_a_run_leaves_with_the_byte_that_refutes_it() {
    let set = set_of(vec![RuleSpec {
        lead: Lead::Run {
            class: ByteSet::range(b'a', b'z'),
            max: 8,
        },
        ..rule(Anchor::literal("@"), "[a-z]{1,8}@[a-z]{1,20}[.]example")
    }])
    .unwrap();
    let plan = Arc::new(Plan::masking(set));
    let mut masker = Masker::new(plan, key(), &Content::text());
    assert_eq!(masker.push(b"to be or no").as_bytes(), b"to be or ");
    assert_eq!(masker.push(b"t ").as_bytes(), b"not ");
    assert_eq!(
        masker.push(b"muchtoolongforthis").as_bytes(),
        b"muchtoolongforthis"
    );
    assert_eq!(masker.held(), 0);
}

#[test]
fn a_context_may_begin_after_its_anchor() {
    let rules = ["adobe", "acme_"].map(|word| RuleSpec {
        context: Some(Context {
            pattern: r#"[a-z_]{0,6}["']?\s?[=:]\s?["']?"#.into(),
            from: ContextStart::AnchorEnd,
        }),
        tail: Some(r#"(?:["'\s]|$)"#.into()),
        ..rule(Anchor::ignoring_case(word), "[0-9a-f]{8}")
    });
    let set = set_of(rules.to_vec()).unwrap();
    check(&set, "adobe_key = '<0123abcd>' Adobe:<89abcdef>");
    check(
        &set,
        "ACME_id: 0123abcd9, adobe_ke=01234567x acme=<01234567>"
            .replace("acme=<01234567>", "acme=01234567")
            .as_str(),
    );
    check(&set, "acme_adobe=\"<01234567>\"");
}

#[test]
fn a_secret_ends_at_the_last_place_that_its_tail_follows() {
    let set = set_of(vec![RuleSpec {
        tail: Some("(?:;;|$)".into()),
        ..rule(Anchor::literal("key-"), "key-[a-z;]{2,12}")
    }])
    .unwrap();
    check(&set, "<key-ab>;; <key-ab;;cd>;;ef key-ab;cd <key-abcd>");
    check(&set, "key-abcd; <key-a;>;; .");
}

#[test]
fn a_tail_may_look_behind_and_ahead() {
    let set = set_of(vec![RuleSpec {
        tail: Some(r"\b".into()),
        ..rule(Anchor::literal("key-"), "key-[a-z=]{2,6}")
    }])
    .unwrap();
    check(
        &set,
        "<key-ab> <key-ab=c>. key-abcdefgh <key-ab>=== <key-xy>",
    );
}

#[test]
fn boundaries_at_the_beginning_of_patterns_see_what_stands_before() {
    let set = set_of(vec![
        rule(Anchor::literal("tok"), r"\btok[0-9]{3,}"),
        rule(Anchor::literal("lin"), "(?m)^lin[0-9]{3,}"),
        rule(Anchor::literal("beg"), "^beg[0-9]{3,}"),
        RuleSpec {
            context: Some(Context {
                pattern: "key=[a-z-]{0,3}".into(),
                from: ContextStart::Match,
            }),
            ..rule(Anchor::literal("key="), r"\b[0-9]{3,}")
        },
    ])
    .unwrap();
    check(
        &set,
        "<beg123> tok <tok123> atok123 lin123 beg123\n<lin123>\nbeg123",
    );
    check(&set, "key=<123> key=a123 key=ab-<123>");
}

#[test]
fn a_check_may_ask_for_the_text_before_the_secret() {
    let set = set_of(vec![RuleSpec {
        must: Some(Check::Found {
            lookback: 11,
            cost: 1,
            test: Arc::new(|found: &Found<'_>| {
                assert!(found.before.len() <= 11);
                !found.before.windows(6).any(|w| w == b"public")
            }),
        }),
        context: Some(Context {
            pattern: "key=".into(),
            from: ContextStart::Match,
        }),
        ..rule(Anchor::literal("key="), "[0-9]{4,}")
    }])
    .unwrap();
    check(
        &set,
        "public_key=1234 secret_key=<1234> key=<123456>,publickey=1234, public: my key=<1234>",
    );
}

#[test]
fn a_rule_that_would_be_tried_everywhere_is_refused_with_a_reason() {
    let letters: Anchor = vec![ByteSet::range(b'a', b'z'); 3].into();
    for (spec, word) in [
        (rule(letters, "[a-z]{3,}!"), "keyword"),
        (
            RuleSpec {
                anchors: vec![],
                ..rule(digits(1), "x")
            },
            "anchor",
        ),
        (rule(Anchor::literal("abc"), "abd"), "never matches"),
        (rule(Anchor::literal("a"), "a?"), "empty"),
        (rule(Anchor::literal("abc"), "abc("), "unclosed group"),
        (rule(Anchor::literal("abc"), "abc[a-z]{9000}"), "states"),
        (
            rule(Anchor::literal("abc"), "abc(?:[a-z]{1000}){1000}"),
            "too large",
        ),
        (
            RuleSpec {
                lead: Lead::Run {
                    class: ByteSet::range(b'a', b'z'),
                    max: 4,
                },
                ..rule(Anchor::literal("@"), "[a-z]{1,5}@x")
            },
            "more than the 4 bytes",
        ),
        (
            RuleSpec {
                lead: Lead::Run {
                    class: ByteSet::range(b'a', b'z'),
                    max: 4,
                },
                ..rule(Anchor::literal("b@"), "[a-z]{1,4}b@x")
            },
            "begins with a byte of the run",
        ),
    ] {
        let error = set_of(vec![spec]).map(|_| ()).unwrap_err().to_string();
        assert!(
            error.contains(word) && error.starts_with("detector custom/x: "),
            "{word}: {error}"
        );
    }
}

#[test]
fn equal_patterns_are_compiled_once() {
    let one = |n: usize| {
        let rules =
            (0..n).map(|i| rule(Anchor::literal(&format!("k{i:02}")), "k[0-9]{2}[a-z]{500}"));
        set_of(rules.collect()).unwrap().memory()
    };
    assert!(one(50) < one(1) * 3, "{} {}", one(1), one(50));
}

#[test]
fn text_made_to_begin_contexts_over_and_over_is_read_in_time() {
    let set = set_of(vec![RuleSpec {
        context: Some(Context {
            pattern: r"curl[^\n]*".into(),
            from: ContextStart::Match,
        }),
        ..rule(Anchor::literal("curl"), "=x[0-9]{8}")
    }])
    .unwrap();
    // Read over and over, these would be five thousand million steps.
    let text = "curl".repeat(50_000) + "=x12345678";
    let out = in_pieces(&set, text.as_bytes(), &[7, 70_001]);
    assert!(out.ends_with(replacement(b"=x12345678").as_bytes()));
}

#[test]
fn texts_without_a_candidate_hold_no_secret() {
    let set = set_of(vec![
        rule(Anchor::literal("key-"), "key-[a-z]{2,}"),
        rule(Anchor::literal("abc"), "abc(?:d|$)"),
    ])
    .unwrap();
    let mut places = Vec::new();
    set.candidates(
        br#"{"a":"key","b":"key-ab","c":"abc","d":"-abx","e":"abce"}"#,
        &mut places,
    );
    // The last one is a false alarm.
    assert_eq!(places, [16, 29, 50]);
}

#[cfg(not(target_arch = "wasm32"))]
mod generated {
    use super::*;
    use proptest::{prelude::*, sample};
    use regex_automata::{
        Anchored, Input, MatchKind,
        dfa::{Automaton as _, OverlappingState, StartKind, dense},
        util::syntax,
    };

    const ALPHABET: &[u8] = b"abxyAB12@=; -\n\\";

    fn set() -> impl Strategy<Value = ByteSet> {
        prop_oneof![
            6 => sample::select(b"abxy@=-1".to_vec()).prop_map(ByteSet::byte),
            1 => sample::select(b"ab".to_vec()).prop_map(ByteSet::either_case),
            1 => Just(ByteSet::of(b"ab")),
            1 => Just(ByteSet::range(b'1', b'2')),
            1 => Just(ByteSet::range(b'a', b'z')),
        ]
    }

    fn class(set: ByteSet) -> String {
        let bytes: String = set.iter().map(|b| format!(r"\x{b:02x}")).collect();
        format!("[{bytes}]")
    }

    fn choice(of: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
        sample::select(of)
    }

    /// A rule and the pattern of its context, lead and anchor included (empty without a context).
    fn rules() -> impl Strategy<Value = (RuleSpec, Option<String>)> {
        let lead = prop_oneof![
            3 => Just((Lead::Fixed(0), "")),
            1 => Just((Lead::Fixed(2), "[ab1 ]{2}")),
            1 => Just((Lead::Run { class: ByteSet::of(b"ab"), max: 3 }, "[ab]{1,3}")),
        ];
        let left = sample::select(vec![
            Left::Any,
            Left::Any,
            Left::Any,
            Left::NotWord,
            Left::NotToken,
            Left::Opening,
        ]);
        let bounds = choice(&["", "", "", "", "", "", r"\b", r"\B", "^", "(?m)^"]);
        let context = prop_oneof![
            Just(None),
            choice(&["", "=", "[a-z]{0,3}=?", r"(?:\b|x);?", "x*"]).prop_map(Some),
        ];
        let secret = choice(&[
            "[ab]{2,4}",
            "x+",
            "[a-z]+[12]",
            r"x[a-z;]*\b",
            r"[xy]+(?:1|$)",
        ]);
        let bound = choice(&["", "", "", "", r"\b", "(?m)^"]);
        let tail = choice(&[
            "",
            "",
            "(?:;|$)",
            r"\b",
            r"(?:yy|[\s;])",
            r"\\[ab]|=",
            "(?m)$",
        ]);
        let anchor = prop::collection::vec(set(), 2..5);
        (
            anchor,
            lead,
            left,
            bounds,
            context,
            secret,
            bound,
            tail,
            any::<bool>(),
        )
            .prop_map(
                |(mut sets, (lead, before), left, bounds, context, secret, bound, tail, shared)| {
                    if let (Lead::Run { class, .. }, Some(first)) = (lead, sets.first_mut())
                        && !first.common(class).is_empty()
                    {
                        *first = ByteSet::byte(b'@');
                    }
                    let anchored: String = sets.iter().map(|&set| class(set)).collect();
                    let begin = format!("{bounds}{before}{anchored}");
                    let whole = context.map(|suffix| format!("{begin}(?:{suffix})"));
                    let shared = shared && lead == Lead::Fixed(0) && bounds.is_empty();
                    let spec = RuleSpec {
                        anchors: vec![sets.into()],
                        lead,
                        left,
                        context: context.zip(whole.clone()).map(|(suffix, whole)| Context {
                            pattern: if shared {
                                format!("(?:{suffix})")
                            } else {
                                whole
                            }
                            .into(),
                            from: if shared {
                                ContextStart::AnchorEnd
                            } else {
                                ContextStart::Match
                            },
                        }),
                        secret: match context {
                            Some(_) => format!("{bound}(?:{secret})"),
                            None => format!("{begin}(?:{secret})"),
                        }
                        .into(),
                        tail: (!tail.is_empty()).then(|| tail.to_owned().into()),
                        after: 0,
                        ends: Ends::Longest,
                        must: None,
                        refuted: None,
                    };
                    (spec, whole)
                },
            )
    }

    /// Every end at which `pattern` matches in `text` from `at` on, longest last.
    fn ends(pattern: &str, text: &[u8], at: usize) -> Vec<usize> {
        let dfa = dense::Builder::new()
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .thompson(regex_automata::nfa::thompson::Config::new().utf8(false))
            .configure(
                dense::Config::new()
                    .match_kind(MatchKind::All)
                    .start_kind(StartKind::Anchored),
            )
            .build(pattern)
            .unwrap();
        let input = Input::new(text)
            .span(at..text.len())
            .anchored(Anchored::Yes);
        let (mut state, mut ends) = (OverlappingState::start(), Vec::new());
        loop {
            dfa.try_search_overlapping_fwd(&input, &mut state).unwrap();
            match state.get_match() {
                Some(found) => ends.push(found.offset()),
                None => return ends,
            }
        }
    }

    fn allows(left: Left, text: &[u8], at: usize) -> bool {
        let mut behind = [b'='; BEHIND];
        for &b in &text[..at] {
            behind.rotate_left(1);
            behind[BEHIND - 1] = b;
        }
        left.allows(behind)
    }

    /// What the module's documentation says, place by place, without anchors.
    fn slowly(rules: &[(RuleSpec, Option<String>)], text: &[u8]) -> Vec<u8> {
        let mut secrets: Vec<(usize, std::cmp::Reverse<usize>)> = Vec::new();
        for (rule, context) in rules {
            for at in 0..text.len() {
                // A run is whole: it does not begin inside of one.
                let inside = match rule.lead {
                    Lead::Run { class, .. } => at > 0 && class.contains(text[at - 1]),
                    Lead::Fixed(_) => false,
                };
                if inside || !allows(rule.left, text, at) {
                    continue;
                }
                let starts = match context {
                    Some(context) => ends(context, text, at),
                    None => vec![at],
                };
                for start in starts {
                    let end = ends(&rule.secret, text, start)
                        .into_iter()
                        .rev()
                        .find(|&end| {
                            rule.tail
                                .as_ref()
                                .is_none_or(|tail| !ends(tail, text, end).is_empty())
                        });
                    if let Some(end) = end.filter(|&end| end > start) {
                        secrets.push((start, std::cmp::Reverse(end)));
                    }
                }
            }
        }
        secrets.sort_unstable();
        let (mut out, mut done) = (Vec::new(), 0);
        for (start, std::cmp::Reverse(end)) in secrets {
            if end > done {
                out.extend_from_slice(&text[done..start.max(done)]);
                out.extend_from_slice(replacement(&text[start..end]).as_bytes());
                done = end;
            }
        }
        out.extend_from_slice(&text[done..]);
        out
    }

    /// What a match of one of the rules may be made of, or a few bytes of any kind.
    fn shard_of(
        rules: &[(RuleSpec, Option<String>)],
        (which, parts, kind): &(sample::Index, [sample::Index; 4], u8),
    ) -> Vec<u8> {
        if *kind < 40 {
            return parts.iter().map(|i| *i.get(ALPHABET)).collect();
        }
        let [before, lead, suffix, secret] = parts;
        let (rule, _) = which.get(rules);
        let anchor = rule.anchors[0].sets().iter().map(|set| {
            let bytes: Vec<u8> = set.iter().collect();
            *lead.get(&bytes)
        });
        let mut text = before
            .get(&["", "", "\n", " ", "=", "a", "\\n"])
            .as_bytes()
            .to_vec();
        text.extend_from_slice(match rule.lead {
            Lead::Fixed(0) => b"".as_slice(),
            _ => lead.get(&["ab", "ba", "a "]).as_bytes(),
        });
        text.extend(anchor);
        if rule.context.is_some() {
            text.extend_from_slice(suffix.get(&["", "", "=", "a=", "x"]).as_bytes());
        }
        text.extend_from_slice(
            secret
                .get(&[
                    "ab", "aab;", "xx", "xyyy", "ab1", "x;;a", "xx\\a", "xy1 ", "abab\n", "x=",
                ])
                .as_bytes(),
        );
        text
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: crate::testing::cases(300), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_rules_over_any_cut_do_what_they_say(
            rules in prop::collection::vec(rules(), 1..4),
            shards in prop::collection::vec(any::<(sample::Index, [sample::Index; 4], u8)>(), 1..12),
            at in prop::collection::vec(any::<sample::Index>(), 0..8),
        ) {
            // Some of them would have to be tried everywhere, and are refused.
            let Ok(set) = set_of(rules.iter().map(|(rule, _)| rule.clone()).collect()) else { return Ok(()) };
            let text: Vec<u8> = shards.iter().flat_map(|shard| shard_of(&rules, shard)).collect();
            let whole = in_pieces(&set, &text, &[]);
            prop_assert_eq!(whole.escape_ascii().to_string(), slowly(&rules, &text).escape_ascii().to_string());
            let mut cuts: Vec<usize> = at.iter().map(|i| i.index(text.len() + 1)).collect();
            cuts.sort_unstable();
            prop_assert_eq!(in_pieces(&set, &text, &cuts), whole.clone());
            let single: Vec<usize> = (1..text.len().max(1)).collect();
            prop_assert_eq!(in_pieces(&set, &text, &single), whole);
        }
    }
}
