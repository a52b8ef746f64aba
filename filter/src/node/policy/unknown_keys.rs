//! Keys that tokens named and no key set had, on their way to the control plane.
//!
//! Anybody can send a token with a made-up `kid`, so the names that are remembered and sent are
//! bounded: a flood of made-up names must not fill the memory. Nor does it keep a real rotation
//! from being heard: any report about an issuer makes the control plane look at all of that
//! issuer's keys.

use std::collections::HashMap;

use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::identity::UnknownKey;

/// Names remembered at once. The issuer is always one of the policy's own, so this is shared by
/// few.
const MAX_KEYS: usize = 64;
/// Milliseconds for which a name that was reported is not reported again.
const QUIET_MS: u64 = 30_000;
/// Least milliseconds between two reports made for unknown keys alone.
const PACE_MS: u64 = 250;

#[derive(Debug, Default)]
pub(super) struct UnknownKeys {
    /// When each was reported; `None` while it waits.
    seen: HashMap<UnknownKey, Option<UnixMillis>>,
    reported_at: Option<UnixMillis>,
}

impl UnknownKeys {
    /// Notes a key. `true` when it is news.
    pub(super) fn note(&mut self, key: UnknownKey, now: UnixMillis) -> bool {
        self.seen
            .retain(|_, at| at.is_none_or(|at| now.since(at) < QUIET_MS));
        if self.seen.contains_key(&key) || self.seen.len() >= MAX_KEYS {
            return false;
        }
        self.seen.insert(key, None);
        true
    }

    /// Whether a report is worth making now.
    pub(super) fn due(&self, now: UnixMillis) -> bool {
        self.reported_at.is_none_or(|at| now.since(at) >= PACE_MS)
            && self.seen.values().any(Option::is_none)
    }

    /// Those that wait, for a report that is about to leave.
    pub(super) fn take(&mut self, now: UnixMillis) -> Vec<UnknownKey> {
        let mut keys = Vec::new();
        for (key, at) in &mut self.seen {
            if at.is_none() {
                *at = Some(now);
                keys.push(key.clone());
            }
        }
        if !keys.is_empty() {
            self.reported_at = Some(now);
        }
        keys
    }

    /// The report did not arrive: these are news again.
    pub(super) fn put_back(&mut self, keys: Vec<UnknownKey>) {
        for key in keys {
            self.seen.insert(key, None);
        }
    }
}
