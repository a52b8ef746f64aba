//! Whoever sends more than everybody else together takes nothing from them: no good request is
//! refused, and the trail stays small and true.

use std::path::Path;
use std::time::Instant;

use chaperone_tests::client::Call;
use chaperone_tests::load::{Load, Report};
use chaperone_tests::stage::{Setting, Stage, allow};
use serde_json::{Value, json};

/// Connections of a flood.
const CONNECTIONS: usize = 16;
/// Requests of a flood before somebody else comes, and while they are there.
const REQUESTS: u64 = 6_000;

fn rules() -> [Value; 2] {
    let required = json!({"name": "recorded", "match": {"paths": ["/recorded"]}, "effect": "allow", "audit": "required"});
    [allow("platform", "platform"), required]
}

/// Good requests, some of which go on only once their record is stored, while a flood goes on. None
/// is refused.
async fn good_requests_pass(stage: &Stage, flood: &Load) {
    const OF_ALICE: &str = "subject=alice&state=completed";
    let before = stage.api.count_records(OF_ALICE).await;
    let alice = stage.agent("alice", &["platform"]);
    let plain = Load::start(stage.client, &alice.dress(Call::get("/plain")), 2);
    let recorded = Load::start(stage.client, &alice.dress(Call::get("/recorded")), 2);
    plain.more(100).await;
    recorded.more(50).await;
    flood.more(REQUESTS / 2).await;
    let reports = [plain.stop().await, recorded.stop().await];
    for report in &reports {
        assert_eq!(report.dropped, Vec::<String>::new());
        assert_eq!(
            report.by_status.get(&200),
            Some(&report.answers()),
            "a good request was refused: {report:?}"
        );
    }
    let good: u64 = reports.iter().map(Report::answers).sum();
    let good = usize::try_from(good).unwrap();
    stage.api.expect_records(OF_ALICE, before + good).await;
}

/// Bytes of the control plane's database.
fn stored_bytes(folder: &Path) -> u64 {
    let mut bytes = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if entry
                .file_name()
                .to_string_lossy()
                .starts_with("chaperone.db")
            {
                bytes += entry.metadata().unwrap().len();
            }
        }
    }
    bytes
}

async fn stored_events(stage: &Stage) -> u64 {
    let nodes = stage.api.nodes().await;
    nodes
        .iter()
        .filter_map(|node| node["events"].as_u64())
        .sum()
}

/// How many refused requests the trail knows of: those with a record of their own, and those that
/// one counts.
async fn refused_requests(stage: &Stage, code: &str) -> (u64, u64) {
    let mut known = (0, 0);
    let alone = stage
        .api
        .count_records(&format!("code={code}&state=completed"))
        .await;
    known.0 = u64::try_from(alone).unwrap();
    let many = stage
        .api
        .records(&format!("code={code}&state=aggregated"), 0)
        .await;
    for record in many {
        assert_eq!(record["source"], "127.0.0.1", "{record}");
        assert_eq!(record["status"], 401, "{record}");
        assert_eq!(record["effect"], "deny", "{record}");
        known.1 += record["requests"].as_u64().unwrap();
    }
    known
}

/// A flood of requests that are refused with this code: the good ones pass, and the trail counts
/// every refused one without growing with them.
async fn without_identity(call: Call, code: &str, stage: &Stage) {
    let call = call.header("user-agent", "flooder/1.0");
    let (before, events) = (
        stored_bytes(stage.deployment.folder()),
        stored_events(stage).await,
    );
    let began = Instant::now();
    let flood = Load::flood(stage.client, &call, CONNECTIONS);
    for _ in 0..4 {
        flood.more(REQUESTS / 4).await;
    }
    let grown = stored_bytes(stage.deployment.folder()).saturating_sub(before);
    let bound = 1_000_000 * (began.elapsed().as_secs() + 1);
    assert!(grown < bound, "{grown} bytes for {code}, at most {bound}");
    let stored = stored_events(stage).await - events;
    assert!(stored < REQUESTS / 10, "{stored} events for {code}");

    good_requests_pass(stage, &flood).await;
    let report = flood.stop().await;
    assert_eq!(report.dropped, Vec::<String>::new());
    assert_eq!(
        report.by_status.get(&401),
        Some(&report.answers()),
        "{report:?}"
    );
    // The counted ones come when their window is over.
    let known =
        chaperone_tests::wait::until("every refused request to be in the trail", async || {
            let (alone, counted) = refused_requests(stage, code).await;
            (alone + counted >= report.answers()).then_some((alone, counted))
        })
        .await;
    assert_eq!(known.0 + known.1, report.answers(), "{known:?}");
}

#[tokio::test]
async fn requests_without_a_good_token_however_many_keep_no_good_one_out() {
    let stage = Setting::with(&rules()).start().await;
    let nobody = stage.nobody().dress(Call::get("/secret?token=none"));
    without_identity(nobody, "token_missing", &stage).await;
    // One bad signature, again and again.
    let forged = stage.issuer.token("alice").groups(&["platform"]).forged();
    let forged = stage.bearer(&forged).dress(Call::get("/plain"));
    without_identity(forged, "signature_invalid", &stage).await;

    // What an agent was told leads to the record that counts its request.
    let told = stage.nobody().send(Call::get("/last")).await.json();
    let record = stage
        .api
        .record(chaperone_tests::api::text(&told["record"]))
        .await;
    assert_eq!(record["code"], "token_missing", "{record}");
    let listed = stage
        .deployment
        .commands
        .run(&["audit", "search", "--state", "aggregated"])
        .await
        .ok();
    assert!(listed.contains("refused requests, first GET"), "{listed}");
    stage.assert_trail_is_complete().await;
    assert_eq!(stage.metric("events_dropped").await, 0);
    stage.deployment.envoy.admin.assert_no_traps().await;
}

#[tokio::test]
async fn one_callers_flood_keeps_nobody_else_out() {
    let stage = Setting::with(&rules()).start().await;
    let greedy = stage.agent("greedy", &["platform"]);
    let flood = Load::flood(
        stage.client,
        &greedy.dress(Call::get("/flood")),
        CONNECTIONS,
    );
    flood.more(REQUESTS / 2).await;
    good_requests_pass(&stage, &flood).await;
    let report = flood.stop().await;
    let passed = report.by_status.get(&200).copied().unwrap_or_default();
    let refused = report.by_status.get(&503).copied().unwrap_or_default();
    assert_eq!(passed + refused, report.answers(), "{report:?}");
    stage.assert_trail_is_complete().await;
}

#[tokio::test]
async fn while_records_cannot_be_stored_one_caller_takes_only_their_share_of_the_room() {
    let mut stage = Setting::with(&rules())
        .workers(1)
        .filter("limits", json!({"audit_queue_bytes": 65536}))
        .start()
        .await;
    stage.deployment.stop_control_plane().await;
    let greedy = stage.agent("greedy", &["platform"]);
    let flood = Load::flood(stage.client, &greedy.dress(Call::get("/flood")), 4);
    stage
        .wait_for_metric("code.audit_full", |refused| refused > 100)
        .await;
    let alice = stage.agent("alice", &["platform"]);
    for _ in 0..5 {
        let answer = alice.send(Call::get("/plain")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let report = flood.stop().await;
    stage.deployment.start_control_plane().await;
    stage
        .api
        .expect_records("subject=alice&state=completed", 5)
        .await;
    let count =
        |status| usize::try_from(report.by_status.get(&status).copied().unwrap_or(0)).unwrap();
    stage
        .api
        .expect_records("subject=greedy&effect=allow", count(200))
        .await;
    // And it is known how many of theirs were refused for it.
    chaperone_tests::wait::until("the refused requests to be counted", async || {
        let query = "subject=greedy&code=audit_full";
        let refused = stage.api.records(query, 1).await;
        let requests: u64 = refused
            .iter()
            .map(|record| record["requests"].as_u64().unwrap_or(1))
            .sum();
        (requests == report.by_status[&503]).then_some(())
    })
    .await;
    stage.assert_trail_is_complete().await;
}
