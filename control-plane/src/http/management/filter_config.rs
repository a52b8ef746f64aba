//! The filter's configuration.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chaperone_api::{
    FilterConfig, FilterConfigControlPlane, FilterConfigQuery, Problem, ProblemCode as Code,
};

use crate::access::May;
use crate::access::permission::ReadState;
use crate::app::App;
use crate::http::extract::Query;
use crate::http::problem::ApiError;

/// How the filter's requests can be held.
pub(in crate::http) const PROFILES: [&str; 2] = ["headers", "body"];

/// The filter's plugin configuration, but for its two secrets: add `node_token` and
/// `fingerprint_key` from the files in the control plane's data directory.
#[utoipa::path(get, path = "/api/v1/filter-config", tag = "state", params(FilterConfigQuery), responses(
    (status = 200, body = FilterConfig),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn filter_config(
    may: May<ReadState>,
    State(app): State<Arc<App>>,
    Query(query): Query<FilterConfigQuery>,
) -> Result<Json<FilterConfig>, ApiError> {
    let profile = query.profile.unwrap_or_else(|| PROFILES[0].to_owned());
    if !PROFILES.contains(&profile.as_str()) {
        return Err(ApiError::new(
            Code::InvalidQuery,
            "profile: expected headers or body.",
        ));
    }
    let cluster = query.cluster.unwrap_or_else(|| "chaperone".to_owned());
    let bundle = match query.bundle {
        Some(true) => {
            let current = app.policies.in_force(&may).ok_or_else(|| {
                ApiError::new(
                    Code::NotFound,
                    "There is no bundle yet: publish a policy first.",
                )
            })?;
            Some(current.envelope.clone())
        }
        _ => None,
    };
    let keys = app.policies.pinned_keys(&may);
    let mut keys: Vec<String> = keys.iter().map(|key| key.to_base64()).collect();
    // Filters from before there could be two know `public_key` alone.
    let public_key = (keys.len() == 1).then(|| keys.remove(0));
    Ok(Json(FilterConfig {
        control_plane: FilterConfigControlPlane {
            cluster,
            authority: "chaperone".to_owned(),
            timeout_ms: 2000,
        },
        public_key,
        public_keys: keys,
        profile,
        bundle,
    }))
}
