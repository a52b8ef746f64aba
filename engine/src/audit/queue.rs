//! The node's outgoing queue: numbering, batching, acknowledgement.
//!
//! Three ways were weighed. Keeping typed events and serialising whole batches at send time costs
//! the serialisation again on every retry. A ring of bytes without structure cannot drop or count
//! by event. So each event is serialised once, when it is numbered, and kept as its JSON line until
//! it is acknowledged; a batch is lines joined together.

use std::collections::VecDeque;

use super::event::{Event, EventKind, RecordId};
use crate::base::time::UnixMillis;

/// Bounds of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Serialised bytes that may wait, sent or not, until they are acknowledged.
    pub max_bytes: usize,
    /// Serialised bytes that one batch may carry; a single larger event goes alone.
    pub batch_bytes: usize,
    /// Events that one batch may carry.
    pub batch_events: usize,
}

/// The queue is full: the event was not taken and has no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow;

/// Lines ready to send: `events` is a JSON array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Number of the first event.
    pub first: u64,
    /// Number of the last event.
    pub last: u64,
    /// The events as one JSON array.
    pub events: String,
}

/// No event is shorter: its fixed fields alone take more.
const LEAST_EVENT_BYTES: usize = 64;

#[derive(Debug)]
struct Line {
    seq: u64,
    json: String,
}

/// Events of one node between happening and being acknowledged.
#[derive(Debug)]
pub struct Queue {
    limits: QueueLimits,
    next: u64,
    lines: VecDeque<Line>,
    bytes: usize,
    /// Highest number in the batch that is on its way; 0 when none is.
    in_flight: u64,
    dropped: u64,
}

impl Queue {
    /// An empty queue that will number from 1.
    pub fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            next: 1,
            lines: VecDeque::new(),
            bytes: 0,
            in_flight: 0,
            dropped: 0,
        }
    }

    /// Other bounds from now on. What waits stays, even where it is more than the new bounds allow.
    pub fn set_limits(&mut self, limits: QueueLimits) {
        self.limits = limits;
    }

    /// Numbers and keeps one event.
    ///
    /// # Errors
    /// [`Overflow`] when the queue holds its limit of bytes. The number is not used up, so a
    /// dropped event leaves no gap; it is counted in [`Self::dropped`] and reported with the next
    /// batch, so the control plane still knows that something was lost.
    pub fn push(
        &mut self,
        record: &RecordId,
        at: UnixMillis,
        kind: EventKind,
    ) -> Result<u64, Overflow> {
        // Asked before serialising: under `on_audit_full: drop` a full queue refuses every event of a
        // busy node, which should cost next to nothing.
        if !self.has_room(LEAST_EVENT_BYTES) {
            self.dropped = self.dropped.saturating_add(1);
            return Err(Overflow);
        }
        let seq = self.next;
        let event = Event {
            seq,
            record: record.clone(),
            at,
            kind,
        };
        let json = match serde_json::to_string(&event) {
            Ok(json) if self.bytes.saturating_add(json.len()) <= self.limits.max_bytes => json,
            _ => {
                self.dropped = self.dropped.saturating_add(1);
                return Err(Overflow);
            }
        };
        self.bytes = self.bytes.saturating_add(json.len());
        self.lines.push_back(Line { seq, json });
        self.next = seq.saturating_add(1);
        Ok(seq)
    }

    /// Whether `bytes` more would still fit: asked before a request is let through.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.bytes.saturating_add(bytes) <= self.limits.max_bytes
    }

    /// The next batch, or `None` when nothing waits or one is on its way already. Only one batch
    /// is in flight at a time, so the control plane sees the numbers in order.
    pub fn next_batch(&mut self) -> Option<Batch> {
        if self.in_flight != 0 {
            return None;
        }
        let first = self.lines.front()?.seq;
        let mut events = String::from("[");
        let mut last = first;
        for (taken, line) in self.lines.iter().enumerate() {
            let over = events.len().saturating_add(line.json.len()) > self.limits.batch_bytes;
            if taken > 0 && (over || taken >= self.limits.batch_events) {
                break;
            }
            if taken > 0 {
                events.push(',');
            }
            events.push_str(&line.json);
            last = line.seq;
        }
        events.push(']');
        self.in_flight = last;
        Some(Batch {
            first,
            last,
            events,
        })
    }

    /// The control plane has everything up to and including `through`. A number that was never
    /// given out is ignored: a confused or hostile answer must not empty the queue.
    pub fn acknowledge(&mut self, through: u64) {
        self.in_flight = 0;
        if through >= self.next {
            return;
        }
        while self.lines.front().is_some_and(|line| line.seq <= through) {
            if let Some(line) = self.lines.pop_front() {
                self.bytes = self.bytes.saturating_sub(line.json.len());
            }
        }
    }

    /// The batch on its way did not arrive, as far as anyone knows; it will be sent again.
    pub fn retry(&mut self) {
        self.in_flight = 0;
    }

    /// Whether the event `seq` has been acknowledged.
    pub fn is_durable(&self, seq: u64) -> bool {
        seq < self.next && self.lines.front().is_none_or(|line| line.seq > seq)
    }

    /// Whether everything has been acknowledged.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Events waiting.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Serialised bytes waiting.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Events refused because the queue was full, since the boot.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The highest number given out so far; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.next.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn queue(max_bytes: usize) -> Queue {
        Queue::new(QueueLimits {
            max_bytes,
            batch_bytes: 400,
            batch_events: 3,
        })
    }

    fn push(queue: &mut Queue) -> Result<u64, Overflow> {
        queue.push(
            &RecordId("r-1".into()),
            UnixMillis(5),
            EventKind::Forwarded {},
        )
    }

    #[test]
    fn numbers_start_at_one_and_have_no_gap_even_when_an_event_is_refused() {
        let mut q = queue(200);
        let mut given = Vec::new();
        while let Ok(seq) = push(&mut q) {
            given.push(seq);
        }
        assert!(given.len() > 1);
        assert_eq!(q.dropped(), 1);
        q.acknowledge(given.len() as u64);
        given.push(push(&mut q).unwrap());
        assert_eq!(given, (1..=given.len() as u64).collect::<Vec<_>>());
    }

    #[test]
    fn an_unacknowledged_batch_goes_out_again_with_the_same_numbers() {
        let mut q = queue(10_000);
        for _ in 0..5 {
            push(&mut q).unwrap();
        }
        let first = q.next_batch().unwrap();
        assert_eq!((first.first, first.last), (1, 3));
        assert_eq!(q.next_batch(), None, "one batch in flight at a time");
        q.retry();
        assert_eq!(q.next_batch().unwrap(), first);
        q.acknowledge(3);
        let second = q.next_batch().unwrap();
        assert_eq!((second.first, second.last), (4, 5));
        let events: Vec<Event> = serde_json::from_str(&second.events).unwrap();
        assert_eq!(events.iter().map(|e| e.seq).collect::<Vec<_>>(), [4, 5]);
    }

    #[test]
    fn an_event_is_durable_only_once_it_was_acknowledged() {
        let mut q = queue(10_000);
        let seq = push(&mut q).unwrap();
        assert!(!q.is_durable(seq));
        assert!(!q.is_durable(seq + 1), "not yet given out");
        q.acknowledge(seq);
        assert!(q.is_durable(seq));
        assert!(q.is_empty());
    }

    #[test]
    fn an_acknowledgement_of_numbers_never_given_out_changes_nothing() {
        let mut q = queue(10_000);
        push(&mut q).unwrap();
        q.acknowledge(99);
        assert_eq!(q.len(), 1);
    }

    #[test]
    fn one_event_larger_than_a_batch_still_goes_out() {
        let mut q = Queue::new(QueueLimits {
            max_bytes: 1000,
            batch_bytes: 4,
            batch_events: 9,
        });
        push(&mut q).unwrap();
        push(&mut q).unwrap();
        let batch = q.next_batch().unwrap();
        assert_eq!((batch.first, batch.last), (1, 1));
    }
}
