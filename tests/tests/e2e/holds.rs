//! Nothing of a held request reaches upstream, whatever it looks like and whatever it does
//! meanwhile.
//!
//! Envoy releases held headers when *any* body or trailers callback continues, and it makes such
//! callbacks of its own accord; so each shape of request is a way around the hold until it is
//! tried.

use std::time::Duration;

use chaperone_tests::client::{Call, Client, Http};
use chaperone_tests::raw::Socket;
use chaperone_tests::script::{Gate, Script};
use chaperone_tests::stage::{MASKED, PLAIN, Setting, Stage, allow, answer, approve, secret};
use hyper::HeaderMap;
use serde_json::json;

const PROFILES: [&str; 2] = ["headers", "body"];

/// Upstream speaks HTTP/2, so that trailers get there.
async fn stage(profile: &str, hold: &str) -> Stage {
    let any = json!({"name": "risky", "match": {"paths": ["/risky/**"]}, "effect": "approve",
        "approve": {"by": ["sre"], "hold": hold}, "reason": "Ask."});
    Setting::with(&[allow("platform", "platform"), any])
        .profile(profile)
        .http(Http::One, Http::Two)
        .start()
        .await
}

fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "1".parse().unwrap());
    trailers
}

/// Every shape of request that a client library sends, with the body that it should arrive with.
fn shapes() -> Vec<(&'static str, Call, String)> {
    let pause = Duration::from_millis(30);
    let two = || Script::new().chunk("one").pause(pause).chunk("two");
    let large = "x".repeat(900_000);
    let post = |path: &str, body: Script| Call::post(path, body);
    let with_trailers = || two().pause(pause).trailers(trailers());
    let shape = |name, call, body: &str| (name, call, body.to_owned());
    vec![
        shape("get", Call::get("/risky/get"), ""),
        shape("head", Call::new("HEAD", "/risky/head"), ""),
        shape("empty", post("/risky/empty", Script::new()), ""),
        shape("known length", Call::post("/risky/known", "body"), "body"),
        shape(
            "in pieces",
            post("/risky/pieces", two().pause(pause).chunk("three")),
            "onetwothree",
        ),
        shape(
            "end late",
            post("/risky/late", two().pause(pause * 4)),
            "onetwo",
        ),
        shape(
            "trailers",
            post("/risky/trailers", with_trailers()),
            "onetwo",
        ),
        shape(
            "announced trailers",
            post("/risky/announced", with_trailers())
                .header("trailer", "x-checksum")
                .header("te", "trailers"),
            "onetwo",
        ),
        shape(
            "trailers alone",
            post(
                "/risky/only",
                Script::new().pause(pause).trailers(trailers()),
            ),
            "",
        ),
        shape("large", Call::post("/risky/large", large.clone()), &large),
        shape(
            "large in pieces",
            post(
                "/risky/large-pieces",
                Script::new().cut(large.as_bytes(), 70_000),
            ),
            &large,
        ),
        shape(
            "not encoded and says so",
            Call::post("/risky/identity", "body").header("content-encoding", "identity"),
            "body",
        ),
    ]
}

/// A request whose answers Envoy puts in gRPC's own terms.
fn grpc() -> Call {
    Call::post("/risky/grpc", "\0\0\0\0\x02hi").header("content-type", "application/grpc")
}

#[tokio::test]
async fn no_shape_of_request_gets_around_a_hold() {
    for profile in PROFILES {
        let stage = stage(profile, "1s").await;
        let listener = stage.deployment.envoy.listener("agents").await;
        let alice = stage.agent("alice", &["platform"]);
        let mut requests = Vec::new();
        for http in [Http::One, Http::Two] {
            let agent = alice.over(Client::new(listener, http));
            for (name, call, _) in shapes() {
                requests.push((
                    format!("{name} over {http:?} in {profile}"),
                    agent.spawn(call),
                ));
            }
            let what = format!("gRPC over {http:?} in {profile}");
            requests.push((what, agent.spawn(grpc())));
        }
        for (what, request) in requests {
            let refused = answer(request).await;
            match refused.header("grpc-status") {
                None => assert_eq!(refused.status, 403, "{what}: {}", refused.text()),
                // Envoy tells gRPC clients in their own way: 7 is PERMISSION_DENIED.
                Some(status) => assert_eq!(status, "7", "{what}"),
            }
        }
        let seen = stage.upstream.seen();
        assert!(seen.is_empty(), "{profile}: upstream saw {seen:?}");
        assert_eq!(stage.metric("held_streams").await, 0);
        assert_eq!(alice.send(Call::get("/fine")).await.status, 200);
        stage.assert_trail_is_complete().await;
        stage.deployment.envoy.admin.assert_no_traps().await;
    }
}

#[tokio::test]
async fn an_upgrade_is_refused_where_it_would_have_to_be_held_or_masked() {
    for profile in PROFILES {
        let any = json!({"name": "risky", "match": {"paths": ["/risky/**"]}, "effect": "approve",
            "approve": {"by": ["sre"], "hold": "1s"}, "reason": "Ask."});
        let stage = Setting::with(&[allow("platform", "platform"), any])
            .profile(profile)
            .upgrades()
            .start()
            .await;
        let listener = stage.deployment.envoy.listener("agents").await;
        let alice = stage.agent("alice", &["platform"]);
        let websocket = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
        let h2c = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n";
        let refusal = "upgrade_not_supported";
        for (path, headers, expected) in [
            ("GET /risky/ws HTTP/1.1", websocket, refusal),
            ("GET /masked/ws HTTP/1.1", websocket, refusal),
            // Refused by Envoy or by the filter.
            ("GET /risky/h2c HTTP/1.1", h2c, "HTTP/1.1 4"),
            ("CONNECT api.example:443 HTTP/1.1", "", refusal),
        ] {
            let mut socket = Socket::connect(listener).await.unwrap();
            let head = alice.raw(path);
            socket.send(format!("{head}{headers}\r\n")).await.unwrap();
            // What a WebSocket client sends once it believes itself through.
            let frame = [0x81, 0x05, b'h', b'e', b'l', b'l', b'o'];
            socket.send(frame).await.unwrap();
            let received = socket.receive_until(expected).await.unwrap();
            let received = String::from_utf8_lossy(&received);
            assert!(
                received.starts_with("HTTP/1.1 4"),
                "{path} in {profile}: {received}"
            );
            assert!(
                received.contains(expected),
                "{path} in {profile}: {received}"
            );
        }
        let seen = stage.upstream.seen();
        assert!(seen.is_empty(), "{profile}: upstream saw {seen:?}");

        // Where nothing is held or masked it is a request as any other.
        let head = alice.at(PLAIN).raw("GET /ws HTTP/1.1");
        let mut socket = Socket::connect(listener).await.unwrap();
        let naming = websocket.replace("connection: upgrade", "connection: Upgrade, X-Kept");
        let sent = format!("{head}{naming}x-kept: here\r\n\r\n");
        socket.send(sent).await.unwrap();
        let seen = stage.upstream.wait_for("/ws", 1).await.remove(0);
        assert_eq!(seen.header("upgrade"), ["websocket"]);
        // It asks the next server to drop what it names, which may be an injected credential.
        assert_eq!(seen.header("connection"), ["upgrade"]);
        assert_eq!(seen.header("x-kept"), ["here"]);
        assert_eq!(seen.header("authorization"), Vec::<&str>::new());
        stage.deployment.envoy.admin.assert_no_traps().await;
    }
}

#[tokio::test]
async fn a_request_that_waits_for_its_go_ahead_is_held_too() {
    for profile in PROFILES {
        let stage = stage(profile, "1s").await;
        let listener = stage.deployment.envoy.listener("agents").await;
        let head = stage
            .agent("alice", &["platform"])
            .raw("POST /risky/expect HTTP/1.1");
        let mut socket = Socket::connect(listener).await.unwrap();
        socket
            .send(format!(
                "{head}expect: 100-continue\r\ncontent-length: 4\r\n\r\nbody"
            ))
            .await
            .unwrap();
        let received = socket.receive_until("approval_").await.unwrap();
        let received = String::from_utf8_lossy(&received).into_owned();
        assert!(received.contains("HTTP/1.1 403"), "{profile}: {received}");
        assert_eq!(stage.upstream.seen().len(), 0);
    }
}

#[tokio::test]
async fn once_approved_a_request_arrives_whole_and_masked_whatever_its_shape() {
    for profile in PROFILES {
        let stage = stage(profile, "60s").await;
        let listener = stage.deployment.envoy.listener("agents").await;
        let alice = stage.agent("alice", &["platform"]);
        let (secret, admin) = (secret(), &stage.deployment.commands);
        let (half, rest) = secret.split_at(15);
        for http in [Http::One, Http::Two] {
            for (ending, with_trailers) in [("end", false), ("trailers", true)] {
                let what = format!("{ending} over {http:?} in {profile}");
                let path = format!("/risky/{ending}-{http:?}-{profile}");
                let gate = Gate::closed();
                let mut body = Script::new().chunk(format!("first {half}"));
                // In the profile "headers" the question comes before the body, so the body may go
                // on.
                body = if profile == "headers" {
                    body.wait(&gate)
                } else {
                    body
                };
                body = body.chunk(format!("{rest} last"));
                body = if with_trailers {
                    body.trailers(trailers())
                } else {
                    body
                };
                let call = Call::post(&path, body).header("trailer", "x-checksum");
                let request = alice.over(Client::new(listener, http)).spawn(call);
                let id = stage.api.asked().await;
                assert_eq!(stage.upstream.seen_at(&path).len(), 0, "{what}");
                admin
                    .run(&["approvals", "approve", &id, "--unseen"])
                    .await
                    .ok();
                gate.open();
                let passed = answer(request).await;
                assert_eq!(passed.status, 200, "{what}: {}", passed.text());
                let seen = stage.upstream.wait_for(&path, 1).await.remove(0);
                let arrived = seen.text();
                assert!(
                    arrived.starts_with(&format!("first {MASKED}")),
                    "{what}: {arrived}"
                );
                assert!(arrived.ends_with("] last"), "{what}: {arrived}");
                // Envoy's HTTP/1 codec does not take trailers unless it is told to.
                if with_trailers && http == Http::Two {
                    assert_eq!(seen.trailers["x-checksum"], "1", "{what}");
                }
            }
        }
        stage.deployment.envoy.admin.assert_no_traps().await;
    }
}

#[tokio::test]
async fn upstream_sees_a_request_that_must_be_recorded_only_when_it_is() {
    for profile in PROFILES {
        let required = json!({"name": "recorded", "match": {"paths": ["/recorded/**"]}, "effect": "allow", "audit": "required"});
        let stage = Setting::with(&[required]).profile(profile).start().await;
        let listener = stage.deployment.envoy.listener("agents").await;
        for http in [Http::One, Http::Two] {
            for (name, call, body) in shapes() {
                let what = format!("{name} over {http:?} in {profile}");
                let agent = stage
                    .agent("alice", &["platform"])
                    .over(Client::new(listener, http));
                stage.upstream.forget();
                let answer = agent.send(call.to("/recorded/x")).await;
                assert_eq!(answer.status, 200, "{what}: {}", answer.text());
                let seen = stage.upstream.wait_for("/recorded/x", 1).await;
                assert_eq!(seen.len(), 1, "{what}");
                assert!(
                    seen[0].text() == body,
                    "{what}: {} bytes came",
                    seen[0].body.len()
                );
            }
        }
        stage.assert_trail_is_complete().await;
        stage.deployment.envoy.admin.assert_no_traps().await;
    }
}

#[tokio::test]
async fn what_came_before_the_record_was_stored_is_masked_when_only_trailers_follow() {
    let required =
        json!({"name": "recorded", "match": {"any": true}, "effect": "allow", "audit": "required"});
    let stage = Setting::with(&[required])
        .profile("body")
        .http(Http::Two, Http::Two)
        .start()
        .await;
    let alice = stage.agent("alice", &["platform"]);
    for count in 1..=3 {
        let path = format!("/recorded/{count}");
        let stored = Gate::closed();
        let body = Script::new()
            .chunk(format!("pay {}", secret()))
            .wait(&stored)
            .trailers(trailers());
        let request = alice.spawn(Call::post(&path, body));
        stage
            .wait_for_metric("requests_allowed", |allowed| allowed >= count)
            .await;
        stored.open();
        let passed = answer(request).await;
        assert_eq!(passed.status, 200, "{}", passed.text());
        let seen = stage.upstream.wait_for(&path, 1).await.remove(0);
        let arrived = seen.text();
        assert!(arrived.starts_with(&format!("pay {MASKED}")), "{arrived}");
        assert_eq!(seen.trailers["x-checksum"], "1");
    }
    stage.deployment.envoy.admin.assert_no_traps().await;
}

#[tokio::test]
async fn a_body_too_large_to_be_held_is_413() {
    let rules = [
        allow("platform", "platform"),
        approve("risky", "/risky", &json!({"hold": "1s"})),
    ];
    let stage = Setting::with(&rules)
        .profile("body")
        .filter("limits", json!({"body_bytes": 1000}))
        .start()
        .await;
    let alice = stage.agent("alice", &["platform"]);
    for size in [1001, 100_000, 2_000_000] {
        for body in [
            Script::from(vec![b'x'; size]),
            Script::new().cut(&vec![b'x'; size], 300_000),
        ] {
            let answer = alice.send(Call::post("/risky", body)).await;
            assert_eq!(
                (answer.status, answer.code().as_deref()),
                (413, Some("body_too_large")),
                "{size}"
            );
        }
    }
    let fits = alice.send(Call::post("/risky", vec![b'x'; 1000])).await;
    assert_eq!(fits.code().as_deref(), Some("approval_required"));
    assert_eq!(stage.upstream.seen().len(), 0);
    assert_eq!(stage.metric("code.body_too_large").await, 6);
    // Where no human looks, the size does not matter.
    assert_eq!(
        alice
            .send(Call::post("/fine", vec![b'x'; 2_000_000]))
            .await
            .status,
        200
    );
}
