//! The state that all streams of one VM share: policy, token cache, event queue, approvals,
//! metrics.
//!
//! One [`Node`] per VM, which is one per Envoy worker. It outlives configurations: an update makes
//! a new root context in the same VM, and the queue, the boot id, the policy in force and
//! everything that waits go on under the new one. The configuration that came last is the one by
//! which the node talks to the control plane; old roots tick on until their listeners have drained,
//! for nothing.
//!
//! | module | is about |
//! |---|---|
//! | `config` | the plugin configuration |
//! | `policy` | which policy is in force, and how the next one gets here |
//! | `events` | events until they are acknowledged |
//! | `sessions` | secrets that were masked in a session's requests, for its answers |
//! | `approvals` | asking about requests, waiting for humans |
//! | `roots`, `streams` | the node's side for root contexts, and for streams |
//! | `calls` | calls to the control plane: which answers count, when to try again |
//! | `metrics` | counters, gauges and histograms in Envoy's admin |
//! | `surplus` | how much more than they are bodies may become |
//! | `turn`, `work` | how much work bodies may do in one callback, and in one tick |
//! | `wake` | its answers to streams |
//!
//! Nothing here calls into streams: their news comes out of [`Node::take_wakes`]. And no
//! stream's callback calls out: Envoy gives every answer to the root, and by then the stream may be
//! gone. Streams leave their wishes here and make the next tick an early one; the callbacks of the
//! root send.

mod approvals;
mod calls;
mod config;
mod events;
mod metrics;
mod policy;
mod roots;
mod sessions;
mod streams;
mod surplus;
mod turn;
mod wake;
mod work;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::rc::Rc;

use chaperone_engine::audit::BootId;
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::gate::{Gate, GateMaking};
use chaperone_engine::identity::TokenCache;

use self::approvals::Approvals;
use self::calls::Calls;
use self::events::Sender;
use self::policy::{Build, PolicySync};
use self::sessions::Sessions;
use self::surplus::Surplus;
use self::turn::Turn;
use crate::host::{ContextId, Host};

pub use self::config::{
    ApprovalUrl, Config, ConfigError, ControlPlane, Limits, Profile, Secret, StartingBundle,
};
pub use self::metrics::{Counter, Gauge, Histogram, Metrics};
pub use self::sessions::SessionKey;
pub use self::surplus::MAX_REST;
pub use self::wake::{AuditFull, TooManyHeld, Wake};
pub use self::work::Work;

/// Milliseconds between ticks. A tick without news costs one short read of shared memory, and is
/// how late a worker may see the policy that another one fetched.
pub const TICK_MS: u32 = 25;

/// The worker's node, deciding with the engine's [`Gate`].
pub type Node = NodeOf<Gate>;

/// A root context and its configuration.
struct Root {
    id: ContextId,
    config: Rc<Config>,
}

/// One worker's filter instance, for as long as its VM lives. `G` is the gate that is made of a
/// bundle.
pub struct NodeOf<G> {
    build: Build<G>,
    boot: BootId,
    seed: u64,
    name: String,
    /// Oldest first; the last one is in charge.
    roots: Vec<Root>,
    /// The last root, which waits for the drain. It is no longer in `roots`.
    leaving: Option<Root>,
    /// Whether the next tick was made an early one.
    urgent: bool,
    /// Records opened so far.
    records: u64,
    metrics: Metrics,
    tokens: TokenCache,
    tokens_shown: (u64, u64),
    calls: Calls,
    wakes: Vec<(ContextId, Wake)>,
    /// Streams that are to end, and when.
    endings: Vec<(ContextId, UnixMillis)>,
    /// Streams that are to be woken, and when.
    times: HashMap<ContextId, UnixMillis>,
    surplus: Surplus,
    /// The work that bodies may still do until the next tick, and in this one.
    turn: Turn,
    sessions: Sessions,
    /// The parts that need a configuration; `None` before the first.
    parts: Option<Parts<G>>,
}

/// The parts that need a configuration to exist.
struct Parts<G> {
    policy: PolicySync<G>,
    events: Sender,
    approvals: Approvals,
}

impl Node {
    /// A node with a fresh boot id.
    pub fn new(host: &dyn Host) -> Self {
        Self::with_build(host, |bundle, before| {
            Box::new(GateMaking::new(bundle, before))
        })
    }
}

impl<G> NodeOf<G> {
    /// A node that makes its gates with `build`.
    fn with_build(host: &dyn Host, build: Build<G>) -> Self {
        let random = host.random();
        // Any part of the random bits does: the seed only spreads retries.
        let seed = u64::try_from(random & u128::from(u64::MAX)).unwrap_or(1);
        Self {
            build,
            boot: BootId::from_random(random),
            seed,
            name: String::new(),
            roots: Vec::new(),
            leaving: None,
            urgent: false,
            records: 0,
            metrics: Metrics::default(),
            tokens: TokenCache::new(0, 0),
            tokens_shown: (0, 0),
            calls: Calls::default(),
            wakes: Vec::new(),
            endings: Vec::new(),
            times: HashMap::new(),
            surplus: Surplus::new(),
            turn: Turn::new(),
            sessions: Sessions::default(),
            parts: None,
        }
    }
}
