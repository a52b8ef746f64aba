//! Secrets of Kubernetes, whose values are secret whatever they look like.

use super::masked_as;
use crate::masking::{
    Content, Plan,
    tests::{
        all,
        cases::{ALNUM, filler},
        key,
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;
use std::sync::Arc;

const SECRETS: &[u8] = b"/api/v1/namespaces/x/secrets/y?watch=1";

fn masked(path: Option<&[u8]>, body: &str) -> String {
    let plan = Arc::new(Plan::masking(all()));
    let mut content = Content::of(Some(b"application/json"));
    if let Some(path) = path {
        content = content.at_path(path);
    }
    let whole = masked_as(&plan, &content, body.as_bytes(), &[]);
    for cut in 0..=body.len() {
        assert_eq!(
            masked_as(&plan, &content, body.as_bytes(), &[cut]),
            whole,
            "cut at {cut}"
        );
    }
    let single: Vec<usize> = (1..body.len()).collect();
    assert_eq!(masked_as(&plan, &content, body.as_bytes(), &single), whole);
    String::from_utf8(whole.0).unwrap()
}

fn replacement(value: &str) -> String {
    format!(
        "[masked:kubernetes-secret-data:{}]",
        key().fingerprint(value.as_bytes())
    )
}

fn base64(text: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(text)
}

/// A document with the value of a Secret in it, and the same as masking must leave it.
fn both(document: impl Fn(&str, &str) -> String) -> (String, String) {
    let masked = replacement("hunter2");
    (
        document(&base64("hunter2"), "hunter2"),
        document(&base64(&masked), &masked),
    )
}

#[test]
fn the_values_of_a_secret_are_masked_and_stay_base64() {
    let (body, expected) = both(|data, string| {
        format!(
            r#"{{"kind":"Secret","apiVersion":"v1","metadata":{{"name":"aHVudGVyMg==","annotations":{{"a":"b","kubectl.kubernetes.io/last-applied-configuration":"{string}"}}}},"data":{{"password":"{data}","empty":""}},"stringData":{{"p":"{string}"}},"type":"Opaque"}}"#
        )
    });
    assert_eq!(masked(None, &body), expected);
    assert_eq!(masked(None, &expected), expected);
}

#[test]
fn a_list_and_a_watch_of_secrets_are_masked() {
    let (body, expected) = both(|data, _| {
        format!(
            r#"{{"kind":"SecretList","metadata":{{}},"items":[{{"metadata":{{}},"data":{{"a":"{data}"}}}},{{"data":{{"b":"{data}"}}}}]}}"#
        )
    });
    assert_eq!(masked(None, &body), expected);
    let (body, expected) = both(|data, _| {
        format!(
            "{{\"type\":\"ADDED\",\"object\":{{\"kind\":\"Secret\",\"data\":{{\"a\":\"{data}\"}}}}}}\n{{\"type\":\"ADDED\",\"object\":{{\"kind\":\"ConfigMap\",\"data\":{{\"a\":\"aHVudGVyMg==\"}}}}}}"
        )
    });
    assert_eq!(masked(None, &body), expected);
}

#[test]
fn the_path_tells_where_the_document_does_not_yet() {
    let (body, expected) = both(|data, string| {
        format!(
            r#"{{"apiVersion":"v1","data":{{"a":"{data}"}},"stringData":{{"p":"{string}"}},"kind":"Secret"}}"#
        )
    });
    assert_eq!(masked(Some(SECRETS), &body), expected);
    assert_eq!(
        masked(Some(b"/api/v1/namespaces/x/configmaps"), &body),
        body
    );
    let (body, expected) = both(|data, _| {
        format!(
            r#"[{{"op":"replace","path":"/data/a","value":"{data}"}},{{"op":"add","value":{{"b":"{data}"}},"path":"/data"}}]"#
        )
    });
    assert_eq!(masked(Some(SECRETS), &body), expected);
}

#[test]
fn where_nothing_tells_base64_is_looked_into() {
    let token = format!("ghp_{}", filler(36, ALNUM));
    let body = format!(
        r#"{{"data":{{"a":"{}","b":"bm90aGluZw==","c":"no base64","d":"{token}","e":"AKIA"}},"kind":"Secret"}}"#,
        base64(format!("token: {token}\n"))
    );
    let out = masked(None, &body);
    let value: Value = serde_json::from_str(&out).unwrap();
    let decoded = BASE64_STANDARD
        .decode(value["data"]["a"].as_str().unwrap())
        .unwrap();
    let placeholder = format!(
        "[masked:github-pat:{}]",
        key().fingerprint(token.as_bytes())
    );
    assert_eq!(
        String::from_utf8(decoded).unwrap(),
        format!("token: {placeholder}\n")
    );
    assert_eq!(value["data"]["d"], placeholder);
    assert!(out.ends_with(&format!(
        r#""b":"bm90aGluZw==","c":"no base64","d":"{placeholder}","e":"AKIA"}},"kind":"Secret"}}"#
    )));
}

#[test]
fn other_documents_are_left_alone() {
    for body in [
        r#"{"kind":"ConfigMap","data":{"a":"aHVudGVyMg=="}}"#,
        r#"{"data":[{"a":"aHVudGVyMg=="}],"object":"list"}"#,
        r#"{"data":"aHVudGVyMg==","items":[{"data":{"a":12,"b":null,"c":""}}]}"#,
    ] {
        assert_eq!(masked(None, body), body);
    }
}

#[test]
fn a_value_that_looks_like_a_replacement_and_holds_a_secret_is_masked() {
    let token = format!("ghp_{}", filler(36, ALNUM));
    let fake = format!("[masked:x:00000000:{token}]");
    let document = |value: &str| {
        let value = base64(value);
        format!(r#"{{"kind":"Secret","data":{{"a":"{value}"}}}}"#)
    };
    assert_eq!(
        masked(None, &document(&fake)),
        document(&replacement(&fake))
    );
}
