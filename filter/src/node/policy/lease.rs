//! Which worker of this Envoy polls for all of them: a lease in shared data.
//!
//! The holder writes its boot id and an expiry, and renews it; when it dies (a trap, a shutdown)
//! the lease runs out and the next worker that looks takes it. Shared data belongs to every plugin
//! of the process, so its content is believed only as far as a mistake is harmless: two holders
//! poll twice, and a lease that somebody else keeps is no way to keep policy from a worker, because
//! each worker's own status report brings a newer bundle too.
//!
//! The expiry is by the wall clock, the only one that workers have in common. It is believed no
//! further ahead than a lease lasts, so a clock that is set costs one lease at most.

use chaperone_engine::audit::BootId;
use chaperone_engine::base::time::UnixMillis;

use crate::host::Host;

/// Milliseconds that a lease lasts: how long nobody polls after a holder died.
const TERM_MS: u64 = 3_000;
/// Milliseconds between renewals by the holder, and between looks by the others.
const LOOK_MS: u64 = 1_000;

#[derive(Debug)]
pub(in crate::node) struct Lease {
    key: String,
    holding: bool,
    look_at: UnixMillis,
}

impl Lease {
    pub(in crate::node) const fn new(key: String) -> Self {
        Self {
            key,
            holding: false,
            look_at: UnixMillis(0),
        }
    }

    /// Whether this worker is the one that polls now; renews or takes the lease where it should.
    pub(in crate::node) fn hold(&mut self, host: &dyn Host, me: &BootId, now: UnixMillis) -> bool {
        // A clock that was set back must not stop the renewals.
        if now < self.look_at && self.look_at.since(now) <= LOOK_MS {
            return self.holding;
        }
        self.look_at = now.saturating_add(LOOK_MS);
        let found = host.shared(&self.key);
        let version = found.as_ref().map(|(_, version)| *version);
        let mine_to_take = match found.as_ref().and_then(|(value, _)| parse(value)) {
            // An expiry further off than any holder writes is a mistake or an attack.
            Some((holder, until)) => {
                holder == me.as_str() || until <= now || until.since(now) > TERM_MS
            }
            None => true,
        };
        self.holding = mine_to_take
            && self.write(host, me, now.saturating_add(TERM_MS), version)
            && self.is_written(host, me);
        self.holding
    }

    /// Lets go, so that the next worker need not wait for the expiry.
    pub(in crate::node) fn release(&mut self, host: &dyn Host, me: &BootId) {
        if self.holding {
            self.holding = false;
            if let Some((value, version)) = host.shared(&self.key)
                && parse(&value).is_some_and(|(holder, _)| holder == me.as_str())
            {
                self.write(host, me, UnixMillis(0), Some(version));
            }
        }
    }

    fn write(&self, host: &dyn Host, me: &BootId, until: UnixMillis, version: Option<u32>) -> bool {
        let value = format!("{} {}", me.as_str(), until.0);
        host.set_shared(&self.key, value.as_bytes(), version)
            .is_ok()
    }

    /// A key that is not there yet has no version to compare with, so two workers can both write
    /// it; the one that is read back has it.
    fn is_written(&self, host: &dyn Host, me: &BootId) -> bool {
        let read = host.shared(&self.key);
        read.and_then(|(value, _)| parse(&value).map(|(holder, _)| holder == me.as_str()))
            .unwrap_or(false)
    }
}

fn parse(value: &[u8]) -> Option<(&str, UnixMillis)> {
    let (holder, until) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    Some((holder, UnixMillis(until.parse().ok()?)))
}
