//! Values that are masked because of their keys.

use super::masked_as;
use crate::masking::{
    Action, Content, KeyNames, Plan, Treatment,
    tests::{
        all,
        cases::{ALNUM, filler},
        key,
    },
};
use proptest::{prelude::*, sample};
use std::sync::Arc;

fn plan() -> Arc<Plan> {
    Arc::new(Plan::masking(all()).with_keys(KeyNames::of(["password", "client_secret"])))
}

fn masked(content_type: &str, body: &str) -> String {
    let content = Content::of(Some(content_type.as_bytes()));
    let whole = masked_as(&plan(), &content, body.as_bytes(), &[]);
    for cut in 0..=body.len() {
        assert_eq!(
            masked_as(&plan(), &content, body.as_bytes(), &[cut]),
            whole,
            "cut at {cut}"
        );
    }
    let all: Vec<usize> = (1..body.len()).collect();
    assert_eq!(masked_as(&plan(), &content, body.as_bytes(), &all), whole);
    String::from_utf8(whole.0).unwrap()
}

fn replacement(name: &str, value: &str) -> String {
    format!("[masked:{name}:{}]", key().fingerprint(value.as_bytes()))
}

#[test]
fn the_strings_of_a_key_that_names_a_secret_are_masked_whole() {
    let hunter = replacement("password", "hunter2");
    let secret = replacement("clientsecret", "a\"b");
    for (body, expected) in [
        (
            r#"{"password": "hunter2", "n": "hunter2"}"#.to_owned(),
            format!(r#"{{"password": "{hunter}", "n": "hunter2"}}"#),
        ),
        (
            r#"{"Pass\u0077ord":"hunt\u0065r2"}"#.to_owned(),
            format!(r#"{{"Pass\u0077ord":"{hunter}"}}"#),
        ),
        (
            r#"[{"clientSecret":"a\"b"},"x"]"#.to_owned(),
            format!(r#"[{{"clientSecret":"{secret}"}},"x"]"#),
        ),
        (
            r#"{"password":["hunter2",["hunter2"],1],"b":"c"}"#.to_owned(),
            format!(r#"{{"password":["{hunter}",["{hunter}"],1],"b":"c"}}"#),
        ),
        (
            r#"{"password":{"type":"string","password":"hunter2"},"b":"c"}"#.to_owned(),
            format!(r#"{{"password":{{"type":"string","password":"{hunter}"}},"b":"c"}}"#),
        ),
    ] {
        assert_eq!(masked("application/json", &body), expected);
    }
}

#[test]
fn what_is_no_secret_value_stays() {
    for body in [
        r#"{"password":"","password":null,"password":12,"passwords":"x","x":["password","y"]}"#,
        r#"{"password":"[masked:password:0badcafe]","client_secret":"[masked:github-pat:0badcafe]"}"#,
        r#""password""#,
    ] {
        assert_eq!(masked("application/json", body), body);
    }
    let fake = masked(
        "application/json",
        r#"{"password":"[masked:password:0badcafe] hunter2"}"#,
    );
    assert!(!fake.contains("hunter2"));
}

/// Whoever writes the body may write a secret where a placeholder has its name, or what `keep`
/// shows.
#[test]
fn what_looks_like_a_placeholder_and_holds_a_secret_is_masked() {
    let token = format!("ghp_{}", filler(36, ALNUM));
    let slack = format!("xoxb-{}-{}", "1234567890", "0987654321098");
    for fake in [
        format!("[masked:{token}:00000000]"),
        format!("[masked:x:00000000:{token}]"),
        // A name in small letters that a detector knows, and one that none does.
        format!("[masked:{slack}-examplesecretvalue:00000000]"),
        "[masked:0123456789abcdef0123456789abcdef:00000000]".to_owned(),
        "[masked:hunter2:00000000]".to_owned(),
        // Nothing is kept here.
        "[masked:password:00000000:hunter2]".to_owned(),
        "[masked:password:00000000:seventeen-letters]".to_owned(),
        "[masked:password:0000000G]".to_owned(),
        "[masked:Hunter2:00000000]".to_owned(),
        "[masked::00000000]".to_owned(),
    ] {
        let expected = replacement("password", &fake);
        assert_eq!(
            masked("application/json", &format!(r#"{{"password":"{fake}"}}"#)),
            format!(r#"{{"password":"{expected}"}}"#)
        );
        let form = masked(
            "application/x-www-form-urlencoded",
            &format!("password={fake}"),
        );
        assert!(!form.contains(&fake), "{form}");
    }
}

#[test]
fn a_replacement_is_not_masked_again() {
    let names = KeyNames::common();
    let detectors = all();
    let shorts = detectors.detectors().map(|detector| detector.short_name());
    let keep = Treatment {
        action: Action::Mask,
        keep: 16,
    };
    let mut plan = Plan::masking(all()).with_keys(KeyNames::common());
    let full = names.iter().map(|name| format!("keys/{name}"));
    let full = full.chain(detectors.detectors().map(|d| d.name().to_owned()));
    for name in full {
        plan = plan.treating(&name, keep);
    }
    let plan = Arc::new(plan);
    let content = Content::of(Some(b"application/json"));
    for name in names.iter().chain(shorts) {
        let body = format!(
            r#"{{"password":["[masked:{name}:0badcafe]","[masked:{name}:0badcafe:ABcd123456789.~_]"]}}"#
        );
        let (out, _) = masked_as(&plan, &content, body.as_bytes(), &[]);
        assert_eq!(String::from_utf8(out).unwrap(), body);
    }
}

#[test]
fn values_of_forms_and_parts_are_masked_by_their_names() {
    assert_eq!(
        masked(
            "application/x-www-form-urlencoded",
            "a=b&pass%77ord=hunter%32&password=&password=%2"
        ),
        format!(
            "a=b&pass%77ord={}&password=&password={}",
            replacement("password", "hunter2")
                .replace('[', "%5B")
                .replace(':', "%3A")
                .replace(']', "%5D"),
            replacement("password", "%2")
                .replace('[', "%5B")
                .replace(':', "%3A")
                .replace(']', "%5D"),
        )
    );
    let part = |value: &str| {
        format!(
            "--x\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n{value}\r\n--x--\r\n"
        )
    };
    assert_eq!(
        masked("multipart/form-data; boundary=x", &part("hunter2")),
        part(&replacement("password", "hunter2"))
    );
}

#[test]
fn a_long_value_is_masked_whole_in_constant_memory() {
    let value = "hunter2 ".repeat(10_000);
    let body = format!("{{\"password\":\"{value}\",\"a\":\"b\"}}");
    let content = Content::of(Some(b"application/json"));
    let expected = format!(
        "{{\"password\":\"{}\",\"a\":\"b\"}}",
        replacement("password", &value)
    );
    let cuts: Vec<usize> = (1..body.len()).step_by(1000).collect();
    for cuts in [&[][..], &cuts] {
        let (out, _) = masked_as(&plan(), &content, body.as_bytes(), cuts);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn a_key_may_only_be_counted() {
    let treatment = Treatment {
        action: Action::Report,
        keep: 0,
    };
    let plan = Arc::new(
        Plan::masking(all())
            .with_keys(KeyNames::of(["password"]))
            .treating("keys/password", treatment),
    );
    let content = Content::of(Some(b"application/json"));
    let body = br#"{"password":"hunter2"}"#;
    let (out, findings) = masked_as(&plan, &content, body, &[15]);
    assert_eq!(out, body);
    assert_eq!(findings.get("keys/password").unwrap().reported, 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(100), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_value_of_such_a_key_passes_wherever_it_stands(
        node in super::json::node(), seed: u64, value in "[a-z\\\\n\"]{1,20}", cuts in prop::collection::vec(any::<sample::Index>(), 0..12),
    ) {
        let (mut body, mut dice) = (super::Body::default(), super::Dice(seed));
        body.push("[{\"password\":[");
        super::json::write(&node, &mut body, &mut dice);
        body.push("],\"client-secret\" : \"");
        body.replace(super::json::escaped(&value, &mut dice), replacement("clientsecret", &value));
        body.push("\"}]");
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.raw.len() + 1)).collect();
        cuts.sort_unstable();
        let content = Content::of(Some(b"application/json"));
        let whole = masked_as(&plan(), &content, &body.raw, &[]);
        let tail = format!("\"{}\"}}]", replacement("clientsecret", &value));
        prop_assert!(whole.0.ends_with(tail.as_bytes()), "{}", String::from_utf8_lossy(&whole.0));
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&whole.0).is_ok());
        prop_assert_eq!(masked_as(&plan(), &content, &body.raw, &cuts), whole);
    }
}
