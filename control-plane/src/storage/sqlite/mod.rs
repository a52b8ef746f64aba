//! What the control plane keeps, in one SQLite database: one file per service, which implements the
//! service's store.
//!
//! One connection writes and several read (SQLite allows one writer at a time; a second one would
//! only wait inside SQLite instead of here). WAL with `synchronous = FULL`: a commit that has
//! returned survives a power cut, which is what an acknowledgement promises; `NORMAL` would be faster
//! but syncs only at checkpoints. The price is paid once per group of batches, see [`crate::trail`].
//!
//! Statements are not logged: bodies, paths and approval texts are bound to them.

mod access;
mod administration;
mod approvals;
mod nodes;
mod policies;
mod row;
mod trail;
mod write;

use std::path::Path;
#[cfg(test)]
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::ConnectOptions as _;
use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::store::{Result, Storage, StoreError};
use write::Write;

/// Every migration, in order. A released one never changes: sqlx compares checksums at start.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (
        1,
        "initial",
        include_str!("../../../migrations/0001_initial.sql"),
    ),
    (
        2,
        "reads",
        include_str!("../../../migrations/0002_reads.sql"),
    ),
    (
        4,
        "callers",
        include_str!("../../../migrations/0004_callers.sql"),
    ),
    (
        5,
        "floods",
        include_str!("../../../migrations/0005_floods.sql"),
    ),
    (
        6,
        "position",
        include_str!("../../../migrations/0006_position.sql"),
    ),
    (
        7,
        "administration",
        include_str!("../../../migrations/0007_administration.sql"),
    ),
];

/// Connections that read. More than the cores of a small machine buys nothing.
const READERS: u32 = 4;

/// The database.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    writer: SqlitePool,
    reader: SqlitePool,
    #[cfg(test)]
    faults: Arc<super::faults::Faults>,
}

impl Database {
    /// Opens the database, whose file is there, and brings its schema up to date.
    ///
    /// # Errors
    /// When it cannot be opened, or was made by a later version.
    pub(crate) async fn open(file: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // The log file does not keep the size of the largest burst.
            .pragma("journal_size_limit", "67108864")
            .disable_statement_logging();
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await?;
        let migrations = MIGRATIONS
            .iter()
            .map(|&(version, name, sql)| {
                let kind = MigrationType::Simple;
                Migration::new(version, name.into(), kind, sql.into_sql_str(), false)
            })
            .collect();
        Migrator::with_migrations(migrations)
            .run(&writer)
            .await
            .map_err(|error| StoreError::Schema(Box::new(error)))?;
        let reader = SqlitePoolOptions::new()
            .max_connections(READERS)
            // Belt and braces: a write that takes the wrong pool fails instead of contending.
            .connect_with(options.pragma("query_only", "1"))
            .await?;
        Ok(Self {
            writer,
            reader,
            #[cfg(test)]
            faults: Arc::default(),
        })
    }

    /// A transaction that holds the write lock from its first statement.
    async fn write(&self) -> Result<Write> {
        Write::begin(
            &self.writer,
            #[cfg(test)]
            Arc::clone(&self.faults),
        )
        .await
    }

    pub(crate) fn read(&self) -> &SqlitePool {
        &self.reader
    }

    /// What tests interrupt transactions with.
    #[cfg(test)]
    pub(super) fn faults_of_tests(&self) -> &Arc<super::faults::Faults> {
        &self.faults
    }

    /// Returns when a transaction could begin and end.
    #[cfg(test)]
    pub(super) async fn settled(&self) -> Result<()> {
        self.write().await?.rollback().await
    }
}

#[async_trait]
impl Storage for Database {
    async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(self.read()).await?;
        Ok(())
    }

    /// The log is folded into the database file.
    async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// SQLite's integers are signed. Values beyond are clamped: they come from counters that cannot get
/// there, or from a node that is refused before.
pub(crate) fn to_sql(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The way back of [`to_sql`].
pub(crate) fn from_sql(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::failed(error)
    }
}
