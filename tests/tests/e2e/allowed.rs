//! Allowed: upstream sees no Authorization of the agent's; identity, operation, policy version and
//! timings are in the record.

use std::time::Duration;

use chaperone_tests::api::stages;
use chaperone_tests::client::Call;
use chaperone_tests::script::Script;
use chaperone_tests::stage::{ARM, PLAIN, Setting, allow};
use chaperone_tests::upstream::Reply;
use serde_json::{Value, json};

#[tokio::test]
async fn upstream_gets_the_request_without_the_token_and_the_record_tells_who_did_what() {
    let stage = Setting::with(&[allow("platform", "platform")])
        .start()
        .await;
    let slow = Script::new()
        .chunk("{\"answer\":")
        .pause(Duration::from_millis(40))
        .chunk("42}");
    stage.upstream.always(
        Reply::ok(slow)
            .header("content-type", "application/json")
            .header("x-served-by", "u1"),
    );
    let token = stage.issuer.token("alice").groups(&["platform", "sre"]);
    let token = token.claim("azp", "copilot").claim("sid", "run-7").sign();

    let call = Call::post(
        "/v1/chat/completions?stream=true&n=%20",
        "{\"question\": \"life\"}",
    )
    .header("content-type", "application/json")
    .header("x-twice", "a")
    .header("x-twice", "b")
    .header("cookie", "a=b");
    let answer = stage.bearer(&token).send(call).await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "{\"answer\":42}")
    );
    assert_eq!(answer.header("x-served-by"), Some("u1"));

    let seen = stage.upstream.seen_at("/v1/chat/completions").remove(0);
    assert_eq!(seen.method, "POST");
    assert_eq!(seen.target, "/v1/chat/completions?stream=true&n=%20");
    assert_eq!(seen.host, "api.example");
    assert_eq!(seen.text(), "{\"question\": \"life\"}");
    assert_eq!(
        (seen.header("x-twice"), seen.header("cookie")),
        (vec!["a", "b"], vec!["a=b"])
    );
    assert_eq!(seen.header("content-type"), ["application/json"]);
    assert_eq!(seen.header("authorization"), Vec::<&str>::new());
    let (claims, signature) = token.rsplit_once('.').unwrap();
    for part in [claims, signature] {
        assert!(
            !chaperone_tests::files::contains(&seen.everything(), part.as_bytes()),
            "the token went upstream"
        );
        assert_eq!(
            stage.places_with(part),
            Vec::<String>::new(),
            "the token stands there"
        );
    }

    let record = stage.api.only_record("subject=alice").await;
    for (member, value) in [
        ("state", json!("completed")),
        ("issuer", json!(stage.issuer.url())),
        ("subject", json!("alice")),
        ("agent", json!("copilot")),
        ("session", json!("run-7")),
        ("groups", json!(["platform", "sre"])),
        ("connection", json!("api")),
        ("operation", json!("POST /v1/chat/completions")),
        ("method", json!("POST")),
        ("host", json!("api.example")),
        ("path", json!("/v1/chat/completions")),
        ("query", json!("stream=true&n=%20")),
        ("effect", json!("allow")),
        ("rule", json!("platform")),
        ("policy_version", json!(1)),
        ("status", json!(200)),
        ("request_bytes", json!(20)),
        ("response_bytes", json!(13)),
    ] {
        assert_eq!(record[member], value, "{member} in {record}");
    }
    let stages = stages(&record);
    assert_eq!(stages[..2], ["received", "decided"]);
    assert_eq!(stages.last(), Some(&"completed"));
    for stage in ["forwarded", "response_started", "chunk"] {
        assert!(stages.contains(&stage), "{stages:?}");
    }
    let request_id = record["request_id"].as_str().unwrap();
    assert!(
        stage.deployment.envoy.process.output().contains(request_id),
        "the access log joins"
    );
    let ms = |member: &str| {
        record[member]
            .as_u64()
            .unwrap_or_else(|| panic!("no {member}: {record}"))
    };
    assert!(ms("decided_ms") <= ms("first_byte_ms"), "{record}");
    assert!(ms("total_ms") >= ms("first_byte_ms") + 35, "{record}");
    assert!(ms("ended_at") >= ms("received_at"), "{record}");
    assert_eq!(recorded(&record, "request"), "{\"question\": \"life\"}");
    assert_eq!(recorded(&record, "response"), "{\"answer\":42}");
}

/// The recorded body of one direction.
fn recorded(record: &Value, direction: &str) -> String {
    let events = record["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stored| &stored["event"]);
    events
        .filter(|event| event["stage"] == "chunk" && event["direction"] == direction)
        .map(|event| event["body"]["text"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn azure_requests_are_recorded_in_azures_terms() {
    let reads = json!({"name": "reads", "match": {"labels": {"env": "prod"}, "operations": ["*/read"]}, "effect": "allow"});
    let stage = Setting::with(&[reads]).start().await;
    let alice = stage.agent("alice", &[]).at(ARM);
    let path = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Storage/storageAccounts/A";
    let answer = alice
        .send(Call::get(&format!("{path}?api-version=2023-01-01")))
        .await;
    assert_eq!(answer.status, 200);
    let record = stage.api.only_record("subject=alice").await;
    assert_eq!(
        record["operation"],
        "Microsoft.Storage/storageAccounts/read"
    );
    assert_eq!(record["attributes"]["resource_group"], "G");
    assert_eq!(record["attributes"]["subscription"], "S");
    assert_eq!(record["attributes"]["resource_name"], "A");
    let answer = alice
        .send(Call::post(&format!("{path}/listKeys"), ""))
        .await;
    assert_eq!(
        (answer.status, answer.code().as_deref()),
        (403, Some("denied"))
    );
}

#[tokio::test]
async fn where_nothing_is_masked_everything_passes_as_it_is() {
    let stage = Setting::with(&[allow("platform", "platform")])
        .start()
        .await;
    let alice = stage.agent("alice", &["platform"]).at(PLAIN);
    let gzip = [
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let reply = Reply::ok(gzip.to_vec())
        .header("content-encoding", "gzip")
        .header("etag", "\"v1\"");
    stage
        .upstream
        .always(reply.header("accept-ranges", "bytes"));
    let call = Call::post("/file", gzip.to_vec()).header("content-encoding", "gzip");
    let answer = alice
        .send(
            call.header("range", "bytes=0-10")
                .header("accept-encoding", "gzip"),
        )
        .await;
    assert_eq!((answer.status, answer.body()), (200, gzip.to_vec()));
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.header("etag"), Some("\"v1\""));
    assert_eq!(answer.header("content-length"), Some("20"));
    let seen = stage.upstream.seen_at("/file").remove(0);
    assert_eq!(
        (seen.body.clone(), seen.header("content-length")),
        (gzip.to_vec(), vec!["20"])
    );
    assert_eq!(
        (seen.header("range"), seen.header("accept-encoding")),
        (vec!["bytes=0-10"], vec!["gzip"])
    );

    for (method, status) in [
        ("HEAD", 200),
        ("GET", 204),
        ("GET", 304),
        ("GET", 404),
        ("GET", 500),
    ] {
        stage.upstream.always(Reply::status(status));
        let answer = alice.send(Call::new(method, "/bare")).await;
        assert_eq!((answer.status, answer.body()), (status, vec![]), "{method}");
    }
}
