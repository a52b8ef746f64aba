//! Which bundle this worker enforces, and why it does not enforce another.

use std::fmt;
use std::rc::Rc;

use chaperone_engine::bundle::{self, Bundle, BundleError, PinnedKeys, Serial};

use crate::host::{Host, Level};
use crate::node::config::StartingBundle;
use crate::node::metrics::{Counter, Gauge, Metrics};

/// Makes a gate of a bundle; the gate that decides now is there to take over from. Injected so that
/// this module knows nothing of deciding.
pub(in crate::node) type Build<G> = fn(Bundle, Option<&G>) -> Result<G, String>;

/// Why a bundle is not enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::node) enum NotEnforced {
    /// Its envelope cannot be opened with the pinned keys.
    Envelope(BundleError),
    /// No gate can be made of it, for this reason.
    Unusable(Serial, String),
    /// It is older than the one in force.
    Older(Serial),
}

impl fmt::Display for NotEnforced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Envelope(error) => error.fmt(f),
            Self::Unusable(serial, why) => write!(f, "Policy {serial}: {why}"),
            Self::Older(serial) => write!(f, "Bundle {serial} is older than the one in force."),
        }
    }
}

impl std::error::Error for NotEnforced {}

/// The fate of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Offer {
    /// It is in force now.
    Adopted,
    /// It is not newer than the bundle in force; nothing changed.
    NotNewer(Serial),
    /// It cannot be enforced; nothing changed.
    Refused(NotEnforced),
}

/// The bundle in force, and the keys of which one must have signed the next.
pub(super) struct InForce<G> {
    build: Build<G>,
    pinned: PinnedKeys,
    enforced: Option<Enforced<G>>,
    refused: Option<NotEnforced>,
}

struct Enforced<G> {
    serial: Serial,
    gate: Rc<G>,
    envelope: Rc<[u8]>,
}

impl<G> InForce<G> {
    pub(super) const fn new(build: Build<G>, pinned: PinnedKeys) -> Self {
        Self {
            build,
            pinned,
            enforced: None,
            refused: None,
        }
    }

    /// Pins other keys. The policy in force stays if one of them has signed it; otherwise it goes,
    /// and the order of serials starts anew. `true` if they are others than before.
    pub(super) fn pin(&mut self, pinned: &PinnedKeys) -> bool {
        if *pinned == self.pinned {
            return false;
        }
        self.pinned = pinned.clone();
        self.refused = None;
        self.enforced
            .take_if(|enforced| bundle::open(&enforced.envelope, pinned).is_err());
        true
    }

    /// The keys of which one must have signed a bundle.
    pub(super) const fn pinned(&self) -> &PinnedKeys {
        &self.pinned
    }

    pub(super) fn gate(&self) -> Option<Rc<G>> {
        self.enforced
            .as_ref()
            .map(|enforced| Rc::clone(&enforced.gate))
    }

    pub(super) fn serial(&self) -> Option<Serial> {
        self.enforced.as_ref().map(|enforced| enforced.serial)
    }

    /// The bundle in force, as it was signed.
    pub(super) fn envelope(&self) -> Option<(Serial, &[u8])> {
        self.enforced
            .as_ref()
            .map(|enforced| (enforced.serial, &*enforced.envelope))
    }

    /// Why the last bundle that came is not in force.
    pub(super) const fn refused(&self) -> Option<&NotEnforced> {
        self.refused.as_ref()
    }

    /// Enforces the bundle of a configuration, whose signature holds already, if it is newer;
    /// `true` if it is.
    ///
    /// # Errors
    /// No gate can be made of it; said whatever is in force.
    pub(super) fn start_from(
        &mut self,
        host: &dyn Host,
        metrics: &Metrics,
        starting: &StartingBundle,
    ) -> Result<bool, NotEnforced> {
        let gate = self.make(starting.bundle.clone())?;
        let serial = starting.bundle.serial;
        let is_newer = self.serial().is_none_or(|current| serial > current);
        if is_newer {
            self.enforce(host, metrics, serial, gate, Rc::clone(&starting.envelope));
        }
        Ok(is_newer)
    }

    /// Enforces a bundle if it is genuine and newer.
    pub(super) fn offer(&mut self, host: &dyn Host, metrics: &Metrics, envelope: &[u8]) -> Offer {
        let bundle = match bundle::open(envelope, &self.pinned) {
            Ok(bundle) => bundle,
            Err(error) => return Offer::Refused(NotEnforced::Envelope(error)),
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
            Err(why) => Offer::Refused(why),
        }
    }

    fn make(&self, bundle: Bundle) -> Result<G, NotEnforced> {
        let serial = bundle.serial;
        let before = self.enforced.as_ref().map(|enforced| &*enforced.gate);
        (self.build)(bundle, before).map_err(|why| NotEnforced::Unusable(serial, why))
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
        metrics.add(host, Counter::PolicyAdopted, 1);
        metrics.set_gauge(host, Gauge::PolicyVersion, serial.policy_version);
        host.log(Level::Info, &format!("Policy {serial} is in force."));
    }

    /// Notes a bundle that the control plane sent and that is not enforced. Said once while it is
    /// sent again.
    pub(super) fn refuse(&mut self, host: &dyn Host, metrics: &Metrics, why: NotEnforced) {
        metrics.add(host, Counter::PolicyRefused, 1);
        if self.refused.as_ref() != Some(&why) {
            let line = format!("A policy bundle is refused, the policy in force stays: {why}");
            host.log(Level::Error, &line);
            self.refused = Some(why);
        }
    }
}
