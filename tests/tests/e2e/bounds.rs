//! Where answers are larger than what may wait: what is undecided then is masked while it streams,
//! whatever is larger is still read, and Envoy's memory stays what it was.

use chaperone_tests::client::Call;
use chaperone_tests::masked::{HERE, assert_nothing_of, without_fingerprints};
use chaperone_tests::models::{Api, Data, Said, Wire};
use chaperone_tests::runs::{Run, read_masked};
use chaperone_tests::script::{Gate, Script};
use chaperone_tests::stage::{Setting, Stage, allow, answer, secret};
use chaperone_tests::upstream::Reply;
use chaperone_tests::{compressed, cuts};
use serde_json::Value;

async fn stage() -> Stage {
    let setting = Setting::with(&[allow("platform", "platform")]);
    setting.start().await
}

/// The beginning of a private key, and so many bytes of what looks like its body.
fn endless_key(size: usize) -> String {
    let line = "MIIEXAMPLEbase64EXAMPLEbase64EXAMPLEbase64EXAMPLEbase64EXAMPLE64\n";
    let begin = ["-----BEGIN", " PRIVATE KEY-----\n"].concat();
    begin + &line.repeat(size / line.len())
}

fn end_of_key() -> String {
    ["-----END", " PRIVATE KEY-----"].concat()
}

/// Most memory that Envoy has had since it was last asked, in bytes.
fn peak(stage: &Stage) -> u64 {
    let id = stage.deployment.envoy.process.id().expect("Envoy runs");
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|peak| peak.split_whitespace().next());
    let kilobytes: u64 = kilobytes.and_then(|n| n.parse().ok()).expect("a size");
    // proc(5): what has been the peak is forgotten.
    std::fs::write(format!("/proc/{id}/clear_refs"), "5").unwrap();
    kilobytes * 1024
}

/// As events of a chat, a piece of 1,000 characters each.
fn in_events(text: &str) -> Vec<u8> {
    let said = Said {
        texts: vec![text.to_owned()],
        ..Said::default()
    };
    Wire::PLAIN.write(&Api::Chat.stream(&said, 1000))
}

/// What the text or the events of an answer say.
fn said(body: &str) -> String {
    if !body.starts_with("data:") {
        return body.to_owned();
    }
    let events = body.lines().filter_map(|line| line.strip_prefix("data: "));
    let pieces = events.filter(|data| *data != "[DONE]").map(|data| {
        let event: Value = serde_json::from_str(data).unwrap_or_else(|e| panic!("{e}: {data}"));
        let piece = event.pointer("/choices/0/delta/content");
        piece.and_then(Value::as_str).unwrap_or_default().to_owned()
    });
    pieces.collect()
}

#[tokio::test]
async fn a_key_that_does_not_end_is_masked_while_it_streams_and_memory_stays_as_it_was() {
    const ALL: usize = 24 << 20;
    let stage = stage().await;
    let alice = stage.agent("alice", &["platform"]);
    for (content_type, is_events) in [("text/plain", false), ("text/event-stream", true)] {
        for ends in [true, false] {
            let write = |size: usize| {
                let key = endless_key(size);
                let end = if ends {
                    end_of_key() + " and on"
                } else {
                    String::new()
                };
                let text = format!("It is fine: {key}{end}");
                if is_events {
                    in_events(&text)
                } else {
                    text.into_bytes()
                }
            };
            let mut before = 0;
            // The first takes what Envoy needs anyway for a stream of this kind.
            for size in [1 << 20, ALL] {
                let (body, gate) = (write(size), Gate::closed());
                // More than a stream holds of events that wait.
                let (first, rest) = body.split_at(400_000);
                let script = Script::new()
                    .chunk(first.to_vec())
                    .wait(&gate)
                    .cut(rest, 65_536);
                let reply = Reply::ok(script).header("content-type", content_type);
                stage.upstream.always(reply);
                before = peak(&stage).max(before);
                let mut answering = alice.start(Call::get("/")).await;
                // Long before it is known whether the key ends. Its replacement has the fingerprint
                // of all of it, and comes at its end.
                answering.until("It is fine: ").await.unwrap();
                gate.open();
                let answer = answering.rest().await.unwrap();
                assert_nothing_of(&answer.body(), &[endless_key(100)], content_type);
                let wanted = if ends {
                    format!("It is fine: {HERE} and on")
                } else {
                    // The end of its last line belongs to no key.
                    format!("It is fine: {HERE}\n")
                };
                assert_eq!(without_fingerprints(&said(&answer.text())), wanted);
            }
            let grown = peak(&stage).saturating_sub(before);
            assert!(
                grown < 8 << 20,
                "{content_type}: {grown} bytes more for {ALL}"
            );
        }
    }
    stage.deployment.envoy.admin.assert_no_traps().await;
}

#[tokio::test]
async fn an_event_of_more_than_the_cap_is_masked_and_read_as_any() {
    let stage = stage().await;
    // A secret wherever the cap may fall, and before and after.
    let near = format!("{} of \"it\", ", secret()).repeat(60);
    let prose = "Größe: nothing secret \u{1f511}.\n".repeat(1000);
    let text = format!(
        "{} {near}{prose}{} {prose}",
        prose.chars().take(30_000).collect::<String>(),
        secret()
    );
    let said = Said {
        texts: vec![text.clone()],
        arguments: vec![serde_json::json!({"content": text, "n": [1, 2.50]}).to_string()],
        ..Said::default()
    };
    let mut runs = Vec::new();
    for api in Api::ALL {
        let events = api.stream(&said, 1_000_000);
        let longest = events.iter().map(|event| match &event.data {
            Data::Json(data) => data.to_string().len(),
            Data::Done => 0,
        });
        assert!(longest.max() > Some(32 * 1024));
        for wire in [Wire::PLAIN, Wire::STRANGE[0]] {
            let body = wire.write(&events);
            let mut scripts = cuts::hostile(&body);
            scripts.push(("around the cap", cuts::after_every_byte(&body, 32_500)));
            for (how, script) in scripts {
                runs.push(Run::new(api, &format!("{wire:?}, {how}"), &body, script));
            }
        }
    }
    read_masked(&stage, &runs, &[secret()]).await;
}

/// About half a megabyte of gzip, which becomes 60 MB.
fn bomb() -> Vec<u8> {
    let text = lines(60 << 20);
    let gzip = compressed::every_way(&[&text]).remove(0);
    let body = gzip.parts.concat();
    assert!((200_000..700_000).contains(&body.len()), "{}", body.len());
    body
}

/// Lines that gzip makes a hundred times shorter.
fn lines(bytes: usize) -> String {
    let mut text = String::new();
    let mut number = 0;
    while text.len() < bytes {
        let what = "x".repeat(1_000);
        text += &format!("{{\"line\": {number:09}, \"what\": \"{what}\"}}\n");
        number += 1;
    }
    text
}

/// Bombs at once.
const BOMBS: usize = 40;
/// Of these, and far less than they would become.
const GROWS_AT_MOST: u64 = 256 << 20;

#[tokio::test]
async fn bodies_that_become_much_more_than_they_are_are_refused_and_memory_stays_as_it_was() {
    let body = bomb();
    for profile in ["headers", "body"] {
        let setting = Setting::with(&[allow("platform", "platform")]).profile(profile);
        let stage = setting.start().await;
        let alice = stage.agent("alice", &["platform"]);
        let before = peak(&stage);

        let upload = Call::post("/", body.clone()).header("content-encoding", "gzip");
        let requests: Vec<_> = (0..BOMBS).map(|_| alice.spawn(upload.clone())).collect();
        for request in requests {
            let refused = answer(request).await;
            let said = (refused.status, refused.code());
            let expected = (413, Some("expanded_request_too_large".to_owned()));
            assert_eq!(said, expected, "{profile}");
        }
        let grown = peak(&stage).saturating_sub(before);
        assert!(grown < GROWS_AT_MOST, "{profile}: requests: {grown}");

        stage
            .upstream
            .always(Reply::ok(body.clone()).header("content-encoding", "gzip"));
        let requests: Vec<_> = (0..BOMBS).map(|_| alice.spawn(Call::get("/"))).collect();
        for request in requests {
            // Where the headers have left it breaks off, and else is answered.
            let Ok(refused) = request.await.unwrap() else {
                continue;
            };
            let said = (refused.status, refused.code());
            let expected = (502, Some("expanded_response_too_large".to_owned()));
            assert_eq!(said, expected, "{profile}");
        }
        let grown = peak(&stage).saturating_sub(before);
        assert!(grown < GROWS_AT_MOST, "{profile}: answers: {grown}");

        // Either way it is counted by its reason, and recorded.
        stage.assert_trail_is_complete().await;
        for code in ["expanded_request_too_large", "expanded_response_too_large"] {
            let counted = stage.metric(&format!("code.{code}")).await;
            assert_eq!(counted, BOMBS as u64, "{profile}: {code}");
        }
        stage.deployment.envoy.admin.assert_no_traps().await;
    }
}
