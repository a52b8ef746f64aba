//! Calls of a filter that is newer than this control plane. An event that is not understood is
//! still an event: its batch is taken, or the node would send the batch for ever.

use chaperone_engine::audit::RecordId;
use chaperone_engine::link::NodeId;
use serde_json::{Value, json};

use crate::kit::{self, POLICY, Server, node, record};

fn batch(node: &NodeId, events: &[Value]) -> Value {
    json!({ "node": node, "dropped": 0, "events": events })
}

fn event(node: &NodeId, seq: u64, more: Value) -> Value {
    let mut event =
        json!({ "seq": seq, "record": RecordId::new(&node.boot, 1), "at": 1_000_000 + seq });
    let members = event.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    event
}

/// A record that went through, with one event more after its verdict.
fn with_one_more(node: &NodeId, more: Value) -> Vec<Value> {
    let mut events: Vec<Value> = record(node, 1, 1, "alice", "/v1/models")
        .iter()
        .map(|event| json!(event))
        .collect();
    events.insert(2, event(node, 3, more));
    for (seq, event) in (1..).zip(&mut events) {
        event["seq"] = json!(seq);
    }
    events
}

async fn shown(server: &Server, node: &NodeId) -> Value {
    let id = RecordId::new(&node.boot, 1);
    server.get(&format!("/api/v1/records/{id}")).await.ok()
}

#[tokio::test]
async fn a_stage_that_is_not_known_is_stored_as_it_came_acknowledged_and_shown() {
    let (server, _temp) = kit::start().await;
    let node = node("envoy-1", 1);
    let more =
        json!({ "stage": "scanned", "verdict": { "by": ["x", 7, null] }, "note": "a\u{1b}b" });
    let events = with_one_more(&node, more);
    for _ in 0..2 {
        let answer = server.data("/node/v1/events", batch(&node, &events)).await;
        assert_eq!(answer.ok(), json!({ "acknowledged": 5 }));
    }
    let detail = shown(&server, &node).await;
    let stored = detail["events"].as_array().unwrap().iter();
    assert_eq!(
        stored.map(|one| &one["event"]).collect::<Vec<_>>(),
        events.iter().collect::<Vec<_>>()
    );
    assert_eq!(
        (
            &detail["state"],
            &detail["subject"],
            &detail["effect"],
            &detail["total_ms"]
        ),
        (
            &json!("completed"),
            &json!("alice"),
            &json!("allow"),
            &json!(9)
        ),
        "the record adds up to what it would without"
    );
    let metrics = server.get("/metrics").await.text;
    assert!(
        metrics.contains("chaperone_events_unknown_total 1\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn an_event_comes_back_to_the_last_byte() {
    let (server, _temp) = kit::start().await;
    let node = node("envoy-1", 1);
    let id = RecordId::new(&node.boot, 1);
    let sent = format!(
        "{{ \"at\":7, \"stage\":\"scanned\",\"seq\":1,\"n\":1.0e2, \"record\":\"{id}\",\"big\":123456789012345678901234567890 }}"
    );
    let head = json!({ "node": node, "dropped": 0 }).to_string();
    let head = head.strip_suffix('}').unwrap();
    let body = format!("{head},\"events\":[{sent}]}}");
    let answer = server.call("POST", "/node/v1/events", Some(&server.node), Some(body));
    answer.await.ok();
    let shown = server.get(&format!("/api/v1/records/{id}")).await;
    assert!(shown.text.contains(&sent), "{}", shown.text);
}

#[tokio::test]
async fn nothing_that_an_event_says_has_to_be_a_value_that_can_be_built_here() {
    let (server, _temp) = kit::start().await;
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let values = ["1e999", r#""\ud800""#, deep.as_str()];
    let stages = ["scanned", "forwarded"];
    let cases = values.map(|value| stages.map(|stage| (stage, value)));
    for (boot, (stage, value)) in (1..).zip(cases.into_iter().flatten()) {
        let node = node("envoy-1", boot);
        let id = RecordId::new(&node.boot, 1);
        let sent = format!(r#"{{"seq":1,"record":"{id}","at":7,"stage":"{stage}","x":{value}}}"#);
        let head = json!({ "node": node, "dropped": 0 }).to_string();
        let head = head.strip_suffix('}').unwrap();
        let body = format!("{head},\"events\":[{sent}]}}");
        let answer = server.call("POST", "/node/v1/events", Some(&server.node), Some(body));
        assert_eq!(answer.await.ok(), json!({ "acknowledged": 1 }), "{sent}");
        let shown = server.get(&format!("/api/v1/records/{id}")).await;
        assert!(shown.text.contains(&sent), "{}", shown.text);
    }
}

#[tokio::test]
async fn a_known_stage_with_something_unreadable_in_it_is_taken_too_and_ends_its_record() {
    let (server, _temp) = kit::start().await;
    let unreadable = [
        (
            json!({ "stage": "decided", "effect": "shadow", "reason": "r" }),
            "open",
        ),
        (
            json!({ "stage": "chunk", "direction": "sideways", "body": { "text": "x" } }),
            "open",
        ),
        (
            json!({ "stage": "chunk", "direction": "request", "body": { "hex": "00" } }),
            "open",
        ),
        (
            json!({ "stage": "aborted", "cause": "weather", "total_ms": 3 }),
            "aborted",
        ),
        (json!({ "stage": "completed", "status": "ok" }), "completed"),
    ];
    for (boot, (more, state)) in (1..).zip(unreadable) {
        let node = node("envoy-1", boot);
        let events = [event(&node, 1, more)];
        let answer = server.data("/node/v1/events", batch(&node, &events)).await;
        assert_eq!(answer.ok(), json!({ "acknowledged": 1 }));
        let detail = shown(&server, &node).await;
        assert_eq!(detail["events"][0]["event"], events[0]);
        assert_eq!(
            (&detail["state"], &detail["received_at"]),
            (&json!(state), &json!(1_000_001))
        );
        let ended = (state != "open").then(|| json!(1_000_001));
        assert_eq!(detail.get("ended_at"), ended.as_ref());
    }
}

#[tokio::test]
async fn members_that_are_not_known_are_kept_and_disturb_nothing() {
    let (server, _temp) = kit::start().await;
    let node = node("envoy-1", 1);
    let mut events: Vec<Value> = record(&node, 1, 1, "alice", "/v1/models")
        .iter()
        .map(|event| json!(event))
        .collect();
    for event in &mut events {
        event["later"] = json!({ "x": [1] });
    }
    events[0]["request"]["scheme"] = json!("https");
    events[0]["principal"]["department"] = json!("ops");
    events[0]["operation"]["risk"] = json!(3);
    let mut body = batch(&node, &events);
    body["later"] = json!(1);
    body["node"]["zone"] = json!("eu-1");
    server.data("/node/v1/events", body).await.ok();
    let detail = shown(&server, &node).await;
    let stored = detail["events"].as_array().unwrap().iter();
    assert_eq!(
        stored.map(|one| &one["event"]).collect::<Vec<_>>(),
        events.iter().collect::<Vec<_>>()
    );
    assert_eq!(
        (&detail["state"], &detail["subject"], &detail["operation"]),
        (
            &json!("completed"),
            &json!("alice"),
            &json!("GET /v1/models")
        )
    );
    let metrics = server.get("/metrics").await.text;
    assert!(
        metrics.contains("chaperone_events_unknown_total 0\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn the_tail_shows_a_record_that_got_an_event_of_a_kind_that_is_not_known() {
    let (server, _temp) = kit::start().await;
    let node = node("envoy-1", 1);
    let mut tail = server.stream("/api/v1/records/tail").await.begun().await;
    let scanned = event(&node, 1, json!({ "stage": "scanned" }));
    server
        .data("/node/v1/events", batch(&node, &[scanned]))
        .await
        .ok();
    let (name, record) = tail.next().await.unwrap();
    assert_eq!(
        (name.as_str(), &record["state"]),
        ("record", &json!("open"))
    );
    assert_eq!(record["id"], RecordId::new(&node.boot, 1).0);
}

#[tokio::test]
async fn what_has_no_number_record_time_or_stage_is_refused_with_its_batch() {
    let (server, _temp) = kit::start().await;
    let node = node("envoy-1", 1);
    let good = event(&node, 1, json!({ "stage": "scanned" }));
    for member in ["seq", "record", "at", "stage"] {
        for wrong in [None, Some(json!({})), Some(json!(-1))] {
            let mut second = event(&node, 2, json!({ "stage": "scanned" }));
            match wrong {
                None => drop(second.as_object_mut().unwrap().remove(member)),
                Some(wrong) => second[member] = wrong,
            }
            let answer = server.data("/node/v1/events", batch(&node, &[good.clone(), second]));
            answer.await.problem(400, "invalid_body");
        }
    }
    let mut foreign = event(&node, 1, json!({ "stage": "scanned" }));
    foreign["record"] = json!(RecordId::new(&kit::node("x", 2).boot, 1));
    let answer = server
        .data("/node/v1/events", batch(&node, &[foreign]))
        .await;
    answer.problem(400, "invalid_body");
    assert_eq!(server.get("/api/v1/nodes").await.ok()["items"], json!([]));
}

fn question(node: &NodeId) -> Value {
    json!({
        "node": node, "record": RecordId::new(&node.boot, 1), "digest": "d".repeat(64), "policy_version": 1,
        "rule": "writes", "reason": "Writes need an SRE.",
        "terms": { "by": ["sre"], "count": 1, "hold": "60s", "expires": "1h", "grant": "once" },
        "principal": { "issuer": "https://issuer.example.com", "subject": "alice", "groups": [] },
        "connection": "api", "operation": { "action": "POST /x" },
        "request": { "method": "POST", "host": "api.example.com", "path": "/x" },
        "body": { "content": { "text": "x" }, "total_bytes": 1, "truncated": false },
    })
}

#[tokio::test]
async fn a_question_with_members_that_are_not_known_is_asked_and_new_attributes_are_shown() {
    let (server, _temp) = kit::start().await;
    let node = node("envoy-1", 1);
    let mut ask = question(&node);
    for place in ["", "/node", "/principal", "/operation", "/request", "/body"] {
        ask.pointer_mut(place).unwrap()["later"] = json!({ "x": 1 });
    }
    ask["operation"]["attributes"] = json!({ "blast_radius": "7" });
    let answer = server.data("/node/v1/approvals/ask", ask).await.ok();
    assert_eq!(answer["answer"], "pending");
    let id = answer["approval"].as_str().unwrap();
    let shown = server.get(&format!("/api/v1/approvals/{id}")).await.ok();
    assert_eq!(
        shown["operation"]["attributes"],
        json!({ "blast_radius": "7" })
    );

    let watch = json!({ "node": node, "approvals": [id], "wait_ms": 0, "later": [1] });
    let answer = server.data("/node/v1/approvals/watch", watch).await.ok();
    assert_eq!(answer, json!({ "decided": [] }));
}

#[tokio::test]
async fn a_question_is_refused_when_approvers_would_not_see_all_of_it_or_its_terms_would_not_be_kept()
 {
    let (server, _temp) = kit::start().await;
    let node = node("envoy-1", 1);
    for (place, member, value) in [
        ("/body", "content", json!({ "hex": "00" })),
        ("/terms", "grant", json!("per-session")),
        ("/terms", "not_before", json!("1h")),
    ] {
        let mut ask = question(&node);
        ask.pointer_mut(place).unwrap()[member] = value;
        let answer = server.data("/node/v1/approvals/ask", ask).await;
        answer.problem(400, "invalid_body");
    }
    assert_eq!(
        server.get("/api/v1/approvals").await.ok()["items"],
        json!([])
    );
}

#[tokio::test]
async fn a_poll_with_members_that_are_not_known_gets_its_policy() {
    let (server, _temp) = kit::start().await;
    server.publish(POLICY).await.ok();
    let poll = json!({
        "node": { "name": "envoy-1", "boot": node("", 1).boot, "zone": "eu-1" }, "filter_version": "9.0.0",
        "enforced": { "policy_version": 0, "keys_revision": 0, "later": 1 },
        "unknown_keys": [{ "issuer": "https://issuer.example.com", "kid": "k", "later": 1 }],
        "wait_ms": 0, "later": {},
    });
    let answer = server.data("/node/v1/policy", poll).await.ok();
    assert!(answer["bundle"].is_object(), "{answer}");
    assert_eq!(
        server.get("/api/v1/nodes").await.ok()["items"][0]["filter_version"],
        "9.0.0"
    );
}
