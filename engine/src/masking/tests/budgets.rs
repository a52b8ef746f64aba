//! What one call takes of a chunk is bounded by its budget, and changes nothing of what leaves.

use super::{
    super::{Budget, Content, CustomDetector, DetectorSet, Findings, Masker, Plan, compile_custom},
    cases::{cases, harmless},
    key, plan,
};
use proptest::{prelude::*, sample};
use std::sync::Arc;

fn contents() -> [Content; 4] {
    [
        Content::text(),
        Content::of(Some(b"application/json")),
        Content::of(Some(b"text/event-stream")),
        Content::of(Some(b"application/octet-stream")),
    ]
}

/// Masks the pieces of `body`, each in as many calls as `budgets` make of it.
fn within(content: &Content, body: &[u8], piece: usize, budgets: &[u64]) -> (Vec<u8>, Findings) {
    let mut masker = Masker::new(plan(), key(), content);
    let mut budgets = budgets.iter().copied().cycle();
    let mut out = Vec::new();
    for chunk in body.chunks(piece) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let mut budget = Budget::of(budgets.next().unwrap_or(1));
            let was_spent = budget.is_spent();
            let (masked, taken) = masker.push_within(rest, &mut budget);
            assert_eq!(taken == 0, was_spent);
            if masked.is_unchanged() {
                assert_eq!(masked.as_bytes(), rest);
            }
            out.extend_from_slice(masked.as_bytes());
            rest = &rest[taken..];
        }
    }
    out.extend_from_slice(masker.finish().as_bytes());
    (out, masker.findings().clone())
}

/// A body of tens of kilobytes that is dense in some places: long enough for several slices.
fn body(shards: &[(usize, usize, usize)]) -> Vec<u8> {
    let (cases, harmless) = (cases(), harmless());
    let mut text = String::new();
    for &(case, times, fill) in shards {
        let case = &cases[case % cases.len()];
        let filler = &harmless[fill % harmless.len()];
        for _ in 0..times {
            text.push_str(&format!("{}{}{}\n", case.before, case.secret, case.after));
        }
        for _ in 0..fill {
            text.push_str(filler);
        }
    }
    text.into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(16), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_budgets_give_what_one_call_gives(
        shards in prop::collection::vec((any::<usize>(), 0..60_usize, 0..200_usize), 0..6),
        content in sample::select(contents().to_vec()),
        as_string in any::<bool>(),
        piece in prop_oneof![1..2_000_usize, 2_000..200_000_usize],
        budgets in prop::collection::vec(prop_oneof![Just(0_u64), 1..1_000_u64, 1_000..1_000_000_u64], 1..6),
    ) {
        prop_assume!(budgets.iter().any(|&budget| budget > 0));
        let mut body = body(&shards);
        if as_string {
            let text = String::from_utf8_lossy(&body).into_owned();
            body = serde_json::json!({"content": text, "n": [1, 2]}).to_string().into_bytes();
        }
        let mut masker = Masker::new(plan(), key(), &content);
        let mut expected = masker.push(&body).into_body();
        expected.append(masker.finish());
        let (out, findings) = within(&content, &body, piece, &budgets);
        prop_assert!(out == expected.as_bytes());
        prop_assert_eq!(&findings, masker.findings());
    }
}

/// The most that one call did beyond its budget.
fn overdraft(plan: &Arc<Plan>, body: &[u8], units: u64) -> u64 {
    let mut masker = Masker::new(Arc::clone(plan), key(), &Content::text());
    let (mut rest, mut most) = (body, 0);
    while !rest.is_empty() {
        let before = masker.work();
        let (_, taken) = masker.push_within(rest, &mut Budget::of(units));
        rest = &rest[taken..];
        most = most.max((masker.work() - before).saturating_sub(units));
    }
    most
}

fn custom(expression: &str) -> Arc<Plan> {
    let detector: CustomDetector =
        serde_json::from_value(serde_json::json!({"name": "custom/x", "regex": expression}))
            .unwrap();
    let detectors = compile_custom(&[detector], &[]).unwrap();
    let set = DetectorSet::compile_with(&["custom/*"], &detectors).unwrap();
    Arc::new(Plan::masking(Arc::new(set)))
}

/// What a callback of the filter may do in half of its two milliseconds.
const CALL: u64 = 400_000;

#[test]
fn a_dense_text_overdraws_a_budget_by_less_than_as_much_again() {
    for unit in [
        "password=a1!B",
        "password=a1!Bxyz9q\n",
        "password=Tr0ub4dor&3x\n",
        "DB_PASSWORD=k7Dq2mPz9XvB4nLw\nAPI_KEY=\"q8fj2k1x9d0s7a6z5w4e\"\n",
        "eyJ",
        "eyJhbGciOi",
        "-----BEGIN ",
        "token: ",
        "AccountKey=",
        "://a:",
        "AKIA",
        "postgres://app:k7Dq2mPz9XvB4nLw@db.example.com:5432/app\n",
    ] {
        let dense = unit.bytes().cycle().take(100_000);
        // Also where slices have grown long before.
        let clean = b"nothing of any interest here\n"
            .iter()
            .cycle()
            .take(200_000);
        let body: Vec<u8> = clean.copied().chain(dense).collect();
        let over = overdraft(&plan(), &body, CALL);
        assert!(over < CALL, "{unit:?}: {over}");
    }
}

#[test]
fn a_text_made_for_a_custom_detector_overdraws_a_budget_by_a_bounded_amount() {
    for (expression, unit) in [
        ("acme[a-z0-9]{200}!", "acme"),
        ("aaa(?:[a-z]{300})*!", "a"),
        ("acme(?:[a-z]{240})*!", "acme"),
        ("acme=([a-z=]{8,})!", "acme="),
        ("acme[a-z]*aaa#", "acmeaaa"),
    ] {
        let body: Vec<u8> = unit.bytes().cycle().take(60_000).collect();
        let over = overdraft(&custom(expression), &body, CALL);
        assert!(over <= 10 * CALL, "{expression}: {over}");
    }
}
