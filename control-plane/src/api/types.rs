//! What the management API says and hears: one struct per JSON body, used by server and command line.
//!
//! Conventions: instants are milliseconds since the Unix epoch (UTC) in fields that end in `_at`,
//! durations are milliseconds in fields that end in `_ms`; what is not known is left out; lists come
//! as a [`Page`]; errors are [`Problem`]s. Unknown members of requests are errors, unknown members of
//! answers must be ignored by clients: answers may grow.

mod approvals;
mod nodes;
mod policies;
mod records;
mod schema;
mod tokens;

pub use approvals::{
    Approval, ApprovalAnswer, ApprovalFilter, ApprovalState, ApproveRequest, DenyRequest,
};
pub use nodes::{
    Connection, FilterConfig, FilterConfigControlPlane, FilterConfigQuery, Gap, Key, KeySet,
    KeySource, Node, Serial,
};
pub use policies::{
    PolicyProblem, PublishRequest, Published, RollbackRequest, Version, VersionDetail,
};
pub use records::{Record, RecordDetail, RecordFilter, RecordState, StoredEvent};
pub use tokens::{CreatedToken, NewToken, Role, Token};

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Where the management API begins.
pub const PREFIX: &str = "/api/v1";

/// `limit` when a list call names none.
pub const DEFAULT_LIMIT: u32 = 50;

/// The largest `limit`; more is cut to this.
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
    /// Entries per page, 1 to 500; 50 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// An error: `application/problem+json` (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Names the kind of problem; `urn:chaperone:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in a few words, the same each time.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What went wrong this time and what to do, in a sentence.
    pub detail: String,
    /// Stable name of the kind of problem, for programs.
    pub code: String,
    /// Places in the request or in the policy document, where there are several to name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<PolicyProblem>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)
    }
}

impl std::error::Error for Problem {}
