//! Stories about bodies that come encoded, and about what headers give away.

use chaperone_engine::policy::Direction::{Request, Response};
use serde_json::Value;

use super::control_plane::Mood;
use super::envoy::Envoy;
use super::stories::{begin, code, ok};
use super::world::secret;

pub(super) const PROFILES: [&str; 2] = ["headers", "body"];

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The last event of the record.
pub(super) fn closing(envoy: &mut Envoy) -> Value {
    envoy.end();
    envoy.count("completed");
    envoy.plane.events.last().expect("events").clone()
}

/// `pay ghp_… now`, compressed with gzip by another implementation.
fn gzip_of(text: &str) -> Vec<u8> {
    // One stored block (RFC 1951 §3.2.4) needs no compressor.
    let length = u16::try_from(text.len()).unwrap();
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(text.bytes());
    let mut sum = u32::MAX;
    for byte in text.bytes() {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
        }
    }
    out.extend((!sum).to_le_bytes());
    out.extend(u32::from(length).to_le_bytes());
    out
}

#[test]
fn a_compressed_answer_is_decoded_masked_and_sent_on_as_it_is() {
    for profile in PROFILES {
        let mut envoy = begin(profile, "/free/x", true);
        let body = gzip_of(&format!("pay {} now", secret()));
        let told = [
            ("content-encoding", "gzip"),
            ("content-length", "99"),
            ("etag", "\"a\""),
        ];
        envoy.headers(Response, ok(&told), false);
        for byte in &body {
            envoy.data(Response, &[*byte], false);
        }
        envoy.data(Response, b"", true);
        let names: Vec<_> = envoy.downstream.headers.iter().flatten().collect();
        assert_eq!(names.len(), 1, "{profile}: {names:?}");
        let got = text(&envoy.downstream.body);
        assert!(got.starts_with("pay [masked:github-pat:"), "{got}");
        assert!(got.ends_with("] now") && envoy.downstream.ended, "{got}");
    }
}

#[test]
fn a_compressed_request_is_decoded_and_masked() {
    for profile in PROFILES {
        let mut envoy = Envoy::new(profile);
        let mut headers = Envoy::request_for("/free/x", "dev");
        headers.push(("content-encoding".into(), b"gzip".to_vec()));
        envoy.headers(Request, headers, false);
        envoy.data(Request, &gzip_of(&format!("pay {}", secret())), true);
        let upstream = envoy.upstream.headers.as_ref().unwrap();
        assert!(
            upstream
                .iter()
                .all(|(name, _)| !name.starts_with("content-")),
            "{upstream:?}"
        );
        let got = text(&envoy.upstream.body);
        assert!(got.starts_with("pay [masked:github-pat:"), "{got}");
    }
}

#[test]
fn a_grpc_message_keeps_its_length_and_its_trailers() {
    let said = format!("key {} .", secret());
    let length = u32::try_from(said.len()).unwrap().to_be_bytes();
    let message = [&[0], length.as_slice(), said.as_bytes()].concat();
    let mut envoy = begin("headers", "/free/pkg.Service/Method", true);
    let told = [("content-type", "application/grpc")];
    envoy.headers(Response, ok(&told), false);
    // The second message's end is the body's: what may be a secret waits where it can be sent with
    // trailers.
    for bytes in [&message[..20], &message[20..], &message[..49]] {
        envoy.data(Response, bytes, false);
    }
    envoy.trailers(Response);
    let body = envoy.downstream.body.clone();
    assert!(envoy.downstream.ended && !envoy.over);
    assert_eq!(body.len(), message.len() + 49);
    assert_eq!(body[..9], message[..9]);
    assert!(text(&body[9..]).starts_with("[masked:github-pat:"));
    assert!(!text(&body).contains("ghp_"));
}

#[test]
fn a_character_set_without_ascii_in_it_cannot_be_read() {
    let utf16 = "text/plain; charset=UTF-16LE";
    let mut envoy = begin("headers", "/free/x", true);
    envoy.headers(Response, ok(&[("content-type", utf16)]), false);
    assert_eq!(code(&envoy), "unreadable_encoding");
    let mut envoy = Envoy::new("headers");
    let mut headers = Envoy::request_for("/free/x", "dev");
    headers.push(("content-type".into(), utf16.into()));
    envoy.headers(Request, headers, false);
    assert_eq!(code(&envoy), "unreadable_request_encoding");
    assert!(envoy.upstream.headers.is_none());
}

#[test]
fn approvers_see_a_compressed_body_decoded_and_masked() {
    let mut envoy = Envoy::new("body");
    let mut headers = Envoy::request_for("/risky/x", "dev");
    headers.push(("content-encoding".into(), b"gzip".to_vec()));
    envoy.headers(Request, headers, false);
    envoy.data(Request, &gzip_of(&format!("pay {}", secret())), true);
    envoy.tick(30, Mood::Pending);
    let asked = envoy.plane.asked[0].to_string();
    assert!(asked.contains("pay [masked:github-pat:"), "{asked}");
}

#[test]
fn an_encoding_that_breaks_off_ends_the_stream_and_is_answered_where_that_is_possible() {
    // The answer: 502 while its headers wait, else it breaks off.
    for (profile, answered) in [("headers", false), ("body", true)] {
        let mut envoy = begin(profile, "/free/x", true);
        envoy.headers(Response, ok(&[("content-encoding", "gzip")]), false);
        envoy.data(Response, b"not gzip", false);
        assert_eq!(envoy.answer.is_some(), answered, "{profile}");
        assert!(envoy.over && envoy.downstream.body.is_empty(), "{profile}");
        if answered {
            assert_eq!(code(&envoy), "unreadable_encoding");
        }
    }
    // The end is missing, when most has left.
    let mut envoy = begin("headers", "/free/x", true);
    envoy.headers(Response, ok(&[("content-encoding", "gzip")]), false);
    let body = gzip_of("hello");
    envoy.data(Response, &body[..body.len() - 1], false);
    envoy.data(Response, b"", true);
    assert_eq!(envoy.downstream.body, b"hello");
    assert!(envoy.over && !envoy.downstream.ended);
    // The request: 415, and upstream never sees its end.
    let mut envoy = Envoy::new("headers");
    let mut headers = Envoy::request_for("/free/x", "dev");
    headers.push(("content-encoding".into(), b"gzip".to_vec()));
    envoy.headers(Request, headers, false);
    envoy.data(Request, b"not gzip", true);
    assert_eq!(code(&envoy), "unreadable_request_encoding");
    assert!(!envoy.upstream.ended);
}

#[test]
fn secrets_in_the_headers_of_an_answer_are_masked() {
    let mut envoy = begin("headers", "/free/x", true);
    let secret = secret();
    let (cookie, place) = (
        format!("a={secret}; Path=/"),
        format!("https://x.example/?token={secret}&b=1"),
    );
    let told = [
        ("set-cookie", cookie.as_str()),
        ("set-cookie", "b=2"),
        ("location", &place),
        ("x-keep", "1"),
    ];
    let mut headers = ok(&told);
    headers[0].1 = b"302".to_vec();
    envoy.headers(Response, headers, true);
    let got = envoy.downstream.headers.clone().unwrap();
    let all = format!(
        "{:?}",
        got.iter().map(|(n, v)| (n, text(v))).collect::<Vec<_>>()
    );
    assert!(!all.contains(&secret[4..]), "{all}");
    let values = |name: &str| -> Vec<String> {
        let lines = got.iter().filter(|(n, _)| n == name);
        lines.map(|(_, value)| text(value)).collect()
    };
    let cookies = values("set-cookie");
    assert!(cookies[0].starts_with("a=[masked:github-pat:"), "{all}");
    assert!(cookies[0].ends_with("]; Path=/"), "{all}");
    assert_eq!(cookies[1], "b=2");
    assert!(values("location")[0].ends_with("]&b=1"), "{all}");
    assert_eq!(values("x-keep"), ["1"]);
    assert_eq!(closing(&mut envoy)["masked"]["secrets/github-pat"], 2);
}

/// What the record has of the body of an answer.
fn recorded(envoy: &mut Envoy) -> String {
    envoy.end();
    envoy.count("completed");
    let chunks = envoy.plane.events.iter();
    let chunks =
        chunks.filter(|event| event["stage"] == "chunk" && event["direction"] == "response");
    chunks
        .map(|event| event["body"]["text"].as_str().unwrap_or_default())
        .collect()
}

#[test]
fn the_record_of_an_answer_that_breaks_off_has_all_that_had_arrived() {
    let secret = secret();
    // Where secrets are only reported they pass, but not into the record, where they wait.
    for said in [
        format!("pay {}", &secret[..20]),
        format!("pay {secret}"),
        format!("pay {secret} now"),
        "pay nothing".to_owned(),
    ] {
        let mut envoy = Envoy::new("headers");
        let mut headers = Envoy::request_for("/free/x", "dev");
        headers.retain(|(name, _)| name != ":authority");
        headers.push((":authority".into(), b"reporting.example.com".to_vec()));
        envoy.headers(Request, headers, true);
        envoy.headers(Response, ok(&[("content-type", "text/plain")]), false);
        envoy.data(Response, said.as_bytes(), false);
        assert_eq!(text(&envoy.downstream.body), said);
        let recorded = recorded(&mut envoy);
        match said.split_once(&secret) {
            None => assert_eq!(recorded, said),
            Some((before, after)) => {
                let rest = recorded.strip_prefix(before).unwrap();
                assert!(rest.starts_with("[masked:github-pat:"), "{recorded}");
                assert!(rest.ends_with(&format!("]{after}")), "{recorded}");
            }
        }
    }
    // What had not arrived is not in it.
    let mut envoy = begin("headers", "/free/x", true);
    envoy.headers(Response, ok(&[("content-type", "text/plain")]), false);
    envoy.data(Response, b"pay ghp_A1b2", false);
    assert_eq!(text(&envoy.downstream.body), "pay ");
    assert_eq!(recorded(&mut envoy), "pay ");
}
