//! What masking rules come to, seen in what is done with bodies.

mod recorded;

use super::*;
use crate::masking::{Content, Finding, FingerprintKey, MAX_HELD, Masker, mask_whole};
use crate::policy::parse_json;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const HEAD: &str = r#""apiVersion":"chaperone/v1",
    "issuers":[{"issuer":"https://issuer.example","audiences":["chaperone"]}],
    "connections":[
        {"name":"api","hosts":["api.example.com"],"protocol":"http"},
        {"name":"arm","hosts":["management.azure.com"],"protocol":"azure-arm"}],
    "rules":[]"#;

fn policy(rest: &str) -> Policy {
    parse_json(format!("{{{HEAD},{rest}}}").as_bytes()).unwrap()
}

fn plans(rules: &str) -> MaskingPlans {
    MaskingPlans::compile(&policy(&format!(r#""masking":[{rules}]"#)), None).unwrap()
}

fn key() -> FingerprintKey {
    FingerprintKey::from_bytes([7; 32])
}

fn github() -> String {
    format!("ghp_{}", "Example0".repeat(5).get(..36).unwrap())
}

fn masked(plan: &Arc<Plan>, text: &str) -> String {
    let (body, _) = mask_whole(plan, &key(), &Content::text(), text.as_bytes());
    String::from_utf8(body.into_bytes()).unwrap()
}

/// What becomes of a GitHub token in a request on `api`.
fn becomes(rules: &str) -> String {
    let plan = plans(rules).plan("api", Direction::Request).unwrap();
    let mut masker = Masker::new(plan, key(), &Content::text());
    let text = format!("a {} b", github());
    let mut out = masker.push(text.as_bytes()).as_bytes().to_vec();
    out.extend_from_slice(masker.finish().as_bytes());
    let end = github().split_off(36);
    match masker.blocked() {
        Some(_) => "blocked".to_owned(),
        None if out == text.as_bytes() => {
            let found = masker.findings().iter();
            format!(
                "passes, {} counted",
                found.map(|(_, f)| f.reported).sum::<u64>()
            )
        }
        None if String::from_utf8_lossy(&out).contains(&end) => "masked, end shown".to_owned(),
        None => "masked".to_owned(),
    }
}

/// How many secrets count as masked and as reported where a path has both of these, and whether it
/// is blocked.
fn in_target(rules: &str) -> Option<(u64, u64, bool)> {
    let plan = plans(rules).plan("api", Direction::Request).unwrap();
    let target = format!("/repos/{}?a=https://user:hunter2@host/", github());
    let found = look_in_target(&plan, key(), &target)?;
    let count = |of: fn(&Finding) -> u64| found.findings.iter().map(|(_, found)| of(found)).sum();
    let (masked, reported) = (count(|found| found.count), count(|found| found.reported));
    Some((masked, reported, found.blocked.is_some()))
}

#[test]
fn what_passes_in_a_path_is_not_counted_as_masked() {
    let rules = |blocks: &str| {
        format!(
            r#"{{"name":"m","detectors":["secrets/github-*","secrets/url-password"],"on":["request"]}},
            {{"name":"b","detectors":["{blocks}"],"on":["request"],"action":"block"}}"#
        )
    };
    assert_eq!(in_target(MASK), None);
    assert_eq!(in_target(&rules("secrets/age-*")), Some((0, 2, false)));
    // Nothing of a request that is refused passes, and what stands behind the first secret that is
    // blocked is not asked about.
    assert_eq!(in_target(&rules("secrets/github-*")), Some((1, 0, true)));
    assert_eq!(in_target(&rules("secrets/url-*")), Some((2, 0, true)));
}

const MASK: &str = r#"{"name":"m","detectors":["secrets/*"],"on":["request","response"]}"#;
const BLOCK: &str =
    r#"{"name":"b","detectors":["secrets/github-pat"],"on":["request"],"action":"block"}"#;
const REPORT: &str =
    r#"{"name":"r","detectors":["secrets/github-*"],"on":["request"],"action":"report"}"#;
const KEEP: &str = r#"{"name":"k","detectors":["secrets/github-pat"],"on":["request"],"keep":4}"#;
const KEEP_LESS: &str =
    r#"{"name":"l","detectors":["secrets/github-pat"],"on":["request"],"keep":2}"#;

#[test]
fn the_strictest_action_counts_whatever_the_order() {
    for (rules, becomes_so) in [
        (vec![MASK], "masked"),
        (vec![BLOCK], "blocked"),
        (vec![REPORT], "passes, 1 counted"),
        (vec![REPORT, MASK], "masked"),
        (vec![REPORT, MASK, BLOCK], "blocked"),
        (vec![KEEP], "masked, end shown"),
        // A rule without `keep` shows nothing.
        (vec![KEEP, MASK], "masked"),
        // Neither of these makes replacements.
        (vec![KEEP, REPORT], "masked, end shown"),
    ] {
        let backwards: Vec<&str> = rules.iter().rev().copied().collect();
        assert_eq!(becomes(&rules.join(",")), becomes_so, "{rules:?}");
        assert_eq!(becomes(&backwards.join(",")), becomes_so, "{backwards:?}");
    }
}

#[test]
fn the_smallest_keep_counts() {
    let plan = plans(&format!("{KEEP},{KEEP_LESS}"))
        .plan("api", Direction::Request)
        .unwrap();
    let end = github().split_off(38);
    assert!(masked(&plan, &github()).ends_with(&format!(":{end}]")));
}

#[test]
fn what_is_only_reported_never_hides_what_is_masked() {
    let rules = r#"
        {"name":"seen","detectors":["secrets/jwt"],"on":["request"],"action":"report"},
        {"name":"m","detectors":["secrets/github-pat"],"on":["request"]}"#;
    let plan = plans(rules).plan("api", Direction::Request).unwrap();
    let token = github();
    assert!(!masked(&plan, &format!("x {token} y")).contains(&token));
}

#[test]
fn a_rule_is_for_its_connections_and_directions_alone() {
    let plans =
        plans(r#"{"name":"m","detectors":["secrets/*"],"on":["response"],"connections":["arm"]}"#);
    let applies = |connection, direction| plans.plan(connection, direction).is_some();
    assert!(applies("arm", Direction::Response));
    assert!(!applies("arm", Direction::Request));
    assert!(!applies("api", Direction::Response));
    assert!(!applies("elsewhere", Direction::Response));
}

#[test]
fn what_connections_have_in_common_is_compiled_once() {
    let both = plans(MASK);
    let plan = |connection, direction| both.plan(connection, direction).unwrap();
    let one = plan("api", Direction::Request);
    assert!(Arc::ptr_eq(&one, &plan("arm", Direction::Response)));
    let single =
        plans(r#"{"name":"m","detectors":["secrets/*"],"on":["response"],"connections":["arm"]}"#);
    assert_eq!(both.memory(), single.memory());
}

#[test]
fn what_is_shown_hides_every_secret_and_shares_its_detectors_with_the_plans() {
    let rule = r#"{"name":"m","detectors":["secrets/*","custom/*"],"on":["request"]}"#;
    let own = r#""detectors":[{"name":"custom/acme","regex":"acme_[a-z0-9]{8}"}]"#;
    let other = r#"{"name":"m","detectors":["custom/*"],"on":["request"]}"#;
    for (rule, sets) in [(rule, 1), (other, 2)] {
        let policy = policy(&format!(r#"{own},"masking":[{rule}]"#));
        let plans = MaskingPlans::compile(&policy, None).unwrap();
        let text = masked(
            &plans.shown().unwrap(),
            &format!("acme_0example {}", github()),
        );
        assert!(text.starts_with("[masked:acme:") && !text.contains(&github()));
        assert_eq!(plans.compiled.sets.len(), sets, "{rule}");
    }
}

#[test]
fn a_secret_is_given_back_only_if_every_rule_that_masks_it_says_so() {
    let restore = r#"{"name":"x","detectors":["secrets/*"],"on":["request"],"restore":true}"#;
    let remembered = |rules: &str| {
        let plan = plans(rules).plan("api", Direction::Request).unwrap();
        let mut masker = Masker::new(Arc::clone(&plan), key(), &Content::text());
        masker.push(format!("{} AKIAEXAMPLEEXAMPLE22 ", github()).as_bytes());
        masker.finish();
        (plan.remembers(), masker.secrets().len())
    };
    assert_eq!(remembered(restore), (true, 2));
    assert_eq!(remembered(MASK), (false, 0));
    assert_eq!(remembered(&format!("{restore},{KEEP}")), (true, 1));
    assert_eq!(remembered(&format!("{restore},{MASK}")), (false, 0));
    assert_eq!(remembered(&format!("{restore},{REPORT}")), (true, 2));
}

#[test]
fn the_next_version_compiles_only_what_is_new() {
    let rule = r#"{"name":"m","detectors":["custom/*"],"on":["request"]}"#;
    let of = |regex: &str| {
        policy(&format!(
            r#""detectors":[{{"name":"custom/acme","regex":"{regex}"}}],"masking":[{rule}]"#
        ))
    };
    let set = |plans: &MaskingPlans| Arc::clone(plans.compiled.sets.values().next().unwrap());
    let first = MaskingPlans::compile(&of("acme_[a-z0-9]{8}"), None).unwrap();
    let same = MaskingPlans::compile(&of("acme_[a-z0-9]{8}"), Some(&first)).unwrap();
    assert!(Arc::ptr_eq(&set(&first), &set(&same)));

    // The same name, and it finds something else.
    let other = MaskingPlans::compile(&of("acme-[a-z0-9]{8}"), Some(&first)).unwrap();
    let plan = other.plan("api", Direction::Request).unwrap();
    assert!(masked(&plan, "acme-0example ").starts_with("[masked:acme:"));
    assert_eq!(masked(&plan, "acme_0example "), "acme_0example ");
}

#[test]
fn detectors_that_would_not_fit_into_a_worker_are_refused_with_the_largest_named() {
    let policy = policy(
        r#""masking":[
            {"name":"a","detectors":["secrets/github-*"],"on":["request"]},
            {"name":"b","detectors":["secrets/npm-token"],"on":["response"]}]"#,
    );
    let nothing = plans("").memory();
    let all = MaskingPlans::compile(&policy, None).unwrap().memory() - nothing;
    assert!(MaskingPlans::within(all, &policy, None).is_ok());
    let error = MaskingPlans::within(all - 1, &policy, None).unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("the compiled detectors take ")
            && error.contains("detectors from `secrets/github-pat` to `secrets/github-")
            && error.contains("the largest of 2 sets"),
        "{error}"
    );
}

#[test]
fn a_gate_takes_over_the_compiled_detectors_of_the_one_before() {
    use crate::bundle::{Bundle, Serial};
    let bundle = |policy_version| Bundle {
        serial: Serial {
            policy_version,
            keys_revision: 0,
        },
        previous: None,
        issued_at: crate::base::time::UnixMillis(0),
        policy: policy(&format!(r#""masking":[{BLOCK}]"#)),
        keys: BTreeMap::new(),
    };
    let first = crate::gate::Gate::from_bundle(bundle(1)).unwrap();
    let second = first.next(bundle(2)).unwrap();
    let set =
        |gate: &crate::gate::Gate| Arc::clone(gate.masking.compiled.sets.values().next().unwrap());
    assert!(Arc::ptr_eq(&set(&first), &set(&second)));
    assert_eq!(second.serial().policy_version, 2);
}

/// Automata that were begun while plans were made, piece by piece: in all, and most in one piece.
fn pieces(policy: &Policy, before: Option<&MaskingPlans>) -> (MaskingPlans, u64, u64) {
    let mut making = MaskingPlans::making(before);
    let (mut all, mut most) = (0, 0);
    loop {
        let began = crate::masking::compiled();
        let made = making.step(policy).unwrap();
        let now = crate::masking::compiled() - began;
        (all, most) = (all + now, most.max(now));
        if let Some(plans) = made {
            return (plans, all, most);
        }
    }
}

/// Policy with detectors of its own, of which the second is planned with several automata that do
/// not fit.
fn with_detectors(first: &str) -> Policy {
    policy(&format!(
        r#""detectors":[
            {{"name":"custom/first","regex":"{first}[a-z]{{20}}[0-9]"}},
            {{"name":"custom/large","regex":"(?:[a-z]{{0,60}}[0-9a-f]{{0,70}}=){{1,3}}piecewise_([a-f0-9]{{32}})"}}],
          "masking":[
            {{"name":"m","detectors":["custom/*","secrets/github-pat"],"on":["request"],"action":"mask"}},
            {{"name":"r","detectors":["secrets/npm-token"],"on":["request"],"action":"report"}}]"#
    ))
}

#[test]
fn no_piece_of_making_plans_builds_more_than_one_automaton() {
    let (plans, all, most) = pieces(&with_detectors("piece_one_"), None);
    // Those of the catalogue may be there already, from other tests of this process.
    assert!(all > 2 && most == 1, "{all} {most}");
    let plan = plans.plan("api", Direction::Request).unwrap();
    for (name, text) in [
        ("custom/first", format!("piece_one_{}7", "k".repeat(20))),
        (
            "custom/large",
            format!("ab12=piecewise_{}", "0a".repeat(16)),
        ),
        ("secrets/github-pat", github()),
    ] {
        let (_, findings) = mask_whole(&plan, &key(), &Content::text(), text.as_bytes());
        let found: Vec<&str> = findings.iter().map(|(detector, _)| detector).collect();
        assert_eq!(found, [name], "{text}");
    }
}

#[test]
fn what_has_not_changed_is_not_compiled_again() {
    let (before, _, _) = pieces(&with_detectors("piece_two_"), None);
    let (same, all, _) = pieces(&with_detectors("piece_two_"), Some(&before));
    assert_eq!(all, 0, "new keys compile nothing");
    assert_eq!(same.memory(), before.memory());
    let (_, all, _) = pieces(&with_detectors("piece_three_"), Some(&before));
    assert_eq!(all, 1, "one detector has changed, and has one automaton");
}
