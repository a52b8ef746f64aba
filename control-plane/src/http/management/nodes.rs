//! Nodes: what each enforces, and what of its events is stored and missing.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chaperone_api::{
    Gap, Node, NodeBehind, NodeFilter, Page, Paging, Problem, ProblemCode as Code,
};

use crate::access::May;
use crate::access::permission::ReadState;
use crate::app::App;
use crate::http::extract::List;
use crate::http::problem::ApiError;
use crate::nodes::{self, Listed, NodeLife, ReportError};

/// Nodes, the newest life first: what each enforces, what of its events is stored and what is
/// missing. Without `all` those that go on, those that have ended in the last hour and were not
/// replaced by another life, and those of which events are missing.
#[utoipa::path(get, path = "/api/v1/nodes", tag = "state", params(NodeFilter, Paging), responses(
    (status = 200, body = Page<Node>),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn nodes(
    may: May<ReadState>,
    State(app): State<Arc<App>>,
    list: List<NodeFilter>,
) -> Result<Json<Page<Node>>, ApiError> {
    let all = list.filter.all.unwrap_or_default();
    let found = app
        .nodes
        .list(&may, all, list.after("nodes")?, list.fetch())
        .await?;
    Ok(Json(list.page(
        "nodes",
        found,
        |(row, _)| *row,
        |(_, listed)| wire(listed),
    )))
}

fn wire(listed: Listed) -> Node {
    let Listed { life, stale } = listed;
    let NodeLife {
        name,
        boot,
        filter_version,
        reads,
        enforced,
        refused,
        first_seen_at,
        last_seen_at,
        closed,
        acknowledged,
        events,
        dropped,
        gaps,
    } = life;
    Node {
        name,
        boot,
        filter_version,
        reads,
        enforced: enforced.map(Into::into),
        refused,
        first_seen_at,
        last_seen_at,
        stale,
        closed,
        acknowledged,
        events,
        dropped,
        gaps: gaps
            .into_iter()
            .map(|nodes::Gap { first, last }| Gap { first, last })
            .collect(),
    }
}

/// A node that something does not work with.
pub(super) fn behind(node: nodes::NodeBehind) -> NodeBehind {
    let nodes::NodeBehind { name, boot, reads } = node;
    NodeBehind { name, boot, reads }
}

impl From<ReportError> for ApiError {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::ImpossibleVersion => Self::new(
                Code::InvalidBody,
                "enforced: no such policy version can exist.",
            ),
            ReportError::Store(error) => error.into(),
        }
    }
}
