//! Somebody sets the wall clock, forward or back, while something waits: it waits as long as it was
//! to wait, and no longer.

use chaperone_engine::link::WATCH_PATH;
use serde_json::json;

use super::{Envoy, Wake};
use crate::host::{ContextId, Host as _, HostError};

const STREAM: ContextId = ContextId(7);

/// Fifteen minutes back, forty days forward: more than any pause lasts.
const STEPS: [i64; 2] = [-900_000, 40 * 24 * 3_600_000];

impl Envoy {
    fn step_clock(&mut self, by: i64) {
        self.now = self.now.saturating_add_signed(by);
        for worker in &self.workers {
            worker.host.step_clock(by);
        }
    }
}

#[test]
fn a_hold_ends_when_it_was_to_end() {
    for step in STEPS {
        let mut envoy = Envoy::new(1);
        envoy.tick();
        let worker = &mut envoy.workers[0];
        let until = worker.host.steady().saturating_add(45_000);
        let held = worker.node.wait(&worker.host, STREAM, "a-1", until);
        held.unwrap();
        envoy.step_clock(step);
        envoy.run(44_000);
        assert_eq!(envoy.workers[0].wakes(), [], "{step}");
        assert!(!envoy.workers[0].calls(WATCH_PATH).is_empty(), "{step}");
        envoy.run(2_000);
        assert_eq!(
            envoy.workers[0].wakes(),
            [(STREAM, Wake::Timeout)],
            "{step}"
        );
    }
}

#[test]
fn a_request_waits_for_its_record_no_longer_than_it_may() {
    for step in STEPS {
        let mut envoy = Envoy::new(1);
        envoy.tick();
        let worker = &mut envoy.workers[0];
        let place = worker.record().unwrap();
        worker.node.require_durable(&worker.host, STREAM, place);
        worker.tick();
        assert_eq!(worker.batches().len(), 1, "it is on its way");
        envoy.step_clock(step);
        envoy.run(1_000);
        assert_eq!(envoy.workers[0].wakes(), [], "{step}");
        envoy.run(1_500);
        let over = [(STREAM, Wake::AuditUnavailable)];
        assert_eq!(envoy.workers[0].wakes(), over, "{step}");
    }
}

#[test]
fn what_pauses_after_a_failure_goes_on_when_the_pause_is_over() {
    for step in STEPS {
        let mut envoy = Envoy::new(1);
        let host = |envoy: &Envoy, fails| envoy.workers[0].host.calls_fail.set(fails);
        host(&envoy, Some(HostError::Failed));
        envoy.workers[0].record();
        envoy.run(60_000);
        envoy.step_clock(step);
        host(&envoy, None);
        envoy.run(10_500);
        let worker = &envoy.workers[0];
        assert!(!worker.polls().is_empty(), "{step}: no poll");
        assert!(!worker.reports().is_empty(), "{step}: no report");
        assert!(!worker.batches().is_empty(), "{step}: no events");
    }
}

#[test]
fn a_call_without_any_answer_is_given_up_in_its_time() {
    for step in STEPS {
        let mut envoy = Envoy::new(1);
        envoy.run(100);
        let worker = &mut envoy.workers[0];
        let report = worker.reports().remove(0);
        worker.answer(&report, &json!({}));
        assert_eq!(worker.polls().len(), 1);
        envoy.step_clock(step);
        // Its callback never comes.
        envoy.run(20_000);
        assert_eq!(envoy.workers[0].polls().len(), 0, "{step}: too early");
        envoy.run(40_000);
        assert_ne!(envoy.workers[0].polls().len(), 0, "{step}: never");
    }
}
