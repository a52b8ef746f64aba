//! What filters call: [`chaperone_engine::link`].

pub(super) mod policy;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use chaperone_api::{Problem, ProblemCode as Code};
use chaperone_engine::audit::{ReadEvent, RecordId};
use chaperone_engine::link::{
    AskAnswer, AskRequest, EventAck, MAX_WAIT_MS, NodeId, WatchAnswer, WatchRequest, Watched,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use crate::access::May;
use crate::access::permission::ActAsNode;
use crate::app::App;
use crate::approvals::AskError;
use crate::http::extract;
use crate::http::problem::ApiError;
use crate::http::stream::Waiting;
use crate::trail::IncomingBatch;

/// Largest batch of events. Filters send batches of at most a megabyte, and a single larger event
/// alone.
const EVENTS_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Largest of the other calls; an `ask` carries the beginning of a body.
const CALL_BODY_BYTES: usize = 2 * 1024 * 1024;

/// Approvals that one watch may name.
const MAX_WATCHED: usize = 10_000;

/// The longest name of a node.
const MAX_NODE_NAME: usize = 256;

/// Take these events.
#[utoipa::path(post, path = "/node/v1/events", tag = "data plane", request_body = Object,
    responses((status = 200, description = "Everything up to this number is durable", body = Object),
              (status = "default", description = "An error; nothing was stored", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn events(
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

/// May this request pass?
#[utoipa::path(post, path = "/node/v1/approvals/ask", tag = "data plane", request_body = Object,
    responses((status = 200, description = "How the approval stands for this record", body = Object),
              (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn ask(
    may: May<ActAsNode>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<AskAnswer>, ApiError> {
    let body = extract::bytes(request, CALL_BODY_BYTES).await?;
    let ask: AskRequest = extract::json(&body)?;
    check_node(&ask.node)?;
    check_record(&ask.node, &ask.record)?;
    let answer = app.approvals.ask(&may, ask).await;
    answer.map(Json).map_err(|error| match error {
        AskError::Randomness(error) => ApiError::internal(&error),
        AskError::Store(error) => error.into(),
    })
}

/// Tell me when one of these approvals is no longer pending. Waits up to `wait_ms`.
#[utoipa::path(post, path = "/node/v1/approvals/watch", tag = "data plane", request_body = Object,
    responses((status = 200, description = "Those that are no longer pending", body = Object),
              (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn watch(
    may: May<ActAsNode>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<WatchAnswer>, ApiError> {
    let body = extract::bytes(request, CALL_BODY_BYTES).await?;
    let request: WatchRequest = extract::json(&body)?;
    check_node(&request.node)?;
    if request.approvals.len() > MAX_WATCHED {
        return Err(invalid(&format!(
            "approvals: at most {MAX_WATCHED} can be watched at once"
        )));
    }
    let ids: HashSet<&str> = request.approvals.iter().map(String::as_str).collect();
    let until = deadline(request.wait_ms);
    // Before looking: what changes after the look is in here.
    let mut news = app.approvals.subscribe();
    let _waiting = Waiting::new(Arc::clone(&app));
    loop {
        let decided = app.approvals.decided(&may, &request.approvals).await?;
        let decided: Vec<Watched> = decided
            .into_iter()
            .map(|(approval, state)| Watched { approval, state })
            .collect();
        if !decided.is_empty() {
            return Ok(Json(WatchAnswer { decided }));
        }
        loop {
            tokio::select! {
                changed = news.recv() => match changed {
                    Ok(id) if ids.contains(id.as_str()) => break,
                    Ok(_) => {}
                    // Some were missed: look again.
                    Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return Ok(Json(WatchAnswer { decided })),
                },
                () = tokio::time::sleep_until(until) => return Ok(Json(WatchAnswer { decided })),
                () = app.stop.cancelled() => return Ok(Json(WatchAnswer { decided })),
            }
        }
    }
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

fn check_node(node: &NodeId) -> Result<(), ApiError> {
    let fits =
        (1..=MAX_NODE_NAME).contains(&node.name.len()) && !node.name.chars().any(char::is_control);
    if fits {
        Ok(())
    } else {
        Err(invalid("node.name: 1 to 256 printable characters"))
    }
}

/// A record belongs to the life of the node that names it: a node cannot write into the records of
/// another, nor spend its grants.
fn check_record(node: &NodeId, record: &RecordId) -> Result<(), ApiError> {
    let own = record
        .0
        .strip_prefix(node.boot.as_str())
        .is_some_and(|rest| {
            rest.len() <= 32
                && rest
                    .strip_prefix('-')
                    .is_some_and(|stream| !stream.is_empty())
        });
    if own {
        Ok(())
    } else {
        Err(invalid("record: not a record of this node's life"))
    }
}

fn invalid(detail: &str) -> ApiError {
    ApiError::new(Code::InvalidBody, format!("{detail}."))
}

fn deadline(wait_ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(wait_ms.min(MAX_WAIT_MS))
}
