//! Tokens that were verified before.
//!
//! An agent sends the same token with every request of a run, and verifying costs a thousand times
//! what finding it does. Only the very same bytes find an entry, and an entry never outlives what
//! it rests on: a token's times are checked at each use, and everything goes when issuers or keys
//! change, so a removed key stops working at once.
//!
//! Entries are found by a fast keyed hash and then compared in full. A SHA-256 of the token in
//! place of the token would do as well, but inside V8 it takes 25 times as long, more than all else
//! that the gate does with a request. The price is that tokens in use stand in memory until they
//! expire or are pushed out; nothing prints them.
//!
//! Bad signatures are remembered too, in a small table of their own, by SHA-256 (a miss is
//! expensive anyway): sending one bad token again and again must not cost a verification each time.
//! Nothing else is: all other refusals are cheap, or depend on the time.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::refusal::{Refusal, RefusalCode};
use super::signature::SignatureVerifier;
use super::token::MAX_TOKEN_BYTES;
use super::verifier::{Fingerprint, VerifiedToken, Verifier};
use crate::base::time::UnixMillis;

/// Remembered bad signatures. A flood of different bad tokens pushes old ones out and nothing else.
const MAX_BAD_SIGNATURES: usize = 256;

/// Bytes of an entry besides its strings: key, map slot, `Arc`, and the token's fixed part.
const ENTRY_BYTES: usize = 128 + size_of::<VerifiedToken>();

/// A bounded cache of verified tokens. One per node; not shared between threads.
pub struct TokenCache<S = RandomState> {
    /// By keyed hash. Two tokens with one hash take each other's place; the comparison tells them
    /// apart. Since the key is secret, a sender cannot aim at the hash of somebody's token, so how
    /// long the comparison takes tells nothing about it.
    verified: Generations<u64, KnownToken>,
    hash: S,
    bad_signatures: Generations<[u8; 32], Refusal>,
    /// The verifier that all entries came from.
    fingerprint: Option<Fingerprint>,
    hits: u64,
    misses: u64,
}

#[derive(Clone)]
struct KnownToken {
    token: Arc<str>,
    verified: Arc<VerifiedToken>,
}

/// Numbers of a cache for metrics. Counters start at 0 when the cache is made.
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
        Self::with_hasher(max_entries, max_bytes, RandomState::new())
    }
}

impl<S: BuildHasher> TokenCache<S> {
    /// For tests, where hashes must collide. Anything but a secret random key gives up what
    /// [`TokenCache::verified`] says about time.
    pub(super) fn with_hasher(max_entries: usize, max_bytes: usize, hash: S) -> Self {
        Self {
            verified: Generations::new(max_entries, max_bytes),
            hash,
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
        let key = self.hash.hash_one(token.as_bytes());
        if let Some(known) = self.verified.get(&key)
            && same_bytes(&known.token, token)
        {
            self.hits = self.hits.saturating_add(1);
            return match known.verified.check_time(now) {
                Ok(()) => Ok(known.verified),
                Err(refusal) => {
                    self.verified.remove(&key);
                    Err(refusal)
                }
            };
        }
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(refusal) = self.bad_signatures.get(&digest) {
            self.hits = self.hits.saturating_add(1);
            return Err(refusal);
        }
        self.misses = self.misses.saturating_add(1);
        match verifier.verify(token, now, crypto) {
            Ok(verified) => {
                let verified = Arc::new(verified);
                let known = KnownToken {
                    token: token.into(),
                    verified: Arc::clone(&verified),
                };
                let bytes = entry_bytes(&known);
                self.verified.insert(key, known, bytes);
                Ok(verified)
            }
            Err(refusal) => {
                if refusal.code == RefusalCode::SignatureInvalid {
                    self.bad_signatures.insert(digest, refusal.clone(), 0);
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

    /// Its numbers, for metrics.
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

impl<S: BuildHasher> std::fmt::Debug for TokenCache<S> {
    /// Numbers only: entries hold tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TokenCache").field(&self.stats()).finish()
    }
}

/// Equality, eight bytes at a time: `==` on wasm32 compares single bytes.
fn same_bytes(left: &str, right: &str) -> bool {
    let (left_words, left_rest) = left.as_bytes().as_chunks::<8>();
    let (right_words, right_rest) = right.as_bytes().as_chunks::<8>();
    left_words.len() == right_words.len()
        && left_rest == right_rest
        && left_words
            .iter()
            .zip(right_words)
            .all(|(left, right)| u64::from_ne_bytes(*left) == u64::from_ne_bytes(*right))
}

fn entry_bytes(known: &KnownToken) -> usize {
    let principal = known.verified.principal();
    let single = [
        Some(&*known.token),
        Some(principal.issuer.as_str()),
        Some(principal.subject.as_str()),
        principal.agent.as_deref(),
        principal.session.as_deref(),
        known.verified.kid(),
    ];
    let groups = principal.groups.iter().map(String::as_str);
    single
        .into_iter()
        .flatten()
        .chain(groups)
        .map(|text| text.len().saturating_add(size_of::<String>()))
        .fold(ENTRY_BYTES, usize::saturating_add)
}

/// A map with a bound that forgets what was not used for longest, roughly: entries are added to the
/// young generation; when that has half of the bound it becomes the old one, and what was old and
/// not used meanwhile goes. Every step costs the same however full it is, unlike an exact order of
/// use.
struct Generations<K, V> {
    young: Generation<K, V>,
    old: Generation<K, V>,
    /// Bounds of one generation.
    max_entries: usize,
    max_bytes: usize,
}

struct Generation<K, V> {
    entries: HashMap<K, (V, usize)>,
    bytes: usize,
}

impl<K, V> Default for Generation<K, V> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            bytes: 0,
        }
    }
}

impl<K: Copy + Eq + Hash, V: Clone> Generations<K, V> {
    fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self {
            young: Generation::default(),
            old: Generation::default(),
            max_entries: max_entries / 2,
            max_bytes: max_bytes / 2,
        }
    }

    fn get(&mut self, key: &K) -> Option<V> {
        if let Some((value, _)) = self.young.entries.get(key) {
            return Some(value.clone());
        }
        let (value, bytes) = self.old.remove(key)?;
        self.insert(*key, value.clone(), bytes);
        Some(value)
    }

    fn insert(&mut self, key: K, value: V, bytes: usize) {
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

    fn remove(&mut self, key: &K) {
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

impl<K: Eq + Hash, V> Generation<K, V> {
    fn remove(&mut self, key: &K) -> Option<(V, usize)> {
        let (value, bytes) = self.entries.remove(key)?;
        self.bytes = self.bytes.saturating_sub(bytes);
        Some((value, bytes))
    }
}
