//! The store of policies: policy versions and the bundles made of them. Both are only ever added,
//! each bundle on top of the one before.

use async_trait::async_trait;
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::bundle::Serial;

use crate::store::Result;

/// Where versions and bundles are kept. Each method is one transaction.
#[async_trait]
pub(crate) trait Store: std::fmt::Debug + Send + Sync {
    /// One version; the current one when no number is given.
    async fn version(&self, number: Option<u64>) -> Result<Option<StoredVersion>>;

    /// Versions below `before`, newest first.
    async fn versions(&self, before: Option<u64>, limit: u32) -> Result<Vec<Version>>;

    /// The bundle in force, if anything was ever published.
    async fn latest_bundle(&self) -> Result<Option<StoredBundle>>;

    /// Adds a version together with its first bundle, if the bundle in force is still the one with
    /// the digest `on`.
    async fn add_version(
        &self,
        version: &StoredVersion,
        bundle: &StoredBundle,
        on: Option<&str>,
    ) -> Result<Added>;

    /// Adds a further bundle of the current version, if the bundle in force is still the one with
    /// the digest `on`.
    async fn add_bundle(&self, bundle: &StoredBundle, on: &str) -> Result<Added>;
}

/// Whether something was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// It was.
    Done,
    /// Another bundle is in force than the one that it was made on, so nothing has changed.
    Overtaken {
        /// The version in force; 0 for none.
        current: u64,
    },
}

/// One policy version: immutable, numbered, signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    /// Its number, from 1, only rising.
    pub(crate) version: u64,
    /// SHA-256 of the document's canonical JSON, 64 hex digits: equal digests decide alike.
    pub(crate) digest: String,
    /// SHA-256 of the first bundle made of it.
    pub(crate) bundle_digest: String,
    /// When it was published.
    pub(crate) published_at: UnixMillis,
    /// Who published it.
    pub(crate) published_by: String,
    /// The publisher's words.
    pub(crate) comment: Option<String>,
    /// The version whose content this one brought back.
    pub(crate) rollback_of: Option<u64>,
    /// Whether it is the one in force.
    pub(crate) current: bool,
}

/// A version with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredVersion {
    /// The version.
    pub(crate) version: Version,
    /// The document as written.
    pub(crate) document: String,
    /// The document as canonical JSON.
    pub(crate) policy: String,
}

/// A signed bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredBundle {
    /// Its place in the order of bundles.
    pub(crate) serial: Serial,
    /// SHA-256, 64 hex digits.
    pub(crate) digest: String,
    /// DSSE envelope, JSON.
    pub(crate) envelope: String,
    /// When it was signed.
    pub(crate) issued_at: UnixMillis,
}
