//! The control plane's data, in one SQLite database: one file per service, which implements the
//! service's store.
//!
//! One connection writes and several read (SQLite allows one writer at a time; a second one would
//! only wait inside SQLite instead of here). WAL with `synchronous = FULL`: a commit that has
//! returned survives a power cut, as an acknowledgement promises; `NORMAL` would be faster but
//! syncs only at checkpoints. The price is paid once per group of batches, see [`crate::trail`].
//!
//! Statements are not logged: bodies, paths and approval texts are bound to them.

mod access;
mod administration;
mod approvals;
mod connect;
mod damage;
mod fault;
mod files;
mod instance;
mod nodes;
mod policies;
mod row;
mod trail;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::ConnectOptions as _;
use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::clock;
use crate::store::{Fault, Result, Storage, StoreError};
use files::Files;
use write::Write;

pub(crate) use damage::wholly as damage_in;
pub(crate) use instance::{Found, HistoryEvent, HistoryRow, Instance, found, history, set_aside};

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
        3,
        "instance",
        include_str!("../../../migrations/0003_instance.sql"),
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
    (
        9,
        "taken",
        include_str!("../../../migrations/0009_taken.sql"),
    ),
];

/// Connections that read. More than the cores of a small machine buys nothing.
const READERS: u32 = 4;

/// How long a call waits for a connection: for the writes before it, or for the readers.
const TURN: Duration = Duration::from_secs(10);

/// The database.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    writer: SqlitePool,
    reader: SqlitePool,
    file: PathBuf,
    files: Arc<Files>,
    /// Transactions that were made durable, but for those that only say that one could be.
    commits: Arc<AtomicU64>,
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
            .busy_timeout(connect::BUSY)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // The log file does not keep the size of the largest burst.
            .pragma("journal_size_limit", "67108864")
            .disable_statement_logging();
        let writer = pool().max_connections(1).connect_with(options.clone());
        let writer = writer.await?;
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
        let reader = pool()
            .max_connections(READERS)
            // All from the beginning and for good. While one is open, SQLite keeps the log and its
            // index, so the files stay the ones that `Files` knows; and no later one opens by name
            // another database that was put in this one's place.
            .min_connections(READERS)
            // Belt and braces: a write that takes the wrong pool fails instead of contending.
            .connect_with(options.pragma("query_only", "1"))
            .await?;
        Ok(Self {
            writer,
            reader,
            file: file.to_owned(),
            files: Arc::new(Files::of(file)?),
            commits: Arc::default(),
            #[cfg(test)]
            faults: Arc::default(),
        })
    }

    /// A transaction that holds the write lock from its first statement.
    async fn write(&self) -> Result<Write> {
        Write::begin(
            &self.writer,
            &self.files,
            &self.commits,
            #[cfg(test)]
            Arc::clone(&self.faults),
        )
        .await
    }

    pub(crate) fn read(&self) -> &SqlitePool {
        &self.reader
    }

    /// How many transactions were made durable since the start.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Tests interrupt transactions with it.
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

/// A pool whose connections do not end by getting old.
fn pool() -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .acquire_timeout(TURN)
        .idle_timeout(None)
        .max_lifetime(None)
}

#[async_trait]
impl Storage for Database {
    async fn probe(&self) -> Result<()> {
        let mut transaction = self.write().await?;
        // Another value each time: SQLite writes no page that has not changed.
        let written: Option<i64> = sqlx::query_scalar(
            "UPDATE instance SET probed_at = max(probed_at + 1, ?) RETURNING probed_at",
        )
        .bind(to_sql(clock::now().0))
        .fetch_optional(transaction.step().await?)
        .await?;
        transaction.commit_unnoticed().await?;
        let read: Option<i64> = sqlx::query_scalar("SELECT probed_at FROM instance")
            .fetch_optional(self.read())
            .await?;
        if written.is_none() || read < written {
            let cause = "what was written cannot be read";
            return Err(StoreError::of(Fault::Damaged, cause));
        }
        Ok(())
    }

    async fn look_for_damage(&self, budget: Duration) -> Result<()> {
        // By its name another database could be looked at.
        self.files.in_place()?;
        damage::quickly(&self.file, budget).await?;
        Ok(())
    }

    /// The log is folded into the database file.
    ///
    /// When another file stands in its place nothing is closed: SQLite would remove the log by its
    /// name, which may by now be the log of that other one, with commits of its own.
    async fn close(&self) {
        if let Err(error) = self.files.in_place() {
            tracing::error!(%error, "the database is left as it is");
            Box::leak(Box::new(self.clone()));
            return;
        }
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
