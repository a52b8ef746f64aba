use chaperone_engine::audit::{
    EventKind, RecordId, Recorded, Refusal, RefusedExample, RequestLine,
};
use chaperone_engine::base::time::UnixMillis;
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
    let place = worker.record().unwrap();
    worker.node.require_durable(&worker.host, STREAM, place);
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
    acknowledge(worker, &call, 1);
    assert_eq!(worker.wakes(), [(STREAM, Wake::Durable)]);
    assert_eq!(worker.wakes(), [], "once");
    worker.node.require_durable(&worker.host, OTHER, place);
    assert_eq!(worker.wakes(), [(OTHER, Wake::Durable)], "stored already");
}

#[test]
fn one_lost_answer_is_tried_again_within_the_requests_time() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    let worker = &mut envoy.workers[0];
    let place = worker.record().unwrap();
    worker.node.require_durable(&worker.host, STREAM, place);
    worker.tick();
    let call = worker.batches().remove(0);
    worker.reset(&call);
    assert_eq!(worker.wakes(), []);
    envoy.run(125);
    let worker = &mut envoy.workers[0];
    let call = worker.batches().remove(0);
    acknowledge(worker, &call, 1);
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
    let place = envoy.workers[0].record().unwrap();
    let worker = &mut envoy.workers[0];
    worker.node.require_durable(&worker.host, STREAM, place);
    envoy.run(150);
    let worker = &mut envoy.workers[0];
    assert_eq!(
        worker.wakes(),
        [(STREAM, Wake::AuditUnavailable)],
        "well before the timeout"
    );
    worker.node.require_durable(&worker.host, OTHER, place);
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
    worker.node.require_durable(&worker.host, STREAM, place);
    envoy.run(125);
    let worker = &mut envoy.workers[0];
    let call = worker.batches().remove(0);
    acknowledge(worker, &call, 1);
    assert_eq!(worker.wakes(), [(STREAM, Wake::Durable)]);
}

#[test]
fn a_control_plane_that_says_nothing_costs_a_request_its_timeout_and_no_more() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    let worker = &mut envoy.workers[0];
    let place = worker.record().unwrap();
    worker.node.require_durable(&worker.host, STREAM, place);
    envoy.run(1_975);
    assert_eq!(envoy.workers[0].wakes(), []);
    envoy.run(25);
    assert_eq!(envoy.workers[0].wakes(), [(STREAM, Wake::AuditUnavailable)]);
}

#[test]
fn a_stream_that_is_gone_is_not_woken() {
    let mut envoy = Envoy::new(1);
    let worker = &mut envoy.workers[0];
    let place = worker.record().unwrap();
    worker.node.require_durable(&worker.host, STREAM, place);
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
    while worker.node.may_record(worker.sharer()).is_ok() {
        worker.record();
    }
    for _ in 0..50 {
        worker.record();
    }
    assert_eq!(worker.metric("events_dropped"), 0);
    // Until it is full altogether.
    let record = worker.node.open_record();
    let (sharer, event) = (worker.sharer(), EventKind::Forwarded {});
    let mut more = || worker.node.record(&worker.host, sharer, &record, &event);
    while more().is_ok() {}
    assert_eq!(more(), Err(AuditFull));
    assert!(worker.metric("events_dropped") > 0);
}

#[test]
fn with_drop_requests_go_on_and_the_control_plane_hears_how_many_events_are_lost() {
    let mut envoy = small_queue("drop");
    let worker = &mut envoy.workers[0];
    while worker.record().is_some() {}
    assert_eq!(worker.node.may_record(worker.sharer()), Ok(()));
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
            .record(
                &worker.host,
                worker.sharer(),
                &record,
                &EventKind::Forwarded {},
            )
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
    worker.record();
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
    let place = worker.record().unwrap();
    worker.node.require_durable(&worker.host, STREAM, place);
    assert_eq!(worker.host.ticks.borrow()[&super::ROOT], 1);
    let config = parsed(&plugin_configuration(&signer().public_key()));
    worker.node.configure(&worker.host, ContextId(2), config);
    assert_eq!(
        worker.host.ticks.borrow()[&super::ROOT],
        super::super::TICK_MS
    );
}

/// Hands in so many refusals without a token at once; how many are counted only.
fn refuse(worker: &mut Worker, requests: usize) -> usize {
    let mut counted = 0;
    for _ in 0..requests {
        let refusal = Refusal {
            code: Some("token_missing"),
            status: 401,
            source: Some("203.0.113.7".to_owned()),
            token_owner: None,
        };
        let example = || RefusedExample {
            at: UnixMillis(0),
            request: RequestLine::default(),
            user_agent: None,
            request_id: None,
        };
        match worker.node.refused(&worker.host, refusal, true, example) {
            Recorded::Alone => {}
            Recorded::Together(_) => counted += 1,
        }
    }
    counted
}

fn aggregated(call: &SentCall) -> Vec<u64> {
    let kinds = batch(call).events.into_iter().map(|event| event.kind);
    kinds
        .filter_map(|kind| match kind {
            EventKind::Aggregated(many) => Some(many.requests),
            _ => None,
        })
        .collect()
}

#[test]
fn counted_refusals_become_one_event_within_seconds() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    let counted = refuse(&mut envoy.workers[0], 5_000);
    assert!(counted > 4_900, "{counted}");
    assert_eq!(
        envoy.workers[0].metric("refusals_aggregated"),
        counted as i64
    );
    envoy.tick();
    assert_eq!(envoy.workers[0].metric("queue_events"), 1, "it will be one");
    envoy.run(11_000);
    let calls = envoy.workers[0].batches();
    assert_eq!(calls.len(), 1);
    assert_eq!(aggregated(&calls[0]), [counted as u64]);
    assert_eq!(numbers(&calls[0]), [1]);
}

#[test]
fn a_shutdown_tells_what_was_counted_so_far() {
    let mut envoy = Envoy::new(1);
    envoy.tick();
    let worker = &mut envoy.workers[0];
    let counted = refuse(worker, 100);
    assert!(!worker.node.root_done(&worker.host, super::ROOT));
    let call = worker.batches().remove(0);
    assert_eq!(aggregated(&call), [counted as u64]);
    assert!(batch(&call).head.closing);
}

#[test]
fn what_is_counted_while_there_is_no_room_is_told_when_there_is() {
    let mut envoy = small_queue("block");
    envoy.tick();
    let worker = &mut envoy.workers[0];
    // Full for everybody: many subjects have each taken their share.
    let record = RecordId("r".to_owned());
    for n in 0..2_000 {
        let subject = chaperone_engine::identity::Principal {
            subject: n.to_string(),
            ..Default::default()
        };
        let sharer = worker.node.sharer(&subject);
        let event = EventKind::Forwarded {};
        let _ = worker.node.record(&worker.host, sharer, &record, &event);
    }
    assert_eq!(refuse(worker, 10), 10, "none has room of its own");
    let mut told = Vec::new();
    for _ in 0..100 {
        envoy.run(1_000);
        let worker = &mut envoy.workers[0];
        for call in worker.batches() {
            told.extend(aggregated(&call));
            let last = *numbers(&call).last().unwrap();
            acknowledge(worker, &call, last);
        }
    }
    assert_eq!(told, [10]);
    assert!(envoy.workers[0].metric("events_dropped") > 0);
}

#[test]
fn one_subjects_flood_neither_keeps_out_nor_delays_another() {
    let mut envoy = small_queue("block");
    envoy.tick();
    let worker = &mut envoy.workers[0];
    while worker.node.may_record(worker.sharer()).is_ok() {
        worker.record();
    }
    let other = chaperone_engine::identity::Principal {
        subject: "other".to_owned(),
        ..Default::default()
    };
    let other = worker.node.sharer(&other);
    assert_eq!(worker.node.may_record(other), Ok(()));
    let record = RecordId("r-other".to_owned());
    let event = EventKind::Forwarded {};
    let place = worker.node.record(&worker.host, other, &record, &event);
    let place = place.unwrap().unwrap();
    worker.node.require_durable(&worker.host, STREAM, place);
    worker.tick();
    let call = worker.batches().remove(0);
    let last = *numbers(&call).last().unwrap();
    acknowledge(worker, &call, last);
    assert_eq!(
        worker.wakes(),
        [(STREAM, Wake::Durable)],
        "in the first batch"
    );
}
