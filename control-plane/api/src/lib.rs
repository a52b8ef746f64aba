//! What the management API says and hears: one struct per JSON body, used by server and command
//! line.
//!
//! Conventions: instants are milliseconds since the Unix epoch (UTC) in fields that end in `_at`,
//! durations are milliseconds in fields that end in `_ms`; what is not known is left out; lists
//! come as a [`Page`]; errors are [`Problem`]s. Unknown members of requests are errors, unknown
//! members of answers must be ignored by clients: answers may grow.
#![forbid(unsafe_code)]

mod administration;
mod approvals;
pub mod link;
mod nodes;
mod policies;
mod problem;
mod records;
mod schema;
mod signing;
mod tokens;

pub use administration::AdministrativeAct;
pub use approvals::{
    Approval, ApprovalAnswer, ApprovalFilter, ApprovalState, ApproveRequest, BodyShown, DenyRequest,
};
pub use nodes::{
    Connection, FilterConfig, FilterConfigControlPlane, FilterConfigQuery, Gap, Key, KeySet,
    KeySource, Node, NodeFilter, Serial,
};
pub use policies::{
    NodeBehind, PolicyProblem, PublishRequest, Published, RollbackRequest, Version, VersionDetail,
};
pub use problem::{Problem, ProblemCode};
pub use records::{Record, RecordDetail, RecordFilter, RecordState, StoredEvent};
pub use signing::{SigningKey, SigningKeys, SwitchRequest};
pub use tokens::{CreatedToken, NewToken, Role, Token};

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Where the management API begins.
pub const PREFIX: &str = "/api/v1";

/// `limit` when a list call names none.
pub const DEFAULT_LIMIT: u32 = 50;

/// The largest `limit`; more is refused.
pub const MAX_LIMIT: u32 = 500;

/// One page of a list, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Pass it as `cursor` to get the next page; absent on the last one. Opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Where in a list to go on, and how far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Entries per page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn answers() -> Vec<(&'static str, Value)> {
        let version = json!({
            "version": 1, "digest": "d", "bundle_digest": "b", "published_at": 1, "published_by": "ada",
            "current": true, "unchanged": false,
        });
        let node = json!({
            "name": "envoy-1", "boot": "b", "first_seen_at": 1, "last_seen_at": 1, "stale": false,
            "closed": false, "acknowledged": 0, "events": 0, "dropped": 0,
        });
        let record = json!({
            "id": "r", "node": "envoy-1", "boot": "b", "state": "open", "received_at": 1,
        });
        vec![("version", version), ("node", node), ("record", record)]
    }

    fn read(what: &str, answer: Value) -> serde_json::Result<()> {
        match what {
            "version" => serde_json::from_value::<Page<Published>>(answer).map(drop),
            "node" => serde_json::from_value::<Page<Node>>(answer).map(drop),
            _ => serde_json::from_value::<Page<Record>>(answer).map(drop),
        }
    }

    #[test]
    fn members_that_are_not_known_are_ignored_in_answers() {
        for (what, mut answer) in answers() {
            answer["later"] = json!({ "x": [1] });
            read(what, json!({ "items": [answer], "later": 1 })).unwrap();
        }
    }

    #[test]
    fn members_that_are_not_known_are_refused_in_requests() {
        let publish = json!({ "document": "x", "only_if": "y" });
        assert!(serde_json::from_value::<PublishRequest>(publish).is_err());
        let filter = json!({ "subject": "alice", "later": "y" });
        assert!(serde_json::from_value::<RecordFilter>(filter).is_err());
        let token = json!({ "name": "n", "role": "policy", "later": 1 });
        assert!(serde_json::from_value::<NewToken>(token).is_err());
    }
}
