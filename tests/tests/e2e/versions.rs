//! The story again on the oldest Envoy and the newest, over HTTP/2 downstream and upstream.

use std::path::PathBuf;

use chaperone_tests::api::text;
use chaperone_tests::client::{Call, Client, Http};
use chaperone_tests::load::Load;
use chaperone_tests::places;
use chaperone_tests::script::Script;
use chaperone_tests::stage::{MASKED, Setting, allow, answer, approve, secret};
use chaperone_tests::upstream::Reply;
use hyper::Version;
use serde_json::json;

async fn tell(envoy: PathBuf, http: Http, profile: &str) {
    let rules = [
        allow("platform", "platform"),
        approve("deploys", "/deploy", &json!({"hold": "60s"})),
        approve("slow", "/slow", &json!({"hold": "1s"})),
        json!({"name": "recorded", "match": {"paths": ["/recorded"]}, "effect": "allow", "audit": "required"}),
        json!({"name": "no-deletes", "match": {"methods": ["DELETE"]}, "effect": "deny", "reason": "Ask first."}),
    ];
    let mut stage = Setting::with(&rules)
        .envoy(envoy)
        .http(http, http)
        .profile(profile)
        .start()
        .await;
    let alice = stage.agent("alice", &["platform"]);

    // 1 and 2: refused and denied.
    for (who, code) in [
        (stage.nobody(), "token_missing"),
        (
            stage.bearer(&stage.issuer.token("alice").expired().sign()),
            "token_expired",
        ),
        (
            stage.bearer(&stage.issuer.token("alice").forged()),
            "signature_invalid",
        ),
    ] {
        let refused = who.send(Call::post("/v1/x", "body")).await;
        assert_eq!(
            (refused.status, refused.code().as_deref()),
            (401, Some(code))
        );
    }
    let denied = alice.send(Call::new("DELETE", "/v1/x")).await;
    assert_eq!(
        (denied.status, &denied.json()["rule"]),
        (403, &json!("no-deletes"))
    );
    assert_eq!(stage.upstream.seen().len(), 0);

    // 3 and 4: allowed, without the token, masked both ways.
    let secret = secret();
    let (half, rest) = secret.split_at(15);
    let cut = Script::new()
        .chunk(format!("key {half}"))
        .chunk(format!("{rest}.\n"));
    stage
        .upstream
        .always(Reply::ok(cut.clone()).header("content-type", "text/event-stream"));
    let allowed = alice.send(Call::post("/v1/x", cut)).await;
    assert_eq!(allowed.status, 200);
    let seen = stage.upstream.seen_at("/v1/x").remove(0);
    let version = if http == Http::Two {
        Version::HTTP_2
    } else {
        Version::HTTP_11
    };
    assert_eq!(
        (seen.version, seen.header("authorization")),
        (version, vec![])
    );
    for got in [allowed.text(), seen.text()] {
        assert!(
            got.starts_with(&format!("key {MASKED}")) && got.ends_with("].\n"),
            "{got}"
        );
    }
    assert_eq!(stage.places_with(&secret), Vec::<String>::new());
    let record = stage.api.only_record("subject=alice&effect=allow").await;
    assert_eq!(
        (&record["rule"], &record["policy_version"]),
        (&json!("platform"), &json!(1))
    );

    // 5: held, approved, asked again; over time a ticket.
    stage.upstream.always(Reply::ok("done"));
    let bob = stage.approver("bob", "sre").await;
    for round in 1..=2 {
        let request = alice.spawn(Call::post("/deploy", "x"));
        let id = stage.api.asked().await;
        stage.held(1).await;
        assert_eq!(stage.upstream.seen_at("/deploy").len(), round - 1);
        bob.run(&["approvals", "approve", &id, "--unseen"])
            .await
            .ok();
        assert_eq!(answer(request).await.text(), "done");
        assert_eq!(stage.upstream.seen_at("/deploy").len(), round);
    }
    let over = alice.send(Call::post("/slow", "x")).await;
    let code = if profile == "body" {
        "approval_required"
    } else {
        "approval_timeout"
    };
    assert_eq!((over.status, over.code().as_deref()), (403, Some(code)));
    assert_eq!(alice.send(Call::get("/recorded")).await.status, 200);

    // 6: a new version and back, under load.
    let load = Load::start(stage.client, &alice.dress(Call::get("/load")), 3);
    load.more(20).await;
    stage
        .publish(&[json!({"name": "freeze", "match": {"any": true}, "effect": "deny"})])
        .await;
    assert_eq!(alice.send(Call::get("/")).await.status, 403);
    stage
        .deployment
        .commands
        .run(&["policy", "rollback", "1", "--wait"])
        .await
        .ok();
    assert_eq!(alice.send(Call::get("/")).await.status, 200);
    load.more(20).await;
    let report = load.stop().await;
    assert_eq!(report.dropped, Vec::<String>::new());
    assert!(
        report
            .by_status
            .keys()
            .all(|status| [200, 403].contains(status)),
        "{report:?}"
    );

    // 7: without the control plane.
    stage.deployment.kill_control_plane().await;
    stage.upstream.forget();
    assert_eq!(alice.send(Call::get("/")).await.status, 200);
    let risky = alice.send(Call::post("/deploy", "x")).await;
    assert_eq!(risky.code().as_deref(), Some("control_plane_unavailable"));
    let recorded = alice.send(Call::get("/recorded")).await;
    assert_eq!(recorded.code().as_deref(), Some("audit_unavailable"));
    assert_eq!(stage.upstream.seen().len(), 1);
    stage.deployment.start_control_plane().await;
    stage.assert_trail_is_complete().await;
    let refused = stage.api.records("code=control_plane_unavailable", 1).await;
    assert_eq!(text(&refused[0]["subject"]), "alice");
    stage.deployment.envoy.admin.assert_no_traps().await;
}

#[tokio::test]
async fn the_story_on_the_newest_envoy_over_http2() {
    tell(places::envoy(), Http::Two, "body").await;
}

#[tokio::test]
async fn the_story_on_the_oldest_envoy_over_http2() {
    tell(places::oldest_envoy(), Http::Two, "body").await;
}

#[tokio::test]
async fn the_story_on_the_oldest_envoy_over_http1_with_the_other_hold_profile() {
    tell(places::oldest_envoy(), Http::One, "headers").await;
}

#[tokio::test]
async fn many_streams_of_one_http2_connection_do_not_mix() {
    let rules = [
        allow("platform", "platform"),
        approve("deploys", "/deploy/*", &json!({"hold": "60s"})),
    ];
    let stage = Setting::with(&rules)
        .http(Http::Two, Http::Two)
        .start()
        .await;
    stage
        .upstream
        .answer(|seen| Reply::ok(format!("{} {}", seen.path(), seen.text())));
    let alice = stage.agent("alice", &["platform"]);
    let listener = stage.deployment.envoy.listener("agents").await;
    let mut held = Vec::new();
    for number in 0..8 {
        held.push(alice.spawn(Call::post(
            &format!("/deploy/{number}"),
            format!("h{number}"),
        )));
    }
    let pending = stage.api.pending(8).await;
    stage.held(8).await;
    let agent = alice.over(Client::http2(listener));
    for number in 0..40 {
        let passed = agent
            .send(Call::post(&format!("/p/{number}"), format!("p{number}")))
            .await;
        assert_eq!(passed.text(), format!("/p/{number} p{number}"));
    }
    for approval in pending {
        let answer = stage
            .api
            .post(
                &format!("/approvals/{}/approve", text(&approval["id"])),
                &json!({}),
            )
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    for (number, request) in held.into_iter().enumerate() {
        assert_eq!(
            answer(request).await.text(),
            format!("/deploy/{number} h{number}")
        );
    }
    stage.deployment.envoy.admin.assert_no_traps().await;
}
