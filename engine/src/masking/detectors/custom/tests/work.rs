//! How much work can a detector cause? Texts made to cause it, counted in steps of automata for
//! each byte, not in time.

use proptest::prelude::*;
use regex_syntax::hir::Hir;

use super::{
    generated::{Dice, sample},
    *,
};
use crate::masking::search::automaton::steps;

/// Most steps for each byte of a text made for one detector: what
/// [`cost`](crate::masking::detectors::cost) allows, and a little more. A step takes a few
/// nanoseconds.
const MOST: u64 = 500;

/// Steps for each byte of `text`.
fn work(plan: &Arc<Plan>, text: &[u8]) -> u64 {
    let before = steps();
    let _ = masked(plan, &[text]);
    steps().wrapping_sub(before) / text.len().max(1) as u64
}

/// Texts in which attempts begin often and live long: beginnings of what the expression matches,
/// over and over, and its keywords between.
fn texts(detector: &CustomDetector, hir: &Hir, numbers: &[u32]) -> Vec<Vec<u8>> {
    let mut one = Vec::new();
    sample(
        hir,
        &mut Dice::new(numbers.iter().copied()),
        &mut one,
        &mut Vec::new(),
    );
    one.truncate(600);
    let keyword = detector.keywords.first().map_or("", String::as_str);
    let whole = one.len();
    let lengths = [
        3,
        4,
        5,
        6,
        8,
        12,
        20,
        40,
        100,
        whole.saturating_sub(1),
        whole,
    ];
    let mut units: Vec<Vec<u8>> = lengths
        .into_iter()
        .filter(|&length| length <= whole)
        .map(|length| one[..length].to_vec())
        .collect();
    if let Some(&last) = one.last() {
        units.push(vec![last]);
        units.push([&one[..whole.min(6)], &[last; 4]].concat());
        units.push([keyword.as_bytes(), &[last; 3]].concat());
    }
    units.retain(|unit| !unit.is_empty());
    let texts = units.iter().map(|unit| {
        let mut text = keyword.as_bytes().to_vec();
        text.extend(unit.iter().cycle().take(6000));
        text
    });
    texts.collect()
}

fn keyed(expression: &str, keyword: &str) -> CustomDetector {
    CustomDetector {
        keywords: vec![keyword.to_owned()],
        ..regex(expression)
    }
}

#[test]
fn a_secret_counted_far_is_refused_where_it_may_begin_anywhere() {
    for bad in [
        keyed("[a-z ]{500}b", "acm"),
        keyed("([a-z]{90}[0-9]{90})", "acme"),
        regex("acme[a-z ]{0,20}=([a-z =]{300})"),
    ] {
        let said = plan(&[bad]).unwrap_err().to_string();
        assert!(
            said.contains("custom/x") && said.contains("count to 144 at most"),
            "{said}"
        );
    }
    // Counted as far where it cannot begin anew inside of itself, or less exactly, it is taken.
    for good in [
        regex("acme_[a-z ]{500}b"),
        keyed("([a-z ]{32,})b", "acme"),
        keyed("([a-z]{10,1000})", "acme"),
    ] {
        assert!(plan(std::slice::from_ref(&good)).is_ok(), "{}", good.regex);
    }
}

#[test]
fn what_would_be_in_more_states_than_are_remembered_is_refused() {
    for bad in [
        "aaa(?:[a-z]{500})*!",
        "aaa(?:[a-z]{1000})+!",
        "acme(?:[a-z]{999})*!",
    ] {
        let said = check_custom(&[regex(bad)], &[]);
        assert!(
            matches!(said.as_slice(), [(0, said)] if said.contains("places at once")),
            "{said:?}"
        );
    }
}

/// A thousand detectors that are hard to judge: by their states, by their anchors, and by the
/// anchors they share.
#[test]
fn hostile_detectors_are_judged_with_bounded_work() {
    for expression in [
        r"a{i}(?:[a-z]{250}|[0-9a-f]{240})*!",
        r"a{i}(?:(?:ab|a|b){1,30}c){1,9}!",
        r"(?:a{i}|b{i}|c{i}|[de]{i}|[fg]{i})[a-z0-9]{150}!",
    ] {
        let detectors: Vec<CustomDetector> = (0..1000)
            .map(|i| CustomDetector {
                name: format!("custom/a{i}"),
                ..regex(&expression.replace("{i}", &format!("{i:03}")))
            })
            .collect();
        let begun = std::time::Instant::now();
        let said = check_custom(&detectors, &[]);
        // A few seconds without optimisation on a busy machine.
        assert!(begun.elapsed().as_secs() < 60, "{expression}: {said:?}");
    }
}

#[test]
fn text_made_for_a_detector_costs_a_bounded_number_of_steps() {
    for (detector, units) in [
        (keyed("[a-z ]{100}b", "acm"), vec!["acm", "acm ", "acmaa"]),
        (keyed("[a-z]{20}=[a-z ]*!", "acm"), vec!["acm", "acm="]),
        (regex("acme_[a-z_]*!"), vec!["acme_", "acme_a"]),
        (regex("acme[a-z0-9]{200}!"), vec!["acme"]),
        (regex("acme=([a-z=]{8,})!"), vec!["acme=", "acme=="]),
        (
            regex("acme.*=(?:[a-z ]*)!([a-z]{4})"),
            vec!["acme", "acme=", "acme=!"],
        ),
        (
            regex(r#"acme="?([a-z ="]+?)"(?:;|[a-z ]{40}!)"#),
            vec!["acme=\"", "acme=\"a\""],
        ),
        (regex("acme((?:ab|a|b)+)c"), vec!["acme", "acmeab"]),
        (regex("[a-z]{1,60}@acme[a-z@]*!"), vec!["a@acme", "@acme"]),
        // Counted groups under a star: as many states as they count to, however long the text.
        (regex("aaa(?:[a-z]{300})*!"), vec!["a"]),
        (regex("acme(?:[a-z]{240})*!"), vec!["acme"]),
    ] {
        let plan = plan(std::slice::from_ref(&detector)).unwrap();
        for unit in units {
            let text: Vec<u8> = unit.bytes().cycle().take(30_000).collect();
            let work = work(&plan, &text);
            assert!(
                work <= MOST,
                "{work} steps for each byte of {unit:?}: {}",
                detector.regex
            );
        }
    }
}

#[test]
fn text_made_for_a_built_in_detector_costs_a_bounded_number_of_steps() {
    let set = DetectorSet::compile(&["secrets/*"]).unwrap();
    let plan = Arc::new(Plan::masking(Arc::new(set)));
    for unit in [
        "eyJ",
        "eyJhbGciOi",
        "-----BEGIN ",
        "password=",
        "token: ",
        "AccountKey=",
        "://a:",
        "AKIA",
    ] {
        let text: Vec<u8> = unit.bytes().cycle().take(30_000).collect();
        let work = work(&plan, &text);
        assert!(work <= MOST, "{work} steps for each byte of {unit:?}");
    }
}

/// As many rules with one anchor as are accepted.
#[test]
fn text_made_for_rules_that_share_an_anchor_costs_a_bounded_number_of_steps() {
    let rules = |n: usize| -> Vec<CustomDetector> {
        let names = (0..n).map(|i| format!("custom/a{i}"));
        names
            .map(|name| CustomDetector {
                name,
                ..regex("acme[a-z0-9]{200}!")
            })
            .collect()
    };
    let most = (1..40)
        .take_while(|&n| check_custom(&rules(n), &[]).is_empty())
        .last()
        .unwrap();
    assert!((2..39).contains(&most), "{most}");
    let work = work(&plan(&rules(most)).unwrap(), &b"acme".repeat(8000));
    assert!(work <= 700, "{work}");
}

#[test]
fn a_set_of_many_rules_costs_a_bounded_number_of_steps() {
    let Some(imported) = super::gitleaks::imported() else {
        return;
    };
    let mut worst = Vec::new();
    for detector in &imported.detectors {
        let plan = plan(std::slice::from_ref(detector)).unwrap();
        let hir = syntax::parse(&detector.regex).unwrap();
        let texts = texts(detector, &hir, &[7, 77, 777, 7777]);
        let most = texts.iter().map(|text| work(&plan, text)).max().unwrap();
        worst.push((most, detector.name.clone()));
    }
    worst.sort_unstable();
    assert!(worst.iter().all(|(work, _)| *work <= MOST), "{worst:?}");
}

/// Groups that count only in the secret: work on tails is not bounded (see
/// [`cost`](crate::masking::detectors::cost)), which more kinds of tails would show. Some of these
/// do, too: `acme[a-z =]{16,}([\s\S]*?)[a-z =]{19,}(?:ab|a|b){5,210}` is accepted and was seen to
/// take 63,142 steps a byte. So `scripts/test --seed` fails here with some seeds: with 6 of the
/// first 24, not with the one that is the default.
fn hostile() -> impl Strategy<Value = String> {
    let class = prop::sample::select(vec![
        "[a-z]",
        "[a-z =]",
        "[ab]",
        r"\w",
        r"[\s\S]",
        "(?:ab|a|b)",
        "[^!]",
        ".",
    ]);
    let count = prop_oneof![
        Just("*".to_owned()),
        Just("+".to_owned()),
        Just("*?".to_owned()),
        (1..400_u32).prop_map(|n| format!("{{{n}}}")),
        (0..9_u32, 1..300_u32).prop_map(|(n, more)| format!("{{{n},{}}}", n + more)),
        (0..40_u32).prop_map(|n| format!("{{{n},}}")),
    ];
    let group = (
        class.clone(),
        2..400_u32,
        prop::sample::select(vec!["*", "+", "{2,}"]),
    )
        .prop_map(|(class, n, star)| format!("(?:{class}{{{n}}}){star}"));
    let piece = prop_oneof![
        4 => (class, count).prop_map(|(class, count)| format!("{class}{count}")),
        1 => prop::sample::select(vec!["acme", "=", "!", "a", "(?:x|$)", r"\b"]).prop_map(str::to_owned),
    ];
    let in_secret = prop_oneof![5 => piece.clone(), 1 => group];
    let secret = prop::collection::vec(in_secret, 0..4).prop_map(|all| all.concat());
    let pieces = || prop::collection::vec(piece.clone(), 0..4).prop_map(|all| all.concat());
    (pieces(), secret, pieces(), any::<bool>()).prop_map(|(before, secret, after, group)| {
        match group {
            true => format!("acme{before}({secret}){after}"),
            false => format!("{before}{secret}{after}"),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::testing::cases(48)))]

    #[test]
    fn no_accepted_expression_costs_more_than_a_bounded_number_of_steps(
        expression in hostile(),
        numbers in prop::collection::vec(any::<u32>(), 8),
    ) {
        let detector = keyed(&expression, "acm");
        if !check_custom(std::slice::from_ref(&detector), &[]).is_empty() {
            return Ok(());
        }
        let plan = plan(std::slice::from_ref(&detector)).unwrap();
        let hir = syntax::parse(&expression).unwrap();
        for text in texts(&detector, &hir, &numbers) {
            let work = work(&plan, &text);
            prop_assert!(work <= MOST, "{work} steps for each byte of {:?}", String::from_utf8_lossy(&text[..40.min(text.len())]));
        }
    }
}
