//! Secrets of Kubernetes in events, also under keys that are texts of models elsewhere.

use super::{
    super::{
        cases::{ALNUM, filler},
        key, mask_whole, plan, replacement,
    },
    cut, masked,
};
use crate::masking::Content;
use base64::{Engine as _, prelude::BASE64_STANDARD};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Keys under which a string is a piece of a text that goes on, but for the first.
const KEYS: [&str; 8] = [
    "password",
    "token",
    "value",
    "content",
    "text",
    "delta",
    "thinking",
    "tls.delta",
];

fn base64(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

fn placeholder(value: &str) -> String {
    format!(
        "[masked:kubernetes-secret-data:{}]",
        key().fingerprint(value.as_bytes())
    )
}

/// Events with a value under each key, as base64 and as it is; and what masking must leave of them.
fn both(event: impl Fn(&str, &str, &str) -> String) -> (String, String) {
    let mut events = (String::new(), String::new());
    for name in KEYS {
        let value = format!("hunter2 {name}");
        events.0.push_str(&event(name, &base64(&value), &value));
        let value = placeholder(&value);
        events.1.push_str(&event(name, &base64(&value), &value));
    }
    events
}

/// A Secret as it says itself what it is.
fn secret(name: &str, data: &str, string: &str) -> String {
    format!(
        r#"{{"kind":"Secret","metadata":{{"name":"x"}},"data":{{"{name}":"{data}"}},"stringData":{{"{name}":"{string}"}}}}"#
    )
}

fn is_masked((stream, expected): (String, String)) {
    let whole = cut(stream.as_bytes(), &[]);
    assert_eq!(String::from_utf8_lossy(&whole.0), expected);
    for at in (0..stream.len()).step_by(7) {
        assert_eq!(cut(stream.as_bytes(), &[at]), whole, "cut at {at}");
    }
}

#[test]
fn the_values_of_a_secret_are_masked_under_whatever_keys() {
    is_masked(both(|name, data, string| {
        let object = secret(name, data, string);
        format!("data: {{\"type\":\"ADDED\",\"object\":{object}}}\n\n")
    }));
    // Where strings are pieces whatever they are called.
    is_masked(both(|name, data, string| {
        let object = secret(name, data, string);
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"x\":{object}}}}}]}}\n\n")
    }));
    is_masked(both(|name, data, _| {
        format!(
            "data: {{\"kind\":\"SecretList\",\"items\":[{{\"metadata\":{{}},\"data\":{{\"{name}\":\"{data}\"}}}}]}}\n\n"
        )
    }));
}

#[test]
fn a_watch_of_secrets_is_masked_where_the_path_or_the_object_says_so() {
    let (by_kind, expected_by_kind) = both(|name, data, string| {
        let object = secret(name, data, string);
        format!("{{\"type\":\"ADDED\",\"object\":{object},\"done\":false}}\n")
    });
    let (by_path, expected_by_path) = both(|name, data, _| {
        format!("{{\"object\":{{\"data\":{{\"{name}\":\"{data}\"}}}},\"done\":false}}\n")
    });
    let lines = Content::of(Some(b"application/x-ndjson"));
    let path = b"/api/v1/namespaces/x/secrets?watch=1";
    for (content, body, expected) in [
        (lines.clone(), by_kind, expected_by_kind),
        (lines.at_path(path), by_path, expected_by_path),
    ] {
        let (out, _) = mask_whole(&plan(), &key(), &content, body.as_bytes());
        assert_eq!(String::from_utf8_lossy(out.as_bytes()), expected);
    }
}

#[test]
fn what_is_no_secret_of_kubernetes_is_followed_over_events() {
    let token = format!("ghp_{}", filler(36, ALNUM));
    let (first, rest) = token.split_at(9);
    for (before, after) in [
        ("{\"data\":{\"content\":\"", "\"}}"),
        ("{\"kind\":\"ConfigMap\",\"data\":{\"content\":\"", "\"}}"),
        // It says too late what it is, so that nothing else would look at the value.
        ("{\"data\":{\"content\":\"", "\"},\"kind\":\"Secret\"}"),
        ("{\"kind\":\"Secret\",\"content\":\"", "\"}"),
    ] {
        let event = |piece: &str| format!("data: {before}{piece}{after}\n\n");
        let stream = [event(first), event(rest), event(" said")].concat();
        let expected = [
            event(&replacement("secrets/github-pat", &token)),
            event(""),
            event(" said"),
        ];
        assert_eq!(masked(&stream), expected.concat());
    }
}
