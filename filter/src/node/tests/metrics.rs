use std::collections::BTreeSet;

use super::super::metrics::{Counter, Gauge, Histogram, Metrics};
use crate::host::fake::FakeHost;

#[test]
fn every_metric_has_a_name_of_its_own_and_a_row_in_the_reference() {
    let reference = include_str!("../../../../docs/metrics.md");
    let names: Vec<&str> = (Counter::ALL.iter().map(|m| m.name()))
        .chain(Gauge::ALL.iter().map(|m| m.name()))
        .chain(Histogram::ALL.iter().map(|m| m.name()))
        .collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    for name in names {
        assert!(
            reference.contains(&format!("| `{name}` |")),
            "docs/metrics.md has no {name}"
        );
    }
}

#[test]
fn all_metrics_exist_before_anything_happened() {
    let host = FakeHost::default();
    let mut metrics = Metrics::default();
    metrics.add(&host, Counter::PollsFailed, 1);
    metrics.define(&host);
    metrics.add(&host, Counter::PollsFailed, 2);
    metrics.define(&host);
    metrics.add(&host, Counter::PollsFailed, 3);
    metrics.add_gauge(&host, Gauge::QueueEvents, 7);
    metrics.add_gauge(&host, Gauge::QueueEvents, -7);
    assert_eq!(host.metric("chaperone.polls_failed"), 5);
    assert_eq!(host.metric("chaperone.queue_events"), 0);
}

#[test]
fn names_that_come_while_running_are_made_safe_and_bounded() {
    let host = FakeHost::default();
    let metrics = Metrics::default();
    metrics.count(&host, "masked.github-pat", 2);
    metrics.count(&host, "masked.github-pat", 0);
    metrics.count(&host, "rule.a=.=b;.;c d", 1);
    assert_eq!(host.metric("chaperone.masked.github-pat"), 2);
    assert_eq!(host.metric("chaperone.rule.a_._b_._c_d"), 1);
    for n in 0..10_000 {
        metrics.count(&host, &format!("rule.{n}"), 1);
    }
    assert!(host.metrics.borrow().len() <= 4_096);
}
