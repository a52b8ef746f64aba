//! Who may call: API tokens, looked up by the SHA-256 of what was sent.
//!
//! All live tokens are kept in memory, so no call waits for the database to be let in; making and
//! revoking write through. Looking up by hash leaks nothing by its timing that helps to guess one of
//! 2^256 secrets.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use chaperone_api::{NewToken, Role, Token};
use chaperone_engine::base::time::UnixMillis;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::data_dir::{self, DataDir, DataDirError};
use crate::storage::sqlite::Database;
use crate::{clock, random};

/// The subject of the first administrator's token.
const FIRST_ADMIN: &str = "admin";

/// All live tokens.
#[derive(Debug)]
pub(crate) struct TokenBook {
    storage: Database,
    by_hash: RwLock<HashMap<[u8; 32], Arc<Token>>>,
}

/// What became of a token that was to be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// It is no longer valid.
    Done,
    /// There is none by this id.
    Unknown,
    /// It is the last administrator's token that does not end by itself, so it stays.
    LastAdmin,
}

/// Why a token was not made.
#[derive(Debug)]
pub(crate) enum TokenError {
    /// The request asks for something that cannot be.
    Invalid(String),
    /// The database or the randomness failed.
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for TokenError {
    fn from(error: E) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl TokenBook {
    pub(crate) async fn load(storage: Database) -> crate::store::Result<Self> {
        let tokens = storage.live_tokens().await?;
        let by_hash = tokens
            .into_iter()
            .map(|stored| (stored.sha256, Arc::new(stored.token)))
            .collect();
        Ok(Self {
            storage,
            by_hash: RwLock::new(by_hash),
        })
    }

    /// The token with this secret, if it is live.
    pub(crate) fn find(&self, secret: &str, now: UnixMillis) -> Option<Arc<Token>> {
        let hash: [u8; 32] = Sha256::digest(secret).into();
        let tokens = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        let token = tokens.get(&hash)?;
        token
            .expires_at
            .is_none_or(|end| now < end)
            .then(|| Arc::clone(token))
    }

    /// Whether the token with this id is live: for what goes on after it was shown once.
    pub(crate) fn is_live(&self, id: &str, now: UnixMillis) -> bool {
        let tokens = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        tokens
            .values()
            .any(|token| token.id == id && token.expires_at.is_none_or(|end| now < end))
    }

    /// Makes a token and returns it with its secret.
    ///
    /// # Errors
    /// When the request makes no sense, or storing fails.
    pub(crate) async fn create(
        &self,
        new: NewToken,
    ) -> Result<(Token, Zeroizing<String>), TokenError> {
        let name = new.name.trim().to_owned();
        let subject = new.subject.as_deref().unwrap_or(&name).trim().to_owned();
        check("name", &name)?;
        check("subject", &subject)?;
        for group in &new.groups {
            check("groups", group)?;
        }
        let now = clock::now();
        let expires_at = match new.ttl_seconds {
            Some(0) => return Err(TokenError::Invalid("ttl_seconds: at least 1".to_owned())),
            Some(seconds) => Some(now.saturating_add(seconds.saturating_mul(1000))),
            None => None,
        };
        let token = Token {
            id: random::id("tk")?,
            name,
            subject,
            groups: new.groups,
            role: new.role,
            created_at: now,
            expires_at,
        };
        let secret = random::token()?;
        self.add(token.clone(), &secret).await?;
        Ok((token, secret))
    }

    async fn add(&self, token: Token, secret: &str) -> crate::store::Result<()> {
        let hash: [u8; 32] = Sha256::digest(secret).into();
        self.storage.add_token(&token, &hash).await?;
        self.by_hash
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(hash, Arc::new(token));
        Ok(())
    }

    /// Revokes a token, at once.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn revoke(&self, id: &str) -> crate::store::Result<Revoked> {
        if self.is_last_admin(id) {
            return Ok(Revoked::LastAdmin);
        }
        let revoked = self.storage.revoke_token(id, clock::now()).await?;
        self.by_hash
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, token| token.id != id);
        Ok(if revoked {
            Revoked::Done
        } else {
            Revoked::Unknown
        })
    }

    /// Whether no other administrator's token would be left, or only such as end by themselves.
    fn is_last_admin(&self, id: &str) -> bool {
        let tokens = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        let mut lasting = tokens
            .values()
            .filter(|token| token.role == Role::Admin && token.expires_at.is_none());
        lasting.next().is_some_and(|token| token.id == id) && lasting.next().is_none()
    }

    /// Makes the first tokens and their files.
    ///
    /// A file without a row means that the database was lost: the token is entered again, so that
    /// filters and people get on. A row that was revoked stays revoked. No file, but a token of the
    /// role in the database, means that the operator took the file away: none is made.
    ///
    /// # Errors
    /// When a file cannot be used, or the database fails.
    pub(crate) async fn bootstrap(&self, dir: &DataDir) -> Result<(), BootstrapError> {
        let all = vec!["*".to_owned()];
        let first = [
            (
                dir.node_token(),
                Role::Node,
                "node.token",
                "nodes",
                Vec::new(),
            ),
            (
                dir.admin_token(),
                Role::Admin,
                "admin.token",
                FIRST_ADMIN,
                all,
            ),
        ];
        for (path, role, name, subject, groups) in first {
            if data_dir::read_secret(&path)?.is_none() && self.storage.had_role(role).await? {
                continue;
            }
            let secret = data_dir::secret(&path, random::token)?;
            let hash: [u8; 32] = Sha256::digest(secret.as_str()).into();
            if self.storage.knows_token(&hash).await? {
                continue;
            }
            let token = Token {
                id: random::id("tk").map_err(|e| BootstrapError(e.to_string()))?,
                name: name.to_owned(),
                subject: subject.to_owned(),
                groups,
                role,
                created_at: clock::now(),
                expires_at: None,
            };
            self.add(token, &secret).await?;
            tracing::info!(%role, file = %path.display(), "a token was made");
        }
        Ok(())
    }
}

/// Why the first tokens could not be made.
#[derive(Debug)]
pub(crate) struct BootstrapError(String);

impl std::fmt::Display for BootstrapError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<DataDirError> for BootstrapError {
    fn from(error: DataDirError) -> Self {
        Self(error.to_string())
    }
}

impl From<crate::store::StoreError> for BootstrapError {
    fn from(error: crate::store::StoreError) -> Self {
        Self(error.to_string())
    }
}

fn check(field: &str, value: &str) -> Result<(), TokenError> {
    let fits = (1..=100).contains(&value.chars().count()) && !value.chars().any(char::is_control);
    if fits {
        Ok(())
    } else {
        Err(TokenError::Invalid(format!(
            "{field}: 1 to 100 printable characters"
        )))
    }
}
