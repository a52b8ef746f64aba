//! Fair shares of a queue: nobody's events keep out those of another.
//!
//! Events wait in a lane for each *sharer*, the subject that they belong to. Two rules make the
//! shares, and neither has to know how many there are:
//!
//! - *Room.* A sharer's new requests are let in while its events take less than twice the bytes
//!   that are free of three quarters of the queue. (Choudhury and Hahne call this dynamic
//!   thresholds, of switches that share a memory.) One that floods alone gets half of the queue,
//!   several that flood get the same each, and whoever comes next still finds some free. The last
//!   quarter is for small shares, and for the gate's own events.
//! - *Turns.* Lanes are emptied in turn, so many bytes at a time (deficit round robin, Shreedhar
//!   and Varghese). An event that a request waits for leaves with the next batches, however much
//!   others have waiting.
//!
//! Weighed: a fixed part for each sharer wastes room while few are there, and a bound on events per
//! second would have to be guessed for each installation.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use crate::identity::Principal;

/// Bytes that a lane may send when its turn comes: a few events.
const TURN_BYTES: usize = 4 * 1024;

/// Whose an event is, as far as shares go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sharer(u64);

impl Sharer {
    /// The gate itself: what it records of requests that nobody is known to have sent. There are
    /// few of these, since [`Refusals`](super::Refusals) counts the rest.
    pub const GATE: Self = Self(0);
}

/// Tells sharers apart, by a secret hash: a subject cannot choose the hash of another.
#[derive(Debug, Default)]
pub(super) struct Sharers(RandomState);

impl Sharers {
    /// The one of this caller: their subject, whatever the agent or the session.
    pub(super) fn of(&self, principal: &Principal) -> Sharer {
        let hash = self.0.hash_one((&principal.issuer, &principal.subject));
        Sharer(hash.max(1))
    }
}

/// Finds an event again, to ask whether it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    sharer: Sharer,
    /// Rises from event to event, over all lanes.
    ticket: u64,
}

/// One event, serialised.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) place: Place,
    pub(super) json: String,
}

#[derive(Debug)]
struct Lane {
    waiting: VecDeque<Line>,
    /// Of all lines that are not done, waiting or handed out.
    bytes: usize,
    lines: usize,
    /// Every event of this sharer up to this ticket is done.
    done_through: u64,
    /// Bytes that the lane may still send in its turn.
    credit: usize,
}

/// Lines until they are done, in lanes.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: HashMap<Sharer, Lane>,
    /// Lanes with something to hand out; the first one's turn it is.
    turns: VecDeque<Sharer>,
    bytes: usize,
    lines: usize,
    tickets: u64,
}

impl Lanes {
    /// Bytes of all lines that are not done.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many lines are not done.
    pub(super) fn len(&self) -> usize {
        self.lines
    }

    /// Bytes of one sharer that are not done.
    pub(super) fn bytes_of(&self, sharer: Sharer) -> usize {
        self.lanes.get(&sharer).map_or(0, |lane| lane.bytes)
    }

    /// Whether something was not handed out yet.
    pub(super) fn is_waiting(&self) -> bool {
        !self.turns.is_empty()
    }

    /// Puts a line at the end of its sharer's lane.
    pub(super) fn add(&mut self, sharer: Sharer, json: String) -> Place {
        let before = self.tickets;
        self.tickets = before.saturating_add(1);
        let place = Place {
            sharer,
            ticket: self.tickets,
        };
        let lane = self.lanes.entry(sharer).or_insert_with(|| Lane {
            waiting: VecDeque::new(),
            bytes: 0,
            lines: 0,
            // A lane goes when all of it is done.
            done_through: before,
            credit: 0,
        });
        self.bytes = self.bytes.saturating_add(json.len());
        self.lines = self.lines.saturating_add(1);
        lane.bytes = lane.bytes.saturating_add(json.len());
        lane.lines = lane.lines.saturating_add(1);
        if lane.waiting.is_empty() {
            self.turns.push_back(sharer);
        }
        lane.waiting.push_back(Line { place, json });
        place
    }

    /// The next line in turn, if it takes at most `room` bytes. It counts until it is done.
    pub(super) fn hand_out(&mut self, room: usize) -> Option<Line> {
        // Ends: each step gives a lane credit, drops one from the turns, or returns.
        loop {
            let sharer = *self.turns.front()?;
            let lane = self.lanes.get_mut(&sharer);
            let Some((lane, size)) = lane.and_then(|lane| {
                lane.waiting
                    .front()
                    .map(|l| l.json.len())
                    .map(|s| (lane, s))
            }) else {
                self.turns.pop_front();
                continue;
            };
            if size > lane.credit {
                lane.credit = lane.credit.saturating_add(TURN_BYTES);
                self.turns.pop_front();
                self.turns.push_back(sharer);
                continue;
            }
            if size > room {
                return None;
            }
            lane.credit = lane.credit.saturating_sub(size);
            let line = lane.waiting.pop_front();
            if lane.waiting.is_empty() {
                lane.credit = 0;
                self.turns.pop_front();
            }
            return line;
        }
    }

    /// A line that was handed out is stored. Lines of one lane are done in their order.
    pub(super) fn done(&mut self, line: &Line) {
        let size = line.json.len();
        self.bytes = self.bytes.saturating_sub(size);
        self.lines = self.lines.saturating_sub(1);
        let Some(lane) = self.lanes.get_mut(&line.place.sharer) else {
            return;
        };
        lane.bytes = lane.bytes.saturating_sub(size);
        lane.lines = lane.lines.saturating_sub(1);
        lane.done_through = line.place.ticket;
        if lane.lines == 0 {
            self.lanes.remove(&line.place.sharer);
        }
    }

    /// Whether the line at this place is done.
    pub(super) fn is_done(&self, place: Place) -> bool {
        let lane = self.lanes.get(&place.sharer);
        place.ticket <= self.tickets && lane.is_none_or(|lane| place.ticket <= lane.done_through)
    }
}
