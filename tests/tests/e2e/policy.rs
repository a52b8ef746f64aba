//! Publishing a new version changes the next request; rolling back too; both without dropping a
//! request under load.

use chaperone_tests::api::text;
use chaperone_tests::client::Call;
use chaperone_tests::load::Load;
use chaperone_tests::stage::{Setting, Stage, allow, answer, approve};
use chaperone_tests::upstream::Reply;
use chaperone_tests::wait;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn deny_all() -> Value {
    json!({"name": "freeze", "match": {"any": true}, "effect": "deny", "reason": "Release freeze."})
}

/// Asks on so many connections that every worker is asked, and gives the one status that all got.
async fn status_everywhere(stage: &Stage) -> u16 {
    let alice = stage.agent("alice", &["platform"]);
    let mut statuses = Vec::new();
    for _ in 0..16 {
        let answer = alice.send(Call::get("/now")).await;
        statuses.push((answer.status, answer.code()));
    }
    statuses.dedup();
    assert_eq!(statuses.len(), 1, "workers disagree: {statuses:?}");
    statuses[0].0
}

#[tokio::test]
async fn publishing_and_rolling_back_change_the_next_request_and_drop_none_under_load() {
    let permissive = [allow("platform", "platform")];
    let stage = Setting::with(&permissive).start().await;
    let commands = &stage.deployment.commands;
    let loader = stage.agent("loader", &["platform"]);
    let load = Load::start(stage.client, &loader.dress(Call::get("/load")), 4);
    load.more(50).await;
    assert_eq!(status_everywhere(&stage).await, 200);

    for round in 0..3 {
        stage.publish(&[permissive[0].clone(), deny_all()]).await;
        assert_eq!(
            status_everywhere(&stage).await,
            403,
            "published, round {round}"
        );
        load.more(50).await;
        commands
            .run(&["policy", "rollback", "1", "--wait"])
            .await
            .ok();
        assert_eq!(
            status_everywhere(&stage).await,
            200,
            "rolled back, round {round}"
        );
        load.more(50).await;
    }
    let report = load.stop().await;
    assert_eq!(report.dropped, Vec::<String>::new());
    let statuses: Vec<u16> = report.by_status.keys().copied().collect();
    assert_eq!(statuses, [200, 403], "{report:?}");

    // Every request is in the trail, each under the version that decided it.
    stage.assert_trail_is_complete().await;
    let answers = usize::try_from(report.answers()).unwrap();
    stage
        .api
        .expect_records("subject=loader&state=completed", answers)
        .await;
    for version in 1..=7 {
        let effect = if version % 2 == 1 { "allow" } else { "deny" };
        let found = stage
            .api
            .count_records(&format!("subject=loader&policy_version={version}"))
            .await;
        let right = stage
            .api
            .count_records(&format!(
                "subject=loader&policy_version={version}&effect={effect}"
            ))
            .await;
        assert!(
            found > 0 && found == right,
            "version {version}: {right} of {found} are {effect}"
        );
    }
    let current = stage.api.get("/policies/current").await;
    assert_eq!(
        (&current["version"], &current["rollback_of"]),
        (&json!(7), &json!(1))
    );
    assert_eq!(
        current["digest"],
        stage.api.get("/policies/1").await["digest"]
    );
    for node in stage.api.nodes().await {
        assert_eq!(node["enforced"]["policy_version"], 7, "{node}");
    }
    stage.deployment.envoy.admin.assert_no_traps().await;
}

#[tokio::test]
async fn a_stream_that_began_under_one_version_ends_under_it() {
    let before = [
        allow("platform", "platform"),
        approve("deploys", "/deploy", &json!({"hold": "60s"})),
    ];
    let stage = Setting::with(&before).start().await;
    let alice = stage.agent("alice", &["platform"]);
    let request = alice.spawn(Call::post("/deploy", "x"));
    let id = stage.api.asked().await;
    stage.held(1).await;
    stage.publish(&[deny_all()]).await;
    assert_eq!(status_everywhere(&stage).await, 403);
    stage.held(1).await;
    stage
        .deployment
        .commands
        .run(&["approvals", "approve", &id])
        .await
        .ok();
    assert_eq!(answer(request).await.status, 200);
    let record = stage.api.only_record("subject=alice&q=/deploy").await;
    assert_eq!(
        (&record["policy_version"], &record["status"]),
        (&json!(1), &json!(200))
    );
}

#[tokio::test]
async fn what_is_wrong_is_not_published_and_the_version_in_force_stays() {
    let stage = Setting::with(&[allow("platform", "platform")])
        .start()
        .await;
    let folder = stage.deployment.folder().to_owned();
    let refused = async |document: String, part: &str| {
        std::fs::write(folder.join("wrong.yaml"), document).unwrap();
        let ran = stage
            .deployment
            .commands
            .run(&["policy", "publish", "wrong.yaml"])
            .await;
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(
            ran.stderr.contains(part) || ran.stdout.contains(part),
            "no {part} in {ran:?}"
        );
    };
    let mut misspelt = allow("platform", "platform");
    misspelt["match"] = json!({"goups": ["platform"]});
    refused(stage.policy(&[misspelt]), "goups").await;
    let mut with_tests: Value = serde_json::from_str(&stage.policy(&[deny_all()])).unwrap();
    with_tests["tests"] =
        json!([{"as": {}, "request": "GET https://api.example/", "expect": "allow"}]);
    refused(with_tests.to_string(), "tests[0]").await;
    let mut later = allow("later", "platform");
    later["when"] = json!("true");
    refused(stage.policy(&[later]), "when").await;

    let versions = stage.api.get("/policies").await;
    assert_eq!(versions["items"].as_array().unwrap().len(), 1, "{versions}");
    assert_eq!(status_everywhere(&stage).await, 200);
    // The same again is no new version, and two authors do not undo each other's work.
    let same = json!({"document": stage.policy(&[allow("platform", "platform")])});
    let same = stage.api.post("/policies", &same).await.json();
    assert_eq!(
        (&same["unchanged"], &same["version"]),
        (&json!(true), &json!(1)),
        "{same}"
    );
    let other = json!({"document": stage.policy(&[deny_all()]), "expected_current": 0});
    let conflict = stage.api.post("/policies", &other).await;
    assert_eq!(
        (conflict.status, text(&conflict.json()["code"])),
        (409, "version_conflict")
    );
}

/// As many detectors as a rule file of the field has. None of another `version` is the same.
fn detectors(version: u32) -> Vec<Value> {
    let detector = |number| {
        let regex = format!(
            r"svc{number:03}-v{version}[_-](?:[a-z0-9]{{4}}-){{2,6}}[a-zA-Z0-9_-]{{20,36}}=?[A-F]{{6}}"
        );
        json!({"name": format!("custom/service-{number}"), "regex": regex})
    };
    (0..200).map(detector).collect()
}

#[tokio::test]
async fn a_policy_with_hundreds_of_new_detectors_is_made_between_the_requests_of_a_worker() {
    let masking = [
        json!({"name": "services", "detectors": ["custom/*"], "on": ["response"],
        "connections": ["api"]}),
    ];
    let closed = json!({"name": "closed", "match": {"paths": ["/new"]}, "effect": "deny"});
    let rules = [closed, allow("platform", "platform")];
    let stage = Setting::with(&rules)
        .detectors(&detectors(1))
        .masking(&masking)
        .workers(1)
        .start()
        .await;
    let found = "svc042-v2-ab12-cd34-EXAMPLEEXAMPLEEXAMPLE0ABCDEF";
    stage
        .upstream
        .always(Reply::ok(found).header("content-type", "text/plain"));
    let alice = stage.agent("alice", &["platform"]);
    assert_eq!(alice.send(Call::get("/old")).await.text(), found);

    let mut next: Value = serde_json::from_str(&stage.policy(&rules[1..])).expect("JSON");
    next["detectors"] = detectors(2).into();
    let file = stage.deployment.folder().join("next.yaml");
    std::fs::write(file, next.to_string()).expect("the folder can be written");
    let commands = &stage.deployment.commands;
    commands.run(&["policy", "publish", "next.yaml"]).await.ok();
    let began = Instant::now();
    let mut longest = Duration::ZERO;
    let answer = wait::until("the new policy", async || {
        let sent = Instant::now();
        let answer = alice.send(Call::get("/new")).await;
        longest = longest.max(sent.elapsed());
        (answer.status == 200).then_some(answer)
    })
    .await;
    let all = began.elapsed();
    let text = answer.text();
    assert!(text.starts_with("[masked:service-42:"), "{text}");
    // Envoy's main thread makes a gate as well, and hands the bundle on to the worker when it has.
    // So in one go the worker would stand still for almost half of the time.
    assert!(
        longest * 3 < all,
        "one of {all:?} in which the policy was made waited {longest:?}"
    );
}
