//! API tokens, and the hash that finds them.

use chaperone_engine::base::time::UnixMillis;
use sha2::{Digest as _, Sha256};

use super::identity::Identity;
use super::role::Role;

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
}

impl ApiToken {
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
