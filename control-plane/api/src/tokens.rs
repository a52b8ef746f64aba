//! API tokens and their roles.

use chaperone_engine::base::time::UnixMillis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the bearer of a token may do. Exactly one per token.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The whole management API.
    Admin,
    /// Publishes and rolls back policy versions, refreshes keys.
    Policy,
    /// Sees and answers approvals.
    Approver,
    /// Reads records, approvals, policies and everything else, changes nothing.
    Auditor,
    /// The data plane, and nothing else.
    Node,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 5] = [
        Self::Admin,
        Self::Policy,
        Self::Approver,
        Self::Auditor,
        Self::Node,
    ];

    /// As in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Policy => "policy",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
            Self::Node => "node",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| {
                format!("unknown role {text:?}: expected admin, policy, approver, auditor or node")
            })
    }
}

/// An API token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its id; not secret.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// Who acts when it is used: stands in versions and approvals.
    pub subject: String,
    /// Groups of the subject; `*` is a member of every group.
    pub groups: Vec<String>,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    #[schema(value_type = u64)]
    pub created_at: UnixMillis,
    /// When it ends; absent when never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub expires_at: Option<UnixMillis>,
    /// When it was revoked; absent when it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub revoked_at: Option<UnixMillis>,
}

/// Makes a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for.
    pub name: String,
    /// Who acts when it is used; the name when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Groups of the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// What it may do.
    pub role: Role,
    /// Seconds until it ends; never when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}

/// A token that was just made: the only time that its secret is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedToken {
    /// The token.
    #[serde(flatten)]
    pub token: Token,
    /// What goes after `Bearer`. Stored as SHA-256 only, so it cannot be shown again.
    pub secret: String,
}

impl std::fmt::Debug for CreatedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedToken")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}
