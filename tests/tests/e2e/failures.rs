//! What happens when something fails: the failure table, row by row, and the trail afterwards.

use std::time::Duration;

use chaperone_tests::client::Call;
use chaperone_tests::issuer::Key;
use chaperone_tests::load::Load;
use chaperone_tests::stage::{Setting, Stage, allow, answer, approve};
use chaperone_tests::upstream::{Reply, Upstream};
use chaperone_tests::wait;
use serde_json::{Value, json};

fn rules() -> [Value; 3] {
    let required = json!({"name": "recorded", "match": {"paths": ["/recorded"]}, "effect": "allow", "audit": "required"});
    [
        allow("platform", "platform"),
        approve("risky", "/risky", &json!({"hold": "60s"})),
        required,
    ]
}

/// The row "control plane unreachable".
async fn what_an_outage_does(stage: &Stage) {
    let alice = stage.agent("alice", &["platform"]);
    // The last policy stays in force.
    assert_eq!(alice.send(Call::get("/plain")).await.status, 200);
    let mallory = stage.agent("mallory", &["marketing"]);
    assert_eq!(
        mallory.send(Call::get("/plain")).await.code().as_deref(),
        Some("denied")
    );
    let nobody = stage.nobody().send(Call::get("/plain")).await;
    assert_eq!(nobody.code().as_deref(), Some("token_missing"));

    let risky = alice.send(Call::post("/risky", "x")).await;
    assert_eq!(
        (risky.status, risky.code().as_deref()),
        (503, Some("control_plane_unavailable"))
    );
    for call in [Call::get("/recorded"), Call::post("/recorded", "x")] {
        let recorded = alice.send(call).await;
        assert_eq!(
            (recorded.status, recorded.code().as_deref()),
            (503, Some("audit_unavailable"))
        );
        assert!(
            recorded.took < Duration::from_secs(8),
            "{:?}",
            recorded.took
        );
    }
    assert_eq!(
        stage.upstream.seen_at("/risky").len(),
        0,
        "upstream saw an unanswered question"
    );
    assert_eq!(
        stage.upstream.seen_at("/recorded").len(),
        0,
        "upstream saw what is not recorded"
    );
    stage
        .wait_for_metric("control_plane_unreachable", |workers| workers > 0)
        .await;
}

/// Everything that an outage delayed is in the trail, once and without gaps.
async fn what_comes_after(stage: &Stage, subject: &str, count: u64) {
    stage.assert_trail_is_complete().await;
    let count = usize::try_from(count).unwrap();
    stage
        .api
        .expect_records(&format!("subject={subject}&state=completed"), count)
        .await;
    let alice = stage.agent("alice", &["platform"]);
    wait::until("durable records again", async || {
        let answer = alice.send(Call::get("/recorded")).await;
        (answer.status == 200).then_some(())
    })
    .await;
    let request = alice.spawn(Call::post("/risky", "x"));
    let id = stage.api.asked().await;
    stage
        .deployment
        .commands
        .run(&["approvals", "approve", &id])
        .await
        .ok();
    assert_eq!(answer(request).await.status, 200);
    stage
        .wait_for_metric("control_plane_unreachable", |workers| workers == 0)
        .await;
    stage.deployment.envoy.admin.assert_no_traps().await;
}

#[tokio::test]
async fn control_plane_stopped_the_last_policy_stays_and_what_waited_arrives_afterwards() {
    let mut stage = Setting::with(&rules()).start().await;
    let outage = stage.agent("outage", &["platform"]);
    assert!(stage.deployment.stop_control_plane().await.success());
    what_an_outage_does(&stage).await;
    let load = Load::start(stage.client, &outage.dress(Call::get("/load")), 4);
    load.more(300).await;
    let report = load.stop().await;
    assert_eq!(report.dropped, Vec::<String>::new());
    assert_eq!(
        report.by_status.get(&200),
        Some(&report.answers()),
        "{report:?}"
    );
    stage.deployment.start_control_plane().await;
    what_comes_after(&stage, "outage", report.answers()).await;
    for (code, count) in [("control_plane_unavailable", 1), ("audit_unavailable", 2)] {
        let refused = stage.api.records(&format!("code={code}"), count).await;
        assert!(
            refused.iter().all(|record| record["status"] == 503),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn control_plane_killed_again_and_again_under_load_no_request_and_no_event_is_lost() {
    let mut stage = Setting::with(&rules()).start().await;
    let agent = stage.agent("loader", &["platform"]);
    let load = Load::start(stage.client, &agent.dress(Call::get("/load")), 3);
    for _ in 0..3 {
        load.more(60).await;
        stage.deployment.kill_control_plane().await;
        load.more(60).await;
        stage.deployment.start_control_plane().await;
    }
    load.more(30).await;
    let report = load.stop().await;
    assert_eq!(report.dropped, Vec::<String>::new());
    assert_eq!(
        report.by_status.get(&200),
        Some(&report.answers()),
        "{report:?}"
    );
    what_comes_after(&stage, "loader", report.answers()).await;
}

#[tokio::test]
async fn control_plane_frozen_is_the_same_as_gone_and_nothing_is_counted_twice() {
    let mut stage = Setting::with(&rules())
        .filter(
            "control_plane",
            json!({"cluster": "chaperone", "authority": "chaperone", "timeout_ms": 500}),
        )
        .start()
        .await;
    let outage = stage.agent("outage", &["platform"]);
    let held = stage
        .agent("holder", &["platform"])
        .spawn(Call::post("/risky", "held"));
    let id = stage.api.asked().await;
    stage.held(1).await;
    stage.deployment.control_plane_process().freeze().await;
    what_an_outage_does(&stage).await;
    for _ in 0..40 {
        assert_eq!(outage.send(Call::get("/load")).await.status, 200);
    }
    stage.held(1).await;
    stage.deployment.control_plane_process().thaw().await;
    // Who waited for a human still does.
    let bob = stage.approver("bob", "sre").await;
    bob.run(&["approvals", "approve", &id]).await.ok();
    assert_eq!(answer(held).await.status, 200);
    assert_eq!(stage.upstream.seen_at("/risky").len(), 1);
    stage.assert_trail_is_complete().await;
    stage.api.expect_records("subject=outage", 40).await;
    // A restart in the ordinary way loses nothing either.
    assert!(stage.deployment.stop_control_plane().await.success());
    stage.deployment.start_control_plane().await;
    stage.api.expect_records("subject=outage", 40).await;
    stage.deployment.envoy.admin.assert_no_traps().await;
}

#[tokio::test]
async fn no_policy_yet_is_503_until_there_is_one() {
    let mut stage = Setting::without_policy().start().await;
    let alice = stage.agent("alice", &["platform"]);
    for who in [&alice, &stage.nobody()] {
        let answer = who.send(Call::get("/")).await;
        assert_eq!(
            (answer.status, answer.code().as_deref()),
            (503, Some("no_policy"))
        );
    }
    assert_eq!(stage.upstream.seen().len(), 0);
    let refused = stage.api.records("code=no_policy", 2).await;
    assert!(
        refused
            .iter()
            .all(|record| record.get("policy_version").is_none()),
        "{refused:?}"
    );
    stage.publish(&rules()).await;
    assert_eq!(alice.send(Call::get("/")).await.status, 200);
    // An Envoy that starts while the control plane is down denies.
    stage.assert_trail_is_complete().await;
    stage.deployment.stop_control_plane().await;
    stage.deployment.restart_envoy().await;
    stage.client = stage.deployment.client().await;
    let alice = stage.agent("alice", &["platform"]);
    let answer = alice.send(Call::get("/")).await;
    assert_eq!(
        (answer.status, answer.code().as_deref()),
        (503, Some("no_policy"))
    );
    stage.deployment.start_control_plane().await;
    wait::until("the policy to come", async || {
        (alice.send(Call::get("/")).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_answer_without_our_marker_is_no_answer() {
    let mut stage = Setting::with(&rules()).start().await;
    let address = stage.deployment.control_plane();
    stage.deployment.kill_control_plane().await;
    // Somebody else listens there, and says yes to everything.
    let impostor = Upstream::start_at(address).await;
    let granted = json!({"approval": "ap_EXAMPLE", "answer": "granted", "expires_at": 9_999_999_999_999_u64,
        "acknowledged": 1_000_000_000, "decided": []});
    let alice = stage.agent("alice", &["platform"]);
    for reply in [
        Reply::json(&granted),
        Reply::status(503).body("no healthy upstream"),
        Reply::status(504),
    ] {
        impostor.always(reply);
        let risky = alice.send(Call::post("/risky", "x")).await;
        assert_eq!(risky.code().as_deref(), Some("control_plane_unavailable"));
        let recorded = alice.send(Call::get("/recorded")).await;
        assert_eq!(recorded.code().as_deref(), Some("audit_unavailable"));
    }
    assert!(
        !impostor.seen_at("/node/v1/approvals/ask").is_empty(),
        "nobody asked the impostor"
    );
    assert_eq!(stage.upstream.seen().len(), 0);
    assert_eq!(alice.send(Call::get("/plain")).await.status, 200);
    drop(impostor);
    stage.deployment.start_control_plane().await;
    // Nothing that the impostor "acknowledged" is lost.
    stage.assert_trail_is_complete().await;
    stage
        .api
        .expect_records("subject=alice&status=503", 6)
        .await;
}

/// Sends until there is no room in the event queue, or until more than fits was sent.
async fn fill_the_queue(stage: &Stage) -> (usize, Option<chaperone_tests::client::Answer>) {
    let loader = stage.agent("loader", &["platform"]);
    let mut connection = stage.client.connect().await.unwrap();
    for sent in 0..400 {
        let answer = connection
            .send(loader.dress(Call::get("/load")))
            .await
            .unwrap();
        if answer.status != 200 {
            return (sent, Some(answer));
        }
    }
    (400, None)
}

#[tokio::test]
async fn a_full_queue_blocks_unless_it_is_told_to_drop_and_drops_are_counted() {
    let limits = json!({"audit_queue_bytes": 65536});
    let mut stage = Setting::with(&rules())
        .filter("limits", limits.clone())
        .start()
        .await;
    stage.deployment.stop_control_plane().await;
    let (passed, refused) = fill_the_queue(&stage).await;
    let refused = refused.expect("the queue of 64 KiB takes 400 requests");
    assert_eq!(
        (refused.status, refused.code().as_deref()),
        (503, Some("audit_full"))
    );
    assert_eq!(stage.upstream.seen_at("/load").len(), passed);
    stage.deployment.start_control_plane().await;
    stage.assert_trail_is_complete().await;
    stage
        .api
        .expect_records("subject=loader&effect=allow", passed)
        .await;
    assert_eq!(stage.metric("events_dropped").await, 0);
    let alice = stage.agent("alice", &["platform"]);
    assert_eq!(alice.send(Call::get("/plain")).await.status, 200);

    let mut stage = Setting::with(&rules())
        .filter("limits", limits)
        .filter("on_audit_full", "drop")
        .start()
        .await;
    stage.deployment.stop_control_plane().await;
    assert_eq!(fill_the_queue(&stage).await.0, 400, "all pass");
    assert_eq!(stage.upstream.seen_at("/load").len(), 400);
    let dropped = stage
        .wait_for_metric("events_dropped", |dropped| dropped > 0)
        .await;
    let alice = stage.agent("alice", &["platform"]);
    let recorded = alice.send(Call::get("/recorded")).await;
    assert_eq!(
        recorded.code().as_deref(),
        Some("audit_unavailable"),
        "what must be recorded is not dropped"
    );
    stage.deployment.start_control_plane().await;
    stage.assert_trail_is_complete().await;
    let counted: u64 = stage
        .api
        .nodes()
        .await
        .iter()
        .filter_map(|node| node["dropped"].as_u64())
        .sum();
    assert!(
        counted >= dropped,
        "{counted} of {dropped} dropped events are known"
    );
}

#[tokio::test]
async fn an_unknown_key_is_401_and_asks_for_a_refresh() {
    let mut stage = Setting::with(&rules()).start().await;
    let old = stage.agent("alice", &["platform"]);
    assert_eq!(old.send(Call::get("/")).await.status, 200);
    stage.issuer.set_keys(vec![Key::es256("second")]);
    let new = stage.agent("alice", &["platform"]);
    let answer = new.send(Call::get("/")).await;
    assert_eq!(
        (answer.status, answer.code().as_deref()),
        (401, Some("unknown_key"))
    );
    wait::until("the new key to be fetched", async || {
        (new.send(Call::get("/")).await.status == 200).then_some(())
    })
    .await;
    // The key that was taken away does not work any more, although its token was accepted before.
    // Each worker takes the new keys when it has them, the one that answered last perhaps before
    // the other.
    wait::until("the old key to be gone", async || {
        let gone = old.send(Call::get("/")).await;
        (gone.code().as_deref() == Some("unknown_key")).then_some(())
    })
    .await;
    assert!(stage.metric("unknown_keys_reported").await >= 1);

    // An issuer in an outage: the keys that were fetched stay in force.
    stage.issuer.server().always(Reply::status(503));
    let unknown = stage.issuer.token("alice").header("kid", "third").sign();
    let unknown = stage.bearer(&unknown).send(Call::get("/")).await;
    assert_eq!(unknown.code().as_deref(), Some("unknown_key"));
    stage.deployment.kill_control_plane().await;
    stage.deployment.start_control_plane().await;
    stage.deployment.restart_envoy().await;
    stage.client = stage.deployment.client().await;
    let new = stage.agent("alice", &["platform"]);
    wait::until("the keys from the cache to be in force", async || {
        (new.send(Call::get("/")).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_envoy_that_is_drained_before_it_stops_loses_nothing() {
    let mut stage = Setting::with(&rules()).start().await;
    let alice = stage.agent("alice", &["platform"]);
    for _ in 0..30 {
        assert_eq!(alice.send(Call::get("/load")).await.status, 200);
    }
    // As docs/filter.md says: nothing new comes in, and what is in the queue is stored.
    let admin = stage.deployment.envoy.admin;
    admin.post("/drain_listeners?graceful").await;
    let stored = "subject=alice&state=completed";
    stage.api.expect_records(stored, 30).await;
    stage
        .wait_for_metric("queue_events", |waiting| waiting == 0)
        .await;
    stage.deployment.restart_envoy().await;
    stage.api.assert_nothing_is_missing().await;
    stage.api.expect_records(stored, 30).await;
    // The workers of the new one live another life, and number from the beginning.
    stage.client = stage.deployment.client().await;
    let alice = stage.agent("alice", &["platform"]);
    wait::until("the policy to come", async || {
        (alice.send(Call::get("/load")).await.status == 200).then_some(())
    })
    .await;
    stage.assert_trail_is_complete().await;
    stage.api.expect_records(stored, 31).await;
}

#[tokio::test]
async fn an_upstream_that_is_not_there_or_breaks_off_is_recorded_as_such() {
    let stage = Setting::with(&rules()).start().await;
    let alice = stage.agent("alice", &["platform"]);
    let half = chaperone_tests::script::Script::new().chunk("half").abort();
    stage
        .upstream
        .always(Reply::ok(half).header("content-type", "text/plain"));
    assert!(alice.try_send(Call::get("/broken")).await.is_err());
    let record = stage.api.only_record("subject=alice").await;
    assert_eq!(
        (&record["state"], &record["abort_cause"]),
        (&json!("aborted"), &json!("upstream"))
    );
    assert_eq!(record["status"], 200);
    let Stage {
        upstream,
        api,
        client,
        issuer,
        deployment,
        ..
    } = stage;
    drop(upstream);
    let token = issuer.token("carol").groups(&["platform"]).sign();
    let carol = chaperone_tests::stage::Agent::new(client, Some(token));
    let answer = carol.send(Call::get("/gone")).await;
    assert_eq!(
        (answer.status, answer.code()),
        (503, None),
        "Envoy's own answer"
    );
    let record = api.only_record("subject=carol").await;
    assert_eq!(
        (&record["state"], &record["status"]),
        (&json!("aborted"), &json!(503))
    );
    assert_eq!(record["abort_cause"], "upstream");
    deployment.envoy.admin.assert_no_traps().await;
}
