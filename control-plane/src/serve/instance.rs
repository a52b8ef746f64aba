//! Whether the database is the one that belongs to the data directory.
//!
//! The directory remembers the id of its database and a mark that goes up while the control plane
//! runs. Going on with another database would look like success: policy versions, revoked tokens
//! and used grants would be those of another time, and the trail would be gone. So the control
//! plane does not start then, and a person says how it came to be so: [`begin_anew`] or
//! [`restored`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::data_dir::{DataDir, DataDirError, Marker};
use crate::storage::sqlite::{self, Database, Found, HistoryEvent, Instance};
use crate::store::StoreError;
use crate::{clock, random};

/// How long damage is looked for at the start. Enough for a gigabyte or so; the control plane has
/// to be there again soon after a restart.
const LOOK: Duration = Duration::from_secs(3);

/// How often the mark goes up while something is stored. A backup that is younger than this may not
/// be known as one.
const MARK_EVERY: Duration = Duration::from_secs(60);

/// Why there is no database to work with. Shown, it is a sentence that says what to do.
#[derive(Debug)]
pub(super) enum InstanceError {
    /// The data directory cannot be used.
    DataDir(DataDirError),
    /// The database cannot be used.
    Store(StoreError),
    /// It is not the one of the data directory.
    Mismatch(Mismatch),
    /// The command makes no sense here.
    Refused(&'static str),
}

impl std::fmt::Display for InstanceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DataDir(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Mismatch(error) => error.fmt(f),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

impl From<DataDirError> for InstanceError {
    fn from(error: DataDirError) -> Self {
        Self::DataDir(error)
    }
}

impl From<StoreError> for InstanceError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The database does not belong to the data directory. Shown, it is a sentence that says what to
/// do.
#[derive(Debug)]
pub(super) struct Mismatch {
    file: PathBuf,
    why: Why,
}

#[derive(Debug)]
enum Why {
    /// There is none, or an empty one.
    Lost,
    /// It has another id, or none.
    Another,
    /// It is an older copy.
    Older,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = self.file.display();
        match self.why {
            Why::Lost => write!(
                f,
                "the database {file} was lost or emptied: this data directory has been used, and \
                 nothing of it is there. Put the database back; or restore a backup and run \
                 `chaperone db restored`; or run `chaperone db begin-anew` to go on without it"
            ),
            Why::Another => write!(
                f,
                "the database {file} is not the one of this data directory. Put that one back; or \
                 run `chaperone db restored` if this is a backup that you have restored"
            ),
            Why::Older => write!(
                f,
                "the database {file} is older than this data directory: it looks like a backup that \
                 was restored. Put the newer one back; or run `chaperone db restored` to go on with \
                 this one"
            ),
        }
    }
}

/// Opens the database of a data directory that is locked, after looking whether it is the right
/// one.
///
/// # Errors
/// When it is not, is damaged, or cannot be opened.
pub(super) async fn open(dir: &DataDir) -> Result<Database, InstanceError> {
    let file = dir.database();
    let marker = dir.marker()?;
    let found = sqlite::found(&file, LOOK).await?;
    let why = match (&marker, &found) {
        (None, _) => None,
        (Some(_), Found::Nothing) => Some(Why::Lost),
        (Some(_), Found::Database(None)) => Some(Why::Another),
        (Some(marker), Found::Database(Some(instance))) => {
            if marker.id != instance.id {
                Some(Why::Another)
            } else if marker.mark > instance.mark {
                Some(Why::Older)
            } else {
                None
            }
        }
    };
    if let Some(why) = why {
        return Err(InstanceError::Mismatch(Mismatch { file, why }));
    }
    let database = Database::open(&dir.ready_database()?).await?;
    let instance = match (&marker, &found) {
        (None, Found::Nothing) => {
            chapter(&database, 0, HistoryEvent::Begun, "the first start").await?
        }
        (None, Found::Database(_)) => {
            let detail = "the data directory did not know its database yet";
            chapter(&database, 0, HistoryEvent::Adopted, detail).await?
        }
        (Some(_), _) => {
            // A full disk is no reason not to answer. Calls that only read go on, and `/readyz`
            // says that nothing can be written.
            if let Err(error) = raise(dir, &database).await {
                tracing::warn!(%error, "{NOT_NOTED}");
            }
            return told(database, &file).await;
        }
    };
    // After the database: the mark in the directory is never ahead of it.
    dir.remember(&marker_of(&instance))?;
    told(database, &file).await
}

/// The database, after its history was logged.
async fn told(database: Database, file: &Path) -> Result<Database, InstanceError> {
    for row in sqlite::history(file).await? {
        let at = clock::rfc3339(row.at);
        tracing::info!(
            event = row.event,
            at,
            detail = row.detail,
            "history of the database"
        );
    }
    Ok(database)
}

const NOT_NOTED: &str = "the data directory could not note how far its database has come";

/// Goes on without a database that was lost. A file in its place gets another name.
///
/// # Errors
/// When a control plane works here, or nothing is lost.
pub(super) async fn begin_anew(dir: &DataDir) -> Result<Option<PathBuf>, InstanceError> {
    let file = dir.database();
    let Some(marker) = dir.marker()? else {
        return Err(InstanceError::Refused(
            "this data directory has not been used: the first start makes all that it needs",
        ));
    };
    // A database that cannot be read is as good as lost.
    let found = sqlite::found(&file, LOOK).await.ok();
    if let Some(Found::Database(Some(instance))) = &found
        && instance.id == marker.id
        && instance.mark >= marker.mark
    {
        return Err(InstanceError::Refused(
            "the database is there and in order, so there is nothing to begin anew; to do without it all the same, move it away first",
        ));
    }
    // Also where nothing but its log is left: that may hold all that was acknowledged, and SQLite
    // drops the log of another database.
    let aside = sqlite::set_aside(&file, clock::now())
        .map_err(|error| DataDirError::new(format!("cannot rename {}: {error}", file.display())))?;
    let database = Database::open(&dir.ready_database()?).await?;
    let detail = format!("in place of {} at mark {}", marker.id, marker.mark);
    let instance = chapter(&database, 0, HistoryEvent::BegunAnew, &detail).await?;
    dir.remember(&marker_of(&instance))?;
    close(&database).await;
    Ok(aside)
}

/// Takes the database that is there for the one of the data directory.
///
/// # Errors
/// When a control plane works here, or no database is there.
pub(super) async fn restored(dir: &DataDir) -> Result<String, InstanceError> {
    let file = dir.database();
    let found = sqlite::found(&file, LOOK).await?;
    let before = match &found {
        Found::Nothing => {
            return Err(InstanceError::Refused(
                "there is no database; put the backup where it belongs first",
            ));
        }
        Found::Database(instance) => instance.clone(),
    };
    // This mends a marker that cannot be read, too.
    let marker = dir.marker().unwrap_or_default();
    let named = |known: Option<(&str, u64)>| match known {
        Some((id, mark)) => format!("{id} at mark {mark}"),
        None => "no database".to_owned(),
    };
    let detail = format!(
        "the backup is of {}; the data directory knew {}",
        named(before.as_ref().map(|one| (one.id.as_str(), one.mark))),
        named(marker.as_ref().map(|one| (one.id.as_str(), one.mark))),
    );
    let database = Database::open(&dir.ready_database()?).await?;
    let above = marker.map_or(0, |marker| marker.mark);
    let instance = chapter(&database, above, HistoryEvent::Restored, &detail).await?;
    dir.remember(&marker_of(&instance))?;
    close(&database).await;
    Ok(detail)
}

/// Raises the mark as long as something is stored, until `stop`; and once more then.
pub(super) fn keep_mark(
    dir: DataDir,
    database: Database,
    stop: CancellationToken,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut known = database.commits();
        loop {
            let stopping = tokio::select! {
                () = tokio::time::sleep(MARK_EVERY) => false,
                () = stop.cancelled() => true,
            };
            let commits = database.commits();
            if commits != known {
                match raise(&dir, &database).await {
                    Ok(()) => known = commits,
                    Err(error) => tracing::warn!(%error, "{NOT_NOTED}"),
                }
            }
            if stopping {
                return;
            }
        }
    })
}

async fn raise(dir: &DataDir, database: &Database) -> Result<(), InstanceError> {
    let instance = database.raise_mark().await?;
    let (dir, marker) = (dir.clone(), marker_of(&instance));
    // It waits for the disk.
    let written = tokio::task::spawn_blocking(move || dir.remember(&marker)).await;
    match written {
        Ok(written) => Ok(written?),
        Err(error) => Err(DataDirError::new(error.to_string()).into()),
    }
}

async fn chapter(
    database: &Database,
    above: u64,
    event: HistoryEvent,
    detail: &str,
) -> Result<Instance, InstanceError> {
    let id =
        random::id("db").map_err(|error| DataDirError::new(format!("no randomness: {error}")))?;
    let chapter = database.begin_chapter(&id, above, event, detail, clock::now());
    Ok(chapter.await?)
}

async fn close(database: &Database) {
    use crate::store::Storage as _;
    database.close().await;
}

fn marker_of(instance: &Instance) -> Marker {
    Marker {
        id: instance.id.clone(),
        mark: instance.mark,
    }
}
