//! API tokens, and the hash that finds them.

use chaperone_engine::base::time::UnixMillis;
use sha2::{Digest as _, Sha256};

use super::identity::Identity;
use super::role::Role;
use crate::administration::store::Entry;

/// An API token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiToken {
    /// Its id; not secret.
    pub(crate) id: String,
    /// What it is for.
    pub(crate) name: String,
    /// Who acts when it is used.
    pub(crate) identity: Identity,
    /// What it may do.
    pub(crate) role: Role,
    /// When it was made.
    pub(crate) created_at: UnixMillis,
    /// When it ends; `None` when never.
    pub(crate) expires_at: Option<UnixMillis>,
    /// When it was revoked, if it was.
    pub(crate) revoked_at: Option<UnixMillis>,
}

impl ApiToken {
    /// An entry about this token, with what it could do. A token that is gone can then still be explained.
    pub(super) fn described(&self, entry: Entry) -> Entry {
        let entry = entry
            .with("name", &self.name)
            .with("subject", &self.identity.subject)
            .with("groups", self.identity.groups.join(", "))
            .with("role", self.role.as_str());
        match self.expires_at {
            Some(UnixMillis(at)) => entry.with("expires_at", at.to_string()),
            None => entry,
        }
    }

    /// Whether it has not ended by itself.
    pub(super) fn is_live(&self, now: UnixMillis) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// SHA-256 of a token's secret. Secrets carry 256 random bits, so a slow password hash would add
/// nothing; and looking one up by its hash tells by its timing nothing that helps to guess it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenHash(pub(crate) [u8; 32]);

impl TokenHash {
    /// Of this secret.
    pub(crate) fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }
}
