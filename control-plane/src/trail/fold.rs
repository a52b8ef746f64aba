//! From batches to what has to be written.
//!
//! Events of one record may arrive in several batches. Those of one group are folded into a
//! [`Patch`], which holds only what they say; the store merges it into what it has. So a record is
//! the same however its events were cut into batches. Every store does this with the code here: a
//! store only loads, writes and merges.

use std::collections::HashMap;

use chaperone_engine::audit::{EventKind, ReadEvent, RecordAttributes, RecordState};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::link::NodeId;

use super::sequence::Sequence;
use super::store::Unknown;
use crate::nodes::store::NodeRow;

/// What some events of one record say about it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Patch {
    /// [`RecordState::Open`] when they say nothing of its end.
    pub(crate) state: RecordState,
    /// The earliest of them.
    pub(crate) received_at: UnixMillis,
    pub(crate) attributes: RecordAttributes,
}

impl Patch {
    /// Without an event so far.
    fn new(first: UnixMillis) -> Self {
        Self {
            state: RecordState::Open,
            received_at: first,
            attributes: RecordAttributes::default(),
        }
    }

    /// Adds what one event says. Events come in the order of their numbers.
    fn add(&mut self, event: &ReadEvent) {
        let at = event.at();
        self.received_at = self.received_at.min(at);
        match event {
            ReadEvent::Known(event) => {
                match &event.kind {
                    EventKind::Completed { .. } => self.state = RecordState::Completed,
                    EventKind::Aborted { .. } => self.state = RecordState::Aborted,
                    EventKind::Aggregated(many) => {
                        self.state = RecordState::Aggregated;
                        self.received_at = self.received_at.min(many.first);
                    }
                    _ => {}
                }
                self.attributes.add(event);
            }
            ReadEvent::Unknown(event) => {
                // The names alone end a record, which would otherwise look as if it went on for
                // ever.
                self.state = match event.stage.as_str() {
                    "completed" => RecordState::Completed,
                    "aborted" => RecordState::Aborted,
                    _ => return,
                };
                self.attributes.ended_at = Some(at);
            }
        }
    }
}

/// An event that has to be stored.
#[derive(Debug)]
pub(crate) struct EventRow {
    pub(crate) node: NodeRow,
    pub(crate) seq: u64,
    pub(crate) record: String,
    /// As it came.
    pub(crate) json: Box<str>,
}

/// What of one batch was not there before.
#[derive(Debug, Default)]
pub(crate) struct New {
    pub(crate) events: u64,
    /// Of those, the ones of kinds that are not known here.
    unknown: u64,
    /// The stage of the first one of these.
    first_unknown: Option<String>,
}

impl New {
    /// What is unknown in it, if anything is.
    pub(crate) fn unknown(self, node: &NodeId) -> Option<Unknown> {
        Some(Unknown {
            node: node.clone(),
            stage: self.first_unknown?,
            events: self.unknown,
        })
    }
}

/// All that some batches come to.
#[derive(Debug, Default)]
pub(crate) struct Group {
    rows: Vec<EventRow>,
    patches: Vec<(String, NodeRow, Patch)>,
    /// Where in `patches` a record's is.
    places: HashMap<String, usize>,
}

impl Group {
    /// Takes one batch of a node whose numbers are `sequence`; returns what of it is new.
    pub(crate) fn take(
        &mut self,
        node: NodeRow,
        sequence: &mut Sequence,
        events: Vec<(ReadEvent, Box<str>)>,
    ) -> New {
        let mut new = New::default();
        for (event, json) in events {
            if !sequence.take(event.seq()) {
                continue;
            }
            new.events += 1;
            if let ReadEvent::Unknown(unknown) = &event {
                new.unknown += 1;
                new.first_unknown
                    .get_or_insert_with(|| unknown.stage.clone());
            }
            self.patch(node, &event).add(&event);
            self.rows.push(EventRow {
                node,
                seq: event.seq(),
                record: event.record().0.clone(),
                json,
            });
        }
        new
    }

    fn patch(&mut self, node: NodeRow, event: &ReadEvent) -> &mut Patch {
        let id = &event.record().0;
        let place = match self.places.get(id) {
            Some(place) => *place,
            None => {
                self.patches
                    .push((id.clone(), node, Patch::new(event.at())));
                self.places.insert(id.clone(), self.patches.len() - 1);
                self.patches.len() - 1
            }
        };
        &mut self.patches[place].2
    }

    /// The events to store.
    pub(crate) fn rows(&self) -> &[EventRow] {
        &self.rows
    }

    /// What to merge: records with their nodes, in the order of their first event.
    pub(crate) fn patches(&self) -> &[(String, NodeRow, Patch)] {
        &self.patches
    }
}
