//! What all stores of services have in common: how they fail, and how lists are paged.
//!
//! Each service has a `store.rs` with a trait. A method of it is one whole transaction: either all
//! of it is durable when the method returns `Ok`, or nothing has changed. Which database stands
//! behind a trait is known to `serve` alone.

use async_trait::async_trait;

/// Why a store did not do as asked. Its text is for the log, never for a client: that of its
/// [`Fault`] is for both.
#[derive(Debug)]
pub(crate) enum StoreError {
    /// The database, or the way to it.
    Failed {
        /// Of which kind the failure is.
        fault: Fault,
        /// What the database says of it.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The schema could not be brought up to date.
    Schema(Box<dyn std::error::Error + Send + Sync>),
    /// A stored value that does not have the shape that it was stored with.
    Corrupt(String),
}

/// The kinds of failures of a database that a person can do something about. Shown, each is the
/// middle of a sentence, and names no file: whoever asks whether the control plane is ready may
/// read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// There is no room for what was to be written.
    Full,
    /// Nothing may be written there.
    ReadOnly,
    /// Another program keeps the lock.
    Locked,
    /// The file at the database's path is not the one that was opened.
    Moved,
    /// What is in the file makes no sense.
    Damaged,
    /// Reading or writing the file failed.
    Device,
    /// The file cannot be opened.
    Unopened,
    /// The database does not answer, or the writes before this one do not end.
    Stuck,
    /// Anything else; the log has the database's own words.
    Other,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Full => "the disk is full",
            Self::ReadOnly => "the database or its file system can only be read",
            Self::Locked => "another program keeps the database locked",
            Self::Moved => {
                "a file of the database was removed, moved or replaced while the control plane runs; \
                 put it back, or restart the control plane"
            }
            Self::Damaged => {
                "the database is damaged; `chaperone db check` says where, and a backup has to take \
                 its place"
            }
            Self::Device => {
                "the disk reports an error, or a limit on the size of files is reached"
            }
            Self::Unopened => "the database's file cannot be opened",
            Self::Stuck => "a write does not end",
            Self::Other => "the database refuses",
        })
    }
}

impl StoreError {
    /// The database failed because of `cause`, of which no more is known.
    #[cfg(test)]
    pub(crate) fn failed(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::of(Fault::Other, cause)
    }

    /// The database failed in this way.
    pub(crate) fn of(
        fault: Fault,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let cause = cause.into();
        Self::Failed { fault, cause }
    }

    /// Of which kind it is.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Failed { fault, .. } => *fault,
            Self::Schema(_) | Self::Corrupt(_) => Fault::Other,
        }
    }
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed { fault, cause } => write!(f, "the database failed: {fault} ({cause})"),
            Self::Schema(error) => write!(f, "the database's schema does not fit: {error}"),
            Self::Corrupt(what) => write!(f, "the database holds an unreadable value: {what}"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed { cause: error, .. } | Self::Schema(error) => Some(&**error),
            Self::Corrupt(_) => None,
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}

impl From<chaperone_engine::audit::Unreadable> for StoreError {
    fn from(error: chaperone_engine::audit::Unreadable) -> Self {
        Self::Corrupt(error.to_string())
    }
}

/// What is asked of all stores together: they are one database.
#[async_trait]
pub(crate) trait Storage: std::fmt::Debug + Send + Sync {
    /// Makes a small write durable, on the way that all writes go, and reads it again.
    ///
    /// # Errors
    /// When a write would fail now.
    async fn probe(&self) -> Result<()>;

    /// Looks for damage for so long. That no damage was found says nothing about what was not
    /// reached in that time.
    ///
    /// # Errors
    /// When there is damage, or the database cannot be read.
    async fn look_for_damage(&self, budget: std::time::Duration) -> Result<()>;

    /// Closes it. Nothing can be stored afterwards.
    async fn close(&self);
}

/// Of a store's method.
pub(crate) type Result<T> = std::result::Result<T, StoreError>;

/// Where a page of a list ends that is ordered by an instant, newest first: the last entry's
/// instant, in milliseconds since the Unix epoch, and its id.
pub(crate) type PageKey = (u64, String);
