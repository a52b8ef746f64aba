//! Whatever the order of callbacks: the promises of the stream machine.

use std::sync::Arc;

use chaperone_engine::masking::{Content, DetectorSet, FingerprintKey, Plan, mask_whole};
use chaperone_engine::policy::Direction;
use proptest::prelude::*;

use super::control_plane::Mood;
use super::envoy::{Envoy, Seen};
use super::world::secret;
use crate::host::Headers;

#[derive(Debug, Clone)]
enum Step {
    RequestData(Vec<u8>, bool),
    RequestTrailers,
    ResponseHeaders {
        trailers_announced: bool,
        content_type: Option<&'static str>,
        end: bool,
    },
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
        Just(masked(self::secret().as_bytes())),
        Just(masked(self::secret().as_bytes()).split_at(9).0.to_vec()),
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
        2 => (any::<bool>(), content_type(), end()).prop_map(|(trailers_announced, content_type, end)| {
            Step::ResponseHeaders { trailers_announced, content_type, end }
        }),
        4 => (bytes(), end()).prop_map(|(bytes, end)| Step::ResponseData(bytes, end)),
        1 => Just(Step::ResponseTrailers),
        4 => (prop_oneof![Just(1_u64), Just(30), Just(1_200), Just(11_000)], mood())
            .prop_map(|(millis, mood)| Step::Tick(millis, mood)),
        1 => Just(Step::Abort),
    ]
}

fn content_type() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![
        Just(None),
        Just(Some("text/plain")),
        Just(Some("text/event-stream")),
        Just(Some("application/octet-stream")),
        Just(Some("application/grpc")),
    ]
}

fn response_headers(trailers_announced: bool, content_type: Option<&str>) -> Headers {
    let mut headers = vec![
        (":status".to_owned(), b"200".to_vec()),
        ("content-length".to_owned(), b"12".to_vec()),
    ];
    if let Some(value) = content_type {
        headers.push(("content-type".to_owned(), value.as_bytes().to_vec()));
    }
    if trailers_announced {
        headers.push(("trailer".to_owned(), b"x-checksum".to_vec()));
    }
    headers
}

fn masked(bytes: &[u8]) -> Vec<u8> {
    masked_as(bytes, &Content::text())
}

fn masked_as(bytes: &[u8], content: &Content) -> Vec<u8> {
    let set = Arc::new(DetectorSet::compile(&["secrets/github-pat"]).unwrap());
    let plan = Arc::new(Plan::masking(set));
    let key = FingerprintKey::from_bytes([1; 32]);
    mask_whole(&plan, &key, content, bytes).0.into_bytes()
}

/// What happens to secrets on a connection of the model's policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Masking,
    Blocking,
    Restoring,
    Reporting,
}

impl Kind {
    fn host(self) -> &'static str {
        match self {
            Self::Masking => "api.example.com",
            Self::Blocking => "blocking.example.com",
            Self::Restoring => "restoring.example.com",
            Self::Reporting => "reporting.example.com",
        }
    }
}

fn has_secret(bytes: &[u8]) -> bool {
    let secret = secret();
    bytes.windows(secret.len()).any(|w| w == secret.as_bytes())
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), bytes);
    while let Some(at) = rest.windows(from.len()).position(|w| w == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// Whether what was sent is what may become of what was given, or of as much of it as is decided.
fn check(kind: Kind, direction: Direction, content: &Content, sent: &Seen, given: &[u8]) {
    let whole = masked_as(given, content);
    let changed = whole != given;
    match (kind, direction) {
        (Kind::Reporting, _) if sent.ended => assert_eq!(sent.body, given, "passes as it is"),
        (Kind::Reporting, _) => assert!(given.starts_with(&sent.body)),
        (Kind::Restoring, Direction::Response) => {
            let placeholder = masked(secret().as_bytes());
            let restored = replaced(given, &placeholder, secret().as_bytes());
            let body = &sent.body;
            if sent.ended {
                assert!(*body == given || *body == restored, "whole, or restored");
            } else {
                assert!(given.starts_with(body) || restored.starts_with(body));
            }
        }
        (Kind::Blocking, _) => {
            assert!(!has_secret(&sent.body), "a secret went through");
            // The end may be the upstream's, after an event that tells the agent why.
            let told = direction == Direction::Response;
            assert!(!(sent.ended && changed) || told, "blocked, yet ended");
            if sent.ended && !changed {
                assert_eq!(sent.body, given);
            }
        }
        _ if sent.ended => assert_eq!(sent.body, whole, "the whole body, masked"),
        _ => {
            // Without an end the last bytes may mask or not; all that is sent must fit both.
            assert!(!has_secret(&sent.body), "a secret went through");
            let most = whole.len().max(given.len());
            assert!(sent.body.len() <= most, "nothing is made up");
        }
    }
}

fn run(kind: Kind, profile: &str, path: &str, group: &str, end: bool, steps: Vec<Step>) -> Envoy {
    let mut envoy = Envoy::new(profile);
    let (mut request, mut response) = (Vec::new(), Vec::new());
    let mut content = Content::of(None).at_path(path.as_bytes());
    let mut headers = Envoy::request_for(path, group);
    headers.retain(|(name, _)| name != ":authority");
    headers.push((":authority".to_owned(), kind.host().as_bytes().to_vec()));
    envoy.headers(Direction::Request, headers, end);
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
                content_type,
                end,
            } => {
                let headers = response_headers(trailers_announced, content_type);
                if envoy.headers(Direction::Response, headers, end) {
                    let content_type = content_type.map(str::as_bytes);
                    content = Content::of(content_type).at_path(path.as_bytes());
                }
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
            // A block can come when the headers have left; then upstream sees no end.
            let late = kind == Kind::Blocking && !envoy.upstream.ended;
            let refused_response = envoy.has_response();
            assert!(
                late || refused_response || envoy.upstream.headers.is_none(),
                "refused, yet upstream saw it"
            );
        }
    }
    let asked = Content::of(None).at_path(path.as_bytes());
    check(kind, Direction::Request, &asked, &envoy.upstream, &request);
    check(
        kind,
        Direction::Response,
        &content,
        &envoy.downstream,
        &response,
    );
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

    /// `Envoy` itself asserts: no request callback continues before the verdict, one answer at
    /// most, no resume after an answer, our own answer passes.
    #[test]
    fn no_order_of_callbacks_breaks_the_promises(
        kind in prop_oneof![
            Just(Kind::Masking),
            Just(Kind::Blocking),
            Just(Kind::Restoring),
            Just(Kind::Reporting),
        ],
        body_profile in any::<bool>(),
        path in prop_oneof![Just("/free/x"), Just("/durable/x"), Just("/risky/x"), Just("/both/x"), Just("/none/x")],
        group in prop_oneof![4 => Just("dev"), 1 => Just("other")],
        end in proptest::bool::weighted(0.2),
        steps in proptest::collection::vec(step(), 0..25),
    ) {
        let profile = if body_profile { "body" } else { "headers" };
        let mut envoy = run(kind, profile, path, group, end, steps);
        if group == "other" || path == "/none/x" {
            prop_assert!(envoy.upstream.headers.is_none(), "denied, yet upstream saw it");
        }
        if let Some(headers) = &envoy.upstream.headers {
            prop_assert!(headers.iter().all(|(name, _)| name != "authorization"), "the token went on");
            let changes = !end;
            prop_assert!(!changes || headers.iter().all(|(name, _)| name != "content-length"));
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
