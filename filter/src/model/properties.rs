//! Whatever the order of callbacks: the promises of the stream machine.

use std::sync::Arc;

use chaperone_engine::masking::{Content, DetectorSet, FingerprintKey, Plan, mask_whole};
use chaperone_engine::policy::Direction;
use proptest::prelude::*;

use super::control_plane::Mood;
use super::envoy::Envoy;
use super::world::secret;
use crate::host::Headers;

#[derive(Debug, Clone)]
enum Step {
    RequestData(Vec<u8>, bool),
    RequestTrailers,
    ResponseHeaders { trailers_announced: bool, end: bool },
    ResponseData(Vec<u8>, bool),
    ResponseTrailers,
    Tick(u64, Mood),
    Abort,
}

/// Bytes that are, hold, begin or follow a secret, cut anywhere.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let secret = secret();
    prop_oneof![
        Just(Vec::new()),
        Just(b"plain words, ".to_vec()),
        Just(format!(" {secret} ").into_bytes()),
        (0..secret.len()).prop_map(move |cut| secret.as_bytes().split_at(cut).0.to_vec()),
        Just(b"ghp_".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ]
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        Just(Mood::Pending),
        Just(Mood::Granted),
        Just(Mood::Denied),
        Just(Mood::Down)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let end = || proptest::bool::weighted(0.2);
    prop_oneof![
        4 => (bytes(), end()).prop_map(|(bytes, end)| Step::RequestData(bytes, end)),
        1 => Just(Step::RequestTrailers),
        2 => (any::<bool>(), end()).prop_map(|(trailers_announced, end)| Step::ResponseHeaders { trailers_announced, end }),
        4 => (bytes(), end()).prop_map(|(bytes, end)| Step::ResponseData(bytes, end)),
        1 => Just(Step::ResponseTrailers),
        4 => (prop_oneof![Just(1_u64), Just(30), Just(1_200), Just(11_000)], mood())
            .prop_map(|(millis, mood)| Step::Tick(millis, mood)),
        1 => Just(Step::Abort),
    ]
}

fn response_headers(trailers_announced: bool) -> Headers {
    let mut headers = vec![
        (":status".to_owned(), b"200".to_vec()),
        ("content-length".to_owned(), b"12".to_vec()),
    ];
    if trailers_announced {
        headers.push(("trailer".to_owned(), b"x-checksum".to_vec()));
    }
    headers
}

fn masked(bytes: &[u8]) -> Vec<u8> {
    let set = Arc::new(DetectorSet::compile(&["secrets/github-pat"]).unwrap());
    let plan = Arc::new(Plan::masking(set));
    let key = FingerprintKey::from_bytes([1; 32]);
    mask_whole(&plan, &key, &Content::text(), bytes)
        .0
        .into_bytes()
}

/// What was sent must be the masked form of what was given, or as much of it as is decided.
fn is_masked_beginning(sent: &[u8], given: &[u8], ended: bool) {
    let whole = masked(given);
    if ended {
        assert_eq!(sent, whole, "the whole body, masked");
        return;
    }
    // Without an end the last bytes may mask or not; all that is sent must fit both.
    assert!(
        !String::from_utf8_lossy(sent).contains(&secret()),
        "a secret went through"
    );
    assert!(
        sent.len() <= whole.len().max(given.len()),
        "nothing is made up"
    );
}

fn run(profile: &str, path: &str, group: &str, end: bool, steps: Vec<Step>) -> Envoy {
    let mut envoy = Envoy::new(profile);
    let (mut request, mut response) = (Vec::new(), Vec::new());
    envoy.headers(Direction::Request, Envoy::request_for(path, group), end);
    for step in steps {
        match step {
            Step::RequestData(bytes, end) => {
                if envoy.data(Direction::Request, &bytes, end) {
                    request.extend_from_slice(&bytes);
                }
            }
            Step::RequestTrailers => envoy.trailers(Direction::Request),
            Step::ResponseHeaders {
                trailers_announced,
                end,
            } => {
                envoy.headers(
                    Direction::Response,
                    response_headers(trailers_announced),
                    end,
                );
            }
            Step::ResponseData(bytes, end) => {
                if envoy.data(Direction::Response, &bytes, end) {
                    response.extend_from_slice(&bytes);
                }
            }
            Step::ResponseTrailers => envoy.trailers(Direction::Response),
            Step::Tick(millis, mood) => envoy.tick(millis, mood),
            Step::Abort => envoy.end(),
        }
        if envoy.answer.is_some() && envoy.downstream.headers.is_none() {
            let refused_response = envoy.answer.as_ref().is_some_and(|a| a.status == 502);
            assert!(
                refused_response || envoy.upstream.headers.is_none(),
                "refused, yet upstream saw it"
            );
        }
    }
    is_masked_beginning(&envoy.upstream.body, &request, envoy.upstream.ended);
    is_masked_beginning(&envoy.downstream.body, &response, envoy.downstream.ended);
    envoy
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(64)
}

proptest! {
    // Each case compiles a policy and its detectors, which takes most of the time.
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    /// `Envoy` itself asserts: no request callback continues before the verdict, one answer at most,
    /// no resume after an answer, our own answer passes.
    #[test]
    fn no_order_of_callbacks_breaks_the_promises(
        body_profile in any::<bool>(),
        path in prop_oneof![Just("/free/x"), Just("/durable/x"), Just("/risky/x"), Just("/both/x"), Just("/none/x")],
        group in prop_oneof![4 => Just("dev"), 1 => Just("other")],
        end in proptest::bool::weighted(0.2),
        steps in proptest::collection::vec(step(), 0..25),
    ) {
        let profile = if body_profile { "body" } else { "headers" };
        let mut envoy = run(profile, path, group, end, steps);
        if group == "other" || path == "/none/x" {
            prop_assert!(envoy.upstream.headers.is_none(), "denied, yet upstream saw it");
        }
        if let Some(headers) = &envoy.upstream.headers {
            prop_assert!(headers.iter().all(|(name, _)| name != "authorization"), "the token went on");
            prop_assert!(end || headers.iter().all(|(name, _)| name != "content-length"));
        }
        envoy.end();
        for stage in ["received", "decided", "forwarded"] {
            prop_assert!(envoy.count(stage) <= 1, "{stage} more than once");
        }
        prop_assert_eq!(envoy.count("completed") + envoy.count("aborted"), 1, "closed once");
        prop_assert_eq!(envoy.count("forwarded"), usize::from(envoy.was_open));
        prop_assert_eq!(envoy.worker.host().metric("chaperone.held_streams"), 0);
    }
}
