//! Asking how approvals stand, and waiting for them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use chaperone_api::{Problem, link};
use chaperone_engine::link::{AskAnswer, AskRequest, WatchAnswer, WatchRequest, Watched};
use tokio::sync::broadcast::error::RecvError;

use super::{CALL_BODY_BYTES, deadline, heard, invalid, peer, wait};
use crate::access::May;
use crate::access::permission::ActAsNode;
use crate::app::App;
use crate::approvals::AskError;
use crate::http::extract;
use crate::http::problem::ApiError;
use crate::http::stream::Waiting;

/// Approvals that one watch may name.
pub(in crate::http) const MAX_WATCHED: usize = 10_000;

/// May this request pass?
#[utoipa::path(post, path = "/node/v1/approvals/ask", tag = "data plane", request_body = link::AskRequest,
    responses((status = 200, description = "How the approval stands for this record", body = link::AskAnswer),
              (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn ask(
    may: May<ActAsNode>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<AskAnswer>, ApiError> {
    let peer = peer(&request);
    let body = extract::bytes(request, CALL_BODY_BYTES).await?;
    let ask: AskRequest = extract::json(&body)?;
    heard(&app, &may, peer.as_ref(), &ask.node, Duration::ZERO);
    let answer = app.approvals.ask(&may, ask).await;
    answer.map(Json).map_err(|error| match error {
        AskError::ForeignRecord => invalid("record: not a record of this node's life"),
        AskError::Randomness(error) => ApiError::internal(&error),
        AskError::Store(error) => error.into(),
    })
}

/// Tell me when one of these approvals is no longer pending. Waits up to `wait_ms`.
#[utoipa::path(post, path = "/node/v1/approvals/watch", tag = "data plane", request_body = link::WatchRequest,
    responses((status = 200, description = "Those that are no longer pending", body = link::WatchAnswer),
              (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn watch(
    may: May<ActAsNode>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<WatchAnswer>, ApiError> {
    let peer = peer(&request);
    let body = extract::bytes(request, CALL_BODY_BYTES).await?;
    let request: WatchRequest = extract::json(&body)?;
    let granted = wait(request.wait_ms);
    heard(&app, &may, peer.as_ref(), &request.node, granted);
    if request.approvals.len() > MAX_WATCHED {
        return Err(invalid(&format!(
            "approvals: at most {MAX_WATCHED} can be watched at once"
        )));
    }
    let ids: HashSet<&str> = request.approvals.iter().map(String::as_str).collect();
    let until = deadline(request.wait_ms);
    // Before looking: what changes after the look is in here.
    let mut news = app.approvals.subscribe_as_node(&may);
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
