//! Starting, stopping, starting again: secrets stay secret and nothing that was promised is lost.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use chaperone::serve::{ServeConfig, serve};
use serde_json::json;
use sqlx::Connection as _;

use crate::http2;
use crate::kit::{self, POLICY, node, record};

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

fn holds(path: &Path, needle: &str) -> bool {
    std::fs::read(path)
        .unwrap()
        .windows(needle.len())
        .any(|w| w == needle.as_bytes())
}

#[tokio::test]
async fn secrets_have_tight_modes_and_stand_in_no_other_file() {
    let (server, temp) = kit::start().await;
    let dir = temp.path().join("data");
    let made = server.token("auditor", "eve", &[]).await;
    server.publish(POLICY).await.ok();
    assert!(server.admin.starts_with("chp_") && server.node.len() > 40);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let read = |name: &str| {
        std::fs::read_to_string(dir.join(name))
            .unwrap()
            .trim()
            .to_owned()
    };
    let signing = read("signing.key");
    let fingerprint = read("fingerprint.key");
    for name in ["chaperone.db", "chaperone.db-wal", "chaperone.db-shm"] {
        assert_eq!(mode(&dir.join(name)), 0o600, "{name}");
    }
    for (name, secret) in [
        ("signing.key", &signing),
        ("fingerprint.key", &fingerprint),
        ("admin.token", &server.admin),
        ("node.token", &server.node),
        ("", &made),
    ] {
        for path in files(&dir) {
            let own = path.file_name().unwrap() == name;
            assert_eq!(holds(&path, secret), own, "{name} in {}", path.display());
            if own {
                assert_eq!(mode(&path), 0o600, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let server = kit::start_in(&dir, Vec::new()).await;
    let envoy = node("envoy-1", 1);
    server.publish(POLICY).await.ok();
    server
        .events(&envoy, &record(&envoy, 1, 1, "alice", "/a"))
        .await
        .ok();
    let (admin, node_token) = (server.admin.clone(), server.node.clone());
    let key = server.running.as_ref().unwrap().public_key.clone();
    let poll = json!({ "node": envoy, "filter_version": "0", "wait_ms": 0 });
    let bundle = server.data("/node/v1/policy", poll.clone()).await.ok();
    server.stop().await;

    let server = kit::start_in(&dir, Vec::new()).await;
    assert_eq!((&server.admin, &server.node), (&admin, &node_token));
    assert_eq!(server.running.as_ref().unwrap().public_key, key);
    assert_eq!(
        server.data("/node/v1/policy", poll).await.ok(),
        bundle,
        "the very same bundle"
    );
    let again = server
        .events(&envoy, &record(&envoy, 1, 1, "alice", "/a"))
        .await
        .ok();
    assert_eq!(again["acknowledged"], 4);
    assert_eq!(
        server.get("/api/v1/nodes").await.ok()["items"][0]["events"],
        4
    );
    assert_eq!(
        server.get("/api/v1/records").await.ok()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let next = server
        .events(&envoy, &record(&envoy, 2, 5, "alice", "/b"))
        .await
        .ok();
    assert_eq!(next["acknowledged"], 8);
}

#[tokio::test]
async fn a_token_file_that_was_taken_away_does_not_come_back() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let server = kit::start_in(&dir, Vec::new()).await;
    let admin = server.admin.clone();
    server.stop().await;
    std::fs::remove_file(dir.join("admin.token")).unwrap();
    let server = kit::start_in(&dir, Vec::new()).await;
    assert!(!dir.join("admin.token").exists());
    let who = server
        .call("GET", "/api/v1/whoami", Some(&admin), None)
        .await
        .ok();
    assert_eq!(
        (who["role"].as_str(), who["groups"].clone()),
        (Some("admin"), json!(["*"]))
    );
}

#[tokio::test]
async fn stopping_ends_streams() {
    let (mut server, _temp) = kit::start().await;
    let mut tail = server.stream("/api/v1/records/tail").await.begun().await;
    let mut watch = server.stream("/api/v1/approvals/watch").await;
    server.begin_stop();
    assert!(tail.next().await.is_none());
    assert!(watch.next().await.is_none());
    server.running.take().unwrap().stopped().await;
}

#[tokio::test]
async fn a_long_poll_is_answered_when_the_control_plane_stops() {
    let (mut server, _temp) = kit::start().await;
    let running = server.running.take().unwrap();
    let poll = json!({ "node": node("envoy-1", 1), "filter_version": "0", "wait_ms": 50_000 });
    let body = poll.to_string();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    let request = client
        .post(format!("{}/node/v1/policy", server.base))
        .bearer_auth(&server.node)
        .body(body)
        .send();
    let request = tokio::spawn(request);
    while !server
        .get("/metrics")
        .await
        .text
        .contains("chaperone_long_polls 1")
    {
        tokio::task::yield_now().await;
    }
    server.begin_stop();
    // Long before its own wait is over.
    let answer = tokio::time::timeout(Duration::from_secs(25), request).await;
    let answer = answer.expect("an answer was expected").unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-chaperone"], "1");
    assert_eq!(answer.text().await.unwrap(), "{}");
    running.stopped().await;
}

#[tokio::test]
async fn a_second_control_plane_on_the_same_directory_does_not_start() {
    let (_server, temp) = kit::start().await;
    let dir = temp.path().join("data");
    for removed in [false, true] {
        if removed {
            std::fs::remove_file(dir.join("lock")).unwrap();
        }
        let mut config = ServeConfig::new(&dir);
        config.listen.set_port(0);
        let error = serve(config, std::future::pending())
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("another control plane"), "{error}");
    }
}

/// What another version has left in the database of a control plane that is stopped.
async fn change_database(dir: &Path, statements: &[&'static str]) {
    let file = format!("sqlite:{}", dir.join("chaperone.db").display());
    let mut database = sqlx::SqliteConnection::connect(&file).await.unwrap();
    for statement in statements {
        sqlx::query(*statement)
            .execute(&mut database)
            .await
            .unwrap();
    }
    database.close().await.unwrap();
}

#[tokio::test]
async fn a_database_of_a_later_version_is_not_opened() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    kit::start_in(&dir, Vec::new()).await.stop().await;
    let later = "INSERT INTO _sqlx_migrations \
                 (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'later', 1, x'00', 0)";
    change_database(&dir, &[later]).await;
    let mut config = ServeConfig::new(&dir);
    config.listen.set_port(0);
    let error = serve(config, std::future::pending()).await.unwrap_err();
    assert!(error.to_string().contains("schema"), "{error}");
}

#[tokio::test]
async fn a_database_of_before_nodes_said_what_they_read_is_brought_up_to_date() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let server = kit::start_in(&dir, Vec::new()).await;
    let poll = json!({ "node": node("envoy-1", 1), "filter_version": "0.1.0", "wait_ms": 0 });
    server.data("/node/v1/policy", poll).await.ok();
    server.stop().await;
    std::fs::remove_file(dir.join("instance")).unwrap();
    let before = &[
        "DROP TABLE instance",
        "DROP TABLE instance_history",
        "ALTER TABLE nodes DROP COLUMN reads",
        "ALTER TABLE records DROP COLUMN source",
        "ALTER TABLE records DROP COLUMN user_agent",
        "ALTER TABLE records DROP COLUMN requests",
        "ALTER TABLE records DROP COLUMN taken",
        "DROP INDEX records_by_position",
        "ALTER TABLE records DROP COLUMN position",
        "DROP TABLE trail",
        "DROP INDEX approvals_pending",
        "DROP TABLE administration",
        "DELETE FROM _sqlx_migrations WHERE version > 1",
    ];
    change_database(&dir, before).await;
    let server = kit::start_in(&dir, Vec::new()).await;
    let nodes = server.get("/api/v1/nodes").await.ok();
    assert_eq!(
        (&nodes["items"][0]["name"], &nodes["items"][0]["reads"]),
        (&json!("envoy-1"), &json!(1))
    );
}

#[tokio::test]
async fn a_secret_that_others_can_read_keeps_it_from_starting() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    kit::start_in(&dir, Vec::new()).await.stop().await;
    let key = dir.join("signing.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = serve(ServeConfig::new(&dir), std::future::pending())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[tokio::test]
async fn a_client_that_never_finishes_its_request_does_not_keep_it_from_stopping() {
    use tokio::io::AsyncWriteExt as _;
    let (mut server, _temp) = kit::start().await;
    let address = server.running.as_ref().unwrap().addr;
    let mut slow = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /node/v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 99\r\n\r\n{{",
        server.node
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    server.get("/healthz").await;
    server.begin_stop();
    let stopped = server.running.take().unwrap().stopped();
    tokio::time::timeout(Duration::from_secs(30), stopped)
        .await
        .expect("it stops");
    drop(slow);
}

#[tokio::test]
async fn nobody_who_has_no_request_under_way_keeps_it_from_stopping() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut server, _temp) = kit::start().await;
    let address = server.running.as_ref().unwrap().addr;
    let mut held = Vec::new();
    let known = format!(
        "GET /api/v1/whoami HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        server.admin
    );
    for begun in [
        "",
        "G",
        "GET /healthz HTTP/1.1\r\nhost: x\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &known,
        &format!("{known}GET /healthz"),
    ] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        if begun.starts_with(&known) {
            stream.read_exact(&mut [0; 12]).await.unwrap();
        }
        held.push(stream);
    }
    // One that takes no answer, and one that knows no end.
    for window in [0, 65_535] {
        let mut stream = http2::connect(address, window).await;
        let get = http2::get(1, "/openapi.json", None);
        stream.write_all(&get).await.unwrap();
        held.push(stream);
    }
    while !server
        .get("/metrics")
        .await
        .text
        .contains("{method=\"GET\",route=\"/openapi.json\",status=\"200\"} 2")
    {}
    let began = std::time::Instant::now();
    server.begin_stop();
    server.running.take().unwrap().stopped().await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    drop(held);
}

#[tokio::test]
async fn with_hardly_any_descriptors_it_does_not_start_and_says_so() {
    let temp = tempfile::tempdir().unwrap();
    let output = std::process::Command::new("sh")
        .arg("-c")
        .arg("ulimit -n 100 && exec \"$0\" \"$@\"")
        .arg(env!("CARGO_BIN_EXE_chaperone"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(temp.path().join("data"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the limit of open files is 100"), "{said}");
}
