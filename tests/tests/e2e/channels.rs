//! Where a model's answer says a secret otherwise than in a few deltas of events: as log
//! probabilities, in lines of JSON, in an array that grows, in arguments of tools under keys that
//! name a secret, and over events that are all alike.

use chaperone_tests::agents::{Library, Request};
use chaperone_tests::api::text;
use chaperone_tests::client::Call;
use chaperone_tests::cuts;
use chaperone_tests::files;
use chaperone_tests::masked::{
    HERE, assert_masked, assert_nothing_of, expected, without_fingerprints,
};
use chaperone_tests::models::{Api, Said, Wire};
use chaperone_tests::runs::{Run, arguments, gate, read_masked};
use chaperone_tests::script::{Gate, Script};
use chaperone_tests::stage::{Setting, Stage, allow, private_key, secret};
use chaperone_tests::upstream::Reply;
use chaperone_tests::wait;
use serde_json::{Value, json};

async fn stage() -> Stage {
    let setting = Setting::with(&[allow("platform", "platform")]);
    setting.start().await
}

fn planted() -> Vec<String> {
    vec![secret(), private_key()]
}

/// As it stands in a JSON string.
fn in_json(text: &str) -> String {
    let quoted = json!(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// `text` in pieces of so many characters.
fn pieces(text: &str, size: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let pieces = characters.chunks(size);
    pieces.map(|piece| piece.iter().collect()).collect()
}

/// The pieces of `text` as tokens with their probabilities.
fn log_probabilities(text: &str) -> Value {
    let token = |piece: &String| {
        let bytes: Vec<u8> = piece.bytes().collect();
        let other = json!({"token": piece, "bytes": bytes, "logprob": -0.25});
        json!({"token": piece, "bytes": bytes, "logprob": -0.25, "top_logprobs": [other]})
    };
    json!({"content": pieces(text, 3).iter().map(token).collect::<Vec<_>>(), "refusal": null})
}

#[tokio::test]
async fn log_probabilities_of_an_answer_in_one_piece_are_masked_with_it() {
    let stage = stage().await;
    let token = stage.issuer.token("alice").groups(&["platform"]).sign();
    let secrets = [secret()];
    let said = format!("Größe: \"{}\" and on 🔑.", secret());
    let logprobs = log_probabilities(&said);
    let message = json!({"role": "assistant", "content": said, "refusal": null});
    // Whichever comes first: servers differ.
    let choices = [
        format!(r#""logprobs":{logprobs},"message":{message}"#),
        format!(r#""message":{message},"logprobs":{logprobs}"#),
    ];
    let gate = gate(&stage).await;
    let libraries = [("npm", Library::npm()), ("Python", Library::python())];
    for choice in choices {
        let body = format!(
            r#"{{"id":"chatcmpl-EXAMPLE","object":"chat.completion","created":1700000000,"model":"example-1",
            "choices":[{{"index":0,"finish_reason":"stop",{choice}}}],"usage":{{"prompt_tokens":11,"completion_tokens":22,"total_tokens":33}}}}"#
        );
        for size in [body.len(), 101, 7] {
            let reply = Reply::ok(Script::new().cut(body.as_bytes(), size));
            stage
                .upstream
                .always(reply.header("content-type", "application/json"));
            for (name, library) in &libraries {
                let mut request = Api::Chat.request("Say it.");
                request.as_object_mut().unwrap().remove("stream_options");
                (request["logprobs"], request["top_logprobs"]) = (json!(true), json!(1));
                let request = Request {
                    call: Api::Chat.whole(),
                    base: &gate,
                    token: &token,
                    request: &request,
                };
                let (got, _, raw) = library.call(request).await.ok();
                assert_nothing_of(&raw, &secrets, name);
                let choice = &got["choices"][0];
                let content = text(&choice["message"]["content"]);
                assert_eq!(without_fingerprints(content), expected(&said, &secrets));
                assert_eq!(choice["finish_reason"], "stop");
                assert_tokens_are_masked(&choice["logprobs"]["content"], &said, &logprobs);
            }
        }
    }
    stage.deployment.envoy.admin.assert_no_traps().await;
}

/// # Panics
/// When a list of tokens is anything else than the one that was `sent`, with the secret in `said`
/// masked.
fn assert_tokens_are_masked(got: &Value, said: &str, sent: &Value) {
    let (got, sent) = (
        got.as_array().expect("a list"),
        sent["content"].as_array().unwrap(),
    );
    let joined: String = got.iter().map(|token| text(&token["token"])).collect();
    assert_eq!(without_fingerprints(&joined), expected(said, &[secret()]));
    assert_eq!(got.len(), sent.len(), "no token is made or dropped");
    for (got, sent) in got.iter().zip(sent) {
        assert_eq!(got["logprob"], sent["logprob"]);
        if got["token"] == sent["token"] {
            assert_eq!(got, sent);
        } else {
            assert_eq!(got["bytes"], Value::Null, "{got}");
            assert_eq!(got["top_logprobs"], json!([]), "{got}");
        }
    }
}

/// An answer that streams without events.
struct Stream {
    path: &'static str,
    content_type: &'static str,
    /// All but its texts is the same for all, or ends the answer.
    records: Vec<Value>,
    /// Before, between and after records.
    marks: [&'static str; 3],
    /// Where the pieces of its texts stand in a record.
    texts: [&'static str; 2],
}

impl Stream {
    /// Ollama's `/api/chat`: a line of JSON for each piece.
    fn ollama(said: &str, thought: &str, size: usize) -> Self {
        let one = |name: &str, piece: &String| {
            json!({"model": "example-1", "created_at": "2026-01-01T00:00:00.5Z",
                "message": {"role": "assistant", name: piece}, "done": false})
        };
        let mut records: Vec<Value> = Vec::new();
        let (said, thought) = (pieces(said, size), pieces(thought, size));
        for at in 0..said.len().max(thought.len()) {
            records.extend(thought.get(at).map(|piece| one("thinking", piece)));
            records.extend(said.get(at).map(|piece| one("content", piece)));
        }
        records.push(json!({"model": "example-1", "done": true, "done_reason": "stop",
            "message": {"role": "assistant", "content": ""}, "eval_count": 290, "total_duration": 4_883_583_458_u64}));
        Self {
            path: "/api/chat",
            content_type: "application/x-ndjson",
            records,
            marks: ["", "\n", "\n"],
            texts: ["/message/content", "/message/thinking"],
        }
    }

    /// Gemini's `:streamGenerateContent` without `alt=sse`: an array that grows.
    fn gemini(said: &str, thought: &str, size: usize) -> Self {
        let one = |part: Value| json!({"candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}]});
        let mut records: Vec<Value> = pieces(thought, size)
            .iter()
            .map(|piece| one(json!({"text": piece, "thought": true})))
            .collect();
        records.extend(
            pieces(said, size)
                .iter()
                .map(|piece| one(json!({"text": piece}))),
        );
        records.push(
            json!({"candidates": [{"content": {"parts": [{"text": ""}], "role": "model"},
            "finishReason": "STOP", "index": 0}], "usageMetadata": {"totalTokenCount": 33}}),
        );
        Self {
            path: "/v1beta/models/example-1:streamGenerateContent",
            content_type: "application/json; charset=UTF-8",
            records,
            marks: ["[", "\n,\r\n", "\n]\n"],
            texts: ["/candidates/0/content/parts/0/text", "/none"],
        }
    }

    /// Its bytes, record by record.
    fn parts(&self) -> Vec<String> {
        let last = self.records.len() - 1;
        let part = |(at, record): (usize, &Value)| {
            let before = if at == 0 { self.marks[0] } else { "" };
            let after = self.marks[if at == last { 2 } else { 1 }];
            format!("{before}{record}{after}")
        };
        self.records.iter().enumerate().map(part).collect()
    }

    /// Records that came, as its reader takes them.
    fn read(&self, body: &str) -> Vec<Value> {
        if self.marks[0] == "[" {
            let all: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {body}"));
            return all.as_array().expect("an array").clone();
        }
        let lines = body
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")));
        lines.collect()
    }

    /// What the pieces of each text say together, and the records without them.
    fn together(&self, records: &[Value]) -> Value {
        let mut records = records.to_vec();
        let (mut said, mut thought) = (String::new(), String::new());
        for record in &mut records {
            let is_thought = record
                .pointer("/candidates/0/content/parts/0/thought")
                .is_some();
            for (number, place) in self.texts.iter().enumerate() {
                if let Some(piece) = record.pointer_mut(place) {
                    let text = if number == 1 || is_thought {
                        &mut thought
                    } else {
                        &mut said
                    };
                    text.push_str(piece.as_str().expect("a text"));
                    *piece = json!("…");
                }
            }
        }
        json!({"said": said, "thought": thought, "records": records})
    }
}

#[tokio::test]
async fn lines_of_deltas_and_growing_arrays_are_masked_however_they_were_cut() {
    let stage = stage().await;
    let alice = stage.agent("alice", &["platform"]);
    let said = format!("Größe: \"{}\"\n🔑 and\t{}\nend", secret(), private_key());
    let thought = format!("I should not say {}.", secret());
    for make in [Stream::ollama, Stream::gemini] {
        for size in [1, 5, 10_000] {
            let stream = make(&said, &thought, size);
            let parts = stream.parts();
            let body = parts.concat().into_bytes();
            let ends = parts.iter().scan(0, |at, part| {
                *at += part.len();
                Some(*at)
            });
            let start = files::find(&body, b"message").unwrap_or(100);
            for (how, script) in [
                ("in one piece", Script::new().chunk(body.clone())),
                ("record by record", cuts::at(&body, ends.clone())),
                (
                    "before the ends",
                    cuts::at(&body, ends.step_by(3).map(|at| at - 7)),
                ),
                ("after every byte", cuts::after_every_byte(&body, start)),
                ("in pieces of an odd size", Script::new().cut(&body, 331)),
            ] {
                let how = format!("{}, pieces of {size}, {how}", stream.path);
                let reply = Reply::ok(script).header("content-type", stream.content_type);
                stage.upstream.always(reply);
                let answer = alice.send(Call::post(stream.path, "{}")).await;
                assert_nothing_of(&answer.body(), &planted(), &how);
                let got = stream.together(&stream.read(&answer.text()));
                let sent = stream.together(&stream.records);
                assert_masked(&sent, &got, &planted(), &how);
            }
        }
    }
    stage.deployment.envoy.admin.assert_no_traps().await;
}

#[tokio::test]
async fn a_line_or_an_element_without_a_secret_is_there_before_the_next_is_sent() {
    let stage = stage().await;
    let alice = stage.agent("alice", &["platform"]);
    // No piece of it could go on as a secret.
    let text = "Äöü, äöü; 🔑 äöü. ".repeat(2);
    for make in [Stream::ollama, Stream::gemini] {
        let stream = make(&text, &text, 5);
        let parts = stream.parts();
        let gates: Vec<Gate> = parts.iter().map(|_| Gate::closed()).collect();
        let mut script = Script::new();
        for (part, gate) in parts.iter().zip(&gates) {
            script = script.chunk(part.clone()).wait(gate);
        }
        let reply = Reply::ok(script).header("content-type", stream.content_type);
        stage.upstream.always(reply);
        let mut answering = alice.start(Call::post(stream.path, "{}")).await;
        let mut sent = String::new();
        for (part, gate) in parts.iter().zip(&gates) {
            sent.push_str(part);
            let whole = sent.trim_end_matches("\n,\r\n").to_owned();
            let got = tokio::time::timeout(wait::PATIENCE, answering.until(&whole)).await;
            got.unwrap_or_else(|_| panic!("{part:?} is held")).unwrap();
            gate.open();
        }
        assert_eq!(answering.rest().await.unwrap().text(), sent);
    }
}

#[tokio::test]
async fn keys_choose_in_the_arguments_of_tools_and_these_still_parse() {
    // No detector would find it.
    let password = "correct horse EXAMPLE battery \u{e4}\"";
    let written = in_json(password);
    let secrets = [password.to_owned(), in_json(&written), written];
    let keys =
        json!({"name": "keys", "keys": "default", "on": ["request", "response"], "action": "mask"});
    let setting = Setting::with(&[allow("platform", "platform")]);
    let stage = setting.masking(&[keys]).start().await;
    let login = json!({"user": "ann", "password": password, "n": [1, 2.50], "to": {"client_secret": [password]}});
    let said = Said {
        texts: vec!["Logging in.".to_owned()],
        arguments: vec![login.to_string(), json!({"path": "/\u{fc}"}).to_string()],
        ..Said::default()
    };
    let mut wanted = login.clone();
    wanted["password"] = json!(HERE);
    wanted["to"]["client_secret"] = json!([HERE]);
    let assert_parses = |answer: &Value, how: &str| {
        let got = arguments(answer, how);
        let got = without_fingerprints(&got[0].to_string());
        assert_eq!(
            serde_json::from_str::<Value>(&got).unwrap(),
            wanted,
            "{how}"
        );
    };
    let mut runs = Vec::new();
    for api in Api::ALL {
        for delta in [1, 9, 10_000] {
            for wire in [Wire::PLAIN, Wire::STRANGE[3]] {
                let body = wire.write(&api.stream(&said, delta));
                let start = files::find(&body, b"password").unwrap_or(body.len() / 3);
                let mut scripts = cuts::hostile(&body);
                scripts.push(("after every byte", cuts::after_every_byte(&body, start)));
                for (how, script) in scripts {
                    let how = format!("deltas of {delta}, {wire:?}, {how}");
                    runs.push(Run::new(api, &how, &body, script));
                }
            }
        }
    }
    for (run, answer) in runs.iter().zip(read_masked(&stage, &runs, &secrets).await) {
        assert_parses(&answer, &run.how);
    }

    let (gate, library) = (gate(&stage).await, Library::npm());
    let token = stage.issuer.token("alice").groups(&["platform"]).sign();
    for api in Api::ALL {
        let body = api.answer(&said).to_string();
        let reply = Reply::ok(Script::new().cut(body.as_bytes(), 7));
        stage
            .upstream
            .always(reply.header("content-type", "application/json"));
        let request = Request {
            call: api.whole(),
            base: &gate,
            token: &token,
            request: &api.request("Say it."),
        };
        let (answer, _, raw) = library.call(request).await.ok();
        assert_nothing_of(&raw, &secrets, "the answer");
        assert_parses(&answer, &format!("{api:?}, in one piece"));
    }
}

#[tokio::test]
async fn a_secret_over_events_that_are_all_alike_is_masked_however_they_were_cut() {
    let stage = stage().await;
    let prose =
        "Nothing here is secret: the \"quick\" brown fox\n and its 🔑, ghp_ and all. ".repeat(5);
    let said = format!(
        "{prose}{} {prose}{}\n{prose}\\{}",
        secret(),
        private_key(),
        secret()
    );
    let mut runs = Vec::new();
    for api in Api::ALL {
        for size in [1, 6] {
            // One channel, so that each event is the one before it but for its text.
            for (what, said) in [
                (
                    "a text",
                    Said {
                        texts: vec![said.clone()],
                        ..Said::default()
                    },
                ),
                (
                    "arguments",
                    Said {
                        texts: vec![String::new()],
                        arguments: vec![json!({"content": said, "n": [1, 2.50]}).to_string()],
                        ..Said::default()
                    },
                ),
            ] {
                let body = Wire::PLAIN.write(&api.stream(&said, size));
                let start = files::find(&body, b"secret").unwrap_or(100);
                let mut scripts = cuts::hostile(&body);
                scripts.push(("after every byte", cuts::after_every_byte(&body, start)));
                for (how, script) in scripts {
                    let how = format!("{what}, deltas of {size}, {how}");
                    runs.push(Run::new(api, &how, &body, script));
                }
            }
        }
    }
    let secrets = [planted(), vec![in_json(&private_key())]].concat();
    for (run, answer) in runs.iter().zip(read_masked(&stage, &runs, &secrets).await) {
        for arguments in arguments(&answer, &run.how) {
            assert_eq!(arguments["n"], json!([1, 2.50]), "{}", run.how);
        }
    }
}
