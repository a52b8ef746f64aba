//! The services together, and what else all faces share.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::administration::Administration;
use crate::approvals::Approvals;
use crate::keys::IssuerKeys;
use crate::metrics::Metrics;
use crate::nodes::Nodes;
use crate::policies::Policies;
use crate::readiness::Readiness;
use crate::store::Storage;
use crate::trail::Trail;

/// What handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) trail: Trail,
    pub(crate) approvals: Arc<Approvals>,
    pub(crate) access: Access,
    pub(crate) administration: Administration,
    pub(crate) policies: Arc<Policies>,
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) keys: Arc<IssuerKeys>,
    pub(crate) metrics: Arc<Metrics>,
    /// Long polls and event streams end when this is cancelled.
    pub(crate) stop: CancellationToken,
}

impl App {
    /// What the gauges show; looked at when somebody asks for metrics.
    pub(crate) async fn measure(&self) -> crate::store::Result<()> {
        self.nodes.measure().await?;
        self.metrics
            .pending_approvals
            .set(self.approvals.pending().await?);
        Ok(())
    }
}
