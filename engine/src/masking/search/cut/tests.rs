//! What the end of a chunk cuts, against its definition.

use super::*;
use crate::masking::{
    detectors::{
        detector::{Detector, Severity},
        rule::{Context, Ends, Lead, RuleSpec},
    },
    search::compile::Compiler,
};
use proptest::prelude::*;
use std::{collections::BTreeSet, sync::Arc};

const LETTERS: &[u8] = b"aAbB1 =\"";

fn set() -> impl Strategy<Value = ByteSet> {
    prop_oneof![
        4 => proptest::sample::select(b"abAB1".to_vec()).prop_map(ByteSet::byte),
        1 => proptest::sample::select(b"ab".to_vec()).prop_map(ByteSet::either_case),
        1 => Just(ByteSet::of(b"aAbB1")),
        1 => Just(ByteSet::range(b' ', b'z')),
    ]
}

/// A rule whose anchor is these sets, with nothing before it.
fn rule() -> impl Strategy<Value = RuleSpec> {
    let left = prop_oneof![
        Just(Left::Any),
        Just(Left::NotWord),
        Just(Left::Value),
        Just(Left::Opening)
    ];
    (proptest::collection::vec(set(), 1..6), left, any::<bool>()).prop_map(
        |(sets, left, carried)| RuleSpec {
            anchors: vec![Anchor::from(sets)],
            lead: Lead::Fixed(0),
            left,
            context: carried.then(|| Context {
                pattern: "=".into(),
                from: ContextStart::AnchorEnd,
            }),
            // Whatever the anchor is.
            secret: "[ -z]{1,9}".into(),
            tail: None,
            after: 0,
            ends: Ends::Longest,
            must: None,
            refuted: None,
        },
    )
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(proptest::sample::select(LETTERS.to_vec()), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(2000), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_end_of_a_chunk_cuts_what_may_go_on_after_it_and_nothing_else(
        rules in proptest::collection::vec(rule(), 1..5), before in text(), chunk in text(), next in text(),
        breaks in proptest::option::of(0_usize..12),
    ) {
        let rules = rules.into_iter().map(|rule| Detector::custom("custom/x".to_owned(), "x".to_owned(), Severity::High, String::new(), vec![rule]));
        let mut compiler = Compiler::default();
        for rule in rules {
            compiler.add(&Arc::new(rule)).unwrap();
        }
        let Compiler { rules, heads, .. } = compiler;
        let cuts = Cuts::of(&heads, &rules);
        let mut earlier = [b'='; BEHIND];
        for &byte in &before {
            earlier.rotate_left(1);
            earlier[BEHIND - 1] = byte;
        }
        let breaks: Vec<usize> = breaks.into_iter().collect();
        let (mut found, mut nodes) = (BTreeSet::new(), Vec::new());
        cuts.at_end(&chunk, earlier, &breaks, |cut| match cut {
            Cut::Rule(rule, at) => assert!(found.insert((rule, at))),
            Cut::Whole(head, at) => assert!(found.insert((heads[usize::from(head)].rule, at))),
            Cut::Node(node) => nodes.push(node),
        });
        // What each anchor that was cut becomes, by its rule and where it ends.
        let mut resumed = BTreeSet::new();
        for node in nodes {
            cuts.resume(node, &next, |head, end| assert!(resumed.insert((heads[usize::from(head)].rule, end))), |_| {});
        }
        let (mut expected, mut ends) = (BTreeSet::new(), BTreeSet::new());
        for (at, head) in (0..chunk.len()).flat_map(|at| heads.iter().map(move |head| (at, head))) {
            let (rule, rest, sets) = (&rules[usize::from(head.rule)], &chunk[at..], head.text.sets());
            let may = rule.left.allows(behind(earlier, &chunk, at)) || breaks.contains(&at);
            if !may || sets.len() <= rest.len() || !head.text.agrees(rest) {
                continue;
            }
            if rule.context.is_none() || head.own <= rest.len() {
                expected.insert((head.rule, at));
            } else if let Some(missing) = sets.get(rest.len()..head.own)
                && missing.len() <= next.len()
                && missing.iter().zip(&next).all(|(set, &byte)| set.contains(byte))
            {
                ends.insert((head.rule, missing.len()));
            }
        }
        prop_assert_eq!(found, expected);
        prop_assert_eq!(resumed, ends);
    }
}
