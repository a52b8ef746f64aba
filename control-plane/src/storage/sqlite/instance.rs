//! Which database this is, and how it came to be as it is.
//!
//! A database has an id, and a mark that goes up while the control plane runs. The data directory
//! remembers both. So a database that is empty, another one, or an older copy of itself is noticed
//! at the start: silently going on with it would lose the trail, bring back tokens that were
//! revoked and let one-time grants be used twice.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chaperone_engine::base::time::UnixMillis;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};

use super::connect::{BUSY, reading};
use super::files::{BESIDE, beside};
use super::row::instant;
use super::{Database, damage, from_sql, to_sql};
use crate::store::{Result, StoreError};

/// Which database it is, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    /// The same for all its copies.
    pub(crate) id: String,
    /// Goes up.
    pub(crate) mark: u64,
}

/// The kind of file at a database's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// No file, an empty one, or a database without a table.
    Nothing,
    /// A database; without an instance when it was last used by a version that knew none.
    Database(Option<Instance>),
}

/// How a database came to be as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HistoryEvent {
    /// It was made, in a data directory that knew none.
    Begun,
    /// It was there before it had an id.
    Adopted,
    /// It was made in place of one that was lost, as the operator wanted it.
    BegunAnew,
    /// It is a backup that took the place of another, as the operator has said.
    Restored,
}

impl HistoryEvent {
    /// As it is stored and shown.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Adopted => "adopted",
            Self::BegunAnew => "begun_anew",
            Self::Restored => "restored",
        }
    }
}

/// One entry of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HistoryRow {
    pub(crate) at: UnixMillis,
    /// One of the names of [`HistoryEvent`], or one of a later version.
    pub(crate) event: String,
    /// More of it, for people.
    pub(crate) detail: String,
}

/// Looks at the file at this path, and changes nothing in it. Damage is looked for, too, for so
/// long.
///
/// # Errors
/// When it is no database, is damaged or cannot be read.
pub(crate) async fn found(file: &Path, budget: Duration) -> Result<Found> {
    match std::fs::metadata(file) {
        // SQLite would take an empty file beside a log for a reason to remove the log.
        Ok(metadata) if metadata.len() > 0 => {}
        _ => return Ok(Found::Nothing),
    }
    let options = SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(BUSY)
        .disable_statement_logging();
    let mut connection = options.connect().await?;
    let found = look(&mut connection).await;
    drop(connection.close().await);
    let found = found?;
    if found != Found::Nothing && !damage::quickly(file, budget).await? {
        tracing::info!(
            "the database is large, so only a part of it was looked through for damage; `chaperone db check` looks through all of it"
        );
    }
    Ok(found)
}

async fn look(connection: &mut SqliteConnection) -> Result<Found> {
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
            .fetch_all(&mut *connection)
            .await?;
    if tables.is_empty() {
        return Ok(Found::Nothing);
    }
    if !tables.iter().any(|name| name == "instance") {
        return Ok(Found::Database(None));
    }
    Ok(Found::Database(read(connection).await?))
}

async fn read(connection: &mut SqliteConnection) -> Result<Option<Instance>> {
    let row = sqlx::query("SELECT id, mark FROM instance")
        .fetch_optional(connection)
        .await?;
    row.map(|row| {
        Ok(Instance {
            id: row.try_get("id")?,
            mark: from_sql(row.try_get("mark")?),
        })
    })
    .transpose()
}

/// Gives the files of a database other names in the same directory, and returns the new name of the
/// database. Nothing is removed: somebody may still want it.
///
/// # Errors
/// When one of them cannot be renamed.
pub(crate) fn set_aside(file: &Path, now: UnixMillis) -> std::io::Result<Option<PathBuf>> {
    let aside = beside(file, &format!(".before-{}", now.0 / 1000));
    let mut any = false;
    for suffix in BESIDE.into_iter().chain([""]) {
        match std::fs::rename(beside(file, suffix), beside(&aside, suffix)) {
            Ok(()) => any = true,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(any.then_some(aside))
}

impl Database {
    /// Writes down which database it is and how it came to be so. An id stays the one that it has.
    /// The mark becomes higher than `above`.
    ///
    /// A backup that was restored may not know of grants that were used since it was made, so in
    /// such a one all questions and grants that are open end.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub(crate) async fn begin_chapter(
        &self,
        new_id: &str,
        above: u64,
        event: HistoryEvent,
        detail: &str,
        now: UnixMillis,
    ) -> Result<Instance> {
        let mut transaction = self.write().await?;
        let row = sqlx::query(
            "INSERT INTO instance (only, id, mark, probed_at) VALUES (1, ?1, ?2 + 1, 0) \
             ON CONFLICT (only) DO UPDATE SET mark = max(mark, ?2) + 1 RETURNING id, mark",
        )
        .bind(new_id)
        .bind(to_sql(above))
        .fetch_one(transaction.step().await?)
        .await?;
        sqlx::query("INSERT INTO instance_history (at, event, detail) VALUES (?, ?, ?)")
            .bind(to_sql(now.0))
            .bind(event.as_str())
            .bind(detail)
            .execute(transaction.step().await?)
            .await?;
        if event == HistoryEvent::Restored {
            sqlx::query(
                "UPDATE approvals SET state = 'expired' WHERE state IN ('pending', 'approved')",
            )
            .execute(transaction.step().await?)
            .await?;
        }
        transaction.commit().await?;
        Ok(Instance {
            id: row.try_get("id")?,
            mark: from_sql(row.try_get("mark")?),
        })
    }

    /// Makes the mark one higher.
    ///
    /// # Errors
    /// When the database fails; it is as before then.
    pub(crate) async fn raise_mark(&self) -> Result<Instance> {
        let mut transaction = self.write().await?;
        let row = sqlx::query("UPDATE instance SET mark = mark + 1 RETURNING id, mark")
            .fetch_optional(transaction.step().await?)
            .await?
            .ok_or_else(|| StoreError::Corrupt("the database has no id".to_owned()))?;
        transaction.commit_unnoticed().await?;
        Ok(Instance {
            id: row.try_get("id")?,
            mark: from_sql(row.try_get("mark")?),
        })
    }
}

/// How the database came to be as it is, the oldest entry first; empty when it was last used by a
/// version that wrote none.
///
/// # Errors
/// When it cannot be read.
pub(crate) async fn history(file: &Path) -> Result<Vec<HistoryRow>> {
    let mut connection = reading(file).await?;
    let rows = rows(&mut connection).await;
    drop(connection.close().await);
    rows
}

async fn rows(connection: &mut SqliteConnection) -> Result<Vec<HistoryRow>> {
    let known = "SELECT count(*) FROM sqlite_schema WHERE name = 'instance_history'";
    let known: i64 = sqlx::query_scalar(known)
        .fetch_one(&mut *connection)
        .await?;
    if known == 0 {
        return Ok(Vec::new());
    }
    let rows = sqlx::query("SELECT at, event, detail FROM instance_history ORDER BY number")
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(HistoryRow {
                at: instant(row, "at")?,
                event: row.try_get("event")?,
                detail: row.try_get("detail")?,
            })
        })
        .collect()
}
