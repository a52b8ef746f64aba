//! API tokens: who holds what role. Secrets are stored as SHA-256 only; they carry 256 random bits,
//! so a slow password hash would add nothing.

use chaperone_api::{Role, Token};
use chaperone_engine::base::time::UnixMillis;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::records::{instant, json_or_default, named};
use super::{Database, from_sql, to_sql};
use crate::store::{Result, StoreError};

/// A token and the hash that finds it.
#[derive(Debug, Clone)]
pub(crate) struct StoredToken {
    pub(crate) token: Token,
    pub(crate) sha256: [u8; 32],
}

impl Database {
    /// Every token that has not been revoked.
    pub(crate) async fn live_tokens(&self) -> Result<Vec<StoredToken>> {
        let rows = sqlx::query("SELECT * FROM tokens WHERE revoked_at IS NULL")
            .fetch_all(self.read())
            .await?;
        rows.iter()
            .map(|row| {
                let sha256: Vec<u8> = row.try_get("sha256")?;
                let sha256 = sha256
                    .try_into()
                    .map_err(|_| StoreError::Corrupt("a token's hash".to_owned()))?;
                Ok(StoredToken {
                    token: token(row)?,
                    sha256,
                })
            })
            .collect()
    }

    /// Whether a token with this hash was ever made, revoked or not.
    pub(crate) async fn knows_token(&self, sha256: &[u8; 32]) -> Result<bool> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM tokens WHERE sha256 = ?")
            .bind(&sha256[..])
            .fetch_optional(self.read())
            .await?;
        Ok(found.is_some())
    }

    /// Whether a token of this role was ever made, revoked or not.
    pub(crate) async fn had_role(&self, role: Role) -> Result<bool> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM tokens WHERE role = ? LIMIT 1")
            .bind(role.as_str())
            .fetch_optional(self.read())
            .await?;
        Ok(found.is_some())
    }

    pub(crate) async fn add_token(&self, token: &Token, sha256: &[u8; 32]) -> Result<()> {
        let mut transaction = self.write().await?;
        sqlx::query(
            "INSERT INTO tokens (id, name, subject, \"groups\", role, sha256, created_at, expires_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&token.id)
        .bind(&token.name)
        .bind(&token.subject)
        .bind(serde_json::to_string(&token.groups)?)
        .bind(token.role.as_str())
        .bind(&sha256[..])
        .bind(to_sql(token.created_at.0))
        .bind(token.expires_at.map(|at| to_sql(at.0)))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Revokes a token; `false` when there is none by this id.
    pub(crate) async fn revoke_token(&self, id: &str, now: UnixMillis) -> Result<bool> {
        let mut transaction = self.write().await?;
        let done =
            sqlx::query("UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL")
                .bind(to_sql(now.0))
                .bind(id)
                .execute(&mut *transaction)
                .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Live tokens, newest first; `after` is the creation and id of the last one of the page before.
    pub(crate) async fn tokens(
        &self,
        after: Option<&(u64, String)>,
        limit: u32,
    ) -> Result<Vec<Token>> {
        let (at, id) = after.map_or((i64::MAX, ""), |(at, id)| (to_sql(*at), id.as_str()));
        let rows = sqlx::query(
            "SELECT * FROM tokens WHERE revoked_at IS NULL AND (created_at, id) < (?, ?) \
             ORDER BY created_at DESC, id DESC LIMIT ?",
        )
        .bind(at)
        .bind(id)
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        rows.iter().map(token).collect()
    }
}

fn token(row: &SqliteRow) -> Result<Token> {
    Ok(Token {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        subject: row.try_get("subject")?,
        groups: json_or_default(row, "groups")?,
        role: named(row, "role")?.ok_or_else(|| StoreError::Corrupt("role".to_owned()))?,
        created_at: instant(row, "created_at")?,
        expires_at: row
            .try_get::<Option<i64>, _>("expires_at")?
            .map(|at| UnixMillis(from_sql(at))),
    })
}
