//! Keys that name a secret in JSON that stands in a string.

use super::{json::escaped, masked_as};
use crate::masking::{
    Content, KeyNames, MAX_HELD, Plan,
    tests::{
        all,
        cases::{ALNUM, filler},
        key,
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use proptest::{prelude::*, sample};
use serde_json::{Value, json};
use std::sync::Arc;

fn plan() -> Arc<Plan> {
    Arc::new(Plan::masking(all()).with_keys(KeyNames::of(["password", "client_secret"])))
}

fn content() -> Content {
    Content::of(Some(b"application/json"))
}

/// Masked, the same for every cut in two and in single bytes.
fn masked(body: &str) -> String {
    let (plan, content) = (plan(), content());
    let whole = masked_as(&plan, &content, body.as_bytes(), &[]);
    for cut in 0..=body.len() {
        let cut_there = masked_as(&plan, &content, body.as_bytes(), &[cut]);
        assert_eq!(
            String::from_utf8_lossy(&cut_there.0),
            String::from_utf8_lossy(&whole.0),
            "cut at {cut}"
        );
        assert_eq!(cut_there.1, whole.1, "cut at {cut}");
    }
    let all: Vec<usize> = (1..body.len()).collect();
    assert_eq!(masked_as(&plan, &content, body.as_bytes(), &all), whole);
    String::from_utf8(whole.0).unwrap()
}

fn replacement(name: &str, value: &str) -> String {
    format!("[masked:{name}:{}]", key().fingerprint(value.as_bytes()))
}

#[test]
fn the_value_of_a_key_in_a_string_of_json_is_masked_whole() {
    let hunter = replacement("password", "hunter2");
    let quoted = replacement("clientsecret", "a\"b\\\n");
    let document = |password: &str, secret: &str| json!({"user": "me", "password": password, "list": [{"clientSecret": secret}], "n": "hunter2"});
    let body = |arguments: &str| {
        json!({"function": {"name": "login", "arguments": arguments}, "x": "password"}).to_string()
    };
    for indent in [false, true] {
        let written = |value: Value| match indent {
            false => value.to_string(),
            true => format!("\n {}\n", serde_json::to_string_pretty(&value).unwrap()),
        };
        let raw = body(&written(document("hunter2", "a\"b\\\n")));
        let expected = body(&written(document(&hunter, &quoted)));
        assert_eq!(masked(&raw), expected);
        // What was masked once stays.
        assert_eq!(masked(&expected), expected);
    }
}

#[test]
fn what_is_no_base64_behind_an_escape_in_data_is_looked_into() {
    let secret = format!("ghp_{}", filler(36, ALNUM));
    let replaced = replacement("github-pat", &secret);
    for before in ["aGk\\/", "\\/ ", "\\u0061", "aGk\\u002f "] {
        let body = |value: &str| {
            let document = format!("{{\"data\":{{\"a\":\"{before}{value}\"}}}}");
            json!({"text": document}).to_string()
        };
        assert_eq!(masked(&body(&secret)), body(&replaced));
    }
}

#[test]
fn documents_are_read_in_documents_in_documents() {
    let hunter = replacement("password", "hunter2\"");
    let body = |value: &str, levels: usize| {
        let mut document = json!({"password": value, "a": 1}).to_string();
        for _ in 0..levels {
            document = json!([{"text": document, "type": "text"}]).to_string();
        }
        document
    };
    for levels in 0..=3 {
        assert_eq!(masked(&body("hunter2\"", levels)), body(&hunter, levels));
    }
    // Deeper ones are only searched.
    assert_eq!(masked(&body("hunter2\"", 4)), body("hunter2\"", 4));
}

#[test]
fn a_value_may_be_escaped_in_any_way_at_each_level() {
    let hunter = replacement("password", "hunter2");
    for body in [
        r#"{"a":"{\"pass\\u0077ord\":\"hunt\\u0065r2\"}"}"#,
        r#"{"a":"{\u0022password\u0022:\u0022hunte\u0072\u0032\u0022}"}"#,
        r#"{"a":"\u007b\"password\" : \"hunt\u005cu0065r2\"}"}"#,
        r#"{"a":"{\"password\":\"h\\u0075\u006eter2\"}"}"#,
    ] {
        let out = masked(body);
        let value: Value = serde_json::from_str(&out).unwrap();
        let inner: Value = serde_json::from_str(value["a"].as_str().unwrap()).unwrap();
        assert_eq!(inner["password"], hunter, "{body}");
    }
    // Half a pair that none follows, at both levels.
    for end in ["\\\\ud83d", "\\\\ud83d\\\\n", "\\\\ud83", "\\\\u", "\\\\q"] {
        let body = format!(r#"{{"a":"{{\"password\":\"hunter2{end}\",\"b\":\"{end}\"}}"}}"#);
        let out = masked(&body);
        assert!(!out.contains("hunter"), "{out}");
        assert!(
            out.ends_with(&format!(r#"\",\"b\":\"{end}\"}}"}}"#)),
            "{out}"
        );
    }
}

#[test]
fn what_is_no_document_after_all_is_searched_like_any_other_text() {
    let token = format!("ghp_{}", filler(36, ALNUM));
    let pat = replacement("github-pat", &token);
    let hunter = replacement("password", "hunter2");
    for (text, expected) in [
        // It breaks off in the value.
        (
            "{\"password\":\"hunter2".to_owned(),
            format!("{{\"password\":\"{hunter}"),
        ),
        (
            "{\"password\":\"hunter2\\".to_owned(),
            format!("{{\"password\":\"{}", replacement("password", "hunter2\\")),
        ),
        (
            format!("{{\"password\": [\"hunter2\"], {token}"),
            format!("{{\"password\": [\"{hunter}\"], {pat}"),
        ),
        (
            format!("{{x}} {token} {{\"password\":\"hunter2\"}}"),
            format!("{{x}} {pat} {{\"password\":\"hunter2\"}}"),
        ),
        (format!("[1] {token}"), format!("[1] {pat}")),
        (
            format!("{{\"a\":\"{token}\",\"password\":\"{token}\"}}"),
            format!(
                "{{\"a\":\"{pat}\",\"password\":\"{}\"}}",
                replacement("password", &token)
            ),
        ),
    ] {
        let body = |text: &str| json!({"a": text, "b": [text, "password"]}).to_string();
        assert_eq!(masked(&body(&text)), body(&expected));
    }
    // Several documents, one after the other.
    let body = |value: &str| {
        json!({"log": format!("{{\"password\":\"{value}\"}}\n{{\"password\":\"{value}\"}}\n")})
            .to_string()
    };
    assert_eq!(masked(&body("hunter2")), body(&hunter));
}

#[test]
fn a_kubernetes_secret_in_a_string_is_masked_as_one() {
    let masked_value = replacement("kubernetes-secret-data", "hunter2");
    let token = format!("ghp_{}", filler(36, ALNUM));
    let pat = replacement("github-pat", &token);
    let base64 = |text: &str| BASE64_STANDARD.encode(text);
    let body = |secret: Value| {
        json!({"result": {"content": [{"type": "text", "text": secret.to_string()}]}}).to_string()
    };
    let secret =
        |value: &str| json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"a": value}});
    assert_eq!(
        masked(&body(secret("hunter2"))),
        body(secret(&masked_value))
    );
    // As `kubectl get -o json` writes it, the data comes before the kind.
    let secret = |value: String| json!({"apiVersion": "v1", "data": {"a": value, "b": "bm90/aGluZw==", "c": "no\nbase64"}, "kind": "Secret"});
    assert_eq!(
        masked(&body(secret(base64(&token)))),
        body(secret(base64(&pat)))
    );
    // An escape in what may be base64, which then is none.
    let raw = format!(r#"{{"a":"{{\"data\":{{\"x\":\"abc\\n{token}\",\"y\":\"ab\\/c\"}}}}"}}"#);
    assert_eq!(masked(&raw), raw.replace(&token, &pat));
}

#[test]
fn a_long_value_in_a_string_is_held_up_to_the_cap_and_all_of_it_is_masked() {
    let value = filler(3 * MAX_HELD, ALNUM);
    let known = replacement("password", &value);
    let body =
        |value: &str| json!({"a": json!({"password": value, "b": "c"}).to_string()}).to_string();
    let (plan, content) = (plan(), content());
    for size in [1, 100, 5000] {
        let raw = body(&value);
        let cuts: Vec<usize> = (size..raw.len()).step_by(size).collect();
        let (out, _) = masked_as(&plan, &content, raw.as_bytes(), &cuts);
        assert_eq!(String::from_utf8(out).unwrap(), body(&known));
    }
}

/// A document with a secret under its key, as text, and what masking leaves of it.
pub(super) fn document() -> impl Strategy<Value = (Value, Value)> {
    let member = (
        "[a-c]{1,3}",
        sample::select(vec!["x", "é😀\n\"\\", "/", "", "words \u{1}"]),
    );
    let secret = sample::select(vec!["hunter2", "p\"w\\", "\u{e9}\n😀/x"]);
    (prop::collection::vec(member, 0..3), secret, any::<bool>()).prop_map(
        |(members, secret, listed)| {
            let document = |value: &str| {
                let mut object = serde_json::Map::new();
                for (key, value) in &members {
                    object.insert(key.clone(), json!(value));
                }
                object.insert(
                    "password".to_owned(),
                    if listed {
                        json!([value, 1])
                    } else {
                        json!(value)
                    },
                );
                json!([object, {"z": "end"}])
            };
            (document(secret), document(&replacement("password", secret)))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(150), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_each_level_is_escaped_and_cut_only_the_value_changes(
        (raw, expected) in document(), levels in 1_usize..3, seed: u64,
        at in prop::collection::vec(any::<sample::Index>(), 0..12),
    ) {
        let mut dice = super::Dice(seed);
        let mut text = raw.to_string();
        for _ in 0..levels {
            text = format!("{{\"t\":\"{}\"}}", String::from_utf8(escaped(&text, &mut dice)).unwrap());
        }
        let whole = masked_as(&plan(), &content(), text.as_bytes(), &[]);
        let mut out = String::from_utf8(whole.0.clone()).unwrap();
        for _ in 0..levels {
            let value: Value = serde_json::from_str(&out).unwrap();
            out = value["t"].as_str().unwrap().to_owned();
        }
        prop_assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), expected);
        let mut cuts: Vec<usize> = at.iter().map(|at| at.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(&masked_as(&plan(), &content(), text.as_bytes(), &cuts), &whole);
        let all: Vec<usize> = (1..text.len()).collect();
        prop_assert_eq!(&masked_as(&plan(), &content(), text.as_bytes(), &all), &whole);
    }
}
