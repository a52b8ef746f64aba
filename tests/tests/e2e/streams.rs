//! Official client libraries through the gate, against an upstream that cuts its bytes at hostile
//! places: a secret in any channel of a streamed answer arrives masked, and the library notices
//! nothing.
//!
//! What a library makes of an answer that came through the gate is compared with what the same
//! library makes of it directly from the upstream. Both may differ in the secrets alone.

use std::path::PathBuf;

use chaperone_tests::agents::{Library, Request};
use chaperone_tests::client::Call;
use chaperone_tests::cuts;
use chaperone_tests::files;
use chaperone_tests::masked::{HERE, assert_masked, assert_nothing_of, without_fingerprints};
use chaperone_tests::models::{Api, Said, Wire};
use chaperone_tests::places;
use chaperone_tests::runs::{self, Run, directly, gate, outcomes, play, read_masked};
use chaperone_tests::script::{Gate, Script};
use chaperone_tests::stage::{Setting, Stage, allow, private_key, secret};
use chaperone_tests::upstream::{Reply, Seen};
use chaperone_tests::wait;
use serde_json::{Value, json};

/// As it stands in a JSON string.
fn in_json(text: &str) -> String {
    let quoted = json!(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Every spelling of a secret that [`said`] plants.
fn planted() -> Vec<String> {
    vec![secret(), private_key(), in_json(&private_key())]
}

/// A secret in each channel, between text that has to be escaped, and that is no ASCII.
fn said() -> Said {
    let (token, key) = (secret(), private_key());
    let command = format!("curl -H 'Authorization: token {token}' https://api.example/ü?q=\"1\"");
    Said {
        texts: vec![
            format!("Größe: \"{token}\"\n🔑 and\t\\{token}\\ twice; ghp_ is no token."),
            format!("Other choice — {key}\nend."),
        ],
        thinking: format!("I should not repeat {token}, 私は…"),
        refusal: format!("I won't tell {token}."),
        arguments: vec![
            json!({"command": command, "lines": [1, 2.50, -0.0e3, true, null]}).to_string(),
            json!({"path": "~/.ssh/id", "content": key, "emoji": "🔑"}).to_string(),
        ],
    }
}

/// Without anything secret, with what resembles it.
fn clean() -> Said {
    Said {
        texts: vec![
            "Größe: \"ghp_\" and\t🔑 sk- github_pat_ eyJ … -----BEGIN PUBLIC KEY-----".to_owned(),
            "Other choice — end.".to_owned(),
        ],
        thinking: "私は AKIA…".to_owned(),
        refusal: "I won't.".to_owned(),
        arguments: vec![json!({"command": "ls \"/ü\"", "n": [1, 2.50]}).to_string()],
    }
}

/// Streams in deltas of many sizes, written in every legal way, cut at every kind of hostile place.
fn hostile_runs(said: &Said) -> Vec<Run> {
    let mut runs = Vec::new();
    for api in Api::ALL {
        for delta in [1, 9, 10_000] {
            let body = Wire::PLAIN.write(&api.stream(said, delta));
            for (how, script) in cuts::hostile(&body) {
                runs.push(Run::new(
                    api,
                    &format!("deltas of {delta}, {how}"),
                    &body,
                    script,
                ));
            }
        }
        for wire in Wire::STRANGE {
            let body = wire.write(&api.stream(said, 9));
            let start = files::find(&body, b"BEGIN").unwrap_or(100);
            for (how, script) in [
                ("in one piece", Script::new().chunk(body.clone())),
                ("after every byte", cuts::after_every_byte(&body, start)),
            ] {
                runs.push(Run::new(api, &format!("{wire:?}, {how}"), &body, script));
            }
        }
    }
    runs
}

async fn stage(envoy: PathBuf) -> Stage {
    let setting = Setting::with(&[allow("platform", "platform")]);
    setting.envoy(envoy).start().await
}

async fn hostile_streams_are_masked_on(envoy: PathBuf, runs: Vec<Run>) {
    let stage = stage(envoy).await;
    let answers = read_masked(&stage, &runs, &planted()).await;
    for (run, answer) in runs.iter().zip(answers) {
        assert_arguments_are_json(&answer, &run.how);
    }
}

/// # Panics
/// When the arguments of a tool call, as the library put them together, are no JSON, or lost a
/// member.
fn assert_arguments_are_json(answer: &Value, how: &str) {
    let arguments = runs::arguments(answer, how);
    assert_eq!(arguments.len(), 2, "{how}: {answer}");
    let command = arguments[0]["command"].as_str().map(without_fingerprints);
    let wanted = format!("curl -H 'Authorization: token {HERE}' https://api.example/ü?q=\"1\"");
    assert_eq!(command, Some(wanted), "{how}");
    let content = arguments[1]["content"].as_str().map(without_fingerprints);
    assert_eq!(content.as_deref(), Some(HERE), "{how}");
}

#[tokio::test]
async fn the_libraries_read_a_masked_stream_as_they_read_any_however_it_was_cut() {
    hostile_streams_are_masked_on(places::envoy(), hostile_runs(&said())).await;
}

#[tokio::test]
async fn so_do_they_on_the_oldest_envoy() {
    // The library is the same and the cuts are; some of them will do.
    let runs = hostile_runs(&said()).into_iter().step_by(4).collect();
    hostile_streams_are_masked_on(places::oldest_envoy(), runs).await;
}

#[tokio::test]
async fn a_stream_without_a_secret_passes_byte_for_byte() {
    let stage = stage(places::envoy()).await;
    let token = stage.issuer.token("alice").groups(&["platform"]).sign();
    let library = Library::npm();
    let runs = hostile_runs(&clean());
    play(&stage, &runs, "text/event-stream");
    for (run, outcome) in runs
        .iter()
        .zip(outcomes(&library, &runs, &gate(&stage).await, &token).await)
    {
        let (_, _, raw) = outcome.ok();
        let (sent, got) = (
            String::from_utf8_lossy(&run.body),
            String::from_utf8_lossy(&raw),
        );
        assert_eq!(got, sent, "{}", run.how);
    }
}

#[tokio::test]
async fn an_event_without_a_secret_is_there_before_the_next_is_sent() {
    let stage = stage(places::envoy()).await;
    let alice = stage.agent("alice", &["platform"]);
    // No piece of it could go on as a secret, as "gh" could.
    let text = "Äöü, äöü; 🔑 äöü. ".repeat(3);
    let said = Said {
        texts: vec![text.clone(), text.clone()],
        thinking: text.clone(),
        refusal: text.clone(),
        arguments: vec![json!({"äöü": text}).to_string()],
    };
    for api in Api::ALL {
        for wire in [
            Wire::PLAIN,
            Wire::STRANGE[0],
            Wire::STRANGE[1],
            Wire::STRANGE[2],
        ] {
            let gates: Vec<Gate> = (0..8).map(|_| Gate::closed()).collect();
            let (mut script, mut sent) = (Script::new(), Vec::new());
            for (event, gate) in api.stream(&said, 5).chunks(4).zip(&gates) {
                let bytes = wire.write(event);
                sent.push(bytes.clone());
                script = script.chunk(bytes).wait(gate);
            }
            let reply = Reply::ok(script).header("content-type", "text/event-stream");
            stage.upstream.always(reply);
            let mut answering = alice.start(Call::post("/v1/x", "{}")).await;
            let mut got = Vec::new();
            for (number, (bytes, gate)) in sent.iter().zip(&gates).enumerate() {
                while got.len() < bytes.len() {
                    let next = tokio::time::timeout(wait::PATIENCE, answering.chunk()).await;
                    let next = next.unwrap_or_else(|_| {
                        let got = String::from_utf8_lossy(&got);
                        panic!("{api:?}, {wire:?}: part {number} is held after {got:?}")
                    });
                    got.extend_from_slice(&next.unwrap().expect("the answer goes on"));
                }
                assert_eq!(
                    String::from_utf8_lossy(&got),
                    String::from_utf8_lossy(bytes)
                );
                got.clear();
                gate.open();
            }
        }
    }
}

#[tokio::test]
async fn the_libraries_for_python_agree() {
    let stage = stage(places::envoy()).await;
    let token = stage.issuer.token("alice").groups(&["platform"]).sign();
    let library = Library::python();
    let mut runs = Vec::new();
    for api in Api::ALL {
        for (delta, wire) in [(1, Wire::PLAIN), (9, Wire::PLAIN), (9, Wire::STRANGE[3])] {
            let body = wire.write(&api.stream(&said(), delta));
            let script = Script::new().cut(&body, 1000);
            runs.push(Run::new(
                api,
                &format!("deltas of {delta}, {wire:?}"),
                &body,
                script,
            ));
        }
    }
    let direct = directly(&stage, &library, &runs).await;
    play(&stage, &runs, "text/event-stream");
    let gated = outcomes(&library, &runs, &gate(&stage).await, &token).await;
    for ((run, direct), gated) in runs.iter().zip(direct).zip(gated) {
        let (sent, got) = (direct.ok().0, gated.ok().0);
        assert_masked(&sent, &got, &planted(), &run.how);
        assert_arguments_are_json(&got, &run.how);
    }
}

#[tokio::test]
async fn an_answer_in_one_piece_is_masked_and_read_the_same() {
    let stage = stage(places::envoy()).await;
    let token = stage.issuer.token("alice").groups(&["platform"]).sign();
    let library = Library::npm();
    for api in Api::ALL {
        let body = serde_json::to_string_pretty(&api.answer(&said())).unwrap();
        for script in [
            Script::new().chunk(body.clone()),
            Script::new().cut(body.as_bytes(), 11),
        ] {
            stage
                .upstream
                .always(Reply::ok(script).header("content-type", "application/json"));
            let (request, gate) = (api.request("Say it."), gate(&stage).await);
            let mut outcomes = Vec::new();
            for (base, token) in [(stage.upstream.url(), "direct"), (gate, token.as_str())] {
                let request = Request {
                    call: api.whole(),
                    base: &base,
                    token,
                    request: &request,
                };
                outcomes.push(library.call(request).await.ok());
            }
            let (got, _, raw) = outcomes.remove(1);
            let (sent, _, _) = outcomes.remove(0);
            assert_nothing_of(&raw, &planted(), "the answer");
            assert_masked(&sent, &got, &planted(), "the answer");
            assert_arguments_are_json(&got, "the answer");
        }
    }
}

#[tokio::test]
async fn what_an_agent_sends_is_masked_in_prompts_and_tool_results_and_images_pass() {
    let stage = stage(places::envoy()).await;
    let token = stage.issuer.token("alice").groups(&["platform"]).sign();
    let library = Library::npm();
    let secrets = planted();
    // Random bytes, so what is no secret must not look like one by chance.
    let image: String = base64_noise(90_000);
    let (key, secret) = (private_key(), secret());
    let requests = [
        (
            Api::Chat,
            json!({"model": "example-1", "messages": [
            {"role": "system", "content": format!("Use {secret}.")},
            {"role": "user", "content": [
                {"type": "text", "text": format!("\"{key}\"")},
                {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{image}")}}]},
            {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function",
                "function": {"name": "shell", "arguments": json!({"command": secret}).to_string()}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": json!({"stdout": key}).to_string()}]}),
        ),
        (
            Api::Responses,
            json!({"model": "example-1", "instructions": secret, "input": [
            {"role": "user", "content": [{"type": "input_text", "text": key},
                {"type": "input_image", "detail": "auto", "image_url": format!("data:image/png;base64,{image}")}]},
            {"type": "function_call", "call_id": "call_1", "name": "shell",
                "arguments": json!({"command": secret}).to_string()},
            {"type": "function_call_output", "call_id": "call_1", "output": key}]}),
        ),
        (
            Api::Messages,
            json!({"model": "example-1", "max_tokens": 1000, "system": secret, "messages": [
            {"role": "user", "content": [{"type": "text", "text": key},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": image}}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "shell",
                "input": {"command": secret, "content": key}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1",
                "content": format!("{key}\n{secret}")}]}]}),
        ),
    ];
    for (api, request) in requests {
        let reply = Reply::json(&api.answer(&clean()));
        stage.upstream.always(reply);
        stage.upstream.forget();
        let request = Request {
            call: api.whole(),
            base: &gate(&stage).await,
            token: &token,
            request: &request,
        };
        let (_, _, _) = library.call(request.clone()).await.ok();
        let seen: Vec<Seen> = stage.upstream.seen();
        assert_eq!(seen.len(), 1, "{api:?}");
        assert_nothing_of(&seen[0].everything(), &secrets, "the request");
        let got: Value = serde_json::from_slice(&seen[0].body).unwrap();
        assert_masked(request.request, &got, &secrets, "the request");
        assert!(
            files::contains(&seen[0].body, image.as_bytes()),
            "the image is as it was"
        );
    }
}

/// As many characters of base64 of bytes without a pattern, the same each time.
fn base64_noise(length: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..length)
        .map(|_| {
            // xorshift64 (Marsaglia 2003).
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(ALPHABET[usize::try_from(state >> 58).unwrap()])
        })
        .collect()
}
