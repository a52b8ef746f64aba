//! The gate's metrics in Envoy's admin: `wasmcustom.chaperone.*` on `/stats`.
//!
//! Every metric is named here once and explained in `docs/metrics.md` (a test compares the two).
//! Gauges are shared by all workers of the process, so each worker adds its own changes; a gauge
//! that is set instead would show whoever wrote last. A worker whose VM traps cannot take back what
//! it added: the docs say to alert on `wasm.*.vm_reload_*` first.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::host::{Host, MetricId, MetricKind};

macro_rules! metrics {
    ($(#[$doc:meta])* $set:ident { $( $(#[$what:meta])* $variant:ident => $name:literal, )+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $set { $( $(#[$what])* $variant, )+ }

        impl $set {
            /// Every one, in the order of declaration.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The name that Envoy knows it by.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => concat!("chaperone.", $name), )+ }
            }
        }
    };
}

metrics! {
    /// Counts that only rise.
    Counter {
        /// Tokens answered from the cache.
        TokenCacheHits => "token_cache_hits",
        /// Tokens that had to be verified.
        TokenCacheMisses => "token_cache_misses",
        /// Events queued.
        EventsRecorded => "events_recorded",
        /// Events the control plane has stored.
        EventsAcknowledged => "events_acknowledged",
        /// Events lost because the queue, or a share of it, was full.
        EventsDropped => "events_dropped",
        /// Refused requests that were counted in an event for many.
        RefusalsAggregated => "refusals_aggregated",
        /// Batches that were not acknowledged; they are sent again.
        BatchesFailed => "batches_failed",
        /// Requests refused because their event could not be made durable in time.
        NotDurable => "not_durable",
        /// Calls without an answer of the control plane.
        CallsUnanswered => "calls_unanswered",
        /// Calls that the control plane refused (wrong node token, say).
        CallsRefused => "calls_refused",
        /// Policy bundles that came into force on a worker.
        PolicyAdopted => "policy_adopted",
        /// Policy bundles that a worker refused.
        PolicyRefused => "policy_refused",
        /// Long polls for policy that brought no answer.
        PollsFailed => "polls_failed",
        /// Policy in shared data that was not a newer, genuine bundle.
        SharedDataRejected => "shared_data_rejected",
        /// Unknown keys reported to the control plane.
        UnknownKeysReported => "unknown_keys_reported",
        /// Questions about requests that the control plane answered.
        AsksAnswered => "asks_answered",
        /// Questions that it did not.
        AsksUnanswered => "asks_unanswered",
        /// Long polls for decisions that brought no answer.
        WatchesFailed => "watches_failed",
        /// Holds that ended with a decision.
        HoldsDecided => "holds_decided",
        /// Holds that ended with their budget.
        HoldsOver => "holds_over",
    }
}

metrics! {
    /// Values that rise and fall, over all workers of the process.
    Gauge {
        /// The policy version that a worker last put in force.
        PolicyVersion => "policy_version",
        /// Workers that cannot reach the control plane.
        ControlPlaneUnreachable => "control_plane_unreachable",
        /// Events that wait for acknowledgement.
        QueueEvents => "queue_events",
        /// Serialised bytes of them.
        QueueBytes => "queue_bytes",
    }
}

metrics! {
    /// Distributions.
    Histogram {
        /// Milliseconds that streams were parked.
        HoldMs => "hold_ms",
        /// Milliseconds that requests waited for their event to be durable.
        DurableMs => "durable_ms",
        /// Milliseconds from sending a batch to its acknowledgement.
        BatchMs => "batch_ms",
        /// Events in a batch.
        BatchEvents => "batch_events",
        /// Microseconds of callbacks that look through 4 KiB of bodies or more.
        ScanUs => "scan_us",
    }
}

/// Names that one worker defines while it runs. Envoy never forgets a metric, and rule names change
/// with every policy: a bound, above which nothing new is counted.
const MAX_NAMED: usize = 4_096;

/// The metrics of one worker. Before [`Metrics::define`] nothing is counted.
#[derive(Debug, Default)]
pub struct Metrics {
    counters: Vec<Option<MetricId>>,
    gauges: Vec<Option<MetricId>>,
    histograms: Vec<Option<MetricId>>,
    named: RefCell<HashMap<String, Option<MetricId>>>,
}

impl Metrics {
    /// Tells Envoy about every metric without a label, once, so that all are there from the start
    /// with 0: an alert on a metric that does not exist yet never fires.
    pub fn define(&mut self, host: &dyn Host) {
        if !self.counters.is_empty() {
            return;
        }
        self.counters = define(
            host,
            MetricKind::Counter,
            Counter::ALL.iter().map(|m| m.name()),
        );
        self.gauges = define(host, MetricKind::Gauge, Gauge::ALL.iter().map(|m| m.name()));
        self.histograms = define(
            host,
            MetricKind::Histogram,
            Histogram::ALL.iter().map(|m| m.name()),
        );
    }

    /// Adds to a counter.
    pub fn add(&self, host: &dyn Host, counter: Counter, by: u64) {
        change(
            host,
            self.counters.get(counter as usize),
            i64::try_from(by).unwrap_or(i64::MAX),
        );
    }

    /// Adds this worker's change to a gauge.
    pub fn add_gauge(&self, host: &dyn Host, gauge: Gauge, by: i64) {
        change(host, self.gauges.get(gauge as usize), by);
    }

    /// Sets a gauge that all workers agree on in the end, whoever writes last.
    pub(super) fn set_gauge(&self, host: &dyn Host, gauge: Gauge, value: u64) {
        if let Some(Some(id)) = self.gauges.get(gauge as usize) {
            host.record_metric(*id, value);
        }
    }

    /// Records a value.
    pub fn record(&self, host: &dyn Host, histogram: Histogram, value: u64) {
        if let Some(Some(id)) = self.histograms.get(histogram as usize) {
            host.record_metric(*id, value);
        }
    }

    /// Adds to the counter `name`, given without `chaperone.`. For names that are only known while
    /// running: `refused.denied`, `masked.github-pat`.
    pub fn count(&self, host: &dyn Host, name: &str, by: u64) {
        let by = i64::try_from(by).unwrap_or(i64::MAX);
        change(host, Some(&self.named(host, MetricKind::Counter, name)), by);
    }

    /// Adds this worker's change to the gauge `name`.
    pub fn gauge(&self, host: &dyn Host, name: &str, by: i64) {
        change(host, Some(&self.named(host, MetricKind::Gauge, name)), by);
    }

    /// Records a value in the histogram `name`.
    pub fn observe(&self, host: &dyn Host, name: &str, value: u64) {
        if let Some(id) = self.named(host, MetricKind::Histogram, name) {
            host.record_metric(id, value);
        }
    }

    fn named(&self, host: &dyn Host, kind: MetricKind, name: &str) -> Option<MetricId> {
        let mut named = self.named.borrow_mut();
        if let Some(id) = named.get(name) {
            return *id;
        }
        if named.len() >= MAX_NAMED {
            return None;
        }
        let id = host.define_metric(kind, &format!("chaperone.{}", metric_safe(name)));
        named.insert(name.to_owned(), id);
        id
    }
}

fn define<'a>(
    host: &dyn Host,
    kind: MetricKind,
    names: impl Iterator<Item = &'a str>,
) -> Vec<Option<MetricId>> {
    names.map(|name| host.define_metric(kind, name)).collect()
}

fn change(host: &dyn Host, metric: Option<&Option<MetricId>>, by: i64) {
    // Envoy takes an increment of 0 for an error.
    if let Some(Some(id)) = metric
        && by != 0
    {
        host.add_metric(*id, by);
    }
}

/// Istio splits names at `=` and `;`, and Prometheus knows letters, digits and underscores.
fn metric_safe(name: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    name.chars()
        .map(|c| if safe(c) { c } else { '_' })
        .collect()
}
