//! Clients that send a part of their request and wait for an answer before they send more, as HTTP
//! lets them: none of them waits for ever, whatever the gate itself waits for, and nothing is lost
//! or comes unmasked for it.

use std::path::PathBuf;

use chaperone_tests::client::{Call, Client, Http};
use chaperone_tests::places;
use chaperone_tests::raw::Socket;
use chaperone_tests::script::{Gate, Script};
use chaperone_tests::stage::{API, Agent, MASKED, PLAIN, Setting, Stage, answer, secret};
use chaperone_tests::upstream::Reply;
use chaperone_tests::wait;
use hyper::HeaderMap;
use serde_json::{Value, json};

const PROFILES: [&str; 2] = ["headers", "body"];
const HTTPS: [Http; 2] = [Http::One, Http::Two];

/// Everything under `/recorded` has to be stored first, and a human is asked about `/risky`. What
/// waits for the next bytes of a body waits for 300 ms.
async fn stage(envoy: PathBuf, profile: &str, http: Http, masking: &[Value]) -> Stage {
    let rules = [
        json!({"name": "recorded", "match": {"paths": ["/recorded/**"]}, "effect": "allow", "audit": "required"}),
        json!({"name": "free", "match": {"paths": ["/free/**"]}, "effect": "allow"}),
        json!({"name": "risky", "match": {"paths": ["/risky/**"]}, "effect": "approve",
            "approve": {"by": ["sre"], "hold": "10s"}, "reason": "Ask."}),
    ];
    Setting::with(&rules)
        .masking(masking)
        .envoy(envoy)
        .profile(profile)
        .filter("limits", json!({"body_wait_ms": 300}))
        .http(http, http)
        .upgrades()
        .start()
        .await
}

fn rule(action: &str, on: &[&str]) -> Value {
    json!({"name": "secrets", "detectors": ["secrets/*"], "on": on, "action": action, "connections": ["api"]})
}

fn masking() -> Vec<Value> {
    vec![rule("mask", &["request", "response"])]
}

fn envoys() -> [PathBuf; 2] {
    [places::oldest_envoy(), places::envoy()]
}

/// What a client sends before it waits, and what upstream has of it then.
struct Talk {
    what: &'static str,
    sends: String,
    arrives: String,
    content_type: &'static str,
}

fn talks() -> Vec<Talk> {
    let talk = |what, sends: &str, arrives: &str, content_type| Talk {
        what,
        sends: sends.to_owned(),
        arrives: arrives.to_owned(),
        content_type,
    };
    let message = format!("\0\0\0\0{}a question.", char::from(11));
    vec![
        talk("text", "a question.", "a question.", "text/plain"),
        talk(
            "its end undecided",
            "a question, g",
            "a question, ",
            "text/plain",
        ),
        talk(
            "lines",
            "{\"a\": 1}\n",
            "{\"a\": 1}\n",
            "application/x-ndjson",
        ),
        talk("gRPC", &message, &message, "application/grpc"),
    ]
}

/// Upstream answers as soon as there is a request, and ends its answer after the request has ended.
fn play(stage: &Stage, talk: &Talk, last: &Gate) {
    let answer = format!("\0\0\0\0{}an answer.", char::from(10));
    let answer = if talk.content_type == "application/grpc" {
        answer
    } else {
        "an answer.".to_owned()
    };
    let script = Script::new().chunk(answer).wait(last);
    let reply = Reply::ok(script).header("content-type", talk.content_type);
    stage.upstream.always(reply.early());
}

/// Sends the first part, waits for the answer, and then sends the rest: all of it arrives.
async fn assert_they_talk(stage: &Stage, agent: &Agent, target: &str, talk: &Talk, how: &str) {
    let how = format!("{}, {target}, {how}", talk.what);
    let (more, last) = (Gate::closed(), Gate::closed());
    play(stage, talk, &last);
    stage.upstream.forget();
    let rest = if talk.content_type == "application/grpc" {
        ["\0\0\0\0\x0cold.", "The end."]
    } else {
        ["old.", "The end."]
    };
    let body = Script::new()
        .chunk(talk.sends.clone())
        .wait(&more)
        .chunk(rest[0])
        .chunk(rest[1]);
    let call = Call::post(target, body).header("content-type", talk.content_type);
    let answering = tokio::time::timeout(wait::PATIENCE, agent.start(call)).await;
    let mut answering = answering.unwrap_or_else(|_| panic!("{how}: no answer"));
    let said = tokio::time::timeout(wait::PATIENCE, answering.until("an answer.")).await;
    said.unwrap_or_else(|_| panic!("{how}: no answer")).unwrap();
    wait::until(&format!("{how}: the beginning"), async || {
        let seen = stage.upstream.seen_at(target).pop()?;
        (seen.text() == talk.arrives).then_some(())
    })
    .await;
    more.open();
    let all = talk.sends.clone() + &rest.concat();
    wait::until(&format!("{how}: the rest"), async || {
        let seen = stage.upstream.seen_at(target).pop()?;
        (seen.end.is_some() && seen.text() == all).then_some(())
    })
    .await;
    last.open();
    answering.rest().await.unwrap();
}

async fn agents(stage: &Stage, http: Http) -> Agent {
    let listener = stage.deployment.envoy.listener("agents").await;
    let alice = stage.agent("alice", &["platform"]);
    alice.over(Client::new(listener, http))
}

#[tokio::test]
async fn a_client_that_waits_for_an_answer_in_the_middle_of_its_request_gets_one() {
    for envoy in envoys() {
        for profile in PROFILES {
            for http in HTTPS {
                let stage = stage(envoy.clone(), profile, http, &masking()).await;
                let agent = agents(&stage, http).await;
                let how = format!("{http:?}, {profile}, {}", envoy.display());
                for talk in talks() {
                    if talk.content_type == "application/grpc" && http == Http::One {
                        continue;
                    }
                    for target in ["/free/x", "/recorded/x"] {
                        assert_they_talk(&stage, &agent, target, &talk, &how).await;
                    }
                    if talk.sends == talk.arrives {
                        let plain = agent.at(PLAIN);
                        assert_they_talk(&stage, &plain, "/recorded/x", &talk, &how).await;
                    }
                }
                stage.assert_trail_is_complete().await;
                stage.deployment.envoy.admin.assert_no_traps().await;
            }
        }
    }
}

#[tokio::test]
async fn so_does_one_whose_request_is_held_for_what_policy_blocks() {
    for envoy in envoys() {
        for http in HTTPS {
            let block = [rule("block", &["request", "response"])];
            let stage = stage(envoy.clone(), "body", http, &block).await;
            let agent = agents(&stage, http).await;
            let how = format!("{http:?}, {}", envoy.display());
            for talk in talks() {
                if talk.content_type == "application/grpc" && http == Http::One {
                    continue;
                }
                for target in ["/free/x", "/recorded/x"] {
                    assert_they_talk(&stage, &agent, target, &talk, &how).await;
                }
            }
            // A secret that comes after the wait ends the request there.
            let (more, last) = (Gate::closed(), Gate::closed());
            play(&stage, &talks()[0], &last);
            let body = Script::new()
                .chunk("first.")
                .wait(&more)
                .chunk(secret() + " ");
            let request = agent.spawn(Call::post("/free/late", body));
            wait::until("the beginning", async || {
                let seen = stage.upstream.seen_at("/free/late").pop()?;
                (seen.text() == "first.").then_some(())
            })
            .await;
            more.open();
            let _ = tokio::time::timeout(wait::PATIENCE, request).await;
            let seen = stage.upstream.seen_at("/free/late").pop().unwrap();
            assert_eq!(seen.text(), "first.", "{how}");
            stage.deployment.envoy.admin.assert_no_traps().await;
        }
    }
}

#[tokio::test]
async fn a_request_that_a_human_has_to_see_whole_and_that_does_not_end_is_refused() {
    let stage = stage(places::envoy(), "body", Http::Two, &masking()).await;
    for http in HTTPS {
        let listener = stage.deployment.envoy.listener("agents").await;
        let alice = stage.agent("alice", &["platform"]);
        let alice = alice.over(Client::new(listener, http));
        for body in [
            Script::new().chunk("first.").wait(&Gate::closed()),
            Script::new().wait(&Gate::closed()),
        ] {
            let refused = answer(alice.spawn(Call::post("/risky/x", body))).await;
            assert_eq!(
                (refused.status, refused.code().as_deref()),
                (408, Some("body_unfinished")),
                "{http:?}"
            );
        }
    }
    assert_eq!(stage.upstream.seen_at("/risky/x").len(), 0);
    stage.deployment.envoy.admin.assert_no_traps().await;
}

#[tokio::test]
async fn an_upgrade_that_must_be_recorded_first_goes_through() {
    for envoy in envoys() {
        for profile in PROFILES {
            let stage = stage(envoy.clone(), profile, Http::One, &masking()).await;
            let listener = stage.deployment.envoy.listener("agents").await;
            let head = stage
                .agent("alice", &["platform"])
                .at(PLAIN)
                .raw("GET /recorded/ws HTTP/1.1");
            let mut socket = Socket::connect(listener).await.unwrap();
            let websocket = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
            socket.send(format!("{head}{websocket}\r\n")).await.unwrap();
            let seen = stage.upstream.wait_for("/recorded/ws", 1).await.remove(0);
            assert_eq!(seen.header("upgrade"), ["websocket"], "{profile}");
        }
    }
}

#[tokio::test]
async fn a_request_with_its_end_undecided_and_trailers_behind_it_arrives_whole_and_masked() {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "1".parse().unwrap());
    for envoy in envoys() {
        for profile in PROFILES {
            let stage = stage(envoy.clone(), profile, Http::Two, &masking()).await;
            let alice = stage.agent("alice", &["platform"]);
            for (sent, arrives) in [
                (
                    "undecided github_".to_owned(),
                    "undecided github_".to_owned(),
                ),
                (format!("pay {}", secret()), format!("pay {MASKED}")),
                (
                    "x".repeat(300_000) + " github_",
                    "x".repeat(300_000) + " github_",
                ),
            ] {
                stage.upstream.forget();
                let body = Script::new().chunk(sent).trailers(trailers.clone());
                let passed = alice.send(Call::post("/recorded/x", body)).await;
                assert_eq!(passed.status, 200, "{}", passed.text());
                let seen = stage.upstream.wait_for("/recorded/x", 1).await.remove(0);
                let text = seen.text();
                assert!(
                    text.starts_with(&arrives),
                    "{profile}: {} bytes",
                    text.len()
                );
                assert_eq!(seen.trailers["x-checksum"], "1", "{profile}");
            }
            stage.deployment.envoy.admin.assert_no_traps().await;
        }
    }
}

#[tokio::test]
async fn the_headers_of_an_answer_do_not_wait_for_a_body_that_waits_for_the_client() {
    for envoy in envoys() {
        let block = [rule("block", &["response"])];
        let stage = stage(envoy.clone(), "body", Http::Two, &block).await;
        let alice = stage.agent("alice", &["platform"]);
        for (first, early) in [("", ""), ("gold, g", "gold, ")] {
            let (more, rest) = (Gate::closed(), Gate::closed());
            let mut script = Script::new();
            if !first.is_empty() {
                script = script.chunk(first);
            }
            let script = script.wait(&rest).chunk("old").chunk(" and on");
            let reply = Reply::ok(script).header("content-type", "text/plain");
            stage.upstream.always(reply.early());
            let body = Script::new()
                .chunk("a question.")
                .wait(&more)
                .chunk("The end.");
            let call = Call::post("/free/x", body).host(API);
            let answering = tokio::time::timeout(wait::PATIENCE, alice.start(call)).await;
            let mut answering = answering.expect("the headers come");
            if !early.is_empty() {
                let said = answering.until(early).await.unwrap();
                assert_eq!(said, early.as_bytes());
            }
            more.open();
            rest.open();
            let answer = answering.rest().await.unwrap();
            assert_eq!(answer.text(), format!("{first}old and on"));
        }
        stage.deployment.envoy.admin.assert_no_traps().await;
    }
}
