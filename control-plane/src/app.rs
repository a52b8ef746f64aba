//! The services together, and what else all faces share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::bundle::Serial;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::clock;
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::policies::Versions;
use crate::storage::sqlite::Database;
use crate::storage::sqlite::events::EventWriter;

/// A node that is silent for this long, and has not said goodbye, is stale: two long polls and a bit.
const STALE_AFTER: Duration = Duration::from_secs(120);

/// What handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) storage: Database,
    pub(crate) events: EventWriter,
    pub(crate) access: Access,
    pub(crate) versions: Arc<Versions>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) metrics: Arc<Metrics>,
    /// Ids of approvals whose state has changed.
    pub(crate) approvals_changed: broadcast::Sender<String>,
    /// The bundle that each life of a node was sent last: one that it refused is not sent again.
    pub(crate) sent: Mutex<HashMap<String, Serial>>,
    /// Long polls and event streams end when this is cancelled.
    pub(crate) stop: CancellationToken,
}

impl App {
    /// Nodes that were last heard of before this are stale.
    pub(crate) fn stale_before(&self) -> UnixMillis {
        let ago = u64::try_from(STALE_AFTER.as_millis()).unwrap_or(u64::MAX);
        UnixMillis(clock::now().0.saturating_sub(ago))
    }

    /// Remembers what a node was sent, and answers whether it was the same before.
    pub(crate) fn sent_before(&self, boot: &str, serial: Serial) -> bool {
        /// Lives of nodes that are remembered; forgetting one costs a bundle sent once more.
        const REMEMBERED: usize = 10_000;
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.len() >= REMEMBERED && !sent.contains_key(boot) {
            sent.clear();
        }
        sent.insert(boot.to_owned(), serial) == Some(serial)
    }

    /// What the gauges show; looked at when somebody asks for metrics.
    pub(crate) async fn measure(&self) -> crate::store::Result<()> {
        let (nodes, missing) = self.storage.node_totals(self.stale_before()).await?;
        self.metrics.nodes.set(nodes);
        self.metrics.missing_events.set(missing);
        self.metrics
            .pending_approvals
            .set(self.storage.pending_approvals(clock::now()).await?);
        Ok(())
    }
}
