//! Stories about bodies that become much more than they are: encoded ones, and placeholders that
//! stand for long secrets.

use chaperone_engine::policy::Direction::{Request, Response};
use miniz_oxide::deflate::compress_to_vec_zlib;

use super::bodies::{PROFILES, closing, text};
use super::control_plane::Mood;
use super::envoy::Envoy;
use super::stories::{begin, code, ok};
use super::world::secret;
use crate::host::Headers;

const MIB: usize = 1024 * 1024;

/// Lines that `deflate` makes about a hundred times shorter, as lists of an API are.
fn lines(bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for number in 0.. {
        out.extend(format!("{{\"line\": {number:09}, \"what\": \"").bytes());
        out.extend(std::iter::repeat_n(b'x', 1_000));
        out.extend(b"\"}\n");
        if out.len() >= bytes {
            return out;
        }
    }
    out
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let short = compress_to_vec_zlib(bytes, 6);
    assert!(short.len() * 50 < bytes.len(), "{}", short.len());
    short
}

fn encoded(path: &str) -> Headers {
    let mut headers = Envoy::request_for(path, "dev");
    headers.push(("content-encoding".into(), b"deflate".to_vec()));
    headers
}

fn begin_encoded(profile: &str, path: &str) -> Envoy {
    let mut envoy = Envoy::new(profile);
    envoy.headers(Request, encoded(path), false);
    envoy
}

#[test]
fn a_body_that_becomes_too_much_at_its_end_is_413_and_502_and_recorded_as_such() {
    let body = deflated(&lines(40 * MIB));
    for profile in PROFILES {
        for pieces in [1, 2] {
            let cut = body.len() / pieces;
            let mut envoy = begin_encoded(profile, "/free/x");
            if pieces == 2 {
                envoy.data(Request, &body[..cut], false);
            }
            envoy.data(Request, &body[body.len() - cut..], true);
            assert_eq!(code(&envoy), "expanded_request_too_large", "{profile}");
            assert!(!envoy.upstream.ended, "{profile}");
            assert!(envoy.upstream.body.len() < 20 * MIB, "{profile}");
            assert_eq!(closing(&mut envoy)["refused"], "expanded_request_too_large");

            let mut envoy = begin(profile, "/free/x", true);
            envoy.headers(Response, ok(&[("content-encoding", "deflate")]), false);
            envoy.data(Response, &body, true);
            let answered = profile == "body";
            assert_eq!(envoy.answer.is_some(), answered, "{profile}");
            if answered {
                assert_eq!(code(&envoy), "expanded_response_too_large");
            }
            assert!(envoy.over && !envoy.downstream.ended, "{profile}");
            assert!(envoy.downstream.body.is_empty(), "{profile}");
            let closing = closing(&mut envoy);
            assert_eq!(closing["refused"], "expanded_response_too_large");
        }
    }
}

#[test]
fn a_body_of_ordinary_size_is_not_held_up() {
    let body = lines(12 * MIB);
    let short = deflated(&body);
    for profile in PROFILES {
        for path in ["/free/x", "/durable/x"] {
            let mut envoy = begin_encoded(profile, path);
            envoy.data(Request, &short, true);
            envoy.tick(10, Mood::Pending);
            envoy.tick(10, Mood::Pending);
            assert!(envoy.upstream.body == body, "{profile} {path}");
            assert!(envoy.upstream.ended, "{profile} {path}");
            envoy.headers(Response, ok(&[("content-encoding", "deflate")]), false);
            envoy.tick(4_000, Mood::Pending);
            envoy.data(Response, &short, true);
            assert!(envoy.downstream.body == body, "{profile} {path}");
            assert!(envoy.downstream.ended, "{profile} {path}");
        }
    }
}

#[test]
fn a_long_body_goes_on_in_order_a_bounded_amount_at_a_time() {
    let body = lines(60 * MIB);
    let short = deflated(&body);
    for profile in PROFILES {
        let mut envoy = begin(profile, "/free/x", true);
        envoy.headers(Response, ok(&[("content-encoding", "deflate")]), false);
        let mut before = 0;
        for piece in short.chunks(64 * 1024) {
            envoy.data(Response, piece, false);
            envoy.tick(200, Mood::Pending);
            let grown = envoy.downstream.body.len() - before;
            assert!(grown <= 17 * MIB, "{grown}");
            before += grown;
        }
        for _ in 0..600 {
            envoy.data(Response, b"", false);
            envoy.tick(20, Mood::Pending);
        }
        envoy.data(Response, b"", true);
        envoy.tick(200, Mood::Pending);
        assert!(envoy.downstream.body == body, "{profile}");
        assert!(envoy.downstream.ended && !envoy.over, "{profile}");
    }
}

#[test]
fn what_there_was_no_room_for_is_not_waited_for_without_end_nor_lost_at_trailers() {
    let short = deflated(&lines(60 * MIB));
    for ends_by in ["waiting", "trailers"] {
        let mut envoy = begin("headers", "/free/x", true);
        envoy.headers(Response, ok(&[("content-encoding", "deflate")]), false);
        envoy.data(Response, &short, false);
        if ends_by == "trailers" {
            envoy.trailers(Response);
        } else {
            // Decoding is work, too, and what is left of it waits for ticks first.
            for _ in 0..1_000 {
                envoy.tick(1, Mood::Pending);
                envoy.data(Response, b"", false);
            }
            assert!(!envoy.over && envoy.downstream.body.len() > 8 * MIB);
            // Ticks go on with what there is room for now, and then it is waited for.
            for _ in 0..200 {
                envoy.tick(1, Mood::Pending);
            }
            assert!(!envoy.over);
            envoy.tick(61_000, Mood::Pending);
        }
        assert!(envoy.over && !envoy.downstream.ended, "{ends_by}");
        let closing = closing(&mut envoy);
        assert_eq!(closing["refused"], "expanded_response_too_large");
    }
}

#[test]
fn one_body_after_the_other_gets_less_and_time_gives_it_back() {
    let short = deflated(&lines(8 * MIB));
    let mut envoy = begin_encoded("headers", "/free/x");
    let mut passed = Vec::new();
    for wait in [0, 0, 0, 0, 4_000] {
        let now = envoy.worker.host().now.get();
        envoy.worker.host().now.set(now + wait);
        if envoy.over {
            envoy.again();
            envoy.headers(Request, encoded("/free/x"), false);
        }
        envoy.data(Request, &short, true);
        passed.push(envoy.upstream.ended);
        envoy.end();
    }
    assert_eq!(passed, [true, true, true, false, true]);
}

#[test]
fn a_body_that_a_human_has_to_see_is_decoded_no_further_than_its_limit() {
    let short = deflated(&lines(60 * MIB));
    let mut envoy = begin_encoded("body", "/risky/x");
    envoy.data(Request, &short, true);
    for _ in 0..100 {
        envoy.tick(1, Mood::Pending);
    }
    assert_eq!(code(&envoy), "body_too_large");
    assert!(envoy.plane.asked.is_empty());
}

#[test]
fn a_placeholder_that_is_repeated_does_not_become_a_long_secret_any_number_of_times() {
    let key = format!(
        "-----BEGIN {0}-----\n{1}\n-----END {0}-----\n",
        "PRIVATE KEY",
        "MIIEXAMPLEbase64EXAMPLEbase64EXAMPLEbase64EXAMPLEbase64EXAMPLE64\n".repeat(60)
    );
    let mut envoy = Envoy::new("headers");
    let mut headers = Envoy::request_for("/free/x", "dev");
    headers.retain(|(name, _)| name != ":authority");
    headers.push((":authority".into(), b"restoring.example.com".to_vec()));
    envoy.headers(Request, headers, false);
    envoy.data(Request, key.as_bytes(), true);
    let placeholder = text(&envoy.upstream.body);
    assert!(
        placeholder.starts_with("[masked:private-key:"),
        "{placeholder}"
    );
    envoy.headers(Response, ok(&[("content-type", "text/plain")]), false);
    let repeated = "It is: ".to_owned() + &placeholder.repeat(MIB / placeholder.len());
    envoy.data(Response, repeated.as_bytes(), false);
    envoy.tick(10, Mood::Pending);
    let got = envoy.downstream.body.len();
    assert!((8 * MIB..26 * MIB).contains(&got), "{got}");
    let restored = text(&envoy.downstream.body[..7 + 2 * key.len()]);
    assert_eq!(restored, format!("It is: {}", key.repeat(2)));
    // A few of them are what it is for.
    let mut envoy = Envoy::new("headers");
    let mut headers = Envoy::request_for("/free/x", "dev");
    headers.retain(|(name, _)| name != ":authority");
    headers.push((":authority".into(), b"restoring.example.com".to_vec()));
    envoy.headers(Request, headers, false);
    envoy.data(Request, format!("{key}{}", secret()).as_bytes(), true);
    let said = "It is: ".to_owned() + &text(&envoy.upstream.body).repeat(200);
    envoy.headers(Response, ok(&[("content-type", "text/plain")]), false);
    envoy.data(Response, said.as_bytes(), true);
    let got = text(&envoy.downstream.body);
    let all = format!("It is: {}", format!("{key}{}", secret()).repeat(200));
    assert!(got == all && envoy.downstream.ended);
}
