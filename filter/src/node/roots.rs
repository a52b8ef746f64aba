//! The root contexts' side of a node: it is configured, time passes, answers come, it ends.

use std::rc::Rc;

use chaperone_engine::identity::{CacheStats, TokenCache};
use chaperone_engine::link;

use super::approvals::Approvals;
use super::calls::{Purpose, Reply, Wire};
use super::config::Config;
use super::events::Sender;
use super::metrics::Counter;
use super::policy::PolicySync;
use super::wake::Wake;
use super::{NodeOf, Parts, Root, TICK_MS};
use crate::host::{CallAnswer, CallId, ContextId, Host, Level};

/// Milliseconds to the next tick when a stream waits for something to be sent.
const URGENT_MS: u32 = 1;
/// Bytes that the token cache may take per entry on average; groups make tokens long.
const TOKEN_BYTES: usize = 2_048;

impl<G> NodeOf<G> {
    /// A root was configured: it is in charge from now on, and its ticks begin. Never fails, so
    /// that whether a configuration is good depends on its bytes alone.
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
            .read_shared(host, &self.metrics, host.steady(), false);
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
        parts.events.start_drain(host, &self.metrics, host.steady());
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
        for purpose in self.calls.overdue(host.steady()) {
            self.handle(host, root, purpose, None);
        }
        self.with_wire(host, root, |parts, wire, _| {
            parts.policy.go_on(wire);
            let mut wakes = parts.events.tick(wire);
            wakes.extend(parts.approvals.tick(wire));
            wakes
        });
        self.end_due(host.steady());
        self.send_due(host, root);
        self.hurry(host);
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
            self.hurry(host);
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
    pub(super) fn in_charge(&self) -> Option<&Root> {
        self.roots.last().or(self.leaving.as_ref())
    }

    fn is_in_charge(&self, root: ContextId) -> bool {
        self.in_charge().is_some_and(|charge| charge.id == root)
    }

    /// Makes the next tick an early one while a gate is being made.
    fn hurry(&mut self, host: &dyn Host) {
        let is_making = self.parts.as_ref().is_some_and(|p| p.policy.is_making());
        if is_making && self.leaving.is_none() {
            self.urge(host);
        }
    }

    /// Makes the next tick an early one.
    pub(super) fn urge(&mut self, host: &dyn Host) {
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
            now: host.steady(),
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
