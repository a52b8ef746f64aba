//! Stories about bodies that are held before the verdict, and masked as a whole in steps.

use chaperone_engine::approval::body_sha256;
use chaperone_engine::policy::Direction::Request;

use super::bodies::text;
use super::control_plane::Mood;
use super::envoy::Envoy;
use super::steps::{dense, lines, lines_of};
use super::stories::{begin, code};
use super::world::secret;

/// Begins a request to this host, of which the whole body is held.
fn begin_at(host: &str, path: &str) -> Envoy {
    let mut envoy = Envoy::new("body");
    let mut headers = Envoy::request_for(path, "dev");
    headers.retain(|(name, _)| name != ":authority");
    headers.push((":authority".into(), host.as_bytes().to_vec()));
    envoy.headers(Request, headers, false);
    envoy
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    WithItsBytes,
    Alone,
    InTrailers,
}

fn send(envoy: &mut Envoy, body: &[u8], piece: usize, end: End) {
    let last = body.len().saturating_sub(1) / piece;
    for (number, part) in body.chunks(piece).enumerate() {
        envoy.data(Request, part, end == End::WithItsBytes && number == last);
    }
    match end {
        End::WithItsBytes => {}
        End::Alone => {
            envoy.data(Request, b"", true);
        }
        End::InTrailers => envoy.trailers(Request),
    }
}

/// Ticks until this holds; gives how many it took.
fn ticks_until(envoy: &mut Envoy, mood: Mood, holds: impl Fn(&Envoy) -> bool) -> usize {
    for count in 0..2_000 {
        if holds(envoy) {
            return count;
        }
        envoy.tick(1, mood);
    }
    panic!("it never does");
}

#[test]
fn a_body_that_a_human_is_to_see_is_masked_in_steps_and_goes_on_when_it_is_granted() {
    let size = 600_000;
    let mut digests = Vec::new();
    for (piece, end) in [
        (size, End::WithItsBytes),
        (50_000, End::Alone),
        (70_000, End::InTrailers),
    ] {
        let mut envoy = begin("body", "/risky/x", false);
        send(&mut envoy, &dense(size), piece, end);
        let ticks = ticks_until(&mut envoy, Mood::Pending, |envoy| {
            !envoy.plane.asked.is_empty()
        });
        // Each does what a callback may, and no more.
        assert!((15..400).contains(&ticks), "{end:?}: {ticks}");
        assert!(envoy.upstream.headers.is_none(), "{end:?}");
        let asked = envoy.plane.asked[0].clone();
        assert_eq!(asked["body"]["truncated"], true);
        assert!(!asked.to_string().contains("ghp_"));
        digests.push(asked["digest"].clone());
        ticks_until(&mut envoy, Mood::Granted, |envoy| envoy.upstream.ended);
        assert_eq!(lines_of(&envoy.upstream.body), lines(size), "{end:?}");
        assert_eq!(
            asked["body"]["total_bytes"],
            envoy.upstream.body.len(),
            "{end:?}"
        );
        assert!(!envoy.over, "{end:?}");
        // One event records it, as much of it as is recorded.
        envoy.end();
        assert_eq!(envoy.count("chunk"), 1, "{end:?}");
        let events = &envoy.plane.events;
        let chunk = events.iter().find(|event| event["stage"] == "chunk");
        let chunk = chunk.unwrap();
        let recorded = chunk["body"]["text"].as_str().unwrap();
        assert_eq!(recorded.len(), 64 * 1024, "{end:?}");
        assert!(envoy.upstream.body.starts_with(recorded.as_bytes()));
        assert_eq!(chunk["truncated"], true, "{end:?}");
    }
    assert!(
        digests.windows(2).all(|two| two[0] == two[1]),
        "{digests:?}"
    );
}

#[test]
fn a_body_that_is_not_masked_is_digested_in_steps() {
    let body = b"clean words, many of them. ".repeat(30_000);
    let mut envoy = begin_at("plain.example.com", "/risky/x");
    send(&mut envoy, &body, 100_000, End::Alone);
    let ticks = ticks_until(&mut envoy, Mood::Pending, |envoy| {
        !envoy.plane.asked.is_empty()
    });
    assert!((2..50).contains(&ticks), "{ticks}");
    ticks_until(&mut envoy, Mood::Granted, |envoy| envoy.upstream.ended);
    assert!(envoy.upstream.body == body);
    // The same bytes in one piece that is short enough are the same request.
    let short = b"few words";
    let digest = |piece| {
        let mut envoy = begin_at("plain.example.com", "/risky/x");
        send(&mut envoy, short, piece, End::Alone);
        ticks_until(&mut envoy, Mood::Pending, |envoy| {
            !envoy.plane.asked.is_empty()
        });
        envoy.plane.asked[0]["digest"].clone()
    };
    assert_eq!(digest(2), digest(9));
    assert_ne!(body_sha256(short), body_sha256(&body));
}

/// What looks like the beginning of a token at each place.
fn doubtful() -> String {
    "ghp_A1b2 ".repeat(80_000)
}

#[test]
fn a_body_that_is_held_for_a_block_is_looked_through_in_steps() {
    for (path, end) in [
        ("/free/x", End::WithItsBytes),
        ("/free/x", End::InTrailers),
        ("/durable/x", End::Alone),
    ] {
        let mut envoy = begin_at("blocking.example.com", path);
        send(&mut envoy, doubtful().as_bytes(), 300_000, end);
        assert!(envoy.upstream.headers.is_none(), "{path} {end:?}");
        let ticks = ticks_until(&mut envoy, Mood::Pending, |envoy| envoy.upstream.ended);
        assert!((5..400).contains(&ticks), "{path} {end:?}: {ticks}");
        assert!(text(&envoy.upstream.body) == doubtful(), "{path} {end:?}");
        assert!(!envoy.over);
    }
}

#[test]
fn a_secret_that_is_blocked_far_behind_is_refused_and_nothing_has_left() {
    for end in [End::WithItsBytes, End::InTrailers] {
        let mut envoy = begin_at("blocking.example.com", "/free/x");
        let body = format!("{}{} ", doubtful(), secret());
        send(&mut envoy, body.as_bytes(), 300_000, end);
        assert!(envoy.answer.is_none());
        ticks_until(&mut envoy, Mood::Pending, |envoy| envoy.answer.is_some());
        assert_eq!(code(&envoy), "secret_blocked");
        assert!(envoy.upstream.headers.is_none() && envoy.upstream.body.is_empty());
        // Nor does the record have it.
        assert_eq!(envoy.count("chunk"), 0);
    }
}

#[test]
fn a_client_that_leaves_meanwhile_leaves_nothing_behind() {
    let mut envoy = begin("body", "/risky/x", false);
    // One after the other they would be more than one worker keeps.
    for _ in 0..45 {
        send(&mut envoy, &dense(900_000), 900_000, End::WithItsBytes);
        envoy.tick(1, Mood::Pending);
        assert!(envoy.plane.asked.is_empty());
        envoy.end();
        envoy.again();
        envoy.headers(Request, Envoy::request_for("/risky/x", "dev"), false);
    }
    send(&mut envoy, &dense(900_000), 900_000, End::WithItsBytes);
    // It still may wait for ticks.
    assert!(envoy.plane.asked.is_empty());
    let ticks = ticks_until(&mut envoy, Mood::Pending, |envoy| {
        !envoy.plane.asked.is_empty()
    });
    assert!(ticks > 10, "{ticks}");
}
