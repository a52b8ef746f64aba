//! A batch of events as a node hands it in, checked before anything is stored.

use std::fmt;

use chaperone_engine::audit::ReadEvent;
use chaperone_engine::link::NodeId;

use crate::nodes::owns;

/// The largest number of an event: no database has larger integers.
const LAST: u64 = i64::MAX as u64 - 1;

/// A batch of one node: its events are numbered without holes, and belong to records of its life.
#[derive(Debug, Clone)]
pub(crate) struct IncomingBatch {
    pub(crate) node: NodeId,
    /// Events that the node has lost since its boot.
    pub(crate) dropped: u64,
    /// The last one of this life.
    pub(crate) closing: bool,
    /// Each event with the JSON that it came as.
    pub(crate) events: Vec<(ReadEvent, Box<str>)>,
    /// Makes [`IncomingBatch::new`] the only way to one.
    _checked: (),
}

/// Why a batch is none. Shown, it names the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BatchError {
    /// A number is 0, too large, or not the one after that of the event before.
    Numbers,
    /// An event belongs to a record of another life: a node cannot write into the records of
    /// another.
    ForeignRecord,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Numbers => "events: a batch is numbered from 1 on without holes",
            Self::ForeignRecord => "record: not a record of this node's life",
        })
    }
}

impl IncomingBatch {
    /// Checks what a node has sent.
    ///
    /// # Errors
    /// [`BatchError`] for the first event that cannot be taken.
    pub(crate) fn new(
        node: NodeId,
        dropped: u64,
        closing: bool,
        events: Vec<(ReadEvent, Box<str>)>,
    ) -> Result<Self, BatchError> {
        let mut before = None;
        for (event, _) in &events {
            if !owns(&node, event.record()) {
                return Err(BatchError::ForeignRecord);
            }
            let seq = event.seq();
            let follows = before.is_none_or(|before: u64| before.checked_add(1) == Some(seq));
            if !follows || !(1..=LAST).contains(&seq) {
                return Err(BatchError::Numbers);
            }
            before = Some(seq);
        }
        Ok(Self {
            node,
            dropped,
            closing,
            events,
            _checked: (),
        })
    }
}

#[cfg(test)]
mod tests {
    use chaperone_engine::audit::{BootId, RecordId};

    use super::*;

    fn node(boot: u128) -> NodeId {
        NodeId {
            name: "envoy-1".to_owned(),
            boot: BootId::from_random(boot),
        }
    }

    fn batch(record: &RecordId, numbers: &[u64]) -> Result<IncomingBatch, BatchError> {
        let events = numbers.iter().map(|seq| {
            let json = format!(r#"{{"seq":{seq},"record":"{record}","at":1,"stage":"scanned"}}"#);
            (ReadEvent::read(&json).unwrap(), json.into())
        });
        IncomingBatch::new(node(1), 0, false, events.collect())
    }

    #[test]
    fn a_batch_is_numbered_without_holes() {
        let own = RecordId::new(&node(1).boot, 1);
        let good: [&[u64]; 4] = [&[], &[1], &[7, 8, 9], &[LAST - 1, LAST]];
        for numbers in good {
            assert!(batch(&own, numbers).is_ok(), "{numbers:?}");
        }
        let bad: [&[u64]; 8] = [
            &[0],
            &[1, 1],
            &[1, 3],
            &[2, 1],
            &[LAST + 1],
            &[LAST, LAST + 1],
            &[u64::MAX],
            &[u64::MAX, 0],
        ];
        for numbers in bad {
            assert_eq!(batch(&own, numbers).unwrap_err(), BatchError::Numbers);
        }
    }

    #[test]
    fn a_node_writes_into_records_of_its_own_life_alone() {
        let boot = node(1).boot;
        for record in [
            RecordId::new(&node(2).boot, 1).0,
            String::new(),
            boot.as_str().to_owned(),
            format!("{}-", boot.as_str()),
            format!("{}1", boot.as_str()),
            format!("{}-{}", boot.as_str(), "1".repeat(32)),
        ] {
            let refused = batch(&RecordId(record), &[1]);
            assert_eq!(refused.unwrap_err(), BatchError::ForeignRecord);
        }
    }
}
