//! Policy in force on this worker, and how the next one gets here.
//!
//! ```text
//! control plane ──long poll──► the worker with the lease ──shared data──► the other workers
//!       └───────each worker's own status report, every 10 s: the way round everything above──┘
//! ```
//!
//! Weighed: a long poll per worker costs the control plane a connection per core of every Envoy;
//! pushing through Envoy's own configuration (ECDS) needs an xDS server and cannot be reported back.
//! The lease keeps one poll per Envoy, and a small head key, looked at on each tick, costs the other
//! workers one short read of shared memory.
//!
//! # Promises
//! - Whatever the way, an envelope is opened with the pinned key, and the [`Serial`] only rises:
//!   neither the network, nor the control plane's database, nor another plugin that writes our
//!   shared data can loosen policy or bring back an old one.
//! - What is refused changes nothing: the policy in force stays.

use std::rc::Rc;

use chaperone_engine::audit::BootId;
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::bundle::{self, Bundle, PublicKey, Serial};
use chaperone_engine::identity::UnknownKey;
use chaperone_engine::link::{NodeId, POLICY_PATH, PolicyRequest};
use chaperone_engine::policy::REVISION;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::calls::{Backoff, Purpose, Reply, Wire};
use super::config::{Config, StartingBundle};
use super::lease::Lease;
use super::metrics::{Counter, Gauge, Metrics};
use super::unknown_keys::UnknownKeys;
use crate::host::{Host, Level};

/// Milliseconds that a long poll waits: under the 30 s at which load balancers begin to cut.
pub(super) const POLL_WAIT_MS: u64 = 25_000;
/// Milliseconds between the status reports of a worker on which nothing changes.
const REPORT_MS: u64 = 10_000;
/// Least milliseconds from one poll without news to the next: a control plane that answers at once
/// instead of waiting must not be asked in a tight loop.
const PACE_MS: u64 = 200;
/// Longest pause after failed polls. Short, because it is how late a worker may hear of the end of
/// an outage.
const MAX_BACKOFF_MS: u64 = 5_000;
/// First and longest pause after a bundle that was refused: it will most likely be sent again.
const REFUSED_MS: u64 = 2_000;
const MAX_REFUSED_MS: u64 = 30_000;
/// First and longest pause after shared data that did not verify.
const TAMPERED_MS: u64 = 1_000;
const MAX_TAMPERED_MS: u64 = 10_000;

/// Makes of a bundle what decides, with what decides now to take over from; injected so that this
/// module knows nothing of deciding.
pub(super) type Build<G> = fn(Bundle, Option<&G>) -> Result<G, String>;

struct Enforced<G> {
    serial: Serial,
    gate: Rc<G>,
    envelope: Rc<[u8]>,
}

/// What became of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Offer {
    /// It is in force now.
    Adopted,
    /// It is not newer than what is in force; nothing changed.
    NotNewer(Serial),
    /// It cannot be enforced; nothing changed.
    Refused(String),
}

/// Names in shared data. With the pinned key and the cluster in them, two control planes of one
/// Envoy keep out of each other's way.
struct Keys {
    head: String,
    bundle: String,
}

pub(super) struct PolicySync<G> {
    build: Build<G>,
    key: PublicKey,
    keys: Keys,
    lease: Lease,
    enforced: Option<Enforced<G>>,
    refused: Option<String>,
    polling: bool,
    poll_at: UnixMillis,
    poll_sent_at: UnixMillis,
    poll_backoff: Backoff,
    refused_backoff: Backoff,
    /// What the report on its way carries.
    reporting: Option<(Option<Serial>, Vec<UnknownKey>)>,
    /// What the control plane knows that this worker enforces; the outer `None` is "nothing yet".
    reported: Option<Option<Serial>>,
    report_at: UnixMillis,
    report_backoff: Backoff,
    unknown: UnknownKeys,
    shared_at: UnixMillis,
    shared_backoff: Backoff,
}

impl<G> PolicySync<G> {
    pub(super) fn new(build: Build<G>, config: &Config, seed: u64) -> Self {
        let (keys, lease) = names(config);
        Self {
            build,
            key: config.public_key.clone(),
            keys,
            lease,
            enforced: None,
            refused: None,
            polling: false,
            poll_at: UnixMillis(0),
            poll_sent_at: UnixMillis(0),
            poll_backoff: Backoff::new(100, MAX_BACKOFF_MS, seed),
            refused_backoff: Backoff::new(REFUSED_MS, MAX_REFUSED_MS, seed.rotate_left(7)),
            reporting: None,
            reported: None,
            report_at: UnixMillis(0),
            report_backoff: Backoff::new(250, REPORT_MS, seed.rotate_left(21)),
            unknown: UnknownKeys::default(),
            shared_at: UnixMillis(0),
            shared_backoff: Backoff::new(TAMPERED_MS, MAX_TAMPERED_MS, seed.rotate_left(35)),
        }
    }

    /// Another configuration. The policy in force stays if the key that is pinned now has signed it;
    /// under another key the order of serials starts anew, and what that key did not sign goes.
    pub(super) fn reconfigure(&mut self, config: &Config) {
        if config.public_key != self.key {
            self.key = config.public_key.clone();
            self.refused = None;
            let keep = self
                .enforced
                .as_ref()
                .is_some_and(|enforced| bundle::open(&enforced.envelope, &self.key).is_ok());
            if !keep {
                self.enforced = None;
            }
        }
        (self.keys, self.lease) = names(config);
        self.shared_at = UnixMillis(0);
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
    ) -> Result<(), String> {
        let gate = self.make(starting.bundle.clone())?;
        let serial = starting.bundle.serial;
        if self.serial().is_none_or(|current| serial > current) {
            self.enforce(host, metrics, serial, gate, Rc::clone(&starting.envelope));
        }
        Ok(())
    }

    pub(super) fn gate(&self) -> Option<Rc<G>> {
        self.enforced
            .as_ref()
            .map(|enforced| Rc::clone(&enforced.gate))
    }

    pub(super) fn serial(&self) -> Option<Serial> {
        self.enforced.as_ref().map(|enforced| enforced.serial)
    }

    /// Notes a key that a token named and no key set has; `true` when that is news.
    pub(super) fn note_unknown_key(&mut self, key: UnknownKey, now: UnixMillis) -> bool {
        self.unknown.note(key, now)
    }

    /// The control plane answers again after an outage: no need to sit a pause out.
    pub(super) fn nudge(&mut self, now: UnixMillis) {
        if self.poll_backoff.failures() > 0 {
            self.poll_at = now;
        }
        if self.report_backoff.failures() > 0 {
            self.report_at = now;
        }
    }

    /// Looks into shared data and, with the lease, polls; reports what there is to report.
    pub(super) fn tick(&mut self, wire: &mut Wire<'_>, me: &NodeId) {
        let leads = self.lease.hold(wire.host, &me.boot, wire.now);
        self.read_shared(wire.host, wire.metrics, wire.now, leads);
        if leads && !self.polling && wire.now >= self.poll_at {
            self.poll(wire, me);
        }
        self.report(wire, me);
    }

    /// Lets another worker poll: this one shuts down.
    pub(super) fn stop(&mut self, host: &dyn Host, me: &BootId) {
        self.lease.release(host, me);
    }

    // === shared data ===

    /// Adopts what another worker has published, if it is newer and genuine. With the lease, puts
    /// right what is older or false there.
    pub(super) fn read_shared(
        &mut self,
        host: &dyn Host,
        metrics: &Metrics,
        now: UnixMillis,
        leads: bool,
    ) {
        if now < self.shared_at && self.shared_at.since(now) <= MAX_TAMPERED_MS {
            return;
        }
        let head = host
            .shared(&self.keys.head)
            .and_then(|(value, _)| parse_serial(&value));
        let ours = self.serial();
        if head == ours {
            return;
        }
        if head > ours
            && let Some((envelope, _)) = host.shared(&self.keys.bundle)
        {
            if let Offer::Adopted = self.offer(host, metrics, &envelope) {
                self.shared_backoff.reset();
                return;
            }
            // Verifying costs a signature and up to 8 MiB of parsing: not on each tick.
            self.shared_at = now.saturating_add(self.shared_backoff.next_ms());
            metrics.add(host, Counter::SharedDataRejected, 1);
            if self.shared_backoff.failures() == 1 {
                let line = "The policy in Envoy's shared data is not a newer, genuine bundle; \
                            another plugin may have written it. It is ignored.";
                host.log(Level::Warn, line);
            }
        }
        if leads {
            self.publish(host);
        }
    }

    fn publish(&self, host: &dyn Host) {
        let Some(enforced) = &self.enforced else {
            return;
        };
        // The bundle first: who sees the head must find what it names.
        let head = enforced.serial.to_string();
        let bundle = host.set_shared(&self.keys.bundle, &enforced.envelope, None);
        if bundle
            .and_then(|()| host.set_shared(&self.keys.head, head.as_bytes(), None))
            .is_err()
        {
            let line = "A policy could not be written to Envoy's shared data; the other workers \
                        will fetch it themselves.";
            host.log(Level::Warn, line);
        }
    }

    // === adopting ===

    fn offer(&mut self, host: &dyn Host, metrics: &Metrics, envelope: &[u8]) -> Offer {
        let bundle = match bundle::open(envelope, &self.key) {
            Ok(bundle) => bundle,
            Err(error) => return Offer::Refused(error.to_string()),
        };
        let serial = bundle.serial;
        if self.serial().is_some_and(|current| serial <= current) {
            return Offer::NotNewer(serial);
        }
        match self.make(bundle) {
            Ok(gate) => {
                self.enforce(host, metrics, serial, gate, envelope.into());
                Offer::Adopted
            }
            Err(why) => Offer::Refused(format!("Policy {serial}: {why}")),
        }
    }

    fn make(&self, bundle: Bundle) -> Result<G, String> {
        let before = self.enforced.as_ref().map(|enforced| &*enforced.gate);
        (self.build)(bundle, before)
    }

    fn enforce(
        &mut self,
        host: &dyn Host,
        metrics: &Metrics,
        serial: Serial,
        gate: G,
        envelope: Rc<[u8]>,
    ) {
        self.enforced = Some(Enforced {
            serial,
            gate: Rc::new(gate),
            envelope,
        });
        self.refused = None;
        self.refused_backoff.reset();
        metrics.add(host, Counter::PolicyAdopted, 1);
        metrics.set_gauge(host, Gauge::PolicyVersion, serial.policy_version);
        host.log(Level::Info, &format!("Policy {serial} is in force."));
    }

    fn refuse(&mut self, host: &dyn Host, metrics: &Metrics, why: String) {
        metrics.add(host, Counter::PolicyRefused, 1);
        if self.refused.as_ref() != Some(&why) {
            let line = format!("A policy bundle is refused, the policy in force stays: {why}");
            host.log(Level::Error, &line);
            self.refused = Some(why);
        }
    }

    // === polling ===

    fn request(&self, me: &NodeId, unknown_keys: Vec<UnknownKey>, wait_ms: u64) -> Vec<u8> {
        let request = PolicyRequest {
            node: me.clone(),
            filter_version: env!("CARGO_PKG_VERSION").to_owned(),
            enforced: self.serial(),
            refused: self.refused.clone(),
            unknown_keys,
            wait_ms,
            reads: REVISION,
        };
        // Strings and numbers only: serialising them cannot fail.
        serde_json::to_vec(&request).unwrap_or_default()
    }

    fn poll(&mut self, wire: &mut Wire<'_>, me: &NodeId) {
        let body = self.request(me, Vec::new(), POLL_WAIT_MS);
        self.poll_sent_at = wire.now;
        if wire.send(Purpose::Poll, POLICY_PATH, &body, POLL_WAIT_MS) {
            self.polling = true;
        } else {
            self.poll_at = wire.now.saturating_add(self.poll_backoff.next_ms());
        }
    }

    pub(super) fn on_poll(&mut self, wire: &mut Wire<'_>, reply: &Reply) {
        self.polling = false;
        let Some(answer) = reply.read::<Answer<'_>>() else {
            wire.metrics.add(wire.host, Counter::PollsFailed, 1);
            self.poll_at = wire.now.saturating_add(self.poll_backoff.next_ms());
            return;
        };
        self.poll_backoff.reset();
        let pause = match self.accept(wire, &answer) {
            Some(Offer::Adopted) => 0,
            None => PACE_MS.saturating_sub(wire.now.since(self.poll_sent_at)),
            // The same bundle will most likely come again, and at once.
            Some(Offer::NotNewer(_) | Offer::Refused(_)) => self.refused_backoff.next_ms(),
        };
        self.poll_at = wire.now.saturating_add(pause);
    }

    /// Takes the bundle of an answer, if it has one, and shares it.
    fn accept(&mut self, wire: &Wire<'_>, answer: &Answer<'_>) -> Option<Offer> {
        let envelope = answer.bundle?.get().as_bytes();
        let offer = self.offer(wire.host, wire.metrics, envelope);
        match &offer {
            Offer::Adopted => self.publish(wire.host),
            // Another worker was quicker: usual when both asked. Older is not usual.
            Offer::NotNewer(serial) if self.serial() > Some(*serial) => {
                let why = format!("Bundle {serial} is older than the one in force.");
                self.refuse(wire.host, wire.metrics, why);
            }
            Offer::NotNewer(_) => {}
            Offer::Refused(why) => self.refuse(wire.host, wire.metrics, why.clone()),
        }
        Some(offer)
    }

    // === reporting ===

    fn report(&mut self, wire: &mut Wire<'_>, me: &NodeId) {
        let news = self.reported != Some(self.serial()) || self.unknown.due(wire.now);
        let late = wire.now >= self.report_at || self.report_at.since(wire.now) > REPORT_MS;
        let due = late || (news && self.report_backoff.failures() == 0);
        if !due || self.reporting.is_some() {
            return;
        }
        let keys = self.unknown.take(wire.now);
        let count = u64::try_from(keys.len()).unwrap_or(u64::MAX);
        let body = self.request(me, keys.clone(), 0);
        if wire.send(Purpose::Report, POLICY_PATH, &body, 0) {
            wire.metrics
                .add(wire.host, Counter::UnknownKeysReported, count);
            self.reporting = Some((self.serial(), keys));
            self.report_at = wire
                .now
                .saturating_add(self.report_backoff.jitter(REPORT_MS));
        } else {
            self.unknown.put_back(keys);
            self.report_at = wire.now.saturating_add(self.report_backoff.next_ms());
        }
    }

    pub(super) fn on_report(&mut self, wire: &mut Wire<'_>, reply: &Reply) {
        let Some((serial, keys)) = self.reporting.take() else {
            return;
        };
        match reply.read::<Answer<'_>>() {
            Some(answer) => {
                self.report_backoff.reset();
                self.reported = Some(serial);
                self.accept(wire, &answer);
            }
            None => {
                self.unknown.put_back(keys);
                self.report_at = wire.now.saturating_add(self.report_backoff.next_ms());
            }
        }
    }
}

/// [`chaperone_engine::link::PolicyAnswer`], with the envelope left as the bytes that came.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default, borrow)]
    bundle: Option<&'a RawValue>,
}

fn names(config: &Config) -> (Keys, Lease) {
    let prefix = format!(
        "chaperone/{}/{}",
        config.public_key.id(),
        config.control_plane.cluster
    );
    let keys = Keys {
        head: format!("{prefix}/head"),
        bundle: format!("{prefix}/bundle"),
    };
    (keys, Lease::new(format!("{prefix}/lease")))
}

fn parse_serial(head: &[u8]) -> Option<Serial> {
    let (policy_version, keys_revision) = std::str::from_utf8(head).ok()?.split_once('.')?;
    Some(Serial {
        policy_version: policy_version.parse().ok()?,
        keys_revision: keys_revision.parse().ok()?,
    })
}
