//! A control plane to test, and hands to speak to it with.

use std::path::Path;
use std::time::Duration;

use chaperone::serve::{Running, ServeConfig, serve};
use chaperone_engine::audit::{BootId, Event, EventKind, RecordId, RequestLine, Timings};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::identity::{Issuer, Principal};
use chaperone_engine::link::{EventBatchHead, NodeId};
use chaperone_engine::policy::Effect;
use chaperone_engine::upstreams::Operation;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A policy whose keys need no fetching.
pub(crate) const POLICY: &str = r#"
apiVersion: chaperone/v1
issuers:
  - { issuer: "https://issuer.example.com", audiences: [gate], jwks: { keys: [{ kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo }] } }
connections:
  - { name: api, hosts: [api.example.com], protocol: http, labels: { env: test } }
rules:
  - { name: readers, match: { methods: [GET] }, effect: allow }
  - name: writes
    match: { methods: [POST] }
    effect: approve
    approve: { by: [sre] }
    reason: Writes need an SRE.
tests:
  - { as: { groups: [any] }, request: "GET https://api.example.com/", expect: allow, rule: readers }
"#;

pub(crate) struct Server {
    pub(crate) base: String,
    pub(crate) running: Option<Running>,
    pub(crate) admin: String,
    pub(crate) node: String,
    client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
}

/// An answer: everything that a test may want to look at.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text))
    }

    /// The body of a call that must have worked.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert!(
            (200..300).contains(&self.status),
            "{} {}",
            self.status,
            self.text
        );
        self.json()
    }

    /// The problem of a call that must have failed so.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.json();
        assert_eq!(
            (self.status, problem["code"].as_str()),
            (status, Some(code)),
            "{}",
            self.text
        );
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:chaperone:problem:{code}"));
        assert!(
            problem["title"].as_str().unwrap().ends_with('.'),
            "{problem}"
        );
        assert!(!problem["detail"].as_str().unwrap().is_empty(), "{problem}");
        problem
    }
}

pub(crate) async fn start() -> (Server, TempDir) {
    let temp = tempfile::tempdir().unwrap();
    let server = start_in(&temp.path().join("data"), Vec::new()).await;
    (server, temp)
}

pub(crate) async fn start_in(data_dir: &Path, extra_issuers: Vec<Issuer>) -> Server {
    let mut config = ServeConfig::new(data_dir);
    config.extra_issuers = extra_issuers;
    start_as(config).await
}

/// The configuration of a control plane whose documents all need the second revision of the policy
/// language: so far the language has only one, which every node reads.
pub(crate) fn needing_two(data_dir: &Path) -> ServeConfig {
    let mut config = ServeConfig::new(data_dir);
    config.least_revision = 2;
    config
}

/// A control plane with this configuration, on a port of its own.
pub(crate) async fn start_as(config: ServeConfig) -> Server {
    start_on(0, config).await
}

/// On a certain port: where somebody waits for it to come back.
pub(crate) async fn start_on(port: u16, mut config: ServeConfig) -> Server {
    let (stop, stopped) = oneshot::channel();
    config.listen.set_port(port);
    let data_dir = config.data_dir.clone();
    let running = serve(config, async {
        let _ = stopped.await;
    })
    .await
    .unwrap();
    let mut server = Server::at(&format!("http://{}", running.addr), &data_dir);
    server.stop = Some(stop);
    server.running = Some(running);
    server
}

impl Server {
    /// One that runs elsewhere, with the tokens of its data directory.
    pub(crate) fn at(base: &str, data_dir: &Path) -> Self {
        // A control plane in this process does the same; it may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let read = |name| {
            std::fs::read_to_string(data_dir.join(name))
                .map(|s| s.trim().to_owned())
                .unwrap_or_default()
        };
        Self {
            base: base.to_owned(),
            admin: read("admin.token"),
            node: read("node.token"),
            client: reqwest::Client::builder()
                .no_proxy()
                .tls_certs_only([])
                .pool_max_idle_per_host(64)
                .build()
                .unwrap(),
            stop: None,
            running: None,
        }
    }

    pub(crate) async fn stop(mut self) {
        let _ = self.stop.take().unwrap().send(());
        self.running.take().unwrap().stopped().await;
    }

    /// Asks it to stop without waiting.
    pub(crate) fn begin_stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<String>,
    ) -> Answer {
        let response = self.send(method, path, token, body).await;
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<String>,
    ) -> reqwest::Response {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        request.send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, Some(&self.admin), None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(&self.admin), Some(body.to_string()))
            .await
    }

    /// A data-plane call.
    pub(crate) async fn data(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(&self.node), Some(body.to_string()))
            .await
    }

    pub(crate) async fn publish(&self, document: &str) -> Answer {
        self.post("/api/v1/policies", json!({ "document": document }))
            .await
    }

    pub(crate) async fn token(&self, role: &str, subject: &str, groups: &[&str]) -> String {
        let body = json!({ "name": subject, "subject": subject, "groups": groups, "role": role });
        let created = self.post("/api/v1/tokens", body).await;
        assert_eq!(created.status, 201, "{}", created.text);
        created.json()["secret"].as_str().unwrap().to_owned()
    }

    /// Sends a batch and returns what is acknowledged.
    #[track_caller]
    pub(crate) fn events<'a>(
        &'a self,
        node: &NodeId,
        events: &[Event],
    ) -> impl Future<Output = Answer> + use<'a> {
        let body = batch(node, events);
        async move {
            self.call("POST", "/node/v1/events", Some(&self.node), Some(body))
                .await
        }
    }

    /// Events of a stream of server-sent events, one `(name, data)` each.
    pub(crate) async fn stream(&self, path: &str) -> Sse {
        self.stream_as(&self.admin, path).await
    }

    pub(crate) async fn stream_as(&self, token: &str, path: &str) -> Sse {
        let response = self.send("GET", path, Some(token), None).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Sse {
            bytes: Box::pin(futures(response)),
            buffer: String::new(),
        }
    }
}

fn futures(response: reqwest::Response) -> impl futures_util::Stream<Item = Vec<u8>> + Send {
    futures_util::stream::unfold(response, |mut response| async move {
        let chunk = response.chunk().await.ok().flatten()?;
        Some((chunk.to_vec(), response))
    })
}

pub(crate) struct Sse {
    bytes: std::pin::Pin<Box<dyn futures_util::Stream<Item = Vec<u8>> + Send>>,
    buffer: String,
}

impl Sse {
    /// Skips the position that a tail begins with.
    pub(crate) async fn begun(mut self) -> Self {
        assert_eq!(self.next().await.unwrap().0, "position");
        self
    }

    /// The next event; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        let wait = async {
            loop {
                if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                    let field = |name: &str| {
                        let line = block.lines().find_map(|line| line.strip_prefix(name));
                        line.map(|value| value.trim().to_owned())
                    };
                    let event = field("event:").zip(field("data:"));
                    self.buffer = rest.to_owned();
                    if let Some((name, data)) = event {
                        return Some((name, serde_json::from_str(&data).unwrap()));
                    }
                    continue;
                }
                let bytes = self.bytes.next().await?;
                self.buffer.push_str(&String::from_utf8(bytes).unwrap());
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait)
            .await
            .expect("an event was expected")
    }
}

pub(crate) fn node(name: &str, boot: u128) -> NodeId {
    NodeId {
        name: name.to_owned(),
        boot: BootId::from_random(boot),
    }
}

pub(crate) fn batch(node: &NodeId, events: &[Event]) -> String {
    let head = EventBatchHead {
        node: node.clone(),
        dropped: 0,
        closing: false,
    };
    head.write(&serde_json::to_string(events).unwrap()).unwrap()
}

pub(crate) fn principal(subject: &str) -> Principal {
    Principal {
        issuer: "https://issuer.example.com".to_owned(),
        subject: subject.to_owned(),
        groups: vec!["platform".to_owned(), "any".to_owned()],
        agent: Some("copilot".to_owned()),
        session: Some("session-1".to_owned()),
    }
}

pub(crate) fn request_line(path: &str) -> RequestLine {
    RequestLine {
        method: "GET".to_owned(),
        host: "api.example.com".to_owned(),
        path: path.to_owned(),
        query: Some("a=b".to_owned()),
    }
}

/// The four events of a record that went through, numbered from `first`.
pub(crate) fn record(
    node: &NodeId,
    stream: u64,
    first: u64,
    subject: &str,
    path: &str,
) -> Vec<Event> {
    let kinds = [
        EventKind::Received {
            request: request_line(path),
            principal: Some(principal(subject)),
            token_owner: None,
            source: Some("203.0.113.7".to_owned()),
            user_agent: Some("cli/1.0".to_owned()),
            connection: Some("api".to_owned()),
            operation: Some(Operation {
                action: format!("GET {path}"),
                attributes: [("kind".to_owned(), "test".to_owned())].into(),
            }),
            policy_version: Some(3),
            request_id: Some("req-1".to_owned()),
            taken: vec!["x-forwarded-for".to_owned()],
        },
        EventKind::Decided {
            effect: Effect::Allow,
            rule: Some("readers".to_owned()),
            reason: "Allowed by rule readers.".to_owned(),
            code: None,
            approval: None,
        },
        EventKind::ResponseStarted { status: 200 },
        EventKind::Completed {
            status: 200,
            timings: Timings {
                decided_ms: 1,
                first_byte_ms: Some(5),
                total_ms: 9,
                request_bytes: 10,
                response_bytes: 20,
                masked: [("github-pat".to_owned(), 2)].into(),
                ..Timings::default()
            },
        },
    ];
    (first..)
        .zip(kinds)
        .map(|(seq, kind)| Event {
            seq,
            record: RecordId::new(&node.boot, stream),
            at: UnixMillis(1_000_000 + seq),
            kind,
        })
        .collect()
}
