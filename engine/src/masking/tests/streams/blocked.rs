//! A stream that ends at a secret ends with its protocol's own error.

use super::{
    super::{
        all,
        cases::{ALNUM, filler},
        key,
    },
    cut_with, read,
};
use crate::masking::{Action, Masker, Plan, Treatment};
use serde_json::{Value, json};
use std::sync::Arc;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn pat() -> String {
    format!("ghp_{}", filler(36, ALNUM))
}

fn blocking() -> Arc<Plan> {
    let treatment = Treatment {
        action: Action::Block,
        keep: 0,
    };
    Arc::new(Plan::masking(all()).treating("secrets/github-pat", treatment))
}

/// Blocks the stream that `event` makes of the pieces of a text; checks that the first two events
/// leave and what follows is the same wherever it is cut. Gives the last event.
fn ended(first: &str, event: impl Fn(&str) -> Value) -> (String, Value) {
    let secret = pat();
    let (a, b) = secret.split_at(20);
    let before = format!("{first}data: {}\n\n", event("fine "));
    let stream = format!(
        "{before}data: {}\n\ndata: {}\n\ndata: {}\n\n",
        event(&format!("it is {a}")),
        event(&format!("{b} he said")),
        event("and more")
    );
    let (expected, _) = cut_with(&blocking(), stream.as_bytes(), &[]);
    for at in 0..stream.len() {
        let (out, findings) = cut_with(&blocking(), stream.as_bytes(), &[at]);
        assert_eq!(out, expected, "cut at {at}");
        assert_eq!(findings.total(), 1);
    }
    let out = String::from_utf8(expected).unwrap();
    let error = out.strip_prefix(&before).unwrap_or_else(|| panic!("{out}"));
    assert!(error.ends_with("\n\n"));
    let events = read(error.as_bytes());
    assert_eq!(events.len(), 2, "{error}");
    let data = serde_json::from_str(events[0].data.as_ref().unwrap()).unwrap();
    (events[0].name.clone(), data)
}

#[test]
fn a_chat_completion_ends_with_an_error_that_its_clients_raise() {
    let (name, error) = ended(
        "",
        |piece| json!({"choices": [{"index": 0, "delta": {"content": piece}}]}),
    );
    assert_eq!(name, "");
    assert_eq!(error["error"]["code"], "secret_blocked");
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("secrets/github-pat")
    );
}

#[test]
fn a_response_ends_with_an_error_that_has_the_next_number() {
    let (name, error) = ended(
        "",
        |piece| json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": piece, "sequence_number": 41}),
    );
    assert_eq!((name.as_str(), &error["type"]), ("error", &json!("error")));
    assert_eq!(error["sequence_number"], 42);
    assert!(error["error"]["message"].is_string() && error["message"].is_string());
}

#[test]
fn a_message_ends_with_an_error_of_its_kind() {
    let (name, error) = ended(
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        |piece| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}),
    );
    assert_eq!((name.as_str(), &error["type"]), ("error", &json!("error")));
    assert_eq!(error["error"]["type"], "permission_error");
}

#[test]
fn other_streams_end_with_an_error_too() {
    let (_, error) = ended(
        "",
        |piece| json!({"candidates": [{"content": {"parts": [{"text": piece}]}}]}),
    );
    assert_eq!(error["error"]["status"], "PERMISSION_DENIED");
    let (name, error) = ended(
        "",
        |piece| json!({"type": "text-delta", "id": "1", "delta": piece}),
    );
    assert_eq!((name.as_str(), &error["status"]), ("error", &json!(403)));
}

#[test]
fn an_answer_of_json_rpc_becomes_an_error_with_its_id_and_another_message_only_breaks_off() {
    let blocked = |message: Value| {
        let stream = format!(
            "data: {{\"jsonrpc\":\"2.0\",\"method\":\"x\"}}\n\nevent: message\ndata: {message}\n\n"
        );
        let mut masker = Masker::new(blocking(), key(), &super::events());
        let mut out = masker.push(stream.as_bytes()).into_body();
        out.append(masker.finish());
        (read(&out.into_bytes()), masker.blocked().unwrap().told)
    };
    for id in [json!(7), json!("seven")] {
        let (events, told) =
            blocked(json!({"id": id, "jsonrpc": "2.0", "result": {"text": pat()}}));
        let data: Value = serde_json::from_str(events[1].data.as_ref().unwrap()).unwrap();
        assert_eq!(data["id"], id);
        assert!(data["error"]["message"].is_string());
        assert!(told);
    }
    let (events, told) =
        blocked(json!({"jsonrpc": "2.0", "method": "y", "params": {"text": pat()}}));
    assert_eq!(events.len(), 2);
    assert!(!told);
}

#[test]
fn a_long_event_is_torn_off_and_whoever_reads_it_must_be_told() {
    let stream = format!(
        "data: {{\"a\":\"{}\",\"b\":\"{}\"}}\n\n",
        "words ".repeat(9000),
        pat()
    );
    let (expected, _) = cut_with(&blocking(), stream.as_bytes(), &[]);
    assert!(stream.as_bytes().starts_with(&expected));
    assert_eq!(expected.len(), stream.find("ghp_").unwrap());
    for at in (0..stream.len()).step_by(101) {
        assert_eq!(cut_with(&blocking(), stream.as_bytes(), &[at]).0, expected);
    }
    let mut masker = Masker::new(blocking(), key(), &super::events());
    masker.push(stream.as_bytes());
    assert!(!masker.blocked().unwrap().told);
}

#[test]
fn where_a_stream_ends_does_not_depend_on_what_comes_after() {
    let event = |choice: u32, piece: &str| {
        let event = json!({"choices": [{"index": choice, "delta": {"content": piece}}]});
        format!("data: {event}\n\n")
    };
    // The first text is undecided when the second one's secret is found, and decided by what
    // follows.
    let secret = format!("{} he said", pat());
    let stream = [event(1, "x gh"), event(0, &secret), event(1, " y")].concat();
    let (expected, _) = cut_with(&blocking(), stream.as_bytes(), &[]);
    assert!(expected.starts_with(b"data: {\"error\""));
    for at in 0..stream.len() {
        let (out, _) = cut_with(&blocking(), stream.as_bytes(), &[at]);
        assert_eq!(out, expected, "cut at {at}");
    }
}
