//! Which bundle this worker enforces, and why it does not enforce another.

use std::fmt;
use std::rc::Rc;

use chaperone_engine::bundle::{self, Bundle, BundleError, PinnedKeys, Serial};

use super::coming::{Build, Coming};
use crate::host::{Host, Level};
use crate::node::config::StartingBundle;
use crate::node::metrics::{Counter, Gauge, Metrics};

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
    /// A gate is being made of it; it will be adopted or refused.
    Coming,
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
    coming: Option<Coming<G>>,
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
            coming: None,
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
        self.coming
            .take_if(|coming| bundle::open(&coming.envelope, pinned).is_err());
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

    /// The bundle of which a gate is being made.
    pub(super) fn coming(&self) -> Option<Serial> {
        self.coming.as_ref().map(|coming| coming.serial)
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
        // At once: this is judged while Envoy takes up its configuration.
        let mut coming = self.begin(starting.bundle.clone(), Rc::clone(&starting.envelope));
        let serial = coming.serial;
        let made = coming.finish();
        let gate = made.map_err(|why| NotEnforced::Unusable(serial, why))?;
        let is_newer = self.serial().is_none_or(|current| serial > current);
        if is_newer {
            self.enforce(host, metrics, coming, gate);
        }
        Ok(is_newer)
    }

    /// Enforces a bundle if it is genuine and newer, now or after some [goes](Self::go_on).
    pub(super) fn offer(&mut self, host: &dyn Host, metrics: &Metrics, envelope: &[u8]) -> Offer {
        let bundle = match bundle::open(envelope, &self.pinned) {
            Ok(bundle) => bundle,
            Err(error) => return Offer::Refused(NotEnforced::Envelope(error)),
        };
        let serial = bundle.serial;
        if self.serial().is_some_and(|current| serial <= current) {
            return Offer::NotNewer(serial);
        }
        if self.coming().is_some_and(|coming| serial <= coming) {
            return Offer::Coming;
        }
        let coming = self.begin(bundle, envelope.into());
        self.make_on(host, metrics, coming)
    }

    /// Makes on what is coming; its fate, if it is decided now.
    pub(super) fn go_on(&mut self, host: &dyn Host, metrics: &Metrics) -> Option<Offer> {
        let coming = self.coming.take()?;
        let offer = self.make_on(host, metrics, coming);
        (offer != Offer::Coming).then_some(offer)
    }

    fn begin(&self, bundle: Bundle, envelope: Rc<[u8]>) -> Coming<G> {
        let before = self.enforced.as_ref().map(|enforced| &*enforced.gate);
        Coming {
            serial: bundle.serial,
            envelope,
            making: (self.build)(bundle, before),
        }
    }

    fn make_on(&mut self, host: &dyn Host, metrics: &Metrics, mut coming: Coming<G>) -> Offer {
        let made = match self.enforced {
            Some(_) => coming.go(host),
            // Without a policy no request can be decided, so nobody is served by turns.
            None => coming.finish().map(Some),
        };
        match made {
            Ok(Some(gate)) => {
                self.enforce(host, metrics, coming, gate);
                Offer::Adopted
            }
            Ok(None) => {
                self.coming = Some(coming);
                Offer::Coming
            }
            // An older one that is being made goes on.
            Err(why) => Offer::Refused(NotEnforced::Unusable(coming.serial, why)),
        }
    }

    fn enforce(&mut self, host: &dyn Host, metrics: &Metrics, made_of: Coming<G>, gate: G) {
        let serial = made_of.serial;
        self.enforced = Some(Enforced {
            serial,
            gate: Rc::new(gate),
            envelope: made_of.envelope,
        });
        // One that is newer still goes on.
        self.coming.take_if(|coming| coming.serial <= serial);
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
