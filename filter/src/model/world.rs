//! Policy, keys and tokens for the model.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::bundle::{Bundle, Serial, Signer};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

pub(super) const NOW: u64 = 1_800_000_000_000;
const ISSUER: &str = "https://issuer.example";

fn agent_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// A token of the policy's issuer for somebody in `group`.
pub(super) fn token(group: &str) -> String {
    token_of(group, None)
}

/// The same, of a session.
pub(super) fn token_of(group: &str, session: Option<&str>) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"alg": "EdDSA", "typ": "JWT", "kid": "k"}));
    let mut claims = json!({
        "iss": ISSUER, "aud": "api://chaperone", "sub": "alice", "groups": [group],
        "exp": NOW / 1000 + 3600
    });
    if let Some(session) = session {
        claims["sid"] = session.into();
    }
    let message = format!("{header}.{}", part(claims));
    let signature = agent_key().sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

fn policy() -> Value {
    json!({
        "apiVersion": "chaperone/v1",
        "issuers": [{"issuer": ISSUER, "audiences": ["api://chaperone"],
                     "claims": {"subject": "sub", "groups": "groups", "session": "sid"}}],
        "connections": [{"name": "api", "hosts": ["api.example.com"], "protocol": "http"},
                        {"name": "plain", "hosts": ["plain.example.com"], "protocol": "http"},
                        {"name": "blocking", "hosts": ["blocking.example.com"], "protocol": "http"},
                        {"name": "restoring", "hosts": ["restoring.example.com"], "protocol": "http"},
                        {"name": "reporting", "hosts": ["reporting.example.com"], "protocol": "http"}],
        "rules": [
            {"name": "devs", "match": {"groups": ["dev"], "paths": ["/free/**"]}, "effect": "allow"},
            {"name": "durable", "match": {"groups": ["dev"], "paths": ["/durable/**"]},
             "effect": "allow", "audit": "required"},
            {"name": "ask", "match": {"groups": ["dev"], "paths": ["/risky/**"]}, "effect": "approve",
             "approve": {"by": ["sre"], "hold": "10s"}, "reason": "Risky."},
            {"name": "ask-durable", "match": {"groups": ["dev"], "paths": ["/both/**"]},
             "effect": "approve", "approve": {"by": ["sre"], "hold": "10s"}, "audit": "required"}
        ],
        "masking": [{"name": "secrets", "detectors": ["secrets/github-pat"], "connections": ["api"],
                     "on": ["request", "response"], "action": "mask"},
                    {"name": "no-pat", "detectors": ["secrets/github-pat"], "connections": ["blocking"],
                     "on": ["request", "response"], "action": "block"},
                    {"name": "back", "detectors": ["secrets/github-pat", "secrets/private-key"], "connections": ["restoring"],
                     "on": ["request"], "action": "mask", "restore": true},
                    {"name": "seen", "detectors": ["secrets/github-pat"], "connections": ["reporting"],
                     "on": ["request", "response"], "action": "report"}]
    })
}

/// A plugin configuration with a starting bundle.
pub(super) fn configuration(profile: &str) -> Vec<u8> {
    let signer = Signer::from_seed(&[9; 32]);
    let jwks = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k",
        "x": URL_SAFE_NO_PAD.encode(agent_key().verifying_key().as_bytes())}]});
    let bundle = Bundle {
        serial: Serial {
            policy_version: 1,
            keys_revision: 0,
        },
        previous: None,
        issued_at: UnixMillis(NOW),
        policy: serde_json::from_value(policy()).unwrap(),
        keys: [(ISSUER.to_owned(), jwks)].into(),
    };
    json!({
        "control_plane": {"cluster": "chaperone", "timeout_ms": 1000},
        "node_token": "node-token-EXAMPLE-0123456789abcdef",
        "public_key": signer.public_key().to_base64(),
        "fingerprint_key": STANDARD.encode([1; 32]),
        "bundle": signer.seal(&bundle).unwrap(),
        "profile": profile,
    })
    .to_string()
    .into_bytes()
}

/// What a detector finds; put together so that no scanner takes it for a real one.
pub(super) fn secret() -> String {
    ["ghp_", "A1b2C3d4E5f6G7h8I9", "j0K1l2M3n4O5p6Q7r8"].concat()
}
