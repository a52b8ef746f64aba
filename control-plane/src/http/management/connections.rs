//! The connections of the policy in force.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chaperone_api::{Connection, Page, Problem};

use crate::access::May;
use crate::access::permission::ReadState;
use crate::app::App;

/// The connections of the policy in force, all on one page; none while there is no policy.
#[utoipa::path(get, path = "/api/v1/connections", tag = "state", responses(
    (status = 200, body = Page<Connection>),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn connections(
    may: May<ReadState>,
    State(app): State<Arc<App>>,
) -> Json<Page<Connection>> {
    let in_force = app.policies.in_force(&may);
    let items = in_force.map_or_else(Vec::new, |current| {
        let view = |connection: &chaperone_engine::policy::Connection| Connection {
            name: connection.name.clone(),
            hosts: connection.hosts.iter().map(ToString::to_string).collect(),
            protocol: connection.protocol.to_string(),
            credential: connection.credential.clone(),
            labels: connection.labels.clone(),
        };
        current.policy().connections.iter().map(view).collect()
    });
    Json(Page {
        items,
        next_cursor: None,
    })
}
