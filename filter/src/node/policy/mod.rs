//! Policy in force on this worker, and how the next one gets here.
//!
//! ```text
//! control plane ──long poll──► the worker with the lease ──shared data──► the other workers
//!       └───────each worker's own status report, every 10 s: the way round everything above──┘
//! ```
//!
//! | module | is about |
//! |---|---|
//! | `in_force` | which bundle is enforced, and which is refused |
//! | `coming` | making a gate of the next one, a piece at a time |
//! | `poll`, `lease` | the long poll, and which worker makes it |
//! | `shared` | handing a bundle from worker to worker |
//! | `report`, `unknown_keys` | each worker's report on itself |
//!
//! Weighed: a long poll per worker costs the control plane a connection per core of every Envoy;
//! pushing through Envoy's own configuration (ECDS) needs an xDS server and cannot be reported
//! back. The lease keeps one poll per Envoy, and a small head key, looked at on each tick, costs
//! the other workers one short read of shared memory.
//!
//! # Promises
//! - Whatever the way, an envelope is opened with the pinned keys, and the
//!   [`Serial`](chaperone_engine::bundle::Serial) only rises:
//!   neither the network, nor the control plane's database, nor another plugin that writes our
//!   shared data can loosen policy or bring back an old one.
//! - A bundle that is refused changes nothing: the policy in force stays.
//! - While a gate is being made of a bundle the policy in force stays, and a newer bundle takes the
//!   place of the one that is being made.

mod coming;
mod in_force;
pub(in crate::node) mod lease;
mod poll;
mod report;
mod request;
mod shared;
mod unknown_keys;

use std::rc::Rc;

use chaperone_engine::audit::BootId;
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::identity::UnknownKey;
use chaperone_engine::link::NodeId;
use serde::Deserialize;
use serde_json::value::RawValue;

use self::in_force::{InForce, Offer};
use self::lease::Lease;
use self::poll::Poll;
use self::report::Report;
use self::shared::SharedPolicy;
use super::calls::{Reply, Wire};
use super::config::{Config, StartingBundle};
use super::metrics::Metrics;
use crate::host::Host;

pub(super) use self::coming::Build;
#[cfg(test)]
pub(super) use self::coming::Making;
pub(super) use self::in_force::NotEnforced;

/// Everything about policy that outlives a callback.
pub(super) struct PolicySync<G> {
    in_force: InForce<G>,
    lease: Lease,
    shared: SharedPolicy,
    poll: Poll,
    report: Report,
}

impl<G> PolicySync<G> {
    pub(super) fn new(build: Build<G>, config: &Config, seed: u64) -> Self {
        let prefix = prefix(config);
        Self {
            in_force: InForce::new(build, config.pinned.clone()),
            lease: Lease::new(format!("{prefix}/lease")),
            shared: SharedPolicy::new(&prefix, seed),
            poll: Poll::new(seed),
            report: Report::new(seed),
        }
    }

    /// Another configuration. The policy in force stays if a key that is pinned now has signed it.
    pub(super) fn reconfigure(&mut self, config: &Config) {
        if self.in_force.pin(&config.pinned) {
            // Somebody may wait to hear it, to change the signing key.
            self.report.again();
        }
        let prefix = prefix(config);
        self.lease = Lease::new(format!("{prefix}/lease"));
        self.shared.rename(&prefix);
    }

    /// The bundle of the configuration. Its signature holds already.
    ///
    /// # Errors
    /// Why it cannot be enforced. Says the same whatever is in force, because a configuration must
    /// be judged by its bytes alone.
    pub(super) fn start_from(
        &mut self,
        host: &dyn Host,
        metrics: &Metrics,
        starting: &StartingBundle,
    ) -> Result<(), NotEnforced> {
        if self.in_force.start_from(host, metrics, starting)? {
            self.poll.adopted();
        }
        Ok(())
    }

    pub(super) fn gate(&self) -> Option<Rc<G>> {
        self.in_force.gate()
    }

    /// Notes a key that a token named and no key set has; `true` when that is news.
    pub(super) fn note_unknown_key(&mut self, key: UnknownKey, now: UnixMillis) -> bool {
        self.report.unknown.note(key, now)
    }

    /// The control plane answers again after an outage: no need to sit a pause out.
    pub(super) fn nudge(&mut self, now: UnixMillis) {
        self.poll.nudge(now);
        self.report.nudge(now);
    }

    /// Whether a gate is being made, and ticks are to come quickly.
    pub(super) fn is_making(&self) -> bool {
        self.in_force.coming().is_some()
    }

    /// Makes on a gate that is being made.
    pub(super) fn go_on(&mut self, wire: &Wire<'_>) {
        let Some(offer) = self.in_force.go_on(wire.host, wire.metrics) else {
            return;
        };
        if let Offer::Refused(_) = offer {
            self.shared.look_later(wire.now);
        }
        self.poll.settled(wire.now, &offer);
        self.settle(wire, &offer);
    }

    /// Looks into shared data and, with the lease, polls; reports when there is news or it is time.
    pub(super) fn tick(&mut self, wire: &mut Wire<'_>, me: &NodeId) {
        let leads = self.lease.hold(wire.host, &me.boot, wire.host.now());
        self.read_shared(wire.host, wire.metrics, wire.now, leads);
        if leads && !self.is_making() && self.poll.is_due(wire.now) {
            self.poll.send(wire, &self.in_force, me);
        }
        self.report.send_due(wire, &self.in_force, me);
    }

    /// Adopts the bundle that another worker has published; with the lease, puts a wrong one right.
    pub(super) fn read_shared(
        &mut self,
        host: &dyn Host,
        metrics: &Metrics,
        now: UnixMillis,
        leads: bool,
    ) {
        let adopted = self
            .shared
            .read(host, metrics, now, leads, &mut self.in_force);
        if adopted {
            self.poll.adopted();
        }
    }

    pub(super) fn on_poll(&mut self, wire: &mut Wire<'_>, reply: &Reply) {
        let Some(answer) = reply.read::<Answer<'_>>() else {
            self.poll.failed(wire);
            return;
        };
        let offer = self.accept(wire, &answer);
        self.poll.answered(wire.now, offer.as_ref());
    }

    pub(super) fn on_report(&mut self, wire: &mut Wire<'_>, reply: &Reply) {
        match reply.read::<Answer<'_>>() {
            Some(answer) => {
                if self.report.arrived() {
                    self.accept(wire, &answer);
                }
            }
            None => self.report.failed(wire.now),
        }
    }

    /// Takes the bundle of an answer, if it has one, and shares it.
    fn accept(&mut self, wire: &Wire<'_>, answer: &Answer<'_>) -> Option<Offer> {
        let envelope = answer.bundle?.get().as_bytes();
        let offer = self.in_force.offer(wire.host, wire.metrics, envelope);
        self.settle(wire, &offer);
        Some(offer)
    }

    /// Does what the fate of a bundle of the control plane asks for.
    fn settle(&mut self, wire: &Wire<'_>, offer: &Offer) {
        match offer {
            Offer::Adopted => {
                self.poll.adopted();
                self.shared.publish(wire.host, &self.in_force);
            }
            Offer::Coming => {}
            // Another worker was quicker: usual when both asked. Older is not usual.
            Offer::NotNewer(serial) if self.in_force.serial() > Some(*serial) => {
                let why = NotEnforced::Older(*serial);
                self.in_force.refuse(wire.host, wire.metrics, why);
            }
            Offer::NotNewer(_) => {}
            Offer::Refused(why) => self.in_force.refuse(wire.host, wire.metrics, why.clone()),
        }
    }

    /// Lets another worker poll: this one shuts down.
    pub(super) fn stop(&mut self, host: &dyn Host, me: &BootId) {
        self.lease.release(host, me);
    }
}

/// [`chaperone_engine::link::PolicyAnswer`], with the envelope left as the bytes that came.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default, borrow)]
    bundle: Option<&'a RawValue>,
}

/// Beginning of all names in shared data. With the pinned keys and the cluster in it, two control
/// planes of one Envoy keep out of each other's way.
fn prefix(config: &Config) -> String {
    let (keys, cluster) = (config.pinned.ids().join("+"), &config.control_plane.cluster);
    format!("chaperone/{keys}/{cluster}")
}
