//! Lines and events.

use super::{
    super::{
        cases::{ALNUM, filler, pem},
        replacement,
    },
    cut, key, masked, plan,
};
use crate::masking::{Content, Masker};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn pat() -> String {
    format!("ghp_{}", filler(36, ALNUM))
}

#[test]
fn every_line_of_an_event_is_masked_and_nothing_else_changes() {
    let secret = pat();
    let placeholder = replacement("secrets/github-pat", &secret);
    for end in ["\n", "\r\n", "\r"] {
        for stream in [
            format!(": {secret}\n\n"),
            format!(":{secret}\ndata: x\n\n"),
            format!(
                "id: {secret}\nevent: {secret}\nretry: {secret}\n{secret}: x\ndata: {{\"a\":1}}\n\n"
            ),
            format!("data:{secret}\n\n"),
            format!("data: a\ndata: {secret}\ndata\ndata:\n\n"),
            format!(
                "data: {{\"a\":\ndata: \"{secret}\",\nid: 7\ndata: \"{secret}\":[\"{secret}\"]}}\n\n"
            ),
            format!("\u{FEFF}data: {{\"a\":\"{secret}\"}}\n\ndata: {secret}"),
            format!("\n\n\ndata: not {{json \"{secret}\"\n\n"),
            format!("data: \"{secret}\"\n\ndata: [DONE]\n\n"),
        ] {
            let stream = stream.replace('\n', end);
            let expected = stream.replace(&secret, &placeholder);
            assert_eq!(masked(&stream), expected);
            for at in 0..stream.len() {
                let (out, _) = cut(stream.as_bytes(), &[at]);
                assert_eq!(String::from_utf8(out).unwrap(), expected, "cut at {at}");
            }
        }
    }
}

#[test]
fn a_key_over_several_lines_of_data_becomes_one_line() {
    let secret = pem("PRIVATE KEY", "\n", 3);
    let placeholder = replacement("secrets/private-key", secret.trim_end());
    let lines = secret.trim_end().replace('\n', "\r\ndata: ");
    let out = masked(&format!(
        "event: x\r\ndata: a\r\ndata: {lines}\r\ndata: b\r\n\r\n"
    ));
    assert_eq!(
        out,
        format!("event: x\r\ndata: a\r\ndata: {placeholder}\r\ndata: b\r\n\r\n")
    );
    // A line of another field between them stays.
    let lines = secret
        .trim_end()
        .replacen('\n', "\r\nid: 5\r\ndata: ", 1)
        .replace("\n-", "\ndata: -");
    let out = masked(&format!("data: {}\n\n", lines.replace("\nE", "\ndata: E")));
    assert!(out.contains("\r\nid: 5\r\n"), "{out}");
}

#[test]
fn an_event_without_a_secret_leaves_with_its_last_byte() {
    let stream = "\u{FEFF}: hello\n\n:\nevent: message_start\ndata: {\"type\":\"message_start\"}\n\nid: 1\r\ndata: {\"choices\":\
        [{\"index\":0,\"delta\":{\"content\":\"Hello\"}}]}\r\n\r\ndata: some text\rdata:  more\r\rretry: 100\n\ndata: [DONE]\n\n\
        data: {\"broken\n\n\n\n";
    let mut masker = Masker::new(plan(), key(), &super::events());
    let mut ends = 0;
    let bytes = stream.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        masker.push(&[*byte]);
        let so_far = &bytes[..=at];
        if so_far.ends_with(b"\n\n") || so_far.ends_with(b"\r\r") || so_far.ends_with(b"\r\n\r\n") {
            assert_eq!(
                masker.held(),
                0,
                "after {:?}",
                String::from_utf8_lossy(so_far)
            );
            ends += 1;
        }
    }
    assert_eq!(ends, 9);
    assert_eq!(masked(stream), stream);
}

#[test]
fn the_address_that_mcp_begins_a_stream_with_is_not_waited_for() {
    // What ends it may begin the key of an Azure function; the server sends nothing more before it
    // was written to.
    let address =
        "event: endpoint\ndata: /messages?sessionId=ba6cfd94-e754-4eea-82f2-faa5c7368524\n\n";
    let mut masker = Masker::new(plan(), key(), &super::events());
    assert_eq!(
        masker.push(address.as_bytes()).as_bytes(),
        address.as_bytes()
    );
    // A secret in it is one, and what comes under its name again may be a text in pieces.
    let placeholder = replacement("secrets/github-pat", &pat());
    let whole = format!("event: endpoint\ndata: /?t={}\n\n", pat());
    assert_eq!(masked(&whole), whole.replace(&pat(), &placeholder));
    let (secret, mut stream) = (pat(), address.to_owned());
    let (first, second) = secret.split_at(20);
    for piece in [first, second] {
        stream.push_str(&format!("event: endpoint\ndata: {piece}\n\n"));
    }
    let out = masked(&stream);
    assert!(
        out.starts_with(address) && out.contains(&placeholder),
        "{out}"
    );
    assert!(!out.contains(first) && !out.contains(second), "{out}");
}

#[test]
fn a_comment_leaves_with_its_line() {
    let mut masker = Masker::new(plan(), key(), &super::events());
    assert_eq!(
        masker.push(b"data: {}\n\n: still here\n").as_bytes(),
        b"data: {}\n\n: still here\n"
    );
}

#[test]
fn what_is_no_stream_is_read_as_one_text_whatever_it_begins_with() {
    let secret = pem("PRIVATE KEY", "\n    ", 8);
    let placeholder = replacement("secrets/private-key", &secret);
    for head in [
        "data:\n  tls.key: |\n    ",
        "id: 7\ndata:\n  tls.key: |\n    ",
        "event: x\nkey: |\n    ",
        ": a comment\nkey: |\n    ",
        "data: |\n    ",
    ] {
        let document = format!("{head}{secret}\nend: 1\n");
        let expected = format!("{head}{placeholder}\nend: 1\n");
        for content_type in ["", "text/plain", "application/yaml"] {
            let content = Content::of(Some(content_type.as_bytes()));
            for at in 0..document.len() {
                let mut masker = Masker::new(plan(), key(), &content);
                let mut out = masker.push(&document.as_bytes()[..at]).into_body();
                out.append(masker.push(&document.as_bytes()[at..]));
                out.append(masker.finish());
                let out = String::from_utf8(out.into_bytes()).unwrap();
                assert_eq!(out, expected, "{content_type:?} {head:?} cut at {at}");
            }
        }
    }
}

#[test]
fn lines_that_are_no_data_are_one_text() {
    // A body that says that it is a stream and is none; a comment of several lines.
    for (before, gap) in [("key: |\n    ", "\n    "), ("data: x\n: ", "\n: ")] {
        let secret = pem("PRIVATE KEY", gap, 8);
        let lines: Vec<&str> = secret.split(gap).collect();
        for count in [0, 3000] {
            let long = format!("data: {}\n", "x".repeat(20 * count));
            let stream = format!("{long}{before}{secret}\n\n");
            let out = masked(&stream);
            for line in &lines[1..lines.len() - 1] {
                assert!(!out.contains(line), "{out}");
            }
            for at in (0..stream.len()).step_by(stream.len() / 200) {
                assert_eq!(cut(stream.as_bytes(), &[at]).0, out.as_bytes(), "at {at}");
            }
        }
    }
}
