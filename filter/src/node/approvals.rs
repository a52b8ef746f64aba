//! Asks about requests and waits for humans.
//!
//! An *ask* is a call of its own: it is tried a second time when no answer came, because asking
//! again with the same record is harmless, and then it is over. A *wait* parks a stream on an
//! approval until it is decided or the hold budget is over; all approvals that streams of this VM
//! wait for go to the control plane in a *watch*, a long poll, never one call per stream: Envoy's
//! default circuit breaker has 1,024 calls per cluster for all workers together.
//!
//! A call cannot be cancelled, so an approval that comes up while a watch runs cannot join it.
//! Weighed: waiting for the running watch to end makes the approver's answer late by up to its
//! whole length; short polls for everything put a steady load on the control plane for each waiting
//! request. So new approvals go out in a watch of their own, all that came since the last at once.
//! At most [`MAX_WATCHES`] run. The last of them is a short one, so that later approvals need not
//! wait long for the next. When watches end, their undecided approvals go on in one together.

use std::collections::{BTreeMap, BTreeSet};

use chaperone_engine::approval::ApprovalState;
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::link::{ASK_PATH, AskAnswer, NodeId, WATCH_PATH, WatchRequest};
use serde::{Deserialize, Deserializer};

use super::calls::{Backoff, Purpose, Reply, Wire};
use super::metrics::{Counter, Histogram};
use super::wake::{TooManyHeld, Wake};
use crate::host::ContextId;

/// Milliseconds that a watch waits, as the policy poll does.
pub(super) const WATCH_WAIT_MS: u64 = 25_000;
/// Milliseconds that the last possible watch waits.
pub(super) const SHORT_WAIT_MS: u64 = 250;
/// Watches that may run at once.
pub(super) const MAX_WATCHES: usize = 4;
/// Approvals in one watch: some 40 KiB.
const MAX_WATCHED: usize = 1_000;
/// Tries of an ask.
const ASK_TRIES: u8 = 2;
/// Longest pause after failed watches.
const MAX_BACKOFF_MS: u64 = 2_000;
/// Least milliseconds from one watch to the next with the same approvals.
const PACE_MS: u64 = 50;

struct Ask {
    stream: ContextId,
    body: Vec<u8>,
    tries: u8,
    on_its_way: bool,
}

struct Held {
    approval: String,
    since: UnixMillis,
    until: UnixMillis,
}

struct Watch {
    approvals: BTreeSet<String>,
    sent_at: UnixMillis,
}

pub(super) struct Approvals {
    asks: BTreeMap<u64, Ask>,
    held: BTreeMap<ContextId, Held>,
    watches: BTreeMap<u64, Watch>,
    next: u64,
    /// Approvals not to be watched again before then: a watch with them failed or ended at once.
    resting: BTreeMap<String, UnixMillis>,
    backoff: Backoff,
}

/// [`WatchAnswer`](chaperone_engine::link::WatchAnswer) as it is read here. One state that a newer
/// control plane has and this filter does not know must not keep the other streams waiting.
#[derive(Deserialize)]
struct Answer {
    decided: Vec<Decided>,
}

#[derive(Deserialize)]
struct Decided {
    approval: String,
    /// `None` for one that is not known: no longer pending, and what it is the stream learns when
    /// it asks.
    #[serde(deserialize_with = "if_known")]
    state: Option<ApprovalState>,
}

fn if_known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ApprovalState>, D::Error> {
    let state = serde_json::Value::deserialize(deserializer)?;
    Ok(ApprovalState::deserialize(state).ok())
}

impl Approvals {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            asks: BTreeMap::new(),
            held: BTreeMap::new(),
            watches: BTreeMap::new(),
            next: 0,
            resting: BTreeMap::new(),
            backoff: Backoff::new(100, MAX_BACKOFF_MS, seed),
        }
    }

    fn number(&mut self) -> u64 {
        self.next = self.next.saturating_add(1);
        self.next
    }

    /// Queues a question; the answer comes as a wake, always.
    pub(super) fn ask(&mut self, stream: ContextId, body: Vec<u8>) {
        // A stream has one question at a time; the answer to an older one is nobody's.
        self.asks.retain(|_, ask| ask.stream != stream);
        let number = self.number();
        self.asks.insert(
            number,
            Ask {
                stream,
                body,
                tries: 0,
                on_its_way: false,
            },
        );
    }

    /// Parks a stream.
    ///
    /// # Errors
    /// [`TooManyHeld`] when `limit` streams are parked.
    pub(super) fn wait(
        &mut self,
        stream: ContextId,
        approval: &str,
        now: UnixMillis,
        until: UnixMillis,
        limit: usize,
    ) -> Result<(), TooManyHeld> {
        if self.held.len() >= limit && !self.held.contains_key(&stream) {
            return Err(TooManyHeld);
        }
        self.held.insert(
            stream,
            Held {
                approval: approval.to_owned(),
                since: now,
                until,
            },
        );
        Ok(())
    }

    /// Forgets a stream.
    pub(super) fn cancel(&mut self, stream: ContextId) {
        self.asks.retain(|_, ask| ask.stream != stream);
        self.held.remove(&stream);
    }

    /// The control plane answers again after an outage.
    pub(super) fn nudge(&mut self) {
        if self.backoff.failures() > 0 {
            self.resting.clear();
        }
    }

    /// Sends what is to be sent.
    pub(super) fn send_due(&mut self, wire: &mut Wire<'_>, me: &NodeId) -> Vec<(ContextId, Wake)> {
        let wakes = self.send_asks(wire);
        self.send_watch(wire, me);
        wakes
    }

    // === asks ===

    fn send_asks(&mut self, wire: &mut Wire<'_>) -> Vec<(ContextId, Wake)> {
        let mut wakes = Vec::new();
        self.asks.retain(|number, ask| {
            if ask.on_its_way {
                return true;
            }
            if ask.tries >= ASK_TRIES {
                wire.metrics.add(wire.host, Counter::AsksUnanswered, 1);
                wakes.push((ask.stream, Wake::AskUnavailable));
                return false;
            }
            ask.tries = ask.tries.saturating_add(1);
            // A refusal at once (no healthy host) is one of the tries; the next comes a tick later.
            ask.on_its_way = wire.send(Purpose::Ask(*number), ASK_PATH, &ask.body, 0);
            true
        });
        wakes
    }

    pub(super) fn on_ask(
        &mut self,
        wire: &Wire<'_>,
        number: u64,
        reply: &Reply,
    ) -> Option<(ContextId, Wake)> {
        let ask = self.asks.get_mut(&number)?;
        ask.on_its_way = false;
        let stream = ask.stream;
        if let Some(answer) = reply.read::<AskAnswer>() {
            self.asks.remove(&number);
            wire.metrics.add(wire.host, Counter::AsksAnswered, 1);
            return Some((stream, Wake::Answer(answer)));
        }
        if ask.tries < ASK_TRIES && reply.may_recover() {
            return None;
        }
        self.asks.remove(&number);
        wire.metrics.add(wire.host, Counter::AsksUnanswered, 1);
        Some((stream, Wake::AskUnavailable))
    }

    // === watches ===

    fn send_watch(&mut self, wire: &mut Wire<'_>, me: &NodeId) {
        if self.watches.len() >= MAX_WATCHES || self.held.is_empty() {
            return;
        }
        let now = wire.now;
        self.resting
            .retain(|_, until| now < *until && until.since(now) <= MAX_BACKOFF_MS);
        let approvals: BTreeSet<String> = self
            .held
            .values()
            .map(|held| &held.approval)
            .filter(|id| !self.resting.contains_key(*id))
            .filter(|id| {
                !self
                    .watches
                    .values()
                    .any(|watch| watch.approvals.contains(*id))
            })
            .take(MAX_WATCHED)
            .cloned()
            .collect();
        if approvals.is_empty() {
            return;
        }
        let last = self.watches.len().saturating_add(1) == MAX_WATCHES;
        let wait_ms = if last { SHORT_WAIT_MS } else { WATCH_WAIT_MS };
        let request = WatchRequest {
            node: me.clone(),
            approvals: approvals.iter().cloned().collect(),
            wait_ms,
        };
        // Strings and numbers only: serialising them cannot fail.
        let body = serde_json::to_vec(&request).unwrap_or_default();
        let number = self.number();
        if wire.send(Purpose::Watch(number), WATCH_PATH, &body, wait_ms) {
            self.watches.insert(
                number,
                Watch {
                    approvals,
                    sent_at: now,
                },
            );
        } else {
            let pause = self.backoff.next_ms();
            self.rest(approvals, now.saturating_add(pause));
        }
    }

    fn rest(&mut self, approvals: BTreeSet<String>, until: UnixMillis) {
        self.resting
            .extend(approvals.into_iter().map(|id| (id, until)));
    }

    pub(super) fn on_watch(
        &mut self,
        wire: &Wire<'_>,
        number: u64,
        reply: &Reply,
    ) -> Vec<(ContextId, Wake)> {
        let Some(watch) = self.watches.remove(&number) else {
            return Vec::new();
        };
        let Some(answer) = reply.read::<Answer>() else {
            wire.metrics.add(wire.host, Counter::WatchesFailed, 1);
            let pause = self.backoff.next_ms();
            self.rest(watch.approvals, wire.now.saturating_add(pause));
            return Vec::new();
        };
        self.backoff.reset();
        let decided: BTreeSet<&str> = answer
            .decided
            .iter()
            .filter(|watched| watched.state != Some(ApprovalState::Pending))
            .map(|watched| watched.approval.as_str())
            .collect();
        let wakes = self.release(wire, Counter::HoldsDecided, Wake::Changed, |held| {
            decided.contains(held.approval.as_str())
        });
        // A control plane that answers at once with nothing must not be asked in a tight loop. Nor
        // must one whose answer is not known here: the stream asks, and may find that it has to
        // wait after all.
        let mut again = watch.approvals;
        again.retain(|id| {
            let mut with_id = answer.decided.iter().filter(|one| one.approval == *id);
            decided.is_empty() || with_id.any(|one| one.state.is_none())
        });
        if wire.now.since(watch.sent_at) < PACE_MS {
            self.rest(again, wire.now.saturating_add(PACE_MS));
        }
        wakes
    }

    /// Wakes those whose hold budget is over.
    pub(super) fn tick(&mut self, wire: &Wire<'_>) -> Vec<(ContextId, Wake)> {
        let now = wire.now;
        self.release(wire, Counter::HoldsOver, Wake::Timeout, |held| {
            now >= held.until
        })
    }

    fn release(
        &mut self,
        wire: &Wire<'_>,
        counter: Counter,
        wake: Wake,
        ends: impl Fn(&Held) -> bool,
    ) -> Vec<(ContextId, Wake)> {
        let mut wakes = Vec::new();
        self.held.retain(|stream, held| {
            if !ends(held) {
                return true;
            }
            wire.metrics.add(wire.host, counter, 1);
            wire.metrics
                .record(wire.host, Histogram::HoldMs, wire.now.since(held.since));
            wakes.push((*stream, wake.clone()));
            false
        });
        wakes
    }
}
