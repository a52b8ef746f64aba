//! What was masked, without the secrets: counts and keyed fingerprints.

use hmac::{Hmac, Mac as _, digest::KeyInit};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::Sha256;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
    sync::Arc,
};

/// The key of all fingerprints of an installation. Whoever has it can test whether a guessed secret
/// was seen, so it is itself a secret: it has no `Debug` of its content and no way out.
#[derive(Clone)]
pub struct FingerprintKey(Arc<Hmac<Sha256>>);

impl FingerprintKey {
    /// A key from 32 random bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        // RFC 2104 §2 pads a short key with zeros to the block size; doing it here makes a
        // constructor fit that cannot fail.
        let mut block = [0; 64];
        for (to, from) in block.iter_mut().zip(bytes) {
            *to = from;
        }
        Self(Arc::new(<Hmac<Sha256> as KeyInit>::new((&block).into())))
    }

    /// The fingerprint of a secret: the first four bytes of HMAC-SHA256 (RFC 2104).
    pub fn fingerprint(&self, secret: &[u8]) -> Fingerprint {
        let mut taking = self.taking();
        taking.update(secret);
        taking.fingerprint()
    }

    /// Takes the fingerprint of a secret that comes in parts.
    pub(in crate::masking) fn taking(&self) -> Taking {
        // The key's own two blocks are hashed already, which is half of the work for most secrets.
        Taking(Hmac::clone(&self.0))
    }
}

/// A fingerprint that is being taken. Nothing can be told from it but the fingerprint.
#[derive(Clone)]
pub(in crate::masking) struct Taking(Hmac<Sha256>);

impl Taking {
    /// Reads the next part of the secret.
    pub(in crate::masking) fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// The fingerprint of all parts.
    pub(in crate::masking) fn fingerprint(self) -> Fingerprint {
        let [a, b, c, d, ..] = <[u8; 32]>::from(self.0.finalize().into_bytes());
        Fingerprint([a, b, c, d])
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(..)")
    }
}

/// Says whether two secrets are the same, and nothing else about them. Shown as 8 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 4]);

impl Fingerprint {
    /// The hex digits that it is shown as.
    pub(in crate::masking) fn digits(self) -> [u8; 8] {
        let digit = |n: u8| {
            if n < 10 {
                n | b'0'
            } else {
                n.wrapping_add(b'a' - 10)
            }
        };
        let [a, b, c, d] = self.0.map(|byte| [digit(byte >> 4), digit(byte & 15)]);
        let ([a, b], [c, d], [e, f], [g, h]) = (a, b, c, d);
        [a, b, c, d, e, f, g, h]
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digits()
            .iter()
            .try_for_each(|&digit| f.write_char(digit.into()))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(D::Error::custom("a fingerprint has 8 hex digits"));
        }
        u32::from_str_radix(&text, 16)
            .map(|n| Self(n.to_be_bytes()))
            .map_err(D::Error::custom)
    }
}

/// Most distinct fingerprints kept per detector: a body full of secrets must not grow the record
/// without bound. The count goes on.
pub const MAX_FINGERPRINTS: usize = 32;

/// What one detector found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Secrets masked, or blocked.
    pub count: u64,
    /// Secrets that were let pass: they are only reported, or cannot be masked where they stand.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reported: u64,
    /// How many of them had a right checksum or structure, where the format has one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub confirmed: u64,
    /// Distinct fingerprints, at most [`MAX_FINGERPRINTS`].
    pub fingerprints: BTreeSet<Fingerprint>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What was masked, by detector name. Serialises as an object:
/// `{"secrets/github-pat": {"count": 2, "fingerprints": ["3f9a1c02"]}}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Findings(BTreeMap<String, Finding>);

impl Findings {
    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Secrets masked or blocked, by all detectors.
    pub fn total(&self) -> u64 {
        self.0
            .values()
            .fold(0, |sum, finding| sum.saturating_add(finding.count))
    }

    /// What the detector of this full name found.
    pub fn get(&self, detector: &str) -> Option<&Finding> {
        self.0.get(detector)
    }

    /// Detector names with what they found, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Finding)> {
        self.0
            .iter()
            .map(|(name, finding)| (name.as_str(), finding))
    }

    /// Adds what another masker found, such as the one of another part of the same message.
    pub fn merge(&mut self, other: &Self) {
        for (name, theirs) in &other.0 {
            let ours = self.0.entry(name.clone()).or_default();
            ours.count = ours.count.saturating_add(theirs.count);
            ours.reported = ours.reported.saturating_add(theirs.reported);
            ours.confirmed = ours.confirmed.saturating_add(theirs.confirmed);
            for &fingerprint in &theirs.fingerprints {
                ours.keep(fingerprint);
            }
        }
    }

    /// The same where all of it passed, although it would have been masked in a body.
    #[must_use]
    pub fn passed(mut self) -> Self {
        for finding in self.0.values_mut() {
            finding.reported = finding.reported.saturating_add(finding.count);
            finding.count = 0;
        }
        self
    }

    /// Counts a secret that did not pass.
    pub(in crate::masking) fn add(&mut self, detector: &str, of: Fingerprint, confirmed: bool) {
        self.count(detector, |finding| {
            finding.count = finding.count.saturating_add(1);
            finding.confirmed = finding.confirmed.saturating_add(u64::from(confirmed));
            finding.keep(of);
        });
    }

    /// Counts a secret that passed because it is only reported.
    pub(in crate::masking) fn report(&mut self, detector: &str, of: Fingerprint, confirmed: bool) {
        self.count(detector, |finding| {
            finding.reported = finding.reported.saturating_add(1);
            finding.confirmed = finding.confirmed.saturating_add(u64::from(confirmed));
            finding.keep(of);
        });
    }

    fn count(&mut self, detector: &str, count: impl FnOnce(&mut Finding)) {
        // A name is copied once, not with each finding.
        match self.0.get_mut(detector) {
            Some(finding) => count(finding),
            None => count(self.0.entry(detector.to_owned()).or_default()),
        }
    }
}

impl Finding {
    fn keep(&mut self, fingerprint: Fingerprint) {
        if self.fingerprints.len() < MAX_FINGERPRINTS {
            self.fingerprints.insert(fingerprint);
        }
    }
}
