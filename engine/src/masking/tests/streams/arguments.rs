//! Keys that name a secret in the JSON that the pieces of one text make: the arguments of a tool.

use super::{super::all, cut_with, key};
use crate::masking::{KeyNames, Plan};
use serde_json::{Value, json};
use std::sync::Arc;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn plan() -> Arc<Plan> {
    Arc::new(Plan::masking(all()).with_keys(KeyNames::of(["password"])))
}

fn replacement(value: &str) -> String {
    format!("[masked:password:{}]", key().fingerprint(value.as_bytes()))
}

/// Masks a stream, the same wherever it is cut.
fn masked(stream: &str) -> String {
    let (whole, findings) = cut_with(&plan(), stream.as_bytes(), &[]);
    for at in 0..stream.len() {
        let (out, found) = cut_with(&plan(), stream.as_bytes(), &[at]);
        assert_eq!(
            String::from_utf8_lossy(&out),
            String::from_utf8_lossy(&whole),
            "cut at {at}"
        );
        assert_eq!(found, findings);
    }
    let bytes: Vec<usize> = (1..stream.len()).collect();
    assert_eq!(cut_with(&plan(), stream.as_bytes(), &bytes).0, whole);
    String::from_utf8(whole).unwrap()
}

/// The data of each event.
fn data(stream: &str) -> Vec<Value> {
    let lines = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    lines
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// Streams the text in pieces of so many characters, and gives what a client puts together from
/// what is left of it.
fn streamed(
    text: &str,
    size: usize,
    event: impl Fn(&str) -> Value,
    piece: impl Fn(&Value) -> Option<&str>,
    end: &Value,
) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut stream = String::new();
    for some in letters.chunks(size) {
        let some: String = some.iter().collect();
        stream.push_str(&format!("data: {}\n\n", event(&some)));
    }
    let events = letters.chunks(size).count() + 1;
    stream.push_str(&format!("data: {end}\n\n"));
    let out = data(&masked(&stream));
    assert_eq!(out.len(), events);
    assert_eq!(out.last(), Some(end));
    out.iter().filter_map(piece).collect()
}

#[test]
fn the_pieces_of_a_tools_arguments_are_one_document() {
    for secret in ["hunter2", "a\"\\\né😀"] {
        let document = |value: &str| {
            json!({"user": "x", "password": value, "more": [{"password": [value]}], "n": secret})
                .to_string()
        };
        let (text, expected) = (document(secret), document(&replacement(secret)));
        for size in [1, 3, 7, 1000] {
            let messages = streamed(
                &text,
                size,
                |p| json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": p}}),
                |event| event["delta"]["partial_json"].as_str(),
                &json!({"type": "content_block_stop", "index": 1}),
            );
            assert_eq!(messages, expected);
            let chat = streamed(
                &text,
                size,
                |p| json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": p}}]}}]}),
                |event| {
                    event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str()
                },
                &json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
            );
            assert_eq!(chat, expected);
            let responses = streamed(
                &text,
                size,
                |p| json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": p}),
                |event| event["delta"].as_str(),
                &json!({"type": "response.function_call_arguments.done", "output_index": 0, "arguments": "{}"}),
            );
            assert_eq!(responses, expected);
            // A model that answers with JSON.
            let content = streamed(
                &text,
                size,
                |p| json!({"choices": [{"index": 0, "delta": {"content": p}}]}),
                |event| event["choices"][0]["delta"]["content"].as_str(),
                &json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
            );
            assert_eq!(content, expected);
        }
    }
}

#[test]
fn what_an_event_says_whole_is_a_document_too() {
    let event = |value: &str| {
        let text = json!({"password": value}).to_string();
        format!(
            "data: {}\n\ndata: {}\n\n",
            json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": text}]}}),
            json!({"type": "response.output_item.done", "output_index": 0, "item": {"arguments": format!(" {text}")}})
        )
    };
    assert_eq!(masked(&event("hunter2")), event(&replacement("hunter2")));
}

#[test]
fn a_text_that_may_be_whole_each_time_is_a_document_each_time() {
    let stream = |value: &str| {
        let event = |text: Value| format!("data: {}\n\n", json!({"text": text.to_string()}));
        [
            event(json!({"a": "b"})),
            event(json!({"password": value})),
            event(json!("x")),
        ]
        .concat()
    };
    assert_eq!(masked(&stream("hunter2")), stream(&replacement("hunter2")));
}

#[test]
fn a_value_that_never_ends_makes_other_events_wait_only_up_to_the_cap() {
    let delta = |index: u32, piece: &str| {
        let delta = json!({"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta", "partial_json": piece}});
        format!("data: {delta}\n\n")
    };
    let mut stream = delta(0, "{\"password\":\"hunter2\\");
    while stream.len() < 400_000 {
        stream.push_str(&delta(1, "words and words and words. "));
    }
    stream.push_str(&delta(0, "u0041hunter3\",\"b\":\"c\"}"));
    let (expected, _) = cut_with(&plan(), stream.as_bytes(), &[]);
    for size in [7, 100, 4096] {
        let every: Vec<_> = (size..stream.len()).step_by(size).collect();
        assert_eq!(cut_with(&plan(), stream.as_bytes(), &every).0, expected);
    }
    let out = data(&String::from_utf8(expected).unwrap());
    let text: String = out
        .iter()
        .filter(|event| event["index"] == 0)
        .filter_map(|event| event["delta"]["partial_json"].as_str())
        .collect();
    assert_eq!(
        text,
        format!(
            "{{\"password\":\"{}\",\"b\":\"c\"}}",
            replacement("hunter2")
        )
    );
}
