//! Taking batches of events.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use chaperone_api::Problem;
use chaperone_engine::audit::ReadEvent;
use chaperone_engine::link::{EventAck, NodeId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{heard, invalid, peer};
use crate::access::May;
use crate::access::permission::ActAsNode;
use crate::app::App;
use crate::http::extract;
use crate::http::problem::ApiError;
use crate::trail::{BatchError, IncomingBatch};

/// Largest batch of events. Filters send batches of at most a megabyte, and a single larger event
/// alone.
const EVENTS_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Take these events.
#[utoipa::path(post, path = "/node/v1/events", tag = "data plane", request_body = Object,
    responses((status = 200, description = "Everything up to this number is durable", body = Object),
              (status = "default", description = "An error; nothing was stored", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn events(
    may: May<ActAsNode>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<EventAck>, ApiError> {
    let peer = peer(&request);
    let body = extract::bytes(request, EVENTS_BODY_BYTES).await?;
    let batch = read_batch(&body)?;
    heard(&app, &may, peer.as_ref(), &batch.node, Duration::ZERO);
    app.nodes.closed(&may, &batch.node, batch.closing);
    let taken = app.trail.take(&may, batch).await;
    let acknowledged = taken.map_err(|not_stored| {
        ApiError::storage(not_stored.0, "The events were not stored; send them again.")
    })?;
    Ok(Json(EventAck { acknowledged }))
}

/// [`chaperone_engine::link::EventBatch`], with each event as the very text that the node sent.
#[derive(Deserialize)]
struct Batch<'a> {
    node: NodeId,
    dropped: u64,
    #[serde(default)]
    closing: bool,
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

fn read_batch(body: &[u8]) -> Result<IncomingBatch, ApiError> {
    let batch: Batch<'_> = extract::json(body)?;
    let mut events = Vec::with_capacity(batch.events.len());
    for raw in batch.events {
        let event = ReadEvent::read(raw.get()).map_err(|error| extract::not_understood(&error))?;
        events.push((event, raw.get().into()));
    }
    IncomingBatch::new(batch.node, batch.dropped, batch.closing, events)
        .map_err(|error: BatchError| invalid(&error.to_string()))
}
