//! Attempts that share what they learn, against single ones that read all by themselves.

use super::*;
use crate::masking::{
    detectors::rule::{Context, ContextStart, Ends, Lead, Left, RuleSpec},
    search::automaton::Look,
    {Detector, Severity},
};
use proptest::{prelude::*, sample::select};

/// What is found where every end of the secret has a reader of its own for the tail, and nothing
/// is shared: at each byte all of them go on.
struct Alone {
    state: Option<State>,
    tails: Vec<(State, usize)>,
    matched: Option<usize>,
}

impl Alone {
    fn read(rule: &Rule, look: Look, text: &[u8], from: usize, to: usize) -> Self {
        let mut this = Self {
            state: rule.secret.start(look),
            tails: Vec::new(),
            matched: None,
        };
        for at in from..to {
            if let Some(state) = this.state {
                let step = rule.secret.step(state, text[at]);
                this.state = step.next;
                if step.matched_before {
                    this.ended(rule, text, at);
                }
            }
            let mut found = None;
            if let Some(tail) = &rule.tail {
                this.tails.retain_mut(|(state, end)| {
                    let step = tail.automaton.step(*state, text[at]);
                    if step.matched_before {
                        found = match rule.first_end {
                            true => found.or(Some(*end)),
                            false => Some(*end),
                        };
                    }
                    *state = step.next.unwrap_or(*state);
                    step.next.is_some() && !step.matched_before
                });
            }
            this.matched = match rule.first_end {
                true => this.matched.or(found),
                false => this.matched.max(found),
            };
            if rule.first_end && this.matched.is_some() {
                this.state = None;
                this.tails.clear();
            }
        }
        if !rule.first_end {
            this.tails.retain(|&(_, end)| Some(end) > this.matched);
        }
        this
    }

    fn ended(&mut self, rule: &Rule, text: &[u8], at: usize) {
        match &rule.tail {
            None => self.matched = Some(at),
            Some(tail) => {
                let state = tail.automaton.start(Look::behind(text[at - 1]));
                self.tails.extend(state.map(|state| (state, at)));
            }
        }
    }

    fn is_open(&self) -> bool {
        self.state.is_some() || !self.tails.is_empty()
    }

    fn finish(mut self, rule: &Rule, text: &[u8], to: usize) -> Option<usize> {
        if !self.is_open() {
            return self.matched;
        }
        if self
            .state
            .is_some_and(|state| rule.secret.matches_at_end(state))
        {
            self.ended(rule, text, to);
        }
        let ends = self.tails.iter().filter(|(state, _)| {
            let tail = rule.tail.as_ref().unwrap();
            tail.automaton.matches_at_end(*state)
        });
        let ends = ends.map(|&(_, end)| end).chain(self.matched);
        match rule.first_end {
            true => ends.min(),
            false => ends.max(),
        }
    }
}

fn set(rules: &[(&str, &str, Ends)]) -> DetectorSet {
    let rules = rules.iter().map(|&(secret, tail, ends)| RuleSpec {
        anchors: vec![crate::masking::search::bytes::Anchor::literal("acme")],
        lead: Lead::Fixed(0),
        left: Left::Any,
        context: Some(Context {
            pattern: "acme".into(),
            from: ContextStart::Match,
        }),
        secret: secret.to_owned().into(),
        tail: (!tail.is_empty()).then(|| tail.to_owned().into()),
        after: 0,
        ends,
        must: None,
        refuted: None,
    });
    let detector = Detector::custom(
        "custom/x".to_owned(),
        String::new(),
        Severity::High,
        String::new(),
        rules.collect(),
    );
    DetectorSet::of([detector]).unwrap()
}

const SECRETS: &[&str] = &[
    "[ab]+",
    r"[\s\S]+",
    "a[ab=]*",
    "(?:ab|a|b)*b",
    "(?:[ab]{7})+",
    "[^!]{3,}",
    "[ab]{2,40}",
    "(?:ab|=)+[ab]",
];
const TAILS: &[&str] = &[
    "",
    ";",
    "[ab]*!",
    "[ab]*==",
    "[ab=]{9,}!",
    "(?:ab|a|b){5}",
    "[^;]*;",
    r"\b[ab]{3}",
    "a?b!",
    "(?:!|$)",
    "(?:a*!|b*$)",
    "[ab]{40}",
    "[ab]{33,}=",
    "(?:[ab]{7})+!",
    r"[\s\S]*=!",
    "a*;|;;?",
];

fn texts() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => (select(&["a", "b", "ab", "aab", "=", "ab=", "abababb"][..]), 1..30_usize)
            .prop_map(|(unit, count)| unit.repeat(count)),
        2 => "[ab]{1,40}",
        2 => "[ab=!;]{1,9}",
        1 => select(&["!", ";", "==", "=!", "b!"][..]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 1..9).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: crate::testing::cases(300), failure_persistence: None, ..ProptestConfig::default()
    })]

    /// One place after the other, as a channel does it: the text comes in pieces, a place is left
    /// when it is decided, at the cap, or when the text ends.
    #[test]
    fn what_attempts_learn_from_each_other_changes_nothing_that_they_find(
        rules in prop::collection::vec((select(SECRETS), select(TAILS), any::<bool>()), 1..4),
        text in texts(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        bytewise in any::<bool>(),
        apart in 1..5_usize,
        cap in prop_oneof![Just(usize::MAX), 20..300_usize],
    ) {
        let rules: Vec<_> = rules
            .into_iter()
            .map(|(secret, tail, first)| (secret, tail, if first { Ends::First } else { Ends::Longest }))
            .collect();
        let set = set(&rules);
        let mut cuts: Vec<usize> = cuts.iter().map(|at| at.index(text.len() + 1)).collect();
        if bytewise {
            cuts = (0..text.len()).collect();
        }
        cuts.push(text.len());
        cuts.sort_unstable();
        let mut cuts = cuts.into_iter();
        let mut there = cuts.next().unwrap();
        let mut known = Known::default();
        let mut ended = false;
        for at in (0..text.len()).step_by(apart) {
            while there <= at {
                there = cuts.next().unwrap();
            }
            // What lies before is not at hand any more.
            let base = at - at % 3;
            let look = at.checked_sub(1).map_or(Look::Text, |at| Look::behind(text[at]));
            known.tails.forget_before(TextAt::new(at as u64));
            let mut attempts: Vec<Attempt> = (0..rules.len() as u16)
                .map(|rule| Attempt::new(&set, Start { at: at - base, rule, look }, TextAt::new(at as u64)))
                .collect();
            let mut read = at;
            let limit = at.saturating_add(cap);
            let decided = loop {
                known.tails.tidy();
                let to = there.min(limit);
                let on = Window { bytes: &text[base..there], base: TextAt::new(base as u64) };
                for attempt in &mut attempts {
                    attempt.read(&set, on, &mut known, read - base, to - base);
                    let rule = set.rule(attempt.rule()).unwrap();
                    let alone = Alone::read(rule, look, &text, at, to);
                    // Where the text has ended is among what is learned; and where one byte decides
                    // on a tail, an attempt knows it a byte sooner.
                    if rule.follow.is_none() && (!ended || to < text.len()) {
                        prop_assert_eq!(attempt.is_open(), alone.is_open(), "{:?} at {} to {}", rules, at, to);
                        prop_assert_eq!(attempt.matched().map(|end| end + base), alone.matched);
                        prop_assert_eq!(attempt.state(), alone.state);
                    }
                }
                read = to;
                if to == text.len() {
                    for attempt in &mut attempts {
                        ended |= attempt.is_open();
                        let rule = set.rule(attempt.rule()).unwrap();
                        let alone = Alone::read(rule, look, &text, at, to).finish(rule, &text, to);
                        attempt.finish(&set, on, &mut known, to - base);
                        prop_assert_eq!(attempt.matched().map(|end| end + base), alone, "{:?} at {}", rules, at);
                    }
                    break true;
                }
                if !attempts.iter().any(Attempt::is_open) {
                    break true;
                }
                if to == limit {
                    break false;
                }
                there = cuts.next().unwrap();
            };
            if decided {
                for attempt in &attempts {
                    let on = Window { bytes: &text[base..], base: TextAt::new(base as u64) };
                    attempt.teach(&set, &mut known, on);
                }
            }
        }
    }
}
