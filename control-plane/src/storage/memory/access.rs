//! API tokens.

use async_trait::async_trait;
use chaperone_engine::base::time::UnixMillis;

use super::{Memory, duplicate};
use crate::access::store::{Revoked, Store};
use crate::access::{ApiToken, Role, TokenHash};
use crate::administration::store::Entry;
use crate::store::{PageKey, Result};

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    tokens: Vec<Row>,
}

/// A token, as in the table `tokens`.
#[derive(Debug, Clone)]
struct Row {
    hash: TokenHash,
    token: ApiToken,
}

impl State {
    fn live(&self) -> impl Iterator<Item = &Row> {
        self.tokens
            .iter()
            .filter(|row| row.token.revoked_at.is_none())
    }
}

#[async_trait]
impl Store for Memory {
    async fn live_tokens(&self) -> Result<Vec<(TokenHash, ApiToken)>> {
        let state = self.read().await;
        let live = state.access.live();
        Ok(live.map(|row| (row.hash, row.token.clone())).collect())
    }

    async fn knows_token(&self, hash: &TokenHash) -> Result<bool> {
        let state = self.read().await;
        Ok(state.access.tokens.iter().any(|row| row.hash == *hash))
    }

    async fn had_role(&self, role: Role) -> Result<bool> {
        let state = self.read().await;
        Ok(state.access.tokens.iter().any(|row| row.token.role == role))
    }

    async fn add_token(&self, token: &ApiToken, hash: &TokenHash, entry: &Entry) -> Result<()> {
        self.write(|state| {
            let tokens = &mut state.access.tokens;
            if tokens
                .iter()
                .any(|row| row.token.id == token.id || row.hash == *hash)
            {
                return Err(duplicate("such a token"));
            }
            tokens.push(Row {
                hash: *hash,
                token: token.clone(),
            });
            state.administration.note(entry);
            Ok(())
        })
        .await
    }

    async fn token(&self, id: &str) -> Result<Option<ApiToken>> {
        let state = self.read().await;
        let mut tokens = state.access.tokens.iter().map(|row| &row.token);
        Ok(tokens.find(|token| token.id == id).cloned())
    }

    async fn revoke_token(&self, id: &str, now: UnixMillis, entry: &Entry) -> Result<Revoked> {
        self.write(|state| {
            let lasting = state
                .access
                .live()
                .filter(|row| row.token.role == Role::Admin && row.token.expires_at.is_none());
            let lasting: Vec<&str> = lasting.map(|row| row.token.id.as_str()).collect();
            if lasting == [id] {
                return Ok(Revoked::LastAdmin);
            }
            let row = state
                .access
                .tokens
                .iter_mut()
                .find(|row| row.token.id == id && row.token.revoked_at.is_none());
            Ok(match row {
                Some(row) => {
                    row.token.revoked_at = Some(now);
                    state.administration.note(entry);
                    Revoked::Done
                }
                None => Revoked::Unknown,
            })
        })
        .await
    }

    async fn tokens(&self, after: Option<&PageKey>, limit: u32) -> Result<Vec<ApiToken>> {
        let state = self.read().await;
        let key = |token: &ApiToken| (token.created_at.0, token.id.clone());
        let mut tokens: Vec<ApiToken> = state
            .access
            .tokens
            .iter()
            .map(|row| row.token.clone())
            .filter(|token| after.is_none_or(|after| key(token) < *after))
            .collect();
        tokens.sort_by_key(|token| std::cmp::Reverse(key(token)));
        tokens.truncate(limit as usize);
        Ok(tokens)
    }
}
