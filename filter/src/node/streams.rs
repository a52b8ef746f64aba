//! The streams' side of a node: policy, records, questions, waiting.

use std::rc::Rc;
use std::sync::Arc;

use chaperone_engine::audit::{
    EventKind, OnAuditFull, Place, RecordId, Recorded, Refusal, RefusedExample, Sharer,
};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::gate::Gate;
use chaperone_engine::identity::{self, Principal, SignatureVerifier, VerifiedToken};
use chaperone_engine::link::{self, AskRequest};
use chaperone_engine::masking::Secrets;

use super::sessions::SessionKey;
use super::{AuditFull, Counter, Histogram, Metrics, Node, NodeOf, TooManyHeld, Wake, Work};
use crate::host::{ContextId, Host};

impl Node {
    /// Who is calling? As [`Gate::identify`], with this worker's cache; a key that the policy's key
    /// sets lack is reported to the control plane, which then fetches them again.
    ///
    /// # Errors
    /// [`identity::Refusal`].
    pub fn identify(
        &mut self,
        host: &dyn Host,
        gate: &Gate,
        authorization: &[&[u8]],
        crypto: &dyn SignatureVerifier,
    ) -> Result<Arc<VerifiedToken>, identity::Refusal> {
        let now = host.now();
        let identified = gate.identify(authorization, now, &mut self.tokens, crypto);
        if let Err(identity::Refusal {
            unknown_key: Some(key),
            ..
        }) = &identified
            && let Some(parts) = &mut self.parts
            && parts.policy.note_unknown_key(key.clone(), host.steady())
        {
            self.urge(host);
        }
        identified
    }
}

impl<G> NodeOf<G> {
    /// Who this node is, as it says in every call.
    pub fn identity(&self) -> link::NodeId {
        link::NodeId {
            name: self.name.clone(),
            boot: self.boot.clone(),
        }
    }

    /// The metrics, to be counted into.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The gate in force; `None` is 503 `no_policy`.
    pub fn gate(&self) -> Option<Rc<G>> {
        self.parts.as_ref().and_then(|parts| parts.policy.gate())
    }

    /// Whose share of the event queue this caller's requests take.
    pub fn sharer(&self, principal: &Principal) -> Sharer {
        let parts = self.parts.as_ref();
        parts.map_or(Sharer::GATE, |parts| parts.events.sharer(principal))
    }

    /// Whether a new request of this sharer may be let in. With `on_audit_full: drop` it always
    /// may.
    ///
    /// # Errors
    /// [`AuditFull`]: refuse it.
    pub fn may_record(&self, sharer: Sharer) -> Result<(), AuditFull> {
        let full = self
            .parts
            .as_ref()
            .is_some_and(|parts| !parts.events.has_room(sharer));
        if full && self.on_audit_full() == OnAuditFull::Block {
            Err(AuditFull)
        } else {
            Ok(())
        }
    }

    fn on_audit_full(&self) -> OnAuditFull {
        self.in_charge()
            .map(|root| root.config.on_audit_full)
            .unwrap_or_default()
    }

    /// The record of a new stream.
    pub fn open_record(&mut self) -> RecordId {
        self.records = self.records.saturating_add(1);
        RecordId::new(&self.boot, self.records)
    }

    /// How a refused request is recorded that nobody is known to have sent, or that has no room. In
    /// no record of its own unless it `may_stand_alone`. `example` describes it, masked, if that is
    /// needed.
    pub fn refused(
        &mut self,
        host: &dyn Host,
        refusal: Refusal,
        may_stand_alone: bool,
        example: impl FnOnce() -> RefusedExample,
    ) -> Recorded {
        let (records, boot) = (&mut self.records, &self.boot);
        let open = || {
            *records = records.saturating_add(1);
            RecordId::new(boot, *records)
        };
        let recorded = match &mut self.parts {
            Some(parts) => {
                let now = host.steady();
                let events = &mut parts.events;
                events.refused(refusal, may_stand_alone, now, open, example)
            }
            None => Recorded::Alone,
        };
        if let Recorded::Together(_) = recorded {
            self.metrics.add(host, Counter::RefusalsAggregated, 1);
        }
        recorded
    }

    /// Queues one event of a record, on the share of whoever the record is about. Its place in the
    /// queue; none when it was dropped under `on_audit_full: drop`.
    ///
    /// # Errors
    /// [`AuditFull`]: it is lost, counted, and the control plane is told with the next batch.
    pub fn record(
        &mut self,
        host: &dyn Host,
        sharer: Sharer,
        record: &RecordId,
        kind: &EventKind,
    ) -> Result<Option<Place>, AuditFull> {
        let drops = self.on_audit_full() == OnAuditFull::Drop;
        let Some(parts) = &mut self.parts else {
            return Err(AuditFull);
        };
        let pushed = parts
            .events
            .push(host, &self.metrics, sharer, record, kind, host.now());
        if parts.events.is_full() {
            self.urge(host);
        }
        match pushed {
            Ok(place) => Ok(Some(place)),
            Err(_) if drops => Ok(None),
            Err(_) => Err(AuditFull),
        }
    }

    /// The stream goes on only when the event at `place` is stored: [`Wake::Durable`] or
    /// [`Wake::AuditUnavailable`] will come, after `control_plane.timeout_ms` at the latest.
    pub fn require_durable(&mut self, host: &dyn Host, stream: ContextId, place: Place) {
        let timeout = self
            .in_charge()
            .map_or(0, |root| root.config.control_plane.timeout_ms);
        let known = match &mut self.parts {
            Some(parts) => parts.events.require(stream, place, host.steady(), timeout),
            None => Some(Wake::AuditUnavailable),
        };
        if let Some(wake) = known {
            if wake == Wake::AuditUnavailable {
                self.metrics.add(host, Counter::NotDurable, 1);
            }
            self.wakes.push((stream, wake));
        }
        self.urge(host);
    }

    /// Asks whether a request may pass. [`Wake::Answer`] or [`Wake::AskUnavailable`] will come.
    pub fn ask(&mut self, host: &dyn Host, stream: ContextId, request: &AskRequest) {
        // Strings and numbers only: serialising them cannot fail.
        let body = serde_json::to_vec(request).unwrap_or_default();
        match &mut self.parts {
            Some(parts) => parts.approvals.ask(stream, body),
            None => self.wakes.push((stream, Wake::AskUnavailable)),
        }
        self.urge(host);
    }

    /// Parks a stream on an approval. [`Wake::Changed`] or, at `until` by the steady clock,
    /// [`Wake::Timeout`] will come.
    ///
    /// # Errors
    /// [`TooManyHeld`]: it is not parked.
    pub fn wait(
        &mut self,
        host: &dyn Host,
        stream: ContextId,
        approval: &str,
        until: UnixMillis,
    ) -> Result<(), TooManyHeld> {
        let limit = self
            .in_charge()
            .map_or(0, |root| root.config.limits.hold_streams);
        let Some(parts) = &mut self.parts else {
            return Err(TooManyHeld);
        };
        parts
            .approvals
            .wait(stream, approval, host.steady(), until, limit)?;
        self.urge(host);
        Ok(())
    }

    /// The stream is to end at `until` by the steady clock: [`Wake::Over`] will come, unless it has
    /// ended by itself.
    pub fn end_later(&mut self, stream: ContextId, until: UnixMillis) {
        self.endings.push((stream, until));
    }

    /// Wakes the stream at `at`, with [`Wake::Due`]. A stream has one such time, the earliest that
    /// it asked for since it was woken.
    pub fn wake_at(&mut self, host: &dyn Host, stream: ContextId, at: UnixMillis) {
        let time = self.times.entry(stream).or_insert(at);
        *time = (*time).min(at);
        if at <= host.steady() {
            self.urge(host);
        }
    }

    pub(super) fn end_due(&mut self, now: UnixMillis) {
        let due = self.times.extract_if(|_, at| *at <= now);
        let mut due: Vec<_> = due.map(|(stream, at)| (at, stream)).collect();
        // Who has waited longest comes first.
        due.sort_unstable();
        self.turn.begin(due.len());
        let due = due.into_iter().map(|(_, stream)| (stream, Wake::Due));
        self.wakes.extend(due);
        let due = self.endings.extract_if(.., |(_, until)| *until <= now);
        self.wakes
            .extend(due.map(|(stream, _)| (stream, Wake::Over)));
    }

    /// Whether a callback that has taken so many bytes more than are free may make `bytes` more of
    /// what came.
    pub fn expand(&mut self, host: &dyn Host, bytes: usize, taken: usize) -> bool {
        let capacity = self.expanded_bytes();
        self.surplus.take(host.steady(), capacity, bytes, taken)
    }

    /// The work that a stream may do in this tick; nothing: it has to wait for the next.
    pub fn tick_work<'a>(&mut self, host: &'a dyn Host) -> Option<Work<'a>> {
        self.turn.next(host)
    }

    /// It has done so much.
    pub fn worked(&mut self, units: u64) {
        self.turn.worked(units);
    }

    /// The streams have been woken that a tick wakes.
    pub fn tick_ends(&mut self, host: &dyn Host) {
        if let Some(took) = self.turn.end(host) {
            self.metrics.record(host, Histogram::ScanUs, took);
        }
    }

    /// Whether callbacks have done all that they may until the next tick, beyond reading.
    pub fn is_busy(&self) -> bool {
        self.turn.is_spent()
    }

    /// The work that a body callback may do that has so many bytes; it began at this time, if that
    /// is known.
    pub fn callback_work<'a>(
        &self,
        host: &'a dyn Host,
        bytes: usize,
        began: Option<u64>,
    ) -> Work<'a> {
        self.turn.callback(host, bytes, began)
    }

    /// It has done so much.
    pub fn callback_worked(&mut self, host: &dyn Host, units: u64, bytes: usize) {
        if self.turn.called(units, bytes) {
            self.urge(host);
        }
    }

    /// A stream keeps `now` bytes as they came, and kept `before`. `false`: it may not.
    pub fn keep(&mut self, before: usize, now: usize) -> bool {
        let capacity = self.expanded_bytes();
        self.surplus.keep(before, now, capacity)
    }

    fn expanded_bytes(&self) -> usize {
        self.in_charge()
            .map_or(0, |root| root.config.limits.expanded_bytes)
    }

    /// Remembers the secrets that were masked in a request of a session, and gives all those of the
    /// session.
    pub fn remember(&mut self, session: SessionKey, masked: Secrets, now: UnixMillis) -> Secrets {
        self.sessions.remember(session, masked, now)
    }

    /// The stream is gone or answered: whatever it waits for is forgotten. Harmless to repeat.
    pub fn cancel(&mut self, stream: ContextId) {
        if let Some(parts) = &mut self.parts {
            parts.events.cancel(stream);
            parts.approvals.cancel(stream);
        }
        self.endings.retain(|(ending, _)| *ending != stream);
        self.times.remove(&stream);
        self.wakes.retain(|(waiting, _)| *waiting != stream);
    }
}
