//! The node with the engine's own gate.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::bundle::Bundle;
use chaperone_engine::identity::{PureRust, RefusalCode};
use serde_json::{Value, json};

use super::super::{Config, Node, TICK_MS};
use super::{ROOT, body, plugin_configuration, sealed, serial, signer};
use crate::host::Host as _;
use crate::host::fake::FakeHost;

fn configuration() -> Value {
    let bundle = Bundle {
        serial: serial(3),
        previous: None,
        issued_at: UnixMillis(0),
        policy: serde_json::from_value(json!({
            "apiVersion": "chaperone/v1",
            "issuers": [{ "issuer": "https://idp.example", "audiences": ["chaperone"] }],
            "connections": [{ "name": "api", "hosts": ["api.example"], "protocol": "http" }],
            "rules": [{ "name": "reads", "match": { "methods": ["GET"] }, "effect": "allow" }],
        }))
        .unwrap(),
        keys: Default::default(),
    };
    let mut document = plugin_configuration(&signer().public_key());
    document["bundle"] = json!(signer().seal(&bundle).unwrap());
    document
}

#[test]
fn a_starting_bundle_that_cannot_be_enforced_refuses_the_configuration() {
    let mut document = configuration();
    assert!(Config::parse(document.to_string().as_bytes()).is_ok());
    // Signed, but a policy without issuers.
    document["bundle"] = json!(sealed(&signer(), 1));
    let error = Config::parse(document.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.place, "bundle");
    assert!(
        error.expected.contains("a policy that can be enforced"),
        "{error}"
    );
}

#[test]
fn a_token_with_an_unknown_key_is_refused_and_its_key_reported_at_once() {
    let host = FakeHost::default();
    host.now.set(1_700_000_000_000);
    let mut node = Node::new(&host);
    node.configure(&host, ROOT, super::parsed(&configuration()));
    let gate = node.gate().unwrap();
    assert_eq!(gate.serial(), serial(3));
    node.on_tick(&host, ROOT);
    let first = host
        .take_calls()
        .into_iter()
        .find(|call| body(call)["wait_ms"] == 0)
        .unwrap();
    let marked = crate::host::CallAnswer {
        headers: vec![
            (":status".to_owned(), b"200".to_vec()),
            ("x-chaperone".to_owned(), b"1".to_vec()),
        ],
        body: b"{}".to_vec(),
    };
    node.on_call_answer(&host, ROOT, first.id, marked);

    let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let token = format!(
        "{}.{}.{}",
        part(json!({ "alg": "EdDSA", "kid": "rotated" })),
        part(
            json!({ "iss": "https://idp.example", "aud": "chaperone", "sub": "alice",
                     "exp": 1_800_000_000 })
        ),
        URL_SAFE_NO_PAD.encode([0; 64]),
    );
    let authorization = format!("Bearer {token}");
    for _ in 0..3 {
        let refused = node.identify(&host, &gate, &[authorization.as_bytes()], &PureRust);
        assert_eq!(refused.unwrap_err().code, RefusalCode::UnknownKey);
    }
    assert_eq!(host.ticks.borrow()[&ROOT], 1, "the next tick comes at once");
    host.now.set(host.now().0 + 1);
    node.on_tick(&host, ROOT);
    assert_eq!(host.ticks.borrow()[&ROOT], TICK_MS);
    let report = host.take_calls().remove(0);
    assert_eq!(
        body(&report)["unknown_keys"],
        json!([{ "issuer": "https://idp.example", "kid": "rotated" }])
    );
    assert_eq!(body(&report)["wait_ms"], 0);
    assert_eq!(host.metric("chaperone.token_cache_misses"), 3);
}
