//! Shared data: how a bundle gets from one worker of this Envoy to the others.

use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::bundle::Serial;

use super::in_force::{InForce, Offer};
use crate::host::{Host, Level};
use crate::node::calls::Backoff;
use crate::node::metrics::{Counter, Metrics};

/// First and longest pause after shared data that did not verify.
const TAMPERED_MS: u64 = 1_000;
const MAX_TAMPERED_MS: u64 = 10_000;

/// The two keys in shared data: the bundle, and its serial, which is looked at on each tick.
pub(super) struct SharedPolicy {
    head: String,
    bundle: String,
    look_at: UnixMillis,
    backoff: Backoff,
}

impl SharedPolicy {
    pub(super) fn new(prefix: &str, seed: u64) -> Self {
        Self {
            head: format!("{prefix}/head"),
            bundle: format!("{prefix}/bundle"),
            look_at: UnixMillis(0),
            backoff: Backoff::new(TAMPERED_MS, MAX_TAMPERED_MS, seed.rotate_left(35)),
        }
    }

    /// Other names from now on.
    pub(super) fn rename(&mut self, prefix: &str) {
        self.head = format!("{prefix}/head");
        self.bundle = format!("{prefix}/bundle");
        self.look_at = UnixMillis(0);
    }

    /// Adopts the bundle that another worker has published, if it is newer and genuine. With the
    /// lease, replaces an older or false one. `true` if one was adopted.
    pub(super) fn read<G>(
        &mut self,
        host: &dyn Host,
        metrics: &Metrics,
        now: UnixMillis,
        leads: bool,
        in_force: &mut InForce<G>,
    ) -> bool {
        if now < self.look_at && self.look_at.since(now) <= MAX_TAMPERED_MS {
            return false;
        }
        let head = host
            .shared(&self.head)
            .and_then(|(value, _)| parse_serial(&value));
        let (ours, coming) = (in_force.serial(), in_force.coming());
        // A gate is being made of what stands there, or of a newer one.
        if head == ours || head > ours && head <= coming {
            return false;
        }
        if head > ours
            && let Some((envelope, _)) = host.shared(&self.bundle)
        {
            match in_force.offer(host, metrics, &envelope) {
                Offer::Adopted => {
                    self.backoff.reset();
                    return true;
                }
                Offer::Coming => return false,
                Offer::NotNewer(_) | Offer::Refused(_) => {}
            }
            self.look_later(now);
            metrics.add(host, Counter::SharedDataRejected, 1);
            if self.backoff.failures() == 1 {
                let line = "The policy in Envoy's shared data is not a newer, genuine bundle; \
                            another plugin may have written it. It is ignored.";
                host.log(Level::Warn, line);
            }
        }
        if leads {
            self.publish(host, in_force);
        }
        false
    }

    /// What stands there is of no use. Verifying costs a signature, up to 8 MiB of parsing, and a
    /// gate: not on each tick.
    pub(super) fn look_later(&mut self, now: UnixMillis) {
        self.look_at = now.saturating_add(self.backoff.next_ms());
    }

    /// Writes the bundle in force for the other workers.
    pub(super) fn publish<G>(&self, host: &dyn Host, in_force: &InForce<G>) {
        let Some((serial, envelope)) = in_force.envelope() else {
            return;
        };
        // The bundle first: who sees the head must find what it names.
        let head = serial.to_string();
        let bundle = host.set_shared(&self.bundle, envelope, None);
        if bundle
            .and_then(|()| host.set_shared(&self.head, head.as_bytes(), None))
            .is_err()
        {
            let line = "A policy could not be written to Envoy's shared data; the other workers \
                        will fetch it themselves.";
            host.log(Level::Warn, line);
        }
    }
}

fn parse_serial(head: &[u8]) -> Option<Serial> {
    let (policy_version, keys_revision) = std::str::from_utf8(head).ok()?.split_once('.')?;
    Some(Serial {
        policy_version: policy_version.parse().ok()?,
        keys_revision: keys_revision.parse().ok()?,
    })
}
