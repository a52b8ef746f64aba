//! What all of the API has in common.

use serde_json::json;

use crate::kit::{self, node, record};

#[tokio::test]
async fn every_answer_carries_the_marker_whatever_it_says() {
    let (server, _temp) = kit::start().await;
    for (method, path, token) in [
        ("GET", "/healthz", None),
        ("GET", "/nowhere", None),
        ("GET", "/node/v1/policy", Some(&server.node)),
        ("POST", "/node/v1/policy", None),
        ("POST", "/node/v1/policy", Some(&server.node)),
        ("POST", "/node/v1/events", Some(&server.admin)),
        ("GET", "/api/v1/policies", Some(&server.admin)),
        ("PUT", "/api/v1/policies", Some(&server.admin)),
        ("OPTIONS", "*", None),
    ] {
        let path = if path == "*" { "/" } else { path };
        let answer = server
            .call(method, path, token.map(String::as_str), None)
            .await;
        assert_eq!(answer.headers["x-chaperone"], "1", "{method} {path}");
    }
    let huge = Some("x".repeat(3 << 20));
    let answer = server
        .call("POST", "/node/v1/policy", Some(&server.node), huge)
        .await;
    answer.problem(413, "body_too_large");
    assert_eq!(answer.headers["x-chaperone"], "1");
}

#[tokio::test]
async fn http_2_without_tls_is_spoken_too() {
    let (server, _temp) = kit::start().await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let answer = client
        .get(format!("{}/healthz", server.base))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.version()),
        (200, reqwest::Version::HTTP_2)
    );
}

#[tokio::test]
async fn errors_are_problems_with_stable_codes() {
    let (server, _temp) = kit::start().await;
    server.get("/nowhere").await.problem(404, "not_found");
    server
        .get("/api/v1/records/none")
        .await
        .problem(404, "not_found");
    server
        .call("PUT", "/api/v1/policies", Some(&server.admin), None)
        .await
        .problem(405, "method_not_allowed");
    server
        .post("/api/v1/policies", json!({ "documnet": "" }))
        .await
        .problem(400, "invalid_body");
    server
        .call(
            "POST",
            "/api/v1/policies",
            Some(&server.admin),
            Some("{".into()),
        )
        .await
        .problem(400, "invalid_body");
    server
        .get("/api/v1/policies?limit=0")
        .await
        .problem(400, "invalid_query");
    // Were it cut to 500 in silence, a script would take the first page for all.
    for limit in ["501", "2147483648", "-1", "1e2", "18446744073709551616"] {
        let path = format!("/api/v1/policies?limit={limit}");
        server.get(&path).await.problem(400, "invalid_query");
    }
    for twice in [
        "policies?limit=5&limit=6",
        "records?effect=allow&effect=deny",
    ] {
        let path = format!("/api/v1/{twice}");
        server.get(&path).await.problem(400, "invalid_query");
    }
    server
        .get("/api/v1/policies?page=2")
        .await
        .problem(400, "invalid_query");
    server
        .data("/node/v1/policy", json!({}))
        .await
        .problem(400, "invalid_body");
}

#[tokio::test]
async fn pages_follow_each_other_without_repeating_or_losing_anything() {
    let (server, _temp) = kit::start().await;
    let node = node("envoy-1", 1);
    let mut events = Vec::new();
    for stream in 0..25 {
        events.extend(record(
            &node,
            stream,
            events.len() as u64 + 1,
            "alice",
            "/a",
        ));
    }
    // All at one instant: the cursor must not lean on time alone.
    for event in &mut events {
        event.at = chaperone_engine::base::time::UnixMillis(5);
    }
    server.events(&node, &events).await.ok();
    let all = server.get("/api/v1/records").await.ok();
    let ids = |page: &serde_json::Value| {
        let items = page["items"].as_array().unwrap();
        items
            .iter()
            .map(|r| r["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&all).len(), 25);
    assert!(all["next_cursor"].is_null());
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    for pages in 1.. {
        let page = server
            .get(&format!("/api/v1/records?limit=10{cursor}"))
            .await
            .ok();
        paged.extend(ids(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => {
                assert_eq!(pages, 3);
                break;
            }
        }
    }
    assert_eq!(paged, ids(&all));
    // A cursor is good for its own list only.
    server
        .get(&format!("/api/v1/approvals?limit=10{cursor}"))
        .await
        .problem(400, "invalid_cursor");
    server
        .get("/api/v1/records?cursor=AAAA")
        .await
        .problem(400, "invalid_cursor");
}

#[tokio::test]
async fn the_openapi_document_is_the_one_that_is_checked_in() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let mut document = serde_json::to_string_pretty(&chaperone::http::openapi()).unwrap();
    document.push('\n');
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &document).unwrap();
    }
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        checked_in == document,
        "the interface has changed; if that is meant, run with UPDATE_DOCS=1 and commit docs/openapi.json"
    );
    let (server, _temp) = kit::start().await;
    let served = server.call("GET", "/openapi.json", None, None).await.ok();
    assert_eq!(served, chaperone::http::openapi());
}
