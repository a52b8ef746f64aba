use chaperone_engine::approval::{ApprovalState, Standing};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::link::{ASK_PATH, AskAnswer, AskRequest, WATCH_PATH};
use serde_json::{Value, json};

use super::super::{TooManyHeld, Wake};
use super::{Envoy, SentCall, Worker, body};
use crate::host::{ContextId, Host as _, HostError};

const A: ContextId = ContextId(40);
const B: ContextId = ContextId(41);

fn request(worker: &Worker) -> AskRequest {
    serde_json::from_value(json!({
        "node": worker.node.identity(),
        "record": "r-1",
        "digest": "d".repeat(64),
        "policy_version": 1,
        "rule": "prod-writes-need-a-human",
        "reason": "Changes to production need an SRE.",
        "terms": { "by": ["sre"], "count": 1, "hold": "60s", "expires": "1h", "grant": "once" },
        "principal": { "issuer": "https://idp.example", "subject": "alice", "groups": [] },
        "connection": "arm",
        "operation": { "action": "DELETE /x" },
        "request": { "method": "DELETE", "host": "arm.example", "path": "/x" },
    }))
    .unwrap()
}

fn ask(worker: &mut Worker, stream: ContextId) {
    let request = request(worker);
    worker.node.ask(&worker.host, stream, &request);
    worker.tick();
}

fn asks(worker: &Worker) -> Vec<SentCall> {
    worker.calls(ASK_PATH)
}

fn watches(worker: &Worker) -> Vec<SentCall> {
    worker.calls(WATCH_PATH)
}

fn watched(call: &SentCall) -> Vec<String> {
    serde_json::from_value(body(call)["approvals"].clone()).unwrap()
}

fn answer(standing: Standing) -> AskAnswer {
    AskAnswer {
        approval: "a-1".to_owned(),
        answer: standing,
        by: None,
        comment: None,
        expires_at: UnixMillis(2_000_000),
    }
}

fn decided(approval: &str, state: ApprovalState) -> Value {
    json!({ "decided": [{ "approval": approval, "state": state }] })
}

fn wait(worker: &mut Worker, stream: ContextId, approval: &str, millis: u64) {
    let until = worker.host.now().saturating_add(millis);
    worker
        .node
        .wait(&worker.host, stream, approval, until)
        .unwrap();
}

#[test]
fn a_question_goes_out_and_its_answer_wakes_the_stream() {
    let mut envoy = Envoy::new(1);
    let worker = &mut envoy.workers[0];
    ask(worker, A);
    let call = asks(worker).remove(0);
    assert_eq!(body(&call)["rule"], "prod-writes-need-a-human");
    let granted = answer(Standing::Granted);
    worker.answer(&call, &json!(granted));
    assert_eq!(worker.wakes(), [(A, Wake::Answer(granted))]);
}

#[test]
fn a_question_without_an_answer_is_asked_once_more_and_then_given_up() {
    type Fault = fn(&mut Worker, &SentCall);
    let faults: [Fault; 4] = [
        |w, call| w.reset(call),
        |w, call| w.answer_with(call.id, 504, false, b"upstream request timeout"),
        |w, call| w.answer_with(call.id, 500, true, b"{}"),
        // A forged yes.
        |w, call| {
            let yes = serde_json::to_vec(&answer(Standing::Granted)).unwrap();
            w.answer_with(call.id, 200, false, &yes);
        },
    ];
    for fault in faults {
        let mut envoy = Envoy::new(1);
        let worker = &mut envoy.workers[0];
        ask(worker, A);
        for _ in 0..2 {
            assert_eq!(worker.wakes(), []);
            let call = asks(worker).remove(0);
            fault(worker, &call);
        }
        assert_eq!(worker.wakes(), [(A, Wake::AskUnavailable)]);
        envoy.run(5_000);
        assert!(asks(&envoy.workers[0]).is_empty());
    }
}

#[test]
fn a_question_that_the_control_plane_will_not_take_is_not_repeated() {
    let mut envoy = Envoy::new(1);
    let worker = &mut envoy.workers[0];
    ask(worker, A);
    let call = asks(worker).remove(0);
    worker.answer_with(call.id, 400, true, b"{}");
    assert_eq!(worker.wakes(), [(A, Wake::AskUnavailable)]);
    assert!(asks(worker).is_empty());
}

#[test]
fn when_envoy_takes_no_calls_a_question_fails_after_its_tries() {
    for error in [HostError::NotFound, HostError::Failed] {
        let mut envoy = Envoy::new(1);
        envoy.workers[0].host.calls_fail.set(Some(error));
        ask(&mut envoy.workers[0], A);
        assert_eq!(envoy.workers[0].wakes(), []);
        envoy.run(50);
        assert_eq!(envoy.workers[0].wakes(), [(A, Wake::AskUnavailable)]);
    }
}

#[test]
fn a_decision_wakes_every_stream_that_waits_for_it_and_no_other() {
    for state in [
        ApprovalState::Approved,
        ApprovalState::Denied,
        ApprovalState::Expired,
        ApprovalState::Spent,
    ] {
        let mut envoy = Envoy::new(1);
        let worker = &mut envoy.workers[0];
        let c = ContextId(42);
        wait(worker, A, "a-1", 60_000);
        wait(worker, B, "a-1", 60_000);
        wait(worker, c, "a-2", 60_000);
        worker.tick();
        let call = watches(worker).remove(0);
        assert_eq!(
            watched(&call),
            ["a-1", "a-2"],
            "one watch for all, each approval once"
        );
        worker.answer(&call, &decided("a-1", state));
        assert_eq!(worker.wakes(), [(A, Wake::Changed), (B, Wake::Changed)]);
        let call = watches(worker).remove(0);
        assert_eq!(
            watched(&call),
            ["a-2"],
            "and the watch goes on in the same callback"
        );
    }
}

#[test]
fn an_approval_that_is_still_pending_wakes_nobody() {
    let mut envoy = Envoy::new(1);
    let worker = &mut envoy.workers[0];
    wait(worker, A, "a-1", 60_000);
    worker.tick();
    let call = watches(worker).remove(0);
    worker.answer(&call, &decided("a-1", ApprovalState::Pending));
    assert_eq!(worker.wakes(), []);
}

#[test]
fn an_approval_that_comes_up_while_a_watch_runs_is_watched_at_once() {
    let mut envoy = Envoy::new(1);
    let worker = &mut envoy.workers[0];
    wait(worker, A, "a-1", 60_000);
    worker.tick();
    assert_eq!(watches(worker).len(), 1);
    wait(worker, B, "a-2", 60_000);
    assert_eq!(worker.host.ticks.borrow()[&super::ROOT], 1);
    worker.tick();
    let call = watches(worker).remove(0);
    assert_eq!(watched(&call), ["a-2"]);
    worker.answer(&call, &decided("a-2", ApprovalState::Approved));
    assert_eq!(worker.wakes(), [(B, Wake::Changed)]);
}

#[test]
fn however_many_approvals_come_up_few_watches_run_and_none_waits_long_for_its_own() {
    let mut envoy = Envoy::new(1);
    let mut open: Vec<SentCall> = Vec::new();
    for n in 0..8 {
        wait(
            &mut envoy.workers[0],
            ContextId(100 + n),
            &format!("a-{n}"),
            60_000,
        );
        envoy.run(25);
        open.extend(watches(&envoy.workers[0]));
    }
    assert_eq!(open.len(), 4);
    let last = open.pop().unwrap();
    assert!(body(&last)["wait_ms"].as_u64().unwrap() <= 250);
    assert!(open.iter().all(|call| body(call)["wait_ms"] == 25_000));
    envoy.run(200);
    let worker = &mut envoy.workers[0];
    worker.answer(&last, &json!({ "decided": [] }));
    let call = watches(worker).remove(0);
    assert_eq!(
        watched(&call).len(),
        5,
        "all that came later, and what the short one carried"
    );
    envoy.run(100);
    // As the long ones end, everything comes together again.
    let worker = &mut envoy.workers[0];
    for call in open.iter().chain([&call]) {
        worker.answer(call, &json!({ "decided": [] }));
    }
    let all: usize = watches(worker).iter().map(|call| watched(call).len()).sum();
    assert_eq!(all, 8);
}

#[test]
fn a_watch_that_fails_is_repeated_with_pauses_and_the_stream_stays_parked() {
    let mut envoy = Envoy::new(1);
    wait(&mut envoy.workers[0], A, "a-1", 600_000);
    let mut tries = 0;
    for _ in 0..400 {
        envoy.run(25);
        for call in watches(&envoy.workers[0]) {
            tries += 1;
            envoy.workers[0].answer_with(call.id, 503, false, b"");
        }
    }
    assert!((5..=20).contains(&tries), "{tries} tries in ten seconds");
    assert_eq!(envoy.workers[0].wakes(), []);
    envoy.run(2_000);
    let call = watches(&envoy.workers[0]).remove(0);
    envoy.workers[0].answer(&call, &decided("a-1", ApprovalState::Approved));
    assert_eq!(envoy.workers[0].wakes(), [(A, Wake::Changed)]);
}

#[test]
fn a_control_plane_that_answers_a_watch_at_once_with_nothing_is_not_asked_in_a_tight_loop() {
    let mut envoy = Envoy::new(1);
    wait(&mut envoy.workers[0], A, "a-1", 60_000);
    let mut tries = 0;
    for _ in 0..40 {
        envoy.run(25);
        for call in watches(&envoy.workers[0]) {
            tries += 1;
            envoy.workers[0].answer(&call, &json!({ "decided": [] }));
        }
    }
    assert!(tries <= 25, "{tries} watches in a second");
}

#[test]
fn a_hold_ends_with_its_budget() {
    let mut envoy = Envoy::new(1);
    wait(&mut envoy.workers[0], A, "a-1", 1_000);
    envoy.run(975);
    assert_eq!(envoy.workers[0].wakes(), []);
    envoy.run(25);
    assert_eq!(envoy.workers[0].wakes(), [(A, Wake::Timeout)]);
    let worker = &mut envoy.workers[0];
    assert_eq!(
        (worker.metric("holds_over"), worker.metric("holds_decided")),
        (1, 0)
    );
    // The decision that comes after it is nobody's.
    for call in watches(worker) {
        worker.answer(&call, &decided("a-1", ApprovalState::Approved));
    }
    assert_eq!(worker.wakes(), []);
}

#[test]
fn no_more_streams_are_parked_than_the_limit_allows() {
    let mut envoy = Envoy::new(1);
    let worker = &mut envoy.workers[0];
    for n in 0..8 {
        wait(worker, ContextId(100 + n), "a-1", 1_000);
    }
    let until = worker.host.now().saturating_add(1_000);
    assert_eq!(
        worker.node.wait(&worker.host, A, "a-1", until),
        Err(TooManyHeld)
    );
    worker.node.cancel(ContextId(100));
    wait(worker, A, "a-1", 1_000);
    wait(worker, A, "a-2", 2_000);
}

#[test]
fn a_stream_that_is_gone_is_neither_watched_nor_woken() {
    let mut envoy = Envoy::new(1);
    let worker = &mut envoy.workers[0];
    ask(worker, A);
    let question = asks(worker).remove(0);
    wait(worker, A, "a-1", 1_000);
    worker.node.cancel(A);
    worker.tick();
    worker.answer(&question, &json!(answer(Standing::Granted)));
    envoy.run(2_000);
    let worker = &mut envoy.workers[0];
    assert!(watches(worker).is_empty() && asks(worker).is_empty());
    assert_eq!(worker.wakes(), []);
}

#[test]
fn what_is_pending_survives_a_configuration_update() {
    let mut envoy = Envoy::new(1);
    let worker = &mut envoy.workers[0];
    wait(worker, A, "a-1", 60_000);
    worker.tick();
    assert_eq!(watches(worker).len(), 1);
    let newer = ContextId(2);
    let config = super::parsed(&super::plugin_configuration(&super::signer().public_key()));
    worker.node.configure(&worker.host, newer, config);
    assert!(worker.node.root_done(&worker.host, super::ROOT));
    worker.node.root_deleted(&worker.host, super::ROOT);
    envoy.pass(500);
    let worker = &mut envoy.workers[0];
    worker.node.on_tick(&worker.host, newer);
    let call = watches(worker).remove(0);
    worker.answer(&call, &decided("a-1", ApprovalState::Denied));
    assert_eq!(worker.wakes(), [(A, Wake::Changed)]);
}
