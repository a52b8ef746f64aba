//! How much work can allow lists cause, and what is asked about a find besides?

use proptest::{prelude::*, sample::select};

use super::{super::anywhere::Anywhere, *};

/// Most work for each byte of a text that asking about finds causes, whatever is asked
/// ([`known`](crate::masking::text::known)); a little more, for what it may cost at once.
const MOST: u64 = 2300;

fn allowing(expression: &str, allow: Vec<Allow>) -> CustomDetector {
    CustomDetector {
        keywords: vec!["acm".to_owned()],
        entropy: Some(1.0),
        allow,
        ..regex(expression)
    }
}

fn words(words: &[String], on: AllowOn) -> Allow {
    Allow {
        stopwords: words.to_vec(),
        on,
        ..Allow::default()
    }
}

fn expressions(expressions: &[&str], on: AllowOn) -> Allow {
    Allow {
        regexes: expressions.iter().map(|&one| one.to_owned()).collect(),
        on,
        ..Allow::default()
    }
}

/// Work for each byte of a text.
fn work(plan: &Arc<Plan>, text: &[u8]) -> u64 {
    let key = FingerprintKey::from_bytes([7; 32]);
    let mut masker = Masker::new(Arc::clone(plan), key, &Content::text());
    let _ = masker.push(text);
    let _ = masker.finish();
    masker.work() / text.len() as u64
}

#[test]
fn lists_whose_work_is_not_bounded_are_refused_with_a_sentence() {
    for (allow, said) in [
        (
            expressions(&["a[ab]{500}c"], AllowOn::Secret),
            "make what they repeat smaller",
        ),
        (
            expressions(&["x=", "(?:a[ab]{9}){9}[ab]{300}d"], AllowOn::Line),
            "make what they repeat smaller",
        ),
        (
            words(&["a".repeat(129)], AllowOn::Secret),
            "a stopword of 129 characters",
        ),
    ] {
        let refused = check_allow(&allow).unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
        let detector = allowing("acme_([a-z]{8,})", vec![allow.clone()]);
        for refused in [
            check_custom(std::slice::from_ref(&detector), &[]),
            check_custom(&[allowing("acme_([a-z]{8,})", Vec::new())], &[allow]),
        ] {
            assert!(
                matches!(refused.as_slice(), [(0, reason)] if reason.contains(said)),
                "{refused:?}"
            );
        }
        // One that was published before goes on.
        assert!(plan(&[detector]).is_ok());
    }
    let many = vec![expressions(&["^x"], AllowOn::Secret); 9];
    let refused = check_custom(&[allowing("acme_([a-z]{8,})", many.clone())], &many);
    assert!(
        matches!(refused.as_slice(), [(0, reason)] if reason.contains("18 allow lists")),
        "{refused:?}"
    );
}

/// What gitleaks allows, among it a choice of hundred expressions in one.
#[test]
fn the_lists_of_a_real_rule_set_need_few_steps_for_each_byte() {
    let Some(imported) = super::gitleaks::imported() else {
        return;
    };
    let own = imported
        .detectors
        .iter()
        .flat_map(|detector| &detector.allow);
    for list in own.chain(&imported.detectors_allow) {
        let hirs = list
            .regexes
            .iter()
            .map(|one| branch::without_groups(&syntax::parse(one).unwrap()));
        let all = Anywhere::of(&hirs.collect::<Vec<_>>()).unwrap();
        assert!(all.steps() <= 4, "{} for {:?}", all.steps(), list.regexes);
        let memory = all.memory();
        assert!(memory < 1 << 19, "{memory} bytes for {:?}", list.regexes);
    }
}

#[test]
fn lists_of_many_expressions_and_words_are_accepted() {
    let many: Vec<String> = (0..300)
        .map(|n| format!("^example-{n:03}-[a-z]+$"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(check_allow(&expressions(&many, AllowOn::Secret)), Ok(()));
    let many: Vec<String> = (0..10_000).map(|n| format!("word{n}")).collect();
    assert_eq!(check_allow(&words(&many, AllowOn::Secret)), Ok(()));
}

/// Texts in which something begins at every byte and is refused, short and long.
#[test]
fn text_made_for_finds_that_are_refused_costs_a_bounded_amount_of_work() {
    let alike: Vec<String> = (0..10_000)
        .map(|n| format!("{}{n:04}", "a".repeat(100)))
        .collect();
    let all = || {
        vec![
            expressions(&["a[ab]{9}c", "^a"], AllowOn::Secret),
            expressions(&["acm.*a$"], AllowOn::Match),
            expressions(&["^.*acm"], AllowOn::Line),
            words(&alike, AllowOn::Secret),
        ]
    };
    for (expression, unit) in [
        ("([a-z]{8,})!", format!("acm{}!", "a".repeat(250))),
        ("([a-z]{8,})!", format!("acm{}!", "a".repeat(440))),
        ("([a-z]{8,})!", format!("acm{}!", "a".repeat(90))),
        ("([a-z]{8,})!", format!("acm{}!", "a".repeat(20))),
        ("([a-z]{8,})!", "acma".to_owned()),
        ("([a-z]{8,140})", "acma".to_owned()),
        (
            "acme([a-z=]{8,})(?:!|$)",
            format!("{}!", "acme".repeat(120)),
        ),
        (
            "acme([a-z=]{8,})(?:!|$)",
            format!("{}!", "acme".repeat(2000)),
        ),
    ] {
        let text: Vec<u8> = unit.bytes().cycle().take(20_000).collect();
        let of = |lists| {
            let detector = allowing(expression, lists);
            assert_eq!(check_custom(std::slice::from_ref(&detector), &[]), []);
            work(&plan(&[detector]).unwrap(), &text)
        };
        // Finding them, and fingerprints of what is masked, cost the same without lists.
        let (plain, work) = (of(Vec::new()), of(all()));
        assert!(
            work <= plain + MOST,
            "{work} and {plain} for each byte of {} bytes: {expression}",
            unit.len()
        );
    }
}

/// So much is asked about finds in each other that the last of them are not asked about: which ones
/// is a statement about the text.
#[test]
fn what_is_not_asked_about_any_more_does_not_depend_on_the_cut() {
    let listed: Vec<String> = (0..10_000).map(|n| format!("{n:04}")).collect();
    let text = format!(
        "acm{}! then {} acmbc{}!",
        "ab1234".repeat(30),
        "- ".repeat(900),
        "c4321".repeat(8)
    );
    let find = |count, cuts: &[usize]| {
        let detector = allowing(
            "([a-z0-9]{8,})!",
            vec![words(&listed, AllowOn::Secret); count],
        );
        let plan = plan(&[detector]).unwrap();
        let mut parts = Vec::new();
        let mut from = 0;
        for &to in cuts.iter().chain([&text.len()]) {
            parts.push(&text.as_bytes()[from..to]);
            from = to;
        }
        String::from_utf8(masked(&plan, &parts)).unwrap()
    };
    // All are refused, until that has cost too much; behind it there is room again.
    let few = find(1, &[]);
    let many = find(15, &[]);
    assert!(
        few.starts_with(&format!("acm{}", "ab1234".repeat(25))),
        "{few}"
    );
    assert!(
        many.starts_with("acmab1234ab1234") && many.contains("#! then"),
        "{many}"
    );
    assert!(
        many.len() < few.len() && many.ends_with(&text[text.len() - 46..]),
        "{many}"
    );
    for cuts in [
        (1..text.len()).collect::<Vec<_>>(),
        (1..text.len()).step_by(7).collect(),
        vec![200],
        vec![100, 180, 190, 194],
        vec![text.len() - 1],
    ] {
        assert_eq!(find(15, &cuts), many, "{cuts:?}");
        assert_eq!(find(1, &cuts), few, "{cuts:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: crate::testing::cases(200), failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_looked_for_anywhere_is_found_as_by_another_engine(
        expressions in prop::collection::vec(select(&[
            "ab", "^ab", "b$", "^a+$", r"\bab\b", r"(?i)AB=", "a.b", r"(?m)^b", r"(?m)a$", "[^a]{3}",
            r"\\[nr]", "a{2,}b?=", r"\Bb", "(?s)a.{3}b",
        ][..]), 1..5),
        text in "[abAB=\n\\\\n _]{0,24}",
    ) {
        let hirs: Vec<_> = expressions
            .iter()
            .map(|one| branch::without_groups(&syntax::parse(one).unwrap()))
            .collect();
        let found = Anywhere::of(&hirs).unwrap().finds(text.as_bytes());
        let other = Lazy::forwards(&regex_syntax::hir::Hir::alternation(hirs)).unwrap();
        prop_assert_eq!(found, other.finds(text.as_bytes()), "{:?}", expressions);
    }
}
