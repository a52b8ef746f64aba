//! One write transaction.
//!
//! sqlx's own transaction counts how deep it is in, and believes an error of SQLite to have changed
//! nothing. Some errors (a full disk, a failed read, an interruption) make SQLite roll back by
//! itself; sqlx's rollback then fails, its count stays at one, and every later `begin` of the same
//! connection is refused. So the statements that begin and end a transaction are sent from here, and a
//! connection goes back to the pool only after SQLite has said that the transaction is over. Any
//! other one is closed, which makes SQLite roll back, and the pool opens a new one.

use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqliteConnection, SqlitePool};

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
    #[cfg(test)]
    faults: std::sync::Arc<Faults>,
}

impl Write {
    /// Begins one on the connection that writes, when the transaction before it is over.
    pub(super) async fn begin(
        writer: &SqlitePool,
        #[cfg(test)] faults: std::sync::Arc<Faults>,
    ) -> Result<Self> {
        let connection = writer.acquire().await?;
        let mut transaction = Self {
            connection,
            over: false,
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
    /// Nothing has changed then.
    pub(super) async fn commit(mut self) -> Result<()> {
        #[cfg(test)]
        if self.faults.step().await {
            faults::fail_commit(&mut self.connection).await?;
        }
        sqlx::query("COMMIT").execute(&mut *self.connection).await?;
        self.over = true;
        Ok(())
    }

    /// Undoes everything. Dropping does it, too, at the price of a new connection: this is for what is
    /// refused as a matter of course.
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

    /// As on a disk that cannot be read, once: what follows on the same connection, if anything does,
    /// is not to be broken.
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
