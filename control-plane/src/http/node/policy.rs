//! Handing out bundles.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chaperone_api::{Problem, link};
use chaperone_engine::link::PolicyRequest;

use super::{CALL_BODY_BYTES, deadline, peer, speaks};
use crate::access::May;
use crate::access::permission::ActAsNode;
use crate::app::App;
use crate::http::extract;
use crate::http::problem::ApiError;
use crate::http::stream::Waiting;

/// Unknown keys that one call may report.
pub(in crate::http) const MAX_UNKNOWN_KEYS: usize = 64;

/// Is there a bundle newer than mine? Waits up to `wait_ms` for one.
#[utoipa::path(post, path = "/node/v1/policy", tag = "data plane", request_body = link::PolicyRequest,
    responses((status = 200, description = "The newer bundle, or nothing", body = link::PolicyAnswer),
              (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn policy(
    may: May<ActAsNode>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let peer = peer(&request);
    let body = extract::bytes(request, CALL_BODY_BYTES).await?;
    let request: PolicyRequest = extract::json(&body)?;
    app.nodes.report(&may, &request).await?;
    speaks(&app, peer.as_ref(), &request.node);
    for unknown in request.unknown_keys.iter().take(MAX_UNKNOWN_KEYS) {
        app.keys
            .unknown_key(&may, &unknown.issuer, unknown.kid.as_deref());
    }
    let until = deadline(request.wait_ms);
    let mut news = app.policies.subscribe(&may);
    let _waiting = Waiting::new(Arc::clone(&app));
    // A bundle that the node has refused is not sent again, or it would ask again at once, and so
    // on.
    let mut refused = request.refused.is_some();
    loop {
        let current = news.borrow_and_update().clone();
        if let Some(current) = current
            && current.is_newer_than(request.enforced)
        {
            let again = app
                .nodes
                .sent_before(&may, request.node.boot.as_str(), current.serial);
            if !(refused && again) {
                return Ok(json(Bytes::from_owner(Arc::clone(&current.answer))));
            }
            refused = false;
        }
        tokio::select! {
            changed = news.changed() => if changed.is_err() { break },
            () = tokio::time::sleep_until(until) => break,
            () = app.stop.cancelled() => break,
        }
    }
    Ok(json(Bytes::from_static(b"{}")))
}

fn json(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
