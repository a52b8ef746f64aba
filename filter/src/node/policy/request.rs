//! The one request to the control plane for policy: a poll waits with it, a report only tells.

use chaperone_engine::identity::UnknownKey;
use chaperone_engine::link::{NodeId, PolicyRequest};
use chaperone_engine::policy::REVISION;

use super::in_force::InForce;

/// The request that poll and report both send.
pub(super) fn request<G>(
    in_force: &InForce<G>,
    me: &NodeId,
    unknown_keys: Vec<UnknownKey>,
    wait_ms: u64,
) -> Vec<u8> {
    let request = PolicyRequest {
        node: me.clone(),
        filter_version: env!("CARGO_PKG_VERSION").to_owned(),
        enforced: in_force.serial(),
        refused: in_force.refused().map(ToString::to_string),
        unknown_keys,
        wait_ms,
        reads: REVISION,
        pins: in_force.pinned().ids(),
    };
    // Strings and numbers only: serialising them cannot fail.
    serde_json::to_vec(&request).unwrap_or_default()
}
