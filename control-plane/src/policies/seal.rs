//! Bundles: a policy and its issuers' keys, numbered, chained and signed.

use std::collections::BTreeMap;
use std::sync::Arc;

use chaperone_engine::bundle::{self, Bundle, Envelope, PublicKey, Serial, Signer};
use chaperone_engine::gate::Gate;
use chaperone_engine::link::PolicyAnswer;
use chaperone_engine::policy::Policy;

use super::store::StoredBundle;
use crate::clock;

/// The bundle in force.
#[derive(Debug)]
pub(crate) struct Current {
    /// Its place in the order of bundles.
    pub(crate) serial: Serial,
    /// The answer to a node that wants it, ready to send: [`PolicyAnswer`] as JSON.
    pub(crate) answer: Arc<[u8]>,
    /// The signed bundle, as nodes get it.
    pub(crate) envelope: Envelope,
    pub(super) digest: String,
    pub(super) bundle: Bundle,
    /// The bundle compiled. `None` until something was sealed since the start: it costs as long as
    /// a publish, and is only needed to make the next one cheap.
    pub(super) gate: Option<Arc<Gate>>,
}

impl Current {
    /// Whether a node that enforces `enforced`, or nothing yet, is to have it.
    pub(crate) fn is_newer_than(&self, enforced: Option<Serial>) -> bool {
        enforced.is_none_or(|enforced| enforced < self.serial)
    }

    /// The policy in force, with the issuers that the configuration adds.
    pub(crate) fn policy(&self) -> &Policy {
        &self.bundle.policy
    }

    /// A bundle that is stored, made ready to send.
    ///
    /// # Errors
    /// When the stored envelope cannot be read.
    pub(super) fn stored(bundle: Bundle, stored: StoredBundle) -> Result<Self, serde_json::Error> {
        let envelope = serde_json::from_str(&stored.envelope)?;
        Self::new(bundle, envelope, stored.digest, None)
    }

    fn new(
        bundle: Bundle,
        envelope: Envelope,
        digest: String,
        gate: Option<Arc<Gate>>,
    ) -> Result<Self, serde_json::Error> {
        let answer = serde_json::to_vec(&PolicyAnswer {
            bundle: Some(envelope.clone()),
        })?;
        Ok(Self {
            serial: bundle.serial,
            answer: answer.into(),
            envelope,
            digest,
            bundle,
            gate,
        })
    }
}

/// Why no bundle was made.
#[derive(Debug)]
pub(crate) enum SealError {
    /// Nodes could not take it. Says why, for whoever wrote the policy.
    NotForNodes(String),
    /// Writing or signing it failed.
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl std::fmt::Display for SealError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotForNodes(why) => f.write_str(why),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl From<tokio::task::JoinError> for SealError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<serde_json::Error> for SealError {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Signs bundles.
#[derive(Debug)]
pub(super) struct Sealer(pub(super) Signer);

impl Sealer {
    /// The public half, which filters pin.
    pub(super) fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }

    /// A bundle on top of the one with the digest `previous`. `before` is a gate whose detectors
    /// are taken over where they are the same; without one this takes seconds where there are many.
    ///
    /// # Errors
    /// [`SealError`]; in particular when a node could not make it ready: such a bundle must not go
    /// out.
    pub(super) fn seal(
        &self,
        serial: Serial,
        previous: Option<String>,
        policy: Policy,
        keys: BTreeMap<String, serde_json::Value>,
        before: Option<&Gate>,
    ) -> Result<(Current, StoredBundle), SealError> {
        let issued_at = clock::now();
        let bundle = Bundle {
            serial,
            previous,
            issued_at,
            policy,
            keys,
        };
        let gate = gate(bundle.clone(), before)?;
        let sealed = self
            .0
            .seal(&bundle)
            .map_err(|error| SealError::Failed(error.into()))?;
        let envelope = serde_json::to_string(&sealed)?;
        if envelope.len() > bundle::MAX_ENVELOPE_BYTES {
            return Err(SealError::NotForNodes(format!(
                "the policy and the keys of its issuers make a bundle of {} bytes; filters take at \
                 most {}",
                envelope.len(),
                bundle::MAX_ENVELOPE_BYTES
            )));
        }
        let digest = bundle::digest(&bundle).map_err(|error| SealError::Failed(error.into()))?;
        let stored = StoredBundle {
            serial,
            digest: digest.clone(),
            envelope,
            issued_at,
        };
        let current = Current::new(bundle, sealed, digest, Some(Arc::new(gate)))?;
        Ok((current, stored))
    }
}

/// The gate that a node makes of a bundle.
///
/// # Errors
/// When it could not.
pub(super) fn gate(bundle: Bundle, before: Option<&Gate>) -> Result<Gate, SealError> {
    let gate = match before {
        Some(before) => before.next(bundle),
        None => Gate::from_bundle(bundle),
    };
    gate.map_err(|why| SealError::NotForNodes(why.to_string()))
}

/// A policy as a bundle that goes nowhere.
pub(super) fn unsigned(policy: Policy) -> Bundle {
    Bundle {
        serial: Serial::default(),
        previous: None,
        issued_at: clock::now(),
        policy,
        keys: BTreeMap::new(),
    }
}
