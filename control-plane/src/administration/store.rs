//! The entries of the log, and the trait of its store.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chaperone_engine::base::time::UnixMillis;

use crate::store::Result;

/// The kinds of acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// A token was made.
    TokenMade,
    /// A token was revoked.
    TokenRevoked,
    /// A record was read with its events, which hold its bodies.
    RecordRead,
    /// A question was read with the beginning of its body.
    ApprovalRead,
    /// The keys of all issuers were fetched.
    KeysRefreshed,
    /// The next signing key was made.
    SigningKeyPrepared,
    /// The next signing key was given up.
    SigningKeyDiscarded,
    /// The next signing key signs from now on.
    SigningKeySwitched,
}

impl Act {
    /// All acts.
    pub(crate) const ALL: [Self; 8] = [
        Self::TokenMade,
        Self::TokenRevoked,
        Self::RecordRead,
        Self::ApprovalRead,
        Self::KeysRefreshed,
        Self::SigningKeyPrepared,
        Self::SigningKeyDiscarded,
        Self::SigningKeySwitched,
    ];

    /// Its name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::TokenMade => "token_made",
            Self::TokenRevoked => "token_revoked",
            Self::RecordRead => "record_read",
            Self::ApprovalRead => "approval_read",
            Self::KeysRefreshed => "keys_refreshed",
            Self::SigningKeyPrepared => "signing_key_prepared",
            Self::SigningKeyDiscarded => "signing_key_discarded",
            Self::SigningKeySwitched => "signing_key_switched",
        }
    }

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.as_str() == name)
    }
}

/// One act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// When, by the control plane's clock.
    pub(crate) at: UnixMillis,
    /// The subject who acted.
    pub(crate) by: String,
    /// The id of the API token that they used.
    pub(crate) token: Option<String>,
    pub(crate) act: Act,
    /// The id of the thing that it was done to; empty where it was done to all.
    pub(crate) object: String,
    /// Other facts that are worth knowing later, never a secret.
    pub(crate) details: BTreeMap<String, String>,
}

impl Entry {
    /// With one more detail.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

/// An entry with its number: the order of the log, whatever the clock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) number: u64,
    pub(crate) entry: Entry,
}

/// Keeps the log.
#[async_trait]
pub(crate) trait Store: std::fmt::Debug + Send + Sync {
    /// Adds an entry.
    async fn note(&self, entry: &Entry) -> Result<()>;

    /// Entries, newest first, with numbers below `before`.
    async fn entries(&self, before: Option<u64>, limit: u32) -> Result<Vec<Noted>>;
}
