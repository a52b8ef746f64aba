//! Nodes: the reports of each life of a filter, and the bundles that it was sent.

mod lives;
mod own;
pub(crate) mod store;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::bundle::Serial;
use chaperone_engine::link::{MAX_WAIT_MS, NodeId, PolicyRequest};
use chaperone_engine::policy::UNREPORTED as FIRST_REVISION;

use self::lives::Lives;
pub(crate) use self::own::owns;
pub(crate) use self::store::{Gap, NodeBehind, NodeLife, NodeRow};
use self::store::{Store, Which};
use crate::access::May;
use crate::access::permission::{ActAsNode, ReadState};
use crate::clock;
use crate::metrics::Metrics;
use crate::store::StoreError;

/// For how long a life that has ended is listed because events of it are missing.
const GAPS_LISTED: Duration = Duration::from_secs(30 * 24 * 3600);

/// Lives that the last run of the control plane has left, at most.
const LEFT: u32 = 10_000;

/// How often nodes are looked through for those that were heard of by a clock that ran ahead, and
/// for those that nobody has to know any more.
const CLOCK_TICK: Duration = Duration::from_secs(10);

/// Lives of nodes that have ended without ever sending an event: so many are kept.
const MOST_IDLE: u32 = 10_000;

/// For how long such a life is kept in any case: it may go on, and would only be begun anew.
const IDLE_MS: u64 = 120_000;

/// Nodes' reports of the version that they enforce count up to here: whoever holds a node token
/// must not be able to push the numbers to where they end.
pub(crate) const MAX_REPORTED_VERSION: u64 = 1_000_000_000;

/// All nodes.
#[derive(Debug)]
pub(crate) struct Nodes {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    /// The bundle that each life of a node was sent last, by boot id.
    sent: Mutex<HashMap<String, Serial>>,
    /// Which lives go on.
    lives: Arc<Mutex<Lives>>,
}

/// A life of a node and whether it goes on.
#[derive(Debug)]
pub(crate) struct Listed {
    /// Its reports, added up.
    pub(crate) life: NodeLife,
    /// It has ended without a word.
    pub(crate) stale: bool,
}

/// A connection on which a life of a node speaks, for as long as this is kept.
#[derive(Debug)]
pub(crate) struct Presence {
    lives: Arc<Mutex<Lives>>,
    boot: String,
}

impl Drop for Presence {
    fn drop(&mut self) {
        lock(&self.lives).disconnected(&self.boot);
    }
}

fn lock(lives: &Mutex<Lives>) -> MutexGuard<'_, Lives> {
    lives.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a report was not taken.
#[derive(Debug)]
pub(crate) enum ReportError {
    /// No policy version of the number that the node says it enforces can exist.
    ImpossibleVersion,
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for ReportError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Nodes {
    /// Takes up where the last run ended.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn load(
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        let left = store.nodes(&Which::All, None, LEFT).await?;
        let left = left.into_iter().map(|(_, life)| life).collect();
        let lives = Lives::left(left, clock::now(), Instant::now());
        Ok(Self {
            store,
            metrics,
            sent: Mutex::default(),
            lives: Arc::new(Mutex::new(lives)),
        })
    }

    /// A node has called, and may wait for the answer for so long.
    pub(crate) fn heard(&self, _may: &May<ActAsNode>, node: &NodeId, wait: Duration) {
        lock(&self.lives).heard(node, None, wait, Instant::now());
    }

    /// A node that was heard has sent its last events, or, if not `closed`, some.
    pub(crate) fn closed(&self, _may: &May<ActAsNode>, node: &NodeId, closed: bool) {
        lock(&self.lives).closed(node.boot.as_str(), closed);
    }

    /// A node that was heard speaks on a connection. The connection lasts as long as the returned
    /// value.
    pub(crate) fn presence(&self, boot: &str) -> Presence {
        lock(&self.lives).connected(boot);
        Presence {
            lives: Arc::clone(&self.lives),
            boot: boot.to_owned(),
        }
    }

    /// Notes a node's report of itself, which comes when it asks for policy.
    ///
    /// # Errors
    /// [`ReportError`]; nothing was noted then.
    pub(crate) async fn report(
        &self,
        _may: &May<ActAsNode>,
        request: &PolicyRequest,
    ) -> Result<(), ReportError> {
        // Every filter reads the first revision. A lower number would hold up all publishing.
        let request = &PolicyRequest {
            reads: request.reads.max(FIRST_REVISION),
            ..request.clone()
        };
        if request
            .enforced
            .is_some_and(|serial| serial.policy_version > MAX_REPORTED_VERSION)
        {
            return Err(ReportError::ImpossibleVersion);
        }
        let wait = Duration::from_millis(request.wait_ms.min(MAX_WAIT_MS));
        {
            let mut lives = lock(&self.lives);
            lives.heard(&request.node, Some(request.reads), wait, Instant::now());
            lives.pins(request.node.boot.as_str(), &request.pins);
        }
        Ok(self.store.report(request, clock::now()).await?)
    }

    /// Remembers the bundle that a node is sent, and says whether it was the same before. A bundle
    /// that a node has refused is not sent to it again.
    pub(crate) fn sent_before(&self, _may: &May<ActAsNode>, boot: &str, serial: Serial) -> bool {
        /// Lives of nodes that are remembered; forgetting one costs a bundle sent once more.
        const REMEMBERED: usize = 10_000;
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.len() >= REMEMBERED && !sent.contains_key(boot) {
            sent.clear();
        }
        sent.insert(boot.to_owned(), serial) == Some(serial)
    }

    /// Lives of nodes, the newest first, beginning after the row `before`: those that go on, those
    /// that have ended lately and were not replaced, and those of which events are missing; or
    /// `all` there are.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn list(
        &self,
        _may: &May<ReadState>,
        all: bool,
        before: Option<NodeRow>,
        limit: u32,
    ) -> Result<Vec<(NodeRow, Listed)>, StoreError> {
        let which = if all {
            Which::All
        } else {
            let ago = u64::try_from(GAPS_LISTED.as_millis()).unwrap_or(u64::MAX);
            Which::Listed {
                boots: lock(&self.lives).listed(Instant::now()),
                gaps_since: UnixMillis(clock::now().0.saturating_sub(ago)),
            }
        };
        let found = self.store.nodes(&which, before, limit).await?;
        let (lives, now) = (lock(&self.lives), Instant::now());
        let listed = found.into_iter().map(|(row, life)| {
            let stale = !life.closed && !lives.is_live(&life.boot, now);
            (row, Listed { life, stale })
        });
        Ok(listed.collect())
    }

    /// The highest policy version that any node has reported to enforce; 0 for none.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn highest_enforced(&self) -> Result<u64, StoreError> {
        Ok(self
            .store
            .highest_enforced()
            .await?
            .min(MAX_REPORTED_VERSION))
    }

    /// Live nodes that read less of the policy language than `revision`.
    pub(crate) fn behind(&self, revision: u32) -> Vec<NodeBehind> {
        lock(&self.lives).behind(revision, Instant::now())
    }

    /// Live nodes that do not pin the signing key `key`, when `current` is the one that signs.
    pub(crate) fn without_pin(&self, key: &str, current: &str) -> Vec<NodeBehind> {
        lock(&self.lives).without_pin(key, current, Instant::now())
    }

    /// Keeps the list of nodes in order, again and again. Takes back instants of a clock that ran
    /// ahead, and forgets idle lives: lives that have ended and never sent an event. It forgets
    /// them when there are many, since whoever holds a node token can make up any number.
    pub(crate) async fn keep_in_order(&self) {
        let mut tick = tokio::time::interval(CLOCK_TICK);
        loop {
            tick.tick().await;
            if let Err(error) = self.store.correct_clock(clock::now()).await {
                tracing::error!(%error, "nodes heard of by a wrong clock could not be corrected");
            }
            let before = clock::now().0.saturating_sub(IDLE_MS);
            match self.store.forget_idle(UnixMillis(before), MOST_IDLE).await {
                Ok(0) => {}
                Ok(forgotten) => {
                    tracing::warn!(
                        forgotten,
                        "lives of nodes that never sent an event were forgotten; does somebody make them up?"
                    );
                }
                Err(error) => {
                    tracing::error!(%error, "lives of nodes that never sent an event could not be forgotten");
                }
            }
        }
    }

    /// Sets the gauges that show nodes.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn measure(&self) -> Result<(), StoreError> {
        let missing = self.store.missing_events().await?;
        self.metrics
            .nodes
            .set(lock(&self.lives).count(Instant::now()));
        self.metrics.missing_events.set(missing);
        Ok(())
    }
}
