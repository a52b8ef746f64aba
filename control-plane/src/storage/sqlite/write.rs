//! One write transaction.
//!
//! sqlx's own transaction counts how deep it is in, and believes an error of SQLite to have changed
//! nothing. Some errors (a full disk, a failed read, an interruption) make SQLite roll back by
//! itself; sqlx's rollback then fails, its count stays at one, and every later `begin` of the same
//! connection is refused. So the statements that begin and end a transaction are sent from here,
//! and a connection goes back to the pool only after SQLite has said that the transaction is over.
//! Any other one is closed, which makes SQLite roll back, and the pool opens a new one.
//!
//! Nor is a commit believed that went into a file which stands no longer at its place: see
//! [`files`](super::files).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqliteConnection, SqlitePool};

use super::files::Files;
use crate::store::Result;

#[cfg(test)]
use crate::storage::faults::Faults;

/// A transaction that holds the write lock from its first statement: reading first and upgrading
/// later could fail with `SQLITE_BUSY` in the middle.
///
/// Dropping it undoes everything.
pub(super) struct Write {
    connection: PoolConnection<Sqlite>,
    /// SQLite has said that the transaction is over.
    over: bool,
    files: Arc<Files>,
    commits: Arc<AtomicU64>,
    #[cfg(test)]
    faults: Arc<Faults>,
}

impl Write {
    /// Begins one on the connection that writes, when the transaction before it is over.
    pub(super) async fn begin(
        writer: &SqlitePool,
        files: &Arc<Files>,
        commits: &Arc<AtomicU64>,
        #[cfg(test)] faults: Arc<Faults>,
    ) -> Result<Self> {
        // First: a new connection would open whatever stands there by now.
        files.in_place()?;
        let connection = writer.acquire().await?;
        let mut transaction = Self {
            connection,
            over: false,
            files: Arc::clone(files),
            commits: Arc::clone(commits),
            #[cfg(test)]
            faults,
        };
        sqlx::query("BEGIN IMMEDIATE")
            .execute(transaction.step().await?)
            .await?;
        Ok(transaction)
    }

    /// The connection, for the next statement. Tests can make any step fail, or never come.
    pub(super) async fn step(&mut self) -> Result<&mut SqliteConnection> {
        #[cfg(test)]
        if self.faults.step().await {
            faults::fail_next_statement(&mut self.connection).await?;
        }
        Ok(&mut self.connection)
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// Nothing has changed then, or nobody will find it.
    pub(super) async fn commit(self) -> Result<()> {
        let commits = Arc::clone(&self.commits);
        self.commit_unnoticed().await?;
        commits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The same, for a write that is no news.
    pub(super) async fn commit_unnoticed(mut self) -> Result<()> {
        #[cfg(test)]
        if self.faults.step().await {
            faults::fail_commit(&mut self.connection).await?;
        }
        self.files.in_place()?;
        sqlx::query("COMMIT").execute(&mut *self.connection).await?;
        self.over = true;
        // Once more: it may have been taken away while the disk was busy.
        self.files.in_place()
    }

    /// Undoes everything. Dropping does it, too, at the price of a new connection: this is for
    /// writes that are refused as a matter of course.
    pub(super) async fn rollback(mut self) -> Result<()> {
        sqlx::query("ROLLBACK").execute(self.step().await?).await?;
        self.over = true;
        Ok(())
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        if !self.over {
            self.connection.close_on_drop();
        }
    }
}

/// Failures of SQLite itself, so that it forgets the transaction where it does so by itself.
#[cfg(test)]
mod faults {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::{Result, SqliteConnection};

    /// As on a disk that cannot be read, once: later statements on the same connection, if there
    /// are any, are not to fail.
    pub(super) async fn fail_next_statement(connection: &mut SqliteConnection) -> Result<()> {
        let armed = AtomicBool::new(true);
        let mut handle = connection.lock_handle().await?;
        handle.set_progress_handler(1, move || !armed.swap(false, Ordering::SeqCst));
        Ok(())
    }

    /// As on a full disk, once. A commit runs no steps that the other one could interrupt.
    pub(super) async fn fail_commit(connection: &mut SqliteConnection) -> Result<()> {
        let armed = AtomicBool::new(true);
        let mut handle = connection.lock_handle().await?;
        handle.set_commit_hook(move || !armed.swap(false, Ordering::SeqCst));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Database;
    use crate::store::{Fault, Storage as _};

    /// A file of a database, with the database open.
    async fn opened(dir: &std::path::Path) -> (std::path::PathBuf, Database) {
        let file = dir.join("chaperone.db");
        std::fs::File::create(&file).unwrap();
        let database = Database::open(&file).await.unwrap();
        (file, database)
    }

    #[tokio::test]
    async fn a_commit_is_not_believed_when_the_file_is_taken_away_meanwhile() {
        let temp = tempfile::tempdir().unwrap();
        let (file, database) = opened(temp.path()).await;
        let mut transaction = database.write().await.unwrap();
        sqlx::query("INSERT INTO instance VALUES (1, 'db-1', 1, 0)")
            .execute(transaction.step().await.unwrap())
            .await
            .unwrap();
        let (from, to) = (file.clone(), temp.path().join("taken"));
        let mut handle = transaction.connection.lock_handle().await.unwrap();
        let mut armed = true;
        handle.set_commit_hook(move || {
            if std::mem::take(&mut armed) {
                std::fs::rename(&from, &to).unwrap();
            }
            true
        });
        drop(handle);
        let error = transaction.commit().await.unwrap_err();
        assert_eq!(error.fault(), Fault::Moved);
        std::fs::rename(temp.path().join("taken"), &file).unwrap();
        database.probe().await.unwrap();
    }

    #[tokio::test]
    async fn a_probe_changes_the_file_each_time() {
        let temp = tempfile::tempdir().unwrap();
        let (_, database) = opened(temp.path()).await;
        let error = database.probe().await.unwrap_err();
        assert_eq!(error.fault(), Fault::Damaged, "nothing to write to");
        let insert = "INSERT INTO instance VALUES (1, 'db-1', 1, 9007199254740991)";
        let mut transaction = database.write().await.unwrap();
        sqlx::query(insert)
            .execute(transaction.step().await.unwrap())
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        let log = temp.path().join("chaperone.db-wal");
        let mut before = std::fs::read(&log).unwrap();
        for _ in 0..3 {
            database.probe().await.unwrap();
            let after = std::fs::read(&log).unwrap();
            assert_ne!(before, after);
            before = after;
        }
        assert_eq!(database.commits(), 1, "a probe is no news");
    }
}
