//! Work on a data directory by hand: looking through its database, and saying how a database came
//! to be there.

use std::path::{Path, PathBuf};

use chaperone_engine::base::time::UnixMillis;

use super::{ServeError, instance};
use crate::data_dir::{DataDir, DataDirError};
use crate::storage::sqlite;

/// A database as it was found.
#[derive(Debug)]
pub struct Checked {
    /// The database's file.
    pub file: PathBuf,
    /// The damage, a line for each; empty when there is none.
    pub damage: Vec<String>,
    /// How it came to be as it is, the oldest entry first.
    pub history: Vec<Entry>,
}

/// An entry of a database's history.
#[derive(Debug)]
pub struct Entry {
    /// When.
    pub at: UnixMillis,
    /// `begun`, `adopted`, `begun_anew` or `restored`.
    pub event: String,
    /// More of it.
    pub detail: String,
}

/// Looks through the whole database. It changes nothing, and may be done while a control plane
/// runs.
///
/// # Errors
/// When there is no database, or it cannot be read at all.
pub async fn check(data_dir: &Path) -> Result<Checked, ServeError> {
    let file = existing(data_dir)?.database();
    if let Err(error) = std::fs::metadata(&file) {
        return Err(
            DataDirError::new(format!("cannot look at {}: {error}", file.display())).into(),
        );
    }
    let damage = sqlite::damage_in(&file).await?;
    // A damaged database may still say where it comes from.
    let history = match sqlite::history(&file).await {
        Ok(history) => history,
        Err(_) if !damage.is_empty() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let entry = |row: sqlite::HistoryRow| Entry {
        at: row.at,
        event: row.event,
        detail: row.detail,
    };
    Ok(Checked {
        file,
        damage,
        history: history.into_iter().map(entry).collect(),
    })
}

/// Goes on without the database, which was lost. Returns the new name of the file that stood in its
/// place, if there was one.
///
/// # Errors
/// When a control plane works there, or the database is in order.
pub async fn begin_anew(data_dir: &Path) -> Result<Option<PathBuf>, ServeError> {
    let dir = existing(data_dir)?;
    let lock = dir.lock()?;
    let done = instance::begin_anew(&dir).await;
    drop(lock);
    Ok(done?)
}

/// Takes the database that is there, a restored backup, for the one of the data directory. Returns
/// the entry that was written into its history.
///
/// # Errors
/// When a control plane works there, or no database is there.
pub async fn restored(data_dir: &Path) -> Result<String, ServeError> {
    let dir = existing(data_dir)?;
    let lock = dir.lock()?;
    let done = instance::restored(&dir).await;
    drop(lock);
    Ok(done?)
}

/// A data directory that must be there: one that is made here would only hide a wrong path.
fn existing(data_dir: &Path) -> Result<DataDir, ServeError> {
    if !data_dir.is_dir() {
        let message = format!("there is no directory {}", data_dir.display());
        return Err(DataDirError::new(message).into());
    }
    Ok(DataDir::open(data_dir)?)
}
