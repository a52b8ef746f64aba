//! The store of nodes: a row for each life of each.

use async_trait::async_trait;
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::bundle::Serial;
use chaperone_engine::link::PolicyRequest;

use crate::store::Result;

/// Where nodes are kept. Each method is one transaction.
#[async_trait]
pub(crate) trait Store: std::fmt::Debug + Send + Sync {
    /// Notes a node's report of itself, which comes when it asks for policy. Its row is made when
    /// the node is new.
    async fn report(&self, request: &PolicyRequest, now: UnixMillis) -> Result<()>;

    /// The highest policy version that any node has reported to enforce; 0 for none.
    async fn highest_enforced(&self) -> Result<u64>;

    /// Those lives of nodes that `which` asks for, the newest first, beginning after the row
    /// `before`.
    async fn nodes(
        &self,
        which: &Which,
        before: Option<NodeRow>,
        limit: u32,
    ) -> Result<Vec<(NodeRow, NodeLife)>>;

    /// Events missing in all, of nodes of any age.
    async fn missing_events(&self) -> Result<u64>;

    /// Forgets lives of which no event was ever stored and none is missing, and that were heard of
    /// last before `before`; the `most` that were heard of last stay, and so does one that enforces
    /// the [highest](Self::highest_enforced) version. Answers how many were forgotten.
    async fn forget_idle(&self, before: UnixMillis, most: u32) -> Result<u64>;

    /// Takes back when nodes were heard of, where a clock that ran ahead has said so: they were
    /// heard of at `now`. They would be listed, and taken for live after a restart, until the clock
    /// is there again.
    async fn correct_clock(&self, now: UnixMillis) -> Result<()>;
}

/// Which lives of nodes a list has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// All that were ever heard of: the trail refers to them.
    All,
    /// These, by boot id, and those of which events are missing and that were heard of since.
    Listed {
        /// Boot ids.
        boots: Vec<String>,
        /// Since when those with missing events were heard of.
        gaps_since: UnixMillis,
    },
}

/// A node's place in the order in which nodes were first heard of.
pub(crate) type NodeRow = i64;

/// One life of one node: a filter's VM in one Envoy worker, from start to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeLife {
    /// Envoy's node id, or the name in the filter's configuration.
    pub(crate) name: String,
    /// The life: a restart or a crash begins another.
    pub(crate) boot: String,
    /// The filter's version, once it has reported it.
    pub(crate) filter_version: Option<String>,
    /// The highest revision of the policy language that it reads; 1 when it does not say so.
    pub(crate) reads: u32,
    /// The bundle that it enforces; `None` while it has none or has not reported it.
    pub(crate) enforced: Option<Serial>,
    /// Why it refused the last bundle, if it did.
    pub(crate) refused: Option<String>,
    /// When it was first heard of.
    pub(crate) first_seen_at: UnixMillis,
    /// When it was last heard of.
    pub(crate) last_seen_at: UnixMillis,
    /// It said goodbye: its shutdown was orderly and everything it had was sent.
    pub(crate) closed: bool,
    /// Number of its last event that is stored.
    pub(crate) acknowledged: u64,
    /// Events stored.
    pub(crate) events: u64,
    /// Events that it did not take because its queue was full, by its own count.
    pub(crate) dropped: u64,
    /// Events that are missing: numbered by the node, never stored.
    pub(crate) gaps: Vec<Gap>,
}

/// A node that cannot read a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeBehind {
    /// Its name.
    pub(crate) name: String,
    /// The life of its VM.
    pub(crate) boot: String,
    /// The highest revision of the policy language that it reads.
    pub(crate) reads: u32,
}

/// Missing events of one node, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    /// Number of the first.
    pub(crate) first: u64,
    /// Number of the last.
    pub(crate) last: u64,
}
