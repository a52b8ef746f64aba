//! The search against its definition, and against the search as it was.

use super::*;
use crate::masking::search::set::DetectorSet;
use proptest::prelude::*;

const BYTES: &[u8] = b"abcAB_-@~\x80\xE1";

fn build(targets: &[Target]) -> Result<Prefilter, (usize, String)> {
    let mut building = Building::new();
    for (number, target) in (0_u16..).zip(targets) {
        building.add(number, target)?;
    }
    Ok(building.finish(targets.to_vec()))
}

fn set() -> impl Strategy<Value = ByteSet> {
    prop_oneof![
        4 => proptest::sample::select(BYTES.to_vec()).prop_map(ByteSet::byte),
        1 => proptest::sample::select(b"abc".to_vec()).prop_map(ByteSet::either_case),
        1 => Just(ByteSet::of(b"abcd")),
        1 => Just(ByteSet::range(b'a', b'z')),
        1 => Just(ByteSet::range(0x80, 0xFF)),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    (
        proptest::collection::vec(set(), WINDOW..12),
        proptest::option::of(set()),
    )
        .prop_map(|(sets, before)| Target {
            text: sets.into(),
            before,
        })
}

fn found(search: impl FnOnce(&mut dyn FnMut(u16, usize))) -> Vec<(usize, u16)> {
    let mut found = Vec::new();
    search(&mut |target, at| found.push((at, target)));
    found.sort_unstable();
    found
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_anchor_is_found_wherever_it_stands(
        targets in proptest::collection::vec(target(), 1..6),
        mut text in proptest::collection::vec(proptest::sample::select(BYTES.to_vec()), 0..200),
        planted in proptest::collection::vec((any::<usize>(), any::<usize>(), any::<u8>()), 0..6),
    ) {
        // What is too frequent is refused; see the tests of whole sets.
        let Ok(search) = build(&targets) else { return Ok(()) };
        // Anchors of some length are rare by chance.
        for (which, at, choice) in planted {
            let target = &targets[which % targets.len()];
            let at = at % (text.len() + 1);
            for (slot, set) in text[at..].iter_mut().zip(target.text.sets()) {
                let bytes: Vec<u8> = set.iter().collect();
                *slot = bytes[usize::from(choice) % bytes.len()];
            }
        }
        // At every distance from the beginning, and with every length of what no block holds.
        for from in 0..text.len().min(3) {
            for to in text.len().saturating_sub(40).max(from)..=text.len() {
                let text = &text[from..to];
                let mut expected = Vec::new();
                for at in 0..text.len() {
                    for (number, target) in (0_u16..).zip(&targets) {
                        if target.stands(text, at) {
                            expected.push((at, number));
                        }
                    }
                }
                prop_assert_eq!(found(|f| search.search(text, f)), expected);
            }
        }
    }
}

/// Text in which whole and nearly whole anchors of these targets stand close to each other.
fn dense(targets: &[Target], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut random = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    let mut text = Vec::new();
    while text.len() < 3000 {
        let target = &targets[random(targets.len())];
        let sets = target.before.iter().chain(target.text.sets());
        for set in sets {
            let bytes: Vec<u8> = set.iter().collect();
            text.push(match random(30) {
                0 => random(256) as u8,
                _ => bytes[random(bytes.len())],
            });
        }
        for _ in 0..random(5) {
            text.push(b"\" =e7Z"[random(6)]);
        }
    }
    text
}

#[test]
fn the_search_finds_what_it_found_when_its_look_ups_were_no_vectors() {
    let set = DetectorSet::compile(&["secrets/*", "pii/*"]).unwrap();
    let targets = set.prefilter.targets.clone();
    let reference = reference::Prefilter::new(targets.clone()).ok().unwrap();
    for seed in 0..40 {
        let text = dense(&targets, seed);
        for from in 0..4 {
            let text = &text[from..];
            let mut expected = found(|f| reference.search(text, f));
            // It did not ask what stands before an anchor.
            expected.retain(|&(at, number)| targets[usize::from(number)].stands(text, at));
            assert!(expected.len() > 50, "{}", expected.len());
            assert_eq!(found(|f| set.prefilter.search(text, f)), expected);
        }
    }
}
