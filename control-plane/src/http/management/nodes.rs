//! The state of things: nodes, key sets, connections, the filter's configuration.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chaperone_api::{
    Connection, FilterConfig, FilterConfigControlPlane, FilterConfigQuery, KeySet, Node, Page,
    Paging, Problem, ProblemCode as Code,
};

use crate::access::May;
use crate::access::permission::{ChangePolicy, ReadState};
use crate::app::App;
use crate::http::extract::{List, NoFilter, Query};
use crate::http::problem::ApiError;

/// Nodes, the newest life first: what each enforces, what of its events is stored and what is missing.
#[utoipa::path(get, path = "/api/v1/nodes", tag = "state", params(Paging), responses(
    (status = 200, body = Page<Node>),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn nodes(
    _may: May<ReadState>,
    State(app): State<Arc<App>>,
    list: List<NoFilter>,
) -> Result<Json<Page<Node>>, ApiError> {
    let found = app
        .storage
        .nodes(list.after("nodes")?, list.fetch(), app.stale_before())
        .await?;
    Ok(Json(list.page(
        "nodes",
        found,
        |(row, _)| *row,
        |(_, node)| node,
    )))
}

/// The key sets of the issuers in force, all on one page.
#[utoipa::path(get, path = "/api/v1/keys", tag = "state", responses(
    (status = 200, body = Page<KeySet>),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn keys(_may: May<ReadState>, State(app): State<Arc<App>>) -> Json<Page<KeySet>> {
    Json(Page {
        items: app.keys.list(),
        next_cursor: None,
    })
}

/// Fetches all key sets now and answers how that went.
#[utoipa::path(post, path = "/api/v1/keys/refresh", tag = "state", responses(
    (status = 200, body = Page<KeySet>),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn refresh_keys(
    _may: May<ChangePolicy>,
    State(app): State<Arc<App>>,
) -> Json<Page<KeySet>> {
    app.keys.refresh_all().await;
    Json(Page {
        items: app.keys.list(),
        next_cursor: None,
    })
}

/// The connections of the policy in force, all on one page; none while there is no policy.
#[utoipa::path(get, path = "/api/v1/connections", tag = "state", responses(
    (status = 200, body = Page<Connection>),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn connections(
    _may: May<ReadState>,
    State(app): State<Arc<App>>,
) -> Json<Page<Connection>> {
    let items = app.versions.current().map_or_else(Vec::new, |current| {
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

/// The filter's plugin configuration, but for its two secrets: add `node_token` and `fingerprint_key`
/// from the files in the control plane's data directory.
#[utoipa::path(get, path = "/api/v1/filter-config", tag = "state", params(FilterConfigQuery), responses(
    (status = 200, body = FilterConfig),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn filter_config(
    _may: May<ReadState>,
    State(app): State<Arc<App>>,
    Query(query): Query<FilterConfigQuery>,
) -> Result<Json<FilterConfig>, ApiError> {
    let profile = query.profile.unwrap_or_else(|| "headers".to_owned());
    if profile != "headers" && profile != "body" {
        return Err(ApiError::new(
            Code::InvalidQuery,
            "profile: expected headers or body.",
        ));
    }
    let cluster = query.cluster.unwrap_or_else(|| "chaperone".to_owned());
    let bundle = match query.bundle {
        Some(true) => {
            let envelope = app
                .versions
                .current()
                .and_then(|current| current.envelope());
            Some(envelope.ok_or_else(|| {
                ApiError::new(
                    Code::NotFound,
                    "There is no bundle yet: publish a policy first.",
                )
            })?)
        }
        _ => None,
    };
    Ok(Json(FilterConfig {
        control_plane: FilterConfigControlPlane {
            cluster,
            authority: "chaperone".to_owned(),
            timeout_ms: 2000,
        },
        public_key: app.versions.public_key().to_base64(),
        profile,
        bundle,
    }))
}
