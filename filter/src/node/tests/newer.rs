//! Answers of a control plane that is newer than this filter. Further members change nothing. A
//! verdict or a bundle that is not understood has the strict outcome.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chaperone_engine::bundle::PAYLOAD_TYPE;
use chaperone_engine::link::{ASK_PATH, AskRequest, EVENTS_PATH, WATCH_PATH};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

use super::super::Wake;
use super::{Envoy, Worker, body, sealed, signer};
use crate::host::{ContextId, Host as _};

const A: ContextId = ContextId(40);
const B: ContextId = ContextId(41);

fn ask(worker: &mut Worker) {
    let request: AskRequest = serde_json::from_value(json!({
        "node": worker.node.identity(), "record": "r-1", "digest": "d".repeat(64), "policy_version": 1,
        "rule": "r", "reason": "Ask.",
        "terms": { "by": ["sre"], "count": 1, "hold": "60s", "expires": "1h", "grant": "once" },
        "principal": { "issuer": "https://idp.example", "subject": "alice", "groups": [] },
        "connection": "arm", "operation": { "action": "DELETE /x" },
        "request": { "method": "DELETE", "host": "arm.example", "path": "/x" },
    }))
    .unwrap();
    worker.node.ask(&worker.host, A, &request);
    worker.tick();
}

fn wait(worker: &mut Worker, stream: ContextId, approval: &str) {
    let until = worker.host.now().saturating_add(60_000);
    worker
        .node
        .wait(&worker.host, stream, approval, until)
        .unwrap();
}

fn answer(worker: &mut Worker, path: &str, answer: &Value) {
    let call = worker.calls(path).remove(0);
    worker.answer(&call, answer);
}

fn standing(standing: &str) -> Value {
    json!({ "approval": "a-1", "answer": standing, "expires_at": 2_000_000, "later": { "x": 1 } })
}

#[test]
fn members_that_are_not_known_are_ignored_in_every_answer() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    let worker = &mut envoy.workers[0];
    let poll = worker.polls().remove(0);
    worker.answer(
        &poll,
        &json!({ "bundle": sealed(&signer(), 1), "later": [1] }),
    );
    assert_eq!(worker.enforced(), Some(1));
    let report = worker.reports().remove(0);
    worker.answer(&report, &json!({ "later": 1 }));
    assert_eq!(worker.metric("polls_failed"), 0);

    ask(worker);
    answer(worker, ASK_PATH, &standing("granted"));
    assert!(matches!(worker.wakes()[..], [(A, Wake::Answer(_))]));

    wait(worker, A, "a-1");
    worker.tick();
    let decided =
        json!({ "decided": [{ "approval": "a-1", "state": "denied", "by": "bob" }], "later": 1 });
    answer(worker, WATCH_PATH, &decided);
    assert_eq!(worker.wakes(), [(A, Wake::Changed)]);

    worker.record();
    envoy.run(50);
    let worker = &mut envoy.workers[0];
    answer(
        worker,
        EVENTS_PATH,
        &json!({ "acknowledged": 1, "later": {} }),
    );
    assert_eq!(worker.metric("events_acknowledged"), 1);
}

#[test]
fn a_standing_that_is_not_known_is_no_answer_and_never_a_pass() {
    let mut envoy = Envoy::new(1);
    let worker = &mut envoy.workers[0];
    ask(worker);
    for _ in 0..2 {
        assert_eq!(worker.wakes(), []);
        answer(worker, ASK_PATH, &standing("granted_with_conditions"));
        worker.tick();
    }
    assert_eq!(worker.wakes(), [(A, Wake::AskUnavailable)]);
}

#[test]
fn a_watched_state_that_is_not_known_wakes_its_stream_to_ask_and_keeps_nobody_else_waiting() {
    let mut envoy = Envoy::new(1);
    let worker = &mut envoy.workers[0];
    wait(worker, A, "a-1");
    wait(worker, B, "b-1");
    worker.tick();
    let decided = json!({ "decided": [
        { "approval": "a-1", "state": "half_approved" }, { "approval": "b-1", "state": "approved" },
    ] });
    answer(worker, WATCH_PATH, &decided);
    assert_eq!(worker.wakes(), [(A, Wake::Changed), (B, Wake::Changed)]);
    assert_eq!(worker.metric("watches_failed"), 0);
}

#[test]
fn a_state_that_is_not_known_is_not_watched_in_a_tight_loop() {
    let mut envoy = Envoy::new(1);
    let mut watches = 0;
    for _ in 0..100 {
        let worker = &mut envoy.workers[0];
        wait(worker, A, "a-1");
        worker.tick();
        for call in worker.calls(WATCH_PATH) {
            watches += 1;
            let decided = json!({ "decided": [{ "approval": "a-1", "state": "half_approved" }] });
            worker.answer(&call, &decided);
        }
        worker.wakes();
        envoy.pass(1);
    }
    assert!(
        (2..=4).contains(&watches),
        "{watches} watches in a tenth of a second"
    );
}

/// A bundle of a later version, signed as bundles are.
fn later(change: impl Fn(&mut Value)) -> Value {
    let genuine = sealed(&signer(), 2);
    let payload = STANDARD.decode(&genuine.payload).unwrap();
    let mut content: Value = serde_json::from_slice(&payload).unwrap();
    change(&mut content);
    let payload = content.to_string();
    let message = format!(
        "DSSEv1 {} {PAYLOAD_TYPE} {} {payload}",
        PAYLOAD_TYPE.len(),
        payload.len()
    );
    let signature = SigningKey::from_bytes(&[7; 32]).sign(message.as_bytes());
    json!({
        "payloadType": PAYLOAD_TYPE, "payload": STANDARD.encode(&payload),
        "signatures": [{ "keyid": "", "sig": STANDARD.encode(signature.to_bytes()) }],
    })
}

#[test]
fn a_bundle_with_anything_in_it_that_is_not_known_is_refused_and_the_policy_in_force_stays() {
    type Change = fn(&mut Value);
    let changes: [Change; 4] = [
        |content| content["later"] = json!(1),
        |content| content["serial"]["later"] = json!(1),
        |content| content["policy"]["later"] = json!([]),
        |content| {
            content["policy"]["rules"] =
                json!([{ "name": "r", "match": { "any": true }, "effect": "shadow" }]);
        },
    ];
    for change in changes {
        let mut envoy = Envoy::new(1);
        envoy.tick();
        let poll = envoy.workers[0].polls().remove(0);
        envoy.workers[0].answer(&poll, &json!({ "bundle": sealed(&signer(), 1) }));
        envoy.run(25);
        let poll = envoy.workers[0].polls().remove(0);
        envoy.workers[0].answer(&poll, &json!({ "bundle": later(change) }));
        assert_eq!(envoy.workers[0].enforced(), Some(1));
        envoy.run(2_000);
        let poll = envoy.workers[0].polls().remove(0);
        let refused = body(&poll)["refused"].as_str().unwrap().to_owned();
        assert!(
            refused.contains("older than the control plane"),
            "{refused}"
        );
        // The next one that can be read is taken, and the complaint is over.
        envoy.workers[0].answer(&poll, &json!({ "bundle": later(|_| {}) }));
        assert_eq!(envoy.workers[0].enforced(), Some(2));
        envoy.run(25);
        let poll = envoy.workers[0].polls().remove(0);
        assert!(body(&poll).get("refused").is_none());
    }
}

#[test]
fn every_poll_says_which_revision_of_the_policy_language_is_read() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    for call in [envoy.workers[0].polls(), envoy.workers[0].reports()].concat() {
        assert_eq!(body(&call)["reads"], chaperone_engine::policy::REVISION);
    }
}
