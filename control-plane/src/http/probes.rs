//! For whoever runs it: health, readiness, metrics, the OpenAPI document. No token is asked for,
//! and none of these says anything about policy, people or traffic beyond counts.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chaperone_api::{Problem, ProblemCode as Code};

use super::problem::{ApiError, capitalized};
use crate::app::App;

/// How long whoever asks for metrics waits for the database.
const MEASURE: Duration = Duration::from_secs(2);

/// The process runs.
#[utoipa::path(get, path = "/healthz", tag = "operations", security(()),
    responses((status = 200, description = "`ok`", body = String, content_type = "text/plain")))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// A write can be made durable. Asking makes one, at most once a second however many ask, and is
/// answered in two seconds or so.
#[utoipa::path(get, path = "/readyz", tag = "operations", security(()), responses(
    (status = 200, description = "`ok`", body = String, content_type = "text/plain"),
    (status = 503, description = "`storage_unavailable`: since when nothing can be stored, and why", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<&'static str, ApiError> {
    match app.readiness.check().await {
        Ok(()) => Ok("ok\n"),
        Err(not_ready) => Err(ApiError::new(
            Code::StorageUnavailable,
            capitalized(&format!("{not_ready}.")),
        )),
    }
}

/// Metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operations", security(()),
    responses((status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text")))]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    // Those that are looked at now. The others are counted all the time, and are wanted most when
    // the database does not answer.
    let _shown = app.readiness.check().await;
    match tokio::time::timeout(MEASURE, app.measure()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "some gauges could not be measured"),
        Err(_) => tracing::warn!("some gauges could not be measured in time"),
    }
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, content_type)], app.metrics.encode()).into_response())
}

/// The OpenAPI document. All answers share it: it is large, and everybody may ask for it.
pub(super) async fn openapi(document: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document).into_response()
}
