//! Sends events and keeps them until they are acknowledged.
//!
//! One batch is on its way at a time, so the control plane sees the numbers in order; it leaves
//! when it is full, when its oldest event has waited `flush_ms`, or at once when a request waits
//! for its event to be durable (`audit: required`). An event that is not acknowledged goes out
//! again: `(boot, seq)` is an event's identity, so sending it twice does no harm.
//!
//! How long a request waits for durability was weighed. Failing at the first lost answer turns one
//! reset connection into a 503; waiting for the whole timeout while the control plane is known to
//! be down holds every such request for seconds. So: the first failure is tried again within the
//! request's time, the second in a row refuses all that wait; and while it is down, one try at a
//! time finds out whether it is back.
//!
//! Refusals that the engine counts instead of recording them one by one become events here, when
//! their time is over and when the node ends.

use chaperone_engine::audit::{
    Aggregated, EventKind, Overflow, Place, Queue, QueueLimits, RecordId, Recorded, Refusal,
    Refusals, RefusedExample, Sharer,
};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::identity::Principal;
use chaperone_engine::link::{EVENTS_PATH, EventAck, EventBatchHead, NodeId};

use super::calls::{Backoff, Purpose, Reply, Wire};
use super::config::Limits;
use super::metrics::{Counter, Gauge, Histogram, Metrics};
use super::wake::Wake;
use crate::host::{ContextId, Host, Level};

/// First and longest pause after a batch that was not acknowledged.
const RETRY_MS: u64 = 100;
const MAX_RETRY_MS: u64 = 10_000;
/// Failures in a row after which a request no longer waits for the next try.
const PATIENCE: u32 = 2;
/// Milliseconds that a node that shuts down tries to hand over its last events.
pub(super) const DRAIN_MS: u64 = 5_000;
/// Serialised bytes of the last batch; the control plane takes 16 MiB.
const LAST_BATCH_BYTES: usize = 12 * 1024 * 1024;

/// A stream that waits for an event to be durable.
#[derive(Debug)]
struct DurableWait {
    stream: ContextId,
    place: Place,
    since: UnixMillis,
    until: UnixMillis,
}

/// The batch on its way.
#[derive(Debug, Clone, Copy)]
struct InFlight {
    number: u64,
    first: u64,
    last: u64,
    /// A last batch may have nothing to carry but the goodbye.
    empty: bool,
    closing: bool,
    sent_at: UnixMillis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drain {
    No,
    Until(UnixMillis),
    Done,
}

pub(super) struct Sender {
    queue: Queue,
    refusals: Refusals,
    limits: Limits,
    in_flight: Option<InFlight>,
    /// Batches sent so far.
    batches: u64,
    /// Highest number that was ever sent.
    sent: u64,
    /// When the oldest event that is not on its way came.
    oldest: Option<UnixMillis>,
    waiting: Vec<DurableWait>,
    retry_at: UnixMillis,
    failed_at: UnixMillis,
    backoff: Backoff,
    drain: Drain,
    /// Bytes and events, as the gauges show them.
    shown: (usize, usize),
}

impl Sender {
    pub(super) fn new(limits: Limits, seed: u64) -> Self {
        Self {
            queue: Queue::new(limits.queue()),
            refusals: Refusals::default(),
            limits,
            in_flight: None,
            batches: 0,
            sent: 0,
            oldest: None,
            waiting: Vec::new(),
            retry_at: UnixMillis(0),
            failed_at: UnixMillis(0),
            backoff: Backoff::new(RETRY_MS, MAX_RETRY_MS, seed),
            drain: Drain::No,
            shown: (0, 0),
        }
    }

    /// Other bounds from now on; events that wait stay.
    pub(super) fn reconfigure(&mut self, limits: Limits) {
        self.limits = limits;
        self.queue.set_limits(limits.queue());
        self.drain = Drain::No;
    }

    /// Whose share of the queue this caller's requests take.
    pub(super) fn sharer(&self, principal: &Principal) -> Sharer {
        self.queue.sharer(principal)
    }

    /// Whether a new request of this sharer may be let in.
    pub(super) fn has_room(&self, sharer: Sharer) -> bool {
        self.queue.has_room(sharer)
    }

    /// How a refused request is recorded that nobody is known to have sent, or that has no room.
    pub(super) fn refused(
        &mut self,
        refusal: Refusal,
        may_stand_alone: bool,
        now: UnixMillis,
        open: impl FnOnce() -> RecordId,
        example: impl FnOnce() -> RefusedExample,
    ) -> Recorded {
        let has_room = may_stand_alone && self.queue.has_room(Sharer::GATE);
        self.refusals.take(refusal, now, has_room, open, example)
    }

    /// Queues events for counted refusals whose time is over. As long as there is no room, they go
    /// on counting.
    fn queue_refusals(&mut self, host: &dyn Host, metrics: &Metrics, now: UnixMillis) {
        while self.queue.has_room(Sharer::GATE)
            && let Some((record, many)) = self.refusals.due(now)
        {
            let event = EventKind::Aggregated(by_wall_clock(host, many));
            let _ = self.push(host, metrics, Sharer::GATE, &record, &event, host.now());
        }
    }

    /// The same for all of them: the node ends.
    fn queue_last_refusals(&mut self, host: &dyn Host, metrics: &Metrics) {
        while let Some((record, many)) = self.refusals.end() {
            let event = EventKind::Aggregated(by_wall_clock(host, many));
            let _ = self.push(host, metrics, Sharer::GATE, &record, &event, host.now());
        }
    }

    pub(super) fn push(
        &mut self,
        host: &dyn Host,
        metrics: &Metrics,
        sharer: Sharer,
        record: &RecordId,
        kind: &EventKind,
        now: UnixMillis,
    ) -> Result<Place, Overflow> {
        let pushed = self.queue.push(sharer, record, now, kind);
        match pushed {
            Ok(_) => {
                self.oldest.get_or_insert(host.steady());
                metrics.add(host, Counter::EventsRecorded, 1);
            }
            Err(Overflow) => metrics.add(host, Counter::EventsDropped, 1),
        }
        pushed
    }

    /// A stream wants the event at `place` to be durable before it goes on. The wake, if it is
    /// known already; it comes later otherwise.
    pub(super) fn require(
        &mut self,
        stream: ContextId,
        place: Place,
        now: UnixMillis,
        timeout_ms: u64,
    ) -> Option<Wake> {
        if self.queue.is_durable(place) {
            return Some(Wake::Durable);
        }
        // Known to be down, and a moment ago: no better now.
        if self.backoff.failures() >= PATIENCE && now.since(self.failed_at) < RETRY_MS {
            return Some(Wake::AuditUnavailable);
        }
        let until = now.saturating_add(timeout_ms);
        self.waiting.push(DurableWait {
            stream,
            place,
            since: now,
            until,
        });
        None
    }

    /// Whether a batch is full: no use in waiting for the next tick. So it is when a good part of a
    /// small queue is used: one caller's share of it may be used up then.
    pub(super) fn is_full(&self) -> bool {
        let enough = self.limits.audit_queue_bytes / 4;
        self.in_flight.is_none()
            && self.backoff.failures() == 0
            && (self.queue.bytes() >= self.limits.batch_bytes.min(enough)
                || self.queue.len() >= self.limits.batch_events)
    }

    pub(super) fn cancel(&mut self, stream: ContextId) {
        self.waiting.retain(|waiting| waiting.stream != stream);
    }

    /// The control plane answers again after an outage.
    pub(super) fn nudge(&mut self, now: UnixMillis) {
        if self.backoff.failures() > 0 {
            self.retry_at = now;
        }
    }

    fn due(&self, now: UnixMillis) -> bool {
        if self.in_flight.is_some() {
            return false;
        }
        // Somebody waits: the usual pause would outlast their patience.
        if !self.waiting.is_empty() && now.since(self.failed_at) >= RETRY_MS {
            return true;
        }
        if now < self.retry_at && self.retry_at.since(now) <= MAX_RETRY_MS {
            return false;
        }
        match self.drain {
            Drain::Until(_) => return true,
            Drain::Done | Drain::No => {}
        }
        let waited = |oldest: UnixMillis| now.since(oldest) >= self.limits.flush_ms || now < oldest;
        !self.queue.is_empty() && (self.is_full() || self.oldest.is_some_and(waited))
    }

    /// Sends a batch if it is time for one.
    pub(super) fn send_due(&mut self, wire: &mut Wire<'_>, me: &NodeId) -> Vec<(ContextId, Wake)> {
        if !self.due(wire.now) {
            return Vec::new();
        }
        self.batches = self.batches.saturating_add(1);
        let number = self.batches;
        let last_given = self.queue.last_seq();
        let (first, last, empty, events) = match self.queue.next_batch() {
            Some(batch) => (batch.first, batch.last, false, batch.events),
            None => (last_given, last_given, true, "[]".to_owned()),
        };
        let has_more = last != self.queue.last_seq() || self.queue.has_unsent();
        let closing = self.drain != Drain::No && !has_more;
        let dropped = self.queue.dropped();
        let head = EventBatchHead {
            node: me.clone(),
            dropped,
            closing,
        };
        // Strings and numbers around JSON that was serialised before: it cannot fail.
        let body = head.write(&events).unwrap_or_default();
        let count = if empty {
            0
        } else {
            last.saturating_sub(first).saturating_add(1)
        };
        wire.metrics
            .record(wire.host, Histogram::BatchEvents, count);
        if wire.send(Purpose::Events(number), EVENTS_PATH, body.as_bytes(), 0) {
            self.sent = self.sent.max(last);
            self.in_flight = Some(InFlight {
                number,
                first,
                last,
                empty,
                closing,
                sent_at: wire.now,
            });
            // What is left over has waited already.
            self.oldest = has_more.then_some(UnixMillis(0));
            Vec::new()
        } else {
            self.failed(wire)
        }
    }

    pub(super) fn on_reply(
        &mut self,
        wire: &mut Wire<'_>,
        number: u64,
        reply: &Reply,
    ) -> Vec<(ContextId, Wake)> {
        // The answer to a batch that a shutdown has overtaken is nobody's.
        let answered = self.in_flight.take_if(|batch| batch.number == number);
        let Some(batch) = answered else {
            return Vec::new();
        };
        // An acknowledgement of what was never sent, or of nothing in this batch, is not one. It
        // may say more than this batch: an earlier one may have arrived although its answer was
        // lost.
        let through = match reply.read::<EventAck>() {
            Some(_) if batch.empty => batch.last,
            Some(ack) if ack.acknowledged > self.sent => {
                let line = format!(
                    "The control plane acknowledged event {}, but only {} were sent; nothing is \
                     taken as stored.",
                    ack.acknowledged, self.sent
                );
                wire.host.log(Level::Error, &line);
                return self.failed(wire);
            }
            Some(ack) if ack.acknowledged >= batch.first => ack.acknowledged,
            _ => return self.failed(wire),
        };
        let before = self.queue.len();
        self.queue.acknowledge(through);
        let stored = before.saturating_sub(self.queue.len());
        let stored = u64::try_from(stored).unwrap_or(u64::MAX);
        wire.metrics
            .add(wire.host, Counter::EventsAcknowledged, stored);
        let took = wire.now.since(batch.sent_at);
        wire.metrics.record(wire.host, Histogram::BatchMs, took);
        self.backoff.reset();
        self.retry_at = wire.now;
        if through < batch.last {
            self.oldest = Some(UnixMillis(0));
        }
        // A configuration that came meanwhile has called the shutdown off.
        if batch.closing && self.drain != Drain::No && self.queue.is_empty() {
            self.drain = Drain::Done;
        }
        self.wake(wire, |queue, waiting| {
            queue.is_durable(waiting.place).then_some(Wake::Durable)
        })
    }

    fn failed(&mut self, wire: &Wire<'_>) -> Vec<(ContextId, Wake)> {
        self.in_flight = None;
        self.queue.retry();
        if !self.queue.is_empty() {
            self.oldest = Some(UnixMillis(0));
        }
        wire.metrics.add(wire.host, Counter::BatchesFailed, 1);
        self.failed_at = wire.now;
        self.retry_at = wire.now.saturating_add(self.backoff.next_ms());
        if self.backoff.failures() < PATIENCE {
            return Vec::new();
        }
        self.wake(wire, |_, _| Some(Wake::AuditUnavailable))
    }

    /// Wakes those whose time is over, ends a drain that takes too long, shows the gauges.
    pub(super) fn tick(&mut self, wire: &Wire<'_>) -> Vec<(ContextId, Wake)> {
        if let Drain::Until(until) = self.drain
            && wire.now >= until
        {
            let left = self.queue.len();
            let line = format!("{left} events could not be handed over before the shutdown.");
            wire.host.log(Level::Error, &line);
            self.drain = Drain::Done;
        }
        let now = wire.now;
        self.queue_refusals(wire.host, wire.metrics, now);
        let wakes = self.wake(wire, |_, waiting| {
            (now >= waiting.until).then_some(Wake::AuditUnavailable)
        });
        self.show(wire.host, wire.metrics);
        wakes
    }

    fn wake(
        &mut self,
        wire: &Wire<'_>,
        verdict: impl Fn(&Queue, &DurableWait) -> Option<Wake>,
    ) -> Vec<(ContextId, Wake)> {
        let mut wakes = Vec::new();
        let queue = &self.queue;
        self.waiting.retain(|waiting| {
            let Some(wake) = verdict(queue, waiting) else {
                return true;
            };
            match wake {
                Wake::AuditUnavailable => wire.metrics.add(wire.host, Counter::NotDurable, 1),
                _ => {
                    let waited = wire.now.since(waiting.since);
                    wire.metrics.record(wire.host, Histogram::DurableMs, waited);
                }
            }
            wakes.push((waiting.stream, wake));
            false
        });
        wakes
    }

    /// Gauges are process-wide: only differences may be told. Counted refusals are events that
    /// wait, too: who stops an Envoy waits until there is none.
    fn show(&mut self, host: &dyn Host, metrics: &Metrics) {
        let waiting = self.refusals.open_windows();
        let events = self.queue.len().saturating_add(waiting);
        let now = (events, self.queue.bytes());
        metrics.add_gauge(host, Gauge::QueueEvents, difference(self.shown.0, now.0));
        metrics.add_gauge(host, Gauge::QueueBytes, difference(self.shown.1, now.1));
        self.shown = now;
    }

    // === shutting down ===

    /// Sends all there is, and says that silence after it is no fault. Envoy takes a call that is
    /// made in `on_done` along, and exits milliseconds later: so all that waits goes out in one
    /// batch, even what is on its way already, since sending it twice does no harm.
    pub(super) fn start_drain(&mut self, host: &dyn Host, metrics: &Metrics, now: UnixMillis) {
        if self.drain == Drain::No {
            self.queue_last_refusals(host, metrics);
            self.drain = Drain::Until(now.saturating_add(DRAIN_MS));
            self.retry_at = now;
            self.in_flight = None;
            self.queue.retry();
            self.queue.set_limits(QueueLimits {
                batch_bytes: LAST_BATCH_BYTES,
                batch_events: usize::MAX,
                ..self.limits.queue()
            });
        }
    }

    pub(super) fn is_drained(&self) -> bool {
        self.drain == Drain::Done
    }
}

/// Refusals are gathered by the clock that nobody sets, and told by the one that people read.
fn by_wall_clock(host: &dyn Host, many: Aggregated) -> Aggregated {
    let (now, steady) = (host.now(), host.steady());
    let told = |at: UnixMillis| UnixMillis(now.0.saturating_sub(steady.since(at)));
    Aggregated {
        first: told(many.first),
        last: told(many.last),
        ..many
    }
}

fn difference(from: usize, to: usize) -> i64 {
    let size = i64::try_from(from.abs_diff(to)).unwrap_or(i64::MAX);
    if to < from {
        size.saturating_neg()
    } else {
        size
    }
}
