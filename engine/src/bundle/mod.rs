//! Is this the policy that was published?
//!
//! A node enforces a *bundle*: one policy version and the key sets of its issuers. Each bundle is
//! numbered, refers to the one before, and travels in a DSSE envelope (Dead Simple Signing Envelope
//! v1, github.com/secure-systems-lab/dsse) signed with Ed25519 (RFC 8032). The filter pins the
//! public key, or two while the key changes, so neither the network nor the control plane's
//! database can loosen policy.
//!
//! Why DSSE: signing canonical JSON (RFC 8785) makes verifier and signer agree on a
//! canonicalisation before anything is authenticated; a JWS brings a header that says how to verify
//! itself. DSSE signs the exact bytes and their type, and nothing is parsed before the signature
//! holds. The *canonical form* of a bundle is its compact JSON with the fields in the order of the
//! struct and maps in key order; the digest is SHA-256 over those bytes.
//!
//! # Promises
//! - [`open`] returns a [`Bundle`] only from bytes that a pinned key signed as a bundle.
//! - A bundle has one reading: a member that stands in one object twice refuses the bundle.
//! - [`Serial`] orders bundles: a node never goes back to an older one, whoever sends it.
//! - A bundle is understood to the last member or refused whole. Only members of an issuer's keys
//!   are ignored where they are not known (RFC 7517 §4): they are the issuer's, and none of them
//!   loosens policy.

#[cfg(test)]
mod tests;
#[cfg(test)]
mod unknown;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::base::digest::sha256_hex;
use crate::base::json;
use crate::base::time::UnixMillis;
use crate::policy::Policy;

/// The DSSE payload type of a bundle: signed together with the bytes, so that a signature over
/// anything else can never pass as one over a bundle.
pub const PAYLOAD_TYPE: &str = "application/vnd.chaperone.bundle.v1+json";

/// Envelopes above this many bytes are refused before they are parsed.
pub const MAX_ENVELOPE_BYTES: usize = 8 * 1024 * 1024;

/// How deep a bundle may nest: as deep as the parser itself goes, since key sets are whatever their
/// issuers publish.
const MAX_DEPTH: u8 = 127;

/// Where a bundle stands in the order of bundles.
///
/// Key sets rotate more often than policy changes, so a bundle has two numbers: the policy version
/// and, under it, the revision of its key sets. Both only rise.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Serial {
    /// Policy version, from 1; rolling back publishes old content under a new number.
    pub policy_version: u64,
    /// Revision of the key sets under this policy version, from 0.
    pub keys_revision: u64,
}

impl std::fmt::Display for Serial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.policy_version, self.keys_revision)
    }
}

/// A policy version and the key sets of its issuers, as a node enforces them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// Its place in the order of bundles.
    #[serde(deserialize_with = "nothing_but_a_serial")]
    pub serial: Serial,
    /// SHA-256 of the bundle before it, 64 hex digits; absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// When it was made, by the control plane's clock.
    pub issued_at: UnixMillis,
    /// The policy document.
    pub policy: Policy,
    /// Key sets (JWKS, RFC 7517 §5) by issuer. An issuer of the policy that is missing here has no
    /// keys: its tokens are refused with `unknown_key`.
    pub keys: BTreeMap<String, serde_json::Value>,
}

/// The serial of a bundle. In what a node reports of itself, other members are a later version's
/// and are ignored; in what was signed they would be something that is not understood.
fn nothing_but_a_serial<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Serial, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename = "Serial")]
    struct Strict {
        policy_version: u64,
        keys_revision: u64,
    }
    let Strict {
        policy_version,
        keys_revision,
    } = Strict::deserialize(deserializer)?;
    Ok(Serial {
        policy_version,
        keys_revision,
    })
}

/// A signed bundle as it travels and is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Envelope {
    /// The type of the payload: [`PAYLOAD_TYPE`].
    pub payload_type: String,
    /// The bundle's canonical bytes, standard base64.
    pub payload: String,
    /// Signatures; one by a pinned key suffices.
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature of an [`Envelope`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeSignature {
    /// Which key, as a hint ([`PublicKey::id`]); never trusted.
    pub keyid: String,
    /// 64 bytes, standard base64.
    pub sig: String,
}

/// Why an envelope was not accepted. None of these ends in an older or unsigned policy: the node
/// keeps the bundle that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleError {
    /// Over [`MAX_ENVELOPE_BYTES`].
    TooLarge {
        /// Bytes received.
        bytes: usize,
    },
    /// The envelope is no DSSE envelope of a bundle.
    Malformed(String),
    /// No signature by a pinned key.
    NotSigned,
    /// Signed, but the content cannot be understood: a control plane newer than the filter, say.
    Content(String),
}

impl std::fmt::Display for BundleError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLarge { bytes } => write!(
                f,
                "The bundle has {bytes} bytes; at most {MAX_ENVELOPE_BYTES} are accepted."
            ),
            Self::Malformed(why) => write!(f, "This is not a signed policy bundle: {why}."),
            Self::NotSigned => f.write_str(
                "The bundle carries no signature by a pinned public key; compare `public_key` or \
                 `public_keys` in the filter's configuration with the control plane's signing key.",
            ),
            Self::Content(why) => write!(
                f,
                "The bundle's signature holds but its content cannot be read ({why}); is the filter \
                 older than the control plane?"
            ),
        }
    }
}

impl std::error::Error for BundleError {}

/// A bundle that cannot be written in its canonical form. Its words are serde's.
#[derive(Debug)]
pub struct UnwritableBundle(serde_json::Error);

impl std::fmt::Display for UnwritableBundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for UnwritableBundle {}

/// Why a text is no public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKeyError {
    /// Not standard base64.
    NotBase64(base64::DecodeError),
    /// Not 32 bytes; the number is how many there are.
    Length(usize),
    /// 32 bytes that are no point of the curve.
    NotAKey,
}

impl std::fmt::Display for PublicKeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotBase64(error) => write!(f, "a public key is base64: {error}"),
            Self::Length(bytes) => write!(f, "a public key has 32 bytes, this one {bytes}"),
            Self::NotAKey => f.write_str("these 32 bytes are no Ed25519 public key"),
        }
    }
}

impl std::error::Error for PublicKeyError {}

/// An Ed25519 public key that a filter pins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// From standard base64 of the 32 bytes.
    ///
    /// # Errors
    /// [`PublicKeyError`], whose words say what is wrong.
    pub fn from_base64(text: &str) -> Result<Self, PublicKeyError> {
        let bytes: [u8; 32] = STANDARD
            .decode(text.trim())
            .map_err(PublicKeyError::NotBase64)?
            .try_into()
            .map_err(|bytes: Vec<u8>| PublicKeyError::Length(bytes.len()))?;
        VerifyingKey::from_bytes(&bytes)
            .map(Self)
            .map_err(|_| PublicKeyError::NotAKey)
    }

    /// Standard base64 of the 32 bytes, as it goes into the filter's configuration.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0.as_bytes())
    }

    /// A short name for the key: the first 16 hex digits of its SHA-256.
    pub fn id(&self) -> String {
        sha256_hex(self.0.as_bytes()).chars().take(16).collect()
    }
}

/// The keys that a filter pins: one, or two while one takes the place of the other.
///
/// Two and no more: whoever has the secret of any of them makes policy. A rotation needs the old
/// one and the new one, and a second rotation can wait for the end of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedKeys {
    first: PublicKey,
    second: Option<PublicKey>,
}

/// Why keys cannot be pinned together. Shown, it is what was expected instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinnedKeysError {
    /// Not one or two.
    Count,
    /// The same key twice: somebody meant another one.
    Twice,
}

impl std::fmt::Display for PinnedKeysError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Count => "expected one public key, or two while the signing key changes",
            Self::Twice => "expected two different public keys, found the same twice",
        })
    }
}

impl std::error::Error for PinnedKeysError {}

impl PinnedKeys {
    /// Pins these keys.
    ///
    /// # Errors
    /// When they are not one or two different ones.
    pub fn new(keys: Vec<PublicKey>) -> Result<Self, PinnedKeysError> {
        let mut keys = keys.into_iter();
        let (first, second) = (keys.next(), keys.next());
        let Some(first) = first.filter(|_| keys.next().is_none()) else {
            return Err(PinnedKeysError::Count);
        };
        if second.as_ref() == Some(&first) {
            return Err(PinnedKeysError::Twice);
        }
        Ok(Self { first, second })
    }

    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        std::iter::once(&self.first).chain(&self.second)
    }

    /// [`PublicKey::id`] of each.
    pub fn ids(&self) -> Vec<String> {
        self.iter().map(PublicKey::id).collect()
    }
}

impl From<PublicKey> for PinnedKeys {
    fn from(key: PublicKey) -> Self {
        Self {
            first: key,
            second: None,
        }
    }
}

/// The control plane's signing key. Its `Debug` shows the public half only.
#[derive(Clone)]
pub struct Signer(SigningKey);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Signer")
            .field(&self.public_key().id())
            .finish()
    }
}

impl Signer {
    /// From the 32 secret bytes, which the caller has from the operating system's randomness.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The key that filters pin.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs a bundle.
    ///
    /// # Errors
    /// When the bundle cannot be written as JSON.
    pub fn seal(&self, bundle: &Bundle) -> Result<Envelope, UnwritableBundle> {
        let payload = canonical(bundle)?;
        let signature = self
            .0
            .sign(&pre_authentication_encoding(PAYLOAD_TYPE, &payload));
        Ok(Envelope {
            payload_type: PAYLOAD_TYPE.to_owned(),
            payload: STANDARD.encode(&payload),
            signatures: vec![EnvelopeSignature {
                keyid: self.public_key().id(),
                sig: STANDARD.encode(signature.to_bytes()),
            }],
        })
    }
}

/// The canonical bytes of a bundle, over which signature and digest are made.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn canonical(bundle: &Bundle) -> Result<Vec<u8>, UnwritableBundle> {
    serde_json::to_vec(bundle).map_err(UnwritableBundle)
}

/// SHA-256 of a bundle's canonical bytes, 64 lower-case hex digits.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn digest(bundle: &Bundle) -> Result<String, UnwritableBundle> {
    Ok(sha256_hex(&canonical(bundle)?))
}

/// Verifies an envelope against the pinned keys and reads the bundle in it.
///
/// # Errors
/// [`BundleError`]; nothing of an unsigned payload is parsed.
pub fn open(envelope: &[u8], pinned: &PinnedKeys) -> Result<Bundle, BundleError> {
    if envelope.len() > MAX_ENVELOPE_BYTES {
        return Err(BundleError::TooLarge {
            bytes: envelope.len(),
        });
    }
    let envelope: Envelope =
        serde_json::from_slice(envelope).map_err(|e| BundleError::Malformed(e.to_string()))?;
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(BundleError::Malformed(format!(
            "its payload type is not {PAYLOAD_TYPE}"
        )));
    }
    let payload = STANDARD
        .decode(&envelope.payload)
        .map_err(|e| BundleError::Malformed(format!("its payload is not base64: {e}")))?;
    let message = pre_authentication_encoding(PAYLOAD_TYPE, &payload);
    // A hostile envelope could carry thousands of signatures; only the first few are worth the
    // time.
    let signed = envelope.signatures.iter().take(4).any(|candidate| {
        STANDARD
            .decode(&candidate.sig)
            .ok()
            .and_then(|bytes| Signature::from_slice(&bytes).ok())
            .is_some_and(|signature| {
                let mut keys = pinned.iter();
                keys.any(|key| key.0.verify_strict(&message, &signature).is_ok())
            })
    });
    if !signed {
        return Err(BundleError::NotSigned);
    }
    // Of two equal members serde's maps keep one: two builds could enforce two policies.
    json::check(&payload, MAX_DEPTH).map_err(|e| BundleError::Content(e.to_string()))?;
    serde_json::from_slice(&payload).map_err(|e| BundleError::Content(e.to_string()))
}

/// DSSE's PAE, the message that is signed. Lengths keep type and payload from running into each
/// other.
fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
    .into_bytes();
    out.extend_from_slice(payload);
    out
}
