//! What the trail keeps, and the transactions on it.

use async_trait::async_trait;
use chaperone_engine::audit::{Attribute, AttributeValue, RecordAttributes, RecordState};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::link::NodeId;

pub(crate) use super::batch::IncomingBatch;
use crate::store::{PageKey, Result};

/// What taking some batches did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// For each batch, the number up to which its node's events are durable.
    pub(crate) acknowledged: Vec<u64>,
    /// Events that were not there before.
    pub(crate) stored: u64,
    /// Of those, the ones of kinds that are not known here, by node.
    pub(crate) unknown: Vec<Unknown>,
    /// The trail's position afterwards.
    pub(crate) position: u64,
    /// Nodes of which other numbers are missing than before.
    pub(crate) missing: Vec<Missing>,
}

/// Events of kinds that are not known here: their node is newer than this control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unknown {
    pub(crate) node: NodeId,
    /// The stage of the first one.
    pub(crate) stage: String,
    /// How many of one batch.
    pub(crate) events: u64,
}

/// Numbers that a node gave out and that never came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) node: NodeId,
    /// How many, in all its life.
    pub(crate) events: u64,
}

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) id: String,
    /// Name of the node.
    pub(crate) node: String,
    /// The life of the node's VM.
    pub(crate) boot: String,
    pub(crate) state: RecordState,
    /// The earliest event, by the node's clock.
    pub(crate) received_at: UnixMillis,
    /// The trail's position when the record last changed. No two records have the same, and a
    /// change gives a record a higher one than any had before: whoever reads in this order misses
    /// nothing, however late events arrive and whatever any clock says.
    pub(crate) position: u64,
    pub(crate) attributes: RecordAttributes,
}

/// One event and when it was stored, by the control plane's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredEvent {
    pub(crate) stored_at: UnixMillis,
    /// JSON, exactly as the node sent it.
    pub(crate) json: String,
}

/// Which records: all that is asked for must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RecordQuery {
    /// An attribute has this value, or, if it is a list, holds it.
    pub(crate) attributes: Vec<(&'static Attribute, AttributeValue<'static>)>,
    pub(crate) state: Option<RecordState>,
    /// Name of the node.
    pub(crate) node: Option<String>,
    /// Received then or later.
    pub(crate) since: Option<UnixMillis>,
    /// Received before.
    pub(crate) until: Option<UnixMillis>,
    /// An attribute that is marked for it contains this text, in whatever ASCII case.
    pub(crate) text: Option<String>,
}

/// Keeps events, and the records that they add up to.
#[async_trait]
pub(crate) trait Store: std::fmt::Debug + Send + Sync {
    /// Takes batches, in their order: stores each event that is new, notes which numbers are
    /// missing, and brings the records up to date.
    async fn take(&self, batches: Vec<IncomingBatch>, now: UnixMillis) -> Result<Taken>;

    /// Records, newest first, beginning after `after`.
    async fn search(
        &self,
        query: &RecordQuery,
        after: Option<&PageKey>,
        limit: u32,
    ) -> Result<Vec<Record>>;

    /// Records whose last change was after `position`, in the order of these changes.
    async fn changed_after(
        &self,
        query: &RecordQuery,
        position: u64,
        limit: u32,
    ) -> Result<Vec<Record>>;

    /// The trail's position: that of the last change, 0 before the first.
    async fn position(&self) -> Result<u64>;

    /// One record with its events in the order of their numbers, if it is there.
    async fn show(&self, id: &str) -> Result<Option<(Record, Vec<StoredEvent>)>>;
}
