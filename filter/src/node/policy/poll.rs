//! The long poll for a newer policy, made by the worker with the lease.

use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::link::{NodeId, POLICY_PATH};

use super::in_force::{InForce, Offer};
use super::request::request;
use crate::node::calls::{Backoff, Purpose, Wire};
use crate::node::metrics::Counter;

/// Milliseconds that a long poll waits: under the 30 s at which load balancers begin to cut.
const POLL_WAIT_MS: u64 = 25_000;
/// Least milliseconds from one poll without news to the next: a control plane that answers at once
/// instead of waiting must not be asked in a tight loop.
const PACE_MS: u64 = 200;
/// Longest pause after failed polls. Short, because it is how late a worker may hear of the end of
/// an outage.
const MAX_BACKOFF_MS: u64 = 5_000;
/// First and longest pause after a bundle that was refused: it will most likely be sent again.
const REFUSED_MS: u64 = 2_000;
const MAX_REFUSED_MS: u64 = 30_000;

/// When the next poll is due, and whether one is on its way.
pub(super) struct Poll {
    on_its_way: bool,
    next_at: UnixMillis,
    sent_at: UnixMillis,
    backoff: Backoff,
    refused_backoff: Backoff,
}

impl Poll {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            on_its_way: false,
            next_at: UnixMillis(0),
            sent_at: UnixMillis(0),
            backoff: Backoff::new(100, MAX_BACKOFF_MS, seed),
            refused_backoff: Backoff::new(REFUSED_MS, MAX_REFUSED_MS, seed.rotate_left(7)),
        }
    }

    pub(super) fn is_due(&self, now: UnixMillis) -> bool {
        !self.on_its_way && now >= self.next_at
    }

    /// No need to sit a pause out.
    pub(super) fn nudge(&mut self, now: UnixMillis) {
        if self.backoff.failures() > 0 {
            self.next_at = now;
        }
    }

    pub(super) fn send<G>(&mut self, wire: &mut Wire<'_>, in_force: &InForce<G>, me: &NodeId) {
        let body = request(in_force, me, Vec::new(), POLL_WAIT_MS);
        self.sent_at = wire.now;
        if wire.send(Purpose::Poll, POLICY_PATH, &body, POLL_WAIT_MS) {
            self.on_its_way = true;
        } else {
            self.next_at = wire.now.saturating_add(self.backoff.next_ms());
        }
    }

    /// No answer that can be read.
    pub(super) fn failed(&mut self, wire: &Wire<'_>) {
        self.on_its_way = false;
        wire.metrics.add(wire.host, Counter::PollsFailed, 1);
        self.next_at = wire.now.saturating_add(self.backoff.next_ms());
    }

    /// Another bundle is in force, so the next one that comes is not the one that was refused.
    pub(super) fn adopted(&mut self) {
        self.refused_backoff.reset();
    }

    /// An answer, and the fate of its bundle if it had one.
    pub(super) fn answered(&mut self, now: UnixMillis, offer: Option<&Offer>) {
        self.on_its_way = false;
        self.backoff.reset();
        self.pause(now, offer);
    }

    /// The fate of a bundle is decided of which a gate was being made.
    pub(super) fn settled(&mut self, now: UnixMillis, offer: &Offer) {
        self.pause(now, Some(offer));
    }

    fn pause(&mut self, now: UnixMillis, offer: Option<&Offer>) {
        let pause = match offer {
            // While a gate is being made no poll is due.
            Some(Offer::Adopted | Offer::Coming) => 0,
            None => PACE_MS.saturating_sub(now.since(self.sent_at)),
            // The same bundle will most likely come again, and at once.
            Some(Offer::NotNewer(_) | Offer::Refused(_)) => self.refused_backoff.next_ms(),
        };
        self.next_at = now.saturating_add(pause);
    }
}
