//! Taking events: durable before they are acknowledged, each exactly once.
//!
//! A commit costs one sync of the disk, whatever is in it. So one task writes: it takes every batch
//! that has arrived while the last commit was under way and commits them together. Under load the
//! groups grow by themselves, without a timer that a lone batch would have to wait for.
//!
//! The task remembers nothing between groups that matters: which numbers of a node are stored is read in the
//! transaction that stores the next ones. So a second control plane may write to the same store.

use std::collections::HashSet;
use std::sync::Arc;

use chaperone_engine::audit::BootId;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::store::{IncomingBatch, Store, Unknown};
use crate::clock;
use crate::metrics::Metrics;

/// Events that go into one transaction at most, a batch more or less: bounds how long other writers
/// wait for the lock.
const GROUP_EVENTS: usize = 8_000;

/// Batches that may wait for the writer. Beyond that their requests wait in turn.
const QUEUED_BATCHES: usize = 256;

/// Record ids that changed together are announced together.
pub(crate) type Changed = Arc<Vec<String>>;

/// Whom to tell that a batch is durable; an `Err` says that nothing of it was stored.
type Reply = oneshot::Sender<Result<u64, NotStored>>;

/// The writer could not store a batch; the node sends it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotStored;

/// The way to the writer task.
#[derive(Debug, Clone)]
pub(crate) struct EventWriter {
    batches: mpsc::Sender<(IncomingBatch, Reply)>,
    changed: broadcast::Sender<Changed>,
}

impl EventWriter {
    /// Starts the task. When `finish` is cancelled it takes nothing more, stores what it was given
    /// and ends.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        finish: CancellationToken,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (batches, incoming) = mpsc::channel(QUEUED_BATCHES);
        let (changed, _) = broadcast::channel(1024);
        let task = Task {
            store,
            metrics,
            changed: changed.clone(),
            newer: HashSet::new(),
        };
        (
            Self { batches, changed },
            tokio::spawn(task.run(incoming, finish)),
        )
    }

    /// Stores a batch and answers the number up to which the node's events are durable.
    ///
    /// # Errors
    /// When the database refuses; nothing was stored then.
    pub(crate) async fn store(&self, batch: IncomingBatch) -> Result<u64, NotStored> {
        let (reply, answer) = oneshot::channel();
        self.batches
            .send((batch, reply))
            .await
            .map_err(|_| NotStored)?;
        answer.await.map_err(|_| NotStored)?
    }

    /// Ids of records as they change.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Changed> {
        self.changed.subscribe()
    }
}

struct Task {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    changed: broadcast::Sender<Changed>,
    /// Lives of nodes of which the log says that they are newer than this control plane.
    newer: HashSet<BootId>,
}

impl Task {
    async fn run(
        mut self,
        mut incoming: mpsc::Receiver<(IncomingBatch, Reply)>,
        finish: CancellationToken,
    ) {
        loop {
            let first = tokio::select! {
                first = incoming.recv() => first,
                () = finish.cancelled(), if !incoming.is_closed() => {
                    // What is in the queue still comes out of it.
                    incoming.close();
                    continue;
                }
            };
            let Some(first) = first else { return };
            let mut count = first.0.events.len();
            let mut group = vec![first];
            while count < GROUP_EVENTS
                && let Ok(next) = incoming.try_recv()
            {
                count += next.0.events.len();
                group.push(next);
            }
            self.take(group).await;
        }
    }

    /// Says once in the log that a node is newer.
    fn told_newer(&mut self, unknown: &Unknown) {
        /// Lives of nodes that are remembered; forgetting one costs a line in the log.
        const REMEMBERED: usize = 10_000;
        if self.newer.len() >= REMEMBERED {
            self.newer.clear();
        }
        if self.newer.insert(unknown.node.boot.clone()) {
            let (node, boot) = (&unknown.node.name, unknown.node.boot.as_str());
            let stage = &unknown.stage;
            tracing::warn!(%node, boot, ?stage, "this node sends events of kinds that are not known here: it is newer than this control plane. They are stored as they came");
        }
    }

    async fn take(&mut self, group: Vec<(IncomingBatch, Reply)>) {
        let started = std::time::Instant::now();
        let (batches, replies): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let received: usize = batches.iter().map(|batch| batch.events.len()).sum();
        match self.store.take(batches, clock::now()).await {
            Ok(taken) => {
                self.metrics
                    .group_committed(started.elapsed(), received as u64, taken.stored);
                for unknown in taken.unknown {
                    self.metrics.unknown_events.inc_by(unknown.events);
                    self.told_newer(&unknown);
                }
                for missing in taken.missing {
                    tracing::warn!(
                        node = %missing.node.name,
                        boot = missing.node.boot.as_str(),
                        missing = missing.events,
                        "events of this node are missing"
                    );
                }
                for (reply, acknowledged) in replies.into_iter().zip(taken.acknowledged) {
                    // The node may have gone away; it will send again and be told again.
                    let _ = reply.send(Ok(acknowledged));
                }
                if !taken.changed.is_empty() {
                    // Nobody listening is not an error.
                    drop(self.changed.send(Arc::new(taken.changed)));
                }
            }
            Err(error) => {
                self.metrics.commit_failures.inc();
                tracing::error!(%error, batches = replies.len(), "events could not be stored; their nodes will send them again");
                for reply in replies {
                    let _ = reply.send(Err(NotStored));
                }
            }
        }
    }
}
