//! Which fault stands behind an error of SQLite.

use crate::store::{Fault, StoreError};

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::of(fault(&error), error)
    }
}

/// The fault that a person would look for.
fn fault(error: &sqlx::Error) -> Fault {
    match error {
        sqlx::Error::PoolTimedOut => Fault::Stuck,
        sqlx::Error::Io(_) => Fault::Device,
        sqlx::Error::Database(error) => error.code().map_or(Fault::Other, |code| named(&code)),
        _ => Fault::Other,
    }
}

/// By the primary result code, which is the lowest byte of the extended one
/// (<https://www.sqlite.org/rescode.html>).
fn named(code: &str) -> Fault {
    const PRIMARY: i32 = 0xff;
    match code.parse::<i32>().unwrap_or_default() & PRIMARY {
        // SQLITE_BUSY, SQLITE_LOCKED
        5 | 6 => Fault::Locked,
        // SQLITE_READONLY
        8 => Fault::ReadOnly,
        // SQLITE_IOERR
        10 => Fault::Device,
        // SQLITE_CORRUPT, SQLITE_NOTADB
        11 | 26 => Fault::Damaged,
        // SQLITE_FULL
        13 => Fault::Full,
        // SQLITE_CANTOPEN
        14 => Fault::Unopened,
        _ => Fault::Other,
    }
}

/// Whether SQLite was interrupted: it had no time for the rest.
pub(super) fn interrupted(error: &sqlx::Error) -> bool {
    // SQLITE_INTERRUPT
    matches!(error, sqlx::Error::Database(error) if error.code().is_some_and(|code| code == "9"))
}
