//! What filters call: [`chaperone_engine::link`]. A file per concern; what all of them check stands here.

pub(super) mod approvals;
pub(super) mod events;
pub(super) mod policy;

use std::time::Duration;

use chaperone_api::ProblemCode as Code;
use chaperone_engine::link::{MAX_WAIT_MS, NodeId};
use tokio::time::Instant;

use crate::http::problem::ApiError;

/// Largest body of a call that carries no events; an `ask` carries the beginning of a body.
const CALL_BODY_BYTES: usize = 2 * 1024 * 1024;

/// The longest name of a node.
const MAX_NODE_NAME: usize = 256;

fn check_node(node: &NodeId) -> Result<(), ApiError> {
    let fits =
        (1..=MAX_NODE_NAME).contains(&node.name.len()) && !node.name.chars().any(char::is_control);
    if fits {
        Ok(())
    } else {
        Err(invalid("node.name: 1 to 256 printable characters"))
    }
}

fn invalid(detail: &str) -> ApiError {
    ApiError::new(Code::InvalidBody, format!("{detail}."))
}

fn deadline(wait_ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(wait_ms.min(MAX_WAIT_MS))
}
