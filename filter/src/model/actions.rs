//! Stories about what is done to secrets other than masking them: blocking, reporting, restoring.

use chaperone_engine::policy::Direction::{Request, Response};

use super::bodies::{PROFILES, closing, text};
use super::control_plane::Mood;
use super::envoy::Envoy;
use super::stories::{code, ok};
use super::world::{secret, token_of};
use crate::host::Headers;

fn to(host: &str, path: &str) -> Headers {
    let mut headers = Envoy::request_for(path, "dev");
    for (name, value) in &mut headers {
        if name == ":authority" {
            *value = host.as_bytes().to_vec();
        }
    }
    headers
}

fn begin_at(profile: &str, host: &str, path: &str, end: bool) -> Envoy {
    let mut envoy = Envoy::new(profile);
    envoy.headers(Request, to(host, path), end);
    envoy
}

#[test]
fn a_secret_that_is_blocked_in_a_request_is_403_and_upstream_never_sees_its_end() {
    for (profile, seen) in [("headers", true), ("body", false)] {
        let mut envoy = begin_at(profile, "blocking.example.com", "/free/x", false);
        envoy.data(Request, b"a clean beginning, ", false);
        let secret = secret();
        let (first, second) = secret.split_at(9);
        envoy.data(Request, first.as_bytes(), false);
        envoy.data(Request, format!("{second} now").as_bytes(), true);
        assert_eq!(code(&envoy), "secret_blocked", "{profile}");
        assert_eq!(envoy.upstream.headers.is_some(), seen, "{profile}");
        assert!(!envoy.upstream.ended, "{profile}");
        assert!(!text(&envoy.upstream.body).contains("ghp_"), "{profile}");
        let sent = envoy.upstream.body.len();
        let closing = closing(&mut envoy);
        assert_eq!(closing["blocked"], "secrets/github-pat", "{closing}");
        assert_eq!(closing["request_bytes"], sent, "{profile} {closing}");
        assert_eq!(envoy.worker.host().metric("chaperone.blocked"), 1);
    }
}

#[test]
fn a_request_without_the_secret_passes_a_block_whole() {
    for profile in PROFILES {
        for path in ["/free/x", "/durable/x"] {
            let mut envoy = begin_at(profile, "blocking.example.com", path, false);
            envoy.data(Request, b"nothing ", false);
            envoy.data(Request, b"here", false);
            envoy.data(Request, b"", true);
            envoy.tick(10, Mood::Pending);
            envoy.tick(10, Mood::Pending);
            assert_eq!(text(&envoy.upstream.body), "nothing here", "{profile}");
            assert!(envoy.upstream.ended, "{profile} {path}");
        }
    }
}

#[test]
fn a_body_too_long_to_be_held_for_a_block_goes_on_until_the_secret() {
    let mut envoy = begin_at("body", "blocking.example.com", "/free/x", false);
    envoy.data(Request, &vec![b'x'; 1024 * 1024], false);
    assert_eq!(envoy.upstream.body.len(), 1024 * 1024);
    envoy.data(Request, format!(" {}", secret()).as_bytes(), true);
    assert_eq!(code(&envoy), "secret_blocked");
    assert!(!envoy.upstream.ended);
}

#[test]
fn a_secret_in_a_path_or_query_is_blocked_before_anything_leaves() {
    let encoded = secret().replace('_', "%5F");
    for path in [
        format!("/free/{}", secret()),
        format!("/free/x?token={encoded}"),
    ] {
        let mut envoy = begin_at("headers", "blocking.example.com", &path, true);
        assert_eq!(code(&envoy), "secret_blocked", "{path}");
        assert!(envoy.upstream.headers.is_none(), "{path}");
        let recorded = envoy.count("decided");
        assert_eq!(recorded, 1);
    }
}

#[test]
fn a_secret_that_is_blocked_in_an_answer_ends_it() {
    for (profile, answered) in [("headers", false), ("body", true)] {
        let mut envoy = begin_at(profile, "blocking.example.com", "/free/x", true);
        envoy.headers(Response, ok(&[("content-type", "text/plain")]), false);
        envoy.data(Response, format!("key: {}", secret()).as_bytes(), false);
        envoy.data(Response, b" and more", true);
        assert_eq!(envoy.answer.is_some(), answered, "{profile}");
        assert!(envoy.over && !envoy.downstream.ended, "{profile}");
        assert!(!text(&envoy.downstream.body).contains("ghp_"), "{profile}");
        let closing = closing(&mut envoy);
        assert_eq!(closing["blocked"], "secrets/github-pat", "{closing}");
    }
    // When something has left it breaks off in either profile.
    let mut envoy = begin_at("body", "blocking.example.com", "/free/x", true);
    envoy.headers(Response, ok(&[("content-type", "text/plain")]), false);
    envoy.data(Response, b"first, ", false);
    envoy.data(Response, format!("{} ", secret()).as_bytes(), false);
    assert_eq!(text(&envoy.downstream.body), "first, ");
    assert!(envoy.over && envoy.answer.is_none());
}

#[test]
fn a_stream_of_events_is_ended_by_an_event_and_then_closed() {
    let events = ok(&[("content-type", "text/event-stream")]);
    for profile in PROFILES {
        let mut envoy = begin_at(profile, "blocking.example.com", "/free/x", true);
        envoy.headers(Response, events.clone(), false);
        assert!(envoy.downstream.headers.is_some(), "events are waited for");
        envoy.data(Response, b"data: one\n\n", false);
        envoy.data(
            Response,
            format!("data: {} it is\n\n", secret()).as_bytes(),
            false,
        );
        envoy.data(Response, b"data: three\n\n", false);
        let body = text(&envoy.downstream.body);
        assert!(body.starts_with("data: one\n\n"), "{body}");
        assert!(body.contains("error"), "the agent is told: {body}");
        assert!(!body.contains("ghp_") && !body.contains("three"), "{body}");
        assert!(!envoy.over, "what is on its way must arrive");
        envoy.tick(500, Mood::Pending);
        assert!(!envoy.over, "what is on its way must arrive");
        envoy.tick(600, Mood::Pending);
        assert!(envoy.over, "upstream goes on, and nobody waits for it");
        assert_eq!(closing(&mut envoy)["cause"], "filter");
    }
    // Upstream ends by itself: so does the answer, as HTTP says.
    let mut envoy = begin_at("headers", "blocking.example.com", "/free/x", true);
    envoy.headers(Response, events, false);
    envoy.data(
        Response,
        format!("data: {} it is\n\n", secret()).as_bytes(),
        false,
    );
    envoy.data(Response, b"data: three\n\n", true);
    envoy.tick(1_100, Mood::Pending);
    assert!(envoy.downstream.ended && !envoy.over);
}

#[test]
fn what_is_only_reported_passes_and_is_counted_apart() {
    let mut envoy = begin_at("headers", "reporting.example.com", "/free/x", false);
    let body = format!("key: {} ", secret());
    envoy.data(Request, body.as_bytes(), true);
    assert_eq!(text(&envoy.upstream.body), body);
    envoy.headers(Response, ok(&[]), true);
    let closing = closing(&mut envoy);
    assert_eq!(
        (
            &closing["reported"]["secrets/github-pat"],
            closing.get("masked")
        ),
        (&1.into(), None),
        "{closing}"
    );
    let metric = |name: &str| envoy.worker.host().metric(name);
    assert_eq!(
        (metric("chaperone.reported"), metric("chaperone.masked")),
        (1, 0)
    );
    let recorded = serde_json::to_string(&envoy.plane.events).unwrap();
    assert!(recorded.contains("key: [masked:github-pat:"), "{recorded}");
    assert!(!recorded.contains(&secret()), "{recorded}");
}

/// Sends a secret and lets upstream repeat what it got.
fn repeat(envoy: &mut Envoy, pieces: &[usize]) {
    let said = envoy.upstream.body.clone();
    envoy.headers(Response, ok(&[("content-type", "text/plain")]), false);
    let mut rest = said.as_slice();
    for &size in pieces {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        envoy.data(Response, piece, false);
        rest = after;
    }
    envoy.data(Response, rest, true);
}

#[test]
fn what_was_masked_in_a_request_comes_back_in_its_answer_and_not_in_the_record() {
    for profile in PROFILES {
        for pieces in [&[][..], &[1], &[6, 1, 5, 9], &[20, 3]] {
            let mut envoy = begin_at(profile, "restoring.example.com", "/free/x", false);
            envoy.data(Request, format!("my key {} .", secret()).as_bytes(), true);
            let asked = text(&envoy.upstream.body);
            assert!(asked.starts_with("my key [masked:github-pat:"), "{asked}");
            repeat(&mut envoy, pieces);
            let got = text(&envoy.downstream.body);
            assert_eq!(got, format!("my key {} .", secret()), "{pieces:?}");
            closing(&mut envoy);
            let recorded = serde_json::to_string(&envoy.plane.events).unwrap();
            assert!(!recorded.contains(&secret()), "{recorded}");
        }
    }
}

#[test]
fn an_answer_to_which_nothing_is_to_be_restored_is_left_alone() {
    let mut envoy = begin_at("headers", "restoring.example.com", "/free/x", true);
    let told = [("content-encoding", "br"), ("etag", "\"a\"")];
    envoy.headers(Response, ok(&told), false);
    envoy.data(Response, b"[masked:github-pat:00000000]", true);
    assert_eq!(envoy.downstream.headers.as_ref().unwrap().len(), 3);
    assert_eq!(envoy.downstream.body, b"[masked:github-pat:00000000]");
}

#[test]
fn a_later_answer_of_the_same_session_is_restored_and_of_no_other() {
    let in_session = |session: Option<&str>, host: &str| {
        let mut headers = to(host, "/free/x");
        headers.retain(|(name, _)| name != "authorization");
        let token = format!("Bearer {}", token_of("dev", session));
        headers.push(("authorization".into(), token.into_bytes()));
        headers
    };
    for (session, host, restored) in [
        (Some("s-1"), "restoring.example.com", true),
        (Some("s-2"), "restoring.example.com", false),
        (None, "restoring.example.com", false),
        (Some("s-1"), "api.example.com", false),
    ] {
        let mut envoy = Envoy::new("headers");
        envoy.headers(
            Request,
            in_session(Some("s-1"), "restoring.example.com"),
            false,
        );
        envoy.data(Request, format!("key {} ", secret()).as_bytes(), true);
        let placeholder = envoy.upstream.body.clone();
        envoy.headers(Response, ok(&[]), true);
        envoy.end();
        envoy.again();
        envoy.headers(Request, in_session(session, host), true);
        envoy.headers(Response, ok(&[]), false);
        envoy.data(Response, &placeholder, true);
        let got = text(&envoy.downstream.body);
        assert_eq!(
            got.contains(&secret()),
            restored,
            "{session:?} {host}: {got}"
        );
    }
}

#[test]
fn a_secret_in_a_header_of_an_answer_can_be_blocked() {
    let mut envoy = begin_at("headers", "blocking.example.com", "/free/x", true);
    let place = format!("https://x.example/?token={}", secret());
    envoy.headers(Response, ok(&[("location", &place)]), true);
    assert_eq!(code(&envoy), "secret_blocked");
    assert!(envoy.downstream.headers.is_none());
}
