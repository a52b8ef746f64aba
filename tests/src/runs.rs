//! Streamed answers that libraries read twice: directly from the upstream, and through the gate.
//! What they make of both may differ in the secrets alone.

use serde_json::{Value, json};

use crate::agents::{Library, Outcome, Request};
use crate::masked::{assert_masked, assert_nothing_of};
use crate::models::Api;
use crate::script::Script;
use crate::stage::{API, Stage};
use crate::upstream::Reply;

/// An answer that the upstream gives below a path of its own, and how.
#[derive(Debug)]
pub struct Run {
    /// Of whom.
    pub api: Api,
    /// For whoever reads of a failure.
    pub how: String,
    /// All of it.
    pub body: Vec<u8>,
    /// The same in pieces.
    pub script: Script,
}

impl Run {
    /// An answer of this API.
    #[must_use]
    pub fn new(api: Api, how: &str, body: &[u8], script: Script) -> Self {
        Self {
            api,
            how: format!("{api:?}, {how}"),
            body: body.to_vec(),
            script,
        }
    }

    /// The same bytes without a cut.
    fn uncut(&self) -> Self {
        let script = Script::new().chunk(self.body.clone());
        Self::new(self.api, "uncut", &self.body, script)
    }
}

/// The upstream plays run N to whatever comes below `/N`.
pub fn play(stage: &Stage, runs: &[Run], content_type: &'static str) {
    let scripts: Vec<Script> = runs.iter().map(|run| run.script.clone()).collect();
    stage.upstream.answer(move |seen| {
        let run = seen.path().split('/').nth(1).and_then(|n| n.parse().ok());
        let script: Option<&Script> = run.and_then(|run: usize| scripts.get(run));
        match script {
            Some(script) => Reply::ok(script.clone()).header("content-type", content_type),
            None => Reply::status(404),
        }
    });
}

/// What a library makes of each run, in their order.
pub async fn outcomes(library: &Library, runs: &[Run], base: &str, token: &str) -> Vec<Outcome> {
    // So many at once: enough to use both cores, few enough for the cuts to arrive as cuts.
    const TOGETHER: usize = 24;
    let mut outcomes = Vec::new();
    for first in (0..runs.len()).step_by(TOGETHER) {
        let group = first..runs.len().min(first + TOGETHER);
        let mut begun = Vec::new();
        for number in group {
            let run = &runs[number];
            let request = Request {
                call: run.api.streamed(),
                base: &format!("{base}/{number}"),
                token,
                request: &run.api.request("Say it."),
            };
            begun.push(library.begin(request).await);
        }
        for id in begun {
            outcomes.push(library.end(id).await);
        }
    }
    outcomes
}

/// What a library makes of each run without a gate between, in their order.
pub async fn directly(stage: &Stage, library: &Library, runs: &[Run]) -> Vec<Outcome> {
    let mut bodies: Vec<Run> = Vec::new();
    let mut body_of = Vec::new();
    for run in runs {
        let known = bodies.iter().position(|known| known.body == run.body);
        body_of.push(known.unwrap_or(bodies.len()));
        if known.is_none() {
            bodies.push(run.uncut());
        }
    }
    play(stage, &bodies, "text/event-stream");
    let outcomes = outcomes(library, &bodies, &stage.upstream.url(), "direct").await;
    body_of
        .into_iter()
        .map(|body| outcomes[body].clone())
        .collect()
}

/// The gate's base URL, for a library.
pub async fn gate(stage: &Stage) -> String {
    let port = stage.deployment.envoy.listener("agents").await.port();
    format!("http://{API}:{port}")
}

/// What npm's libraries made of each run through the gate, in their order.
///
/// # Panics
/// When that is anything else than what they make of it directly, with `secrets` masked: another
/// text, another event, id, end or order; or when anything of a secret is in the bytes.
pub async fn read_masked(stage: &Stage, runs: &[Run], secrets: &[String]) -> Vec<Value> {
    let token = stage.issuer.token("alice").groups(&["platform"]).sign();
    let library = Library::npm();
    let direct = directly(stage, &library, runs).await;
    play(stage, runs, "text/event-stream; charset=utf-8");
    let gated = outcomes(&library, runs, &gate(stage).await, &token).await;
    let mut answers = Vec::new();
    for ((run, direct), gated) in runs.iter().zip(direct).zip(gated) {
        let (how, (mut sent, sent_events, _)) = (&run.how, direct.ok());
        let (mut got, got_events, raw) = gated.ok();
        put_reasoning_together(&mut sent, &sent_events);
        put_reasoning_together(&mut got, &got_events);
        assert_nothing_of(&raw, secrets, how);
        assert_masked(&sent, &got, secrets, how);
        let expected_events: Vec<Value> = sent_events.iter().map(without_deltas).collect();
        let events: Vec<Value> = got_events.iter().map(without_deltas).collect();
        assert_masked(&json!(expected_events), &json!(events), secrets, how);
        let text = String::from_utf8_lossy(&raw).into_owned();
        let is_done = text.trim_end().ends_with("[DONE]");
        assert_eq!(is_done, run.api == Api::Chat, "{how}");
        answers.push(got);
    }
    stage.deployment.envoy.admin.assert_no_traps().await;
    answers
}

/// `reasoning_content` is no part of `OpenAI`'s own API, and its library keeps the last piece of
/// what it does not know; agents that want it put it together themselves.
fn put_reasoning_together(answer: &mut Value, events: &[Value]) {
    if let Some(together) = answer.pointer_mut("/choices/0/message/reasoning_content") {
        let pieces = events
            .iter()
            .filter_map(|event| event.pointer("/choices/0/delta/reasoning_content"));
        let text: String = pieces.filter_map(Value::as_str).collect();
        *together = json!(text);
    }
}

/// An event less what its channel puts together from many: order, kinds, ids and ends are compared
/// event by event, text by channel.
fn without_deltas(event: &Value) -> Value {
    fn inside(value: &Value) -> Value {
        const TEXTS: [&str; 8] = [
            "content",
            "refusal",
            "reasoning_content",
            "arguments",
            "text",
            "thinking",
            "partial_json",
            "delta",
        ];
        match value {
            Value::Array(items) => items.iter().map(inside).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(key, value)| match value {
                    Value::String(_) if TEXTS.contains(&key.as_str()) => (key.clone(), json!("…")),
                    _ => (key.clone(), inside(value)),
                })
                .collect(),
            other => other.clone(),
        }
    }
    let mut event = event.clone();
    if event["delta"].is_string() {
        event["delta"] = json!("…");
    } else if event["delta"].is_object() {
        event["delta"] = inside(&event["delta"]);
    }
    for choice in event["choices"].as_array_mut().into_iter().flatten() {
        choice["delta"] = inside(&choice["delta"]);
    }
    event
}

/// The arguments of all tool calls in what a library put together, in order.
///
/// # Panics
/// When some are no JSON.
#[must_use]
pub fn arguments(answer: &Value, how: &str) -> Vec<Value> {
    let mut found = Vec::new();
    collect(answer, "arguments", &mut found);
    let parsed = found.iter().filter_map(Value::as_str).map(|arguments| {
        serde_json::from_str(arguments).unwrap_or_else(|e| panic!("{how}: {e}: {arguments}"))
    });
    let mut arguments: Vec<Value> = parsed.collect();
    collect(answer, "input", &mut arguments);
    arguments
}

/// All values of members with this name.
fn collect(value: &Value, name: &str, found: &mut Vec<Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, name, found)),
        Value::Object(members) => {
            for (key, value) in members {
                if key == name {
                    found.push(value.clone());
                }
                collect(value, name, found);
            }
        }
        _ => {}
    }
}
