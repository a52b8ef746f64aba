//! Taking events: durable before they are acknowledged, each exactly once.
//!
//! A commit costs one sync of the disk, whatever is in it. So one task writes: it takes every batch
//! that has arrived while the last commit was under way and commits them together. Under load the
//! groups grow by themselves, without a timer that a lone batch would have to wait for.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use chaperone_engine::audit::ReadEvent;
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::link::NodeId;
use sqlx::{Row as _, SqliteConnection};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::record_fold::Patch;
use super::sequence::{Range, Sequence};
use super::{Database, from_sql, nodes, records, to_sql};
use crate::metrics::Metrics;
use crate::store::Result;

/// Events that go into one transaction at most, a batch more or less: bounds how long other writers
/// wait for the lock.
const GROUP_EVENTS: usize = 8_000;

/// Batches that may wait for the writer. Beyond that their requests wait in turn.
const QUEUED_BATCHES: usize = 256;

/// Rows per INSERT statement: SQLite's per-statement work is shared by that many events.
const ROWS: usize = 50;

/// Record ids that changed together are announced together.
pub(crate) type Changed = Arc<Vec<String>>;

/// A batch of one node, read and checked: numbered without holes.
#[derive(Debug)]
pub(crate) struct IncomingBatch {
    pub(crate) node: NodeId,
    pub(crate) dropped: u64,
    pub(crate) closing: bool,
    /// Each event with the JSON that it came as.
    pub(crate) events: Vec<(ReadEvent, Box<str>)>,
}

/// Whom to tell that a batch is durable; an `Err` says that nothing of it was stored.
type Reply = oneshot::Sender<std::result::Result<u64, WriterGone>>;

/// The writer could not store a batch; the node sends it again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WriterGone;

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
        storage: Database,
        metrics: Arc<Metrics>,
        finish: CancellationToken,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (batches, incoming) = mpsc::channel(QUEUED_BATCHES);
        let (changed, _) = broadcast::channel(1024);
        let task = Task {
            storage,
            metrics,
            changed: changed.clone(),
            nodes: HashMap::new(),
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
    pub(crate) async fn store(&self, batch: IncomingBatch) -> std::result::Result<u64, WriterGone> {
        let (reply, answer) = oneshot::channel();
        self.batches
            .send((batch, reply))
            .await
            .map_err(|_| WriterGone)?;
        answer.await.map_err(|_| WriterGone)?
    }

    /// Ids of records as they change.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Changed> {
        self.changed.subscribe()
    }
}

/// What the writer remembers of a node between batches.
#[derive(Debug, Clone)]
struct Known {
    row: i64,
    sequence: Sequence,
    /// Whether it has sent events of kinds that are not known here; said once in the log.
    is_newer: bool,
}

struct Task {
    storage: Database,
    metrics: Arc<Metrics>,
    changed: broadcast::Sender<Changed>,
    /// By boot id. Only this task changes these rows, so the memory is never behind.
    nodes: HashMap<String, Known>,
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
            self.store(group).await;
        }
    }

    async fn store(&mut self, group: Vec<(IncomingBatch, Reply)>) {
        let started = std::time::Instant::now();
        let (batches, replies): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let received: usize = batches.iter().map(|batch| batch.events.len()).sum();
        match self.commit(batches).await {
            Ok(done) => {
                self.metrics
                    .group_committed(started.elapsed(), received as u64, done.stored);
                self.metrics.unknown_events.inc_by(done.unknown);
                for (reply, acknowledged) in replies.into_iter().zip(done.acknowledged) {
                    // The node may have gone away; it will send again and be told again.
                    let _ = reply.send(Ok(acknowledged));
                }
                if !done.records.is_empty() {
                    // Nobody listening is not an error.
                    drop(self.changed.send(Arc::new(done.records)));
                }
            }
            Err(error) => {
                // What was remembered may be ahead of what was rolled back.
                self.nodes.clear();
                self.metrics.commit_failures.inc();
                tracing::error!(%error, batches = replies.len(), "events could not be stored; their nodes will send them again");
                for reply in replies {
                    let _ = reply.send(Err(WriterGone));
                }
            }
        }
    }

    async fn commit(&mut self, batches: Vec<IncomingBatch>) -> Result<Done> {
        /// Lives of nodes that are remembered; those that are gone for long are read again if need be.
        const REMEMBERED: usize = 10_000;
        if self.nodes.len() > REMEMBERED {
            self.nodes.clear();
        }
        let now = crate::clock::now();
        let mut transaction = self.storage.write().await?;
        let mut done = Done::default();
        let mut patches: HashMap<String, (i64, Patch)> = HashMap::new();
        let mut order = Vec::new();
        let mut rows = Vec::new();
        for batch in batches {
            let boot = batch.node.boot.as_str();
            if !self.nodes.contains_key(boot) {
                let known = load(&mut transaction, &batch.node, now).await?;
                self.nodes.insert(boot.to_owned(), known);
            }
            let Some(known) = self.nodes.get_mut(boot) else {
                continue;
            };
            let gaps_before = known.sequence.gaps().to_vec();
            let mut stored = 0;
            for (event, json) in batch.events {
                if !known.sequence.take(event.seq()) {
                    continue;
                }
                stored += 1;
                if let ReadEvent::Unknown(unknown) = &event {
                    done.unknown += 1;
                    if !std::mem::replace(&mut known.is_newer, true) {
                        let stage = &unknown.stage;
                        tracing::warn!(node = %batch.node.name, boot, ?stage, "this node sends events of kinds that are not known here: it is newer than this control plane. They are stored as they came");
                    }
                }
                rows.push(EventRow {
                    node: known.row,
                    seq: to_sql(event.seq()),
                    record: event.record().0.clone(),
                    json,
                });
                let record = event.record().0.clone();
                let (_, patch) = patches.entry(record).or_insert_with_key(|id| {
                    order.push(id.clone());
                    (known.row, Patch::default())
                });
                patch.add(event);
            }
            if known.sequence.gaps() != gaps_before {
                store_gaps(&mut transaction, known).await?;
                let missing: u64 = known
                    .sequence
                    .gaps()
                    .iter()
                    .map(|gap| gap.last - gap.first + 1)
                    .sum();
                tracing::warn!(node = %batch.node.name, boot, missing, "events of this node are missing");
            }
            let totals = nodes::BatchTotals {
                acknowledged: known.sequence.acknowledged(),
                stored,
                dropped: batch.dropped,
                closed: batch.closing,
            };
            nodes::batch_stored(&mut transaction, known.row, &totals, now).await?;
            done.stored += stored;
            done.acknowledged.push(known.sequence.acknowledged());
        }
        insert(&mut transaction, &rows, now).await?;
        for id in &order {
            if let Some((node, patch)) = patches.get(id) {
                records::merge(&mut transaction, id, *node, patch).await?;
            }
        }
        transaction.commit().await?;
        done.records = order;
        Ok(done)
    }
}

/// What a commit did; `acknowledged` in the order of the batches.
#[derive(Debug, Default)]
struct Done {
    acknowledged: Vec<u64>,
    stored: u64,
    /// Of those that were stored, the ones of kinds that are not known here.
    unknown: u64,
    records: Vec<String>,
}

struct EventRow {
    node: i64,
    seq: i64,
    record: String,
    json: Box<str>,
}

async fn load(connection: &mut SqliteConnection, node: &NodeId, now: UnixMillis) -> Result<Known> {
    let row = nodes::ensure(connection, node, now).await?;
    let acknowledged: i64 = sqlx::query_scalar("SELECT acknowledged FROM nodes WHERE id = ?")
        .bind(row)
        .fetch_one(&mut *connection)
        .await?;
    let gaps = sqlx::query("SELECT first, last FROM gaps WHERE node = ? ORDER BY first")
        .bind(row)
        .fetch_all(connection)
        .await?;
    let gaps = gaps
        .iter()
        .map(|gap| {
            Ok(Range {
                first: from_sql(gap.try_get("first")?),
                last: from_sql(gap.try_get("last")?),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Known {
        row,
        sequence: Sequence::new(from_sql(acknowledged), gaps),
        is_newer: false,
    })
}

async fn store_gaps(connection: &mut SqliteConnection, known: &Known) -> Result<()> {
    sqlx::query("DELETE FROM gaps WHERE node = ?")
        .bind(known.row)
        .execute(&mut *connection)
        .await?;
    let gaps: BTreeSet<(u64, u64)> = known
        .sequence
        .gaps()
        .iter()
        .map(|gap| (gap.first, gap.last))
        .collect();
    for (first, last) in gaps {
        sqlx::query("INSERT INTO gaps (node, first, last) VALUES (?, ?, ?)")
            .bind(known.row)
            .bind(to_sql(first))
            .bind(to_sql(last))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

static INSERT_MANY: LazyLock<String> = LazyLock::new(|| {
    let rows = vec!["(?, ?, ?, ?, ?)"; ROWS].join(", ");
    format!("INSERT INTO events (node, seq, record, stored_at, json) VALUES {rows}")
});
const INSERT_ONE: &str =
    "INSERT INTO events (node, seq, record, stored_at, json) VALUES (?, ?, ?, ?, ?)";

async fn insert(
    connection: &mut SqliteConnection,
    rows: &[EventRow],
    now: UnixMillis,
) -> Result<()> {
    let mut chunks = rows.chunks_exact(ROWS);
    for chunk in &mut chunks {
        let mut query = sqlx::query(INSERT_MANY.as_str());
        for row in chunk {
            query = query
                .bind(row.node)
                .bind(row.seq)
                .bind(row.record.as_str())
                .bind(to_sql(now.0))
                .bind(&*row.json);
        }
        query.execute(&mut *connection).await?;
    }
    for row in chunks.remainder() {
        sqlx::query(INSERT_ONE)
            .bind(row.node)
            .bind(row.seq)
            .bind(row.record.as_str())
            .bind(to_sql(now.0))
            .bind(&*row.json)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
