//! Lives of nodes.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::bundle::Serial;
use chaperone_engine::link::{NodeId, PolicyRequest};
use chaperone_engine::policy::UNREPORTED;

use super::{Memory, kept};
use crate::nodes::store::{Gap, NodeLife, NodeRow, Store, Which};
use crate::store::Result;
use crate::trail::sequence::Sequence;

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) rows: BTreeMap<NodeRow, Row>,
}

/// One life of a node, as in the table `nodes` with its rows in `gaps`.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) node: NodeId,
    filter_version: Option<String>,
    reads: u32,
    enforced: Option<Serial>,
    refused: Option<String>,
    first_seen_at: UnixMillis,
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
            filter_version: None,
            reads: UNREPORTED,
            enforced: None,
            refused: None,
            first_seen_at: now,
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

impl Row {
    fn gaps(&self) -> Vec<Gap> {
        let gaps = self.sequence.gaps().iter();
        gaps.map(|gap| Gap {
            first: gap.first,
            last: gap.last,
        })
        .collect()
    }

    fn life(&self) -> NodeLife {
        NodeLife {
            name: self.node.name.clone(),
            boot: self.node.boot.as_str().to_owned(),
            filter_version: self.filter_version.clone(),
            reads: self.reads,
            enforced: self.enforced,
            refused: self.refused.clone(),
            first_seen_at: self.first_seen_at,
            last_seen_at: self.last_seen_at,
            closed: self.closed,
            acknowledged: self.sequence.acknowledged(),
            events: self.events,
            dropped: self.dropped,
            gaps: self.gaps(),
        }
    }
}

#[async_trait]
impl Store for Memory {
    async fn report(&self, request: &PolicyRequest, now: UnixMillis) -> Result<()> {
        self.write(|state| {
            let (_, row) = state.nodes.ensure(&request.node, now);
            row.filter_version = Some(request.filter_version.clone());
            row.reads = request.reads;
            row.enforced = request.enforced.map(|serial| Serial {
                policy_version: kept(serial.policy_version),
                keys_revision: kept(serial.keys_revision),
            });
            row.refused = request.refused.clone();
            Ok(())
        })
        .await
    }

    async fn highest_enforced(&self) -> Result<u64> {
        let state = self.read().await;
        let enforced = state.nodes.rows.values().filter_map(|row| row.enforced);
        Ok(enforced
            .map(|serial| serial.policy_version)
            .max()
            .unwrap_or(0))
    }

    async fn nodes(
        &self,
        which: &Which,
        before: Option<NodeRow>,
        limit: u32,
    ) -> Result<Vec<(NodeRow, NodeLife)>> {
        let state = self.read().await;
        let asked_for = |row: &Row| match which {
            Which::All => true,
            Which::Listed { boots, gaps_since } => {
                boots.iter().any(|boot| boot == row.node.boot.as_str())
                    || (row.last_seen_at >= *gaps_since && !row.gaps().is_empty())
            }
        };
        Ok(state
            .nodes
            .rows
            .range(..before.unwrap_or(NodeRow::MAX))
            .rev()
            .filter(|(_, row)| asked_for(row))
            .take(limit as usize)
            .map(|(id, row)| (*id, row.life()))
            .collect())
    }

    async fn forget_idle(&self, before: UnixMillis, most: u32) -> Result<u64> {
        self.write(|state| {
            let rows = &mut state.nodes.rows;
            let versions = rows
                .iter()
                .filter_map(|(id, row)| Some((row.enforced?.policy_version, *id)));
            let highest = versions.max().map(|(_, id)| id);
            let is_idle = |row: &Row| {
                row.events == 0
                    && row.sequence.acknowledged() == 0
                    && row.dropped == 0
                    && row.last_seen_at < before
                    && row.gaps().is_empty()
            };
            let idle = rows
                .iter()
                .filter(|(id, row)| Some(**id) != highest && is_idle(row));
            let mut idle: Vec<(UnixMillis, NodeRow)> =
                idle.map(|(id, row)| (row.last_seen_at, *id)).collect();
            idle.sort_unstable();
            let forgotten = idle.len().saturating_sub(most as usize);
            for (_, id) in idle.iter().take(forgotten) {
                rows.remove(id);
            }
            Ok(forgotten as u64)
        })
        .await
    }

    async fn correct_clock(&self, now: UnixMillis) -> Result<()> {
        self.write(|state| {
            for row in state.nodes.rows.values_mut() {
                if !row.last_seen_at.is_past(now) {
                    row.last_seen_at = now;
                    row.first_seen_at = row.first_seen_at.min(now);
                }
            }
            Ok(())
        })
        .await
    }

    async fn missing_events(&self) -> Result<u64> {
        let state = self.read().await;
        let missing = state.nodes.rows.values().flat_map(Row::gaps);
        let missing = missing.map(|gap| gap.last - gap.first + 1);
        Ok(kept(missing.fold(0, u64::saturating_add)))
    }
}
