//! Single stories that a reader should be able to find by name.

use chaperone_engine::policy::Direction::{Request, Response};

use super::control_plane::Mood;
use super::envoy::Envoy;
use super::world::secret;
use crate::host::Headers;

pub(super) fn begin(profile: &str, path: &str, end: bool) -> Envoy {
    let mut envoy = Envoy::new(profile);
    envoy.headers(Request, Envoy::request_for(path, "dev"), end);
    envoy
}

pub(super) fn ok(more: &[(&str, &str)]) -> Headers {
    let mut headers = vec![(":status".to_owned(), b"200".to_vec())];
    headers.extend(
        more.iter()
            .map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())),
    );
    headers
}

pub(super) fn code(envoy: &Envoy) -> String {
    let answer = envoy.answer.as_ref().expect("an answer");
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    problem["code"].as_str().unwrap().to_owned()
}

#[test]
fn a_body_that_comes_while_held_releases_nothing_and_is_masked_when_released() {
    for profile in ["headers", "body"] {
        let mut envoy = begin(profile, "/risky/x", false);
        envoy.data(Request, b"pay ", false);
        envoy.data(Request, secret().as_bytes(), false);
        envoy.data(Request, b"", true);
        envoy.tick(30, Mood::Pending);
        envoy.tick(30, Mood::Pending);
        assert!(envoy.upstream.headers.is_none(), "{profile}");
        envoy.tick(30, Mood::Granted);
        envoy.tick(30, Mood::Granted);
        assert!(envoy.upstream.ended, "{profile}");
        let body = String::from_utf8(envoy.upstream.body.clone()).unwrap();
        assert!(
            body.starts_with("pay [masked:github-pat:"),
            "{profile}: {body}"
        );
    }
}

#[test]
fn approvers_see_the_masked_body_and_never_the_secret() {
    let mut envoy = begin("body", "/risky/x", false);
    envoy.data(Request, format!("pay {} now", secret()).as_bytes(), true);
    envoy.tick(30, Mood::Pending);
    let asked = envoy.plane.asked[0].to_string();
    assert!(asked.contains("pay [masked:github-pat:"), "{asked}");
    assert!(!asked.contains(&secret()));
}

#[test]
fn approvers_are_told_when_there_is_no_body_and_nothing_when_it_cannot_be_seen() {
    let mut envoy = begin("body", "/risky/x", true);
    envoy.tick(30, Mood::Pending);
    assert_eq!(envoy.plane.asked[0]["body"]["total_bytes"], 0);
    let mut envoy = begin("headers", "/risky/x", false);
    envoy.tick(30, Mood::Pending);
    assert_eq!(envoy.plane.asked[0].get("body"), None);
}

#[test]
fn a_held_request_becomes_a_ticket_when_the_budget_is_over() {
    let mut envoy = begin("body", "/risky/x", false);
    envoy.data(Request, b"x", true);
    envoy.tick(30, Mood::Pending);
    envoy.tick(11_000, Mood::Pending);
    assert_eq!(code(&envoy), "approval_required");
    assert!(envoy.upstream.headers.is_none());
}

#[test]
fn without_the_body_in_sight_the_end_of_the_hold_says_that_no_ticket_can_match() {
    let mut envoy = begin("headers", "/risky/x", false);
    envoy.tick(30, Mood::Pending);
    envoy.tick(11_000, Mood::Pending);
    assert_eq!(code(&envoy), "approval_timeout");
}

#[test]
fn a_held_body_over_the_limit_is_refused() {
    let mut envoy = begin("body", "/risky/x", false);
    envoy.data(Request, &vec![b'x'; 1024 * 1024], false);
    assert_eq!(code(&envoy), "body_too_large");
}

#[test]
fn a_request_that_must_be_durable_waits_for_the_acknowledgement() {
    let mut envoy = begin("headers", "/durable/x", true);
    envoy.tick(10, Mood::Pending);
    assert!(envoy.upstream.headers.is_some(), "acknowledged");
    let mut envoy = begin("headers", "/durable/x", true);
    envoy.tick(10, Mood::Down);
    envoy.tick(1_100, Mood::Down);
    assert_eq!(code(&envoy), "audit_unavailable");
    assert!(envoy.upstream.headers.is_none());
}

#[test]
fn a_control_plane_that_does_not_answer_lets_nothing_through_that_needs_a_human() {
    let mut envoy = begin("headers", "/risky/x", true);
    for _ in 0..10 {
        envoy.tick(1_100, Mood::Down);
    }
    assert_eq!(code(&envoy), "control_plane_unavailable");
}

#[test]
fn announced_trailers_wait_for_a_tail_that_may_be_a_secret() {
    let mut envoy = begin("headers", "/free/x", true);
    envoy.headers(Response, ok(&[("trailer", "x-checksum")]), false);
    envoy.data(Response, format!("a {}", secret()).as_bytes(), false);
    assert!(
        envoy.downstream.body.is_empty(),
        "undecided, so nothing leaves"
    );
    envoy.trailers(Response);
    let body = String::from_utf8(envoy.downstream.body.clone()).unwrap();
    assert!(body.starts_with("a [masked:github-pat:"), "{body}");
    assert!(envoy.downstream.ended);
}

#[test]
fn trailers_that_nobody_announced_break_the_stream_rather_than_cut_the_body() {
    let mut envoy = begin("headers", "/free/x", true);
    envoy.headers(Response, ok(&[]), false);
    envoy.data(Response, b"a ghp_", false);
    envoy.trailers(Response);
    assert!(envoy.over && !envoy.downstream.ended);
    assert_eq!(envoy.count("aborted"), 1);
}

#[test]
fn request_trailers_that_nobody_announced_follow_the_whole_body() {
    let mut envoy = begin("headers", "/free/x", false);
    envoy.data(Request, format!("pay {}", secret()).as_bytes(), false);
    envoy.trailers(Request);
    let body = String::from_utf8(envoy.upstream.body.clone()).unwrap();
    assert!(body.starts_with("pay [masked:github-pat:"), "{body}");
    assert!(envoy.upstream.ended);
}

#[test]
fn a_held_request_with_trailers_arrives_whole() {
    for (profile, body) in [
        ("headers", "plain words."),
        ("headers", "undecided ghp_"),
        ("body", "undecided ghp_"),
    ] {
        let mut envoy = begin(profile, "/risky/x", false);
        envoy.data(Request, body.as_bytes(), false);
        envoy.trailers(Request);
        envoy.tick(30, Mood::Pending);
        for _ in 0..3 {
            envoy.tick(30, Mood::Granted);
        }
        assert!(envoy.upstream.ended && !envoy.over, "{profile} {body}");
        assert_eq!(envoy.upstream.body, body.as_bytes(), "{profile}");
    }
}

#[test]
fn a_body_that_is_held_when_the_verdict_falls_is_masked_before_trailers_release_it() {
    // The record becomes durable between the only piece of the body and the trailers.
    let mut envoy = begin("body", "/durable/x", false);
    envoy.data(Request, format!("pay {}", secret()).as_bytes(), false);
    envoy.tick(10, Mood::Pending);
    envoy.tick(10, Mood::Pending);
    assert!(envoy.was_open && envoy.upstream.body.is_empty());
    envoy.trailers(Request);
    envoy.tick(10, Mood::Pending);
    let body = String::from_utf8(envoy.upstream.body.clone()).unwrap();
    assert!(body.starts_with("pay [masked:github-pat:"), "{body}");
    assert!(envoy.upstream.ended);
}

#[test]
fn a_tail_does_not_hold_more_than_envoy_would_buffer() {
    let mut envoy = begin("headers", "/free/x", false);
    let chunk = [vec![b'.'; 60 * 1024], b" ghp_".to_vec()].concat();
    for _ in 0..20 {
        envoy.data(Request, &chunk, false);
    }
    assert!(envoy.upstream.body.len() > 1024 * 1024);
    envoy.data(Request, b"", true);
    assert_eq!(envoy.upstream.body.len(), 20 * chunk.len());
}

#[test]
fn a_response_whose_encoding_cannot_be_read_never_reaches_the_agent() {
    let mut envoy = begin("headers", "/free/x", true);
    envoy.headers(Response, ok(&[("content-encoding", "br")]), false);
    assert_eq!(code(&envoy), "unreadable_encoding");
    assert!(envoy.downstream.headers.is_none());
    let mut envoy = begin("headers", "/free/x", true);
    let grpc = [
        ("content-type", "application/grpc"),
        ("grpc-encoding", "gzip"),
    ];
    envoy.headers(Response, ok(&grpc), false);
    assert_eq!(code(&envoy), "unreadable_encoding");
}

#[test]
fn a_part_that_nobody_asked_for_is_refused_where_masking_applies() {
    let mut envoy = begin("headers", "/free/x", true);
    let part = vec![(":status".to_owned(), b"206".to_vec())];
    envoy.headers(Response, part, false);
    assert_eq!(code(&envoy), "unreadable_encoding");
}

#[test]
fn what_describes_a_bodys_bytes_goes_when_the_body_may_change() {
    let mut envoy = begin("headers", "/free/x", true);
    let told = ok(&[
        ("content-length", "5"),
        ("etag", "\"a\""),
        ("digest", "x"),
        ("x-keep", "1"),
    ]);
    envoy.headers(Response, told, false);
    let headers = envoy.downstream.headers.clone().unwrap();
    let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [":status", "x-keep"]);
}

#[test]
fn a_held_upgrade_is_refused_at_once() {
    let mut envoy = Envoy::new("body");
    let mut headers = Envoy::request_for("/risky/x", "dev");
    headers.push(("upgrade".into(), b"websocket".to_vec()));
    envoy.headers(Request, headers, false);
    assert_eq!(code(&envoy), "upgrade_not_supported");
    envoy.data(Request, b"", false);
    assert!(envoy.upstream.headers.is_none());
}

#[test]
fn a_stream_that_ends_before_any_callback_is_still_recorded() {
    let mut envoy = Envoy::new("headers");
    envoy.know_request(Envoy::request_for("/free/x", "dev"));
    envoy.end();
    assert_eq!((envoy.count("received"), envoy.count("aborted")), (1, 1));
}

#[test]
fn two_authorization_values_are_refused() {
    let mut envoy = Envoy::new("headers");
    let mut headers = Envoy::request_for("/free/x", "dev");
    headers.push(("authorization".into(), b"Bearer other".to_vec()));
    envoy.headers(Request, headers, true);
    assert_eq!(code(&envoy), "several_tokens");
}

#[test]
fn bytes_that_are_no_text_are_refused_without_a_trap() {
    for name in [
        ":path",
        ":authority",
        ":method",
        "authorization",
        "x-request-id",
    ] {
        let mut envoy = Envoy::new("headers");
        let mut headers = Envoy::request_for("/free/x", "dev");
        headers.retain(|(n, _)| n != name);
        headers.push((name.into(), vec![0xff, 0xfe, 0x80]));
        envoy.headers(Request, headers, true);
        assert_eq!(envoy.answer.is_some(), name != "x-request-id", "{name}");
    }
}

#[test]
fn a_client_cannot_make_envoy_send_an_allowed_request_several_times() {
    let mut envoy = Envoy::new("headers");
    let mut headers = Envoy::request_for("/free/x", "dev");
    headers.push(("x-envoy-retry-on".into(), b"5xx".to_vec()));
    headers.push(("x-envoy-max-retries".into(), b"5".to_vec()));
    envoy.headers(Request, headers, true);
    let upstream = envoy.upstream.headers.as_ref().expect("it went on");
    assert!(
        upstream
            .iter()
            .all(|(name, _)| !name.starts_with("x-envoy-"))
    );
}

#[test]
fn a_secret_in_a_path_stands_nowhere_in_records_and_questions() {
    let secret = secret();
    let encoded = secret.replace('_', "%5F");
    let path = format!("/risky/{secret}/{encoded}?a={secret}&b={encoded}");
    let mut envoy = Envoy::new("body");
    let mut headers = Envoy::request_for(&path, "dev");
    for name in ["content-type", "x-request-id"] {
        headers.push((name.into(), format!("text/plain;{secret}").into_bytes()));
    }
    envoy.headers(Request, headers, true);
    envoy.tick(30, Mood::Pending);
    let asked = envoy.plane.asked[0].to_string();
    assert_eq!(envoy.count("received"), 1);
    let recorded = serde_json::to_string(&envoy.plane.events).unwrap();
    let tail = &secret[4..];
    assert!(asked.contains("POST /risky/[masked:github-pat:"), "{asked}");
    assert!(!asked.contains(tail), "{asked}");
    assert!(!recorded.contains(tail), "{recorded}");
}

#[test]
fn a_header_that_asks_for_something_else_is_refused_and_one_of_proxies_does_not_pass() {
    for (name, expected) in [
        ("x-original-url", "ambiguous_path"),
        ("x-rewrite-url", "ambiguous_path"),
        ("x_http_method_override", "method_override"),
        ("impersonate-user", "claimed_identity"),
        ("x-original-host", "invalid_host"),
    ] {
        let mut envoy = Envoy::new("headers");
        let mut headers = Envoy::request_for("/free/x", "dev");
        headers.push((name.into(), b"/admin".to_vec()));
        envoy.headers(Request, headers, true);
        assert_eq!(code(&envoy), expected, "{name}");
        assert!(envoy.upstream.headers.is_none(), "{name}");
    }
    for profile in ["headers", "body"] {
        let mut envoy = Envoy::new(profile);
        let mut headers = Envoy::request_for("/free/x", "dev");
        let foreign = [
            ("x-forwarded-for", "1.2.3.4"),
            ("forwarded", "for=1.2.3.4"),
            ("x-remote-user", "root"),
            ("session_id", "1"),
            ("connection", "Upgrade, x-api-key"),
            ("connection", "x-other"),
            ("x-forwarded-proto", "http"),
            ("x-amz-copy-source", "/b/k"),
        ];
        headers.extend(foreign.map(|(name, value)| (name.to_owned(), value.into())));
        envoy.headers(Request, headers, true);
        let upstream = envoy.upstream.headers.as_ref().expect("it went on");
        let mut stayed: Vec<_> = upstream
            .iter()
            .filter(|(name, _)| foreign.iter().any(|(foreign, _)| foreign == name))
            .map(|(name, value)| (name.as_str(), std::str::from_utf8(value).unwrap()))
            .collect();
        stayed.sort_unstable();
        let expected = [
            ("connection", "upgrade"),
            ("x-amz-copy-source", "/b/k"),
            ("x-forwarded-proto", "http"),
        ];
        assert_eq!(stayed, expected, "{profile}");

        assert_eq!(envoy.count("received"), 1);
        let taken = serde_json::json!([
            "x-forwarded-for",
            "forwarded",
            "x-remote-user",
            "session_id",
            "connection"
        ]);
        assert_eq!(envoy.plane.events[0]["taken"], taken, "{profile}");
    }
}

#[test]
fn names_of_headers_that_are_taken_out_are_recorded_masked_short_and_few() {
    let mut envoy = Envoy::new("headers");
    let mut headers = Envoy::request_for("/free/x", "dev");
    headers.push((secret(), b"1".to_vec()));
    headers.push(("_".repeat(500), b"1".to_vec()));
    headers.extend((0..100).map(|n| (format!("a_{n}"), b"1".to_vec())));
    envoy.headers(Request, headers, true);
    assert_eq!(envoy.count("received"), 1);
    let taken = envoy.plane.events[0]["taken"].as_array().unwrap();
    assert_eq!(taken.len(), 32);
    let first = taken[0].as_str().unwrap();
    assert!(first.starts_with("[masked:github-pat:"), "{first}");
    assert_eq!(taken[1].as_str().unwrap().len(), 64);
}

#[test]
fn what_was_approved_is_not_what_another_encoding_makes_of_the_same_bytes() {
    let digest = |encoding: Option<&str>| {
        let mut envoy = Envoy::new("body");
        let mut headers = Envoy::request_for("/risky/x", "dev");
        headers.retain(|(name, _)| name != "content-length");
        headers.extend(encoding.map(|value| ("content-encoding".into(), value.into())));
        envoy.headers(Request, headers, false);
        envoy.data(Request, b"bytes", true);
        envoy.tick(30, Mood::Pending);
        envoy.plane.asked[0]["digest"].clone()
    };
    assert_ne!(digest(None), digest(Some("identity")));
}

#[test]
fn a_secret_that_a_refusal_repeats_is_masked_in_the_record() {
    let secret = secret();
    let mut envoy = Envoy::new("headers");
    let mut headers = Envoy::request_for("/free/x", "dev");
    headers.retain(|(name, _)| name != ":authority");
    headers.push((
        ":authority".into(),
        format!("{secret}.example").into_bytes(),
    ));
    envoy.headers(Request, headers, true);
    assert_eq!(code(&envoy), "unknown_connection");
    assert_eq!(envoy.count("decided"), 1);
    let recorded = serde_json::to_string(&envoy.plane.events).unwrap();
    let lower = recorded.to_ascii_lowercase();
    assert!(
        !lower.contains(&secret[4..].to_ascii_lowercase()),
        "{recorded}"
    );
}

#[test]
fn a_record_says_where_the_request_came_from_and_no_secret_of_its_user_agent() {
    let mut envoy = Envoy::new("headers");
    let properties = &envoy.worker.host().properties;
    let address = b"203.0.113.7:40112".to_vec();
    properties
        .borrow_mut()
        .insert("source.address".to_owned(), address);
    let mut headers = Envoy::request_for("/free/x", "dev");
    let agent = format!("cli/1.0 ({}) {}", secret(), "x".repeat(300));
    headers.push(("user-agent".to_owned(), agent.into_bytes()));
    envoy.headers(Request, headers, true);
    assert_eq!(envoy.count("received"), 1);
    let received = &envoy.plane.events[0];
    assert_eq!(received["source"], "203.0.113.7");
    let agent = received["user_agent"].as_str().unwrap();
    assert!(agent.starts_with("cli/1.0 ([masked:github-pat:"), "{agent}");
    assert_eq!(agent.len(), 256);
}

#[test]
fn where_too_many_wait_already_the_agent_is_told_so_and_upstream_is_not_asked() {
    let mut envoy = begin("body", "/risky/x", true);
    envoy.tick(30, Mood::Crowded);
    assert_eq!(code(&envoy), "too_many_pending");
    let answer = envoy.answer.as_ref().unwrap();
    assert_eq!(answer.status, 429);
    let retry = answer
        .headers
        .iter()
        .find(|(name, _)| name == "retry-after");
    assert!(retry.is_some(), "{:?}", answer.headers);
    assert!(envoy.upstream.headers.is_none());
}
