//! The management API as an administrator uses it: records, approvals, nodes.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use crate::client::{Answer, Call, Client};
use crate::wait;

/// The API of one control plane.
#[derive(Debug, Clone)]
pub struct Api {
    address: SocketAddr,
    token: String,
}

impl Api {
    /// At this address, with the token in this file.
    ///
    /// # Panics
    /// When the file cannot be read.
    #[must_use]
    pub fn new(address: SocketAddr, token_file: &Path) -> Self {
        let token = std::fs::read_to_string(token_file)
            .unwrap_or_else(|e| panic!("{}: {e}", token_file.display()));
        Self {
            address,
            token: token.trim().to_owned(),
        }
    }

    /// What a GET below `/api/v1` answers.
    ///
    /// # Panics
    /// When it is no 200 with JSON.
    pub async fn get(&self, target: &str) -> Value {
        let answer = self.send(Call::get(&format!("/api/v1{target}"))).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer.json()
    }

    /// The answer to a POST of JSON below `/api/v1`.
    ///
    /// # Panics
    /// When there is none.
    pub async fn post(&self, target: &str, body: &Value) -> Answer {
        let call = Call::post(&format!("/api/v1{target}"), body)
            .header("content-type", "application/json");
        self.send(call).await
    }

    async fn send(&self, call: Call) -> Answer {
        let answer = Client::http1(self.address)
            .send(call.bearer(&self.token))
            .await;
        answer.unwrap_or_else(|e| panic!("the control plane does not answer: {e}"))
    }

    /// A record with its events, once it is closed.
    ///
    /// # Panics
    /// When it does not arrive.
    pub async fn record(&self, id: &str) -> Value {
        wait::until(&format!("the record {id} to be closed"), async || {
            let answer = self.send(Call::get(&format!("/api/v1/records/{id}"))).await;
            (answer.status == 200)
                .then(|| answer.json())
                .filter(|record| record["state"] != "open")
        })
        .await
    }

    /// The closed records that a query finds, newest first, once there are as many. Up to 500.
    ///
    /// # Panics
    /// When there are not, in time.
    pub async fn records(&self, query: &str, count: usize) -> Vec<Value> {
        let target = format!("/records?limit=500&{query}");
        wait::until(&format!("{count} closed records of {query}"), async || {
            let closed = self.list(&target).await;
            let closed: Vec<Value> = closed
                .into_iter()
                .filter(|record| record["state"] != "open")
                .collect();
            (closed.len() >= count).then_some(closed)
        })
        .await
    }

    /// The one closed record that a query finds, with its events.
    ///
    /// # Panics
    /// When there is none in time, or another too.
    pub async fn only_record(&self, query: &str) -> Value {
        let found = self.records(query, 1).await;
        assert_eq!(found.len(), 1, "{query}: {found:?}");
        self.record(text(&found[0]["id"])).await
    }

    /// How many records a query finds, open or closed, following the cursor to the end.
    pub async fn count_records(&self, query: &str) -> usize {
        let mut target = format!("/records?limit=500&{query}");
        let mut count = 0;
        loop {
            let page = self.get(&target).await;
            count += items(&page).len();
            match page["next_cursor"].as_str() {
                Some(cursor) => target = format!("/records?limit=500&{query}&cursor={cursor}"),
                None => return count,
            }
        }
    }

    /// Waits until a query finds as many records, open or closed.
    ///
    /// # Panics
    /// When it does not in time, or finds more.
    pub async fn expect_records(&self, query: &str, count: usize) {
        let found = wait::until(&format!("{count} records of {query}"), async || {
            let found = self.count_records(query).await;
            (found >= count).then_some(found)
        })
        .await;
        assert_eq!(found, count, "records of {query}");
    }

    /// The questions that wait for an answer, newest first, once there are exactly as many.
    ///
    /// # Panics
    /// When there are not, in time.
    pub async fn pending(&self, count: usize) -> Vec<Value> {
        wait::until(&format!("{count} pending approvals"), async || {
            let pending = self.list("/approvals?state=pending&limit=500").await;
            (pending.len() == count).then_some(pending)
        })
        .await
    }

    /// The only question that waits for an answer: its id.
    ///
    /// # Panics
    /// When there is none in time, or more.
    pub async fn asked(&self) -> String {
        text(&self.pending(1).await[0]["id"]).to_owned()
    }

    /// Every life of every node.
    pub async fn nodes(&self) -> Vec<Value> {
        self.list("/nodes?limit=500").await
    }

    /// # Panics
    /// When an event of any node is missing. Nodes number from 1, so a node that has as many events
    /// as its last number has them all.
    pub async fn assert_nothing_is_missing(&self) {
        // Also of those that have ended.
        let nodes = self.list("/nodes?all=true&limit=500").await;
        assert!(!nodes.is_empty(), "no node has reported");
        for node in nodes {
            let gaps = node["gaps"].as_array().map_or(0, Vec::len);
            assert_eq!(gaps, 0, "events are missing: {node}");
            assert_eq!(node["events"], node["acknowledged"], "{node}");
        }
    }

    async fn list(&self, target: &str) -> Vec<Value> {
        items(&self.get(target).await).to_vec()
    }
}

fn items(page: &Value) -> &[Value] {
    page["items"]
        .as_array()
        .unwrap_or_else(|| panic!("no list: {page}"))
}

/// A text in JSON.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
}

/// The stages of a record's events, in order.
///
/// # Panics
/// When the record has no events.
#[must_use]
pub fn stages(record: &Value) -> Vec<&str> {
    let events = record["events"].as_array();
    let events = events.unwrap_or_else(|| panic!("a record without events: {record}"));
    events
        .iter()
        .map(|stored| text(&stored["event"]["stage"]))
        .collect()
}
