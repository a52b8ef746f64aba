//! The search against its definition.

use super::*;
use proptest::prelude::*;

fn set() -> impl Strategy<Value = ByteSet> {
    prop_oneof![
        4 => proptest::sample::select(b"abcAB_-@~".to_vec()).prop_map(ByteSet::byte),
        1 => proptest::sample::select(b"abc".to_vec()).prop_map(ByteSet::either_case),
        1 => Just(ByteSet::of(b"abcd")),
        1 => Just(ByteSet::range(b'a', b'z')),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    (
        proptest::collection::vec(set(), WINDOW..7),
        proptest::option::of(set()),
    )
        .prop_map(|(sets, before)| Target {
            text: sets.into(),
            before,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_anchor_is_found_wherever_it_stands(
        targets in proptest::collection::vec(target(), 1..6),
        text in proptest::collection::vec(proptest::sample::select(b"abcAB_-@~".to_vec()), 0..200),
    ) {
        // What is too frequent is refused; see the tests of whole sets.
        let Ok(search) = Prefilter::new(targets.clone()) else { return Ok(()) };
        let mut found = Vec::new();
        search.search(&text, |target, at| found.push((at, target)));
        found.sort_unstable();
        found.dedup();
        // What stands before an anchor need not be looked at.
        let before = |target: &Target, at: usize| match (target.before, at.checked_sub(1)) {
            (Some(set), Some(at)) => set.contains(text[at]),
            (Some(_), None) => false,
            (None, _) => true,
        };
        found.retain(|&(at, n)| before(&targets[usize::from(n)], at));
        let mut expected = Vec::new();
        for at in 0..text.len() {
            for (number, target) in (0_u16..).zip(&targets) {
                let rest = &text[at..];
                if rest.len() >= target.window() && target.text.agrees(rest) && before(target, at) {
                    expected.push((at, number));
                }
            }
        }
        prop_assert_eq!(found, expected);
    }
}
