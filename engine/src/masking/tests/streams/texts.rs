//! Which strings of an event are pieces of one text, in each protocol.

use super::{
    super::{
        all,
        cases::{ALNUM, filler},
        replacement,
    },
    cut, cut_with, masked, read,
};
use crate::masking::{KeyNames, Masker, Plan};
use serde_json::{Value, json};
use std::sync::Arc;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn pat() -> String {
    format!("ghp_{}", filler(36, ALNUM))
}

fn placeholder() -> String {
    replacement("secrets/github-pat", &pat())
}

/// Streams the events that `event` makes of the pieces of a secret in a sentence, and gives those
/// that come out.
fn streamed(event: impl Fn(&str) -> Value, end: &[Value]) -> Vec<Value> {
    let text = format!("it is {} he said", pat());
    let mut stream = String::new();
    for piece in [&text[..9], &text[9..10], &text[10..30], &text[30..]] {
        stream.push_str(&format!("data: {}\n\n", event(piece)));
    }
    for event in end {
        stream.push_str(&format!("data: {event}\n\n"));
    }
    read(masked(&stream).as_bytes())
        .iter()
        .filter_map(|event| serde_json::from_str(event.data.as_ref()?).ok())
        .collect()
}

/// The pieces of one text, which must hold the replacement and as many pieces as before.
fn assert_masked(events: &[Value], pointer: &str) {
    let pieces: Vec<_> = events
        .iter()
        .filter_map(|event| event.pointer(pointer)?.as_str())
        .collect();
    assert_eq!(pieces.len(), 4, "{events:?}");
    assert_eq!(
        pieces.concat(),
        format!("it is {} he said", placeholder()),
        "{pointer}"
    );
}

#[test]
fn every_delta_of_a_chat_completion_is_a_piece_of_a_text() {
    for (path, delta) in [
        ("/content", json!({"content": "X"})),
        ("/reasoning_content", json!({"reasoning_content": "X"})),
        ("/reasoning", json!({"reasoning": "X"})),
        ("/refusal", json!({"refusal": "X"})),
        (
            "/audio/transcript",
            json!({"audio": {"id": "a", "transcript": "X"}}),
        ),
        (
            "/function_call/arguments",
            json!({"function_call": {"arguments": "X"}}),
        ),
        (
            "/tool_calls/0/function/arguments",
            json!({"tool_calls": [{"index": 2, "function": {"arguments": "X"}}]}),
        ),
        (
            "/tool_calls/0/custom/input",
            json!({"tool_calls": [{"custom": {"input": "X"}, "index": 2}]}),
        ),
        (
            "/content/0/text",
            json!({"content": [{"type": "text", "text": "X"}]}),
        ),
        (
            "/content/0/thinking/0/text",
            json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "X"}]}]}),
        ),
        // What nobody has thought of yet.
        ("/invented/0/deep", json!({"invented": [{"deep": "X"}]})),
    ] {
        let event = |piece: &str| {
            let delta = delta
                .to_string()
                .replace("\"X\"", &json!(piece).to_string());
            json!({"choices": [{"delta": serde_json::from_str::<Value>(&delta).unwrap(), "index": 1, "finish_reason": null}]})
        };
        assert_masked(&streamed(event, &[]), &format!("/choices/0/delta{path}"));
    }
    let completion = |piece: &str| json!({"choices": [{"text": piece, "index": 0}]});
    assert_masked(&streamed(completion, &[]), "/choices/0/text");
}

#[test]
fn every_delta_of_a_response_is_a_piece_of_a_text() {
    for kind in [
        "response.output_text",
        "response.refusal",
        "response.reasoning_text",
        "response.reasoning_summary_text",
        "response.function_call_arguments",
        "response.custom_tool_call_input",
        "response.mcp_call_arguments",
        "response.code_interpreter_call_code",
        "response.audio_transcript",
    ] {
        let event = |piece: &str| {
            json!({"type": format!("{kind}.delta"), "item_id": format!("it{}", piece.len()),
                "output_index": 1, "content_index": 0, "delta": piece, "sequence_number": 4})
        };
        let text = format!("it is {} he said", pat());
        let done = json!({"type": format!("{kind}.done"), "output_index": 1, "content_index": 0, "text": text});
        let events = streamed(event, &[done]);
        assert_masked(&events, "/delta");
        let said = events[4]["text"].as_str().unwrap();
        assert_eq!(said, format!("it is {} he said", placeholder()), "{kind}");
    }
}

#[test]
fn every_delta_of_a_message_is_a_piece_of_a_text() {
    for (kind, member) in [
        ("text_delta", "text"),
        ("thinking_delta", "thinking"),
        ("input_json_delta", "partial_json"),
        ("signature_delta", "signature"),
    ] {
        let event = |piece: &str| json!({"type": "content_block_delta", "index": 1, "delta": {"type": kind, member: piece}});
        assert_masked(&streamed(event, &[]), &format!("/delta/{member}"));
    }
}

#[test]
fn a_block_may_begin_with_text() {
    let secret = pat();
    let (head, rest) = secret.split_at(7);
    let stream = format!(
        "data: {}\n\ndata: {}\n\n",
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": head}}),
        json!({"index": 0, "type": "content_block_delta", "delta": {"type": "text_delta", "text": rest}}),
    );
    let events = read(masked(&stream).as_bytes());
    assert!(events[0].data.as_ref().unwrap().contains(&placeholder()));
    assert!(events[1].data.as_ref().unwrap().contains("\"text\":\"\""));
}

#[test]
fn other_protocols_are_known_by_their_shape() {
    let candidate = |piece: &str| json!({"candidates": [{"content": {"parts": [{"text": piece}]}, "index": 0}]});
    assert_masked(
        &streamed(candidate, &[]),
        "/candidates/0/content/parts/0/text",
    );
    let part = |piece: &str| json!({"type": "text-delta", "id": "7", "delta": piece});
    assert_masked(&streamed(part, &[]), "/delta");
    let thread = |piece: &str| json!({"object": "thread.message.delta", "delta": {"content": [{"index": 0, "text": {"value": piece}}]}});
    assert_masked(&streamed(thread, &[]), "/delta/content/0/text/value");
    let cohere = |piece: &str| json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": piece}}}});
    assert_masked(&streamed(cohere, &[]), "/delta/message/content/text");
    let chat =
        |piece: &str| json!({"message": {"role": "assistant", "content": piece}, "done": false});
    assert_masked(&streamed(chat, &[]), "/message/content");
    let token = |piece: &str| json!({"token": {"text": piece}});
    assert_masked(&streamed(token, &[]), "/token/text");
}

#[test]
fn texts_of_different_choices_calls_and_blocks_do_not_mix() {
    let secret = pat();
    let (a, b) = secret.split_at(20);
    for (one, other) in [
        (
            json!({"choices": [{"index": 0, "delta": {"content": a}}]}),
            json!({"choices": [{"index": 1, "delta": {"content": b}}]}),
        ),
        (
            json!({"choices": [{"index": 0, "delta": {"content": a}}]}),
            json!({"choices": [{"index": 0, "delta": {"reasoning": b}}]}),
        ),
        (
            json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": a}}]}}]}),
            json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 1, "function": {"arguments": b}}]}}]}),
        ),
        (
            json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": a}),
            json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 1, "delta": b}),
        ),
        (
            json!({"type": "content_block_delta", "index": 1, "delta": {"text": a}}),
            json!({"type": "content_block_delta", "index": 11, "delta": {"text": b}}),
        ),
        // The text ended in between.
        (
            json!({"choices": [{"index": 0, "delta": {"content": a}, "finish_reason": "stop"}]}),
            json!({"choices": [{"index": 0, "delta": {"content": b}}]}),
        ),
        // Gemini's thought is no part of its answer.
        (
            json!({"candidates": [{"content": {"parts": [{"text": a, "thought": true}]}}]}),
            json!({"candidates": [{"content": {"parts": [{"text": b}]}}]}),
        ),
        // JSON-RPC has no deltas.
        (
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "text": a}),
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "text": b}),
        ),
    ] {
        let stream = format!("data: {one}\n\ndata: {other}\n\n");
        assert_eq!(masked(&stream), stream);
    }
}

#[test]
fn every_string_of_a_json_rpc_message_is_a_text() {
    for message in [
        json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": pat()}]}}),
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"message": pat(), "progress": 1}}),
        json!({"jsonrpc": "2.0", "id": "7", "error": {"code": -1, "message": pat(), "data": {pat(): [pat()]}}}),
    ] {
        let stream = format!("event: message\nid: 4\ndata: {message}\n\n");
        assert_eq!(masked(&stream), stream.replace(&pat(), &placeholder()));
    }
}

#[test]
fn escapes_do_not_hide_a_secret_in_an_event() {
    let escaped: String = pat()
        .chars()
        .map(|c| format!("\\u{:04x}", u32::from(c)))
        .collect();
    let (a, b) = escaped.split_at(60);
    let event = |piece: &str| {
        format!(
            "data: {{\"choices\":[{{\"d\\u0065lta\":{{\"content\":\"{piece}\"}},\"index\":0}}]}}\n\n"
        )
    };
    let out = masked(&format!("{}{}", event(a), event(b)));
    assert_eq!(out, format!("{}{}", event(&placeholder()), event("")));
    let own = format!("data: {{\"x\":\" {escaped}\\n\"}}\n\n");
    assert_eq!(
        masked(&own),
        format!("data: {{\"x\":\" {}\\n\"}}\n\n", placeholder())
    );
}

#[test]
fn log_probabilities_go_where_what_they_repeat_is_masked() {
    let secret = pat();
    let (a, b) = secret.split_at(20);
    let tokens = |piece: &str| json!({"content": [{"token": piece, "bytes": piece.as_bytes(), "top_logprobs": [{"token": piece}]}]});
    let event = |piece: &str, logprobs: Value| json!({"choices": [{"index": 0, "delta": {"content": piece}, "logprobs": logprobs}]});
    let clean = event("fine ", tokens("fine "));
    let stream = format!(
        "data: {clean}\n\ndata: {}\n\ndata: {}\n\ndata: {clean}\n\n",
        event(a, tokens(a)),
        event(b, tokens(b))
    );
    let expected = format!(
        "data: {clean}\n\ndata: {}\n\ndata: {}\n\ndata: {clean}\n\n",
        event(&placeholder(), Value::Null),
        event("", Value::Null)
    );
    // The text that follows would make the token longer, if it had no space.
    let (stream, expected) = (
        stream.replace("\"fine ", "\" fine "),
        expected.replace("\"fine ", "\" fine "),
    );
    assert_eq!(masked(&stream), expected);
    let response = |logprobs: Value| json!({"type": "response.output_text.done", "output_index": 0, "text": secret, "logprobs": logprobs});
    let stream = format!(
        "data: {}\n\n",
        response(json!([{"token": secret, "logprob": -1}]))
    );
    let expected = format!("data: {}\n\n", response(json!([]))).replace(&secret, &placeholder());
    assert_eq!(masked(&stream), expected);
}

#[test]
fn a_secret_over_events_of_plain_text_is_masked_and_so_is_one_that_begins_with_an_event() {
    let secret = pat();
    let (a, b) = secret.split_at(9);
    let out = masked(&format!(
        "data: it is {a}\n\nevent: x\ndata: other\n\ndata: {b} he said\n\n"
    ));
    assert_eq!(
        out,
        format!(
            "data: it is {}\n\nevent: x\ndata: other\n\ndata:  he said\n\n",
            placeholder()
        )
    );
    // A key of Google's is none in the middle of a word.
    let secret = format!("AIza{}", filler(35, ALNUM));
    let out = masked(&format!("data: line\n\ndata: {secret}\n\ndata:  next\n\n"));
    let placeholder = replacement("secrets/google-api-key", &secret);
    assert_eq!(
        out,
        format!("data: line\n\ndata: {placeholder}\n\ndata:  next\n\n")
    );
}

#[test]
fn what_hides_a_secret_in_a_body_hides_none_in_an_event() {
    let secret = pat();
    let hidden = [
        secret.replace('_', "%5F"),
        secret.replace('_', "\\\\u005f"),
        secret.replace('_', "_\u{200B}"),
        secret.replace('_', "&#95;"),
    ];
    for hidden in hidden {
        for event in [
            format!("data: {{\"a\":\"it is {hidden} \\n\"}}\n\n"),
            format!("id: {hidden}\ndata: {{}}\n\n"),
            format!("data: it is {hidden}\n\n"),
            format!("data: {{\"delta\":{{\"partial_json\":\"{hidden}\"}}}}\n\n"),
        ] {
            let out = masked(&event);
            assert!(out.contains("[masked:github-pat:"), "{out}");
            assert!(!out.contains(&secret[10..18]), "{out}");
        }
    }
}

#[test]
fn values_of_secret_keys_and_of_kubernetes_secrets_are_masked_in_events() {
    let keys = KeyNames::of(["password"]);
    let plan = Arc::new(Plan::masking(all()).with_keys(keys));
    let stream = "data: {\"result\":{\"user\":\"x\",\"pass\\u0077ord\":\"hunter2\"}}\n\n";
    let (out, _) = cut_with(&plan, stream.as_bytes(), &[]);
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("\"x\"") && !out.contains("hunter2"), "{out}");
    let stream =
        "data: {\"structuredContent\":{\"kind\":\"Secret\",\"data\":{\"a\":\"aHVudGVyMg==\"}}}\n\n";
    let out = masked(stream);
    assert!(!out.contains("aHVudGVyMg"), "{out}");
}

#[test]
fn what_waits_for_a_text_leaves_when_its_protocol_ends_it() {
    let response = |kind: &str| json!({"type": kind, "output_index": 1, "content_index": 0});
    let part = |kind: &str| json!({"type": kind, "id": "7"});
    for (delta, end) in [
        (
            json!({"choices": [{"index": 1, "delta": {"content": "x gh"}}]}),
            json!({"choices": [{"index": 0, "delta": {}}, {"finish_reason": "stop", "index": 1}]}),
        ),
        (
            json!({"type": "content_block_delta", "index": 1, "delta": {"text": "x gh"}}),
            json!({"type": "content_block_stop", "index": 1}),
        ),
        (
            json!({"type": "content_block_delta", "index": 1, "delta": {"text": "x gh"}}),
            json!({"type": "message_stop"}),
        ),
        (
            json!({"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "x gh"}),
            response("response.output_text.done"),
        ),
        (
            json!({"type": "response.refusal.delta", "output_index": 1, "content_index": 3, "delta": "x gh"}),
            response("response.output_item.done"),
        ),
        (
            json!({"type": "response.refusal.delta", "output_index": 1, "content_index": 3, "delta": "x gh"}),
            json!({"type": "response.completed", "response": {}}),
        ),
        (
            json!({"candidates": [{"content": {"parts": [{"text": "x gh"}]}}]}),
            json!({"candidates": [{"finishReason": "STOP"}]}),
        ),
        (
            json!({"type": "text-delta", "id": "7", "delta": "x gh"}),
            part("text-end"),
        ),
        (
            json!({"message": {"content": "x gh"}, "done": false}),
            json!({"message": {"content": ""}, "done": true}),
        ),
        (json!({"text": "x gh"}), json!("[DONE]")),
    ] {
        let mut masker = Masker::new(super::plan(), super::key(), &super::events());
        masker.push(format!("data: {delta}\n\n").as_bytes());
        assert!(masker.held() > 0, "{delta}");
        // Another text's end is none of this one's.
        let other = json!({"type": "content_block_stop", "index": 11});
        masker.push(format!("data: {other}\n\n").as_bytes());
        assert!(masker.held() > 0, "{delta}");
        let end = end.as_str().map_or(end.to_string(), str::to_owned);
        masker.push(format!("data: {end}\n\n").as_bytes());
        assert_eq!(masker.held(), 0, "{end}");
    }
}

#[test]
fn texts_are_followed_in_shapes_that_no_table_knows() {
    let secret = pat();
    let pieces: Vec<&str> = [0, 7, 13, 20, 27, 34]
        .windows(2)
        .map(|at| &secret[at[0]..at[1]])
        .chain([&secret[34..]])
        .collect();
    type Shape = fn(usize, &str) -> String;
    let shapes: &[Shape] = &[
        // A protocol that is wrapped: Gemini behind its code assistant, a gateway's envelope, an
        // array.
        |_, p| {
            format!(
                r#"{{"response":{{"candidates":[{{"content":{{"parts":[{{"text":"{p}"}}]}}}}]}}}}"#
            )
        },
        |_, p| format!(r#"{{"data":{{"choices":[{{"index":0,"delta":{{"content":"{p}"}}}}]}}}}"#),
        |_, p| format!(r#"[{{"choices":[{{"index":0,"delta":{{"content":"{p}"}}}}]}}]"#),
        // Other names for a delta, and none.
        |_, p| format!(r#"{{"type":"tool-input-delta","toolCallId":"0","inputTextDelta":"{p}"}}"#),
        |_, p| format!(r#"{{"choices":[{{"index":0,"message":{{"content":"{p}"}}}}]}}"#),
        |_, p| format!(r#"{{"message":{{"thinking":"{p}"}}}}"#),
        |_, p| format!(r#"{{"contentBlockDelta":{{"delta":{{"text":"{p}"}}}}}}"#),
        |_, p| format!(r#"{{"functionCall":{{"partialArgs":[{{"stringValue":"{p}"}}]}}}}"#),
        |_, p| format!(r#"{{"type":"response.reasoning.delta","delta":{{"text":"{p}"}}}}"#),
        // Members twice: for all that read JSON the last counts.
        |n, p| match n % 2 {
            0 => format!(r#"{{"choices":[{{"index":5,"index":0,"delta":{{"content":"{p}"}}}}]}}"#),
            _ => format!(
                r#"{{"choices":[{{"index":0,"delta":{{"content":"x","content":"{p}"}}}}]}}"#
            ),
        },
        |_, p| {
            let many: String = (0..40).map(|n| format!(r#""a{n}":"x","#)).collect();
            format!(
                r#"{{"choices":[{{"index":0,"delta":{{{many}"content":"x","content":"{p}"}}}}]}}"#
            )
        },
        // What else an event says of itself hides no choices, and identifies none.
        |_, p| {
            format!(
                r#"{{"type":"response.foo","choices":[{{"index":0,"delta":{{"content":"{p}"}}}}]}}"#
            )
        },
        |_, p| {
            format!(
                r#"{{"type":"x.delta","delta":"","choices":[{{"index":0,"delta":{{"content":"{p}"}}}}]}}"#
            )
        },
        // What names a delta of one dialect in an event of another one.
        |_, p| {
            format!(
                r#"{{"choices":[{{"index":0,"delta":{{"content":"{p}"}}}}],"type":".delta","delta":"a"}}"#
            )
        },
        |_, p| format!(r#"{{"choices":[],"type":"x.delta","delta":"{p}"}}"#),
        |n, p| format!(r#"{{"index":{n},"choices":[{{"index":0,"delta":{{"content":"{p}"}}}}]}}"#),
        // A reason that is none.
        |_, p| {
            format!(
                r#"{{"choices":[{{"index":0,"delta":{{"content":"{p}"}},"finish_reason":"null"}}]}}"#
            )
        },
    ];
    for shape in shapes {
        let mut stream = String::new();
        for (n, piece) in pieces.iter().enumerate() {
            stream.push_str(&format!("data: {}\n\n", shape(n, piece)));
        }
        stream.push_str("data: [DONE]\n\n");
        let out = masked(&stream);
        for piece in &pieces {
            assert!(!out.contains(piece), "{piece} in {out}");
        }
        assert_eq!(
            cut(stream.as_bytes(), &(0..stream.len()).collect::<Vec<_>>()).0,
            out.as_bytes()
        );
    }
}

#[test]
fn the_value_of_a_key_that_names_a_secret_is_no_piece_of_a_text() {
    let keys = KeyNames::of(["password", "delta", "token"]);
    let plan = Arc::new(Plan::masking(all()).with_keys(keys));
    let masked = |name: &str, value: &str| {
        let fingerprint = super::key().fingerprint(value.as_bytes());
        format!("[masked:{name}:{fingerprint}]")
    };
    let (password, delta, token) = (
        masked("password", "hunter2"),
        masked("delta", "hunter2"),
        masked("token", "hunter2"),
    );
    for (event, expected) in [
        (
            json!({"delta": {"password": "hunter2"}}),
            json!({"delta": {"password": password}}),
        ),
        (
            json!({"delta": {"x": {"password": ["hunter2", ["hunter2"], {"y": "z"}]}, "text": "t"}}),
            json!({"delta": {"x": {"password": [password, [password], {"y": "z"}]}, "text": "t"}}),
        ),
        (
            json!({"choices": [{"delta": {"tool": {"password": "hunter2"}, "content": "t"}}]}),
            json!({"choices": [{"delta": {"tool": {"password": password}, "content": "t"}}]}),
        ),
        (
            json!({"type": "x.delta", "delta": "hunter2"}),
            json!({"type": "x.delta", "delta": delta}),
        ),
        // A name under which texts go on elsewhere.
        (
            json!({"x": {"token": "hunter2"}}),
            json!({"x": {"token": token}}),
        ),
    ] {
        let stream = format!("data: {event}\n\n");
        let bytes: Vec<usize> = (1..stream.len()).collect();
        for cuts in [&[][..], &bytes] {
            let (out, _) = cut_with(&plan, stream.as_bytes(), cuts);
            assert_eq!(
                String::from_utf8(out).unwrap(),
                format!("data: {expected}\n\n")
            );
        }
    }
    let escaped = "data: {\"delta\":{\"pass\\u0077ord\":\"hunter2\"}}\n\n";
    let (out, _) = cut_with(&plan, escaped.as_bytes(), &[]);
    assert!(!String::from_utf8(out).unwrap().contains("hunter2"));
}
