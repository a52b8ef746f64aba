//! A secret never arrives: not in an answer, cut wherever, not upstream, and it stands nowhere, not
//! in the database, its write-ahead log or any log file.

use chaperone_tests::api::text;
use chaperone_tests::chaperone::Dev;
use chaperone_tests::client::{Call, Client, Http};
use chaperone_tests::files;
use chaperone_tests::script::{Gate, Script};
use chaperone_tests::stage::{MASKED, Setting, Stage, allow, approve, secret};
use chaperone_tests::upstream::{Reply, Upstream};
use hyper::HeaderMap;
use serde_json::json;

async fn stage() -> Stage {
    Setting::with(&[allow("platform", "platform")])
        .start()
        .await
}

/// `text` with what stands for the secret made the same for every key.
fn without_fingerprint(text: &str) -> String {
    let mut parts = text.split(MASKED);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (fingerprint, rest) = part.split_once(']').expect("a fingerprint ends");
        assert!(
            fingerprint.len() == 8 && fingerprint.bytes().all(|b| b.is_ascii_hexdigit()),
            "{fingerprint}"
        );
        out.push_str("<masked>");
        out.push_str(rest);
    }
    out
}

#[tokio::test]
async fn a_secret_cut_anywhere_in_a_streamed_answer_arrives_masked() {
    let stage = stage().await;
    let alice = stage.agent("alice", &["platform"]);
    let (secret, whole) = (
        secret(),
        format!("data: your key is {} indeed\n\n", secret()),
    );
    let start = whole.find(&secret).unwrap();
    let mut bodies: Vec<Script> = (start.saturating_sub(2)..=start + secret.len() + 1)
        .map(|at| {
            Script::new()
                .chunk(whole[..at].to_owned())
                .chunk(whole[at..].to_owned())
        })
        .collect();
    bodies.extend([1, 3, 7].map(|size| Script::new().cut(whole.as_bytes(), size)));
    for body in bodies {
        stage
            .upstream
            .always(Reply::ok(body.clone()).header("content-type", "text/event-stream"));
        let answer = alice.send(Call::get("/stream")).await;
        let got = without_fingerprint(&answer.text());
        assert_eq!(got, "data: your key is <masked> indeed\n\n", "{body:?}");
    }
    stage.deployment.envoy.admin.assert_no_traps().await;
}

#[tokio::test]
async fn what_is_no_secret_is_not_waited_for_and_no_byte_of_a_secret_comes_early() {
    let stage = stage().await;
    let alice = stage.agent("alice", &["platform"]);
    let secret = secret();
    for http in [Http::One, Http::Two] {
        let gate = Gate::closed();
        let (first, second) = secret.split_at(20);
        let body = Script::new()
            .chunk(format!("It is fine. The key: {first}"))
            .wait(&gate)
            .chunk(format!("{second}\nBye."));
        stage
            .upstream
            .always(Reply::ok(body).header("content-type", "text/plain"));
        let agent = alice.over(Client::new(
            stage.deployment.envoy.listener("agents").await,
            http,
        ));
        let mut answering = agent.start(Call::get("/")).await;
        // Before the secret is whole everything before it is there, and nothing of it.
        let early = answering.until("It is fine. The key: ").await.unwrap();
        assert_eq!(String::from_utf8_lossy(&early), "It is fine. The key: ");
        gate.open();
        let answer = answering.rest().await.unwrap();
        assert_eq!(
            without_fingerprint(&answer.text()),
            "It is fine. The key: <masked>\nBye."
        );
    }
}

#[tokio::test]
async fn the_secret_stands_nowhere() {
    let policy = json!({
        "apiVersion": "chaperone/v1",
        "issuers": [{"issuer": "https://login.example", "audiences": ["chaperone"], "jwks": { "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] }}],
        "connections": [{"name": "api", "hosts": ["api.example"], "protocol": "http"}],
        "rules": [
            {"name": "all", "match": {"methods": ["GET", "POST"]}, "effect": "allow"},
            approve("risky", "/risky", &json!({"hold": "0s"})),
        ],
        "masking": [{"name": "secrets", "detectors": ["secrets/*"], "on": ["request", "response"], "action": "mask"}],
    });
    let upstream = Upstream::start().await;
    let dev = Dev::start(policy, &[("api", &upstream)]).await;
    let token = dev.token("alice", &[]).await;
    let secret = secret();
    let (half, rest) = secret.split_at(17);
    let body = Script::new()
        .chunk(format!("key={half}"))
        .chunk(format!("{rest};"));
    upstream.always(Reply::ok(body).header("content-type", "text/plain"));

    // In the answer, in the request's body, in its path and query, and in a body that a human is
    // shown.
    let client = dev.client("api");
    let body = Script::new()
        .chunk(format!("{{\"key\":\"{half}"))
        .chunk(format!("{rest}\"}}"));
    let call = Call::post(&format!("/v1/{secret}/x?token={secret}"), body).bearer(&token);
    let answer = client.send(call).await.unwrap();
    assert_eq!(without_fingerprint(&answer.text()), "key=<masked>;");
    assert_eq!(
        without_fingerprint(&upstream.seen()[0].text()),
        "{\"key\":\"<masked>\"}"
    );
    let risky = Call::post("/risky", format!("send {secret} away")).bearer(&token);
    let ticket = client.send(risky).await.unwrap();
    assert_eq!(ticket.code().as_deref(), Some("approval_required"));

    let api = dev.api();
    let approval = api.pending(1).await.remove(0);
    let approval = api
        .get(&format!("/approvals/{}", text(&approval["id"])))
        .await;
    let shown = text(&approval["body"]["content"]["text"]);
    assert_eq!(without_fingerprint(shown), "send <masked> away");
    let shown = dev
        .commands
        .run(&["approvals", "show", text(&approval["id"])])
        .await
        .ok();
    assert!(
        shown.contains(MASKED) && !shown.contains(&secret),
        "{shown}"
    );

    let record = api.records("subject=alice&effect=allow", 1).await.remove(0);
    assert_eq!(without_fingerprint(text(&record["path"])), "/v1/<masked>/x");
    assert_eq!(
        without_fingerprint(text(&record["query"])),
        "token=<masked>"
    );
    assert_eq!(
        without_fingerprint(text(&record["operation"])),
        "POST /v1/<masked>/x"
    );
    assert_eq!(
        record["masked"]["secrets/github-fine-grained-pat"], 2,
        "{record}"
    );
    let shown = dev
        .commands
        .run(&["audit", "show", text(&record["id"]), "--bodies"])
        .await
        .ok();
    assert!(
        shown.contains(MASKED) && !shown.contains(&secret),
        "{shown}"
    );

    // The bodies are in these files, so the secret would be too.
    let places = files::that_hold(dev.folder(), MASKED);
    assert!(
        places
            .iter()
            .any(|path| path.to_string_lossy().ends_with(".db-wal")),
        "{places:?}"
    );
    assert!(
        dev.folder().join("logs").read_dir().unwrap().count() > 0,
        "there are logs"
    );
    assert_eq!(
        files::that_hold(dev.folder(), &secret),
        Vec::<std::path::PathBuf>::new()
    );
    assert!(!dev.process.output().contains(&secret));

    // And when all is written and closed, too.
    let mut dev = dev;
    dev.process.stop().await;
    let places = files::that_hold(dev.folder(), MASKED);
    assert!(
        places
            .iter()
            .any(|path| path.to_string_lossy().ends_with(".db")),
        "{places:?}"
    );
    assert_eq!(
        files::that_hold(dev.folder(), &secret),
        Vec::<std::path::PathBuf>::new()
    );
    assert!(!dev.process.output().contains(&secret));
}

#[tokio::test]
async fn a_masked_body_has_no_stale_length_digest_or_validator_in_either_direction() {
    let stage = stage().await;
    let alice = stage.agent("alice", &["platform"]);
    let body = format!("key: {}", secret());
    let described = |reply: Reply| {
        let reply = reply
            .header("etag", "\"strong\"")
            .header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==");
        let reply = reply
            .header("digest", "sha-256=AAAA")
            .header("content-digest", "sha-256=:AAAA:");
        reply
            .header("repr-digest", "sha-256=:AAAA:")
            .header("accept-ranges", "bytes")
    };
    stage.upstream.always(described(Reply::ok(body.clone())));
    let call = Call::post("/x", body.clone())
        .header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")
        .header("content-digest", "sha-256=:AAAA:")
        .header("range", "bytes=3-9")
        .header("if-range", "\"v\"")
        .header("accept-encoding", "gzip, br")
        .header("te", "trailers");
    // Two on one connection: with a stale length the second would begin in the first one's body.
    let mut connection = stage.client.connect().await.unwrap();
    for _ in 0..2 {
        let answer = connection.send(alice.dress(call.clone())).await.unwrap();
        assert_eq!(without_fingerprint(&answer.text()), "key: <masked>");
        let length = answer.header("content-length");
        assert!(
            length.is_none_or(|length| length.parse() == Ok(answer.body().len())),
            "{length:?}"
        );
        for gone in [
            "etag",
            "content-md5",
            "digest",
            "content-digest",
            "repr-digest",
            "accept-ranges",
        ] {
            assert_eq!(answer.header(gone), None, "{gone}");
        }
    }
    for seen in stage.upstream.seen_at("/x") {
        assert_eq!(without_fingerprint(&seen.text()), "key: <masked>");
        for gone in [
            "content-length",
            "content-md5",
            "content-digest",
            "range",
            "if-range",
            "te",
        ] {
            assert_eq!(seen.header(gone), Vec::<&str>::new(), "{gone}");
        }
        assert_eq!(seen.header("accept-encoding"), ["identity"]);
    }
    assert_eq!(stage.upstream.seen_at("/x").len(), 2);

    // A weak validator promises no bytes.
    stage
        .upstream
        .always(Reply::ok("nothing").header("etag", "W/\"weak\""));
    assert_eq!(
        alice.send(Call::get("/y")).await.header("etag"),
        Some("W/\"weak\"")
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_where_masking_applies() {
    let stage = stage().await;
    let alice = stage.agent("alice", &["platform"]);
    for encoding in ["gzip, gzip", "br", "identity, zstd", "unheard-of"] {
        let reply = Reply::ok("not what it says").header("content-encoding", encoding);
        stage.upstream.always(reply);
        let answer = alice.send(Call::get("/zipped")).await;
        assert_eq!(
            (answer.status, answer.code().as_deref()),
            (502, Some("unreadable_encoding"))
        );
        assert!(!answer.text().contains("not what it says"));
        let record = stage.api.record(text(&answer.json()["record"])).await;
        assert_eq!(record["status"], 502, "{record}");
    }
    stage.upstream.forget();
    let zipped = Call::post("/upload", "not what it says").header("content-encoding", "zstd");
    let answer = alice.send(zipped).await;
    assert_eq!(
        (answer.status, answer.code().as_deref()),
        (415, Some("unreadable_request_encoding"))
    );
    assert_eq!(stage.upstream.seen().len(), 0);
    assert_eq!(stage.metric("code.unreadable_encoding").await, 4);

    // An answer without a body has nothing to read.
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304)] {
        let reply = Reply::status(status)
            .header("content-encoding", "gzip")
            .header("etag", "\"v\"");
        stage.upstream.always(reply);
        let answer = alice.send(Call::new(method, "/bare")).await;
        assert_eq!(
            (answer.status, answer.header("etag")),
            (status, Some("\"v\"")),
            "{method}"
        );
        assert_eq!(answer.body().len(), 0);
    }
    stage
        .upstream
        .always(Reply::ok("fine").header("content-encoding", "identity"));
    assert_eq!(alice.send(Call::get("/plain")).await.text(), "fine");
}

#[tokio::test]
async fn trailers_come_through_behind_a_masked_body() {
    let stage = Setting::with(&[allow("platform", "platform")])
        .http(Http::Two, Http::Two)
        .start()
        .await;
    let alice = stage.agent("alice", &["platform"]);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "1".parse().unwrap());
    let (secret, message) = (secret(), format!("the key is {}", secret()));
    for ending in ["", " and on", " github_pat_"] {
        let whole = format!("{message}{ending}");
        let at = whole.find(&secret).unwrap() + 9;
        let body = Script::new()
            .chunk(whole[..at].to_owned())
            .chunk(whole[at..].to_owned());
        let reply = Reply::ok(body.clone().trailers(trailers.clone()));
        stage.upstream.always(reply.header("trailer", "x-checksum"));
        stage.upstream.forget();
        let call = Call::post("/rpc", body.trailers(trailers.clone()));
        let call = call.header("trailer", "x-checksum");
        let answer = alice.send(call).await;
        let expected = format!("the key is <masked>{ending}");
        assert_eq!(without_fingerprint(&answer.text()), expected);
        assert_eq!(answer.trailers["x-checksum"], "1");
        let seen = stage.upstream.wait_for("/rpc", 1).await.remove(0);
        assert_eq!(without_fingerprint(&seen.text()), expected);
        assert_eq!(seen.trailers["x-checksum"], "1");
    }
    stage.deployment.envoy.admin.assert_no_traps().await;
}
