//! Roles. What each may do is [`super::permission`]'s to say.

/// What a caller is to this control plane. Exactly one per token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Role {
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
    pub(crate) const ALL: [Self; 5] = [
        Self::Admin,
        Self::Policy,
        Self::Approver,
        Self::Auditor,
        Self::Node,
    ];

    /// The role of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// As stored, and as people write it.
    pub(crate) const fn as_str(self) -> &'static str {
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
