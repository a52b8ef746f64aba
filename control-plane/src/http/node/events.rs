//! Taking batches of events.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use chaperone_api::{Problem, link};
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
#[utoipa::path(post, path = "/node/v1/events", tag = "data plane", request_body = link::EventBatch,
    responses((status = 200, description = "Everything up to this number is durable", body = link::EventAck),
              (status = "default", description = "An error; nothing was stored", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn events(
    may: May<ActAsNode>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<EventAck>, ApiError> {
    let peer = peer(&request);
    let body = extract::bytes(request, EVENTS_BODY_BYTES).await?;
    let batch = read(body).await?;
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

/// Batches up to this size are read where they are. Measured with batches of short events: this
/// size takes 1.3 ms, a filter's usual largest (256 KiB) 9 ms, and the largest that is taken (16
/// MiB) half a second.
const READ_IN_PLACE_BYTES: usize = 64 * 1024;

/// Reads a batch without keeping other calls waiting.
async fn read(body: Vec<u8>) -> Result<IncomingBatch, ApiError> {
    if body.len() <= READ_IN_PLACE_BYTES {
        return read_batch(&body);
    }
    let reading = tokio::task::spawn_blocking(move || read_batch(&body));
    reading.await.map_err(|error| ApiError::internal(&error))?
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
