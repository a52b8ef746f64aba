//! Client libraries as agents use them, and an MCP server: the official packages, in processes of
//! their own; see `tests/model-clients/`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::chaperone::address_of;
use crate::client::{Call, Client};
use crate::places;
use crate::process::Process;
use crate::wait;

/// One call of a library.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Which one: `openai.chat.stream`, `anthropic.messages`, `mcp`, … as in `client.mjs`.
    pub call: &'a str,
    /// What it sends to, without the version: `http://api.example:PORT`.
    pub base: &'a str,
    /// The API key, which is the agent's token.
    pub token: &'a str,
    /// The request as the library's caller writes it.
    pub request: &'a Value,
}

/// What a library made of an answer.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What it put together, or what it raised.
    pub result: Result<Value, Value>,
    /// What it handed out one by one (npm only).
    pub events: Vec<Value>,
    /// What it complained of and went on (MCP only).
    pub complaints: Vec<Value>,
    /// The bytes of all response bodies (npm only).
    pub raw: Vec<u8>,
}

impl Outcome {
    /// What it put together.
    ///
    /// # Panics
    /// When it raised or complained.
    #[must_use]
    pub fn ok(self) -> (Value, Vec<Value>, Vec<u8>) {
        assert!(self.complaints.is_empty(), "{:?}", self.complaints);
        match self.result {
            Ok(result) => (result, self.events, self.raw),
            Err(error) => panic!(
                "the client raised {error}\n{}",
                String::from_utf8_lossy(&self.raw)
            ),
        }
    }
}

/// A process that makes calls, any number side by side.
#[derive(Debug)]
pub struct Library {
    process: Process,
    calls: AtomicU64,
}

impl Library {
    /// npm's `openai`, `@anthropic-ai/sdk` and `@modelcontextprotocol/sdk`.
    ///
    /// # Panics
    /// When the packages are missing.
    #[must_use]
    pub fn npm() -> Self {
        Self::start("the npm clients", node("client.mjs"))
    }

    /// `PyPI`'s `openai` and `anthropic`, one call after the other.
    ///
    /// # Panics
    /// When the packages are missing.
    #[must_use]
    pub fn python() -> Self {
        let python = places::repository().join(".tools/model-clients/bin/python");
        let mut command = Command::new(installed(python));
        command
            .arg("client.py")
            .current_dir(places::repository().join("tests/model-clients"));
        Self::start("the Python clients", command)
    }

    fn start(name: &str, command: Command) -> Self {
        Self {
            process: Process::start(name, command),
            calls: AtomicU64::new(0),
        }
    }

    /// Makes a call and waits until it has ended.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn call(&self, request: Request<'_>) -> Outcome {
        let id = self.begin(request).await;
        self.end(id).await
    }

    /// Makes a call, beside those that have not ended. Gives what [`end`](Self::end) wants to know.
    ///
    /// # Panics
    /// When the process has ended.
    pub async fn begin(&self, request: Request<'_>) -> u64 {
        let id = self.calls.fetch_add(1, Ordering::Relaxed);
        let call = json!({"id": id, "call": request.call, "base": request.base,
            "token": request.token, "request": request.request});
        self.process.write_line(&call.to_string()).await;
        id
    }

    /// Waits until a call has ended.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn end(&self, id: u64) -> Outcome {
        let start = format!("{{\"id\":{id},");
        let line = wait::until("a client's call to end", async || {
            self.process.line(|line| line.starts_with(&start))
        })
        .await;
        let mut line: Value = serde_json::from_str(&line).expect("clients print JSON");
        let mut list = |name: &str| match line[name].take() {
            Value::Array(list) => list,
            _ => Vec::new(),
        };
        let (events, complaints) = (list("events"), list("complaints"));
        let raw = line["raw"].as_str().unwrap_or_default();
        Outcome {
            events,
            complaints,
            raw: STANDARD.decode(raw).expect("raw is base64"),
            result: match line["error"].take() {
                Value::Null => Ok(line["final"].take()),
                error => Err(error),
            },
        }
    }
}

/// An MCP server made with the official SDK.
#[derive(Debug)]
pub struct McpServer {
    address: SocketAddr,
    _process: Process,
}

impl McpServer {
    /// Starts one with the options that `mcp-server.mjs` lists.
    ///
    /// # Panics
    /// When the packages are missing.
    pub async fn start(options: &Value) -> Self {
        let mut command = node("mcp-server.mjs");
        command.arg(options.to_string());
        let mut process = Process::start("the MCP server", command);
        let line = process.wait_for_line("\"url\"").await;
        let ready: Value = serde_json::from_str(&line).expect("the server's first line is JSON");
        Self {
            address: address_of(ready["url"].as_str().expect("it says its URL")),
            _process: process,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The arguments that its tools were called with.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn seen(&self) -> Value {
        let answer = Client::http1(self.address).send(Call::get("/seen")).await;
        answer
            .unwrap_or_else(|e| panic!("the MCP server does not answer: {e}"))
            .json()
    }
}

fn node(script: &str) -> Command {
    let folder = places::repository().join("tests/model-clients");
    installed(folder.join("node_modules/openai/package.json"));
    let mut command = Command::new("node");
    command.arg(script).current_dir(folder);
    command
}

fn installed(path: PathBuf) -> PathBuf {
    assert!(
        path.is_file(),
        "the model clients are not installed: run ./scripts/setup --tests"
    );
    path
}
