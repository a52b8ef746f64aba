//! Answers of control planes of earlier versions, byte for byte. This filter takes each of them as
//! filters did when it was recorded.

use std::collections::{BTreeMap, BTreeSet};

use chaperone_engine::bundle::{self, PublicKey};
use chaperone_engine::link::{
    ASK_PATH, AskAnswer, AskRequest, EVENTS_PATH, POLICY_PATH, PolicyAnswer, WATCH_PATH,
    WatchRequest,
};
use serde_json::Value;

use super::super::{Node, Wake};
use super::{Envoy, Worker, parsed, plugin_configuration};
use crate::host::fake::FakeHost;
use crate::host::{CallAnswer, ContextId, Host as _};

/// One version's exchanges, and the key that its bundles are signed with.
struct Recording {
    exchanges: &'static str,
    key: &'static str,
}

/// All versions that are recorded (`tests/recorded/README.md`).
const RECORDINGS: &[Recording] = &[Recording {
    exchanges: include_str!("../../../../tests/recorded/0.1.0-4236dbf/exchanges.txt"),
    key: include_str!("../../../../tests/recorded/0.1.0-4236dbf/public-key.txt"),
}];

const STREAM: ContextId = ContextId(40);

struct Exchange {
    request: Value,
    answer: &'static str,
}

impl Recording {
    fn key(&self) -> PublicKey {
        PublicKey::from_base64(self.key).unwrap()
    }

    fn of(&self, path: &str) -> Vec<Exchange> {
        let blocks = self.exchanges.split_terminator("\n\n");
        let exchanges: Vec<Exchange> = blocks
            .filter_map(|block| {
                let lines: Vec<&str> = block.lines().collect();
                let [to, request, status, answer] = lines[..] else {
                    panic!("an exchange has four lines: {block}")
                };
                assert_eq!(status, "200");
                let request = serde_json::from_str(request).unwrap();
                (to == format!("POST {path}")).then_some(Exchange { request, answer })
            })
            .collect();
        assert!(!exchanges.is_empty(), "nothing was recorded of {path}");
        exchanges
    }
}

fn answer(worker: &mut Worker, path: &str, exchange: &Exchange) {
    let call = worker.calls(path).pop().expect("the filter calls");
    worker.answer_with(call.id, 200, true, exchange.answer.as_bytes());
}

/// The next long poll of a node, which may pause before it.
fn poll(host: &FakeHost, node: &mut Node) -> super::SentCall {
    for _ in 0..60 {
        host.now.set(host.now.get() + 1_000);
        node.on_tick(host, super::ROOT);
        let polls = host
            .take_calls()
            .into_iter()
            .find(|call| call.path == POLICY_PATH && super::body(call)["wait_ms"] != 0);
        if let Some(poll) = polls {
            return poll;
        }
    }
    panic!("a node does not poll")
}

#[test]
fn each_bundle_of_the_pinned_key_comes_into_force_and_one_of_another_key_does_not() {
    for recording in RECORDINGS {
        let key = recording.key();
        let pinned = key.clone().into();
        let host = FakeHost::default();
        let mut node = Node::new(&host);
        node.configure(&host, super::ROOT, parsed(&plugin_configuration(&key)));
        let mut expected = None;
        let (mut adopted, mut refused) = (0, 0);
        for exchange in recording.of(POLICY_PATH) {
            let call = poll(&host, &mut node);
            let headers = [
                (":status", "200"),
                (
                    chaperone_engine::link::MARKER,
                    chaperone_engine::link::MARKER_VALUE,
                ),
            ];
            let answer = CallAnswer {
                headers: headers.map(|(n, v)| (n.to_owned(), v.into())).to_vec(),
                body: exchange.answer.into(),
            };
            node.on_call_answer(&host, super::ROOT, call.id, answer);
            let answer: PolicyAnswer = serde_json::from_str(exchange.answer).unwrap();
            let Some(envelope) = answer.bundle else {
                continue;
            };
            match bundle::open(&serde_json::to_vec(&envelope).unwrap(), &pinned) {
                Ok(bundle) if Some(bundle.serial) > expected => {
                    expected = Some(bundle.serial);
                    adopted += 1;
                }
                Ok(_) => {}
                Err(why) => {
                    let call = poll(&host, &mut node);
                    assert_eq!(super::body(&call)["refused"], why.to_string());
                    node.on_call_answer(&host, super::ROOT, call.id, CallAnswer::default());
                    refused += 1;
                }
            }
            assert_eq!(node.gate().map(|gate| gate.serial()), expected);
        }
        assert!(adopted > 2 && refused > 0, "{adopted} {refused}");
    }
}

#[test]
fn each_acknowledgement_counts() {
    for recording in RECORDINGS {
        let mut nodes: BTreeMap<String, (Envoy, u64)> = BTreeMap::new();
        for exchange in recording.of(EVENTS_PATH) {
            let boot = exchange.request["node"]["boot"].to_string();
            let (envoy, before) = nodes.entry(boot).or_insert_with(|| (Envoy::new(1), 0));
            let events = exchange.request["events"].as_array().unwrap();
            let last = events
                .last()
                .map_or(0, |event| event["seq"].as_u64().unwrap());
            if last <= *before {
                // The last batch of a node that has nothing to say any more.
                continue;
            }
            for _ in *before..last {
                envoy.workers[0].record();
            }
            envoy.run(50);
            answer(&mut envoy.workers[0], EVENTS_PATH, &exchange);
            assert_eq!(envoy.workers[0].metric("events_acknowledged"), last as i64);
            assert_eq!(envoy.workers[0].metric("batches_failed"), 0);
            *before = last;
        }
    }
}

#[test]
fn each_answer_to_a_question_wakes_its_stream_with_what_it_says() {
    for recording in RECORDINGS {
        let mut standings = BTreeSet::new();
        for exchange in recording.of(ASK_PATH) {
            let mut envoy = Envoy::new(1);
            let worker = &mut envoy.workers[0];
            let request: AskRequest = serde_json::from_value(exchange.request.clone()).unwrap();
            worker.node.ask(&worker.host, STREAM, &request);
            worker.tick();
            answer(worker, ASK_PATH, &exchange);
            let expected: AskAnswer = serde_json::from_str(exchange.answer).unwrap();
            let said: Value = serde_json::from_str(exchange.answer).unwrap();
            assert_eq!(serde_json::to_value(&expected).unwrap(), said);
            assert_eq!(worker.wakes(), [(STREAM, Wake::Answer(expected))]);
            standings.insert(said["answer"].as_str().unwrap().to_owned());
        }
        assert_eq!(standings.len(), 4, "{standings:?}");
    }
}

#[test]
fn each_answer_to_a_watch_wakes_the_streams_that_it_is_about() {
    for recording in RECORDINGS {
        for exchange in recording.of(WATCH_PATH) {
            let mut envoy = Envoy::new(1);
            let worker = &mut envoy.workers[0];
            let request: WatchRequest = serde_json::from_value(exchange.request.clone()).unwrap();
            let until = worker.host.now().saturating_add(60_000);
            for (stream, approval) in (40..).map(ContextId).zip(&request.approvals) {
                worker
                    .node
                    .wait(&worker.host, stream, approval, until)
                    .unwrap();
            }
            worker.tick();
            answer(worker, WATCH_PATH, &exchange);
            let said: Value = serde_json::from_str(exchange.answer).unwrap();
            let decided = said["decided"].as_array().unwrap();
            let streams: Vec<_> = (40..)
                .map(ContextId)
                .zip(&request.approvals)
                .filter(|(_, approval)| decided.iter().any(|one| one["approval"] == **approval))
                .map(|(stream, _)| (stream, Wake::Changed))
                .collect();
            assert_eq!(worker.wakes(), streams);
        }
    }
}
