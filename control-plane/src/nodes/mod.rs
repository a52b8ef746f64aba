//! Nodes: what each life of a filter has reported, and what it was sent.

mod own;
pub(crate) mod store;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::bundle::Serial;
use chaperone_engine::link::PolicyRequest;
use chaperone_engine::policy::UNREPORTED as FIRST_REVISION;

pub(crate) use self::own::owns;
use self::store::Store;
pub(crate) use self::store::{Gap, NodeBehind, NodeLife, NodeRow};
use crate::access::May;
use crate::access::permission::{ActAsNode, ReadState};
use crate::clock;
use crate::metrics::Metrics;
use crate::store::StoreError;

/// A node that is silent for this long, and has not said goodbye, is stale: two long polls and a bit.
const STALE_AFTER: Duration = Duration::from_secs(120);

/// How often nodes are looked through for those that were heard of by a clock that ran ahead.
const CLOCK_TICK: Duration = Duration::from_secs(10);

/// Nodes' reports of the version that they enforce count up to here: whoever holds a node token must
/// not be able to push the numbers to where they end.
const MAX_REPORTED_VERSION: u64 = 1_000_000_000;

/// All nodes.
#[derive(Debug)]
pub(crate) struct Nodes {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    /// The bundle that each life of a node was sent last, by boot id.
    sent: Mutex<HashMap<String, Serial>>,
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

impl NodeLife {
    /// Whether it has been silent for too long, and did not say goodbye.
    pub(crate) fn is_stale(&self, now: UnixMillis) -> bool {
        !self.closed && self.last_seen_at < stale_before(now)
    }
}

impl Nodes {
    pub(crate) fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self {
            store,
            metrics,
            sent: Mutex::default(),
        }
    }

    /// Notes what a node says of itself when it asks for policy.
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
        Ok(self.store.report(request, clock::now()).await?)
    }

    /// Remembers what a node was sent, and answers whether it was the same before: a bundle that a node
    /// has refused is not sent to it again.
    pub(crate) fn sent_before(&self, _may: &May<ActAsNode>, boot: &str, serial: Serial) -> bool {
        /// Lives of nodes that are remembered; forgetting one costs a bundle sent once more.
        const REMEMBERED: usize = 10_000;
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.len() >= REMEMBERED && !sent.contains_key(boot) {
            sent.clear();
        }
        sent.insert(boot.to_owned(), serial) == Some(serial)
    }

    /// Nodes, the newest life first, beginning after the row `before`.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn list(
        &self,
        _may: &May<ReadState>,
        before: Option<NodeRow>,
        limit: u32,
    ) -> Result<Vec<(NodeRow, NodeLife)>, StoreError> {
        self.store.nodes(before, limit).await
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
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn behind(&self, revision: u32) -> Result<Vec<NodeBehind>, StoreError> {
        self.store
            .behind(revision, stale_before(clock::now()))
            .await
    }

    /// Looks again and again whether the clock was set back, and takes back what it has said before.
    pub(crate) async fn correct_clock(&self) {
        let mut tick = tokio::time::interval(CLOCK_TICK);
        loop {
            tick.tick().await;
            if let Err(error) = self.store.correct_clock(clock::now()).await {
                tracing::error!(%error, "nodes heard of by a wrong clock could not be corrected");
            }
        }
    }

    /// Sets the gauges that show nodes.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn measure(&self) -> Result<(), StoreError> {
        let totals = self.store.totals(stale_before(clock::now())).await?;
        self.metrics.nodes.set(totals.live);
        self.metrics.missing_events.set(totals.missing_events);
        Ok(())
    }
}

/// Nodes that were last heard of before this are stale.
fn stale_before(now: UnixMillis) -> UnixMillis {
    let ago = u64::try_from(STALE_AFTER.as_millis()).unwrap_or(u64::MAX);
    UnixMillis(now.0.saturating_sub(ago))
}
