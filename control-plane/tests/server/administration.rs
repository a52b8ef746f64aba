//! Who administered, and who read bodies, is written down before it takes effect.

use serde_json::{Value, json};

use crate::kit::{self, Server, node, record};

async fn acts(server: &Server) -> Vec<Value> {
    let page = server.get("/api/v1/administration?limit=500").await.ok();
    let mut acts = page["items"].as_array().unwrap().clone();
    acts.reverse();
    acts
}

#[tokio::test]
async fn tokens_that_were_made_and_revoked_stay_explained() {
    let (server, _temp) = kit::start().await;
    let first = acts(&server).await;
    assert!(!first.is_empty(), "the first tokens");
    assert!(first.iter().all(|act| act["by"] == "chaperone serve"));

    let new =
        json!({ "name": "ci", "subject": "ada", "groups": ["sre", "ops"], "role": "auditor" });
    let made = server.post("/api/v1/tokens", new).await.json();
    let id = made["id"].as_str().unwrap();
    let path = format!("/api/v1/tokens/{id}");
    for status in [204, 404] {
        let admin = Some(server.admin.as_str());
        assert_eq!(
            server.call("DELETE", &path, admin, None).await.status,
            status
        );
    }
    let later = acts(&server).await.split_off(first.len());
    let details =
        json!({ "name": "ci", "subject": "ada", "groups": "sre, ops", "role": "auditor" });
    let told: Vec<_> = later
        .iter()
        .map(|act| (&act["act"], &act["object"], &act["details"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("token_made"), &json!(id), &details),
            (&json!("token_revoked"), &json!(id), &details),
        ]
    );
    let own = server.get("/api/v1/whoami").await.ok();
    assert_eq!(
        (&later[0]["by"], &later[0]["token"]),
        (&own["subject"], &own["id"])
    );
    let log = serde_json::to_string(&later).unwrap();
    assert!(!log.contains(made["secret"].as_str().unwrap()));

    // Still listed, and what it was is still known.
    let listed = server.get("/api/v1/tokens").await.ok();
    let listed = listed["items"].as_array().unwrap().clone();
    let revoked = listed.iter().find(|token| token["id"] == id).unwrap();
    assert!(revoked["revoked_at"].as_u64().unwrap() >= revoked["created_at"].as_u64().unwrap());
}

#[tokio::test]
async fn whoever_reads_bodies_is_named_and_lists_are_not_readings() {
    let (server, _temp) = kit::start().await;
    let node = node("envoy-1", 1);
    let events = record(&node, 1, 1, "alice", "/v1/models");
    server.events(&node, &events).await.ok();
    let id = &events[0].record.0;
    let auditor = server.token("auditor", "eve", &[]).await;
    let before = acts(&server).await.len();
    let read = async |path: &str| server.call("GET", path, Some(&auditor), None).await;
    read("/api/v1/records").await.ok();
    read("/api/v1/records/none").await.problem(404, "not_found");
    read(&format!("/api/v1/records/{id}")).await.ok();
    server.post("/api/v1/keys/refresh", json!({})).await.ok();
    let later = acts(&server).await.split_off(before);
    let told: Vec<_> = later
        .iter()
        .map(|act| (&act["by"], &act["act"], &act["object"]))
        .collect();
    let admin = server.get("/api/v1/whoami").await.ok();
    assert_eq!(
        told,
        [
            (&json!("eve"), &json!("record_read"), &json!(id)),
            (&admin["subject"], &json!("keys_refreshed"), &json!("")),
        ]
    );
    let approver = server.token("approver", "bob", &[]).await;
    server
        .call("GET", "/api/v1/administration", Some(&approver), None)
        .await
        .problem(403, "role_forbidden");
}
