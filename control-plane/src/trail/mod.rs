//! The trail: what happened at the gates, event by event and record by record.
//!
//! [`Trail`] is the service: nodes hand in batches of events, people search, read and follow records.
//! What an event says about its record is the engine's table of attributes
//! ([`chaperone_engine::record_attributes`], `engine/src/audit/attributes/table.rs`); which events are new, and which are missing, is
//! [`sequence`]'s to say; [`store`] is what a database has to do.

mod batch;
pub(crate) mod fold;
pub(crate) mod sequence;
pub(crate) mod store;
mod writer;

use std::sync::Arc;

use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use batch::{BatchError, IncomingBatch};
pub(crate) use store::{Record, RecordQuery, StoredEvent};
pub(crate) use writer::{Changed, NotStored};

use crate::access::May;
use crate::access::permission::{ActAsNode, ReadRecords};
use crate::metrics::Metrics;
use crate::store::{PageKey, Result};
use store::Store;
use writer::EventWriter;

/// The trail.
#[derive(Debug)]
pub(crate) struct Trail {
    store: Arc<dyn Store>,
    writer: EventWriter,
}

impl Trail {
    /// Starts the task that writes. When `finish` is cancelled it takes nothing more, stores what it was
    /// given and ends.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        finish: CancellationToken,
    ) -> (Self, JoinHandle<()>) {
        let (writer, task) = EventWriter::start(Arc::clone(&store), metrics, finish);
        (Self { store, writer }, task)
    }

    /// Takes a batch and answers the number up to which the node's events are durable.
    ///
    /// # Errors
    /// When the database refuses; nothing was stored then.
    pub(crate) async fn take(
        &self,
        _may: &May<ActAsNode>,
        batch: IncomingBatch,
    ) -> std::result::Result<u64, NotStored> {
        self.writer.store(batch).await
    }

    /// Records, newest first, beginning after `after`.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn search(
        &self,
        _may: &May<ReadRecords>,
        query: &RecordQuery,
        after: Option<&PageKey>,
        limit: u32,
    ) -> Result<Vec<Record>> {
        self.store.search(query, after, limit).await
    }

    /// One record with its events in the order of their numbers, if it is there.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn show(
        &self,
        _may: &May<ReadRecords>,
        id: &str,
    ) -> Result<Option<(Record, Vec<StoredEvent>)>> {
        self.store.show(id).await
    }

    /// Records as they change: each time that events of them were stored. [`Trail::changed`] then
    /// says how they stand.
    pub(crate) fn subscribe(&self, _may: &May<ReadRecords>) -> broadcast::Receiver<Changed> {
        self.writer.subscribe()
    }

    /// Of records that have changed, those that are asked for, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn changed(
        &self,
        _may: &May<ReadRecords>,
        query: &RecordQuery,
        changed: &Changed,
    ) -> Result<Vec<Record>> {
        self.store.of_these(query, changed).await
    }
}
