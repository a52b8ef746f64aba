use chaperone_engine::link::{EVENTS_PATH, POLICY_PATH, WATCH_PATH};
use serde_json::json;

use super::super::calls::Backoff;
use super::{Envoy, ROOT, TOKEN, body, parsed, plugin_configuration, signer};
use crate::host::{ContextId, Host as _, HostError, Level};

#[test]
fn a_call_says_who_speaks_and_proves_it() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    let call = envoy.workers[0].reports().remove(0);
    let header = |name: &str| {
        call.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    };
    assert_eq!(
        header("authorization"),
        Some(format!("Bearer {TOKEN}").as_str())
    );
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!(body(&call)["node"]["name"], "envoy-1");
    assert_eq!(call.timeout_ms, 2_000);
}

#[test]
fn a_node_without_a_configured_name_is_called_as_envoy_is_or_else_envoy() {
    for (node_id, name) in [(Some("edge-7"), "edge-7"), (None, "envoy")] {
        let mut envoy = Envoy::new(1);
        let mut worker = envoy.worker();
        if let Some(id) = node_id {
            let property = ("xds.node.id".to_owned(), id.as_bytes().to_vec());
            worker.host.properties.borrow_mut().extend([property]);
        }
        let mut document = plugin_configuration(&signer().public_key());
        document.as_object_mut().unwrap().remove("node_name");
        worker.node.configure(&worker.host, ROOT, parsed(&document));
        worker.tick();
        let call = worker.reports().remove(0);
        assert_eq!(body(&call)["node"]["name"], name);
    }
}

#[test]
fn an_answer_without_the_marker_is_no_answer_whatever_it_says() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    let worker = &mut envoy.workers[0];
    let forged = json!({ "bundle": super::sealed(&super::signer(), 1) });
    let poll = worker.polls().remove(0);
    worker.answer_with(poll.id, 200, false, &serde_json::to_vec(&forged).unwrap());
    assert_eq!(worker.enforced(), None);
    for status in [503, 504] {
        envoy.run(6_000);
        let worker = &mut envoy.workers[0];
        let poll = worker.polls().remove(0);
        worker.answer_with(poll.id, status, false, b"upstream connect error");
    }
    assert_eq!(envoy.workers[0].metric("polls_failed"), 3);
}

#[test]
fn a_callback_with_no_headers_is_no_answer() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    let worker = &mut envoy.workers[0];
    let poll = worker.polls().remove(0);
    worker.reset(&poll);
    assert_eq!(worker.metric("polls_failed"), 1);
    envoy.run(6_000);
    assert_eq!(envoy.workers[0].polls().len(), 1, "asked again");
}

#[test]
fn half_of_an_answer_is_no_answer() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    let worker = &mut envoy.workers[0];
    let poll = worker.polls().remove(0);
    worker.answer_with(poll.id, 200, true, b"{\"bundle\":{\"payloa");
    assert_eq!(worker.metric("polls_failed"), 1);
}

#[test]
fn a_call_that_is_answered_twice_counts_once() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    let worker = &mut envoy.workers[0];
    let poll = worker.polls().remove(0);
    worker.reset(&poll);
    worker.reset(&poll);
    assert_eq!(worker.metric("polls_failed"), 1);
}

#[test]
fn a_call_whose_callback_never_comes_is_given_up() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    assert_eq!(envoy.workers[0].polls().len(), 1);
    envoy.run(25_000 + 2_000 + 500);
    assert_eq!(
        envoy.workers[0].polls().len(),
        0,
        "Envoy's own timeout could still come"
    );
    envoy.run(1_000);
    assert_eq!(envoy.workers[0].polls().len(), 1);
}

#[test]
fn calls_that_went_with_their_root_are_made_again_by_the_next_one() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    let worker = &mut envoy.workers[0];
    assert_eq!(worker.polls().len(), 1);
    let newer = crate::host::ContextId(9);
    let config = super::parsed(&super::plugin_configuration(&super::signer().public_key()));
    worker.node.configure(&worker.host, newer, config);
    assert!(
        worker.node.root_done(&worker.host, super::ROOT),
        "another root goes on"
    );
    worker.node.root_deleted(&worker.host, super::ROOT);
    envoy.pass(200);
    let worker = &mut envoy.workers[0];
    worker.node.on_tick(&worker.host, super::ROOT);
    assert_eq!(
        worker.polls().len(),
        0,
        "the tick of an old root does nothing"
    );
    worker.node.on_tick(&worker.host, newer);
    assert_eq!(worker.polls().len(), 1);
}

#[test]
fn an_outage_is_two_log_lines_and_a_gauge() {
    let mut envoy = Envoy::new(1);
    envoy.workers[0]
        .host
        .calls_fail
        .set(Some(HostError::NotFound));
    envoy.run(20_000);
    let worker = &envoy.workers[0];
    assert_eq!(worker.metric("control_plane_unreachable"), 1);
    assert!(worker.metric("calls_unanswered") > 5);
    let errors = |w: &super::Worker| {
        w.host
            .logs
            .borrow()
            .iter()
            .filter(|(level, _)| *level == Level::Error)
            .count()
    };
    assert_eq!(errors(worker), 1);
    assert!(!format!("{:?}", worker.host.logs).contains(TOKEN));
    worker.host.calls_fail.set(None);
    let report = loop {
        envoy.run(25);
        if let Some(report) = envoy.workers[0].reports().pop() {
            break report;
        }
    };
    let worker = &mut envoy.workers[0];
    worker.answer(&report, &json!({}));
    assert_eq!(worker.metric("control_plane_unreachable"), 0);
    assert_eq!(errors(worker), 1);
}

#[test]
fn after_an_outage_the_first_answer_to_anything_ends_every_pause() {
    for offset in 0..10 {
        let mut envoy = Envoy::new(1);
        let worker = &mut envoy.workers[0];
        worker.host.calls_fail.set(Some(HostError::Failed));
        let until = worker.host.now().saturating_add(600_000);
        worker
            .node
            .wait(&worker.host, ContextId(40), "a-1", until)
            .unwrap();
        worker.record();
        envoy.run(60_000 + offset * 200);
        let worker = &mut envoy.workers[0];
        worker.host.calls_fail.set(None);
        // Whatever is tried first; the rest still pauses.
        let first = loop {
            envoy.run(25);
            if let Some(first) = envoy.workers[0].host.take_calls().pop() {
                break first;
            }
        };
        let worker = &mut envoy.workers[0];
        let answer = match first.path.as_str() {
            EVENTS_PATH => json!({ "acknowledged": 1 }),
            WATCH_PATH => json!({ "decided": [] }),
            _ => json!({}),
        };
        worker.answer(&first, &answer);
        let mut paths: Vec<String> = worker
            .host
            .take_calls()
            .into_iter()
            .map(|call| call.path)
            .collect();
        paths.push(first.path.clone());
        for path in [EVENTS_PATH, WATCH_PATH, POLICY_PATH] {
            assert!(
                paths.iter().any(|p| p == path),
                "{offset}: no {path} in {paths:?}"
            );
        }
    }
}

#[test]
fn what_the_control_plane_refuses_is_logged_with_its_reason_cut_short() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    let worker = &mut envoy.workers[0];
    let poll = worker.polls().remove(0);
    let detail = format!("The node token is unknown.\n{}", "x".repeat(9_000));
    let problem = serde_json::to_vec(&json!({ "detail": detail })).unwrap();
    worker.answer_with(poll.id, 401, true, &problem);
    let logs = worker.host.logs.borrow();
    let (_, line) = logs.iter().find(|(_, line)| line.contains("401")).unwrap();
    assert!(line.contains("The node token is unknown.") && line.len() < 500);
    assert!(!line.contains('\n'));
    assert_eq!(worker.metric("control_plane_unreachable"), 0, "it is there");
}

#[test]
fn pauses_grow_to_their_limit_and_differ_between_workers() {
    let pauses = |seed| {
        let mut backoff = Backoff::new(100, 5_000, seed);
        (0..12).map(|_| backoff.next_ms()).collect::<Vec<_>>()
    };
    let (one, other) = (pauses(1), pauses(2));
    assert_ne!(one, other);
    for (n, pause) in one.iter().enumerate() {
        let full = (100_u64 << n).min(5_000);
        assert!((full / 2..=full).contains(pause), "pause {n} is {pause}");
    }
}
