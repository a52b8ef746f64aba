//! Nobody keeps the others out: half-sent requests, slow readers, greedy callers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use chaperone::serve::{Patience, ServeConfig};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::http2;
use crate::kit::{self, POLICY, Server, node, record};
use crate::program;

/// So short that tests need not wait, so long that a slow machine keeps to it.
const SHORT: Duration = Duration::from_secs(1);

/// Longer than all patience of [`impatient`].
const LONG: Duration = Duration::from_secs(4);

async fn impatient(max_connections: Option<u32>) -> (Server, TempDir) {
    let temp = tempfile::tempdir().unwrap();
    let server = kit::start_as(ServeConfig {
        max_connections,
        patience: Patience {
            head: SHORT,
            body: SHORT,
            answer: SHORT,
            drain: SHORT,
            ..Patience::DEFAULT
        },
        ..ServeConfig::new(temp.path().join("data"))
    })
    .await;
    (server, temp)
}

impl Server {
    fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().addr
    }
}

async fn send(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// Everything until the other side closes, within twenty seconds.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let read = stream.read_to_end(&mut all);
    // A reset is a close, too: bytes of ours may have been left unread.
    let _ = tokio::time::timeout(Duration::from_secs(20), read)
        .await
        .expect("it is closed");
    String::from_utf8_lossy(&all).into_owned()
}

/// One call on a connection of its own, whose answer has to come within five seconds.
async fn fresh(address: SocketAddr, path: &str, token: &str, body: Option<&str>) -> String {
    let (method, body) = body.map_or(("GET", ""), |body| ("POST", body));
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let started = Instant::now();
    let mut stream = send(address, &head).await;
    let answer = until_closed(&mut stream).await;
    let took = started.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?} for {path}");
    answer
}

fn poll(boot: u128, wait_ms: u64) -> String {
    json!({ "node": node("envoy-1", boot), "filter_version": "0", "wait_ms": wait_ms }).to_string()
}

#[tokio::test]
async fn more_half_sent_requests_than_descriptors_shut_nobody_out() {
    let temp = tempfile::tempdir().unwrap();
    let server = program::start(&temp.path().join("data"), 256, &[], &[]).await;
    let at = server.address;
    let body = poll(1, 50_000);
    let head = format!(
        "POST /node/v1/policy HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
        server.node,
        body.len()
    );
    let mut waiting = send(at, &head).await;
    while !fresh(at, "/metrics", "", None)
        .await
        .contains("chaperone_long_polls 1")
    {}

    let mut held = Vec::new();
    for half in [
        "GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ",
        "",
        "PRI * HTTP/2.0\r\n",
    ] {
        for _ in 0..150 {
            held.push(send(at, half).await);
        }
        let answer = fresh(at, "/healthz", "", None).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let answer = fresh(at, "/api/v1/whoami", &server.admin, None).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let answer = fresh(at, "/node/v1/policy", &server.node, Some(&poll(2, 0))).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    // The long poll from before was not among those that made room.
    let document = json!({ "document": POLICY }).to_string();
    let answer = fresh(at, "/api/v1/policies", &server.admin, Some(&document)).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let mut answer = [0; 12];
    tokio::time::timeout(Duration::from_secs(10), waiting.read_exact(&mut answer))
        .await
        .expect("the new bundle is sent")
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[tokio::test]
async fn requests_that_are_not_sent_whole_are_closed_and_those_that_wait_are_not() {
    let (server, _temp) = impatient(None).await;
    let at = server.address();
    let started = Instant::now();
    let mut tail = server.stream("/api/v1/records/tail").await;
    let wait = serde_json::from_str(&poll(1, LONG.as_millis() as u64)).unwrap();
    let bundle = server.data("/node/v1/policy", wait).await;
    assert_eq!((bundle.status, bundle.text.as_str()), (200, "{}"));
    assert!(started.elapsed() >= LONG, "{:?}", started.elapsed());

    for half in [
        "",
        "G",
        "GET /healthz HTTP/1.1\r\nhost: x\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM",
    ] {
        let mut stream = send(at, half).await;
        assert_eq!(until_closed(&mut stream).await, "", "{half:?}");
    }
    // One byte now and then is no way around it.
    let mut drip = TcpStream::connect(at).await.unwrap();
    let dripping = async {
        loop {
            if drip.write_all(b"G").await.is_err() {
                break;
            }
            tokio::time::sleep(SHORT / 4).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), dripping)
        .await
        .expect("it is closed");
    // A good token buys no time for the next request's headers.
    let first = format!(
        "GET /api/v1/whoami HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        server.admin
    );
    let mut known = send(at, &first).await;
    let mut byte = [0; 1];
    known.read_exact(&mut byte).await.unwrap();
    known.write_all(b"GET /healthz").await.unwrap();
    let rest = until_closed(&mut known).await;
    assert_eq!(rest.matches("HTTP/1.1 ").count(), 0, "{rest}");

    // The stream from before all this still tells news.
    let envoy = node("envoy-1", 1);
    let events = record(&envoy, 1, 1, "alice", "/a");
    server.events(&envoy, &events).await.ok();
    assert!(tail.next().await.is_some());
}

#[tokio::test]
async fn a_stranger_is_told_in_an_answer_that_it_has_to_connect_anew() {
    let temp = tempfile::tempdir().unwrap();
    let server = kit::start_as(ServeConfig {
        patience: Patience {
            stranger: SHORT,
            ..Patience::DEFAULT
        },
        ..ServeConfig::new(temp.path().join("data"))
    })
    .await;
    let request = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let mut all = String::new();
    let asking = async {
        let mut bytes = [0; 4096];
        loop {
            stream.write_all(request.as_bytes()).await.unwrap();
            let read = stream.read(&mut bytes).await.unwrap();
            all = String::from_utf8_lossy(&bytes[..read]).into_owned();
            assert!(all.starts_with("HTTP/1.1 200"), "{all:?}");
            if all.contains("connection: close") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(
            stream.read(&mut bytes).await.unwrap(),
            0,
            "it is closed then"
        );
    };
    tokio::time::timeout(Duration::from_secs(20), asking)
        .await
        .expect("it is told");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_with_408() {
    let (server, _temp) = impatient(None).await;
    for (path, token) in [
        ("/node/v1/events", &server.node),
        ("/node/v1/policy", &server.node),
        ("/node/v1/approvals/ask", &server.node),
        ("/node/v1/approvals/watch", &server.node),
        ("/api/v1/policies", &server.admin),
        ("/api/v1/tokens", &server.admin),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 99\r\n\r\n{{"
        );
        let mut stream = send(server.address(), &head).await;
        let answer = until_closed(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{path}: {answer}");
        assert!(answer.contains("\"body_timeout\""), "{path}: {answer}");
        assert!(answer.contains("x-chaperone: 1"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn who_does_not_take_answers_is_closed() {
    let (server, _temp) = impatient(None).await;
    let request = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    // More answers than the sockets hold.
    let asking = async {
        loop {
            if stream.write_all(request.as_bytes()).await.is_err() {
                break;
            }
        }
    };
    let closed = tokio::time::timeout(Duration::from_secs(20), asking).await;
    closed.expect("it is closed although nothing was read");
    let metrics = server.get("/metrics").await.text;
    let closed = "chaperone_connections_closed_total{cause=\"answer_not_taken\"} 1";
    assert!(metrics.contains(closed), "{metrics}");
}

#[tokio::test]
async fn who_gives_answers_no_room_in_http2_is_closed_and_holds_few_of_them() {
    let (server, _temp) = impatient(None).await;
    let at = server.address();
    for (token, path, most) in [
        (None, "/openapi.json", 4),
        (Some(server.admin.as_str()), "/api/v1/tokens", 16),
    ] {
        let mut stream = http2::connect(at, 0).await;
        for number in 0..16 {
            let get = http2::get(2 * number + 1, path, token);
            stream.write_all(&get).await.unwrap();
        }
        let answered = format!("{{method=\"GET\",route=\"{path}\",status=\"200\"}} {most}\n");
        while !server.get("/metrics").await.text.contains(&answered) {}
        let mut all = Vec::new();
        let read = tokio::time::timeout(LONG * 5, stream.read_to_end(&mut all)).await;
        let _ = read.expect("it is closed although it goes on listening");
        // SETTINGS_MAX_CONCURRENT_STREAMS is 16.
        let settings = [0, 3, 0, 0, 0, 16];
        assert!(all.windows(6).any(|part| part == settings), "{all:?}");
    }
    let metrics = server.get("/metrics").await.text;
    let closed = "chaperone_connections_closed_total{cause=\"answer_not_taken\"} 2";
    assert!(metrics.contains(closed), "{metrics}");
}

#[tokio::test]
async fn a_stream_of_events_in_http2_waits_for_as_long_as_there_is_no_news() {
    let (server, _temp) = impatient(None).await;
    let mut stream = http2::connect(server.address(), 65_535).await;
    let tail = http2::get(1, "/api/v1/records/tail", Some(&server.admin));
    stream.write_all(&tail).await.unwrap();
    tokio::time::sleep(LONG).await;
    let envoy = node("envoy-1", 1);
    let events = record(&envoy, 1, 1, "alice", "/a");
    server.events(&envoy, &events).await.ok();
    let mut told = String::new();
    let telling = async {
        let mut bytes = [0; 4096];
        while !told.contains("alice") {
            let read = stream.read(&mut bytes).await.unwrap();
            assert!(read > 0, "{told}");
            told.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    };
    tokio::time::timeout(Duration::from_secs(20), telling)
        .await
        .expect("the record is told");
}

#[tokio::test]
async fn a_greedy_caller_with_a_token_keeps_no_node_and_no_other_caller_out() {
    let (server, _temp) = impatient(Some(32)).await;
    let at = server.address();
    let greedy = server.token("auditor", "eve", &[]).await;
    let other = server.token("auditor", "olga", &[]).await;
    let tail = |token: &str| {
        format!(
            "GET /api/v1/records/tail HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n"
        )
    };
    let mut watching = send(at, &tail(&other)).await;
    let mut byte = [0; 1];
    watching.read_exact(&mut byte).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..200 {
        let mut stream = send(at, &tail(&greedy)).await;
        stream.read_exact(&mut byte).await.unwrap();
        held.push(stream);
    }
    let answer = fresh(at, "/node/v1/policy", &server.node, Some(&poll(1, 0))).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = fresh(at, "/healthz", "", None).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // The other's stream still gives news.
    let envoy = node("envoy-1", 1);
    let events = record(&envoy, 1, 1, "alice", "/a");
    let mut told = String::new();
    server.events(&envoy, &events).await.ok();
    let telling = async {
        let mut bytes = [0; 4096];
        while !told.contains("alice") {
            let read = watching.read(&mut bytes).await.unwrap();
            assert!(read > 0, "{told}");
            told.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    };
    tokio::time::timeout(Duration::from_secs(20), telling)
        .await
        .expect("the record is told");
}
