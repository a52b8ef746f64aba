//! Which lives of nodes count, and for how long.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::kit::{self, POLICY, Server, node};

/// A worker of an Envoy: a life that speaks on a connection of its own.
struct Worker {
    connection: TcpStream,
    name: &'static str,
    boot: u128,
    token: String,
}

impl Worker {
    async fn start(server: &Server, name: &'static str, boot: u128) -> Self {
        let address: SocketAddr = server.running.as_ref().unwrap().addr;
        let mut worker = Self {
            connection: TcpStream::connect(address).await.unwrap(),
            name,
            boot,
            token: server.node.clone(),
        };
        worker.report(json!({})).await;
        worker
    }

    /// Reports what it enforces, and reads the answer.
    async fn report(&mut self, more: Value) {
        let mut body = json!({ "node": node(self.name, self.boot), "filter_version": "0",
            "wait_ms": 0, "reads": 1 });
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        let answer = self.call("/node/v1/policy", &body.to_string()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    async fn call(&mut self, path: &str, body: &str) -> String {
        let (token, length) = (&self.token, body.len());
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.connection.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = vec![0; 1 << 20];
        let mut read = 0;
        loop {
            read += self.connection.read(&mut bytes[read..]).await.unwrap();
            let text = String::from_utf8_lossy(&bytes[..read]);
            let whole = text.split_once("\r\n\r\n").is_some_and(|(head, rest)| {
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                length.is_some_and(|length| rest.len() >= length.parse::<usize>().unwrap())
            });
            if whole {
                return text.into_owned();
            }
        }
    }
}

/// The boot ids that are listed, each with whether it is thought to have ended.
async fn listed(server: &Server, query: &str) -> Vec<(String, bool)> {
    let page = server.get(&format!("/api/v1/nodes{query}")).await.ok();
    let nodes = page["items"].as_array().unwrap().iter();
    let mut listed: Vec<(String, bool)> = nodes
        .map(|node| {
            let boot = node["boot"].as_str().unwrap().to_owned();
            (boot, node["stale"].as_bool().unwrap())
        })
        .collect();
    listed.sort();
    listed
}

fn lives(boots: &[u128]) -> Vec<(String, bool)> {
    let mut lives: Vec<(String, bool)> = boots
        .iter()
        .map(|boot| (node("", *boot).boot.as_str().to_owned(), false))
        .collect();
    lives.sort();
    lives
}

/// How many connections of nodes there are, by the control plane's own count.
async fn connections_are(server: &Server, count: usize) {
    let wanted = format!("chaperone_connections{{holder=\"node\"}} {count}\n");
    while !server.get("/metrics").await.text.contains(&wanted) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_lives_of_a_restarted_envoy_are_replaced_at_once() {
    let (server, _temp) = kit::start().await;
    let before = [
        Worker::start(&server, "envoy", 1).await,
        Worker::start(&server, "envoy", 2).await,
    ];
    // Another Envoy of the same name, which goes on.
    let other = Worker::start(&server, "envoy", 3).await;
    assert_eq!(listed(&server, "").await, lives(&[1, 2, 3]));
    drop(before);
    connections_are(&server, 1).await;
    let _after = [
        Worker::start(&server, "envoy", 4).await,
        Worker::start(&server, "envoy", 5).await,
    ];
    assert_eq!(listed(&server, "").await, lives(&[3, 4, 5]));
    // The trail refers to those that have ended.
    assert_eq!(listed(&server, "?all=true").await.len(), 5);
    drop(other);
}

#[tokio::test]
async fn a_life_that_was_replaced_does_not_keep_a_policy_from_being_published() {
    let temp = tempfile::tempdir().unwrap();
    let server = kit::start_as(kit::needing_two(&temp.path().join("data"))).await;
    let mut old = Worker::start(&server, "envoy", 1).await;
    old.report(json!({ "reads": 1 })).await;
    server
        .publish(POLICY)
        .await
        .problem(409, "unreadable_by_nodes");
    drop(old);
    connections_are(&server, 0).await;
    let mut upgraded = Worker::start(&server, "envoy", 2).await;
    upgraded.report(json!({ "reads": 2 })).await;
    server.publish(POLICY).await.ok();
}

#[tokio::test]
async fn a_life_that_is_heard_of_again_goes_on() {
    let (server, _temp) = kit::start().await;
    drop(Worker::start(&server, "envoy", 1).await);
    connections_are(&server, 0).await;
    let _other = Worker::start(&server, "envoy", 2).await;
    assert_eq!(listed(&server, "").await, lives(&[2]));
    let _again = Worker::start(&server, "envoy", 1).await;
    assert_eq!(listed(&server, "").await, lives(&[1, 2]));
}

#[tokio::test]
async fn lives_are_known_again_after_the_control_plane_was_restarted() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let server = kit::start_as(kit::needing_two(&dir)).await;
    let mut old = Worker::start(&server, "envoy", 1).await;
    old.report(json!({ "reads": 1 })).await;
    let mut gone = Worker::start(&server, "envoy", 2).await;
    let goodbye = json!({ "node": node("envoy", 2), "dropped": 0, "closing": true, "events": [] });
    gone.call("/node/v1/events", &goodbye.to_string()).await;
    server.stop().await;
    let server = kit::start_as(kit::needing_two(&dir)).await;
    assert_eq!(listed(&server, "").await, lives(&[1]));
    server
        .publish(POLICY)
        .await
        .problem(409, "unreadable_by_nodes");
}
