//! What Prometheus sees of the control plane. Labels come from closed sets: a label that a client
//! could choose would let it fill the memory.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// One HTTP call: its route as declared, never the path as sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct CallLabels {
    pub(crate) method: &'static str,
    pub(crate) route: String,
    pub(crate) status: u16,
}

/// One word.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OutcomeLabel {
    pub(crate) outcome: &'static str,
}

/// A kind of holders of connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct HolderLabel {
    pub(crate) holder: &'static str,
}

/// Why something was done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct CauseLabel {
    pub(crate) cause: &'static str,
}

type UnsignedGauge = Gauge<u64, AtomicU64>;

/// All metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) calls: Family<CallLabels, Counter>,
    pub(crate) waiting: Gauge,
    pub(crate) connections: Family<HolderLabel, UnsignedGauge>,
    pub(crate) connections_closed: Family<CauseLabel, Counter>,
    events: Counter,
    duplicates: Counter,
    pub(crate) unknown_events: Counter,
    commit_seconds: Histogram,
    pub(crate) commit_failures: Counter,
    pub(crate) asks: Family<OutcomeLabel, Counter>,
    pub(crate) answers: Family<OutcomeLabel, Counter>,
    pub(crate) expired: Counter,
    pub(crate) pending_approvals: UnsignedGauge,
    pub(crate) policy_version: UnsignedGauge,
    pub(crate) keys_revision: UnsignedGauge,
    pub(crate) key_fetches: Family<OutcomeLabel, Counter>,
    pub(crate) nodes: UnsignedGauge,
    pub(crate) missing_events: UnsignedGauge,
    pub(crate) storage_ready: UnsignedGauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("chaperone"),
            calls: Family::default(),
            waiting: Gauge::default(),
            connections: Family::default(),
            connections_closed: Family::default(),
            events: Counter::default(),
            duplicates: Counter::default(),
            unknown_events: Counter::default(),
            // 0.25 ms to 4 s.
            commit_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 15)),
            commit_failures: Counter::default(),
            asks: Family::default(),
            answers: Family::default(),
            expired: Counter::default(),
            pending_approvals: UnsignedGauge::default(),
            policy_version: UnsignedGauge::default(),
            keys_revision: UnsignedGauge::default(),
            key_fetches: Family::default(),
            nodes: UnsignedGauge::default(),
            missing_events: UnsignedGauge::default(),
            storage_ready: UnsignedGauge::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let Self {
            registry,
            calls,
            waiting,
            connections,
            connections_closed,
            events,
            duplicates,
            unknown_events,
            commit_seconds,
            commit_failures,
            asks,
            answers,
            expired,
            pending_approvals,
            policy_version,
            keys_revision,
            key_fetches,
            nodes,
            missing_events,
            storage_ready,
        } = &mut self;
        let r = registry;
        r.register(
            "http_requests",
            "HTTP calls answered, by route and status",
            calls.clone(),
        );
        r.register(
            "long_polls",
            "Long polls and event streams that wait now",
            waiting.clone(),
        );
        r.register(
            "connections",
            "Connections now, by who holds them: nodes, people and programs with a token, strangers",
            connections.clone(),
        );
        r.register(
            "connections_closed",
            "Connections that the control plane has closed by itself, by cause",
            connections_closed.clone(),
        );
        r.register("events_stored", "Events stored", events.clone());
        r.register(
            "events_duplicate",
            "Events that were stored before",
            duplicates.clone(),
        );
        r.register(
            "events_unknown",
            "Events of kinds that this version does not know, stored as they came",
            unknown_events.clone(),
        );
        r.register_with_unit(
            "event_commit",
            "Time to store a group of event batches durably",
            Unit::Seconds,
            commit_seconds.clone(),
        );
        r.register(
            "event_commit_failures",
            "Groups of event batches that the database refused",
            commit_failures.clone(),
        );
        r.register(
            "approval_asks",
            "Questions of nodes, by standing answered",
            asks.clone(),
        );
        r.register(
            "approval_answers",
            "Answers of people, by outcome",
            answers.clone(),
        );
        r.register(
            "approvals_expired",
            "Approvals and grants that ran out",
            expired.clone(),
        );
        r.register(
            "approvals_pending",
            "Approvals that wait now",
            pending_approvals.clone(),
        );
        r.register(
            "policy_version",
            "Policy version in force; 0 for none",
            policy_version.clone(),
        );
        r.register(
            "policy_keys_revision",
            "Revision of the key sets under the policy version",
            keys_revision.clone(),
        );
        r.register(
            "key_fetches",
            "Fetches of issuers' key sets, by outcome",
            key_fetches.clone(),
        );
        r.register("nodes_live", "Nodes heard of lately", nodes.clone());
        r.register(
            "events_missing",
            "Events that nodes numbered and that were never stored",
            missing_events.clone(),
        );
        r.register(
            "storage_ready",
            "Whether a write can be made durable: 1, or 0",
            storage_ready.clone(),
        );
        self
    }

    pub(crate) fn group_committed(&self, took: Duration, received: u64, stored: u64) {
        self.commit_seconds.observe(took.as_secs_f64());
        self.events.inc_by(stored);
        self.duplicates.inc_by(received.saturating_sub(stored));
    }

    /// The text exposition format.
    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}
