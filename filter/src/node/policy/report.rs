//! Each worker's report on itself: the policy that it enforces, and the keys that it lacks.

use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::bundle::Serial;
use chaperone_engine::identity::UnknownKey;
use chaperone_engine::link::{NodeId, POLICY_PATH};

use super::in_force::InForce;
use super::request::request;
use super::unknown_keys::UnknownKeys;
use crate::node::calls::{Backoff, Purpose, Wire};
use crate::node::metrics::Counter;

/// Milliseconds between the status reports of a worker on which nothing changes.
const REPORT_MS: u64 = 10_000;

/// When the next report is due, and the content of the last.
pub(super) struct Report {
    pub(super) unknown: UnknownKeys,
    /// Policy and keys in the report on its way.
    on_its_way: Option<(Option<Serial>, Vec<UnknownKey>)>,
    /// The policy that this worker enforces by all that the control plane knows; the outer `None`
    /// is "never reported".
    reported: Option<Option<Serial>>,
    next_at: UnixMillis,
    backoff: Backoff,
}

impl Report {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            unknown: UnknownKeys::default(),
            on_its_way: None,
            reported: None,
            next_at: UnixMillis(0),
            backoff: Backoff::new(250, REPORT_MS, seed.rotate_left(21)),
        }
    }

    /// No need to sit a pause out.
    pub(super) fn nudge(&mut self, now: UnixMillis) {
        if self.backoff.failures() > 0 {
            self.next_at = now;
        }
    }

    /// What this worker has said of itself is not true any more.
    pub(super) fn again(&mut self) {
        self.reported = None;
    }

    /// Sends one when there is news, or when it is time.
    pub(super) fn send_due<G>(&mut self, wire: &mut Wire<'_>, in_force: &InForce<G>, me: &NodeId) {
        let news = self.reported != Some(in_force.serial()) || self.unknown.due(wire.now);
        let late = wire.now >= self.next_at || self.next_at.since(wire.now) > REPORT_MS;
        let due = late || (news && self.backoff.failures() == 0);
        if !due || self.on_its_way.is_some() {
            return;
        }
        let keys = self.unknown.take(wire.now);
        let count = u64::try_from(keys.len()).unwrap_or(u64::MAX);
        let body = request(in_force, me, keys.clone(), 0);
        if wire.send(Purpose::Report, POLICY_PATH, &body, 0) {
            wire.metrics
                .add(wire.host, Counter::UnknownKeysReported, count);
            self.on_its_way = Some((in_force.serial(), keys));
            self.next_at = wire.now.saturating_add(self.backoff.jitter(REPORT_MS));
        } else {
            self.unknown.put_back(keys);
            self.next_at = wire.now.saturating_add(self.backoff.next_ms());
        }
    }

    /// The control plane has it. `false`: none was on its way.
    pub(super) fn arrived(&mut self) -> bool {
        let Some((serial, _)) = self.on_its_way.take() else {
            return false;
        };
        self.backoff.reset();
        self.reported = Some(serial);
        true
    }

    /// It did not arrive.
    pub(super) fn failed(&mut self, now: UnixMillis) {
        if let Some((_, keys)) = self.on_its_way.take() {
            self.unknown.put_back(keys);
            self.next_at = now.saturating_add(self.backoff.next_ms());
        }
    }
}
