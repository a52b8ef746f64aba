//! Taking batches of events.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use chaperone_api::{Problem, ProblemCode as Code};
use chaperone_engine::audit::ReadEvent;
use chaperone_engine::link::{EventAck, NodeId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{check_node, check_record, invalid};
use crate::access::May;
use crate::access::permission::ActAsNode;
use crate::app::App;
use crate::http::extract;
use crate::http::problem::ApiError;
use crate::trail::IncomingBatch;

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
    let body = extract::bytes(request, EVENTS_BODY_BYTES).await?;
    let batch = read_batch(&body)?;
    let acknowledged = app.trail.take(&may, batch).await.map_err(|_| {
        ApiError::new(
            Code::StorageUnavailable,
            "The events were not stored; send them again.",
        )
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
    check_node(&batch.node)?;
    let mut events = Vec::with_capacity(batch.events.len());
    let mut expected = None;
    for raw in batch.events {
        let event = ReadEvent::read(raw.get()).map_err(|error| extract::not_understood(&error))?;
        check_record(&batch.node, event.record())?;
        let seq = event.seq();
        let numbered = expected.map_or(seq > 0, |expected| seq == expected);
        // Beyond this SQLite has no integer.
        if !numbered || seq >= i64::MAX as u64 {
            return Err(invalid(
                "events: a batch is numbered from 1 on without holes",
            ));
        }
        expected = Some(seq + 1);
        events.push((event, raw.get().into()));
    }
    Ok(IncomingBatch {
        node: batch.node,
        dropped: batch.dropped,
        closing: batch.closing,
        events,
    })
}
