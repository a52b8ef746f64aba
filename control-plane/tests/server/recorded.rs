//! Calls of filters of earlier versions, byte for byte. Each one gets the success that it got when
//! it was recorded, and the trail holds the same records.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::kit::{self, POLICY, Server};

/// One version's exchanges, and the records that they made.
struct Recording {
    exchanges: &'static str,
    records: &'static str,
}

/// All versions that are recorded (`tests/recorded/README.md`).
const RECORDINGS: &[Recording] = &[Recording {
    exchanges: include_str!("../../../tests/recorded/0.1.0-4236dbf/exchanges.txt"),
    records: include_str!("../../../tests/recorded/0.1.0-4236dbf/records.jsonl"),
}];

struct Exchange {
    path: &'static str,
    request: &'static str,
    status: u16,
    answer: &'static str,
}

impl Recording {
    fn exchanges(&self) -> Vec<Exchange> {
        let blocks = self.exchanges.split_terminator("\n\n");
        blocks
            .map(|block| {
                let lines: Vec<&str> = block.lines().collect();
                let [path, request, status, answer] = lines[..] else {
                    panic!("an exchange has four lines: {block}")
                };
                Exchange {
                    path: path.strip_prefix("POST ").unwrap(),
                    request,
                    status: status.parse().unwrap(),
                    answer,
                }
            })
            .collect()
    }

    fn of(&self, path: &str) -> Vec<Exchange> {
        let mut exchanges = self.exchanges();
        exchanges.retain(|exchange| exchange.path == path);
        assert!(!exchanges.is_empty(), "nothing was recorded of {path}");
        exchanges
    }
}

fn read(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

async fn send(server: &Server, exchange: &Exchange) -> kit::Answer {
    let body = Some(exchange.request.to_owned());
    let answer = server.call("POST", exchange.path, Some(&server.node), body);
    let answer = answer.await;
    assert_eq!(
        answer.status, exchange.status,
        "{}\n{}",
        exchange.request, answer.text
    );
    assert_eq!(answer.headers["x-chaperone"], "1");
    answer
}

#[tokio::test]
async fn batches_are_acknowledged_as_they_were_and_make_the_same_records() {
    for recording in RECORDINGS {
        let (server, _temp) = kit::start().await;
        let mut events: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let mut losses = BTreeMap::new();
        for exchange in recording.of("/node/v1/events") {
            let answer = send(&server, &exchange).await;
            assert_eq!(answer.text, exchange.answer);
            let batch = read(exchange.request);
            for event in batch["events"].as_array().unwrap() {
                let record = event["record"].as_str().unwrap().to_owned();
                events.entry(record).or_default().push(event.clone());
            }
            let boot = batch["node"]["boot"].as_str().unwrap().to_owned();
            losses.insert(boot, (batch["dropped"].clone(), batch["closing"].clone()));
        }
        for (record, sent) in &events {
            let shown = server.get(&format!("/api/v1/records/{record}")).await.ok();
            let shown = shown["events"].as_array().unwrap().iter();
            let shown: Vec<&Value> = shown.map(|stored| &stored["event"]).collect();
            assert_eq!(shown, sent.iter().collect::<Vec<_>>(), "{record}");
        }
        let mut compared = 0;
        for line in recording.records.lines() {
            let before = read(line);
            let id = before["id"].as_str().unwrap();
            let now = server.get(&format!("/api/v1/records/{id}")).await.ok();
            for (member, value) in before.as_object().unwrap() {
                assert_eq!(&now[member], value, "{member} of {id}");
            }
            compared += 1;
        }
        assert!(compared > 5, "{compared} records were compared");
        let nodes = server.get("/api/v1/nodes?limit=500").await.ok();
        for node in nodes["items"].as_array().unwrap() {
            let (dropped, closing) = &losses[node["boot"].as_str().unwrap()];
            assert_eq!(
                (&node["dropped"], &node["closed"], node.get("gaps")),
                (dropped, closing, None),
                "{node}"
            );
        }
    }
}

#[tokio::test]
async fn questions_are_answered_as_they_were() {
    for recording in RECORDINGS {
        let (server, _temp) = kit::start().await;
        let approver = server.token("approver", "bob", &["sre"]).await;
        // By what it was called then.
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        let mut standings = BTreeSet::new();
        for mut exchange in recording.of("/node/v1/approvals/ask") {
            // The one thing that is not as it came: a question that ran out after three seconds has
            // to be open when it is asked again, however slow this machine is.
            exchange.request = patient(exchange.request);
            let before = read(exchange.answer);
            let standing = before["answer"].as_str().unwrap();
            let name = before["approval"].as_str().unwrap();
            // Somebody decided before this was asked.
            if let Some(id) = names.get(name) {
                let path = format!("/api/v1/approvals/{id}");
                match standing {
                    "granted" => {
                        let body = json!({ "comment": before["comment"] });
                        decide(&server, &approver, &format!("{path}/approve"), &body).await;
                    }
                    "denied" => {
                        let body = json!({ "reason": before["comment"] });
                        decide(&server, &approver, &format!("{path}/deny"), &body).await;
                    }
                    "expired" => until_expired(&server, &path).await,
                    _ => {}
                }
            }
            let answer = send(&server, &exchange).await.json();
            let id = answer["approval"].as_str().unwrap().to_owned();
            let known = names.entry(name.to_owned()).or_insert_with(|| id.clone());
            assert_eq!(
                *known, id,
                "another question than it was: {}",
                exchange.request
            );
            assert_eq!(
                (&answer["answer"], &answer["by"], &answer["comment"]),
                (&before["answer"], &before["by"], &before["comment"])
            );
            standings.insert(standing.to_owned());
        }
        assert_eq!(
            standings.iter().map(String::as_str).collect::<Vec<_>>(),
            ["denied", "expired", "granted", "pending"]
        );
        for exchange in recording.of("/node/v1/approvals/watch") {
            // The names of then are nobody's here, and what is unknown has expired.
            let answer = send(&server, &exchange).await.json();
            let asked = read(exchange.request);
            assert_eq!(answer["decided"][0]["approval"], asked["approvals"][0]);
        }
    }
}

/// The request of a question that does not run out so soon.
fn patient(request: &'static str) -> &'static str {
    let longer = request.replace(r#""expires":"3s""#, r#""expires":"15s""#);
    longer.leak()
}

async fn decide(server: &Server, approver: &str, path: &str, body: &Value) {
    let answer = server.call("POST", path, Some(approver), Some(body.to_string()));
    answer.await.ok();
}

async fn until_expired(server: &Server, path: &str) {
    let wait = async {
        while server.get(path).await.ok()["state"] != "expired" {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), wait)
        .await
        .expect("the question expires");
}

#[tokio::test]
async fn polls_are_answered_with_the_newest_policy_and_what_they_report_is_shown() {
    for recording in RECORDINGS {
        let (server, _temp) = kit::start().await;
        let mut last: BTreeMap<String, Value> = BTreeMap::new();
        for (number, exchange) in recording.of("/node/v1/policy").into_iter().enumerate() {
            // Each finds something new, so none of them waits.
            let document = POLICY.replace("Writes need an SRE.", &format!("Version {number}."));
            server.publish(&document).await.ok();
            let answer = send(&server, &exchange).await.json();
            assert!(answer["bundle"]["payload"].is_string(), "{answer}");
            let request = read(exchange.request);
            last.insert(
                request["node"]["boot"].as_str().unwrap().to_owned(),
                request,
            );
        }
        let nodes = server.get("/api/v1/nodes?limit=500").await.ok();
        for node in nodes["items"].as_array().unwrap() {
            let request = &last[node["boot"].as_str().unwrap()];
            for member in ["filter_version", "enforced", "refused"] {
                assert_eq!(node.get(member), request.get(member), "{node}");
            }
        }
    }
}
