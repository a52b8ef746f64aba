//! Changing the key that policy is signed with: in an order in which no node is ever without a key
//! for what it is sent.

use chaperone_engine::bundle::{self, Bundle, BundleError, PinnedKeys, PublicKey};
use chaperone_engine::policy::REVISION;
use serde_json::{Value, json};

use crate::kit::{self, Answer, POLICY, Server, node};

const KEYS: &str = "/api/v1/signing-keys";
const NEXT: &str = "/api/v1/signing-keys/next";
const SWITCH: &str = "/api/v1/signing-keys/switch";
const CODE: &str = "unpinned_by_nodes";

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// A node says what it enforces and which keys it pins, if it says so, and gets what it is sent.
async fn report(server: &Server, boot: u128, pins: Option<&[&str]>) -> Value {
    let mut body = json!({
        "node": node("envoy", boot), "filter_version": "0.1.0", "wait_ms": 0, "reads": REVISION,
    });
    if let Some(pins) = pins {
        body["pins"] = json!(pins);
    }
    server.data("/node/v1/policy", body).await.ok()
}

fn open(answer: &Value, keys: &[&Value]) -> Result<Bundle, BundleError> {
    let keys = keys
        .iter()
        .map(|key| PublicKey::from_base64(text(&key["public_key"])).unwrap());
    let pinned = PinnedKeys::new(keys.collect()).unwrap();
    bundle::open(answer["bundle"].to_string().as_bytes(), &pinned)
}

async fn switch(server: &Server, key: &Value, allow: bool) -> Answer {
    let body = json!({ "key": key["id"], "allow_unpinned": allow });
    server.post(SWITCH, body).await
}

/// Makes the next key, and answers with both.
async fn prepared(server: &Server) -> (Value, Value) {
    let keys = server.post(NEXT, json!({})).await.ok();
    (keys["current"].clone(), keys["next"].clone())
}

#[tokio::test]
async fn the_next_key_signs_once_every_live_node_pins_it_and_every_node_takes_what_it_is_sent() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let server = kit::start_in(&dir, Vec::new()).await;
    server.publish(POLICY).await.ok();
    let before = server.get(KEYS).await.ok();
    assert_eq!(before.get("next"), None);
    let (old, new) = prepared(&server).await;
    assert_eq!(before["current"], old);
    assert_ne!(old["public_key"], new["public_key"]);
    // Nothing is signed with it yet.
    let answer = report(&server, 1, Some(&[text(&old["id"])])).await;
    assert!(open(&answer, &[&old]).is_ok());
    // And asking again makes no other one.
    let again = server.post(NEXT, json!({})).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.json()["next"]["public_key"], new["public_key"]);

    // What a filter is to be configured with.
    let config = server.get("/api/v1/filter-config").await.ok();
    assert_eq!(config.get("public_key"), None);
    let both = json!([old["public_key"], new["public_key"]]);
    assert_eq!(config["public_keys"], both);

    // One node pins both, one only the old key, and one is older and does not say.
    let (old_id, new_id) = (text(&old["id"]), text(&new["id"]));
    report(&server, 2, Some(&[old_id, new_id])).await;
    report(&server, 3, None).await;
    let refused = switch(&server, &new, false).await.problem(409, CODE);
    let named: Vec<_> = [1, 3].map(|boot| json!(node("envoy", boot).boot)).into();
    let boots = |nodes: &Value| {
        let nodes = nodes.as_array().unwrap().iter();
        let mut boots: Vec<Value> = nodes.map(|node| node["boot"].clone()).collect();
        boots.sort_by_key(ToString::to_string);
        boots
    };
    assert_eq!(boots(&refused["nodes"]), named);
    let shown = server.get(KEYS).await.ok();
    assert_eq!(boots(&shown["next"]["unpinned_by"]), named);
    assert_eq!(shown["current"], old);
    let answer = report(&server, 3, None).await;
    assert_eq!(open(&answer, &[&old]).unwrap().serial.keys_revision, 0);

    for boot in [1, 3] {
        report(&server, boot, Some(&[new_id, old_id])).await;
    }
    let switched = switch(&server, &new, false).await.ok();
    assert_eq!(switched["current"]["public_key"], new["public_key"]);
    assert_eq!(switched.get("next"), None);
    // The policy in force at once, under a higher number, and what is published later.
    let answer = report(&server, 1, Some(&[new_id, old_id])).await;
    let bundle = open(&answer, &[&old, &new]).unwrap();
    let serial = (bundle.serial.policy_version, bundle.serial.keys_revision);
    assert_eq!(serial, (1, 1));
    assert_eq!(open(&answer, &[&old]), Err(BundleError::NotSigned));
    let changed = POLICY.replace("Writes need an SRE.", "Ask.");
    server.publish(&changed).await.ok();
    let answer = report(&server, 1, Some(&[new_id])).await;
    assert_eq!(open(&answer, &[&new]).unwrap().serial.policy_version, 2);
    // Whoever stops to pin the key that signs is seen, and whoever asks twice does nothing twice.
    report(&server, 2, Some(&[old_id])).await;
    let again = switch(&server, &new, false).await.ok();
    assert_eq!(
        boots(&again["current"]["unpinned_by"]),
        [json!(node("envoy", 2).boot)]
    );
    let config = server.get("/api/v1/filter-config").await.ok();
    assert_eq!(config["public_key"], new["public_key"]);
    assert_eq!(config.get("public_keys"), None);
    let bundle = report(&server, 9, None).await;
    server.stop().await;

    // It lasts, and the old key is kept for whoever has to go back.
    assert!(dir.join("signing.previous.key").exists());
    assert!(!dir.join("signing.next.key").exists());
    let server = kit::start_in(&dir, Vec::new()).await;
    assert_eq!(
        report(&server, 9, None).await,
        bundle,
        "the very same bundle"
    );
    let shown = server.get(KEYS).await.ok();
    assert_eq!(shown["current"]["public_key"], new["public_key"]);
}

#[tokio::test]
async fn a_node_that_has_ended_does_not_hold_a_rotation_up_and_one_may_be_left_behind() {
    let (server, _temp) = kit::start().await;
    server.publish(POLICY).await.ok();
    let (old, new) = prepared(&server).await;
    report(&server, 1, None).await;
    switch(&server, &new, false).await.problem(409, CODE);
    let goodbye = json!({ "node": node("envoy", 1), "dropped": 0, "closing": true, "events": [] });
    server.data("/node/v1/events", goodbye).await.ok();
    // It only sends events: of what it pins nothing is known.
    let events = json!({ "node": node("envoy", 2), "dropped": 0, "events": [] });
    server.data("/node/v1/events", events).await.ok();
    let refused = switch(&server, &new, false).await.problem(409, CODE);
    assert_eq!(refused["nodes"].as_array().unwrap().len(), 1);
    assert!(!text(&refused["detail"]).contains("allow_unpinned"));
    switch(&server, &new, true).await.ok();
    let answer = report(&server, 2, None).await;
    assert_eq!(open(&answer, &[&old]), Err(BundleError::NotSigned));
    assert!(open(&answer, &[&new]).is_ok());
}

#[tokio::test]
async fn only_the_key_that_waits_is_switched_to_and_it_can_be_given_up() {
    let (server, _temp) = kit::start().await;
    let none = json!({ "id": "0123456789abcdef" });
    switch(&server, &none, true).await.problem(404, "not_found");
    let discard = async || server.call("DELETE", NEXT, Some(&server.admin), None).await;
    discard().await.problem(404, "not_found");
    let (_, first) = prepared(&server).await;
    switch(&server, &none, true).await.problem(404, "not_found");
    assert_eq!(discard().await.status, 204);
    switch(&server, &first, true)
        .await
        .problem(404, "not_found");
    let (_, second) = prepared(&server).await;
    assert_ne!(first["id"], second["id"]);
    // Without any policy there is nothing to sign anew.
    switch(&server, &second, false).await.ok();
    server.publish(POLICY).await.ok();
    let answer = report(&server, 1, None).await;
    assert!(open(&answer, &[&second]).is_ok());
}

#[tokio::test]
async fn a_rotation_that_was_prepared_outlives_a_restart_and_its_steps_are_recorded() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let server = kit::start_in(&dir, Vec::new()).await;
    let (old, given_up) = prepared(&server).await;
    let admin = Some(server.admin.clone());
    server.call("DELETE", NEXT, admin.as_deref(), None).await;
    let (_, new) = prepared(&server).await;
    server.stop().await;
    let server = kit::start_in(&dir, Vec::new()).await;
    let keys = server.get(KEYS).await.ok();
    assert_eq!(keys["next"]["public_key"], new["public_key"]);
    switch(&server, &new, false).await.ok();

    let page = server.get("/api/v1/administration?limit=500").await.ok();
    let own = server.get("/api/v1/whoami").await.ok();
    let acts = page["items"].as_array().unwrap().iter().rev();
    let acts = acts.filter(|act| text(&act["act"]).starts_with("signing_key"));
    let acts: Vec<_> = acts
        .map(|act| {
            assert_eq!(act["by"], own["subject"]);
            (
                text(&act["act"]),
                act["object"].clone(),
                act["details"].clone(),
            )
        })
        .collect();
    let details = json!({ "before": old["id"], "unpinned_by_nodes": "0" });
    assert_eq!(
        acts,
        [
            ("signing_key_prepared", given_up["id"].clone(), Value::Null),
            ("signing_key_discarded", given_up["id"].clone(), Value::Null),
            ("signing_key_prepared", new["id"].clone(), Value::Null),
            ("signing_key_switched", new["id"].clone(), details),
        ]
    );
    for name in ["signing.key", "signing.previous.key"] {
        let secret = std::fs::read_to_string(dir.join(name)).unwrap();
        assert!(!page.to_string().contains(secret.trim()), "{name}");
    }
}

#[tokio::test]
async fn a_key_file_that_cannot_take_its_place_changes_nothing_that_nodes_do_not_take() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let server = kit::start_in(&dir, Vec::new()).await;
    server.publish(POLICY).await.ok();
    let (old, new) = prepared(&server).await;
    // A folder stands where the old key is to be kept.
    let in_the_way = dir.join("signing.previous.key");
    std::fs::create_dir_all(in_the_way.join("x")).unwrap();
    let switched = switch(&server, &new, false).await;
    switched.problem(503, "storage_unavailable");
    let keys = server.get(KEYS).await.ok();
    assert_eq!(keys["current"]["public_key"], old["public_key"]);
    // Whoever signs, nodes pin both: what goes out is taken, and numbers only rise.
    let mut last = (0, 0);
    let mut rises = async |server: &Server, boot: u128| {
        let answer = report(server, boot, None).await;
        let serial = open(&answer, &[&old, &new]).unwrap().serial;
        let serial = (serial.policy_version, serial.keys_revision);
        assert!(serial > last, "{serial:?} after {last:?}");
        last = serial;
    };
    rises(&server, 1).await;
    let changed = POLICY.replace("Writes need an SRE.", "Ask.");
    server.publish(&changed).await.ok();
    rises(&server, 2).await;
    let body = json!({ "node": node("envoy", 1), "dropped": 0, "closing": true, "events": [] });
    server.data("/node/v1/events", body).await.ok();
    let body = json!({ "node": node("envoy", 2), "dropped": 0, "closing": true, "events": [] });
    server.data("/node/v1/events", body).await.ok();
    let switched = switch(&server, &new, false).await;
    switched.problem(503, "storage_unavailable");
    server.stop().await;
    // The last bundle is the new key's, and `signing.key` is the old one.
    let server = kit::start_in(&dir, Vec::new()).await;
    rises(&server, 3).await;
    std::fs::remove_dir_all(in_the_way).unwrap();
    switch(&server, &new, true).await.ok();
    rises(&server, 4).await;
}
