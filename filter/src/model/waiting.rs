//! Stories about clients that send a part of a request and wait for an answer before they send
//! more, and about upstreams that do the same.

use chaperone_engine::policy::Direction::{Request, Response};

use super::bodies::{PROFILES, text};
use super::control_plane::Mood;
use super::envoy::Envoy;
use super::stories::{begin, code, ok};
use super::world::secret;
use crate::host::Headers;

/// Longer than anything waits for the next bytes of a body.
const LATE: u64 = 3_100;

fn begin_at(profile: &str, host: &str, path: &str, more: &[(&str, &str)]) -> Envoy {
    let mut envoy = Envoy::new(profile);
    let mut headers: Headers = Envoy::request_for(path, "dev");
    headers.retain(|(name, _)| name != ":authority");
    headers.push((":authority".into(), host.as_bytes().to_vec()));
    headers.extend(
        more.iter()
            .map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())),
    );
    envoy.headers(Request, headers, false);
    envoy
}

/// Upstream has the beginning, and the rest arrives behind it.
fn assert_it_goes_on(envoy: &mut Envoy, beginning: &str, what: &str) {
    assert_eq!(text(&envoy.upstream.body), beginning, "{what}");
    for piece in [", more", ", and more"] {
        envoy.data(Request, piece.as_bytes(), false);
        envoy.tick(10, Mood::Pending);
    }
    envoy.data(Request, b"", true);
    envoy.tick(10, Mood::Pending);
    assert_eq!(
        text(&envoy.upstream.body),
        format!("{beginning}, more, and more"),
        "{what}"
    );
    assert!(envoy.upstream.ended && !envoy.over, "{what}");
}

#[test]
fn a_request_that_must_be_durable_goes_on_although_its_body_has_not_ended() {
    for profile in PROFILES {
        for host in ["api.example.com", "plain.example.com"] {
            let mut envoy = begin_at(profile, host, "/durable/x", &[]);
            envoy.data(Request, b"first.", false);
            assert!(envoy.upstream.headers.is_none(), "{profile}");
            envoy.tick(10, Mood::Pending);
            envoy.tick(10, Mood::Pending);
            assert_it_goes_on(&mut envoy, "first.", &format!("{profile} {host}"));
        }
    }
}

#[test]
fn an_upgrade_that_must_be_durable_goes_on_without_a_byte_behind_it() {
    for profile in PROFILES {
        let upgrade = [("upgrade", "websocket")];
        let mut envoy = begin_at(profile, "plain.example.com", "/durable/x", &upgrade);
        // Envoy makes this call of its own accord.
        envoy.data(Request, b"", false);
        envoy.tick(10, Mood::Pending);
        envoy.tick(10, Mood::Pending);
        assert!(envoy.upstream.headers.is_some(), "{profile}");
        envoy.data(Request, b"frame", false);
        assert_eq!(text(&envoy.upstream.body), "frame", "{profile}");
    }
}

#[test]
fn what_waits_in_front_of_trailers_inside_of_a_resume_is_masked_and_arrives() {
    for profile in PROFILES {
        for (sent, arrives) in [
            (format!("pay {}", secret()), "pay [masked:github-pat:"),
            ("undecided ghp_".to_owned(), "undecided ghp_"),
        ] {
            let mut envoy = begin(profile, "/durable/x", false);
            envoy.data(Request, sent.as_bytes(), false);
            envoy.trailers(Request);
            for _ in 0..3 {
                envoy.tick(10, Mood::Pending);
            }
            let body = text(&envoy.upstream.body);
            assert!(body.starts_with(arrives), "{profile}: {body}");
            assert!(envoy.upstream.ended && !envoy.over, "{profile}");
        }
    }
}

#[test]
fn a_body_with_its_end_undecided_goes_on_in_order_whenever_the_rest_comes() {
    // At once, or when the decided part has been let go.
    for pause in [10, LATE] {
        for profile in PROFILES {
            let mut envoy = begin(profile, "/durable/x", false);
            envoy.data(Request, b"first ghp_", false);
            envoy.tick(10, Mood::Pending);
            envoy.tick(10, Mood::Pending);
            envoy.tick(pause, Mood::Pending);
            let early = text(&envoy.upstream.body);
            let decided = if pause == LATE { "first " } else { "" };
            assert_eq!(early, decided, "{profile}");
            envoy.data(Request, b"is no token", false);
            envoy.tick(10, Mood::Pending);
            envoy.data(Request, b", said he", false);
            envoy.data(Request, b"", true);
            envoy.tick(10, Mood::Pending);
            let all = text(&envoy.upstream.body);
            assert_eq!(all, "first ghp_is no token, said he", "{profile}");
            assert!(envoy.upstream.ended, "{profile}");
        }
    }
}

#[test]
fn decided_bytes_wait_for_the_next_ones_for_a_bounded_time() {
    for profile in PROFILES {
        let mut envoy = begin(profile, "/free/x", false);
        envoy.data(Request, b"a question, and g", false);
        assert_eq!(text(&envoy.upstream.body), "");
        envoy.tick(LATE, Mood::Pending);
        assert_eq!(text(&envoy.upstream.body), "a question, and ", "{profile}");
        // Trailers come to what a tick has let go.
        envoy.data(Request, b"old", false);
        envoy.trailers(Request);
        assert_eq!(
            text(&envoy.upstream.body),
            "a question, and gold",
            "{profile}"
        );
        assert!(envoy.upstream.ended && !envoy.over, "{profile}");
    }
}

#[test]
fn no_wait_lets_a_part_of_a_secret_through() {
    let secret = secret();
    for profile in PROFILES {
        for path in ["/free/x", "/durable/x"] {
            for cut in [1, 5, 20, 39] {
                let mut envoy = begin(profile, path, false);
                let (first, rest) = secret.split_at(cut);
                envoy.data(Request, format!("pay {first}").as_bytes(), false);
                envoy.tick(10, Mood::Pending);
                envoy.tick(10, Mood::Pending);
                for _ in 0..5 {
                    envoy.tick(LATE, Mood::Pending);
                }
                assert_eq!(text(&envoy.upstream.body), "pay ", "{profile} {path}");
                envoy.data(Request, format!("{rest} now").as_bytes(), false);
                envoy.tick(10, Mood::Pending);
                envoy.data(Request, b"", true);
                envoy.tick(10, Mood::Pending);
                let body = text(&envoy.upstream.body);
                assert!(body.starts_with("pay [masked:github-pat:"), "{body}");
                assert!(body.ends_with("] now"), "{body}");
            }
        }
    }
}

#[test]
fn a_body_that_a_human_has_to_see_and_that_does_not_end_is_refused() {
    // With a piece, and without any: a client that awaits 100 Continue has sent none.
    for piece in [Some(b"first".as_slice()), None] {
        let mut envoy = begin("body", "/risky/x", false);
        if let Some(piece) = piece {
            envoy.data(Request, piece, false);
        }
        envoy.tick(LATE / 2, Mood::Pending);
        assert!(envoy.answer.is_none());
        envoy.tick(LATE, Mood::Pending);
        assert_eq!(code(&envoy), "body_unfinished");
        assert!(envoy.upstream.headers.is_none());
    }
    // As long as it comes, it may take its time.
    let mut envoy = begin("body", "/risky/x", false);
    for _ in 0..10 {
        envoy.data(Request, b"slowly, ", false);
        envoy.tick(LATE * 2 / 3, Mood::Pending);
    }
    envoy.data(Request, b"at last", true);
    envoy.tick(30, Mood::Pending);
    assert_eq!(envoy.plane.asked.len(), 1);
}

#[test]
fn a_body_that_is_held_for_a_block_goes_on_when_its_sender_waits() {
    for path in ["/free/x", "/durable/x"] {
        let mut envoy = begin_at("body", "blocking.example.com", path, &[]);
        envoy.data(Request, b"first.", false);
        envoy.tick(LATE / 2, Mood::Pending);
        assert!(envoy.upstream.headers.is_none(), "{path}");
        for _ in 0..3 {
            envoy.tick(LATE, Mood::Pending);
        }
        assert_it_goes_on(&mut envoy, "first.", path);
        // The same, and then a secret: it ends there.
        let mut envoy = begin_at("body", "blocking.example.com", path, &[]);
        envoy.data(Request, b"first.", false);
        for _ in 0..3 {
            envoy.tick(LATE, Mood::Pending);
        }
        envoy.data(Request, format!(" {} ", secret()).as_bytes(), false);
        assert_eq!(code(&envoy), "secret_blocked", "{path}");
        assert!(!text(&envoy.upstream.body).contains("ghp_"), "{path}");
    }
    // Nothing has come of it yet.
    let mut envoy = begin_at("body", "blocking.example.com", "/free/x", &[]);
    envoy.tick(LATE, Mood::Pending);
    assert!(envoy.upstream.headers.is_some());
}

#[test]
fn a_body_too_long_for_a_block_waits_behind_a_watermark_until_its_record_is_stored() {
    let long = vec![b'x'; 1024 * 1024];
    let mut envoy = begin_at("body", "blocking.example.com", "/durable/x", &[]);
    for _ in 0..3 {
        envoy.data(Request, &long, false);
    }
    assert!(envoy.upstream.headers.is_none() && envoy.answer.is_none());
    envoy.tick(10, Mood::Pending);
    envoy.tick(10, Mood::Pending);
    assert_eq!(envoy.upstream.body.len(), 3 * long.len());
    envoy.data(Request, &long, true);
    assert!(envoy.upstream.ended);
    assert_eq!(envoy.upstream.body.len(), 4 * long.len());
    // A secret that is found meanwhile is answered before anything has left.
    let mut envoy = begin_at("body", "blocking.example.com", "/durable/x", &[]);
    envoy.data(Request, &long, false);
    envoy.data(Request, format!(" {} ", secret()).as_bytes(), false);
    assert_eq!(code(&envoy), "secret_blocked");
    assert!(envoy.upstream.headers.is_none());
}

#[test]
fn headers_of_an_answer_wait_for_its_body_for_a_bounded_time() {
    let mut envoy = begin_at("body", "blocking.example.com", "/free/x", &[]);
    envoy.data(Request, b"", true);
    envoy.headers(Response, ok(&[("content-type", "text/plain")]), false);
    assert!(envoy.downstream.headers.is_none());
    envoy.tick(LATE, Mood::Pending);
    assert!(envoy.downstream.headers.is_some(), "they are waited for");
    envoy.data(Response, b"first, ", false);
    assert_eq!(text(&envoy.downstream.body), "first, ");
    envoy.data(Response, format!("{} ", secret()).as_bytes(), false);
    assert!(envoy.over && !text(&envoy.downstream.body).contains("ghp_"));
    // The same with the beginning of the body undecided.
    let mut envoy = begin_at("body", "blocking.example.com", "/free/x", &[]);
    envoy.data(Request, b"", true);
    envoy.headers(Response, ok(&[("content-type", "text/plain")]), false);
    envoy.data(Response, b"gold, g", false);
    assert!(envoy.downstream.headers.is_none());
    envoy.tick(LATE, Mood::Pending);
    assert_eq!(text(&envoy.downstream.body), "gold, ");
    envoy.data(Response, b"old", false);
    envoy.tick(10, Mood::Pending);
    envoy.data(Response, b"", true);
    assert_eq!(text(&envoy.downstream.body), "gold, gold");
    assert!(envoy.downstream.ended && !envoy.over);
}
