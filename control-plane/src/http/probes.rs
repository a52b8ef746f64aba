//! For whoever runs it: health, readiness, metrics, the OpenAPI document. No token is asked for, and
//! none of these says anything about policy, people or traffic beyond counts.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chaperone_api::Problem;

use super::problem::ApiError;
use crate::app::App;

/// The process runs.
#[utoipa::path(get, path = "/healthz", tag = "operations", security(()),
    responses((status = 200, description = "`ok`", body = String, content_type = "text/plain")))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The database answers, so calls will be answered.
#[utoipa::path(get, path = "/readyz", tag = "operations", security(()), responses(
    (status = 200, description = "`ok`", body = String, content_type = "text/plain"),
    (status = 503, description = "The database does not answer", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<&'static str, ApiError> {
    app.storage.ping().await?;
    Ok("ok\n")
}

/// Metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operations", security(()),
    responses((status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text")))]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    app.measure().await?;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, content_type)], app.metrics.encode()).into_response())
}

/// The OpenAPI document.
pub(super) async fn openapi(document: Arc<Vec<u8>>) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        document.to_vec(),
    )
        .into_response()
}
