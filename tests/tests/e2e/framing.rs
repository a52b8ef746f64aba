//! What surrounds bodies: gRPC's messages, content encodings, and what has no body. A secret inside
//! is masked and the frame around it still fits.

use chaperone_tests::client::{Call, Http};
use chaperone_tests::compressed::{self, Compressed};
use chaperone_tests::masked::{HERE, assert_nothing_of, without_fingerprints};
use chaperone_tests::script::{Gate, Script};
use chaperone_tests::stage::{Setting, Stage, allow, secret};
use chaperone_tests::upstream::Reply;
use hyper::HeaderMap;

async fn stage() -> Stage {
    Setting::with(&[allow("platform", "platform")])
        .start()
        .await
}

async fn grpc_stage() -> Stage {
    Setting::with(&[allow("platform", "platform")])
        .http(Http::Two, Http::Two)
        .start()
        .await
}

fn grpc_status(status: &str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.parse().unwrap());
    trailers
}

/// A length-prefixed message with one protobuf string in it (field 1).
fn message(text: &str) -> Vec<u8> {
    let mut out = vec![0];
    out.extend(u32::try_from(text.len() + 2).unwrap().to_be_bytes());
    out.extend([0x0a, u8::try_from(text.len()).unwrap()]);
    out.extend(text.as_bytes());
    out
}

/// The strings of messages, whose lengths all fit.
fn strings(mut bytes: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let length: [u8; 4] = bytes[1..5].try_into().unwrap();
        let (message, rest) = bytes[5..].split_at(u32::from_be_bytes(length) as usize);
        assert_eq!(
            usize::from(message[1]),
            message.len() - 2,
            "the string's length"
        );
        out.push(String::from_utf8_lossy(&message[2..]).into_owned());
        bytes = rest;
    }
    out
}

#[tokio::test]
async fn grpc_messages_are_masked_in_their_own_length_and_status_and_trailers_stay() {
    let stage = grpc_stage().await;
    let alice = stage.agent("alice", &["platform"]);
    let clean = ["hello", "a\u{0}b"].map(message).concat();
    let secret = secret();
    let dirty = ["one", &format!("key: {secret}!"), "three"]
        .map(message)
        .concat();
    for (body, size) in [
        (&clean, 1),
        (&clean, 500),
        (&dirty, 1),
        (&dirty, 7),
        (&dirty, 500),
    ] {
        let script = Script::new().cut(body, size).trailers(grpc_status("0"));
        let reply = Reply::ok(script.clone()).header("content-type", "application/grpc+proto");
        stage
            .upstream
            .always(reply.header("trailer", "grpc-status"));
        stage.upstream.forget();
        let call = Call::post("/pkg.Service/Method", script)
            .header("content-type", "application/grpc+proto")
            .header("te", "trailers");
        let answer = alice.send(call).await;
        let seen = stage
            .upstream
            .wait_for("/pkg.Service/Method", 1)
            .await
            .remove(0);
        assert_eq!(answer.trailers["grpc-status"], "0");
        assert_eq!(seen.header("te"), ["trailers"]);
        for got in [answer.body(), seen.body] {
            assert_nothing_of(&got, std::slice::from_ref(&secret), "gRPC");
            if body == &clean {
                assert_eq!(got, clean);
                continue;
            }
            assert_eq!(got.len(), body.len());
            let got = strings(&got);
            assert_eq!((got[0].as_str(), got[2].as_str()), ("one", "three"));
            assert!(
                got[1].starts_with("key: [masked:github-") && got[1].ends_with('!'),
                "{}",
                got[1]
            );
        }
    }
    stage.deployment.envoy.admin.assert_no_traps().await;
}

#[tokio::test]
async fn a_compressed_answer_is_read_and_masked_and_no_longer_compressed() {
    let stage = stage().await;
    let alice = stage.agent("alice", &["platform"]);
    let document = format!(
        "{{\"key\":\"{}\",\"n\":[{}1]}}",
        secret(),
        "1.50, ".repeat(20_000)
    );
    for Compressed { encoding, parts } in compressed::every_way(&[&document]) {
        let body = &parts[0];
        for script in [
            Script::new().chunk(body.clone()),
            Script::new().cut(body, body.len() / 97),
        ] {
            let reply = Reply::ok(script).header("content-type", "application/json");
            stage
                .upstream
                .always(reply.header("content-encoding", encoding));
            let answer = alice.send(Call::get("/zipped")).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.header("content-encoding"), None);
            assert_eq!(
                without_fingerprints(&answer.text()),
                document.replace(&secret(), HERE)
            );
        }
        // Without its end it is not whole, and its reader has to notice.
        let reply = Reply::ok(Script::new().cut(&body[..body.len() / 2], 20));
        stage
            .upstream
            .always(reply.header("content-encoding", encoding));
        let answer = alice.try_send(Call::get("/cut")).await;
        assert!(answer.as_ref().is_err() || answer.is_ok_and(|answer| answer.status == 502));
    }
    stage.deployment.envoy.admin.assert_no_traps().await;
}

#[tokio::test]
async fn compressed_events_are_not_waited_for() {
    let stage = stage().await;
    let alice = stage.agent("alice", &["platform"]);
    let events = [
        "data: {\"a\":1}\n\n",
        "data: {\"b\":2}\n\n",
        "data: [DONE]\n\n",
    ];
    for Compressed { encoding, parts } in compressed::every_way(&events) {
        let gates = [Gate::closed(), Gate::closed()];
        let script = Script::new()
            .chunk(parts[0].clone())
            .wait(&gates[0])
            .chunk(parts[1].clone());
        let script = script.wait(&gates[1]).chunk(parts[2].clone());
        let reply = Reply::ok(script).header("content-type", "text/event-stream");
        stage
            .upstream
            .always(reply.header("content-encoding", encoding));
        let mut answering = alice.start(Call::get("/events")).await;
        for (gate, event) in gates.iter().zip(events) {
            answering.until(event).await.unwrap();
            gate.open();
        }
        assert_eq!(answering.rest().await.unwrap().text(), events.concat());
    }
}

#[tokio::test]
async fn a_small_body_that_becomes_huge_does_not_take_the_gate_down() {
    let stage = stage().await;
    let alice = stage.agent("alice", &["platform"]);
    let huge = "x".repeat(40_000_000);
    for Compressed { encoding, parts } in compressed::every_way(&[&huge]) {
        let reply = Reply::ok(Script::new().chunk(parts[0].clone()));
        stage
            .upstream
            .always(reply.header("content-encoding", encoding));
        // Whole or broken off, as the limits say; never something else.
        if let Ok(answer) = alice.try_send(Call::get("/huge")).await {
            assert!(
                answer.status == 502 || answer.body() == huge.as_bytes(),
                "{}",
                answer.status
            );
        }
    }
    stage.upstream.always(Reply::ok("fine"));
    assert_eq!(alice.send(Call::get("/")).await.text(), "fine");
    stage.deployment.envoy.admin.assert_no_traps().await;
}
