//! What the service keeps: API tokens, found by the hash of their secret.

use async_trait::async_trait;
use chaperone_engine::base::time::UnixMillis;

use super::{ApiToken, Role, TokenHash};
use crate::administration::store::Entry;
use crate::store::{PageKey, Result};

/// Where tokens are kept. Each method is one transaction.
#[async_trait]
pub(crate) trait Store: std::fmt::Debug + Send + Sync {
    /// Every token that has not been revoked.
    async fn live_tokens(&self) -> Result<Vec<(TokenHash, ApiToken)>>;

    /// Whether a token with this hash was ever made, revoked or not.
    async fn knows_token(&self, hash: &TokenHash) -> Result<bool>;

    /// Whether a token of this role was ever made, revoked or not.
    async fn had_role(&self, role: Role) -> Result<bool>;

    /// Adds a token, and the entry that says so.
    async fn add_token(&self, token: &ApiToken, hash: &TokenHash, entry: &Entry) -> Result<()>;

    /// One token, revoked or not.
    async fn token(&self, id: &str) -> Result<Option<ApiToken>>;

    /// Revokes a token, unless nobody could administer any more. Adds the entry that says so, if it
    /// was revoked.
    async fn revoke_token(&self, id: &str, now: UnixMillis, entry: &Entry) -> Result<Revoked>;

    /// Tokens, revoked or not, newest first, beginning after `after`.
    async fn tokens(&self, after: Option<&PageKey>, limit: u32) -> Result<Vec<ApiToken>>;
}

/// What became of a token that was to be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// It is no longer valid.
    Done,
    /// There is none by this id that is not revoked already.
    Unknown,
    /// It is the last administrator's token that does not end by itself, so it stays.
    LastAdmin,
}
