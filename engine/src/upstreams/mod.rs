//! What a request does, in the upstream's own terms.
//!
//! A rule that says `operations: ["*/read"]` is only as good as the answer to "is this request a
//! read?". This module gives that answer from the method and the request target alone, for each
//! [`Protocol`] that a connection may speak:
//!
//! | protocol | operation | where |
//! |---|---|---|
//! | `http` | `GET /v1/models` | `http.rs` |
//! | `azure-arm` | `Microsoft.Storage/storageAccounts/listKeys/action` | `azure_arm.rs` |
//!
//! A new protocol is a variant of [`Protocol`], a file beside these two, and a row in
//! `Protocol::describer`.
//!
//! # Promises
//!
//! - Only a target with one reading gets an operation: [`RequestTarget`] has no other values.
//! - A request whose meaning is not known never looks like one whose meaning is: it becomes
//!   `unknown/http-post` and the like, which none of `*/read`, `*/write`, `*/delete`, `*/action` matches.

mod azure_arm;
mod http;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::request::RequestTarget;

/// How a connection's upstream names what is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Any HTTP API: the operation is the method and the path, `GET /v1/models`.
    Http,
    /// Azure Resource Manager: the operation is the Azure RBAC action,
    /// `Microsoft.Storage/storageAccounts/read`.
    AzureArm,
}

/// Names the operation of a request whose method has been checked already.
type Describer = fn(method: &str, target: &RequestTarget) -> Result<Operation, OperationError>;

impl Protocol {
    /// Every protocol, in the order in which documentation lists them.
    pub const ALL: &'static [Protocol] = &[Protocol::Http, Protocol::AzureArm];

    /// The name that policies use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Http => "http",
            Protocol::AzureArm => "azure-arm",
        }
    }

    /// The table of protocols: one row for each, which the compiler insists on.
    fn describer(self) -> Describer {
        match self {
            Protocol::Http => http::describe,
            Protocol::AzureArm => azure_arm::describe,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one request does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// The name that rules match, e.g. `GET /v1/models` or
    /// `Microsoft.Storage/storageAccounts/listKeys/action`. Spelled as the request spelled it;
    /// compare without case where the protocol does (Azure does).
    pub action: String,
    /// What else the protocol can tell: for `azure-arm` `provider`, `resource_type`,
    /// `resource_name`, `resource_group`, `subscription`, `management_group` and `scope`, each only
    /// where the path has it. Empty for `http`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

impl Operation {
    /// The operation of `method` on `target` at an upstream that speaks `protocol`.
    ///
    /// # Errors
    /// When the request must be refused whatever the policy says: the method is no method or hides
    /// another, the path means different things to different readers, or one request carries many.
    pub fn of(
        protocol: Protocol,
        method: &str,
        target: &RequestTarget,
    ) -> Result<Self, OperationError> {
        check_method(method)?;
        if target.overrides_method() {
            return Err(OperationError::MethodOverride);
        }
        (protocol.describer())(method, target)
    }

    /// Whether the protocol knows what the request does. An operation that it does not know is
    /// spelled `unknown/http-METHOD`.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !self.action.starts_with("unknown/")
    }

    /// An operation that the protocol has no name for.
    ///
    /// The method has a prefix so that `*/delete` does not match a DELETE of who knows what: only
    /// `unknown/*` and `*` do.
    fn unknown(method: &str) -> Self {
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
    /// A query parameter asks the upstream to use another method.
    MethodOverride,
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
            Self::Method => "invalid_method",
            Self::MethodOverride => "method_override",
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
            Self::MethodOverride => f.write_str(
                "A query parameter overrides the method; send the request with the method that is meant.",
            ),
            Self::AmbiguousPath(why) => write!(f, "The path is ambiguous: {why}."),
            Self::Batch => f.write_str(
                "A batch carries several requests in one body, which cannot be decided as one; send them one by one.",
            ),
        }
    }
}

impl std::error::Error for OperationError {}

/// Methods are tokens and case-sensitive (RFC 9110 §9.1), but ASP.NET and others compare without
/// case: `delete` would pass a rule that denies `DELETE` and still delete.
fn check_method(method: &str) -> Result<(), OperationError> {
    const MAX_BYTES: usize = 32;
    let is_upper_token =
        |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    if method.is_empty() || method.len() > MAX_BYTES || !method.bytes().all(is_upper_token) {
        return Err(OperationError::Method);
    }
    Ok(())
}
