//! Before a version is sent: which live nodes cannot read it.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kit::{self, POLICY, Server, node};

const CODE: &str = "unreadable_by_nodes";

async fn start() -> (Server, TempDir) {
    let temp = tempfile::tempdir().unwrap();
    let config = kit::needing_two(&temp.path().join("data"));
    (kit::start_as(config).await, temp)
}

/// A node polls. `reads` is the revision of the policy language that it says it reads, if it says
/// so.
async fn poll(server: &Server, name: &str, boot: u128, reads: Option<u32>) {
    let mut body = json!({ "node": node(name, boot), "filter_version": "0.0.9", "wait_ms": 0 });
    if let Some(reads) = reads {
        body["reads"] = json!(reads);
    }
    server.data("/node/v1/policy", body).await.ok();
}

async fn publish(server: &Server, document: &str, allow: bool) -> kit::Answer {
    let body = json!({ "document": document, "allow_unreadable": allow });
    server.post("/api/v1/policies", body).await
}

async fn versions(server: &Server) -> usize {
    let page = server.get("/api/v1/policies").await.ok();
    page["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_version_that_a_live_node_cannot_read_is_not_published_and_the_nodes_are_named() {
    let (server, _temp) = start().await;
    poll(&server, "new", 1, Some(2)).await;
    poll(&server, "old", 2, Some(1)).await;
    poll(&server, "newer", 4, Some(7)).await;
    let refused = publish(&server, POLICY, false).await.problem(409, CODE);
    let boot = node("", 2).boot;
    assert_eq!(
        refused["nodes"],
        json!([{ "name": "old", "boot": boot, "reads": 1 }])
    );
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("revision 2"), "{detail}");
    // The command line has another name for it than the API.
    assert!(!detail.contains("allow_unreadable"), "{detail}");
    assert_eq!(versions(&server).await, 0);

    // Once the node is upgraded, it reads the document.
    poll(&server, "old", 2, Some(2)).await;
    publish(&server, POLICY, false).await.ok();
    assert_eq!(versions(&server).await, 1);
}

#[tokio::test]
async fn published_all_the_same_it_warns_of_the_nodes_that_stay_behind() {
    let (server, _temp) = start().await;
    poll(&server, "old", 2, Some(1)).await;
    let published = publish(&server, POLICY, true).await;
    assert_eq!(published.status, 201, "{}", published.text);
    let warnings = published.json()["warnings"].to_string();
    assert!(
        warnings.contains("old") && warnings.contains(node("", 2).boot.as_str()),
        "{warnings}"
    );
    // Where every node reads it, there is nothing to warn of.
    poll(&server, "old", 2, Some(2)).await;
    let next = POLICY.replace("Writes need an SRE.", "Ask.");
    assert!(
        publish(&server, &next, true)
            .await
            .ok()
            .get("warnings")
            .is_none()
    );
}

#[tokio::test]
async fn rolling_back_asks_the_same() {
    let (server, _temp) = start().await;
    publish(&server, POLICY, false).await.ok();
    let next = POLICY.replace("Writes need an SRE.", "Ask.");
    publish(&server, &next, false).await.ok();
    poll(&server, "old", 2, Some(1)).await;
    let path = "/api/v1/policies/1/rollback";
    server.post(path, json!({})).await.problem(409, CODE);
    assert_eq!(versions(&server).await, 2);
    server
        .post(path, json!({ "allow_unreadable": true }))
        .await
        .ok();
    assert_eq!(versions(&server).await, 3);
}

#[tokio::test]
async fn a_node_that_has_said_goodbye_does_not_hold_policy_up() {
    let (server, _temp) = start().await;
    poll(&server, "old", 2, Some(1)).await;
    publish(&server, POLICY, false).await.problem(409, CODE);
    let goodbye = json!({ "node": node("old", 2), "dropped": 0, "closing": true, "events": [] });
    server.data("/node/v1/events", goodbye).await.ok();
    publish(&server, POLICY, false).await.ok();
}

#[tokio::test]
async fn the_document_that_is_current_already_is_not_refused_for_what_is_in_force() {
    let (server, _temp) = start().await;
    publish(&server, POLICY, false).await.ok();
    poll(&server, "old", 2, Some(1)).await;
    assert_eq!(publish(&server, POLICY, false).await.status, 200);
}

#[tokio::test]
async fn a_node_that_does_not_say_what_it_reads_reads_the_first_revision() {
    let (server, _temp) = start().await;
    poll(&server, "unsaid", 1, None).await;
    let refused = publish(&server, POLICY, false).await.problem(409, CODE);
    assert_eq!(refused["nodes"][0]["reads"], 1);
}

#[tokio::test]
async fn a_node_that_says_it_reads_nothing_does_not_hold_up_what_every_filter_reads() {
    let (server, _temp) = kit::start().await;
    poll(&server, "envoy-1", 1, Some(0)).await;
    publish(&server, POLICY, false).await.ok();
    let nodes = server.get("/api/v1/nodes").await.ok();
    assert_eq!(nodes["items"][0]["reads"], 1);
}

#[tokio::test]
async fn nodes_show_what_they_read() {
    let (server, _temp) = start().await;
    poll(&server, "said", 1, Some(4)).await;
    poll(&server, "unsaid", 2, None).await;
    let nodes = server.get("/api/v1/nodes").await.ok();
    let reads = nodes["items"].as_array().unwrap().iter();
    let reads: Vec<(&Value, &Value)> = reads.map(|node| (&node["name"], &node["reads"])).collect();
    assert_eq!(
        reads,
        [(&json!("unsaid"), &json!(1)), (&json!("said"), &json!(4))]
    );
}

#[tokio::test]
async fn publishing_all_the_same_does_not_wait_for_the_nodes_that_stay_behind() {
    let (server, temp) = start().await;
    poll(&server, "old", 1, Some(1)).await;
    let file = |name: &str, text: &str| {
        let path = temp.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (token, policy) = (file("token", &server.admin), file("policy.yaml", POLICY));
    let base = server.base.clone();
    let publish = move |more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_chaperone"));
        command.args(["--server", &base, "--token-file", &token]);
        command.args(["policy", "publish", &policy]).args(more);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let refused = publish(&[]).await.unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("--allow-unreadable"), "{said}");
    assert_eq!(refused.status.code(), Some(1));

    let published = publish(&["--allow-unreadable", "--wait"]).await.unwrap();
    let said = String::from_utf8_lossy(&published.stdout);
    assert!(said.contains("No live node can read it."), "{said}");
    assert!(published.status.success(), "{said}");
}
