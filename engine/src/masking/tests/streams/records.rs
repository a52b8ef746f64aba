//! Streams of deltas without events: lines of JSON, and arrays that grow.

use super::super::{
    all,
    cases::{ALNUM, filler},
    key, plan, replacement,
};
use crate::masking::{Action, Content, Findings, KeyNames, Masker, Plan, Treatment};
use serde_json::{Value, json};
use std::sync::Arc;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn lines() -> Content {
    Content::of(Some(b"application/x-ndjson"))
}

fn array() -> Content {
    Content::of(Some(b"application/json; charset=UTF-8"))
        .at_path(b"/v1beta/models/gemini-2.5-pro:streamGenerateContent?key=x")
}

fn cut(plan: &Arc<Plan>, content: &Content, stream: &str, cuts: &[usize]) -> (String, Findings) {
    let mut masker = Masker::new(Arc::clone(plan), key(), content);
    let mut out = Vec::new();
    let mut from = 0;
    for &to in cuts.iter().chain([&stream.len()]) {
        out.extend_from_slice(masker.push(&stream.as_bytes()[from..to]).as_bytes());
        assert!(masker.held() <= 65 * 1024, "{} bytes wait", masker.held());
        from = to;
    }
    out.extend_from_slice(masker.finish().as_bytes());
    assert_eq!(masker.held(), 0);
    (String::from_utf8(out).unwrap(), masker.findings().clone())
}

/// Masks a stream, the same wherever it is cut.
fn masked_with(plan: &Arc<Plan>, content: &Content, stream: &str) -> String {
    let whole = cut(plan, content, stream, &[]);
    let step = (stream.len() / 2000).max(1);
    for at in (0..stream.len())
        .step_by(step)
        .filter(|at| stream.is_char_boundary(*at))
    {
        assert_eq!(cut(plan, content, stream, &[at]), whole, "cut at {at}");
    }
    for size in [1, 13, 4096] {
        let every: Vec<usize> = (size..stream.len()).step_by(size).collect();
        assert_eq!(cut(plan, content, stream, &every), whole, "cut each {size}");
    }
    whole.0
}

fn masked(content: &Content, stream: &str) -> String {
    masked_with(&plan(), content, stream)
}

fn pat() -> String {
    format!("ghp_{}", filler(36, ALNUM))
}

/// The text in pieces of so many characters.
fn pieces(text: &str, size: usize) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters
        .chunks(size)
        .map(|some| some.iter().collect())
        .collect()
}

#[test]
fn a_secret_that_is_cut_over_lines_is_masked() {
    let said = format!("the token is {} he said", pat());
    let expected = said.replace(&pat(), &replacement("secrets/github-pat", &pat()));
    type Shape = (fn(&str) -> Value, &'static str);
    let shapes: [Shape; 5] = [
        (
            |p| json!({"model": "x", "created_at": "2025-01-01T00:00:00Z", "message": {"role": "assistant", "content": p}, "done": false}),
            "/message/content",
        ),
        (
            |p| json!({"model": "x", "response": p, "done": false}),
            "/response",
        ),
        (
            |p| json!({"message": {"role": "assistant", "content": "", "thinking": p}, "done": false}),
            "/message/thinking",
        ),
        (
            |p| json!({"is_finished": false, "event_type": "text-generation", "text": p}),
            "/text",
        ),
        (
            |p| json!({"choices": [{"index": 0, "delta": {"content": p}}]}),
            "/choices/0/delta/content",
        ),
    ];
    for (shape, place) in shapes {
        for (size, end) in [(1, "\n"), (5, "\r\n"), (100, "\n")] {
            let mut stream: String = pieces(&said, size)
                .iter()
                .map(|piece| format!("{}{end}", shape(piece)))
                .collect();
            stream.push_str("{\"done\":true,\"done_reason\":\"stop\",\"eval_count\":5}");
            let out = masked(&lines(), &stream);
            let values: Vec<Value> = out
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            assert_eq!(values.len(), stream.lines().count());
            let text: String = values
                .iter()
                .filter_map(|value| value.pointer(place)?.as_str())
                .collect();
            assert_eq!(text, expected);
            assert_eq!(out.lines().last(), stream.lines().last());
        }
    }
}

#[test]
fn a_secret_that_is_cut_over_the_elements_of_geminis_array_is_masked() {
    let said = format!("the token is {} he \"said\" {{[", pat());
    let expected = said.replace(&pat(), &replacement("secrets/github-pat", &pat()));
    for (size, between) in [(1, "\n,\r\n"), (7, ","), (100, " ,\n")] {
        let elements: Vec<String> = pieces(&said, size)
            .iter()
            .map(|piece| {
                let element = json!({"candidates": [{"content": {"parts": [{"text": piece}], "role": "model"}}], "modelVersion": "x\\\""});
                serde_json::to_string_pretty(&element).unwrap()
            })
            .collect();
        let stream = format!("[{}\n]\n", elements.join(between));
        let out = masked(&array(), &stream);
        let values: Vec<Value> = serde_json::from_str(&out).unwrap();
        assert_eq!(values.len(), elements.len());
        let text: String = values
            .iter()
            .filter_map(|value| {
                value
                    .pointer("/candidates/0/content/parts/0/text")?
                    .as_str()
            })
            .collect();
        assert_eq!(text, expected);
    }
}

#[test]
fn records_leave_with_their_last_byte_and_unchanged() {
    let line = |text: &str| format!("{}\n", json!({"response": text, "done": false}));
    let mut masker = Masker::new(plan(), key(), &lines());
    for text in ["words ", "and\u{e9} ", "\"more\" "] {
        assert_eq!(
            masker.push(line(text).as_bytes()).as_bytes(),
            line(text).as_bytes()
        );
        assert_eq!(masker.held(), 0);
    }
    let mut masker = Masker::new(plan(), key(), &array());
    for bytes in [
        "[",
        "{\"candidates\":[]}",
        "\n,\n",
        "{\"candidates\":[]}",
        "]",
    ] {
        assert_eq!(masker.push(bytes.as_bytes()).as_bytes(), bytes.as_bytes());
        assert_eq!(masker.held(), 0);
    }
}

#[test]
fn lines_that_are_no_deltas_have_nothing_to_do_with_each_other() {
    // Data of a training: one text ends with what may go on, the next one is another text.
    let secret = pat();
    let stream = format!(
        "{}\n{}\n{}\n",
        json!({"text": format!("a {secret}")}),
        json!({"text": "hello"}),
        json!({"text": "gh"})
    );
    let expected = stream.replace(&secret, &replacement("secrets/github-pat", &secret));
    assert_eq!(masked(&lines(), &stream), expected);
}

#[test]
fn what_is_no_record_is_read_as_any_json_and_then_as_text() {
    let secret = pat();
    let escaped = secret.replace("ghp", "\\u0067hp");
    let pem = super::super::cases::pem("PRIVATE KEY", "\n", 3);
    for body in [
        // One document over many lines, one that breaks off, none at all.
        format!(
            "{{\n  \"a\": \"{escaped}\",\n  \"b\": [\n\"{escaped}\"]\n}}\n{{\"a\":\"{escaped}\"}}\n"
        ),
        format!("{{\"done\":false}}\n{{\"a\":\"{escaped}"),
        format!("{{\"done\":false}}\nnot json {secret}\n{{\"a\":\"{secret}\"}}\n"),
        format!("{{}} x\n{pem}"),
        format!("{{\"a\":1}}\n\n{secret}\n"),
    ] {
        let out = masked(&lines(), &body);
        assert!(
            !out.contains(&secret[8..]) && !out.contains("MIIEXAMPLE"),
            "{out}"
        );
        assert!(out.contains("[masked:"), "{out}");
    }
    for body in [
        format!("[{{\"a\":\"{escaped}\"}},{{\"a\": \"{escaped}"),
        format!("[[\"{escaped}\"],{{\"a\":\"{escaped}\"}}]"),
        format!("[{{\"a\":'{secret}'}}, {{\"a\":\"{escaped}\"}}]"),
        format!("[{{}}] {{\"a\":\"{escaped}\"}} {secret}"),
        format!("[1, \"{escaped}\"]"),
    ] {
        let out = masked(&array(), &body);
        assert!(!out.contains(&secret[8..]), "{out}");
        assert!(out.contains("[masked:"), "{out}");
    }
}

#[test]
fn a_long_record_is_read_as_it_comes_and_the_next_ones_are_records_again() {
    let secret = pat();
    let (a, b) = secret.split_at(9);
    let long = "words ".repeat(9000);
    let line = |text: &str| json!({"response": text, "done": false}).to_string();
    let deltas = [
        line(&format!("{long} {secret}")),
        line(a),
        line(b),
        line(" ."),
    ];
    let out = masked(&lines(), &deltas.join("\n"));
    assert!(!out.contains(&secret[12..]) && out.contains("[masked:github-pat:"));
    assert_eq!(
        out.lines()
            .filter(|line| serde_json::from_str::<Value>(line).is_ok())
            .count(),
        4
    );
    let element =
        |text: &str| json!({"candidates": [{"content": {"parts": [{"text": text}]}}]}).to_string();
    let elements = [element(&format!("{long} {secret}")), element(a), element(b)];
    let out = masked(&array(), &format!("[{}]", elements.join(",")));
    assert!(!out.contains(&secret[12..]) && out.contains("[masked:github-pat:"));
    assert_eq!(serde_json::from_str::<Vec<Value>>(&out).unwrap().len(), 3);
}

#[test]
fn keys_that_name_a_secret_choose_in_lines() {
    let plan = Arc::new(Plan::masking(all()).with_keys(KeyNames::of(["password"])));
    let line = |value: &str| {
        format!(
            "{}\n",
            json!({"message": {"content": "", "tool_calls": [{"function": {"arguments": {"password": value}}}]}, "done": false})
        )
    };
    let masked = format!("[masked:password:{}]", key().fingerprint(b"hunter2"));
    assert_eq!(
        masked_with(&plan, &lines(), &line("hunter2")),
        line(&masked)
    );
}

#[test]
fn a_blocked_secret_ends_lines_with_an_error_that_clients_raise() {
    let treatment = Treatment {
        action: Action::Block,
        keep: 0,
    };
    let plan = Arc::new(Plan::masking(all()).treating("secrets/github-pat", treatment));
    let line = |text: &str| format!("{}\n", json!({"response": text, "done": false}));
    let secret = pat();
    let (a, b) = secret.split_at(20);
    let stream = [line("fine "), line(a), line(b), line(" and more")].concat();
    let out = masked_with(&plan, &lines(), &stream);
    let error = out.strip_prefix(&line("fine ")).unwrap();
    let error: Value = serde_json::from_str(error).unwrap();
    assert!(
        error["error"]
            .as_str()
            .unwrap()
            .contains("secrets/github-pat")
    );
    let stream = format!("[{{\"candidates\":[]}},{{\"text\":\"{secret}\"}}]");
    assert_eq!(
        masked_with(&plan, &array(), &stream),
        "[{\"candidates\":[]},"
    );
}
