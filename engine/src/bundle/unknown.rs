//! A signed bundle is understood to the last member or refused whole: half of a policy could be the
//! looser half.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::*;
use crate::policy::language_places;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A bundle that has every construct of the language.
fn full() -> Value {
    let issuer = "https://issuer.example";
    json!({
        "serial": {"policy_version": 3, "keys_revision": 1},
        "previous": "00".repeat(32),
        "issued_at": 1_700_000_000_000_u64,
        "policy": {
            "apiVersion": "chaperone/v1",
            "issuers": [{"issuer": issuer, "audiences": ["chaperone"], "algorithms": ["EdDSA"],
                "claims": {"subject": "s", "groups": "g", "agent": "a", "session": "i"},
                "leeway_seconds": 5, "jwks_uri": "https://issuer.example/jwks", "jwks": {"keys": []}}],
            "connections": [{"name": "api", "hosts": ["api.example.com"], "protocol": "http",
                "credential": "c", "labels": {"env": "prod"}}],
            "rules": [{"name": "r", "match": {"any": true, "connections": ["api"], "labels": {"env": "prod"},
                    "issuers": [issuer], "subjects": ["ana"], "groups": ["dev"], "agents": ["x"],
                    "operations": ["GET *"], "methods": ["GET"], "hosts": ["api.example.com"], "paths": ["/*"]},
                "effect": "approve", "reason": "Ask.", "audit": "required",
                "approve": {"by": ["sre"], "count": 2, "hold": "1s", "expires": "1h", "grant": "5m"}}],
            "detectors": [{"name": "custom/x", "description": "X", "severity": "low", "regex": "x[0-9]",
                "secret_group": 0, "keywords": ["x"], "entropy": 1.0,
                "allow": [{"description": "d", "regexes": ["x0"], "stopwords": ["none"], "on": "match", "all": true}]}],
            "detectors_allow": [{"description": "d", "regexes": ["x1"], "stopwords": ["none"], "on": "line", "all": true}],
            "masking": [{"name": "m", "detectors": ["custom/x"], "keys": "default", "on": ["request"],
                "action": "block", "keep": 4, "restore": true, "connections": ["api"]}],
            "tests": [{"name": "t", "as": {"issuer": issuer, "subject": "ana", "groups": ["dev"], "agent": "x"},
                "request": "GET https://api.example.com/", "expect": "approve", "rule": "r"}],
        },
        "keys": {issuer: {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": "AA"}]}},
    })
}

fn opened(content: &Value) -> Result<Bundle, BundleError> {
    let payload = serde_json::to_vec(content).unwrap();
    let key = SigningKey::from_bytes(&[7; 32]);
    let signature = key.sign(&pre_authentication_encoding(PAYLOAD_TYPE, &payload));
    let envelope = Envelope {
        payload_type: PAYLOAD_TYPE.to_owned(),
        payload: STANDARD.encode(&payload),
        signatures: vec![EnvelopeSignature {
            keyid: String::new(),
            sig: STANDARD.encode(signature.to_bytes()),
        }],
    };
    let pinned = Signer::from_seed(&[7; 32]).public_key().into();
    open(&serde_json::to_vec(&envelope).unwrap(), &pinned)
}

/// Places whose members are not ours: names that the policy's author gives, and what the issuer
/// publishes.
fn is_free(place: &str) -> bool {
    let last = place.rsplit('/').next();
    place.starts_with("/keys")
        || matches!(last, Some("labels" | "jwks"))
        || place.contains("/jwks/")
}

/// Places as JSON pointers, with what stands there.
fn places(value: &Value, place: &str, found: &mut Vec<(String, Value)>) {
    found.push((place.to_owned(), value.clone()));
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                places(member, &format!("{place}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{place}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// The place in the words of the language's table.
fn in_language(place: &str) -> Option<String> {
    let mut named = String::new();
    for part in place.strip_prefix("/policy/")?.split('/') {
        if part.parse::<usize>().is_ok() {
            named.push_str("[]");
        } else {
            let dot = if named.is_empty() { "" } else { "." };
            named.push_str(&format!("{dot}{part}"));
        }
    }
    Some(named)
}

#[test]
fn the_bundle_of_these_tests_is_understood_and_has_every_construct() {
    opened(&full()).unwrap();
    let mut found = Vec::new();
    places(&full(), "", &mut found);
    let found: BTreeSet<String> = found
        .iter()
        .filter_map(|(place, _)| in_language(place))
        .collect();
    for (place, _) in language_places() {
        assert!(found.contains(place), "{place} is missing here");
    }
}

#[test]
fn an_unknown_member_at_any_level_refuses_the_bundle() {
    let mut found = Vec::new();
    places(&full(), "", &mut found);
    let mut tried = 0;
    for (place, value) in found {
        if !value.is_object() || is_free(&place) {
            continue;
        }
        let mut changed = full();
        let members: &mut Map<_, _> = changed
            .pointer_mut(&place)
            .unwrap()
            .as_object_mut()
            .unwrap();
        members.insert("later".to_owned(), json!(null));
        let refused = opened(&changed);
        assert!(
            matches!(refused, Err(BundleError::Content(_))),
            "{place}: {refused:?}"
        );
        tried += 1;
    }
    assert!(tried > 12, "{tried}");
}

#[test]
fn an_unknown_word_refuses_the_bundle() {
    let mut found = Vec::new();
    places(&full(), "", &mut found);
    let mut tried = 0;
    for (place, _) in found {
        let is_word = language_places()
            .any(|(known, is_word)| is_word && in_language(&place).as_deref() == Some(known));
        if !is_word {
            continue;
        }
        let mut changed = full();
        *changed.pointer_mut(&place).unwrap() = json!("later");
        let refused = opened(&changed);
        assert!(
            matches!(refused, Err(BundleError::Content(_))),
            "{place}: {refused:?}"
        );
        tried += 1;
    }
    assert!(tried > 10, "{tried}");
}

/// RFC 7517 §4: members of a key that are not understood are ignored. They are the issuer's, and an
/// issuer that adds one must not stop policy.
#[test]
fn what_an_issuer_adds_to_its_keys_refuses_nothing() {
    let mut changed = full();
    changed["keys"]["https://issuer.example"]["later"] = json!(1);
    changed["keys"]["https://issuer.example"]["keys"][0]["later"] = json!(1);
    changed["policy"]["issuers"][0]["jwks"]["later"] = json!(1);
    opened(&changed).unwrap();
}
