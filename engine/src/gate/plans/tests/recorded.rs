//! What stands in the recorded copy of a body.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// What leaves of `text` in a request on `api`, and what is recorded of it: however it is cut.
fn copies(rest: &str, content: &Content, text: &str) -> (String, String) {
    let plans = MaskingPlans::compile(&policy(rest), None).unwrap();
    let plan = plans.plan("api", Direction::Request).unwrap();
    let copies = |cut: usize| {
        let mut masker = Masker::new(Arc::clone(&plan), key(), content);
        masker.record(Some(1000));
        let (mut sent, mut recorded) = (Vec::new(), Vec::new());
        let (first, second) = text.as_bytes().split_at(cut);
        for part in [first, second] {
            let leaves = masker.push(part);
            sent.extend_from_slice(leaves.as_bytes());
            recorded.extend_from_slice(masker.recorded(&leaves).as_bytes());
        }
        let leaves = masker.finish();
        sent.extend_from_slice(leaves.as_bytes());
        recorded.extend_from_slice(masker.recorded(&leaves).as_bytes());
        let copies = [sent, recorded].map(|copy| String::from_utf8(copy).unwrap());
        (copies, masker.findings().clone())
    };
    let ([sent, recorded], findings) = copies(0);
    for cut in 1..=text.len() {
        let (cut, again) = copies(cut);
        assert_eq!((&cut[0], &cut[1]), (&sent, &recorded));
        assert_eq!(again, findings);
    }
    (sent, recorded)
}

fn placeholder(name: &str, secret: &str) -> String {
    format!("[masked:{name}:{}]", key().fingerprint(secret.as_bytes()))
}

const AWS: &str = "AKIAEXAMPLEEXAMPLE22";

#[test]
fn what_is_only_reported_does_not_stand_in_the_record() {
    let text = format!("a {} mail alice@corp.example, b", github());
    let rule = r#""masking":[{"name":"r","detectors":["secrets/*","pii/email"],"on":["request"],"action":"report"}]"#;
    let (sent, recorded) = copies(rule, &Content::text(), &text);
    assert_eq!(sent, text);
    let expected = text
        .replace(&github(), &placeholder("github-pat", &github()))
        .replace(
            "alice@corp.example",
            &placeholder("email", "alice@corp.example"),
        );
    assert_eq!(recorded, expected);
    // Values of keys, too.
    let rule = r#""masking":[{"name":"r","keys":["password"],"on":["request"],"action":"report"}]"#;
    let json = Content::of(Some(b"application/json"));
    let (sent, recorded) = copies(rule, &json, r#"{"password": "hunter2", "a": 1}"#);
    assert_eq!(sent, r#"{"password": "hunter2", "a": 1}"#);
    let expected = placeholder("password", "hunter2");
    assert_eq!(recorded, format!(r#"{{"password": "{expected}", "a": 1}}"#));
}

#[test]
fn the_record_of_a_body_that_breaks_off_has_all_that_had_left_and_is_bounded_meanwhile() {
    let rule =
        r#""masking":[{"name":"r","detectors":["secrets/*"],"on":["request"],"action":"report"}]"#;
    let plans = MaskingPlans::compile(&policy(rule), None).unwrap();
    let plan = plans.plan("api", Direction::Request).unwrap();
    let begun = |text: &str, wanted| {
        let mut masker = Masker::new(Arc::clone(&plan), key(), &Content::text());
        masker.record(wanted);
        let leaves = masker.push(text.as_bytes());
        assert_eq!(leaves.as_bytes(), text.as_bytes());
        let recorded = masker.recorded(&leaves);
        (masker, recorded)
    };
    let token = github();
    for (text, expected) in [
        // It is no token that ends here, and one that does.
        (format!("a {}", &token[..20]), format!("a {}", &token[..20])),
        (
            format!("a {token}"),
            format!("a {}", placeholder("github-pat", &token)),
        ),
        ("a b ".to_owned(), "a b ".to_owned()),
    ] {
        let (mut masker, mut recorded) = begun(&text, Some(1000));
        let waits = masker.held_for_record();
        assert_eq!(recorded.len() + waits, text.len());
        recorded.append(masker.end_record());
        assert_eq!(String::from_utf8_lossy(recorded.as_bytes()), expected);
        // It is over.
        assert_eq!(
            (masker.held_for_record(), masker.end_record().len()),
            (0, 0)
        );
    }
    // Nothing more is wanted of it.
    let (mut masker, _) = begun(&format!("a {token}"), None);
    assert!(masker.end_record().is_empty());
    // What waits in it for a decision is bounded as in any body.
    let endless = format!(
        "-----BEGIN PRIVATE KEY-----\n{}",
        "MIIEXAMPLE".repeat(2_000)
    );
    let (masker, _) = begun(&endless, Some(100_000));
    assert!(
        masker.held_for_record() < MAX_HELD,
        "{}",
        masker.held_for_record()
    );
}

#[test]
fn what_no_rule_looks_for_does_not_stand_in_the_record() {
    let text = format!("a {} b {AWS} c", github());
    let rule = r#""masking":[{"name":"m","detectors":["secrets/github-*"],"on":["request"]}]"#;
    let (sent, recorded) = copies(rule, &Content::text(), &text);
    let expected = text.replace(&github(), &placeholder("github-pat", &github()));
    assert_eq!(sent, expected);
    let name = "aws-access-key-id";
    assert_eq!(recorded, expected.replace(AWS, &placeholder(name, AWS)));
}

#[test]
fn what_was_masked_is_not_masked_again_for_the_record() {
    // This detector takes its own replacements for secrets.
    let rest = r#""detectors":[{"name":"custom/pin","regex":"pin=(\\S+)"}],
        "masking":[{"name":"m","detectors":["custom/*","secrets/kubernetes-secret-data"],"on":["request"],"keep":4}]"#;
    let (sent, recorded) = copies(rest, &Content::text(), "pin=0123456789abcdef0123 x");
    assert!(sent.starts_with("pin=[masked:pin:"), "{sent}");
    assert_eq!(recorded, sent);
    let json = Content::of(Some(b"application/json"));
    let secret = r#"{"kind":"Secret","data":{"a":"aHVudGVyMiBodW50ZXIy"}}"#;
    let (sent, recorded) = copies(rest, &json, secret);
    assert!(!sent.contains("aHVudGVy"), "{sent}");
    assert_eq!(recorded, sent);
}

/// What is done for a kilobyte, of which so much is recorded.
fn work(rest: &str, wanted: Option<usize>) -> u64 {
    let plans = MaskingPlans::compile(&policy(rest), None).unwrap();
    assert_eq!(
        plans.compiled.sets.len(),
        1 + usize::from(rest.contains("report"))
    );
    let plan = plans.plan("api", Direction::Request).unwrap();
    let mut masker = Masker::new(plan, key(), &Content::text());
    masker.record(wanted);
    for _ in 0..10 {
        masker.push(&[b'a'; 100]);
    }
    masker.work()
}

#[test]
fn a_copy_is_made_only_of_what_is_recorded_and_where_the_plan_does_not_mask_all_of_it() {
    let all = r#""masking":[{"name":"m","detectors":["secrets/*"],"on":["request"]}]"#;
    assert_eq!(work(all, None), work(all, Some(5000)));
    let reports = all.replace(r#""on""#, r#""action":"report","on""#);
    let none = work(&reports, None);
    assert!(work(&reports, Some(5000)) >= none + 1000);
    let some = work(&reports, Some(250)) - none;
    assert!((300..600).contains(&some), "{some}");
}

#[test]
fn what_left_before_a_block_is_recorded_whole() {
    let rest = r#""masking":[{"name":"b","detectors":["secrets/github-pat"],"on":["request"],"action":"block"}]"#;
    // The end of the first part may begin a secret of another kind, and is none.
    let text = format!("x AKIA {} y", github());
    let (sent, recorded) = copies(rest, &Content::text(), &text);
    assert_eq!(sent, "x AKIA ");
    assert_eq!(recorded, sent);
}

#[test]
fn what_was_masked_claims_nothing_behind_its_replacement() {
    // The detector counts as many bytes as the secret had; its replacement has fewer.
    let rest = r#""detectors":[{"name":"custom/pin","regex":"pin=(\\S{64})"}],
        "masking":[{"name":"m","detectors":["custom/pin"],"on":["request"]},
                   {"name":"r","detectors":["secrets/github-pat"],"on":["request"],"action":"report"}]"#;
    let text = format!("pin={},{},x", "a1".repeat(32), github());
    let (sent, recorded) = copies(rest, &Content::text(), &text);
    assert!(sent.starts_with("pin=[masked:pin:") && sent.ends_with(&format!(",{},x", github())));
    let replaced = placeholder("github-pat", &github());
    assert_eq!(recorded, sent.replace(&github(), &replaced));
}

#[test]
fn a_replacement_that_shows_some_of_a_secret_stays_as_it_was_sent() {
    let rest = r#""masking":[{"name":"m","detectors":["secrets/github-pat"],"on":["request"],"keep":4},
        {"name":"r","keys":["password"],"on":["request"],"action":"report"}]"#;
    let json = Content::of(Some(b"application/json"));
    let text = format!(r#"{{"password":"{}"}}"#, github());
    let (sent, recorded) = copies(rest, &json, &text);
    assert!(sent.contains("[masked:github-pat:"), "{sent}");
    assert_eq!(recorded, sent);
}
