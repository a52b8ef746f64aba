//! The first tokens: one for filters and one for the first administrator, each in a file of the
//! data directory.

use std::path::Path;

use crate::access::{Access, CreateError, Identity, Role};
use crate::data_dir::{self, DataDir, DataDirError};
use crate::random;
use crate::store::StoreError;

/// Makes the first tokens and their files.
///
/// A file without a row means that the database was lost: the token is entered again, so that
/// filters and people get on. A row that was revoked stays revoked. No file, but a token of the
/// role in the database, means that the operator took the file away: none is made.
///
/// # Errors
/// When a file cannot be used, or the store fails.
pub(super) async fn enter(access: &Access, dir: &DataDir) -> Result<(), FirstTokensError> {
    let nodes = Identity {
        subject: "nodes".to_owned(),
        groups: Vec::new(),
    };
    let admin = Identity {
        subject: "admin".to_owned(),
        groups: vec!["*".to_owned()],
    };
    enter_one(access, &dir.node_token(), "node.token", nodes, Role::Node).await?;
    enter_one(
        access,
        &dir.admin_token(),
        "admin.token",
        admin,
        Role::Admin,
    )
    .await
}

async fn enter_one(
    access: &Access,
    file: &Path,
    name: &str,
    identity: Identity,
    role: Role,
) -> Result<(), FirstTokensError> {
    if data_dir::read_secret(file)?.is_none() && access.had_role(role).await? {
        return Ok(());
    }
    let secret = data_dir::secret(file, random::token)?;
    if access.enter(name, identity, role, &secret).await? {
        tracing::info!(%role, file = %file.display(), "a token was made");
    }
    Ok(())
}

/// Why the first tokens could not be made.
#[derive(Debug)]
pub(super) enum FirstTokensError {
    /// A file cannot be used.
    File(DataDirError),
    /// The store has failed.
    Store(StoreError),
    /// A token could not be entered.
    Enter(CreateError),
}

impl std::fmt::Display for FirstTokensError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Enter(error) => error.fmt(f),
        }
    }
}

impl From<DataDirError> for FirstTokensError {
    fn from(error: DataDirError) -> Self {
        Self::File(error)
    }
}

impl From<StoreError> for FirstTokensError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<CreateError> for FirstTokensError {
    fn from(error: CreateError) -> Self {
        Self::Enter(error)
    }
}
