//! Stories about bodies that are too much work for one callback.

use chaperone_engine::policy::Direction::{self, Request, Response};

use super::bodies::{PROFILES, text};
use super::control_plane::Mood;
use super::envoy::Envoy;
use super::stories::{begin, code, ok};
use super::world::secret;
use crate::host::Headers;

/// A secret in each line: a callback masks some ten kilobytes of it.
pub(super) fn dense(bytes: usize) -> Vec<u8> {
    let line = format!("pay {} now\n", secret());
    line.bytes()
        .cycle()
        .take(bytes - bytes % line.len())
        .collect()
}

/// Its lines as they arrive.
pub(super) fn lines_of(body: &[u8]) -> usize {
    let body = text(body);
    let mut count = 0;
    for line in body.lines() {
        assert!(line.starts_with("pay [masked:github-pat:"), "{line}");
        assert!(line.ends_with("] now"), "{line}");
        count += 1;
    }
    count
}

pub(super) fn lines(bytes: usize) -> usize {
    text(&dense(bytes)).lines().count()
}

/// A request whose length is not known: whoever reads it may want each piece at once.
fn live(path: &str) -> Headers {
    let mut headers = Envoy::request_for(path, "dev");
    headers.retain(|(name, _)| name != "content-length");
    headers
}

/// Begins a body in this direction, whose length is not known.
fn begin_live(profile: &str, direction: Direction, path: &str) -> Envoy {
    match direction {
        Request => {
            let mut envoy = Envoy::new(profile);
            let headers = live(path);
            envoy.headers(Request, headers, false);
            envoy
        }
        Response => begin_body(profile, direction, path),
    }
}

/// Begins a body in this direction.
fn begin_body(profile: &str, direction: Direction, path: &str) -> Envoy {
    match direction {
        Request => begin(profile, path, false),
        Response => {
            let mut envoy = begin(profile, path, true);
            envoy.headers(Response, ok(&[("content-type", "text/plain")]), false);
            envoy
        }
    }
}

fn seen(envoy: &Envoy, direction: Direction) -> (&[u8], bool) {
    let seen = match direction {
        Request => &envoy.upstream,
        Response => &envoy.downstream,
    };
    (&seen.body, seen.ended)
}

/// Ticks until the body has ended; gives how many it took.
fn ticks_to_end(envoy: &mut Envoy, direction: Direction) -> usize {
    for count in 0..10_000 {
        if seen(envoy, direction).1 || envoy.over {
            return count;
        }
        envoy.tick(1, Mood::Pending);
    }
    panic!("it never ends")
}

#[test]
fn what_is_left_of_a_body_goes_on_in_ticks_in_order_and_then_the_body_ends() {
    for profile in PROFILES {
        for direction in [Request, Response] {
            for piece in [3_000, 60_000, 500_000] {
                let size = 600_000;
                let mut envoy = begin_body(profile, direction, "/free/x");
                for piece in dense(size).chunks(piece) {
                    envoy.data(direction, piece, false);
                }
                envoy.data(direction, b"", true);
                let what = format!("{profile} {direction:?} {piece}");
                assert!(!seen(&envoy, direction).1, "{what}");
                let ticks = ticks_to_end(&mut envoy, direction);
                // Each does what a callback may, and no more.
                assert!((15..150).contains(&ticks), "{what}: {ticks}");
                assert_eq!(lines_of(seen(&envoy, direction).0), lines(size), "{what}");
                assert!(!envoy.over, "{what}");
            }
        }
    }
}

#[test]
fn a_short_dense_piece_arrives_although_nothing_comes_after_it() {
    for profile in PROFILES {
        for direction in [Request, Response] {
            let size = 50_000;
            let mut envoy = begin_live(profile, direction, "/free/x");
            let body = [&dense(size)[..], b"and that is all."].concat();
            envoy.data(direction, &body, false);
            for _ in 0..20 {
                envoy.tick(1, Mood::Pending);
            }
            let got = text(seen(&envoy, direction).0);
            assert!(got.ends_with("and that is all."), "{profile} {direction:?}");
            assert!(!seen(&envoy, direction).1);
            // What comes then goes on as ever.
            envoy.data(direction, b" But no. ", false);
            envoy.tick(1, Mood::Pending);
            envoy.data(direction, b"Yes.", true);
            envoy.tick(1, Mood::Pending);
            let got = text(seen(&envoy, direction).0);
            assert!(
                got.ends_with("all. But no. Yes."),
                "{profile} {direction:?}"
            );
            assert!(seen(&envoy, direction).1 && !envoy.over);
        }
    }
}

#[test]
fn trailers_wait_for_what_is_left_in_front_of_them() {
    for profile in PROFILES {
        // At once, and inside of the resume of a request that was held.
        for path in ["/free/x", "/durable/x"] {
            let mut envoy = begin_live(profile, Request, path);
            envoy.data(Request, &dense(60_000), false);
            envoy.trailers(Request);
            ticks_to_end(&mut envoy, Request);
            assert!(!envoy.over, "{profile} {path}");
            assert_eq!(
                lines_of(&envoy.upstream.body),
                lines(60_000),
                "{profile} {path}"
            );
        }
    }
}

#[test]
fn a_sender_is_slowed_down_while_much_is_left() {
    let mut envoy = begin_body("headers", Response, "/free/x");
    for piece in dense(2_000_000).chunks(200_000) {
        envoy.data(Response, piece, false);
    }
    // Envoy keeps what was made, until little is left.
    let resumes = envoy.resumes_done;
    for _ in 0..5 {
        envoy.tick(1, Mood::Pending);
    }
    assert_eq!(envoy.resumes_done, resumes);
    for _ in 0..1_000 {
        envoy.tick(1, Mood::Pending);
        // What comes next takes what was made along.
        if envoy.resumes_done > resumes {
            envoy.data(Response, b"", false);
        }
    }
    assert_eq!(lines_of(&envoy.downstream.body), lines(2_000_000));
    envoy.data(Response, b"", true);
    assert!(envoy.downstream.ended && !envoy.over);
}

#[test]
fn what_is_left_is_bounded_and_a_stream_that_breaks_off_leaves_nothing_behind() {
    let mut envoy = begin_body("headers", Request, "/free/x");
    // One after the other they would be more than one worker keeps.
    for _ in 0..30 {
        for piece in dense(1_500_000).chunks(500_000) {
            envoy.data(Request, piece, false);
        }
        assert!(!envoy.over && envoy.upstream.body.len() < 1_000_000);
        envoy.end();
        envoy.again();
        envoy.headers(Request, Envoy::request_for("/free/x", "dev"), false);
    }
    // What is more than it leaves to ticks is masked at once.
    for piece in dense(4_000_000).chunks(1_000_000) {
        envoy.data(Request, piece, false);
    }
    envoy.tick(1, Mood::Pending);
    for _ in 0..1_000 {
        envoy.tick(1, Mood::Pending);
        if envoy.resumes_done > 0 {
            break;
        }
    }
    assert!(!envoy.over && envoy.upstream.body.len() > 1_000_000);
    envoy.data(Request, b"", true);
    ticks_to_end(&mut envoy, Request);
    assert_eq!(lines_of(&envoy.upstream.body), lines(4_000_000));
}

#[test]
fn an_end_of_which_more_would_become_than_envoy_keeps_is_masked_at_once() {
    for profile in PROFILES {
        for direction in [Request, Response] {
            let mut envoy = begin_body(profile, direction, "/free/x");
            // Nothing could slow its sender down any more, and it must not be refused for that.
            envoy.data(direction, &dense(3_000_000), true);
            envoy.tick(1, Mood::Pending);
            assert!(seen(&envoy, direction).1, "{profile} {direction:?}");
            assert_eq!(lines_of(seen(&envoy, direction).0), lines(3_000_000));
        }
    }
}

#[test]
fn a_body_that_was_held_with_its_headers_goes_on_in_steps() {
    for ended in [false, true] {
        let mut envoy = begin_body("headers", Request, "/durable/x");
        for piece in dense(400_000).chunks(100_000) {
            envoy.data(Request, piece, false);
        }
        if ended {
            envoy.data(Request, b"", true);
        }
        envoy.tick(10, Mood::Pending);
        envoy.tick(10, Mood::Pending);
        assert!(envoy.was_open && envoy.upstream.body.len() < 200_000);
        if !ended {
            envoy.data(Request, &dense(100_000), false);
            envoy.data(Request, b"", true);
        }
        let ticks = ticks_to_end(&mut envoy, Request);
        assert!(ticks > 10, "{ticks}");
        let all = lines(400_000) + if ended { 0 } else { lines(100_000) };
        assert_eq!(lines_of(&envoy.upstream.body), all, "{ended}");
    }
}

#[test]
fn trailers_that_come_where_envoy_has_no_buffer_for_what_is_left_break_the_stream_off() {
    let mut envoy = begin_body("headers", Request, "/free/x");
    envoy.data(Request, &dense(200_000), false);
    envoy.trailers(Request);
    assert!(envoy.over && !envoy.upstream.ended);
    assert_eq!(code(&envoy), "expanded_request_too_large");
}

#[test]
fn a_secret_that_is_blocked_is_found_in_what_is_left() {
    for profile in PROFILES {
        for direction in [Request, Response] {
            let mut headers = Envoy::request_for("/free/x", "dev");
            headers.retain(|(name, _)| name != ":authority");
            headers.push((":authority".into(), b"blocking.example.com".to_vec()));
            let mut envoy = Envoy::new(profile);
            envoy.headers(Request, headers, direction == Response);
            if direction == Response {
                envoy.headers(Response, ok(&[("content-type", "text/plain")]), false);
            }
            // What looks like the beginning of a token at each place, and then one.
            let body = format!("{} {}", "ghp_A1b2 ".repeat(40_000), secret());
            envoy.data(direction, body.as_bytes(), false);
            for _ in 0..300 {
                envoy.tick(1, Mood::Pending);
            }
            envoy.data(direction, b"", true);
            for _ in 0..300 {
                envoy.tick(1, Mood::Pending);
            }
            assert!(!text(seen(&envoy, direction).0).contains(&secret()[..12]));
            assert!(
                envoy.over && !seen(&envoy, direction).1,
                "{profile} {direction:?}"
            );
        }
    }
}
