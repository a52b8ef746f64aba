//! Connections that only read, each for one purpose, beside those of the pools.

use std::path::Path;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::store::Result;

/// How long SQLite waits for a lock that another program holds.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// One that can change nothing.
///
/// # Errors
/// When the database cannot be opened.
pub(super) async fn reading(file: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .read_only(true)
        .busy_timeout(BUSY)
        .disable_statement_logging();
    Ok(options.connect().await?)
}
