//! Events: each is stored once, what is missing shows, and the records add up.

use chaperone::serve::ServeConfig;
use chaperone_engine::audit::{Event, EventKind, RecordId};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::link::NodeId;
use serde_json::json;

use crate::kit::{self, node, record};

fn forwarded(
    node: &chaperone_engine::link::NodeId,
    seqs: std::ops::RangeInclusive<u64>,
) -> Vec<Event> {
    seqs.map(|seq| Event {
        seq,
        record: RecordId::new(&node.boot, seq),
        at: UnixMillis(seq),
        kind: EventKind::Forwarded {},
    })
    .collect()
}

#[tokio::test]
async fn a_batch_sent_twice_is_stored_once_and_acknowledged_twice() {
    let (server, _temp) = kit::start().await;
    let node = node("envoy-1", 7);
    for _ in 0..3 {
        let answer = server
            .events(&node, &record(&node, 1, 1, "alice", "/v1/models"))
            .await;
        assert_eq!(answer.ok(), json!({ "acknowledged": 4 }));
    }
    let nodes = server.get("/api/v1/nodes").await.ok();
    assert_eq!(nodes["items"][0]["events"], 4);
    assert_eq!(nodes["items"][0]["acknowledged"], 4);
    assert_eq!(nodes["items"][0]["name"], "envoy-1");
    assert!(nodes["items"][0]["gaps"].is_null());
    let id = RecordId::new(&node.boot, 1).0;
    let detail = server.get(&format!("/api/v1/records/{id}")).await.ok();
    assert_eq!(detail["events"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn many_senders_of_the_same_batches_at_once_store_each_event_once() {
    let (server, _temp) = kit::start().await;
    let nodes: Vec<_> = (0..4).map(|n| node("envoy", 100 + n)).collect();
    let batches: Vec<_> = nodes
        .iter()
        .flat_map(|node| {
            let all = forwarded(node, 1..=50);
            (0..3).map(move |_| (node, all.clone()))
        })
        .collect();
    // Of one life two batches may wait; who comes third is refused and sends again, as a node does.
    let send = async |node: &NodeId, events: &[Event]| {
        loop {
            let answer = server.events(node, events).await;
            if answer.status != 503 {
                break answer.ok();
            }
        }
    };
    let sent = batches.iter().map(|(node, events)| send(node, events));
    for answer in futures_util::future::join_all(sent).await {
        assert_eq!(answer["acknowledged"], 50);
    }
    let listed = server.get("/api/v1/nodes").await.ok();
    for node in listed["items"].as_array().unwrap() {
        assert_eq!(node["events"], 50);
    }
    let metrics = server.get("/metrics").await.text;
    assert!(
        metrics.contains("chaperone_events_stored_total 200"),
        "{metrics}"
    );
    assert!(
        metrics.contains("chaperone_events_duplicate_total 400"),
        "{metrics}"
    );
}

#[tokio::test]
async fn what_was_lost_before_a_batch_shows_as_a_gap_and_the_node_is_not_stalled() {
    let (server, _temp) = kit::start().await;
    let node = node("envoy-1", 8);
    assert_eq!(
        server.events(&node, &forwarded(&node, 5..=6)).await.ok()["acknowledged"],
        6
    );
    assert_eq!(
        server.events(&node, &forwarded(&node, 10..=10)).await.ok()["acknowledged"],
        10
    );
    let nodes = server.get("/api/v1/nodes").await.ok();
    let gaps = json!([{ "first": 1, "last": 4 }, { "first": 7, "last": 9 }]);
    assert_eq!(nodes["items"][0]["gaps"], gaps);
    assert_eq!(nodes["items"][0]["events"], 3);
    let metrics = server.get("/metrics").await.text;
    assert!(metrics.contains("chaperone_events_missing 7"), "{metrics}");
    // Should they come after all, they are taken and the gap closes.
    assert_eq!(
        server.events(&node, &forwarded(&node, 7..=9)).await.ok()["acknowledged"],
        10
    );
    let nodes = server.get("/api/v1/nodes").await.ok();
    assert_eq!(
        nodes["items"][0]["gaps"],
        json!([{ "first": 1, "last": 4 }])
    );
}

#[tokio::test]
async fn a_record_adds_up_to_the_same_however_its_events_are_cut_into_batches() {
    let (server, _temp) = kit::start().await;
    let whole = node("envoy-1", 20);
    let cut = node("envoy-2", 21);
    server
        .events(&whole, &record(&whole, 1, 1, "alice", "/v1/models"))
        .await
        .ok();
    for event in record(&cut, 1, 1, "alice", "/v1/models") {
        server.events(&cut, &[event]).await.ok();
    }
    let read = async |node: &chaperone_engine::link::NodeId| {
        let id = RecordId::new(&node.boot, 1).0;
        let mut detail = server.get(&format!("/api/v1/records/{id}")).await.ok();
        for own in ["id", "node", "boot", "position", "events"] {
            detail.as_object_mut().unwrap().remove(own);
        }
        detail
    };
    let expected = json!({
        "state": "completed", "received_at": 1_000_001, "ended_at": 1_000_004,
        "issuer": "https://issuer.example.com", "subject": "alice", "agent": "copilot",
        "session": "session-1", "groups": ["platform", "any"], "connection": "api",
        "operation": "GET /v1/models", "attributes": { "kind": "test" }, "method": "GET",
        "host": "api.example.com", "path": "/v1/models", "query": "a=b", "effect": "allow",
        "rule": "readers", "reason": "Allowed by rule readers.", "policy_version": 3,
        "request_id": "req-1", "status": 200, "decided_ms": 1, "first_byte_ms": 5, "total_ms": 9,
        "request_bytes": 10, "response_bytes": 20, "masked": { "github-pat": 2 },
        "source": "203.0.113.7", "user_agent": "cli/1.0",
        "taken": ["x-forwarded-for"],
    });
    assert_eq!(read(&whole).await, expected);
    assert_eq!(read(&cut).await, expected);
}

#[tokio::test]
async fn records_are_found_by_what_happened_in_them() {
    let (server, _temp) = kit::start().await;
    let node = node("envoy-1", 30);
    server
        .events(&node, &record(&node, 1, 1, "alice", "/v1/models"))
        .await
        .ok();
    server
        .events(&node, &record(&node, 2, 5, "bob", "/v1/chat"))
        .await
        .ok();
    let find = async |query: &str| {
        let page = server.get(&format!("/api/v1/records?{query}")).await.ok();
        let items = page["items"].as_array().unwrap().clone();
        items
            .iter()
            .map(|r| r["subject"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(find("").await, ["bob", "alice"], "newest first");
    for (query, found) in [
        ("subject=alice", vec!["alice"]),
        ("q=CHAT", vec!["bob"]),
        ("q=%25", vec![]),
        (
            "group=platform&connection=api&effect=allow&rule=readers",
            vec!["bob", "alice"],
        ),
        ("group=platfor", vec![]),
        ("since=1000005", vec!["bob"]),
        ("until=1000005", vec!["alice"]),
        (
            "status=200&state=completed&method=GET&policy_version=3",
            vec!["bob", "alice"],
        ),
        (
            "agent=copilot&session=session-1&node=envoy-1",
            vec!["bob", "alice"],
        ),
        ("code=denied", vec![]),
        ("subject=alice%27%20OR%20%271%27=%271", vec![]),
    ] {
        assert_eq!(find(query).await, found, "{query}");
    }
    // Misspelt, it would otherwise find everything.
    server
        .get("/api/v1/records?subjct=alice")
        .await
        .problem(400, "invalid_query");
    server
        .get("/api/v1/records?effect=maybe")
        .await
        .problem(400, "invalid_query");
}

#[tokio::test]
async fn a_tail_shows_records_as_they_change() {
    let (server, _temp) = kit::start().await;
    let node = node("envoy-1", 40);
    let tail = server.stream("/api/v1/records/tail?subject=alice").await;
    let mut tail = tail.begun().await;
    server
        .events(&node, &record(&node, 1, 1, "bob", "/v1/models"))
        .await
        .ok();
    let mut events = record(&node, 2, 5, "alice", "/v1/models");
    let rest = events.split_off(2);
    server.events(&node, &events).await.ok();
    let (name, first) = tail.next().await.unwrap();
    server.events(&node, &rest).await.ok();
    assert_eq!(
        (name.as_str(), first["state"].as_str()),
        ("record", Some("open"))
    );
    let (_, second) = tail.next().await.unwrap();
    assert_eq!(
        (second["state"].as_str(), second["subject"].as_str()),
        (Some("completed"), Some("alice"))
    );
}

#[tokio::test]
async fn a_tail_that_was_cut_off_goes_on_where_it_was_also_after_a_restart() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let server = kit::start_in(&dir, Vec::new()).await;
    let node = node("envoy-1", 42);
    let tail = server.stream("/api/v1/records/tail").await;
    let mut tail = tail.begun().await;
    let first = record(&node, 1, 1, "alice", "/v1/models");
    server.events(&node, &first).await.ok();
    let (_, seen) = tail.next().await.unwrap();
    let position = seen["position"].as_u64().unwrap();
    drop(tail);

    // Records that began earlier, by their node's clock, arrive while nobody follows.
    let (late, mut expected) = (kit::node("envoy-2", 43), Vec::new());
    let mut seq = 1;
    for _ in 0..6 {
        let mut batch = Vec::new();
        for _ in 0..100 {
            let mut events = record(&late, seq, seq, "bob", "/v1/models");
            for event in &mut events {
                event.at = UnixMillis(1);
            }
            seq += events.len() as u64;
            expected.push(events[0].record.0.clone());
            batch.extend(events);
        }
        server.events(&late, &batch).await.ok();
    }
    server.stop().await;
    let server = kit::start_in(&dir, Vec::new()).await;
    let tail = server
        .stream(&format!("/api/v1/records/tail?after={position}"))
        .await;
    let mut tail = tail.begun().await;
    let mut found = Vec::new();
    for _ in &expected {
        found.push(tail.next().await.unwrap().1);
    }
    let ids: Vec<_> = found
        .iter()
        .map(|record| record["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, expected);

    // A search goes on in the same order, a page at a time.
    let path = format!("/api/v1/records?after={position}&subject=bob&limit=500");
    let (mut searched, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("{path}{cursor}")).await.ok();
        searched.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(searched, found);
    let end = found.last().unwrap()["position"].as_u64().unwrap();
    let rest = server
        .get(&format!("/api/v1/records?after={end}"))
        .await
        .ok();
    assert_eq!(rest["items"], json!([]));

    // A position that was never reached here is another database's.
    for path in ["records", "records/tail"] {
        let path = format!("/api/v1/{path}?after={}", end + 1);
        server.get(&path).await.problem(400, "invalid_query");
    }
}

/// `chaperone audit tail`, as a program of its own.
struct Follower {
    child: std::process::Child,
    lines: Option<std::io::Lines<std::io::BufReader<std::process::ChildStdout>>>,
}

impl Follower {
    fn start(server: &kit::Server, data_dir: &std::path::Path, arguments: &[&str]) -> Self {
        use std::io::BufRead as _;
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_chaperone"))
            .args([
                "audit",
                "tail",
                "--output",
                "json",
                "--server",
                &server.base,
            ])
            .arg("--token-file")
            .arg(data_dir.join("admin.token"))
            .args(arguments)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            lines: Some(lines),
        }
    }

    async fn next(&mut self) -> serde_json::Value {
        let mut lines = self.lines.take().unwrap();
        let read = tokio::task::spawn_blocking(move || (lines.next(), lines));
        let read = tokio::time::timeout(std::time::Duration::from_secs(60), read);
        let (line, lines) = read.await.expect("a record was expected").unwrap();
        self.lines = Some(lines);
        serde_json::from_str(&line.unwrap().unwrap()).unwrap()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_that_follows_the_trail_outlives_the_control_plane() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let server = kit::start_in(&dir, Vec::new()).await;
    let port = server.base.rsplit(':').next().unwrap().parse().unwrap();
    let node = node("envoy-1", 44);
    let mut follower = Follower::start(&server, &dir, &["--after", "0"]);
    let send = async |server: &kit::Server, stream: u64| {
        let events = record(&node, stream, (stream - 1) * 4 + 1, "alice", "/v1/models");
        assert_eq!(events.len(), 4);
        server.events(&node, &events).await.ok();
        events[0].record.0.clone()
    };
    let first = send(&server, 1).await;
    assert_eq!(follower.next().await["id"], first);

    server.stop().await;
    let server = kit::start_in(&dir, Vec::new()).await;
    let missed = send(&server, 2).await;
    server.stop().await;
    let server = kit::start_on(port, ServeConfig::new(&dir)).await;
    assert_eq!(follower.next().await["id"], missed);
    let last = send(&server, 3).await;
    assert_eq!(follower.next().await["id"], last);
}

#[tokio::test]
async fn batches_that_no_filter_sends_are_refused_whole() {
    let (server, _temp) = kit::start().await;
    let own = node("envoy-1", 50);
    let other = node("envoy-2", 51);
    let mut holed = forwarded(&own, 1..=3);
    holed.remove(1);
    server
        .events(&own, &holed)
        .await
        .problem(400, "invalid_body");
    server
        .events(&own, &forwarded(&own, 0..=1))
        .await
        .problem(400, "invalid_body");
    // A node that writes into the records of another.
    server
        .events(&own, &forwarded(&other, 1..=1))
        .await
        .problem(400, "invalid_body");
    let huge = "x".repeat(17 * 1024 * 1024);
    let answer = server
        .call("POST", "/node/v1/events", Some(&server.node), Some(huge))
        .await;
    answer.problem(413, "body_too_large");
    assert_eq!(server.get("/api/v1/nodes").await.ok()["items"], json!([]));
}

#[tokio::test]
async fn a_node_that_says_goodbye_is_closed_and_its_losses_are_shown() {
    let (server, _temp) = kit::start().await;
    let node = node("envoy-1", 60);
    let body = json!({ "node": node, "dropped": 3, "closing": true,
        "events": forwarded(&node, 1..=1) });
    server.data("/node/v1/events", body).await.ok();
    let listed = &server.get("/api/v1/nodes").await.ok()["items"][0];
    assert_eq!(
        (listed["closed"].as_bool(), listed["stale"].as_bool()),
        (Some(true), Some(false))
    );
    assert_eq!(listed["dropped"], 3);
}
