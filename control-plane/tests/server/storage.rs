//! Storage that fails, for a moment or for good: nothing is called stored that is not, the rest
//! goes on, and when it is over all goes on.

use std::path::Path;
use std::time::Duration;

use chaperone_engine::audit::RecordId;
use chaperone_engine::link::NodeId;
use chaperone_engine::policy::ApproveTerms;
use serde_json::json;
use sqlx::Connection as _;

use crate::kit::{Answer, POLICY, Server, node, principal, record, request_line};
use crate::process::{self, Process, database_files, db, said};

/// Every call that writes, by its name. Each is made so that it succeeds when storage does.
async fn writes(server: &Server, attempt: u64) -> Vec<(&'static str, Answer)> {
    let envoy = node("envoy-1", 1);
    let policy = POLICY.replace(
        "Writes need",
        &format!("For the {attempt}th time, writes need"),
    );
    let token = json!({ "name": format!("eve-{attempt}"), "groups": [], "role": "auditor" });
    vec![
        ("events", send_record(server, &envoy, attempt).await),
        (
            "report",
            server
                .data(
                    "/node/v1/policy",
                    json!({ "node": envoy, "filter_version": "0", "wait_ms": 0 }),
                )
                .await,
        ),
        ("ask", ask(server, &envoy, attempt).await),
        ("token", server.post("/api/v1/tokens", token).await),
        ("publish", server.publish(&policy).await),
    ]
}

/// The `n`th record of a node, from 1 on.
async fn send_record(server: &Server, node: &NodeId, n: u64) -> Answer {
    let events = record(node, n, 4 * n - 3, "alice", &format!("/{n}"));
    server.events(node, &events).await
}

async fn ask(server: &Server, node: &NodeId, n: u64) -> Answer {
    let body = json!({
        "node": node,
        "record": RecordId::new(&node.boot, n),
        "digest": format!("{n:064x}"),
        "principal": principal("alice"),
        "connection": "api",
        "operation": { "action": "POST /things", "attributes": {} },
        "request": request_line("/things"),
        "rule": "writes",
        "reason": "Writes need an SRE.",
        "terms": ApproveTerms::by(["sre"]),
        "policy_version": 1,
    });
    server.data("/node/v1/approvals/ask", body).await
}

/// Waits until the control plane says that it is ready.
async fn ready(server: &Server) {
    let ready = async {
        while server.get("/readyz").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ready)
        .await
        .expect("it is ready again");
}

/// Waits until the control plane says that it is not ready, and why.
async fn not_ready(server: &Server) -> String {
    let not_ready = async {
        loop {
            let answer = server.get("/readyz").await;
            // What was seen a moment before counts for a second.
            if answer.status != 200 {
                let problem = answer.problem(503, "storage_unavailable");
                return problem["detail"].as_str().unwrap().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), not_ready)
        .await
        .expect("it is not ready")
}

async fn records(server: &Server) -> usize {
    let records = server.get("/api/v1/records").await.ok();
    records["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn while_nothing_can_be_written_every_write_is_503_and_afterwards_all_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let process = Process::start(&temp.path().join("data")).await;
    let server = &process.server;
    let approver = server.token("approver", "bob", &["sre"]).await;
    let question = ask(server, &node("envoy-2", 2), 1).await.ok();
    let approve = format!(
        "/api/v1/approvals/{}/approve",
        question["approval"].as_str().unwrap()
    );
    let tokens = server.get("/api/v1/tokens").await.ok();
    let bob = tokens["items"].as_array().unwrap().iter();
    let bob = bob.clone().find(|token| token["name"] == "bob").unwrap();
    let revoke = format!("/api/v1/tokens/{}", bob["id"].as_str().unwrap());
    let yes = || server.call("POST", &approve, Some(&approver), Some("{}".to_owned()));
    let revoked = || server.call("DELETE", &revoke, Some(&server.admin), None);
    ready(server).await;

    for attempt in 1..=3 {
        // The log cannot be written either, which must not end anything.
        process.may_write(false);
        for (name, answer) in writes(server, attempt).await {
            assert_eq!(answer.status, 503, "{name}: {}", answer.text);
            answer.problem(503, "storage_unavailable");
        }
        yes().await.problem(503, "storage_unavailable");
        revoked().await.problem(503, "storage_unavailable");
        let why = not_ready(server).await;
        assert!(why.starts_with("Nothing can be stored since 20"), "{why}");
        assert!(why.contains("limit on the size of files"), "{why}");
        // The rest goes on.
        assert_eq!(server.get("/healthz").await.status, 200);
        assert_eq!(records(server).await as u64, attempt - 1);
        let metrics = server.get("/metrics").await.text;
        assert!(metrics.contains("chaperone_storage_ready 0"), "{metrics}");

        process.may_write(true);
        for (name, answer) in writes(server, attempt).await {
            assert!(
                answer.status < 300,
                "{name}: {} {}",
                answer.status,
                answer.text
            );
        }
        assert_eq!(records(server).await as u64, attempt);
        ready(server).await;
        let metrics = server.get("/metrics").await.text;
        assert!(metrics.contains("chaperone_storage_ready 1"), "{metrics}");
    }
    yes().await.ok();
    assert_eq!(revoked().await.status, 204);
    assert!(process.stop().await.success());
}

#[tokio::test]
async fn while_another_program_keeps_the_lock_it_is_not_ready_and_then_it_is() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let process = Process::start(&dir).await;
    let server = &process.server;
    let envoy = node("envoy-1", 1);
    send_record(server, &envoy, 1).await.ok();
    let file = format!("sqlite:{}", dir.join("chaperone.db").display());
    let mut other = sqlx::SqliteConnection::connect(&file).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();

    let asked = tokio::time::timeout(Duration::from_secs(5), server.get("/readyz"));
    let problem = asked.await.unwrap().problem(503, "storage_unavailable");
    let why = problem["detail"].as_str().unwrap();
    assert!(why.ends_with(": a write does not end."), "{why}");
    let refused = send_record(server, &envoy, 2).await;
    let refused = refused.problem(503, "storage_unavailable");
    let why = refused["detail"].as_str().unwrap();
    assert!(
        why.starts_with("Another program keeps the database locked."),
        "{why}"
    );

    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    send_record(server, &envoy, 2).await.ok();
    ready(server).await;
}

#[tokio::test]
async fn nothing_is_called_stored_that_goes_into_a_file_which_was_removed_moved_or_replaced() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let aside = temp.path().join("aside");
    let envoy = node("envoy-1", 1);
    for name in 0..3 {
        let process = Process::start(&dir).await;
        let server = &process.server;
        let stored = records(server).await as u64;
        send_record(server, &envoy, stored + 1).await.ok();
        let path = database_files(&dir)[name].clone();
        let named = path.display();
        for replaced in [false, true] {
            std::fs::rename(&path, &aside).unwrap();
            if replaced {
                std::fs::copy(&aside, &path).unwrap();
            }
            let refused = send_record(server, &envoy, stored + 2).await;
            assert_eq!(refused.status, 503, "{named}: {}", refused.text);
            let refused = refused.problem(503, "storage_unavailable");
            let why = refused["detail"].as_str().unwrap();
            assert!(why.contains("removed, moved or replaced"), "{named}: {why}");
            let why = not_ready(server).await;
            assert!(why.contains("removed, moved or replaced"), "{named}: {why}");
            // What was stored can be read, and nothing else.
            assert_eq!(records(server).await as u64, stored + 1, "{named}");
            std::fs::rename(&aside, &path).unwrap();
        }
        // Back in its place.
        send_record(server, &envoy, stored + 2).await.ok();
        ready(server).await;
        assert!(process.stop().await.success());
    }
    let process = Process::start(&dir).await;
    assert_eq!(records(&process.server).await, 6);
}

#[tokio::test]
async fn a_backup_that_is_put_in_place_while_it_runs_is_not_harmed_when_it_stops() {
    let temp = tempfile::tempdir().unwrap();
    let (dir, kept) = (temp.path().join("data"), temp.path().join("kept"));
    let process = Process::start(&dir).await;
    std::fs::create_dir(&kept).unwrap();
    for path in database_files(&dir) {
        std::fs::rename(&path, kept.join(path.file_name().unwrap())).unwrap();
    }
    // A database whose newest rows stand in its log alone.
    let file = format!("sqlite:{}?mode=rwc", dir.join("chaperone.db").display());
    let mut backup = sqlx::SqliteConnection::connect(&file).await.unwrap();
    for statement in ["PRAGMA journal_mode = WAL", "CREATE TABLE precious (a)"] {
        sqlx::query(statement).execute(&mut backup).await.unwrap();
    }
    let log = std::fs::metadata(dir.join("chaperone.db-wal"))
        .unwrap()
        .len();
    assert!(log > 0);
    assert!(process.stop().await.success());
    let after = std::fs::metadata(dir.join("chaperone.db-wal"))
        .unwrap()
        .len();
    assert_eq!(after, log, "its log is still there");
}

#[tokio::test]
async fn a_data_directory_that_was_moved_is_neither_written_into_nor_served_twice() {
    let temp = tempfile::tempdir().unwrap();
    let (dir, moved) = (temp.path().join("data"), temp.path().join("moved"));
    let process = Process::start(&dir).await;
    std::fs::rename(&dir, &moved).unwrap();
    let refused = send_record(&process.server, &node("envoy-1", 1), 1).await;
    refused.problem(503, "storage_unavailable");
    std::fs::remove_file(moved.join("lock")).unwrap();
    let why = process::refused_to_start(&moved);
    assert!(why.contains("another control plane works in"), "{why}");
}

#[tokio::test]
async fn a_database_that_was_lost_or_emptied_is_not_begun_anew_unasked() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let process = Process::start(&dir).await;
    let (admin, envoy) = (process.server.admin.clone(), node("envoy-1", 1));
    send_record(&process.server, &envoy, 1).await.ok();
    let running = said(&db("begin-anew", &dir));
    assert!(
        running.contains("nother control plane works in"),
        "{running}"
    );
    process.stop().await;
    let healthy = said(&db("begin-anew", &dir));
    assert!(healthy.contains("nothing to begin anew"), "{healthy}");

    let [file, ..] = database_files(&dir);
    for emptied in [false, true] {
        if emptied {
            std::fs::File::create(&file).unwrap();
        } else {
            std::fs::remove_file(&file).unwrap();
        }
        let why = process::refused_to_start(&dir);
        assert!(why.contains("was lost or emptied"), "{why}");
        assert!(why.contains("chaperone db begin-anew"), "{why}");
        assert!(why.contains("chaperone db restored"), "{why}");
    }
    // Its log may be all that is left of it, and hold all that was acknowledged.
    std::fs::remove_file(&file).unwrap();
    std::fs::write(dir.join("chaperone.db-wal"), "what is left").unwrap();
    let begun = db("begin-anew", &dir);
    assert!(begun.status.success(), "{}", said(&begun));
    let names = std::fs::read_dir(&dir).unwrap();
    let mut names = names.map(|entry| entry.unwrap().path());
    let aside = names.find(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.contains(".before-") && name.ends_with("-wal")
    });
    let aside = std::fs::read_to_string(aside.expect("the log is kept")).unwrap();
    assert_eq!(aside, "what is left");

    let process = Process::start(&dir).await;
    assert_eq!(process.server.admin, admin);
    assert_eq!(records(&process.server).await, 0);
    // The tokens of the data directory work, and the loss shows.
    send_record(&process.server, &envoy, 2).await.ok();
    let nodes = process.server.get("/api/v1/nodes").await.ok();
    let gaps = json!([{ "first": 1, "last": 4 }]);
    assert_eq!(nodes["items"][0]["gaps"], gaps);
    let checked = db("check", &dir);
    assert!(checked.status.success(), "{}", said(&checked));
    assert!(said(&checked).contains("begun_anew"), "{}", said(&checked));
    assert!(process.stop().await.success());
    Process::start(&dir).await;
}

#[tokio::test]
async fn an_older_copy_and_another_database_are_not_taken_unasked() {
    let temp = tempfile::tempdir().unwrap();
    let (dir, other) = (temp.path().join("data"), temp.path().join("other"));
    let backup = temp.path().join("backup.db");
    let [file, ..] = database_files(&dir);
    let process = Process::start(&dir).await;
    let approver = process.server.token("approver", "bob", &["sre"]).await;
    let question = ask(&process.server, &node("envoy-1", 1), 1).await.ok();
    let question = format!(
        "/api/v1/approvals/{}",
        question["approval"].as_str().unwrap()
    );
    let approve = format!("{question}/approve");
    let yes = process
        .server
        .call("POST", &approve, Some(&approver), Some("{}".to_owned()));
    yes.await.ok();
    process.stop().await;
    std::fs::copy(&file, &backup).unwrap();
    // The grant is used after the backup was made.
    let process = Process::start(&dir).await;
    let granted = ask(&process.server, &node("envoy-1", 1), 1).await.ok();
    assert_eq!(granted["answer"], "granted");
    process.stop().await;

    std::fs::copy(&backup, &file).unwrap();
    let why = process::refused_to_start(&dir);
    assert!(why.contains("is older than this data directory"), "{why}");
    assert!(why.contains("chaperone db restored"), "{why}");
    Process::start(&other).await.stop().await;
    std::fs::copy(database_files(&other)[0].clone(), &file).unwrap();
    let why = process::refused_to_start(&dir);
    assert!(
        why.contains("is not the one of this data directory"),
        "{why}"
    );

    std::fs::copy(&backup, &file).unwrap();
    let restored = db("restored", &dir);
    assert!(restored.status.success(), "{}", said(&restored));
    let process = Process::start(&dir).await;
    let seen = process.server.get(&question).await.ok();
    assert_eq!(seen["state"], "expired", "a grant is not used twice");
    let checked = said(&db("check", &dir));
    assert!(checked.contains("restored"), "{checked}");
    // It is the directory's own from now on.
    process.stop().await;
    Process::start(&dir).await;
}

/// Fills the database until its file has many pages, and stops.
async fn filled(dir: &Path) -> u64 {
    let process = Process::start(dir).await;
    for n in 1..=40 {
        let envoy = node("envoy-1", n);
        let events: Vec<_> = (0..50_u64)
            .flat_map(|at| record(&envoy, at + 1, 4 * at + 1, "alice", "/a"))
            .collect();
        process.server.events(&envoy, &events).await.ok();
    }
    process.stop().await;
    std::fs::metadata(&database_files(dir)[0]).unwrap().len()
}

/// Writes garbage over the pages in the middle of the file.
fn damage(file: &Path, length: u64) {
    use std::os::unix::fs::FileExt as _;
    let open = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    let middle = vec![0xA5; (length / 2) as usize];
    open.write_all_at(&middle, length / 4).unwrap();
}

#[tokio::test]
async fn damage_is_found_at_the_start_while_it_runs_and_when_somebody_asks() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let length = filled(&dir).await;
    let [file, ..] = database_files(&dir);
    let whole = std::fs::read(&file).unwrap();
    let process = Process::start(&dir).await;
    let checked = db("check", &dir);
    assert!(checked.status.success(), "{}", said(&checked));
    assert!(said(&checked).contains("No damage"), "{}", said(&checked));

    damage(&file, length);
    let why = not_ready(&process.server).await;
    assert!(why.contains("the database is damaged"), "{why}");
    let checked = db("check", &dir);
    assert_eq!(checked.status.code(), Some(1), "{}", said(&checked));
    assert!(said(&checked).contains("is damaged"), "{}", said(&checked));
    process.stop().await;

    damage(&file, length);
    let why = process::refused_to_start(&dir);
    assert!(why.contains("the database is damaged"), "{why}");
    let [_, log, index] = database_files(&dir);
    for left in [log, index] {
        drop(std::fs::remove_file(left));
    }
    std::fs::write(&file, &whole).unwrap();
    let restored = db("restored", &dir);
    assert!(restored.status.success(), "{}", said(&restored));
    Process::start(&dir).await;
}
