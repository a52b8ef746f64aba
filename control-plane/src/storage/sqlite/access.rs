//! API tokens and the roles of their holders. Of secrets only the hash is stored.

use async_trait::async_trait;
use chaperone_engine::base::time::UnixMillis;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::administration::note;
use super::row::{instant, json_or_default};
use super::{Database, from_sql, to_sql};
use crate::access::store::{Revoked, Store};
use crate::access::{ApiToken, Identity, Role, TokenHash};
use crate::administration::store::Entry;
use crate::store::{PageKey, Result, StoreError};

#[async_trait]
impl Store for Database {
    async fn live_tokens(&self) -> Result<Vec<(TokenHash, ApiToken)>> {
        let rows = sqlx::query("SELECT * FROM tokens WHERE revoked_at IS NULL")
            .fetch_all(self.read())
            .await?;
        rows.iter()
            .map(|row| {
                let sha256: Vec<u8> = row.try_get("sha256")?;
                let sha256 = sha256
                    .try_into()
                    .map_err(|_| StoreError::Corrupt("a token's hash".to_owned()))?;
                Ok((TokenHash(sha256), token(row)?))
            })
            .collect()
    }

    async fn knows_token(&self, hash: &TokenHash) -> Result<bool> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM tokens WHERE sha256 = ?")
            .bind(&hash.0[..])
            .fetch_optional(self.read())
            .await?;
        Ok(found.is_some())
    }

    async fn had_role(&self, role: Role) -> Result<bool> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM tokens WHERE role = ? LIMIT 1")
            .bind(role.as_str())
            .fetch_optional(self.read())
            .await?;
        Ok(found.is_some())
    }

    async fn add_token(&self, token: &ApiToken, hash: &TokenHash, entry: &Entry) -> Result<()> {
        let mut transaction = self.write().await?;
        sqlx::query(
            "INSERT INTO tokens (id, name, subject, \"groups\", role, sha256, created_at, expires_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&token.id)
        .bind(&token.name)
        .bind(&token.identity.subject)
        .bind(serde_json::to_string(&token.identity.groups)?)
        .bind(token.role.as_str())
        .bind(&hash.0[..])
        .bind(to_sql(token.created_at.0))
        .bind(token.expires_at.map(|at| to_sql(at.0)))
        .execute(transaction.step().await?)
        .await?;
        note(transaction.step().await?, entry).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn token(&self, id: &str) -> Result<Option<ApiToken>> {
        let row = sqlx::query("SELECT * FROM tokens WHERE id = ?")
            .bind(id)
            .fetch_optional(self.read())
            .await?;
        row.as_ref().map(token).transpose()
    }

    async fn revoke_token(&self, id: &str, now: UnixMillis, entry: &Entry) -> Result<Revoked> {
        let mut transaction = self.write().await?;
        // Inside the transaction: of two administrators who revoke each other, one must fail.
        let lasting: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM tokens WHERE role = ? AND revoked_at IS NULL AND expires_at IS NULL \
             LIMIT 2",
        )
        .bind(Role::Admin.as_str())
        .fetch_all(transaction.step().await?)
        .await?;
        if lasting == [id] {
            transaction.rollback().await?;
            return Ok(Revoked::LastAdmin);
        }
        let done =
            sqlx::query("UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL")
                .bind(to_sql(now.0))
                .bind(id)
                .execute(transaction.step().await?)
                .await?;
        if done.rows_affected() == 0 {
            transaction.rollback().await?;
            return Ok(Revoked::Unknown);
        }
        note(transaction.step().await?, entry).await?;
        transaction.commit().await?;
        Ok(Revoked::Done)
    }

    async fn tokens(&self, after: Option<&PageKey>, limit: u32) -> Result<Vec<ApiToken>> {
        let (at, id) = after.map_or((i64::MAX, ""), |(at, id)| (to_sql(*at), id.as_str()));
        let rows = sqlx::query(
            "SELECT * FROM tokens WHERE (created_at, id) < (?, ?) \
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

fn token(row: &SqliteRow) -> Result<ApiToken> {
    Ok(ApiToken {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        identity: Identity {
            subject: row.try_get("subject")?,
            groups: json_or_default(row, "groups")?,
        },
        role: Role::named(row.try_get("role")?)
            .ok_or_else(|| StoreError::Corrupt("a token's role".to_owned()))?,
        created_at: instant(row, "created_at")?,
        expires_at: row
            .try_get::<Option<i64>, _>("expires_at")?
            .map(|at| UnixMillis(from_sql(at))),
        revoked_at: row
            .try_get::<Option<i64>, _>("revoked_at")?
            .map(|at| UnixMillis(from_sql(at))),
    })
}
