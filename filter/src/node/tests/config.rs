use chaperone_engine::audit::OnAuditFull;
use serde_json::{Value, json};

use super::super::config::{Config, ConfigError, Profile};
use super::{TOKEN, plugin_configuration, sealed, signer};

fn document() -> Value {
    plugin_configuration(&signer().public_key())
}

fn parse(document: &Value) -> Result<Config, ConfigError> {
    Config::parse(&serde_json::to_vec(document).unwrap())
}

#[test]
fn a_short_configuration_gets_the_defaults_that_the_reference_names() {
    let config = parse(&json!({
        "control_plane": { "cluster": "chaperone" },
        "node_token": TOKEN,
        "public_key": signer().public_key().to_base64(),
        "fingerprint_key": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
    }))
    .unwrap();
    assert_eq!(
        config.control_plane.authority, "chaperone",
        "the cluster's name"
    );
    assert_eq!(config.control_plane.timeout_ms, 2_000);
    assert_eq!(config.profile, Profile::Headers);
    assert!(!config.connection_from_route);
    assert_eq!(config.on_audit_full, OnAuditFull::Block);
    assert_eq!(config.fingerprint_key.expose(), &[b'A'; 32]);
    // The reference for people lists every limit with its default and its bounds.
    let reference = include_str!("../../../../docs/filter.md");
    let limits = config.limits;
    for (name, default) in [
        ("timeout_ms", config.control_plane.timeout_ms),
        ("audit_queue_bytes", limits.audit_queue_bytes as u64),
        ("batch_bytes", limits.batch_bytes as u64),
        ("batch_events", limits.batch_events as u64),
        ("flush_ms", limits.flush_ms),
        ("token_cache_entries", limits.token_cache_entries as u64),
        ("hold_streams", limits.hold_streams as u64),
        ("body_bytes", limits.body_bytes as u64),
        ("body_wait_ms", limits.body_wait_ms),
        ("expanded_bytes", limits.expanded_bytes as u64),
        ("record_body_bytes", limits.record_body_bytes as u64),
        ("preview_bytes", limits.preview_bytes as u64),
    ] {
        let row = reference
            .lines()
            .find(|line| line.contains(&format!(".{name}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/filter.md has no row for {name}"));
        assert!(
            row.contains(&format!("| {default} |")),
            "docs/filter.md: {row}"
        );
    }
}

#[test]
fn every_mistake_is_answered_with_its_place_and_what_was_expected() {
    let changes: &[(&str, Value, &str, &str)] = &[
        (
            "/control_plane",
            json!("chaperone"),
            "control_plane",
            "a JSON object",
        ),
        (
            "/control_plane/cluster",
            json!(""),
            "control_plane.cluster",
            "a string of 1 to 255",
        ),
        (
            "/control_plane/timeout_ms",
            json!(0),
            "control_plane.timeout_ms",
            "from 100 to 30000",
        ),
        (
            "/control_plane/timeout_ms",
            json!(0.5),
            "control_plane.timeout_ms",
            "a whole number",
        ),
        ("/node_token", json!(7), "node_token", "a string of 16"),
        (
            "/node_token",
            json!("a token with\r\nx: y in it"),
            "node_token",
            "visible ASCII",
        ),
        (
            "/public_key",
            json!("QUFB"),
            "public_key",
            "32-byte Ed25519",
        ),
        (
            "/fingerprint_key",
            json!("QUFB"),
            "fingerprint_key",
            "base64 of 32 bytes",
        ),
        (
            "/profile",
            json!("bodies"),
            "profile",
            "\"headers\" or \"body\"",
        ),
        (
            "/connection_from_route",
            json!("yes"),
            "connection_from_route",
            "true or false",
        ),
        (
            "/approval_url",
            json!("https://a.example/"),
            "approval_url",
            "{approval}",
        ),
        (
            "/approval_url",
            json!("javascript:{approval}"),
            "approval_url",
            "http",
        ),
        (
            "/on_audit_full",
            json!("pass"),
            "on_audit_full",
            "\"block\" or \"drop\"",
        ),
        (
            "/limits/flush_ms",
            json!(-1),
            "limits.flush_ms",
            "from 1 to 10000",
        ),
        (
            "/limits/flush",
            json!(5),
            "limits.flush",
            "no such setting; known here are audit_queue",
        ),
        ("/nodetoken", json!(TOKEN), "nodetoken", "no such setting"),
        ("/bundle", json!({}), "bundle", "a signed bundle"),
        (
            "/bundle",
            json!(sealed(&super::Signer::from_seed(&[8; 32]), 1)),
            "bundle",
            "no signature",
        ),
    ];
    for (pointer, value, place, expected) in changes {
        let mut document = document();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[name] = value.clone();
        let error = parse(&document).unwrap_err();
        assert_eq!(error.place, *place);
        assert!(error.expected.contains(expected), "{pointer}: {error}");
    }
    for name in [
        "control_plane",
        "node_token",
        "public_key",
        "fingerprint_key",
    ] {
        let mut document = document();
        document.as_object_mut().unwrap().remove(name);
        let error = parse(&document).unwrap_err();
        assert_eq!(
            (error.place.as_str(), error.expected.as_str()),
            (name, "this setting is required")
        );
    }
}

#[test]
fn one_or_two_keys_are_pinned_in_one_of_two_ways() {
    let [old, new, third] = [[7; 32], [8; 32], [9; 32]].map(|seed| {
        let key = super::Signer::from_seed(&seed).public_key();
        (key.id(), key.to_base64())
    });
    let with = |one: Value, several: Value| {
        let mut document = document();
        document["public_key"] = one;
        document["public_keys"] = several;
        parse(&document)
            .map(|config| config.pinned.ids())
            .map_err(|error| (error.place, error.expected))
    };
    let ids = |keys: &[&(String, String)]| Ok(keys.iter().map(|key| key.0.clone()).collect());
    assert_eq!(with(json!(old.1), Value::Null), ids(&[&old]));
    assert_eq!(with(Value::Null, json!([old.1])), ids(&[&old]));
    assert_eq!(with(Value::Null, json!([old.1, new.1])), ids(&[&old, &new]));
    for (one, several, place, expected) in [
        (json!(old.1), json!([new.1]), "public_keys", "found both"),
        (
            Value::Null,
            json!([]),
            "public_keys",
            "one public key, or two",
        ),
        (
            Value::Null,
            json!([old.1, new.1, third.1]),
            "public_keys",
            "one public key, or two",
        ),
        (Value::Null, json!([old.1, old.1]), "public_keys", "twice"),
        (
            Value::Null,
            json!(old.1),
            "public_keys",
            "a list of strings",
        ),
        (Value::Null, json!([old.1, 7]), "public_keys[1]", "a string"),
        (Value::Null, json!([TOKEN]), "public_keys[0]", "32-byte"),
        (Value::Null, Value::Null, "public_key", "required"),
    ] {
        let (at, why) = with(one, several).unwrap_err();
        assert_eq!(at, place);
        assert!(why.contains(expected) && !why.contains(TOKEN), "{why}");
    }
}

#[test]
fn what_is_not_json_is_refused_with_its_line() {
    assert!(
        Config::parse(b" \n")
            .unwrap_err()
            .to_string()
            .contains("found nothing")
    );
    let error = Config::parse(b"{\n \"node_token\": EXAMPLE }").unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
    assert!(
        Config::parse(b"[]")
            .unwrap_err()
            .to_string()
            .contains("a JSON object")
    );
}

#[test]
fn neither_an_error_nor_debug_output_shows_a_secret() {
    let shown = format!("{:?}", parse(&document()).unwrap());
    assert!(
        !shown.contains(TOKEN) && !shown.contains("QUFB") && !shown.contains("65, 65"),
        "{shown}"
    );
    // The token in every place where it could end up by mistake.
    for pointer in [
        "profile",
        "on_audit_full",
        "public_key",
        "public_keys",
        "fingerprint_key",
        "limits",
        "bundle",
    ] {
        let mut document = document();
        document[pointer] = json!(TOKEN);
        if pointer == "public_keys" {
            document["public_key"] = Value::Null;
        }
        let error = parse(&document).unwrap_err().to_string();
        assert!(!error.contains(TOKEN), "{error}");
    }
}

#[test]
fn numbers_and_nulls_are_read_as_protobuf_writes_them() {
    let mut document = document();
    document["limits"]["flush_ms"] = json!(50.0);
    document["approval_url"] = Value::Null;
    let config = parse(&document).unwrap();
    assert_eq!(config.limits.flush_ms, 50);
    assert_eq!(config.approval_url, None);
}

#[test]
fn an_approval_id_cannot_break_out_of_the_address_it_is_put_into() {
    let mut document = document();
    document["approval_url"] = json!("https://chaperone.example/approvals/{approval}");
    let url = parse(&document).unwrap().approval_url.unwrap();
    assert_eq!(url.of("a-1"), "https://chaperone.example/approvals/a-1");
    assert_eq!(
        url.of("../x?\"é"),
        "https://chaperone.example/approvals/..%2Fx%3F%22%C3%A9"
    );
}
