//! The log of administration.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::row::{instant, json_or_default};
use super::{Database, from_sql, to_sql};
use crate::administration::store::{Act, Entry, Noted, Store};
use crate::store::{Result, StoreError};

#[async_trait]
impl Store for Database {
    async fn note(&self, entry: &Entry) -> Result<()> {
        let mut transaction = self.write().await?;
        note(transaction.step().await?, entry).await?;
        transaction.commit().await
    }

    async fn entries(&self, before: Option<u64>, limit: u32) -> Result<Vec<Noted>> {
        let rows = sqlx::query(
            "SELECT * FROM administration WHERE number < ? ORDER BY number DESC LIMIT ?",
        )
        .bind(before.map_or(i64::MAX, to_sql))
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| {
                use sqlx::Row as _;
                let act: &str = row.try_get("act")?;
                Ok(Noted {
                    number: from_sql(row.try_get("number")?),
                    entry: Entry {
                        at: instant(row, "at")?,
                        by: row.try_get("by")?,
                        token: row.try_get("token")?,
                        act: Act::named(act)
                            .ok_or_else(|| StoreError::Corrupt("an act's name".to_owned()))?,
                        object: row.try_get("object")?,
                        details: json_or_default(row, "details")?,
                    },
                })
            })
            .collect()
    }
}

/// Adds an entry, in the transaction of the change that it is about.
pub(super) async fn note(connection: &mut SqliteConnection, entry: &Entry) -> Result<()> {
    let Entry {
        at,
        by,
        token,
        act,
        object,
        details,
    } = entry;
    sqlx::query(
        "INSERT INTO administration (at, by, token, act, object, details) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(to_sql(at.0))
    .bind(by)
    .bind(token)
    .bind(act.as_str())
    .bind(object)
    .bind(serde_json::to_string(details)?)
    .execute(connection)
    .await?;
    Ok(())
}
