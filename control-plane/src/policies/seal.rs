//! Bundles: a policy and its issuers' keys, numbered, chained and signed.

use std::collections::BTreeMap;

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
    pub(crate) answer: std::sync::Arc<[u8]>,
    /// The signed bundle, as nodes get it.
    pub(crate) envelope: Envelope,
    pub(super) digest: String,
    pub(super) bundle: Bundle,
}

impl Current {
    /// The policy in force, with the issuers that the configuration adds.
    pub(crate) fn policy(&self) -> &Policy {
        &self.bundle.policy
    }

    /// A bundle that is stored, made ready to send.
    ///
    /// # Errors
    /// When the stored envelope cannot be read.
    pub(super) fn new(bundle: Bundle, stored: StoredBundle) -> Result<Self, serde_json::Error> {
        let envelope: Envelope = serde_json::from_str(&stored.envelope)?;
        let answer = serde_json::to_vec(&PolicyAnswer {
            bundle: Some(envelope.clone()),
        })?;
        Ok(Self {
            serial: stored.serial,
            answer: answer.into(),
            envelope,
            digest: stored.digest,
            bundle,
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

impl From<serde_json::Error> for SealError {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Signs bundles.
#[derive(Debug)]
pub(super) struct Sealer(pub(super) Signer);

impl Sealer {
    /// What filters pin.
    pub(super) fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }

    /// A bundle on top of the one with the digest `previous`.
    ///
    /// # Errors
    /// [`SealError`]; in particular when a node could not make it ready: such a bundle must not go out.
    pub(super) fn seal(
        &self,
        serial: Serial,
        previous: Option<String>,
        policy: Policy,
        keys: BTreeMap<String, serde_json::Value>,
    ) -> Result<(Bundle, StoredBundle), SealError> {
        let issued_at = clock::now();
        let bundle = Bundle {
            serial,
            previous,
            issued_at,
            policy,
            keys,
        };
        Gate::from_bundle(bundle.clone()).map_err(|why| SealError::NotForNodes(why.to_string()))?;
        let envelope = self
            .0
            .seal(&bundle)
            .map_err(|error| SealError::Failed(error.into()))?;
        let envelope = serde_json::to_string(&envelope)?;
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
            digest,
            envelope,
            issued_at,
        };
        Ok((bundle, stored))
    }
}
