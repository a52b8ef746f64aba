//! Tokens that were verified before.
//!
//! An agent sends the same token with every request of a run, and verifying costs a hundred times
//! what hashing does. The cache is keyed by the SHA-256 of the whole token, so only the very same
//! bytes find an entry. It never outlives what it rests on: a token's `exp` is checked at each use,
//! and everything goes when issuers or keys change, so a removed key stops working at once.
//!
//! Bad signatures are remembered too, in a small table of their own: sending one bad token again and
//! again must not cost a verification each time. Nothing else is: all other refusals are cheap, or
//! depend on the time.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::refusal::{Refusal, RefusalCode};
use super::signature::SignatureVerifier;
use super::token::MAX_TOKEN_BYTES;
use super::verifier::{Fingerprint, VerifiedToken, Verifier};
use crate::time::UnixMillis;

/// Remembered bad signatures. A flood of different bad tokens pushes old ones out and nothing else.
const MAX_BAD_SIGNATURES: usize = 256;

/// What an entry costs besides its strings: key, map slot, `Arc`, and the token's fixed part.
const ENTRY_BYTES: usize = 128 + size_of::<VerifiedToken>();

/// SHA-256 of a token. Tokens themselves are not kept.
type Key = [u8; 32];

/// A bounded cache of verified tokens. One per node; not shared between threads.
#[derive(Debug)]
pub struct TokenCache {
    verified: Generations<Arc<VerifiedToken>>,
    bad_signatures: Generations<Refusal>,
    /// The verifier that all entries came from.
    fingerprint: Option<Fingerprint>,
    hits: u64,
    misses: u64,
}

/// What a cache holds and did, for metrics. Counters start at 0 when the cache is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheStats {
    /// Verified tokens held.
    pub entries: usize,
    /// Bytes that they account for.
    pub bytes: usize,
    /// Answers, good and bad, given without verifying.
    pub hits: u64,
    /// Tokens that had to be verified.
    pub misses: u64,
}

// === impl TokenCache ===

impl TokenCache {
    /// A cache of at most `max_entries` tokens and `max_bytes` bytes. With 0 for either it holds
    /// nothing and every token is verified.
    pub fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self {
            verified: Generations::new(max_entries, max_bytes),
            bad_signatures: Generations::new(MAX_BAD_SIGNATURES, usize::MAX),
            fingerprint: None,
            hits: 0,
            misses: 0,
        }
    }

    /// Verifies a token as [`Verifier::verify`] does, from memory where possible.
    ///
    /// # Errors
    ///
    /// As [`Verifier::verify`].
    pub fn verify(
        &mut self,
        verifier: &Verifier,
        token: &str,
        now: UnixMillis,
        crypto: &dyn SignatureVerifier,
    ) -> Result<Arc<VerifiedToken>, Refusal> {
        if self.fingerprint != Some(verifier.fingerprint()) {
            self.clear();
            self.fingerprint = Some(verifier.fingerprint());
        }
        if token.len() > MAX_TOKEN_BYTES {
            // Refused without hashing it.
            return verifier.verify(token, now, crypto).map(Arc::new);
        }
        let key: Key = Sha256::digest(token).into();
        if let Some(known) = self.verified.get(&key) {
            self.hits = self.hits.saturating_add(1);
            return match known.check_time(now) {
                Ok(()) => Ok(known),
                Err(refusal) => {
                    self.verified.remove(&key);
                    Err(refusal)
                }
            };
        }
        if let Some(refusal) = self.bad_signatures.get(&key) {
            self.hits = self.hits.saturating_add(1);
            return Err(refusal);
        }
        self.misses = self.misses.saturating_add(1);
        match verifier.verify(token, now, crypto) {
            Ok(verified) => {
                let verified = Arc::new(verified);
                let bytes = ENTRY_BYTES.saturating_add(string_bytes(&verified));
                self.verified.insert(key, Arc::clone(&verified), bytes);
                Ok(verified)
            }
            Err(refusal) => {
                if refusal.code == RefusalCode::SignatureInvalid {
                    self.bad_signatures.insert(key, refusal.clone(), 0);
                }
                Err(refusal)
            }
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.verified.clear();
        self.bad_signatures.clear();
    }

    /// What the cache holds and did.
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            entries: self.verified.entries(),
            bytes: self.verified.bytes(),
            hits: self.hits,
            misses: self.misses,
        }
    }

    #[cfg(test)]
    pub(super) fn bad_signature_entries(&self) -> usize {
        self.bad_signatures.entries()
    }
}

fn string_bytes(token: &VerifiedToken) -> usize {
    let principal = token.principal();
    let single = [
        Some(principal.issuer.as_str()),
        Some(principal.subject.as_str()),
        principal.agent.as_deref(),
        principal.session.as_deref(),
        token.kid(),
    ];
    let groups = principal.groups.iter().map(String::as_str);
    single
        .into_iter()
        .flatten()
        .chain(groups)
        .map(|text| text.len().saturating_add(size_of::<String>()))
        .fold(0, usize::saturating_add)
}

/// A map with a bound that forgets what was not used for longest, roughly: entries are added to the
/// young generation; when that has half of the bound it becomes the old one, and what was old and not
/// used meanwhile goes. Every step costs the same however full it is, unlike an exact order of use.
#[derive(Debug)]
struct Generations<V> {
    young: Generation<V>,
    old: Generation<V>,
    /// Bounds of one generation.
    max_entries: usize,
    max_bytes: usize,
}

#[derive(Debug)]
struct Generation<V> {
    entries: HashMap<Key, (V, usize)>,
    bytes: usize,
}

impl<V> Default for Generation<V> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            bytes: 0,
        }
    }
}

impl<V: Clone> Generations<V> {
    fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self {
            young: Generation::default(),
            old: Generation::default(),
            max_entries: max_entries / 2,
            max_bytes: max_bytes / 2,
        }
    }

    fn get(&mut self, key: &Key) -> Option<V> {
        if let Some((value, _)) = self.young.entries.get(key) {
            return Some(value.clone());
        }
        let (value, bytes) = self.old.remove(key)?;
        self.insert(*key, value.clone(), bytes);
        Some(value)
    }

    fn insert(&mut self, key: Key, value: V, bytes: usize) {
        self.remove(&key);
        if self.max_entries == 0 || bytes > self.max_bytes {
            return;
        }
        if self.young.entries.len() >= self.max_entries
            || self.young.bytes.saturating_add(bytes) > self.max_bytes
        {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.bytes = self.young.bytes.saturating_add(bytes);
        self.young.entries.insert(key, (value, bytes));
    }

    fn remove(&mut self, key: &Key) {
        self.young.remove(key);
        self.old.remove(key);
    }

    fn clear(&mut self) {
        self.young = Generation::default();
        self.old = Generation::default();
    }

    fn entries(&self) -> usize {
        let (young, old) = (self.young.entries.len(), self.old.entries.len());
        young.saturating_add(old)
    }

    fn bytes(&self) -> usize {
        self.young.bytes.saturating_add(self.old.bytes)
    }
}

impl<V> Generation<V> {
    fn remove(&mut self, key: &Key) -> Option<(V, usize)> {
        let (value, bytes) = self.entries.remove(key)?;
        self.bytes = self.bytes.saturating_sub(bytes);
        Some((value, bytes))
    }
}
