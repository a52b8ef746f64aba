//! An issuer's JSON Web Key Set (RFC 7517 §5).
//!
//! Issuers publish keys for other purposes, keys of kinds to come, and now and then a broken one.
//! None of that may stop a good key from working, so every key is read on its own, and one that
//! cannot be used is reported and left out.

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::Sha256;

use super::jwk::{self, UnusableKey};
use super::key::hash_part;
use super::refusal::printable;
use super::{Algorithm, PublicKey};

/// The largest key set document. Sets with certificate chains of many keys stay under 100 KiB.
pub const MAX_KEY_SET_BYTES: usize = 512 * 1024;

/// The most keys taken from one set. More is no rotation but a way to make lookups slow.
pub const MAX_KEYS: usize = 128;

/// The most different keys with one `kid`. Each may have to be tried, and trying is expensive.
const MAX_KEYS_PER_KID: usize = 4;

/// The usable keys of one issuer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<PublicKey>,
}

/// Why a document is no key set at all. Single bad keys are [`KeyProblem`]s instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwksError {
    /// Larger than [`MAX_KEY_SET_BYTES`].
    TooLarge,
    /// Not a JSON object with one `keys` array.
    Malformed,
}

/// One key that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyProblem {
    /// Position in `keys`, from 0.
    pub index: usize,
    /// The key's id, shortened and printable, if it could be read.
    pub kid: Option<String>,
    /// Why it was left out.
    pub reason: UnusableKey,
}

// === impl KeySet ===

#[derive(Deserialize)]
struct Document<'a> {
    // Raw, so that a fault inside one key stays there. `serde` refuses a second `keys`.
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

impl KeySet {
    /// Reads a key set, keeping every usable key, and says why each other one was left out.
    ///
    /// # Errors
    ///
    /// Only when the document as a whole is unusable. Callers should then keep the set they have.
    pub fn parse(jwks: &[u8]) -> Result<(Self, Vec<KeyProblem>), JwksError> {
        if jwks.len() > MAX_KEY_SET_BYTES {
            return Err(JwksError::TooLarge);
        }
        let document: Document<'_> =
            serde_json::from_slice(jwks).map_err(|_| JwksError::Malformed)?;
        let mut set = Self::default();
        let mut problems = Vec::new();
        for (index, raw) in document.keys.into_iter().enumerate() {
            if let Err((kid, reason)) = set.add(raw) {
                problems.push(KeyProblem {
                    index,
                    kid: kid.as_deref().map(printable),
                    reason,
                });
            }
        }
        Ok((set, problems))
    }

    /// As [`KeySet::parse`], for a set that stands in the policy document.
    ///
    /// # Errors
    ///
    /// As [`KeySet::parse`].
    pub fn from_value(jwks: &serde_json::Value) -> Result<(Self, Vec<KeyProblem>), JwksError> {
        let bytes = serde_json::to_vec(jwks).map_err(|_| JwksError::Malformed)?;
        Self::parse(&bytes)
    }

    fn add(&mut self, raw: &RawValue) -> Result<(), (Option<String>, UnusableKey)> {
        let key = jwk::parse(raw.get().as_bytes())?;
        let leave_out = |reason| Err((key.kid().map(str::to_owned), reason));
        if self.keys.contains(&key) {
            return leave_out(UnusableKey::Repeated);
        }
        let namesakes = self.keys.iter().filter(|k| k.kid() == key.kid()).count();
        if self.keys.len() >= MAX_KEYS || (key.kid().is_some() && namesakes >= MAX_KEYS_PER_KID) {
            return leave_out(UnusableKey::TooMany);
        }
        self.keys.push(key);
        Ok(())
    }

    /// The usable keys, in the set's order.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// Whether no key is usable.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that a token with this `kid` may have been signed with, whatever the algorithm.
    /// Several only where the issuer uses one `kid` for different keys.
    pub(super) fn with_kid<'a, 'k>(
        &'a self,
        kid: &'k str,
    ) -> impl Iterator<Item = &'a PublicKey> + use<'a, 'k> {
        self.keys.iter().filter(move |key| key.kid() == Some(kid))
    }

    /// The keys that permit `algorithm`, for tokens without `kid`.
    pub(super) fn permitting(&self, algorithm: Algorithm) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter().filter(move |key| key.permits(algorithm))
    }

    pub(super) fn fingerprint(&self, hash: &mut Sha256) {
        hash_part(hash, Some(&(self.keys.len() as u64).to_be_bytes()));
        for key in &self.keys {
            key.fingerprint(hash);
        }
    }
}

// === impl JwksError ===

impl std::fmt::Display for JwksError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the key set is larger than 512 KiB",
            Self::Malformed => {
                "not a JSON Web Key Set: expected a JSON object with one `keys` array"
            }
        })
    }
}

impl std::error::Error for JwksError {}

// === impl KeyProblem ===

impl KeyProblem {
    /// Whether healthy issuers have such keys too, so that nobody needs to be told.
    pub const fn is_ordinary(&self) -> bool {
        matches!(
            self.reason,
            UnusableKey::OtherPurpose | UnusableKey::Unsupported(_) | UnusableKey::Repeated
        )
    }
}

impl std::fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "key {}", self.index)?;
        if let Some(kid) = &self.kid {
            write!(f, " (kid `{kid}`)")?;
        }
        write!(f, " is not used: {}", self.reason)
    }
}
