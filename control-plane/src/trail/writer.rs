//! Taking events: durable before they are acknowledged, each exactly once.
//!
//! A commit costs one sync of the disk, whatever is in it. So one task writes: it takes every batch
//! that has arrived while the last commit was under way and commits them together. Under load the
//! groups grow by themselves, without a timer that a lone batch would have to wait for.
//!
//! No node's batches keep those of another waiting for long: of each life of a node a few may wait,
//! and the next one is refused, to be sent again. A node sends one at a time, and what goes into
//! it, it has shared out among subjects (`chaperone_engine::audit`), so that is a fair share of the
//! store for each of them, too.
//!
//! The task remembers nothing between groups that matters: which numbers of a node are stored is
//! read in the transaction that stores the next ones. So a second control plane may write to the
//! same store.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use chaperone_engine::audit::BootId;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::store::{IncomingBatch, Store, Unknown};
use crate::clock;
use crate::metrics::Metrics;
use crate::store::Fault;

/// Events that go into one transaction at most, a batch more or less: bounds how long other writers
/// wait for the lock.
const GROUP_EVENTS: usize = 8_000;

/// Batches that may wait for the writer. Beyond that their requests wait in turn.
const QUEUED_BATCHES: usize = 256;

/// Batches of one life of a node that may wait at once: the one that it has sent, and that one
/// again after its node has given up waiting for the answer.
const QUEUED_OF_ONE_LIFE: usize = 2;

/// Whom to tell that a batch is durable; an `Err` says that nothing of it was stored.
type Reply = oneshot::Sender<Result<u64, NotStored>>;

/// The writer could not store a batch, for this reason; the node sends it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotStored(pub(crate) Fault);

/// A batch that waits.
struct Queued {
    batch: IncomingBatch,
    reply: Reply,
    /// Given back when the batch is stored or forgotten.
    place: Place,
}

/// How many batches of each life wait.
type Lives = Arc<Mutex<HashMap<BootId, usize>>>;

/// A batch's place among those of its life.
struct Place {
    lives: Lives,
    boot: BootId,
}

impl Place {
    fn take(lives: &Lives, boot: &BootId) -> Option<Self> {
        let mut waiting = lives.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.entry(boot.clone()).or_default();
        if *count >= QUEUED_OF_ONE_LIFE {
            return None;
        }
        *count += 1;
        Some(Self {
            lives: Arc::clone(lives),
            boot: boot.clone(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(&self.boot) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.boot);
            }
        }
    }
}

/// The way to the writer task.
#[derive(Debug, Clone)]
pub(crate) struct EventWriter {
    batches: mpsc::Sender<Queued>,
    position: watch::Sender<u64>,
    lives: Lives,
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
        let (position, _) = watch::channel(0);
        let task = Task {
            store,
            metrics,
            position: position.clone(),
            newer: HashSet::new(),
        };
        (
            Self {
                batches,
                position,
                lives: Lives::default(),
            },
            tokio::spawn(task.run(incoming, finish)),
        )
    }

    /// Stores a batch and answers the number up to which the node's events are durable.
    ///
    /// # Errors
    /// When the database refuses, or others of the same life wait; nothing was stored then.
    pub(crate) async fn store(&self, batch: IncomingBatch) -> Result<u64, NotStored> {
        let (reply, answer) = oneshot::channel();
        let refused = NotStored(Fault::Stuck);
        let place = Place::take(&self.lives, &batch.node.boot).ok_or(refused)?;
        let queued = Queued {
            batch,
            reply,
            place,
        };
        self.batches.send(queued).await.map_err(|_| refused)?;
        answer.await.map_err(|_| refused)?
    }

    /// The trail's position as it grows; zero until this task has stored something.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.position.subscribe()
    }
}

struct Task {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    position: watch::Sender<u64>,
    /// Lives of nodes of which the log says that they are newer than this control plane.
    newer: HashSet<BootId>,
}

impl Task {
    async fn run(mut self, mut incoming: mpsc::Receiver<Queued>, finish: CancellationToken) {
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
            let mut count = first.batch.events.len();
            let mut group = vec![first];
            while count < GROUP_EVENTS
                && let Ok(next) = incoming.try_recv()
            {
                count += next.batch.events.len();
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

    async fn take(&mut self, group: Vec<Queued>) {
        let started = std::time::Instant::now();
        let mut batches = Vec::with_capacity(group.len());
        let mut replies = Vec::with_capacity(group.len());
        let mut places = Vec::with_capacity(group.len());
        for Queued {
            batch,
            reply,
            place,
        } in group
        {
            batches.push(batch);
            replies.push(reply);
            places.push(place);
        }
        let received: usize = batches.iter().map(|batch| batch.events.len()).sum();
        let result = self.store.take(batches, clock::now()).await;
        // Before anybody hears of it: whoever is told may send the next one at once.
        drop(places);
        match result {
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
                // Only what is committed is announced, so that whoever is woken can read it.
                self.position.send_replace(taken.position);
            }
            Err(error) => {
                self.metrics.commit_failures.inc();
                tracing::error!(%error, batches = replies.len(), "events could not be stored; their nodes will send them again");
                for reply in replies {
                    let _ = reply.send(Err(NotStored(error.fault())));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chaperone_engine::link::NodeId;
    use tokio::sync::Notify;

    use super::super::store::{Record, RecordQuery, StoredEvent, Taken};
    use super::*;
    use crate::store::PageKey;

    /// A store that takes batches when it is told to.
    #[derive(Debug, Default)]
    struct Slow {
        go_on: Notify,
    }

    #[async_trait::async_trait]
    impl Store for Slow {
        async fn take(
            &self,
            batches: Vec<IncomingBatch>,
            _: chaperone_engine::base::time::UnixMillis,
        ) -> crate::store::Result<Taken> {
            self.go_on.notified().await;
            Ok(Taken {
                acknowledged: vec![7; batches.len()],
                ..Taken::default()
            })
        }

        async fn search(
            &self,
            _: &RecordQuery,
            _: Option<&PageKey>,
            _: u32,
        ) -> crate::store::Result<Vec<Record>> {
            Ok(Vec::new())
        }

        async fn changed_after(
            &self,
            _: &RecordQuery,
            _: u64,
            _: u32,
        ) -> crate::store::Result<Vec<Record>> {
            Ok(Vec::new())
        }

        async fn position(&self) -> crate::store::Result<u64> {
            Ok(0)
        }

        async fn show(&self, _: &str) -> crate::store::Result<Option<(Record, Vec<StoredEvent>)>> {
            Ok(None)
        }
    }

    fn batch(n: u128) -> IncomingBatch {
        let node = NodeId {
            name: "envoy".to_owned(),
            boot: BootId::from_random(n),
        };
        IncomingBatch::new(node, 0, false, Vec::new()).unwrap()
    }

    #[tokio::test]
    async fn a_node_that_sends_many_batches_at_once_takes_the_place_of_no_other() {
        let store = Arc::new(Slow::default());
        let finish = CancellationToken::new();
        let (writer, task) = EventWriter::start(
            Arc::clone(&store) as Arc<dyn Store>,
            Arc::new(Metrics::new()),
            finish.clone(),
        );
        let mut flood = tokio::task::JoinSet::new();
        for _ in 0..QUEUED_BATCHES * 2 {
            let writer = writer.clone();
            flood.spawn(async move { writer.store(batch(1)).await });
        }
        // All but its share are refused while the store takes its time.
        for _ in QUEUED_OF_ONE_LIFE..QUEUED_BATCHES * 2 {
            let refused = flood.join_next().await.unwrap().unwrap();
            assert_eq!(refused, Err(NotStored(Fault::Stuck)));
        }
        let other = tokio::spawn({
            let writer = writer.clone();
            async move { writer.store(batch(2)).await }
        });
        let stored = loop {
            store.go_on.notify_one();
            tokio::task::yield_now().await;
            if other.is_finished() && flood.is_empty() {
                break other.await.unwrap();
            }
            while let Some(one) = flood.try_join_next() {
                assert_eq!(one.unwrap(), Ok(7));
            }
        };
        assert_eq!(stored, Ok(7));
        // What was stored makes room.
        store.go_on.notify_one();
        assert_eq!(writer.store(batch(1)).await, Ok(7));
        finish.cancel();
        task.await.unwrap();
        assert_eq!(writer.lives.lock().unwrap().len(), 0);
    }
}
