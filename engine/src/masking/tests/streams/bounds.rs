//! What a stream may hold, and what happens at its caps.

use super::{
    super::{
        cases::{ALNUM, BASE64, filler},
        key, plan, replacement,
    },
    cut, cut_with, masked, read,
};
use crate::masking::Masker;
use serde_json::json;
use std::sync::Arc;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn pat() -> String {
    format!("ghp_{}", filler(36, ALNUM))
}

fn content(choice: u32, piece: &str) -> String {
    format!(
        "data: {}\n\n",
        json!({"choices": [{"index": choice, "delta": {"content": piece}}]})
    )
}

#[test]
fn a_text_that_never_decides_makes_other_events_wait_only_up_to_a_cap() {
    // A key that stops in the middle, and another choice that goes on.
    let body = filler(200, BASE64);
    let mut stream = content(0, &format!("-----BEGIN PRIVATE KEY-----\n{body}"));
    let other = content(1, "words and words and words. ");
    while stream.len() < 400_000 {
        stream.push_str(&other);
    }
    stream.push_str(&content(0, &format!("{body} and so on")));
    let (expected, findings) = cut(stream.as_bytes(), &[]);
    let text = String::from_utf8(expected.clone()).unwrap();
    assert!(text.contains("[masked:private-key:"));
    assert!(
        !text.contains(&body[..20]),
        "what comes later is masked too"
    );
    assert_eq!(findings.total(), 1);
    for size in [7, 100, 4096] {
        let every: Vec<_> = (size..stream.len()).step_by(size).collect();
        assert_eq!(cut(stream.as_bytes(), &every).0, expected);
    }
    let mut masker = Masker::new(plan(), key(), &super::events());
    let mut most = 0;
    for chunk in stream.as_bytes().chunks(100) {
        masker.push(chunk);
        most = most.max(masker.held());
    }
    assert!((250_000..270_000).contains(&most), "{most}");
}

#[test]
fn a_long_event_is_read_as_it_comes_and_its_strings_are_masked() {
    let secret = pat();
    let clean = " words, words and words.".repeat(3000);
    for (stream, secrets) in [
        (
            format!(
                "data: {{\"a\":\"{clean}\",\"b\":\"{secret}\",\"c\":[\"{secret}\",1]}}\n\ndata: {{}}\n\n"
            ),
            2,
        ),
        (
            format!(
                "id: 1\r\ndata: {clean}\r\ndata:{secret} {clean}\r\nx: {secret}\r\n: {secret}\r\n\r\n"
            ),
            3,
        ),
        (
            format!("\u{FEFF}data:{{\"b\":\"{clean} {secret}\"}}\r\rdata: \"{secret}\"\r\r"),
            2,
        ),
        (format!(": {secret}{clean}\n\ndata: {secret}\n\n"), 2),
        (format!("data: {clean} {secret}"), 1),
        (format!("data: {clean}"), 0),
    ] {
        let expected = stream.replace(&secret, &replacement("secrets/github-pat", &secret));
        assert_eq!(masked(&stream), expected);
        for size in [1, 977, 40_000] {
            let every: Vec<_> = (size..stream.len()).step_by(size).collect();
            let (out, findings) = cut(stream.as_bytes(), &every);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "cut each {size}");
            assert_eq!(findings.total(), secrets);
        }
        // It does not wait for its end.
        let mut masker = Masker::new(plan(), key(), &super::events());
        masker.push(&stream.as_bytes()[..stream.len().min(60_000)]);
        assert!(masker.held() < 1000, "{}", masker.held());
    }
}

#[test]
fn what_is_undecided_before_a_long_event_is_masked() {
    let secret = pat();
    let (a, b) = secret.split_at(12);
    let clean = " words".repeat(8000);
    let stream = format!("{}{}{}", content(0, a), content(0, &clean), content(0, b));
    let out = masked(&stream);
    assert!(!out.contains(a));
    assert_eq!(read(out.as_bytes()).len(), 4);
}

#[test]
fn only_so_many_texts_are_followed() {
    let secret = pat();
    let (a, b) = secret.split_at(12);
    let mut stream = content(1, "x ");
    stream.push_str(&content(0, a));
    for choice in 2..300 {
        stream.push_str(&content(choice, "x "));
    }
    stream.push_str(&content(0, b));
    let out = masked(&stream);
    assert!(
        !out.contains(a),
        "the text was given up, so its beginning is masked"
    );
    assert_eq!(read(out.as_bytes()).len(), read(stream.as_bytes()).len());
}

#[test]
fn json_that_is_too_deep_or_broken_is_read_as_text() {
    let secret = pat();
    for stream in [
        format!(
            "data: {}\"{secret}\"{}\n\n",
            "[".repeat(500),
            "]".repeat(500)
        ),
        format!("data: {{\"a\":\"{secret}\n\n"),
        format!("data: {{\"a\":\ndata: \"x\ndata: {secret}\"}}\n\n"),
        format!("data: {{\"a\" \"{secret}\"}}\n\n"),
    ] {
        let expected = stream.replace(&secret, &replacement("secrets/github-pat", &secret));
        assert_eq!(masked(&stream), expected);
    }
}

#[test]
fn half_an_escape_makes_other_events_wait_only_up_to_the_cap_too() {
    let mut stream = content(0, "10%");
    let other = content(1, "words and words and words. ");
    while stream.len() < 400_000 {
        stream.push_str(&other);
    }
    let mut masker = Masker::new(plan(), key(), &super::events());
    let mut out = Vec::new();
    for chunk in stream.as_bytes().chunks(100) {
        out.extend_from_slice(masker.push(chunk).as_bytes());
        assert!(masker.held() < 270_000);
    }
    out.extend_from_slice(masker.finish().as_bytes());
    assert_eq!(String::from_utf8(out).unwrap(), stream);
}

#[test]
fn a_long_name_is_not_remembered_with_each_string_below_it() {
    let strings: Vec<_> = (0..200)
        .map(|n| json!({"index": n, "x": "words"}))
        .collect();
    let event = json!({"delta": {"n".repeat(20_000): strings}});
    let stream = format!("data: {event}\n\n");
    let begin = format!("data: {}\n\n", json!({"delta": {"x": "gh"}}));
    assert_eq!(masked(&stream), stream);
    assert_eq!(masked(&begin), begin);
}

#[test]
fn a_long_event_is_read_as_json_whatever_blanks_stand_before_it() {
    let plan = Arc::new(
        crate::masking::Plan::masking(super::super::all())
            .with_keys(crate::masking::KeyNames::of(["password"])),
    );
    let filling = "x ".repeat(20_000);
    let stream = format!("data:   {{\"x\":\"{filling}\",\"password\":\"hunter2hunter2\"}}\n\n");
    let (out, _) = cut_with(&plan, stream.as_bytes(), &[]);
    assert!(!String::from_utf8_lossy(&out).contains("hunter2"));
    for at in (0..20).chain([32_700, 32_768, 32_800]) {
        assert_eq!(
            cut_with(&plan, stream.as_bytes(), &[at]).0,
            out,
            "cut at {at}"
        );
    }
}
