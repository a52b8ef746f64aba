//! Looking for damage: bytes in the database that cannot have been written by SQLite.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::connect::reading;
use super::fault::interrupted;
use crate::store::{Fault, Result, StoreError};

/// Findings that are told of at most; one is enough to know that a backup is needed.
const FINDINGS: u32 = 100;

/// Steps of SQLite's machine between two looks at the time.
const STEPS: i32 = 1_000;

/// Looks through the tables, small ones first, until all are seen or the time is over. Returns
/// whether all were seen. Of each table its pages and the order of its rows are looked at, and not
/// whether its indexes agree, which costs many times as much.
///
/// It reads with a connection of its own: the others would answer from their memory of the
/// file, and not from the file itself.
///
/// # Errors
/// When there is damage, or the database cannot be read.
pub(super) async fn quickly(file: &Path, budget: Duration) -> Result<bool> {
    let mut connection = reading(file).await?;
    let until = Instant::now() + budget;
    connection
        .lock_handle()
        .await?
        .set_progress_handler(STEPS, move || Instant::now() < until);
    let seen = tables_in_turn(&mut connection).await;
    // What could not be closed is closed when it is dropped.
    drop(connection.close().await);
    seen
}

async fn tables_in_turn(connection: &mut SqliteConnection) -> Result<bool> {
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' \
                  ORDER BY name IN ('events', 'records'), name";
    let tables: Vec<String> = match sqlx::query_scalar(tables).fetch_all(&mut *connection).await {
        Ok(tables) => tables,
        Err(error) if interrupted(&error) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    for table in tables {
        let check = format!("PRAGMA quick_check(\"{}\")", table.replace('"', "\"\""));
        match findings(connection, check).await {
            Ok(found) => none(&found)?,
            Err(error) if interrupted(&error) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Everything that is wrong with the database, each as a line. It takes as long as it takes,
/// changes nothing, and may go on while a control plane writes.
///
/// # Errors
/// When the database cannot be read at all.
pub(crate) async fn wholly(file: &Path) -> Result<Vec<String>> {
    let mut connection = reading(file).await?;
    let check = format!("PRAGMA integrity_check({FINDINGS})");
    let found = match findings(&mut connection, check).await {
        Ok(found) => found,
        // Some damage keeps SQLite from saying where it is.
        Err(sqlx::Error::Database(error)) => vec![error.to_string()],
        Err(error) => return Err(error.into()),
    };
    let mut found: Vec<String> = found.into_iter().filter(|line| line != "ok").collect();
    if found.is_empty() {
        let orphans = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut connection);
        for row in orphans.await? {
            let (table, parent): (String, String) = (row.try_get(0)?, row.try_get(2)?);
            found.push(format!("a row of {table} points to none of {parent}"));
        }
    }
    drop(connection.close().await);
    Ok(found)
}

async fn findings(
    connection: &mut SqliteConnection,
    check: String,
) -> std::result::Result<Vec<String>, sqlx::Error> {
    // The name of the table in it, if there is one, is quoted.
    sqlx::query_scalar(AssertSqlSafe(check))
        .fetch_all(connection)
        .await
}

fn none(found: &[String]) -> Result<()> {
    match found.iter().find(|line| *line != "ok") {
        None => Ok(()),
        Some(line) => Err(StoreError::of(Fault::Damaged, line.clone())),
    }
}
