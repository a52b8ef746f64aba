//! What all streams of one VM share: policy, token cache, event queue, approvals, metrics.
//!
//! One [`Node`] per VM, which is one per Envoy worker. It outlives configurations: an update makes a
//! new root context in the same VM, and the queue, the boot id, the policy in force and everything
//! that waits go on under the new one. The configuration that came last is the one by which the node
//! talks to the control plane; old roots tick on until their listeners have drained, for nothing.
//!
//! | module | is about |
//! |---|---|
//! | `config` | the plugin configuration |
//! | `policy`, `lease`, `unknown_keys` | which policy is in force, and how the next one gets here |
//! | `events` | events until they are acknowledged |
//! | `sessions` | what was masked in a session's requests, for its answers |
//! | `approvals` | asking about requests, waiting for humans |
//! | `streams` | what streams ask of the node |
//! | `calls` | calls to the control plane: what is an answer, when to try again |
//! | `metrics` | what Envoy's admin shows |
//!
//! Nothing here calls into streams: what they waited for comes out of [`Node::take_wakes`]. And no
//! stream's callback calls out: Envoy gives every answer to the root, and by then the stream may be
//! gone. Streams leave their wishes here and make the next tick an early one; the callbacks of the
//! root send.

mod approvals;
mod calls;
mod config;
mod events;
mod lease;
mod metrics;
mod policy;
mod reader;
mod sessions;
mod streams;
mod unknown_keys;

#[cfg(test)]
mod tests;

use std::rc::Rc;

use chaperone_engine::audit::BootId;
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::gate::Gate;
use chaperone_engine::identity::{CacheStats, TokenCache};
use chaperone_engine::link::{self, AskAnswer};

use self::approvals::Approvals;
use self::calls::{Calls, Purpose, Reply, Wire};
use self::events::Sender;
use self::policy::{Build, PolicySync};
use self::sessions::Sessions;
use crate::host::{CallAnswer, CallId, ContextId, Host, Level};

pub use self::config::{
    ApprovalUrl, Config, ConfigError, ControlPlane, Limits, Profile, Secret, StartingBundle,
};
pub use self::metrics::{Counter, Gauge, Histogram, Metrics};
pub use self::sessions::SessionKey;

/// Milliseconds between ticks. A tick without news costs one short read of shared memory, and is how
/// late a worker may see the policy that another one fetched.
pub const TICK_MS: u32 = 25;
/// Milliseconds to the next tick when a stream waits for something to be sent.
const URGENT_MS: u32 = 1;
/// Bytes that the token cache may take per entry on average; groups make tokens long.
const TOKEN_BYTES: usize = 2_048;

/// What a stream waited for has come, or will not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wake {
    /// [`Node::require_durable`]: the event is stored.
    Durable,
    /// [`Node::require_durable`]: it could not be stored in time. 503 `audit_unavailable`.
    AuditUnavailable,
    /// [`Node::ask`]: how the request stands.
    Answer(AskAnswer),
    /// [`Node::ask`]: no answer. 503 `control_plane_unavailable`.
    AskUnavailable,
    /// [`Node::wait`]: decided, one way or the other; ask again with the same record.
    Changed,
    /// [`Node::wait`]: the hold budget is over; take a ticket.
    Timeout,
    /// [`NodeOf::end_later`]: now.
    Over,
}

/// The queue is full and `on_audit_full` is `block`: 503 `audit_full`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditFull;

/// As many streams are parked as `limits.hold_streams` allows: take a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyHeld;

/// The worker's node, deciding with the engine's [`Gate`].
pub type Node = NodeOf<Gate>;

/// A root context and what it was told.
struct Root {
    id: ContextId,
    config: Rc<Config>,
}

/// One worker's filter instance, for as long as its VM lives. `G` is what a bundle is made into.
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
    sessions: Sessions,
    /// What a configuration brings; `None` before the first.
    parts: Option<Parts<G>>,
}

/// What needs a configuration to exist.
struct Parts<G> {
    policy: PolicySync<G>,
    events: Sender,
    approvals: Approvals,
}

impl Node {
    /// A node with a fresh boot id.
    pub fn new(host: &dyn Host) -> Self {
        Self::with_build(host, |bundle, before| {
            let gate = match before {
                Some(before) => before.next(bundle),
                None => Gate::from_bundle(bundle),
            };
            gate.map_err(|error| error.to_string())
        })
    }
}

impl<G> NodeOf<G> {
    /// A node that makes of a verified bundle what `build` makes of it. The verdict of `build` may
    /// depend on nothing but the bundle.
    pub(crate) fn with_build(host: &dyn Host, build: Build<G>) -> Self {
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
            sessions: Sessions::default(),
            parts: None,
        }
    }

    // === for the root ===

    /// A root was configured: it is in charge from now on, and its ticks begin. Never fails, so that
    /// whether a configuration is good depends on its bytes alone.
    pub fn configure(&mut self, host: &dyn Host, root: ContextId, config: Rc<Config>) {
        self.metrics.define(host);
        self.name = config
            .node_name
            .clone()
            .or_else(|| node_id(host))
            .unwrap_or_else(|| UNNAMED.to_owned());
        let entries = config.limits.token_cache_entries;
        self.tokens = TokenCache::new(entries, entries.saturating_mul(TOKEN_BYTES));
        self.tokens_shown = (0, 0);
        let (build, seed) = (self.build, self.seed);
        let parts = self.parts.get_or_insert_with(|| Parts {
            policy: PolicySync::new(build, &config, seed),
            events: Sender::new(config.limits, seed.rotate_left(11)),
            approvals: Approvals::new(seed.rotate_left(23)),
        });
        parts.policy.reconfigure(&config);
        parts.events.reconfigure(config.limits);
        if let Some(starting) = &config.bundle
            && let Err(why) = parts.policy.start_from(host, &self.metrics, starting)
        {
            let line = format!("The bundle of the configuration cannot be enforced: {why}");
            host.log(Level::Error, &line);
        }
        // A VM that was reloaded after a trap goes on with what the other workers enforce.
        parts
            .policy
            .read_shared(host, &self.metrics, host.now(), false);
        if let Some(leaving) = self.leaving.take() {
            host.root_done(leaving.id);
        }
        if self.urgent
            && let Some(before) = self.in_charge().map(|before| before.id)
        {
            // Nobody else would slow its ticks down again.
            host.tick_every(before, TICK_MS);
        }
        self.urgent = false;
        self.roots.retain(|known| known.id != root);
        self.roots.push(Root { id: root, config });
        host.tick_every(root, TICK_MS);
    }

    /// A root goes. `true`: it may go now. `false`: it is the last one and events are still to be
    /// handed over; [`Host::root_done`] is called when they are.
    pub fn root_done(&mut self, host: &dyn Host, root: ContextId) -> bool {
        let Some(at) = self.roots.iter().position(|known| known.id == root) else {
            return true;
        };
        let leaving = self.roots.remove(at);
        if !self.roots.is_empty() {
            return true;
        }
        let boot = self.boot.clone();
        let Some(parts) = &mut self.parts else {
            return true;
        };
        parts.policy.stop(host, &boot);
        parts.events.start_drain(host.now());
        self.leaving = Some(leaving);
        // In the root's own callback, so this may call out: ticks need not come any more.
        self.send_due(host, root);
        false
    }

    /// A root is gone, and with it the answers to its calls: they count as unanswered.
    pub fn root_deleted(&mut self, host: &dyn Host, root: ContextId) {
        self.roots.retain(|known| known.id != root);
        if self
            .leaving
            .as_ref()
            .is_some_and(|leaving| leaving.id == root)
        {
            self.leaving = None;
        }
        for purpose in self.calls.lost_with(root) {
            self.handle(host, root, purpose, None);
        }
        self.urge(host);
    }

    /// Time passes. Only the root in charge does anything.
    pub fn on_tick(&mut self, host: &dyn Host, root: ContextId) {
        if !self.is_in_charge(root) {
            return;
        }
        if self.urgent {
            self.urgent = false;
            host.tick_every(root, TICK_MS);
        }
        for purpose in self.calls.overdue(host.now()) {
            self.handle(host, root, purpose, None);
        }
        self.with_wire(host, root, |parts, wire, _| {
            let mut wakes = parts.events.tick(wire);
            wakes.extend(parts.approvals.tick(wire));
            wakes
        });
        self.end_due(host.now());
        self.send_due(host, root);
        self.show_tokens(host);
    }

    /// A call was answered, or broke off.
    pub fn on_call_answer(
        &mut self,
        host: &dyn Host,
        root: ContextId,
        call: CallId,
        answer: CallAnswer,
    ) {
        // Given up before, or answered twice.
        let Some(purpose) = self.calls.take(call) else {
            return;
        };
        self.handle(host, root, purpose, Some(answer));
        if self.is_in_charge(root) {
            self.send_due(host, root);
        } else {
            self.urge(host);
        }
    }

    /// Streams to wake, in order, since this was last asked. A stream that is not woken hangs until
    /// Envoy's idle timeout.
    #[must_use = "a stream that is not woken hangs"]
    pub fn take_wakes(&mut self) -> Vec<(ContextId, Wake)> {
        std::mem::take(&mut self.wakes)
    }

    /// Sends all that is due. In a callback of the root in charge only.
    fn send_due(&mut self, host: &dyn Host, root: ContextId) {
        let shutting_down = self.leaving.is_some();
        self.with_wire(host, root, |parts, wire, me| {
            if !shutting_down {
                parts.policy.tick(wire, me);
            }
            let mut wakes = parts.events.send_due(wire, me);
            wakes.extend(parts.approvals.send_due(wire, me));
            wakes
        });
        let drained = self
            .parts
            .as_ref()
            .is_none_or(|parts| parts.events.is_drained());
        if drained && let Some(leaving) = self.leaving.take() {
            host.root_done(leaving.id);
        }
    }

    fn handle(
        &mut self,
        host: &dyn Host,
        root: ContextId,
        purpose: Purpose,
        answer: Option<CallAnswer>,
    ) {
        self.with_wire(host, root, |parts, wire, _| {
            let reply = match answer {
                Some(answer) => wire.receive(purpose, answer),
                None => {
                    wire.unanswered();
                    Reply::None
                }
            };
            if let Reply::Answer(_) = reply {
                parts.policy.nudge(wire.now);
                parts.events.nudge(wire.now);
                parts.approvals.nudge();
            }
            match purpose {
                Purpose::Poll => parts.policy.on_poll(wire, &reply),
                Purpose::Report => parts.policy.on_report(wire, &reply),
                Purpose::Events(number) => return parts.events.on_reply(wire, number, &reply),
                Purpose::Ask(number) => {
                    return parts
                        .approvals
                        .on_ask(wire, number, &reply)
                        .into_iter()
                        .collect();
                }
                Purpose::Watch(number) => return parts.approvals.on_watch(wire, number, &reply),
            }
            Vec::new()
        });
    }

    /// The root in charge: the newest, or the last one while it drains.
    fn in_charge(&self) -> Option<&Root> {
        self.roots.last().or(self.leaving.as_ref())
    }

    fn is_in_charge(&self, root: ContextId) -> bool {
        self.in_charge().is_some_and(|charge| charge.id == root)
    }

    /// Makes the next tick an early one.
    fn urge(&mut self, host: &dyn Host) {
        if !self.urgent
            && let Some(root) = self.in_charge().map(|root| root.id)
        {
            self.urgent = true;
            host.tick_every(root, URGENT_MS);
        }
    }

    fn with_wire(
        &mut self,
        host: &dyn Host,
        root: ContextId,
        act: impl FnOnce(&mut Parts<G>, &mut Wire<'_>, &link::NodeId) -> Vec<(ContextId, Wake)>,
    ) {
        let me = self.identity();
        let Some(config) = self.in_charge().map(|root| Rc::clone(&root.config)) else {
            return;
        };
        let Some(parts) = &mut self.parts else { return };
        let mut wire = Wire {
            host,
            config: &config,
            metrics: &self.metrics,
            calls: &mut self.calls,
            now: host.now(),
            root,
        };
        self.wakes.extend(act(parts, &mut wire, &me));
    }

    fn show_tokens(&mut self, host: &dyn Host) {
        let CacheStats { hits, misses, .. } = self.tokens.stats();
        let (hits_shown, misses_shown) = self.tokens_shown;
        self.metrics.add(
            host,
            Counter::TokenCacheHits,
            hits.saturating_sub(hits_shown),
        );
        self.metrics.add(
            host,
            Counter::TokenCacheMisses,
            misses.saturating_sub(misses_shown),
        );
        self.tokens_shown = (hits, misses);
    }
}

/// Envoy's `node.id`, if it can be a node's name.
/// Envoy 1.36 to 1.40 know it as the attribute `xds.node.id`; a plain `node.id` is empty.
fn node_id(host: &dyn Host) -> Option<String> {
    let id = String::from_utf8(host.property(&["xds", "node", "id"])?).ok()?;
    is_node_name(&id).then_some(id)
}

/// The name of a node that has none: the control plane does not speak with the nameless.
const UNNAMED: &str = "envoy";

/// Whether the control plane takes it for a name.
fn is_node_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && !name.chars().any(char::is_control)
}
