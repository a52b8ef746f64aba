//! What filters call: [`chaperone_engine::link`]. A file per concern; what all of them check stands
//! here.

pub(super) mod approvals;
pub(super) mod events;
pub(super) mod policy;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use chaperone_api::ProblemCode as Code;
use chaperone_engine::link::{MAX_WAIT_MS, NodeId};
use tokio::time::Instant;

use crate::access::May;
use crate::access::permission::ActAsNode;
use crate::app::App;
use crate::http::connections::Peer;
use crate::http::problem::ApiError;

/// Largest body of a call that carries no events; an `ask` carries the beginning of a body.
const CALL_BODY_BYTES: usize = 2 * 1024 * 1024;

/// Notes that a node has called on this connection, and may wait for the answer for so long.
fn heard(app: &App, may: &May<ActAsNode>, peer: Option<&Arc<Peer>>, node: &NodeId, wait: Duration) {
    app.nodes.heard(may, node, wait);
    speaks(app, peer, node);
}

/// Notes that a node that was heard speaks on this connection.
fn speaks(app: &App, peer: Option<&Arc<Peer>>, node: &NodeId) {
    if let Some(peer) = peer {
        let boot = node.boot.as_str();
        peer.speaks_for(boot, || app.nodes.presence(boot));
    }
}

/// The connection that a request came on.
fn peer(request: &Request) -> Option<Arc<Peer>> {
    request.extensions().get::<Arc<Peer>>().cloned()
}

fn invalid(detail: &str) -> ApiError {
    ApiError::new(Code::InvalidBody, format!("{detail}."))
}

/// The wait that is granted.
fn wait(wait_ms: u64) -> Duration {
    Duration::from_millis(wait_ms.min(MAX_WAIT_MS))
}

fn deadline(wait_ms: u64) -> Instant {
    Instant::now() + wait(wait_ms)
}
