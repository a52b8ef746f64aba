//! What all stores of services have in common: how they fail, and how lists are paged.
//!
//! Each service has a `store.rs` with a trait. A method of it is one whole transaction: either all of it
//! is durable when the method returns `Ok`, or nothing has changed. Which database stands behind a trait
//! is known to `serve` alone.

use async_trait::async_trait;

/// Why a store did not do as asked. Its text is for the log, never for a client.
#[derive(Debug)]
pub(crate) enum StoreError {
    /// The database, or the way to it.
    Failed(Box<dyn std::error::Error + Send + Sync>),
    /// The schema could not be brought up to date.
    Schema(Box<dyn std::error::Error + Send + Sync>),
    /// A stored value that does not have the shape that it was stored with.
    Corrupt(String),
}

impl StoreError {
    /// The database failed because of `cause`.
    pub(crate) fn failed(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Failed(Box::new(cause))
    }
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "the database failed: {error}"),
            Self::Schema(error) => write!(f, "the database's schema does not fit: {error}"),
            Self::Corrupt(what) => write!(f, "the database holds an unreadable value: {what}"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) | Self::Schema(error) => Some(&**error),
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
    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    async fn ping(&self) -> Result<()>;

    /// Closes it. Nothing can be stored afterwards.
    async fn close(&self);
}

/// Of a store's method.
pub(crate) type Result<T> = std::result::Result<T, StoreError>;

/// Where a page of a list ends that is ordered by an instant, newest first: the last entry's instant, in
/// milliseconds since the Unix epoch, and its id.
pub(crate) type PageKey = (u64, String);
