//! Operations, and why a request has none.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One request in the terms of its upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// The name that rules match, e.g. `GET /v1/models` or
    /// `Microsoft.Storage/storageAccounts/listKeys/action`. Spelled as the request spelled it;
    /// compare without case where the protocol does (Azure does).
    pub action: String,
    /// Attributes that the protocol can tell besides: for `azure-arm` `provider`, `resource_type`,
    /// `resource_name`, `resource_group`, `subscription`, `management_group`, `scope` and
    /// `proxied_path`, each only where the path has it. Empty for `http`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

impl Operation {
    /// Whether the protocol knows what the request does. An operation that it does not know is
    /// spelled `unknown/http-METHOD`.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !self.action.starts_with("unknown/")
    }

    /// An operation that the protocol has no name for.
    ///
    /// The method has a prefix so that `*/delete` does not match a DELETE of an unknown thing. Only
    /// `unknown/*` and `*` match it.
    pub(super) fn unknown(method: &str) -> Self {
        Self {
            action: format!("unknown/http-{}", method.to_ascii_lowercase()),
            attributes: BTreeMap::new(),
        }
    }
}

/// Why a request has no operation and must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationError {
    /// Not an upper-case method token.
    Method,
    /// A method whose answer is the request itself, with the credential that was put in.
    EchoingMethod,
    /// A query parameter asks the upstream to use another method.
    MethodOverride,
    /// A query parameter asks the upstream to act for somebody else.
    ClaimedIdentity,
    /// The protocol's own reading of the path is not the only one possible.
    AmbiguousPath(&'static str),
    /// One request that carries several in its body.
    Batch,
}

impl OperationError {
    /// A stable code for answers, records and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Method | Self::EchoingMethod => "invalid_method",
            Self::MethodOverride => "method_override",
            Self::ClaimedIdentity => "claimed_identity",
            Self::AmbiguousPath(_) => "ambiguous_path",
            Self::Batch => "batch_not_supported",
        }
    }
}

impl fmt::Display for OperationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str(
                "The method is not an upper-case HTTP method name; some upstreams would read it as one.",
            ),
            Self::EchoingMethod => f.write_str(
                "The answer to TRACE, TRACK and DEBUG would be the request with the upstream's credential in it; they \
                 are never let through.",
            ),
            Self::MethodOverride => f.write_str(
                "A query parameter overrides the method; send the request with the method that is meant.",
            ),
            Self::ClaimedIdentity => f.write_str(
                "A query parameter asks the upstream to act for somebody else, which no rule has seen; leave it out.",
            ),
            Self::AmbiguousPath(why) => write!(f, "The path is ambiguous: {why}."),
            Self::Batch => f.write_str(
                "A batch carries several requests in one body, which cannot be decided as one; send them one by one.",
            ),
        }
    }
}

impl std::error::Error for OperationError {}
