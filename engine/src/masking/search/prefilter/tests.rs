//! The search against its definition, and against the search as it was.

use super::frequency::Frequencies;
use super::runs::{FOLD, MAX_RUNS, Run, folded, grams};
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

/// The runs of [`Target::runs`] by their definition: of all at even and at odd offsets the rarest,
/// and the first of them.
fn rarest(target: &Target, frequencies: &Frequencies) -> Option<(u64, [Run; 2])> {
    let positions = target.positions();
    let mut best: [Option<(u64, Run)>; 2] = [None, None];
    for run in positions.windows(3) {
        let [(at, a), (_, b), (_, c)] = *run else {
            continue;
        };
        let grams: Vec<u32> = grams([a, b, c].map(folded)).collect();
        if grams.len() > MAX_RUNS as usize {
            continue;
        }
        let cost = grams.iter().map(|&gram| frequencies.of(gram)).sum();
        let slot = &mut best[usize::from(at.rem_euclid(2) == 1)];
        if slot.as_ref().is_none_or(|(least, _)| cost < *least) {
            *slot = Some((cost, Run { offset: at, grams }));
        }
    }
    let [even, odd] = best;
    let ((even_cost, even), (odd_cost, odd)) = (even?, odd?);
    Some((even_cost + odd_cost, [even, odd]))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_rarest_runs_of_an_anchor_are_looked_for(
        target in (
            proptest::collection::vec(prop_oneof![
                3 => set(),
                1 => proptest::sample::select(vec![ByteSet::ALL, ByteSet::range(b'0', b'9')]),
            ], WINDOW..9),
            proptest::option::of(set()),
        ).prop_map(|(sets, before)| Target { text: sets.into(), before }),
    ) {
        let frequencies = Frequencies::new();
        let shown = |runs: Option<(u64, [Run; 2])>| {
            runs.map(|(cost, runs)| (cost, runs.map(|run| (run.offset, run.grams))))
        };
        prop_assert_eq!(shown(target.runs(&frequencies)), shown(rarest(&target, &frequencies)));
    }
}

#[test]
fn the_rank_of_every_frequent_run_is_known_and_no_other() {
    let frequencies = Frequencies::new();
    let known: std::collections::BTreeSet<u32> = include_str!("frequent.txt")
        .lines()
        .flat_map(|line| line.as_bytes().as_chunks().0)
        .map(|run| gram(*run))
        .collect();
    assert!(frequencies.of(gram(*b"the")) > frequencies.of(gram(*b"qzx")));
    for run in &known {
        assert!(frequencies.rank(*run).is_some(), "{run:x}");
    }
    let others = (0..1 << 24_u32).step_by(7).map(|run| run | FOLD);
    let others = others.filter(|run| !known.contains(run));
    assert!(
        others
            .take(100_000)
            .all(|run| frequencies.rank(run).is_none())
    );
}
