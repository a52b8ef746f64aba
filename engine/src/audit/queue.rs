//! The node's outgoing queue: shares, numbering, batching, acknowledgement.
//!
//! Three ways were weighed. Keeping typed events and serialising whole batches at send time costs
//! the serialisation again on every retry. A ring of bytes without structure cannot drop or count
//! by event. So each event is serialised once, when it comes, and kept as its JSON line until
//! it is acknowledged; a batch is lines joined together.
//!
//! An event gets its number when its batch is made, and not when it comes: events leave in turn
//! (`shares.rs`), and numbers have to rise in the order in which they leave. An event that never
//! left has no number, and so is no hole; whether any is left says the batch that closes a life.

use std::collections::VecDeque;

use serde::Serialize;

use super::event::{EventKind, RecordId};
use super::shares::{Lanes, Line, Place, Sharer, Sharers};
use crate::base::time::UnixMillis;
use crate::identity::Principal;

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

impl QueueLimits {
    /// Bytes that are shared out; the quarter above is for small shares, and for the gate's own
    /// events.
    const fn shared_bytes(&self) -> usize {
        self.max_bytes.saturating_sub(self.max_bytes / 4)
    }
}

/// The queue is full, or this sharer's part of it: the event was not taken and has no number.
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

/// A sharer's new requests are let in while its events take less than so many times what is free of
/// the shared bytes: alone, two thirds of them.
const ADMITTED: usize = 2;
/// Events of requests that are in are kept while its events take at most so many times what is
/// free: alone, eight ninths. What lies between is for the rest of requests that are in.
const KEPT: usize = 8;
/// And in any case up to this part of the whole queue.
const SMALL: usize = 64;

/// Events of one node between happening and being acknowledged.
#[derive(Debug)]
pub struct Queue {
    limits: QueueLimits,
    sharers: Sharers,
    lanes: Lanes,
    /// Lines that have a number, which is one more from each to the next.
    numbered: VecDeque<(u64, Line)>,
    next: u64,
    /// Highest number in the batch that is on its way; 0 when none is.
    in_flight: u64,
    dropped: u64,
}

/// An [`Event`](super::Event) without its number, which is put in front later.
#[derive(Serialize)]
struct Unnumbered<'a> {
    record: &'a RecordId,
    at: UnixMillis,
    #[serde(flatten)]
    kind: &'a EventKind,
}

impl Queue {
    /// An empty queue that will number from 1.
    pub fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            sharers: Sharers::default(),
            lanes: Lanes::default(),
            numbered: VecDeque::new(),
            next: 1,
            in_flight: 0,
            dropped: 0,
        }
    }

    /// Other bounds from now on. What waits stays, even where it is more than the new bounds allow.
    pub fn set_limits(&mut self, limits: QueueLimits) {
        self.limits = limits;
    }

    /// Whose share the events of this caller's requests take.
    pub fn sharer(&self, principal: &Principal) -> Sharer {
        self.sharers.of(principal)
    }

    /// Keeps one event. Its place tells later whether it is stored.
    ///
    /// # Errors
    /// [`Overflow`] when the queue, or the sharer's part of it, is full. The event is counted in
    /// [`Self::dropped`] and reported with the next batch, so the control plane still knows that
    /// something was lost.
    pub fn push(
        &mut self,
        sharer: Sharer,
        record: &RecordId,
        at: UnixMillis,
        kind: &EventKind,
    ) -> Result<Place, Overflow> {
        // Asked before serialising: under `on_audit_full: drop` a full queue refuses every event of
        // a busy node, which should cost next to nothing.
        if !self.keeps(sharer, LEAST_EVENT_BYTES) {
            self.dropped = self.dropped.saturating_add(1);
            return Err(Overflow);
        }
        match serde_json::to_string(&Unnumbered { record, at, kind }) {
            Ok(json) if self.keeps(sharer, json.len()) => Ok(self.lanes.add(sharer, json)),
            _ => {
                self.dropped = self.dropped.saturating_add(1);
                Err(Overflow)
            }
        }
    }

    /// Whether a new request of this sharer may be let in.
    pub fn has_room(&self, sharer: Sharer) -> bool {
        let own = self.lanes.bytes_of(sharer);
        let free = self
            .limits
            .shared_bytes()
            .saturating_sub(self.lanes.bytes());
        own < free.saturating_mul(ADMITTED)
    }

    /// Whether `size` more bytes of this sharer are kept.
    fn keeps(&self, sharer: Sharer, size: usize) -> bool {
        let all = self.lanes.bytes().saturating_add(size);
        if all > self.limits.max_bytes || sharer == Sharer::GATE {
            return all <= self.limits.max_bytes;
        }
        let own = self.lanes.bytes_of(sharer).saturating_add(size);
        let free = self.limits.shared_bytes().saturating_sub(all);
        own <= free.saturating_mul(KEPT) || own <= self.limits.max_bytes / SMALL
    }

    /// The next batch, or `None` when nothing waits or one is on its way already. Only one batch is
    /// in flight at a time, so the control plane sees the numbers in order. What has a number goes
    /// first, and again with the same one.
    pub fn next_batch(&mut self) -> Option<Batch> {
        if self.in_flight != 0 {
            return None;
        }
        let limits = self.limits;
        let (mut events, mut taken) = (String::from("["), 0_usize);
        let mut last = 0;
        let mut add = |seq: u64, line: &Line| {
            if taken > 0 {
                events.push(',');
            }
            taken = taken.saturating_add(1);
            events.push_str("{\"seq\":");
            events.push_str(&seq.to_string());
            events.push(',');
            // Without the brace that it begins with.
            events.push_str(line.json.get(1..).unwrap_or_default());
            last = seq;
            let room = limits.batch_bytes.saturating_sub(events.len());
            (taken < limits.batch_events).then_some(room)
        };
        // The first one goes even if it is larger than a batch.
        let mut room = Some(usize::MAX);
        for (seq, line) in &self.numbered {
            match room {
                Some(room) if line.json.len() <= room => {}
                _ => {
                    room = None;
                    break;
                }
            }
            room = add(*seq, line);
        }
        while let Some(left) = room
            && let Some(line) = self.lanes.hand_out(left)
        {
            room = add(self.next, &line);
            self.numbered.push_back((self.next, line));
            self.next = self.next.saturating_add(1);
        }
        events.push(']');
        let first = self.numbered.front().map(|(seq, _)| *seq)?;
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
        while self
            .numbered
            .front()
            .is_some_and(|(seq, _)| *seq <= through)
        {
            if let Some((_, line)) = self.numbered.pop_front() {
                self.lanes.done(&line);
            }
        }
    }

    /// The batch on its way did not arrive, as far as anyone knows; it will be sent again.
    pub fn retry(&mut self) {
        self.in_flight = 0;
    }

    /// Whether the event at this place has been acknowledged.
    pub fn is_durable(&self, place: Place) -> bool {
        self.lanes.is_done(place)
    }

    /// Whether everything has been acknowledged.
    pub fn is_empty(&self) -> bool {
        self.lanes.len() == 0
    }

    /// Whether something waits that was in no batch yet.
    pub fn has_unsent(&self) -> bool {
        self.lanes.is_waiting()
    }

    /// Events waiting.
    pub fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Serialised bytes waiting.
    pub fn bytes(&self) -> usize {
        self.lanes.bytes()
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
    use crate::audit::Event;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn queue(max_bytes: usize) -> Queue {
        Queue::new(QueueLimits {
            max_bytes,
            batch_bytes: 400,
            batch_events: 3,
        })
    }

    fn subject(queue: &Queue, name: &str) -> Sharer {
        queue.sharer(&Principal {
            issuer: "https://issuer.example".to_owned(),
            subject: name.to_owned(),
            ..Principal::default()
        })
    }

    fn push_as(queue: &mut Queue, sharer: Sharer, record: &str) -> Result<Place, Overflow> {
        let record = RecordId(record.to_owned());
        queue.push(sharer, &record, UnixMillis(5), &EventKind::Forwarded {})
    }

    fn push(queue: &mut Queue) -> Result<Place, Overflow> {
        push_as(queue, Sharer::GATE, "r-1")
    }

    fn events(batch: &Batch) -> Vec<Event> {
        serde_json::from_str(&batch.events).unwrap()
    }

    /// Sends and acknowledges everything; the records of the events, in the order of their numbers.
    fn drain(queue: &mut Queue) -> Vec<String> {
        let mut records = Vec::new();
        while let Some(batch) = queue.next_batch() {
            records.extend(events(&batch).into_iter().map(|event| event.record.0));
            queue.acknowledge(batch.last);
        }
        records
    }

    #[test]
    fn numbers_start_at_one_and_have_no_gap_even_when_an_event_is_refused() {
        let mut q = queue(200);
        let mut kept = 0;
        while push(&mut q).is_ok() {
            kept += 1;
        }
        assert!(kept > 1);
        assert_eq!(q.dropped(), 1);
        let mut given = Vec::new();
        for _ in 0..2 {
            while let Some(batch) = q.next_batch() {
                given.extend(events(&batch).iter().map(|event| event.seq));
                q.acknowledge(batch.last);
            }
            push(&mut q).unwrap();
        }
        assert_eq!(given, (1..=kept + 1).collect::<Vec<u64>>());
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
        assert_eq!(
            events(&second).iter().map(|e| e.seq).collect::<Vec<_>>(),
            [4, 5]
        );
    }

    #[test]
    fn what_came_meanwhile_goes_behind_what_has_a_number_whoever_sent_it() {
        let mut q = queue(10_000);
        let (alice, bob) = (subject(&q, "alice"), subject(&q, "bob"));
        push_as(&mut q, alice, "a").unwrap();
        let first = q.next_batch().unwrap();
        q.retry();
        push_as(&mut q, bob, "b").unwrap();
        let again = q.next_batch().unwrap();
        assert_eq!(events(&again)[0], events(&first)[0]);
        assert_eq!(events(&again)[1].record.0, "b");
    }

    #[test]
    fn an_event_is_durable_only_once_it_was_acknowledged() {
        let mut q = queue(10_000);
        let place = push(&mut q).unwrap();
        assert!(!q.is_durable(place));
        let later = push_as(&mut q, subject(&queue(0), "bob"), "b").unwrap();
        let batch = q.next_batch().unwrap();
        assert!(!q.is_durable(place), "on its way");
        q.acknowledge(batch.first);
        assert_ne!(q.is_durable(place), q.is_durable(later));
        q.acknowledge(batch.last);
        assert!(q.is_durable(place) && q.is_durable(later));
        assert!(q.is_empty());
        let next = push(&mut q).unwrap();
        assert!(q.is_durable(place) && !q.is_durable(next));
    }

    #[test]
    fn an_acknowledgement_of_numbers_never_given_out_changes_nothing() {
        let mut q = queue(10_000);
        push(&mut q).unwrap();
        q.next_batch().unwrap();
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
        q.retry();
        assert_eq!(q.next_batch().unwrap(), batch);
        assert!(q.has_unsent());
    }

    #[test]
    fn however_many_flood_another_is_let_in_and_leaves_with_the_next_batches() {
        for floods in [1, 2, 10] {
            let mut q = Queue::new(QueueLimits {
                max_bytes: 1 << 20,
                batch_bytes: 64 << 10,
                batch_events: 1_000,
            });
            let greedy: Vec<_> = (0..floods)
                .map(|n| subject(&q, &format!("greedy-{n}")))
                .collect();
            let mut kept = true;
            while kept {
                kept = false;
                for sharer in &greedy {
                    kept |= push_as(&mut q, *sharer, "flood").is_ok();
                }
            }
            assert!(greedy.iter().all(|sharer| !q.has_room(*sharer)));
            assert!(q.bytes() > (1 << 20) / 2, "{} with {floods}", q.bytes());
            let good = subject(&q, "good");
            for _ in 0..20 {
                assert!(q.has_room(good), "{floods} floods");
                push_as(&mut q, good, "good").unwrap();
            }
            let first = events(&q.next_batch().unwrap());
            let good = first.iter().filter(|event| event.record.0 == "good");
            assert_eq!(good.count(), 20, "of {} with {floods} floods", first.len());
        }
    }

    #[test]
    fn what_the_gate_says_itself_is_kept_whoever_floods() {
        let mut q = queue(100_000);
        let greedy = subject(&q, "greedy");
        while push_as(&mut q, greedy, "flood").is_ok() {}
        assert!(push(&mut q).is_ok());
    }

    #[cfg(not(target_arch = "wasm32"))]
    mod properties {
        use std::collections::BTreeMap;

        use proptest::prelude::*;

        use super::*;

        proptest! {
            #[test]
            fn whatever_is_pushed_sent_and_lost_every_record_is_whole_and_in_order(
                steps in prop::collection::vec((0u8..8, 0usize..4), 1..200)
            ) {
                let mut q = queue(5_000);
                let sharers: Vec<_> = ["a", "b", "c", "d"].map(|name| subject(&q, name)).to_vec();
                let (mut kept, mut stored) = (BTreeMap::<usize, Vec<u64>>::new(), Vec::<Event>::new());
                let mut pushed = 0;
                let take = |batch: &Batch, stored: &mut Vec<Event>| {
                    for event in events(batch) {
                        if event.seq > stored.len() as u64 {
                            assert_eq!(event.seq, stored.len() as u64 + 1);
                            stored.push(event);
                        } else {
                            assert_eq!(event, stored[event.seq as usize - 1]);
                        }
                    }
                };
                for (step, who) in steps {
                    match step {
                        0..6 => {
                            pushed += 1;
                            let record = RecordId(who.to_string());
                            if q.push(sharers[who], &record, UnixMillis(pushed), &EventKind::Forwarded {}).is_ok() {
                                kept.entry(who).or_default().push(pushed);
                            }
                        }
                        6 => if let Some(batch) = q.next_batch() {
                            take(&batch, &mut stored);
                            q.retry();
                        },
                        _ => if let Some(batch) = q.next_batch() {
                            take(&batch, &mut stored);
                            q.acknowledge(batch.last);
                        },
                    }
                }
                while let Some(batch) = q.next_batch() {
                    take(&batch, &mut stored);
                    q.acknowledge(batch.last);
                }
                prop_assert_eq!((q.len(), q.bytes()), (0, 0));
                let mut arrived = BTreeMap::<usize, Vec<u64>>::new();
                for event in stored {
                    arrived.entry(event.record.0.parse().unwrap()).or_default().push(event.at.0);
                }
                prop_assert_eq!(arrived, kept);
            }
        }
    }

    #[test]
    fn a_lane_with_large_events_does_not_hold_up_one_with_small_ones() {
        let mut q = Queue::new(QueueLimits {
            max_bytes: 1 << 20,
            batch_bytes: 100 << 10,
            batch_events: 1_000,
        });
        let (large, small) = (subject(&q, "large"), subject(&q, "small"));
        let long = "x".repeat(32 << 10);
        for _ in 0..8 {
            push_as(&mut q, large, &long).unwrap();
        }
        for _ in 0..8 {
            push_as(&mut q, small, "small").unwrap();
        }
        let order = drain(&mut q);
        let last_small = order.iter().rposition(|record| record == "small").unwrap();
        assert!(last_small <= 8, "{last_small}");
    }
}
