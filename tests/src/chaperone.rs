//! The `chaperone` binary: its commands, and `chaperone dev` as a user starts it.
//!
//! Everything that a run writes (policy, data, logs, temporary files, per-user state) lies in one
//! folder, so that a test can look there for what must stand nowhere.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::api::Api;
use crate::client::{Client, Http};
use crate::envoy::Admin;
use crate::places;
use crate::process::Process;
use crate::upstream::Upstream;
use crate::wait;

/// How long `chaperone dev` may take: each of Envoy's workers compiles the filter.
const START: Duration = Duration::from_secs(90);

/// How long one command may take.
const COMMAND: Duration = Duration::from_secs(60);

/// What a command did.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// What it printed.
    ///
    /// # Panics
    /// When it failed, with what it said.
    pub fn ok(self) -> String {
        assert_eq!(
            self.code, 0,
            "a command failed\n{}\n{}",
            self.stdout, self.stderr
        );
        self.stdout
    }
}

/// Runs commands in a folder of their own, against one control plane or none.
#[derive(Debug, Clone)]
pub struct Commands {
    folder: PathBuf,
    control_plane: Option<(String, PathBuf)>,
}

impl Commands {
    /// Commands that need no control plane, e.g. `policy validate`.
    #[must_use]
    pub fn local(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            control_plane: None,
        }
    }

    /// Commands that talk to this control plane with this token.
    #[must_use]
    pub fn at(folder: &Path, server: &str, token_file: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            control_plane: Some((server.to_owned(), token_file.to_owned())),
        }
    }

    /// The same with another token, e.g. of an approver.
    #[must_use]
    pub fn with_token(&self, token_file: &Path) -> Self {
        let server = self.control_plane.clone().map(|(server, _)| server);
        Self {
            folder: self.folder.clone(),
            control_plane: server.map(|server| (server, token_file.to_owned())),
        }
    }

    /// Runs `chaperone ARGS` and waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.command(args);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(COMMAND, command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("chaperone {args:?} does not end"));
        let output = output.unwrap_or_else(|e| panic!("chaperone {args:?} cannot be started: {e}"));
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs `chaperone ARGS --output json` and reads what it prints: the one document, or a list of
    /// them where it prints one on each line.
    ///
    /// # Panics
    /// When it fails or prints something else.
    pub async fn json(&self, args: &[&str]) -> Value {
        let mut args = args.to_vec();
        args.extend(["--output", "json"]);
        let printed = self.run(&args).await.ok();
        serde_json::from_str(&printed).unwrap_or_else(|_| {
            let lines = printed.lines().map(|line| {
                serde_json::from_str(line).unwrap_or_else(|e| {
                    panic!("chaperone {args:?} printed no JSON ({e}):\n{printed}")
                })
            });
            Value::Array(lines.collect())
        })
    }

    /// Starts a command that goes on and on, e.g. `approvals watch`.
    #[must_use]
    pub fn start(&self, args: &[&str]) -> Process {
        Process::start(&format!("chaperone {}", args.join(" ")), self.command(args))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(places::chaperone());
        command.args(args).current_dir(&self.folder);
        for (name, _) in std::env::vars_os() {
            // The developer's own settings would send commands to their own control plane.
            if name.to_string_lossy().starts_with("CHAPERONE_") {
                command.env_remove(name);
            }
        }
        let temporary = self.folder.join("tmp");
        std::fs::create_dir_all(&temporary).expect("the test's folder can be written");
        command.env("XDG_STATE_HOME", self.folder.join("state"));
        command.env("TMPDIR", temporary);
        if let Some((server, token_file)) = &self.control_plane {
            command
                .env("CHAPERONE_SERVER", server)
                .env("CHAPERONE_TOKEN_FILE", token_file);
        }
        command
    }
}

/// How `chaperone dev` is to be started.
#[derive(Debug, Clone)]
pub struct DevOptions {
    policy: String,
    envoy: PathBuf,
    workers: usize,
    args: Vec<String>,
}

impl DevOptions {
    /// With this policy, YAML or JSON.
    ///
    /// # Panics
    /// When there is no Envoy.
    #[must_use]
    pub fn new(policy: impl std::fmt::Display) -> Self {
        Self {
            policy: policy.to_string(),
            envoy: places::envoy(),
            workers: 2,
            args: Vec::new(),
        }
    }

    /// With this upstream behind a connection.
    #[must_use]
    pub fn upstream(self, connection: &str, upstream: &Upstream) -> Self {
        self.upstream_at(connection, upstream.address())
    }

    /// With whatever listens there behind a connection.
    #[must_use]
    pub fn upstream_at(self, connection: &str, address: SocketAddr) -> Self {
        self.args(&["--upstream", &format!("{connection}=http://{address}")])
    }

    /// On this Envoy.
    #[must_use]
    pub fn envoy(mut self, binary: PathBuf) -> Self {
        self.envoy = binary;
        self
    }

    /// With so many workers.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// With further flags.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// Starts it and waits until every worker enforces the policy.
    ///
    /// # Panics
    /// When it does not come up, with what it said.
    pub async fn start(self) -> Dev {
        let folder = tempfile::Builder::new().prefix("chaperone-test-").tempdir();
        let folder = folder.expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("policy.yaml"), &self.policy).expect("the folder can be written");
        let ready_file = path("ready.json");
        let workers = self.workers.to_string();
        let text = |path: &Path| path.to_str().expect("paths in tests are UTF-8").to_owned();
        let mut args: Vec<String> = ["dev", "--policy", "policy.yaml", "--concurrency", &workers]
            .map(str::to_owned)
            .to_vec();
        for (flag, value) in [
            ("--envoy", &self.envoy),
            ("--wasm", &places::filter_wasm()),
            ("--log-dir", &path("logs")),
            ("--data-dir", &path("data")),
            ("--ready-file", &ready_file),
        ] {
            args.extend([flag.to_owned(), text(value)]);
        }
        args.extend(self.args);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut process = Commands::local(folder.path()).start(&args);
        let ready: Value = wait::until_within(START, "chaperone dev to be ready", async || {
            let ready = std::fs::read(&ready_file).ok();
            if ready.is_none() {
                process.assert_running();
            }
            // It is written in one step, so what is there is whole.
            serde_json::from_slice(&ready?).ok()
        })
        .await;
        let member = |name: &str| {
            let member = ready[name].as_str();
            member
                .unwrap_or_else(|| panic!("the ready file has no {name}: {ready}"))
                .to_owned()
        };
        let commands = Commands::at(
            folder.path(),
            &member("server"),
            Path::new(&member("token_file")),
        );
        let admin = Admin::new(address_of(&member("envoy_admin")));
        Dev {
            process,
            admin,
            commands,
            ready,
            folder,
        }
    }
}

/// A running `chaperone dev`: control plane, issuer, Envoy with the filter.
#[derive(Debug)]
pub struct Dev {
    /// The process, with what it printed.
    pub process: Process,
    /// Envoy's admin interface.
    pub admin: Admin,
    /// Commands that talk to its control plane as administrator.
    pub commands: Commands,
    /// What it wrote into its ready file.
    pub ready: Value,
    folder: TempDir,
}

impl Dev {
    /// Starts with the usual Envoy.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start(policy: impl std::fmt::Display, upstreams: &[(&str, &Upstream)]) -> Self {
        let options = DevOptions::new(policy);
        let options = upstreams
            .iter()
            .fold(options, |options, (name, it)| options.upstream(name, it));
        options.start().await
    }

    /// HTTP/1.1 to the port of this connection.
    ///
    /// # Panics
    /// When there is no such connection.
    #[must_use]
    pub fn client(&self, connection: &str) -> Client {
        Client::new(self.connection(connection), Http::One)
    }

    /// Where this connection has its own port.
    ///
    /// # Panics
    /// When there is no such connection.
    #[must_use]
    pub fn connection(&self, name: &str) -> SocketAddr {
        let url = self.ready["connections"][name]["url"].as_str();
        address_of(url.unwrap_or_else(|| panic!("no connection {name}: {}", self.ready)))
    }

    /// Where all connections are, chosen by Host.
    ///
    /// # Panics
    /// When the ready file does not say.
    #[must_use]
    pub fn gate(&self) -> SocketAddr {
        address_of(
            self.ready["gate"]
                .as_str()
                .expect("the ready file has the gate"),
        )
    }

    /// The control plane.
    ///
    /// # Panics
    /// When the ready file does not say.
    #[must_use]
    pub fn control_plane(&self) -> SocketAddr {
        address_of(
            self.ready["server"]
                .as_str()
                .expect("the ready file has the server"),
        )
    }

    /// The management API as administrator.
    ///
    /// # Panics
    /// When the ready file does not say where the token is.
    #[must_use]
    pub fn api(&self) -> Api {
        let file = self.ready["token_file"].as_str();
        let file = file.expect("the ready file has the token's file");
        Api::new(self.control_plane(), Path::new(file))
    }

    /// A token of its own issuer, for a day's work.
    ///
    /// # Panics
    /// When `chaperone dev token` fails.
    pub async fn token(&self, subject: &str, groups: &[&str]) -> String {
        let groups = groups.join(",");
        let mut args = vec!["dev", "token", "--subject", subject];
        if !groups.is_empty() {
            args.extend(["--groups", &groups]);
        }
        self.commands.run(&args).await.ok().trim().to_owned()
    }

    /// Everything that this run has written: policy, data, logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file beside the policy, and gives its name for commands.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, content: impl std::fmt::Display) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content.to_string()).expect("the folder can be written");
        path.to_str().expect("paths in tests are UTF-8").to_owned()
    }

    /// # Panics
    /// When the module has trapped.
    pub async fn assert_no_traps(&self) {
        self.admin.assert_no_traps().await;
    }
}

/// The address in `http://IP:PORT`, with or without a path.
pub(crate) fn address_of(url: &str) -> SocketAddr {
    url.strip_prefix("http://")
        .and_then(|rest| rest.split('/').next())
        .and_then(|address| address.parse().ok())
        .unwrap_or_else(|| panic!("{url} is no http://IP:PORT"))
}
