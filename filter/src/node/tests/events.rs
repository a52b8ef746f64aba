use chaperone_engine::audit::{EventKind, RecordId};
use chaperone_engine::link::EventBatch;
use serde_json::json;

use super::super::{AuditFull, Wake};
use super::{Envoy, SentCall, Worker, body, parsed, plugin_configuration, signer};
use crate::host::{ContextId, HostError};

const STREAM: ContextId = ContextId(40);
const OTHER: ContextId = ContextId(41);

fn batch(call: &SentCall) -> EventBatch {
    serde_json::from_slice(&call.body).unwrap()
}

fn numbers(call: &SentCall) -> Vec<u64> {
    batch(call).events.iter().map(|event| event.seq).collect()
}

fn acknowledge(worker: &mut Worker, call: &SentCall, through: u64) {
    worker.answer(call, &json!({ "acknowledged": through }));
}

#[test]
fn events_wait_for_company_and_then_leave_together() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    envoy.workers[0].record();
    envoy.run(25);
    envoy.workers[0].record();
    assert_eq!(envoy.workers[0].batches().len(), 0);
    envoy.run(25);
    let call = envoy.workers[0].batches().remove(0);
    assert_eq!(numbers(&call), [1, 2]);
    assert!(!batch(&call).head.closing);
}

#[test]
fn one_batch_is_on_its_way_at_a_time_and_numbers_have_no_gap() {
    let mut envoy = Envoy::new(1);
    let mut seen = Vec::new();
    for round in 0..20 {
        for _ in 0..=round {
            envoy.workers[0].record();
        }
        envoy.run(50);
        let calls = envoy.workers[0].batches();
        assert_eq!(calls.len(), 1);
        envoy.run(200);
        assert!(envoy.workers[0].batches().is_empty());
        seen.extend(numbers(&calls[0]));
        let last = *seen.last().unwrap();
        acknowledge(&mut envoy.workers[0], &calls[0], last);
    }
    assert_eq!(seen, (1..=seen.len() as u64).collect::<Vec<_>>());
    assert_eq!(
        envoy.workers[0].metric("events_acknowledged"),
        seen.len() as i64
    );
    envoy.tick();
    assert_eq!(envoy.workers[0].metric("queue_events"), 0);
    assert_eq!(envoy.workers[0].metric("queue_bytes"), 0);
}

#[test]
fn only_the_control_planes_own_acknowledgement_counts() {
    let mut envoy = Envoy::new(1);
    fn next_batch(envoy: &mut Envoy) -> SentCall {
        loop {
            envoy.run(25);
            if let Some(call) = envoy.workers[0].batches().pop() {
                return call;
            }
        }
    }
    envoy.workers[0].record();
    type Fault = fn(&mut Worker, &SentCall);
    let faults: [Fault; 7] = [
        |w, call| w.answer_with(call.id, 200, false, b"{\"acknowledged\":1}"),
        |w, call| w.answer_with(call.id, 503, false, b""),
        |w, call| w.answer_with(call.id, 504, false, b"upstream request timeout"),
        |w, call| w.reset(call),
        |w, call| w.answer_with(call.id, 500, true, b"{}"),
        |w, call| w.answer_with(call.id, 200, true, b"{"),
        |w, call| w.answer(call, &json!({ "acknowledged": 0 })),
    ];
    for fault in faults {
        let call = next_batch(&mut envoy);
        assert_eq!(numbers(&call), [1], "the same event again");
        fault(&mut envoy.workers[0], &call);
    }
    let call = next_batch(&mut envoy);
    acknowledge(&mut envoy.workers[0], &call, 1);
    envoy.run(11_000);
    assert!(envoy.workers[0].batches().is_empty());
    assert_eq!(envoy.workers[0].metric("batches_failed"), 7);
}

#[test]
fn an_acknowledgement_of_more_than_was_sent_stores_nothing() {
    let mut envoy = Envoy::new(1);
    envoy.workers[0].record();
    envoy.run(50);
    let call = envoy.workers[0].batches().remove(0);
    // Given out meanwhile, but not in the batch.
    envoy.workers[0].record();
    acknowledge(&mut envoy.workers[0], &call, 2);
    envoy.run(500);
    assert_eq!(numbers(&envoy.workers[0].batches()[0]), [1, 2]);
    assert_eq!(envoy.workers[0].metric("events_acknowledged"), 0);
}

#[test]
fn a_batch_that_arrived_although_its_answer_was_lost_is_acknowledged_by_the_next_one() {
    let mut envoy = Envoy::new(1);
    for _ in 0..3 {
        envoy.workers[0].record();
    }
    envoy.run(50);
    let call = envoy.workers[0].batches().remove(0);
    envoy.workers[0].reset(&call);
    // The next batch is smaller than the one that arrived.
    let mut document = plugin_configuration(&signer().public_key());
    document["limits"]["batch_events"] = json!(1);
    let worker = &mut envoy.workers[0];
    worker
        .node
        .configure(&worker.host, super::ROOT, parsed(&document));
    envoy.run(200);
    let worker = &mut envoy.workers[0];
    let call = worker.batches().remove(0);
    assert_eq!(numbers(&call), [1]);
    acknowledge(worker, &call, 3);
    assert_eq!(worker.metric("events_acknowledged"), 3);
}

#[test]
fn what_was_acknowledged_in_part_goes_on_from_there() {
    let mut envoy = Envoy::new(1);
    for _ in 0..3 {
        envoy.workers[0].record();
    }
    envoy.run(50);
    let call = envoy.workers[0].batches().remove(0);
    acknowledge(&mut envoy.workers[0], &call, 2);
    let rest = envoy.workers[0].batches().remove(0);
    assert_eq!(numbers(&rest), [3]);
    // The same answer twice: the second is nobody's.
    acknowledge(&mut envoy.workers[0], &call, 2);
    assert!(envoy.workers[0].batches().is_empty());
}

#[test]
fn a_request_that_needs_its_record_stored_does_not_wait_for_company() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    let worker = &mut envoy.workers[0];
    let seq = worker.record();
    worker.node.require_durable(&worker.host, STREAM, seq);
    assert_eq!(
        worker.host.ticks.borrow()[&super::ROOT],
        1,
        "the next tick comes at once"
    );
    worker.tick();
    assert_eq!(
        worker.host.ticks.borrow()[&super::ROOT],
        super::super::TICK_MS
    );
    assert_eq!(worker.wakes(), []);
    let call = worker.batches().remove(0);
    acknowledge(worker, &call, seq);
    assert_eq!(worker.wakes(), [(STREAM, Wake::Durable)]);
    assert_eq!(worker.wakes(), [], "once");
    worker.node.require_durable(&worker.host, OTHER, seq);
    assert_eq!(worker.wakes(), [(OTHER, Wake::Durable)], "stored already");
}

#[test]
fn an_event_that_was_dropped_is_never_durable() {
    let mut envoy = Envoy::new(1);
    let worker = &mut envoy.workers[0];
    worker.record();
    worker.node.require_durable(&worker.host, STREAM, 0);
    assert_eq!(worker.wakes(), [(STREAM, Wake::AuditUnavailable)]);
}

#[test]
fn one_lost_answer_is_tried_again_within_the_requests_time() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    let worker = &mut envoy.workers[0];
    let seq = worker.record();
    worker.node.require_durable(&worker.host, STREAM, seq);
    worker.tick();
    let call = worker.batches().remove(0);
    worker.reset(&call);
    assert_eq!(worker.wakes(), []);
    envoy.run(125);
    let worker = &mut envoy.workers[0];
    let call = worker.batches().remove(0);
    acknowledge(worker, &call, seq);
    assert_eq!(worker.wakes(), [(STREAM, Wake::Durable)]);
}

#[test]
fn with_the_control_plane_down_a_request_is_refused_soon_and_its_return_is_found_soon() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    envoy.workers[0]
        .host
        .calls_fail
        .set(Some(HostError::Failed));
    let seq = envoy.workers[0].record();
    let worker = &mut envoy.workers[0];
    worker.node.require_durable(&worker.host, STREAM, seq);
    envoy.run(150);
    let worker = &mut envoy.workers[0];
    assert_eq!(
        worker.wakes(),
        [(STREAM, Wake::AuditUnavailable)],
        "well before the timeout"
    );
    worker.node.require_durable(&worker.host, OTHER, seq);
    assert_eq!(
        worker.wakes(),
        [(OTHER, Wake::AuditUnavailable)],
        "at once: it was down just now"
    );
    assert_eq!(worker.metric("not_durable"), 2);
    // Long into the outage, between two of the usual retries, it comes back.
    envoy.run(20_000);
    envoy.workers[0].host.calls_fail.set(None);
    let worker = &mut envoy.workers[0];
    worker.node.require_durable(&worker.host, STREAM, seq);
    envoy.run(125);
    let worker = &mut envoy.workers[0];
    let call = worker.batches().remove(0);
    acknowledge(worker, &call, seq);
    assert_eq!(worker.wakes(), [(STREAM, Wake::Durable)]);
}

#[test]
fn a_control_plane_that_says_nothing_costs_a_request_its_timeout_and_no_more() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    let worker = &mut envoy.workers[0];
    let seq = worker.record();
    worker.node.require_durable(&worker.host, STREAM, seq);
    envoy.run(1_975);
    assert_eq!(envoy.workers[0].wakes(), []);
    envoy.run(25);
    assert_eq!(envoy.workers[0].wakes(), [(STREAM, Wake::AuditUnavailable)]);
}

#[test]
fn a_stream_that_is_gone_is_not_woken() {
    let mut envoy = Envoy::new(1);
    let worker = &mut envoy.workers[0];
    let seq = worker.record();
    worker.node.require_durable(&worker.host, STREAM, seq);
    worker.node.cancel(STREAM);
    envoy.run(3_000);
    assert_eq!(envoy.workers[0].wakes(), []);
}

fn small_queue(on_audit_full: &str) -> Envoy {
    let envoy = Envoy::new(1);
    let mut document = plugin_configuration(&signer().public_key());
    document["on_audit_full"] = json!(on_audit_full);
    document["limits"]["audit_queue_bytes"] = json!(65_536);
    let mut envoy = envoy;
    let worker = &mut envoy.workers[0];
    worker
        .node
        .configure(&worker.host, super::ROOT, parsed(&document));
    envoy
}

#[test]
fn a_full_queue_keeps_new_requests_out_but_lets_those_inside_finish_their_record() {
    let mut envoy = small_queue("block");
    let worker = &mut envoy.workers[0];
    while worker.node.may_record().is_ok() {
        worker.record();
    }
    for _ in 0..50 {
        worker.record();
    }
    assert_eq!(worker.metric("events_dropped"), 0);
    // Until it is full altogether.
    let record = worker.node.open_record();
    let event = || EventKind::Forwarded {};
    while worker.node.record(&worker.host, &record, event()).is_ok() {}
    assert_eq!(
        worker.node.record(&worker.host, &record, event()),
        Err(AuditFull)
    );
    assert!(worker.metric("events_dropped") > 0);
}

#[test]
fn with_drop_requests_go_on_and_the_control_plane_hears_how_many_events_are_lost() {
    let mut envoy = small_queue("drop");
    let worker = &mut envoy.workers[0];
    while worker.record() != 0 {}
    assert_eq!(worker.node.may_record(), Ok(()));
    worker.tick();
    let call = worker.batches().remove(0);
    assert_eq!(batch(&call).head.dropped, 1);
    assert_eq!(worker.metric("events_dropped"), 1);
    let events = batch(&call).events;
    assert_eq!(events[0].seq, 1, "and the numbers have no gap");
}

#[test]
fn a_full_batch_leaves_at_once() {
    let mut envoy = Envoy::new(1);
    envoy.run(25);
    let worker = &mut envoy.workers[0];
    for _ in 0..1_000 {
        worker.record();
    }
    assert_eq!(worker.host.ticks.borrow()[&super::ROOT], 1);
    worker.tick();
    assert_eq!(worker.batches().len(), 1);
}

#[test]
fn a_shutdown_waits_until_the_last_event_is_stored_and_says_goodbye() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    let worker = &mut envoy.workers[0];
    worker.record();
    worker.host.calls.borrow_mut().clear();
    assert!(!worker.node.root_done(&worker.host, super::ROOT));
    let call = worker.batches().remove(0);
    assert_eq!((numbers(&call), batch(&call).head.closing), (vec![1], true));
    // One more comes in the meantime: that was not the last batch after all.
    worker.record();
    acknowledge(worker, &call, 1);
    assert_eq!(worker.host.done.borrow().len(), 0);
    let call = worker.batches().remove(0);
    assert_eq!((numbers(&call), batch(&call).head.closing), (vec![2], true));
    acknowledge(worker, &call, 2);
    assert_eq!(*worker.host.done.borrow(), [super::ROOT]);
    envoy.run(1_000);
    assert!(
        envoy.workers[0].host.calls.borrow().is_empty(),
        "nothing is sent after that"
    );
}

#[test]
fn a_shutdown_sends_all_there_is_in_one_batch_even_what_is_on_its_way() {
    let mut envoy = Envoy::new(1);
    for _ in 0..2_500 {
        envoy.workers[0].record();
    }
    envoy.tick();
    let worker = &mut envoy.workers[0];
    let before = worker.batches().remove(0);
    assert_eq!(numbers(&before).len(), 1_000);
    assert!(!worker.node.root_done(&worker.host, super::ROOT));
    let last = worker.batches().remove(0);
    assert_eq!(numbers(&last), (1..=2_500).collect::<Vec<_>>());
    assert!(batch(&last).head.closing);
    // The answer to the batch before comes late, and is not taken for one to the last.
    acknowledge(worker, &before, 1_000);
    assert!(worker.batches().is_empty());
    acknowledge(worker, &last, 2_500);
    assert_eq!(*worker.host.done.borrow(), [super::ROOT]);
}

#[test]
fn where_the_last_batch_cannot_hold_all_only_the_very_last_says_goodbye() {
    let mut envoy = Envoy::new(1);
    let mut document = plugin_configuration(&signer().public_key());
    document["limits"]["audit_queue_bytes"] = json!(64 * 1024 * 1024);
    let worker = &mut envoy.workers[0];
    worker
        .node
        .configure(&worker.host, super::ROOT, parsed(&document));
    let record = RecordId("r".repeat(1_000_000));
    for _ in 0..20 {
        worker
            .node
            .record(&worker.host, &record, EventKind::Forwarded {})
            .unwrap();
    }
    assert!(!worker.node.root_done(&worker.host, super::ROOT));
    let call = worker.batches().remove(0);
    assert!(!batch(&call).head.closing && call.body.len() < 16 * 1024 * 1024);
    let last = *numbers(&call).last().unwrap();
    acknowledge(worker, &call, last);
    let call = worker.batches().remove(0);
    assert!(batch(&call).head.closing);
    assert_eq!(numbers(&call), (last + 1..=20).collect::<Vec<_>>());
}

#[test]
fn a_node_that_recorded_nothing_says_goodbye_all_the_same() {
    let mut envoy = Envoy::new(1);
    let worker = &mut envoy.workers[0];
    assert!(!worker.node.root_done(&worker.host, super::ROOT));
    let call = worker.batches().remove(0);
    assert!(batch(&call).head.closing && numbers(&call).is_empty());
    acknowledge(worker, &call, 0);
    assert_eq!(*worker.host.done.borrow(), [super::ROOT]);
}

#[test]
fn a_shutdown_without_a_control_plane_does_not_wait_for_ever() {
    let mut envoy = Envoy::new(1);
    let worker = &mut envoy.workers[0];
    worker.record();
    worker.host.calls_fail.set(Some(HostError::Failed));
    assert!(!worker.node.root_done(&worker.host, super::ROOT));
    envoy.run(4_900);
    assert_eq!(envoy.workers[0].host.done.borrow().len(), 0);
    envoy.run(200);
    assert_eq!(*envoy.workers[0].host.done.borrow(), [super::ROOT]);
}

#[test]
fn a_configuration_update_keeps_the_queue_and_the_numbers() {
    let mut envoy = Envoy::new(1);
    let worker = &mut envoy.workers[0];
    worker.record();
    let boot = worker.node.identity().boot;
    let newer = ContextId(2);
    let config = parsed(&plugin_configuration(&signer().public_key()));
    worker.node.configure(&worker.host, newer, config);
    assert!(worker.node.root_done(&worker.host, super::ROOT));
    assert_eq!(worker.record(), 2);
    envoy.pass(50);
    let worker = &mut envoy.workers[0];
    worker.node.on_tick(&worker.host, newer);
    let call = worker.batches().remove(0);
    assert_eq!(numbers(&call), [1, 2]);
    assert_eq!(body(&call)["node"]["boot"], boot.as_str());
}

#[test]
fn a_configuration_in_the_middle_of_a_shutdown_calls_it_off() {
    let mut envoy = Envoy::new(1);
    let worker = &mut envoy.workers[0];
    worker.record();
    assert!(!worker.node.root_done(&worker.host, super::ROOT));
    let goodbye = worker.batches().remove(0);
    let newer = ContextId(2);
    let config = parsed(&plugin_configuration(&signer().public_key()));
    worker.node.configure(&worker.host, newer, config);
    assert_eq!(
        *worker.host.done.borrow(),
        [super::ROOT],
        "the old root need not wait"
    );
    acknowledge(worker, &goodbye, 1);
    worker.record();
    envoy.pass(50);
    let worker = &mut envoy.workers[0];
    worker.node.on_tick(&worker.host, newer);
    let call = worker.batches().remove(0);
    assert!(!batch(&call).head.closing);
}

#[test]
fn an_early_tick_of_a_root_that_is_replaced_does_not_stay_early() {
    let mut envoy = Envoy::new(1);
    let worker = &mut envoy.workers[0];
    let seq = worker.record();
    worker.node.require_durable(&worker.host, STREAM, seq);
    assert_eq!(worker.host.ticks.borrow()[&super::ROOT], 1);
    let config = parsed(&plugin_configuration(&signer().public_key()));
    worker.node.configure(&worker.host, ContextId(2), config);
    assert_eq!(
        worker.host.ticks.borrow()[&super::ROOT],
        super::super::TICK_MS
    );
}
