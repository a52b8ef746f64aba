//! Where the story is played: agents, the gate, one upstream, one issuer.
//!
//! Three connections lead to the same upstream: `api` ([`API`]), whose bodies are masked; `plain`
//! ([`PLAIN`]), whose bodies are not; and `arm` ([`ARM`]), which speaks Azure's control plane.

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::api::Api;
use crate::chaperone::Commands;
use crate::client::{Answer, Answering, Call, Client, Failed, Http};
use crate::deployment::{Connection, Deployment, Options};
use crate::issuer::Issuer;
use crate::places;
use crate::recorder::Recorder;
use crate::upstream::Upstream;
use crate::wait;

/// Host of the connection `api`.
pub const API: &str = "api.example";
/// Host of the connection `plain`.
pub const PLAIN: &str = "plain.example";
/// Host of the connection `arm`.
pub const ARM: &str = "management.azure.com";

/// A secret as the detector `github-fine-grained-pat` knows them. Made up, and looks it.
#[must_use]
pub fn secret() -> String {
    [
        "github",
        "pat",
        "11EXAMPLE0EXAMPLE1EXAMPLE2EXAMPLE3EXAMPLE4",
    ]
    .join("_")
}

/// A private key that no one has; its lines end as they do in a file.
#[must_use]
pub fn private_key() -> String {
    let body = "MIIEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE";
    ["BEGIN", "END"]
        .map(|word| ["-----", word, " PRIVATE KEY-----"].concat())
        .join(&format!("\n{body}\n"))
}

/// The beginning of what stands in the place of [`secret`].
pub const MASKED: &str = "[masked:github-fine-grained-pat:";

/// A rule that lets these groups do what they want on all connections.
#[must_use]
pub fn allow(name: &str, group: &str) -> Value {
    json!({"name": name, "match": {"groups": [group]}, "effect": "allow"})
}

/// A rule that asks the group `sre` about POSTs to this path.
#[must_use]
pub fn approve(name: &str, path: &str, terms: &Value) -> Value {
    let mut terms = terms.clone();
    if terms["by"].is_null() {
        terms["by"] = json!(["sre"]);
    }
    json!({"name": name, "match": {"methods": ["POST"], "paths": [path]}, "effect": "approve",
        "approve": terms, "reason": "Changes need an SRE."})
}

/// How a stage is to be set.
#[derive(Debug, Clone)]
pub struct Setting {
    rules: Vec<Value>,
    issuers: Vec<Value>,
    masking: Masking,
    others: Vec<Connection>,
    is_empty: bool,
    envoy: PathBuf,
    client: Http,
    upstream: Http,
    takes_upgrades: bool,
    workers: usize,
    filter: Value,
    recorder: Option<Recorder>,
}

impl Setting {
    /// With these rules.
    ///
    /// # Panics
    /// When there is no Envoy.
    #[must_use]
    pub fn with(rules: &[Value]) -> Self {
        Self {
            rules: rules.to_vec(),
            issuers: Vec::new(),
            masking: Masking::default(),
            others: Vec::new(),
            is_empty: false,
            envoy: places::envoy(),
            client: Http::One,
            upstream: Http::One,
            takes_upgrades: false,
            workers: 2,
            filter: json!({}),
            recorder: None,
        }
    }

    /// Without a policy at first.
    ///
    /// # Panics
    /// When there is no Envoy.
    #[must_use]
    pub fn without_policy() -> Self {
        Self {
            is_empty: true,
            ..Self::with(&[])
        }
    }

    /// With an issuer beside the stage's own.
    #[must_use]
    pub fn issuer(mut self, issuer: Value) -> Self {
        self.issuers.push(issuer);
        self
    }

    /// With these masking rules in the place of one that masks `secrets/*` on `api`.
    #[must_use]
    pub fn masking(mut self, rules: &[Value]) -> Self {
        self.masking.rules = rules.to_vec();
        self
    }

    /// With these detectors of its own.
    #[must_use]
    pub fn detectors(mut self, detectors: &[Value]) -> Self {
        self.masking.detectors = detectors.to_vec();
        self
    }

    /// With a further connection, masked only if a rule of [`masking`](Self::masking) says so.
    #[must_use]
    pub fn connection(mut self, connection: Connection) -> Self {
        self.others.push(connection);
        self
    }

    /// On this Envoy.
    #[must_use]
    pub fn envoy(mut self, binary: PathBuf) -> Self {
        self.envoy = binary;
        self
    }

    /// Agents and upstream speak these.
    #[must_use]
    pub fn http(mut self, client: Http, upstream: Http) -> Self {
        (self.client, self.upstream) = (client, upstream);
        self
    }

    /// Envoy takes WebSocket upgrades, which the shipped configuration does not.
    #[must_use]
    pub fn upgrades(mut self) -> Self {
        self.takes_upgrades = true;
        self
    }

    /// Envoy with so many workers.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// With this member of the filter's configuration.
    #[must_use]
    pub fn filter(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.filter[name] = value.into();
        self
    }

    /// With a recorder between Envoy and the control plane.
    #[must_use]
    pub fn recorder(mut self, recorder: &Recorder) -> Self {
        self.recorder = Some(recorder.clone());
        self
    }

    /// With this hold profile.
    #[must_use]
    pub fn profile(self, name: &str) -> Self {
        self.filter("profile", name)
    }

    /// Starts everything, and waits until every worker enforces the policy.
    ///
    /// # Panics
    /// When something does not come up.
    pub async fn start(self) -> Stage {
        let upstream = Upstream::start().await;
        let issuer = Issuer::start().await;
        let own = [("api", API), ("plain", PLAIN), ("arm", ARM)].map(|(name, host)| {
            let mut connection = Connection::new(name, host, upstream.address());
            connection.http = self.upstream;
            connection
        });
        let connections = [&own, self.others.as_slice()].concat();
        let mut terms = Terms {
            issuers: self.issuers,
            masking: self.masking,
            connections: Vec::new(),
        };
        let others = self.others.iter();
        terms.connections = others
            .map(|other| json!({"name": other.name, "hosts": [other.host], "protocol": "http"}))
            .collect();
        let mut options = Options::new("", &connections);
        options.policy = (!self.is_empty).then(|| policy(&issuer, &terms, &self.rules));
        options.envoy = self.envoy.clone();
        options.filter = self.filter.clone();
        options.takes_upgrades = self.takes_upgrades;
        options.workers = self.workers;
        options.recorder = self.recorder.clone();
        let deployment = Deployment::start(options).await;
        let client = Client::new(deployment.envoy.listener("agents").await, self.client);
        Stage {
            upstream,
            issuer,
            api: deployment.api(),
            deployment,
            client,
            terms,
        }
    }
}

/// Everything that the story needs, running.
pub struct Stage {
    /// What is behind the gate.
    pub upstream: Upstream,
    /// Who makes agents' tokens.
    pub issuer: Issuer,
    /// Control plane and Envoy.
    pub deployment: Deployment,
    /// The control plane's API as administrator.
    pub api: Api,
    /// To Envoy's listener.
    pub client: Client,
    terms: Terms,
}

impl Stage {
    /// A policy of this stage with other rules.
    #[must_use]
    pub fn policy(&self, rules: &[Value]) -> String {
        policy(&self.issuer, &self.terms, rules)
    }

    /// Publishes other rules and waits until every worker enforces them.
    pub async fn publish(&self, rules: &[Value]) {
        self.deployment.publish(self.policy(rules)).await;
    }

    /// An agent with a good token.
    #[must_use]
    pub fn agent(&self, subject: &str, groups: &[&str]) -> Agent {
        let token = self.issuer.token(subject).groups(groups).sign();
        Agent::new(self.client, Some(token))
    }

    /// An agent with this token.
    #[must_use]
    pub fn bearer(&self, token: &str) -> Agent {
        Agent::new(self.client, Some(token.to_owned()))
    }

    /// Somebody without a token.
    #[must_use]
    pub fn nobody(&self) -> Agent {
        Agent::new(self.client, None)
    }

    /// Commands of an approver, with a token of their own.
    ///
    /// # Panics
    /// When the token cannot be made.
    pub async fn approver(&self, subject: &str, groups: &str) -> Commands {
        approver(
            &self.deployment.commands,
            self.deployment.folder(),
            subject,
            groups,
        )
        .await
    }

    /// A counter or gauge of the filter, all workers together.
    pub async fn metric(&self, name: &str) -> u64 {
        let name = format!("wasmcustom.chaperone.{name}");
        self.deployment.envoy.admin.stat(&name).await
    }

    /// Waits until a counter or gauge of the filter is as wanted.
    pub async fn wait_for_metric(&self, name: &str, condition: impl Fn(u64) -> bool) -> u64 {
        let name = format!("wasmcustom.chaperone.{name}");
        self.deployment
            .envoy
            .admin
            .wait_for_stat(&name, condition)
            .await
    }

    /// Waits until so many requests are parked for a human.
    pub async fn held(&self, count: u64) {
        self.wait_for_metric("held_streams", |held| held == count)
            .await;
    }

    /// Waits until all events that were recorded are stored.
    ///
    /// # Panics
    /// When they are not, in time, or one of them is missing.
    pub async fn assert_trail_is_complete(&self) {
        wait::until("all events to be stored", async || {
            let recorded = self.metric("events_recorded").await;
            let acknowledged = self.metric("events_acknowledged").await;
            (recorded > 0 && recorded == acknowledged).then_some(())
        })
        .await;
        self.api.assert_nothing_is_missing().await;
    }

    /// Everything of this run that outlives it, as text to search: files and logs.
    ///
    /// # Panics
    /// When a file cannot be read.
    #[must_use]
    pub fn places_with(&self, secret: &str) -> Vec<String> {
        let folder = self.deployment.folder();
        // The logs are read as files too, so that they are searched for every spelling.
        let logs = folder.join("logs.txt");
        std::fs::write(&logs, self.deployment.logs()).expect("the folder can be written");
        let found = crate::files::that_hold(folder, secret);
        found
            .into_iter()
            .map(|path| path.display().to_string())
            .collect()
    }
}

/// Commands of an approver, with a token of their own that lies in `folder`.
///
/// # Panics
/// When the token cannot be made.
pub async fn approver(
    admin: &Commands,
    folder: &std::path::Path,
    subject: &str,
    groups: &str,
) -> Commands {
    let file = format!("{subject}.token");
    let args = [
        "token",
        "create",
        "--name",
        subject,
        "--role",
        "approver",
        "--groups",
        groups,
        "--write-to",
        &file,
    ];
    admin.run(&args).await.ok();
    admin.with_token(&folder.join(file))
}

/// What a policy of a stage has beside its rules.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    issuers: Vec<Value>,
    connections: Vec<Value>,
    masking: Masking,
}

#[derive(Debug, Clone)]
struct Masking {
    rules: Vec<Value>,
    detectors: Vec<Value>,
}

impl Default for Masking {
    fn default() -> Self {
        let rule = json!({"name": "secrets", "detectors": ["secrets/*"],
            "on": ["request", "response"], "action": "mask", "connections": ["api"]});
        Self {
            rules: vec![rule],
            detectors: Vec::new(),
        }
    }
}

/// A policy with the three connections.
#[must_use]
pub fn policy(issuer: &Issuer, terms: &Terms, rules: &[Value]) -> String {
    let issuers = [&[issuer.in_policy()], terms.issuers.as_slice()].concat();
    let own = [
        json!({"name": "api", "hosts": [API], "protocol": "http"}),
        json!({"name": "plain", "hosts": [PLAIN], "protocol": "http"}),
        json!({"name": "arm", "hosts": [ARM], "protocol": "azure-arm", "labels": {"env": "prod"}}),
    ];
    let connections = [&own, terms.connections.as_slice()].concat();
    let mut policy = json!({
        "apiVersion": "chaperone/v1",
        "issuers": issuers,
        "connections": connections,
        "rules": rules,
        "masking": terms.masking.rules,
    });
    if !terms.masking.detectors.is_empty() {
        policy["detectors"] = json!(terms.masking.detectors);
    }
    policy.to_string()
}

/// Somebody who sends requests through the gate.
#[derive(Debug, Clone)]
pub struct Agent {
    client: Client,
    host: String,
    token: Option<String>,
}

impl Agent {
    /// With this token, to [`API`].
    #[must_use]
    pub fn new(client: Client, token: Option<String>) -> Self {
        Self {
            client,
            host: API.to_owned(),
            token,
        }
    }

    /// The same agent, to another host.
    #[must_use]
    pub fn at(&self, host: &str) -> Self {
        let host = host.to_owned();
        Self {
            host,
            ..self.clone()
        }
    }

    /// The same agent over another HTTP.
    #[must_use]
    pub fn over(&self, client: Client) -> Self {
        Self {
            client,
            ..self.clone()
        }
    }

    /// The request with host and token.
    #[must_use]
    pub fn dress(&self, call: Call) -> Call {
        let call = call.host(&self.host);
        match &self.token {
            Some(token) => call.bearer(token),
            None => call,
        }
    }

    /// The same as bytes, without the empty line at the end of its headers.
    #[must_use]
    pub fn raw(&self, first_line: &str) -> String {
        let token = self.token.as_deref().unwrap_or_default();
        let host = &self.host;
        format!("{first_line}\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n")
    }

    /// Sends a request.
    ///
    /// # Panics
    /// When there is no whole answer.
    pub async fn send(&self, call: Call) -> Answer {
        let answer = self.try_send(call).await;
        answer.unwrap_or_else(|e| panic!("no whole answer: {e}"))
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub async fn try_send(&self, call: Call) -> Result<Answer, Failed> {
        self.client.send(self.dress(call)).await
    }

    /// Sends a request and gives the answer as soon as its headers are there.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start(&self, call: Call) -> Answering {
        let answer = self.client.start(self.dress(call)).await;
        answer.unwrap_or_else(|e| panic!("no answer: {e}"))
    }

    /// Sends a request without waiting for its answer. Aborted, the agent has gone away.
    #[must_use]
    pub fn spawn(&self, call: Call) -> JoinHandle<Result<Answer, Failed>> {
        let (client, call) = (self.client, self.dress(call));
        tokio::spawn(async move { client.send(call).await })
    }
}

/// The answer to a request that was [spawned](Agent::spawn).
///
/// # Panics
/// When there is no whole answer.
pub async fn answer(request: JoinHandle<Result<Answer, Failed>>) -> Answer {
    let answer = tokio::time::timeout(wait::PATIENCE, request).await;
    let answer = answer.unwrap_or_else(|_| panic!("a request gets no answer"));
    answer
        .expect("nobody aborts it")
        .unwrap_or_else(|e| panic!("no whole answer: {e}"))
}
