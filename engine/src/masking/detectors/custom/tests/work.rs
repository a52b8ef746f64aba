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

/// The same for a secret that ends as early as it can, where only the end of the text says whether
/// it does. Each attempt then reads up to there, and leaves nothing behind for the next one: half
/// of what a text holds, for each beginning of the shortest anchor in it.
const MOST_TO_THE_END: u64 = 1400;

/// The bound for an expression.
fn most(expression: &str) -> u64 {
    match expression.contains("?)") && expression.contains('$') {
        true => MOST_TO_THE_END,
        false => MOST,
    }
}

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
    // And texts that go on as it ends: what must follow a secret is read there.
    let ends = [1, 4, 20].into_iter().filter(|&length| length <= whole);
    let ends = ends.map(|length| {
        let mut text = [keyword.as_bytes(), &one].concat();
        text.extend(one[whole - length..].iter().cycle().take(6000));
        text
    });
    texts.chain(ends).collect()
}

/// A plan of a detector, whether or not it is accepted.
fn worked(detector: &CustomDetector, numbers: &[u32]) -> (u64, Vec<u8>) {
    let plan = plan(std::slice::from_ref(detector)).unwrap();
    let hir = syntax::parse(&detector.regex).unwrap();
    let texts = texts(detector, &hir, numbers).into_iter();
    let works = texts.map(|text| (work(&plan, &text), text));
    works.max().unwrap_or_default()
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

/// What must follow a secret, and reads on from each place where the secret may end. Read anew by
/// every attempt it would cost tens of thousands of steps for each byte.
#[test]
fn text_made_for_what_must_follow_a_secret_costs_a_bounded_number_of_steps() {
    for expression in [
        r"acme[a-z =]{16,}([\s\S]*?)[a-z =]{19,}(?:ab|a|b){5,210}",
        "acme([a-z]*?)[a-z]*=",
        "acme([a-z]*)[a-z]*==",
        r"acme((?:ab|a|b)*)\w*!",
        r"acme\w{28,}.*(\w{3,267}).{12,}acme",
        r"acme.*?((?:[a-z]{28})*)\w{10,}(?:ab|a|b){25,}",
        r"acme[a-z =]{216}\w{0,}(.{0,18}).*![a-z]{136}",
        r"acme[^!]*.{1}.+([a-z]*?)[a-z]{32}\w+\w{13,}",
        r"acme([\s\S]+?=)[a-z =]*[a-z]{90}!!",
        r"acme([a-z]+?)(?:[a-z]{64})+!!",
        r"acme([a-z]*)(?:[a-z]{90}|[ac]{70}|[me]{80})*==",
        "acme([a-z]{0,99})[a-z]{99}==",
        r"acme([\s\S]*)(?:(?:acme)*!|(?:cmea)*=|(?:meac)*;)!",
        r"acme(\w*?)[a-z]*(?:x|$)",
        "acm([a-z]*?)[a-z]*$",
    ] {
        let detector = keyed(expression, "acm");
        assert_eq!(
            check_custom(std::slice::from_ref(&detector), &[]),
            [],
            "{expression}"
        );
        for seed in 0..8 {
            let (work, text) = worked(
                &detector,
                &[seed, 7, seed.wrapping_mul(0x9e37_79b9), 77, 777, 7777, 5, 3],
            );
            let text = String::from_utf8_lossy(&text[..40]).into_owned();
            assert!(
                work <= most(expression),
                "{work} steps for each byte of {text:?}: {expression}"
            );
        }
    }
}

/// As the documentation says, which names it.
#[test]
fn a_tail_without_end_is_read_once_for_each_place() {
    let detector = keyed("acme([a-z]?)[a-z]*aaa", "acm");
    for seed in 0..8 {
        let (work, _) = worked(&detector, &[seed, 7, 77, 777, 7777, 5, 3, 1]);
        assert!(work < 100, "{work}");
    }
}

/// The bound is needed: what it refuses would cost more.
#[test]
fn what_is_refused_would_cost_more_than_what_is_accepted_may() {
    for (expression, said) in [
        (
            "acme([a-z]*?)(?:[a-z]{60}|[a-z]{59})*==",
            "in what follows the secret",
        ),
        ("aaa[a-z]{900}!", "count to less"),
        ("aaa(?:[a-z]{1000})+!", "count to less"),
    ] {
        let detector = keyed(expression, "acm");
        let refused = check_custom(std::slice::from_ref(&detector), &[]);
        assert!(
            matches!(refused.as_slice(), [(0, reason)] if reason.contains(said)),
            "{expression}: {refused:?}"
        );
        let text = detector.regex[..4].replace(['[', '('], "a").repeat(2000);
        let work = work(
            &plan(std::slice::from_ref(&detector)).unwrap(),
            text.as_bytes(),
        );
        assert!(work > MOST, "{work} steps for each byte: {expression}");
    }
}

/// Weighted to what is hard: beginnings that fit into what follows them, ambiguous repetitions,
/// groups that count under a star, and tails.
fn hostile() -> impl Strategy<Value = String> {
    let class = prop::sample::select(vec![
        "[a-z]",
        "[a-z =]",
        "[ab]",
        r"\w",
        r"[\s\S]",
        "(?:ab|a|b)",
        "(?:acme|[acme])",
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
    let star = prop::sample::select(vec!["*", "+", "{2,}"]);
    let group = (class.clone(), 2..400_u32, star.clone())
        .prop_map(|(class, n, star)| format!("(?:{class}{{{n}}}){star}"));
    // The second has as many states as both numbers multiplied.
    let groups = (class.clone(), 20..70_u32, star)
        .prop_map(|(class, n, star)| format!("(?:{class}{{{n}}}|{class}{{{}}}){star}", n + 1));
    let group = prop_oneof![group, groups];
    let piece = prop_oneof![
        4 => (class, count).prop_map(|(class, count)| format!("{class}{count}")),
        1 => prop::sample::select(vec!["acme", "=", "!", "a", "(?:x|$)", r"\b"]).prop_map(str::to_owned),
    ];
    let counting = prop_oneof![4 => piece.clone(), 1 => group];
    let end = prop::sample::select(vec!["", "", "!", "==", "[!=]{2}"]);
    let before = prop::collection::vec(piece, 0..3).prop_map(|all| all.concat());
    let secret = prop::collection::vec(counting.clone(), 0..4).prop_map(|all| all.concat());
    let after = prop::collection::vec(counting, 0..4).prop_map(|all| all.concat());
    (before, secret, after, end, 0..5_u8).prop_map(
        |(before, secret, after, end, kind)| match kind {
            0 => format!("{before}{secret}{after}{end}"),
            1 => format!("acme({secret}){after}{end}"),
            _ => format!("acme{before}({secret}){after}{end}"),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: crate::testing::cases(96), failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn no_accepted_expression_costs_more_than_a_bounded_number_of_steps(
        expression in hostile(),
        numbers in prop::collection::vec(any::<u32>(), 8),
    ) {
        let detector = keyed(&expression, "acm");
        if !check_custom(std::slice::from_ref(&detector), &[]).is_empty() {
            return Ok(());
        }
        let (work, text) = worked(&detector, &numbers);
        prop_assert!(work <= most(&expression), "{work} steps for each byte of {:?}", String::from_utf8_lossy(&text[..40.min(text.len())]));
    }
}
