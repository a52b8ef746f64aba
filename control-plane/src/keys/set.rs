//! One issuer's keys: what is known, how often it may be asked for, and what is kept on disk.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chaperone_engine::base::digest::sha256_hex;
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::identity::{Issuer, JwksError, KeySet};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fetch::KeysError;
use crate::random;

/// Between two refreshes without cause, give or take a tenth.
const REFRESH: Duration = Duration::from_secs(600);

/// After a failure, doubling up to [`REFRESH`].
const RETRY: Duration = Duration::from_secs(5);

/// Refreshes for unknown keys that may follow each other at once, and how long one takes to come
/// back. A key that was rotated is there after the first; whoever floods the gate with made-up key
/// ids causes six fetches a minute, each of which would bring a real new key too.
const BURST: f64 = 3.0;
const REFILL: Duration = Duration::from_secs(10);

/// Where a key set comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// OpenID discovery at the issuer.
    Discovery,
    /// The policy's `jwks_uri`.
    Url,
    /// The policy's `jwks`; never fetched.
    Inline,
}

/// One public key, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyView {
    /// Key id.
    pub(crate) kid: Option<String>,
    /// Key type: `RSA`, `EC`, `OKP`.
    pub(crate) kty: Option<String>,
    /// The algorithm that the key set binds it to.
    pub(crate) alg: Option<String>,
    /// Why the gate cannot use it; `None` when it can.
    pub(crate) unusable: Option<String>,
}

/// What is known of one issuer's keys.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) issuer: Issuer,
    pub(super) source: KeySource,
    pub(super) url: Option<String>,
    /// Usable keys only, as they go into bundles: a private or symmetric key that an issuer
    /// published by mistake does not travel on.
    pub(super) usable: Option<Value>,
    /// All keys, for people.
    pub(super) keys: Vec<KeyView>,
    pub(super) fetched_at: Option<UnixMillis>,
    pub(super) attempted_at: Option<UnixMillis>,
    pub(super) error: Option<String>,
    failures: u32,
    due: Instant,
    tokens: f64,
    refilled: Instant,
}

/// A key set as it lies on disk.
#[derive(Debug, Serialize, Deserialize)]
struct Cached {
    issuer: String,
    url: String,
    fetched_at: UnixMillis,
    jwks: Value,
}

impl Entry {
    pub(super) fn new(issuer: Issuer) -> Self {
        let now = Instant::now();
        let source = match (&issuer.jwks, &issuer.jwks_uri) {
            (Some(_), _) => KeySource::Inline,
            (None, Some(_)) => KeySource::Url,
            (None, None) => KeySource::Discovery,
        };
        let mut entry = Self {
            source,
            url: None,
            usable: None,
            keys: Vec::new(),
            fetched_at: None,
            attempted_at: None,
            error: None,
            failures: 0,
            due: now,
            tokens: BURST,
            refilled: now,
            issuer,
        };
        if let Some(jwks) = entry.issuer.jwks.clone() {
            match usable(&jwks) {
                Ok((usable, keys)) => (entry.usable, entry.keys) = (Some(usable), keys),
                Err(why) => entry.error = Some(why.to_string()),
            }
        }
        entry
    }

    /// Whether it is time to fetch.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.source != KeySource::Inline && now >= self.due
    }

    /// Whether a refresh for an unknown key may be made now; takes it from the allowance.
    pub(super) fn may_refresh_early(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.refilled);
        self.tokens = (self.tokens + passed.as_secs_f64() / REFILL.as_secs_f64()).min(BURST);
        self.refilled = now;
        let may = self.source != KeySource::Inline && self.tokens >= 1.0;
        if may {
            self.tokens -= 1.0;
        }
        may
    }

    /// Whether a usable key has this id.
    pub(super) fn has(&self, kid: &str) -> bool {
        self.keys
            .iter()
            .any(|key| key.unusable.is_none() && key.kid.as_deref() == Some(kid))
    }

    /// Takes what was fetched; `true` when the usable keys have changed.
    ///
    /// # Errors
    /// When it is no key set, or one without a usable key; the keys before stay.
    pub(super) fn take(
        &mut self,
        url: String,
        body: &[u8],
        at: UnixMillis,
    ) -> Result<bool, KeysError> {
        let jwks: Value = match serde_json::from_slice(body) {
            Ok(jwks) => jwks,
            Err(error) => return Err(KeysError::NoKeySet { url, error }),
        };
        let (fresh, keys) = match usable(&jwks) {
            Ok(usable) => usable,
            Err(error) => return Err(KeysError::Refused { url, error }),
        };
        if keys.iter().all(|key| key.unusable.is_some()) {
            // An issuer that loses all its keys at once is broken, not rotating.
            return Err(KeysError::NoneUsable { url });
        }
        let changed = self.usable.as_ref() != Some(&fresh);
        self.usable = Some(fresh);
        self.keys = keys;
        self.url = Some(url);
        self.fetched_at = Some(at);
        self.attempted_at = Some(at);
        self.error = None;
        self.failures = 0;
        self.due = Instant::now() + REFRESH.mul_f64(0.9 + 0.2 * random::jitter());
        Ok(changed)
    }

    /// Notes that fetching failed.
    pub(super) fn failed(&mut self, why: &KeysError, at: UnixMillis) {
        let wait = RETRY
            .saturating_mul(2_u32.saturating_pow(self.failures))
            .min(REFRESH);
        self.failures = self.failures.saturating_add(1);
        self.error = Some(why.to_string());
        self.attempted_at = Some(at);
        self.due = Instant::now() + wait.mul_f64(0.75 + 0.5 * random::jitter());
    }

    /// What lies on disk for an issuer.
    pub(super) fn cached_in(dir: &Path, issuer: Issuer) -> Self {
        let mut entry = Self::new(issuer);
        entry.load(dir);
        entry
    }

    /// Reads what lies on disk for this issuer, if it is there and whole.
    fn load(&mut self, dir: &Path) {
        if self.source == KeySource::Inline {
            return;
        }
        let Ok(bytes) = std::fs::read(path(dir, &self.issuer.issuer)) else {
            return;
        };
        let issuer = &self.issuer;
        let cached: Cached = match serde_json::from_slice(&bytes) {
            Ok(cached) => cached,
            Err(error) => {
                tracing::warn!(issuer = %issuer.issuer, %error, "a cached key set is damaged and ignored");
                return;
            }
        };
        // A policy that points the issuer elsewhere now does not trust what came from there.
        let moved = issuer
            .jwks_uri
            .as_ref()
            .is_some_and(|uri| !same_url(uri, &cached.url));
        if cached.issuer != issuer.issuer || moved {
            return;
        }
        if let Ok((usable, keys)) = usable(&cached.jwks) {
            (self.usable, self.keys) = (Some(usable), keys);
            self.url = Some(cached.url);
            self.fetched_at = Some(cached.fetched_at);
        }
    }

    /// What is to lie on disk for this issuer.
    pub(super) fn to_cache(&self, dir: &Path) -> Option<(PathBuf, Vec<u8>)> {
        let cached = Cached {
            issuer: self.issuer.issuer.clone(),
            url: self.url.clone()?,
            fetched_at: self.fetched_at?,
            jwks: self.usable.clone()?,
        };
        Some((
            path(dir, &self.issuer.issuer),
            serde_json::to_vec_pretty(&cached).ok()?,
        ))
    }
}

fn same_url(a: &str, b: &str) -> bool {
    match (reqwest::Url::parse(a), reqwest::Url::parse(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

fn path(dir: &Path, issuer: &str) -> PathBuf {
    dir.join(format!("{}.json", sha256_hex(issuer)))
}

/// The key set without what the gate cannot use, and a list of everything for people.
fn usable(jwks: &Value) -> Result<(Value, Vec<KeyView>), JwksError> {
    let (_, problems) = KeySet::from_value(jwks)?;
    let all = jwks
        .get("keys")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut kept = Vec::new();
    let mut list = Vec::new();
    for (index, key) in all.into_iter().enumerate() {
        let problem = problems.iter().find(|problem| problem.index == index);
        let text = |member| {
            let value = key.get(member).and_then(Value::as_str)?;
            Some(value.chars().take(128).collect::<String>())
        };
        list.push(KeyView {
            kid: text("kid"),
            kty: text("kty"),
            alg: text("alg"),
            unusable: problem.map(|problem| problem.reason.to_string()),
        });
        if problem.is_none() {
            kept.push(key);
        }
    }
    Ok((serde_json::json!({ "keys": kept }), list))
}
