//! Lives of nodes.

use std::collections::BTreeMap;

use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::link::NodeId;

use crate::nodes::store::NodeRow;
use crate::trail::sequence::Sequence;

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) rows: BTreeMap<NodeRow, Row>,
}

/// One life of a node, as in the table `nodes` with its rows in `gaps`.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) node: NodeId,
    pub(super) last_seen_at: UnixMillis,
    pub(super) closed: bool,
    pub(super) sequence: Sequence,
    pub(super) events: u64,
    pub(super) dropped: u64,
}

impl State {
    /// The node's row, made when it is new.
    pub(super) fn ensure(&mut self, node: &NodeId, now: UnixMillis) -> (NodeRow, &mut Row) {
        let known = self.rows.iter().find(|(_, row)| row.node.boot == node.boot);
        let id = known.map_or_else(
            || self.rows.keys().next_back().map_or(1, |last| last + 1),
            |(id, _)| *id,
        );
        let row = self.rows.entry(id).or_insert_with(|| Row {
            node: node.clone(),
            last_seen_at: now,
            closed: false,
            sequence: Sequence::default(),
            events: 0,
            dropped: 0,
        });
        row.last_seen_at = row.last_seen_at.max(now);
        (id, row)
    }
}
