//! Policy versions: checked, numbered, signed, pushed.

use std::time::{Duration, Instant};

use chaperone_engine::bundle::{self, Bundle, PublicKey};
use serde_json::{Value, json};

use crate::kit::{self, POLICY, Server, node};

async fn poll(server: &Server, enforced: Value, wait_ms: u64) -> Value {
    let mut body =
        json!({ "node": node("envoy-1", 1), "filter_version": "0.1.0", "wait_ms": wait_ms });
    if !enforced.is_null() {
        body["enforced"] = enforced;
    }
    server.data("/node/v1/policy", body).await.ok()
}

fn serial(version: u64, keys: u64) -> Value {
    json!({ "policy_version": version, "keys_revision": keys })
}

fn open(server: &Server, answer: &Value) -> Bundle {
    let key = PublicKey::from_base64(&server.running.as_ref().unwrap().public_key).unwrap();
    bundle::open(answer["bundle"].to_string().as_bytes(), &key.into()).unwrap()
}

fn changed(word: &str) -> String {
    POLICY.replace("Writes need an SRE.", word)
}

#[tokio::test]
async fn without_a_policy_nodes_get_none_and_lists_are_empty() {
    let (server, _temp) = kit::start().await;
    assert_eq!(poll(&server, Value::Null, 0).await, json!({}));
    assert_eq!(
        server.get("/api/v1/policies").await.ok(),
        json!({ "items": [] })
    );
    assert_eq!(
        server.get("/api/v1/connections").await.ok(),
        json!({ "items": [] })
    );
    server
        .get("/api/v1/policies/current")
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_published_version_is_signed_numbered_and_linked_to_the_one_before() {
    let (server, _temp) = kit::start().await;
    let first = server.publish(POLICY).await;
    assert_eq!(first.status, 201);
    let first = first.json();
    assert_eq!(
        (first["version"].as_u64(), first["current"].as_bool()),
        (Some(1), Some(true))
    );
    assert_eq!(
        (first["published_by"].as_str(), first["unchanged"].as_bool()),
        (Some("admin"), Some(false))
    );
    let one = open(&server, &poll(&server, Value::Null, 0).await);
    assert_eq!(
        (
            one.serial.policy_version,
            one.serial.keys_revision,
            &one.previous
        ),
        (1, 0, &None)
    );
    assert_eq!(bundle::digest(&one).unwrap(), first["bundle_digest"]);

    server.publish(&changed("Ask.")).await.ok();
    let two = open(&server, &poll(&server, serial(1, 0), 0).await);
    assert_eq!(two.serial.policy_version, 2);
    assert_eq!(two.previous, Some(bundle::digest(&one).unwrap()));
    assert_eq!(
        poll(&server, serial(2, 0), 0).await,
        json!({}),
        "nothing newer"
    );

    let listed = server.get("/api/v1/policies").await.ok();
    let versions: Vec<_> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["version"].as_u64().unwrap())
        .collect();
    assert_eq!(versions, [2, 1]);
    let shown = server.get("/api/v1/policies/current").await.ok();
    assert_eq!(shown["document"], changed("Ask."));
    assert_eq!(shown["policy"]["rules"][1]["reason"], "Ask.");
    assert_eq!(
        server.get("/api/v1/connections").await.ok()["items"][0]["hosts"],
        json!(["api.example.com"])
    );
}

#[tokio::test]
async fn the_same_document_again_makes_no_new_version() {
    let (server, _temp) = kit::start().await;
    server.publish(POLICY).await.ok();
    let again = server.publish(POLICY).await;
    assert_eq!(again.status, 200);
    assert_eq!(
        (
            again.json()["version"].as_u64(),
            again.json()["unchanged"].as_bool()
        ),
        (Some(1), Some(true))
    );
    let listed = server.get("/api/v1/policies").await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn rolling_back_publishes_old_content_under_a_new_number() {
    let (server, _temp) = kit::start().await;
    server.publish(POLICY).await.ok();
    server.publish(&changed("Ask.")).await.ok();
    let back = server
        .post(
            "/api/v1/policies/1/rollback",
            json!({ "comment": "too strict" }),
        )
        .await;
    assert_eq!(back.status, 201);
    let back = back.json();
    assert_eq!(
        (back["version"].as_u64(), back["rollback_of"].as_u64()),
        (Some(3), Some(1))
    );
    assert_eq!(back["comment"], "too strict");
    let bundle = open(&server, &poll(&server, serial(2, 0), 0).await);
    assert_eq!(bundle.serial.policy_version, 3);
    let first = server.get("/api/v1/policies/1").await.ok();
    assert_eq!(first["digest"], back["digest"]);
    assert_eq!(first["current"], false);
    server
        .post("/api/v1/policies/9/rollback", json!({}))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_faulty_document_is_refused_with_places() {
    let (server, _temp) = kit::start().await;
    let problem = server
        .publish(&POLICY.replace("effect: allow", "effect: alow"))
        .await;
    let problem = problem.problem(422, "policy_invalid");
    let place = problem["errors"][0]["place"].as_str().unwrap();
    assert!(
        place.contains("rules[0].effect") && place.contains("line 8"),
        "{problem}"
    );
    server.publish("").await.problem(422, "policy_invalid");
    assert_eq!(
        server.get("/api/v1/policies").await.ok()["items"],
        json!([])
    );
}

#[tokio::test]
async fn detectors_that_no_worker_could_compile_are_not_published() {
    let (server, _temp) = kit::start().await;
    let with = |regex: &str| {
        format!(
            "{POLICY}detectors:\n  - {{ name: custom/acme, regex: '{regex}' }}\nmasking:\n  \
             - {{ name: m, detectors: [custom/acme], on: [request] }}\n"
        )
    };
    let problem = server.publish(&with("(acme_[a-z]{12}")).await;
    let problem = problem.problem(422, "policy_invalid");
    let place = problem["errors"][0]["place"].as_str().unwrap();
    assert!(
        place.starts_with("detectors[0].regex (line 17, "),
        "{problem}"
    );
    assert_eq!(server.publish(&with("acme_[a-z]{12}")).await.status, 201);
}

#[tokio::test]
async fn failing_tests_in_the_document_keep_it_from_being_published() {
    let (server, _temp) = kit::start().await;
    let problem = server
        .publish(&POLICY.replace("methods: [GET]", "methods: [HEAD]"))
        .await;
    let problem = problem.problem(422, "policy_tests_failed");
    assert_eq!(problem["errors"][0]["place"], "tests[0]");
    assert!(
        problem["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("expected allow"),
        "{problem}"
    );
    assert_eq!(
        server.get("/api/v1/policies").await.ok()["items"],
        json!([])
    );
}

#[tokio::test]
async fn of_two_authors_who_start_from_the_same_version_the_second_is_told() {
    let (server, _temp) = kit::start().await;
    let publish = async |document: String, expected: u64| {
        let body = json!({ "document": document, "expected_current": expected });
        server.post("/api/v1/policies", body).await
    };
    publish(POLICY.to_owned(), 0).await.ok();
    publish(changed("One."), 1).await.ok();
    publish(changed("Two."), 1)
        .await
        .problem(409, "version_conflict");
    assert_eq!(
        server.get("/api/v1/policies/current").await.ok()["version"],
        2
    );
}

#[tokio::test]
async fn publishers_at_once_get_numbers_of_their_own() {
    let (server, _temp) = kit::start().await;
    let documents: Vec<_> = (0..12).map(|n| changed(&format!("Reason {n}."))).collect();
    let answers = futures_util::future::join_all(documents.iter().map(|d| server.publish(d))).await;
    let mut numbers: Vec<_> = answers
        .iter()
        .map(|a| a.ok()["version"].as_u64().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
}

#[tokio::test]
async fn publishing_wakes_waiting_nodes_at_once() {
    let (server, _temp) = kit::start().await;
    let mut waits = Vec::new();
    for version in 1..=10 {
        let enforced = if version == 1 {
            Value::Null
        } else {
            serial(version - 1, 0)
        };
        let wait = async {
            let answer = poll(&server, enforced, 30_000).await;
            (Instant::now(), answer)
        };
        let publish = async {
            while !server
                .get("/metrics")
                .await
                .text
                .contains("chaperone_long_polls 1")
            {
                tokio::task::yield_now().await;
            }
            let answer = server
                .publish(&changed(&format!("Reason {version}.")))
                .await;
            answer.ok();
            Instant::now()
        };
        let ((woken, answer), published) = tokio::join!(wait, publish);
        assert_eq!(open(&server, &answer).serial.policy_version, version);
        waits.push(woken.saturating_duration_since(published));
    }
    waits.sort_unstable();
    assert!(
        waits[waits.len() / 2] < Duration::from_millis(250),
        "{waits:?}"
    );
}

#[tokio::test]
async fn a_bundle_that_a_node_refused_is_not_sent_to_it_again() {
    let (server, _temp) = kit::start().await;
    server.publish(POLICY).await.ok();
    assert!(poll(&server, Value::Null, 0).await["bundle"].is_object());
    let refused = json!({ "node": node("envoy-1", 1), "filter_version": "0.1.0", "wait_ms": 0,
        "refused": "the content cannot be read" });
    assert_eq!(
        server.data("/node/v1/policy", refused.clone()).await.ok(),
        json!({})
    );
    let listed = &server.get("/api/v1/nodes").await.ok()["items"][0];
    assert_eq!(listed["refused"], "the content cannot be read");
    assert!(listed["enforced"].is_null());
    server.publish(&changed("Ask.")).await.ok();
    assert!(
        server.data("/node/v1/policy", refused).await.ok()["bundle"].is_object(),
        "a newer one"
    );
}

#[tokio::test]
async fn what_nodes_enforce_is_shown_and_never_numbered_below() {
    let (server, _temp) = kit::start().await;
    assert_eq!(poll(&server, serial(41, 2), 0).await, json!({}));
    let listed = &server.get("/api/v1/nodes").await.ok()["items"][0];
    assert_eq!(listed["enforced"], serial(41, 2));
    assert_eq!(
        (listed["filter_version"].as_str(), listed["stale"].as_bool()),
        (Some("0.1.0"), Some(false))
    );
    // As after a restore from an old copy: version 1 would be old news to that node.
    assert_eq!(server.publish(POLICY).await.ok()["version"], 42);
    let body = json!({ "node": node("envoy-1", 1), "filter_version": "0", "wait_ms": 0,
        "enforced": serial(u64::MAX, 0) });
    server
        .data("/node/v1/policy", body)
        .await
        .problem(400, "invalid_body");
}

#[tokio::test]
async fn the_filter_configuration_has_the_key_and_no_secret() {
    let (server, _temp) = kit::start().await;
    let config = server.get("/api/v1/filter-config?profile=body").await.ok();
    let running = server.running.as_ref().unwrap();
    assert_eq!(
        config,
        json!({
            "control_plane": { "cluster": "chaperone", "authority": "chaperone", "timeout_ms": 2000 },
            "public_key": running.public_key, "profile": "body",
        })
    );
    server
        .get("/api/v1/filter-config?profile=x")
        .await
        .problem(400, "invalid_query");
}

#[tokio::test]
async fn the_filter_configuration_can_bring_the_signed_bundle_to_start_from() {
    let (server, _temp) = kit::start().await;
    server
        .get("/api/v1/filter-config?bundle=true")
        .await
        .problem(404, "not_found");
    server.publish(POLICY).await.ok();
    let config = server.get("/api/v1/filter-config?bundle=true").await.ok();
    let pinned = PublicKey::from_base64(config["public_key"].as_str().unwrap()).unwrap();
    let bundle = bundle::open(config["bundle"].to_string().as_bytes(), &pinned.into()).unwrap();
    assert_eq!(
        (bundle.serial.policy_version, bundle.serial.keys_revision),
        (1, 0)
    );
}

#[tokio::test]
async fn what_was_probably_not_meant_is_said_when_it_is_published_and_stops_nothing() {
    let (server, _temp) = kit::start().await;
    let rule = "rules:\n  - { name: no-admin, match: { paths: [/admin/] }, effect: deny }\n";
    let document = POLICY.replacen("rules:\n", rule, 1);
    assert_ne!(document, POLICY);
    let published = server.publish(&document).await;
    assert_eq!(published.status, 201);
    let warnings = published.json()["warnings"].clone();
    let said = warnings.as_array().unwrap().iter().any(|warning| {
        let text = warning.as_str().unwrap();
        text.starts_with("rules[0].match.paths[0] (line ")
            && text.contains("did you mean `/admin/**`?")
    });
    assert!(said, "{warnings}");

    let never = document.replacen("paths: [/admin/]", "groups: [\"dev-*\"]", 1);
    let refused = server.publish(&never).await.problem(422, "policy_invalid");
    let place = refused["errors"][0]["place"].as_str().unwrap_or_default();
    assert!(place.starts_with("rules[0].match.groups[0]"), "{refused}");
}

/// [`POLICY`] with so many detectors that compiling them takes a while.
fn with_detectors(count: usize) -> String {
    let mut document = POLICY.to_owned();
    document.push_str("detectors:\n");
    for number in 0..count {
        document.push_str(&format!(
            "  - {{ name: custom/vendor-{number}, description: A vendor's key, \
             regex: 'vnd{number:03}_(?:live|test)_[a-z0-9]{{32,64}}\\b', severity: high }}\n"
        ));
    }
    document.push_str(
        "masking:\n  - { name: all, detectors: [\"custom/*\", \"secrets/*\"], on: [request, response] }\n",
    );
    document
}

#[tokio::test]
async fn publishing_many_detectors_keeps_nobody_waiting() {
    // All of the test shares one thread: whatever is compiled on it stands in the way of all calls.
    let (server, _temp) = kit::start().await;
    let document = with_detectors(150);
    let publishing = async {
        tokio::join!(
            server.publish(&document),
            server.publish(&document),
            server.publish(&document),
        )
    };
    tokio::pin!(publishing);
    let mut answered = 0;
    let published = loop {
        tokio::select! {
            published = &mut publishing => break published,
            health = server.get("/healthz") => {
                assert_eq!(health.status, 200);
                answered += 1;
            }
        }
    };
    assert!(answered > 20, "{answered}");
    let mut versions = [published.0, published.1, published.2].map(|answer| answer.status);
    versions.sort_unstable();
    assert_eq!(versions, [200, 200, 201], "one of them made the version");
}

#[tokio::test]
async fn a_publish_whose_author_breaks_off_is_finished() {
    use tokio::io::AsyncWriteExt as _;
    let (server, _temp) = kit::start().await;
    let body = json!({ "document": with_detectors(40) }).to_string();
    let head = format!(
        "POST /api/v1/policies HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
        server.admin,
        body.len()
    );
    let address = server.running.as_ref().unwrap().addr;
    let mut author = tokio::net::TcpStream::connect(address).await.unwrap();
    author.write_all(head.as_bytes()).await.unwrap();
    while !server
        .get("/metrics")
        .await
        .text
        .contains("chaperone_connections{holder=\"person\"} 1")
    {
        tokio::task::yield_now().await;
    }
    // Its body has been read when others that came later have been answered: all share one thread.
    for _ in 0..20 {
        server.get("/healthz").await;
    }
    drop(author);
    let poll = json!({ "node": node("envoy-1", 1), "filter_version": "0", "wait_ms": 50_000 });
    let bundle = server.data("/node/v1/policy", poll).await.ok();
    assert!(bundle["bundle"].is_object(), "it is in force");
    // And nothing stands in the way of the next one.
    assert_eq!(server.publish(POLICY).await.ok()["version"], 2);
}
