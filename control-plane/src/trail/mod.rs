//! The trail: what happened at the gates, event by event and record by record.
//!
//! [`Trail`] is the service: nodes hand in batches of events, people search, read and follow
//! records. What an event says about its record is the engine's table of attributes
//! ([`chaperone_engine::record_attributes`], `engine/src/audit/attributes/table.rs`); which events
//! are new, and which are missing, is [`sequence`]'s to say; [`store`] is what a database has to
//! do.

mod batch;
pub(crate) mod fold;
pub(crate) mod sequence;
pub(crate) mod store;
mod writer;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use batch::{BatchError, IncomingBatch};
pub(crate) use store::{Record, RecordQuery, StoredEvent};
pub(crate) use writer::NotStored;

use crate::access::May;
use crate::access::permission::{ActAsNode, ReadRecords};
use crate::administration::{Act, Administration};
use crate::metrics::Metrics;
use crate::store::{PageKey, Result, StoreError};
use store::Store;
use writer::EventWriter;

/// The trail.
#[derive(Debug)]
pub(crate) struct Trail {
    store: Arc<dyn Store>,
    administration: Administration,
    writer: EventWriter,
}

impl Trail {
    /// Starts the task that writes. When `finish` is cancelled it takes nothing more, stores what
    /// it was given and ends.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        administration: Administration,
        metrics: Arc<Metrics>,
        finish: CancellationToken,
    ) -> (Self, JoinHandle<()>) {
        let (writer, task) = EventWriter::start(Arc::clone(&store), metrics, finish);
        let trail = Self {
            store,
            administration,
            writer,
        };
        (trail, task)
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

    /// One record with its events in the order of their numbers, if it is there. Its events hold
    /// its bodies, so the log says who has read it.
    ///
    /// # Errors
    /// When the database fails, also when the reading could not be written down.
    pub(crate) async fn show(
        &self,
        may: &May<ReadRecords>,
        id: &str,
    ) -> Result<Option<(Record, Vec<StoredEvent>)>> {
        let found = self.store.show(id).await?;
        if found.is_some() {
            let entry = may.caller().does(Act::RecordRead, id);
            self.administration.note(&entry).await?;
        }
        Ok(found)
    }

    /// Records whose last change was after `position`, in the order of these changes. A record that
    /// changed several times comes once, as it is now.
    ///
    /// # Errors
    /// When the trail has not come as far as `position`, or the database fails.
    pub(crate) async fn changed_after(
        &self,
        _may: &May<ReadRecords>,
        query: &RecordQuery,
        position: u64,
        limit: u32,
    ) -> std::result::Result<Vec<Record>, NotRead> {
        let found = self.store.changed_after(query, position, limit).await?;
        if found.is_empty() {
            let end = self.store.position().await?;
            if position > end {
                return Err(NotRead::Ahead { end });
            }
        }
        Ok(found)
    }

    /// The position of the last change.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn position(&self, _may: &May<ReadRecords>) -> Result<u64> {
        self.store.position().await
    }

    /// Wakes when the trail has grown: the position up to which everything can be read. Zero until
    /// something is stored in this run.
    pub(crate) fn subscribe(&self, _may: &May<ReadRecords>) -> watch::Receiver<u64> {
        self.writer.subscribe()
    }
}

/// Why changes could not be read.
#[derive(Debug)]
pub(crate) enum NotRead {
    /// The position was never reached here. It is another database's: had its changes been skipped
    /// in silence, their reader would miss what is stored until then.
    Ahead {
        /// The trail's position.
        end: u64,
    },
    /// The database fails.
    Store(StoreError),
}

impl From<StoreError> for NotRead {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
