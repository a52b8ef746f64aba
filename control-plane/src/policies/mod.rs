//! Publishing: from a document to a signed bundle that the nodes fetch.
//!
//! One lock is held while a bundle is made, so numbers and the chain of `previous` digests have one
//! author in this process; the store looks once more, so that they have one among several. A bundle
//! goes out only after it is stored.

mod bench;
mod document;
mod seal;
mod signing;
pub(crate) mod store;

use std::collections::BTreeMap;
use std::sync::Arc;

use chaperone_engine::base::digest::sha256_hex;
use chaperone_engine::bundle::{self, Serial};
use chaperone_engine::gate::Gate;
use chaperone_engine::identity::Issuer;
use chaperone_engine::policy::{self, Needs, Policy};
use tokio::sync::{Mutex, watch};

use self::bench::Bench;
pub(crate) use self::document::{DocumentError, Fault};
use self::document::{Draft, DraftError, draft};
use self::seal::Sealer;
pub(crate) use self::seal::{Current, SealError};
pub(crate) use self::signing::{SigningError, SigningKeyView, SigningKeys, SigningKeysView};
pub(crate) use self::store::Version;
use self::store::{Added, Store, StoredBundle, StoredVersion};
use crate::access::May;
use crate::access::permission::{ActAsNode, ChangePolicy, ReadState};
use crate::comment::Comment;
use crate::keys::{IssuerKeys, Prepared};
use crate::metrics::Metrics;
use crate::nodes::{NodeBehind, Nodes};
use crate::store::StoreError;

/// Key sets by issuer, as in a bundle.
type Keys = BTreeMap<String, serde_json::Value>;

/// All policy versions.
#[derive(Debug)]
pub(crate) struct Policies {
    store: Arc<dyn Store>,
    nodes: Arc<Nodes>,
    keys: Arc<IssuerKeys>,
    metrics: Arc<Metrics>,
    signing: SigningKeys,
    extra_issuers: Vec<Issuer>,
    /// Documents need at least this revision of the language.
    least_revision: u32,
    drafting: Bench,
    sealing: Bench,
    making: Mutex<()>,
    current: watch::Sender<Option<Arc<Current>>>,
}

/// An author's words and wishes beside the document.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Their words, for the list of versions.
    pub(crate) comment: Option<Comment>,
    /// The version that they think is current; nothing is published when another one is.
    pub(crate) expected_current: Option<u64>,
    /// They want it although some live nodes cannot read it.
    pub(crate) allow_unreadable: bool,
}

/// The outcome of publishing.
#[derive(Debug)]
pub(crate) struct Published {
    /// The version in force now.
    pub(crate) version: Version,
    /// Whether the document was the current version's, byte for byte: no new version was made.
    pub(crate) unchanged: bool,
    /// The revision of the policy language that a node has to read to enforce it.
    pub(crate) needs_revision: u32,
    /// Sentences that the author should look at. They stop no publishing.
    pub(crate) warnings: Vec<String>,
}

/// Why nothing was published.
#[derive(Debug)]
pub(crate) enum PublishError {
    /// The document cannot be published.
    Document(DocumentError),
    /// No bundle could be made of it.
    Seal(SealError),
    /// Another version is current than the author thought.
    Conflict {
        /// That one.
        current: u64,
    },
    /// Live nodes cannot read the document.
    Unreadable(Unreadable),
    /// There is no version of this number to bring back.
    NoSuchVersion {
        /// The number.
        version: u64,
    },
    /// The store failed.
    Store(StoreError),
}

/// A document and the live nodes that cannot read it. Shown, it is the beginning of a sentence.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// What it needs of them.
    pub(crate) needs: Needs,
    /// The nodes.
    pub(crate) nodes: Vec<NodeBehind>,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Needs {
            revision,
            constructs,
        } = &self.needs;
        write!(
            f,
            "The document needs revision {revision} of the policy language"
        )?;
        if !constructs.is_empty() {
            write!(f, " ({})", constructs.join(", "))?;
        }
        match self.nodes.len() {
            1 => f.write_str(", which one live node does not read"),
            count => write!(f, ", which {count} live nodes do not read"),
        }
    }
}

/// Why no bundle was put in force, at the start or with new keys.
#[derive(Debug)]
pub(crate) enum BundleError {
    /// None could be made.
    Seal(SealError),
    /// Somebody else has put another one in force meanwhile.
    Overtaken,
    /// The store failed.
    Store(StoreError),
}

impl std::fmt::Display for BundleError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Seal(error) => error.fmt(f),
            Self::Overtaken => {
                f.write_str("another control plane on the same database has put a bundle in force")
            }
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl From<SealError> for BundleError {
    fn from(error: SealError) -> Self {
        Self::Seal(error)
    }
}

impl From<serde_json::Error> for BundleError {
    fn from(error: serde_json::Error) -> Self {
        Self::Seal(error.into())
    }
}

impl From<StoreError> for BundleError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<DraftError> for PublishError {
    fn from(error: DraftError) -> Self {
        match error {
            DraftError::Document(error) => Self::Document(error),
            DraftError::Seal(error) => Self::Seal(error),
        }
    }
}

impl From<tokio::task::JoinError> for PublishError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Seal(error.into())
    }
}

impl From<SealError> for PublishError {
    fn from(error: SealError) -> Self {
        Self::Seal(error)
    }
}

impl From<StoreError> for PublishError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<serde_json::Error> for PublishError {
    fn from(error: serde_json::Error) -> Self {
        Self::Seal(error.into())
    }
}

impl Policies {
    /// Takes up where the last start ended.
    ///
    /// # Errors
    /// When the store fails or holds a policy that cannot be read.
    pub(crate) async fn load(
        store: Arc<dyn Store>,
        nodes: Arc<Nodes>,
        keys: Arc<IssuerKeys>,
        metrics: Arc<Metrics>,
        signing: SigningKeys,
        extra_issuers: Vec<Issuer>,
        least_revision: u32,
    ) -> Result<Self, BundleError> {
        let policies = Self {
            store,
            nodes,
            keys,
            metrics,
            signing,
            extra_issuers,
            least_revision,
            drafting: Bench::new(),
            sealing: Bench::new(),
            making: Mutex::new(()),
            current: watch::Sender::new(None),
        };
        let Some(stored) = policies.store.version(None).await? else {
            return Ok(policies);
        };
        let policy = policies.merged(parsed(&stored)?);
        policies.keys.follow(&policy.issuers, Prepared::default());
        let Some(latest) = policies.store.latest_bundle().await? else {
            return Ok(policies);
        };
        let pinned = policies.signing.public_key().into();
        match bundle::open(latest.envelope.as_bytes(), &pinned) {
            Ok(bundle) if bundle.policy == policy => {
                policies.put(Current::stored(bundle, latest)?);
            }
            // The signing key or the added issuers are others than at the last start.
            _ => {
                let serial = Serial {
                    policy_version: latest.serial.policy_version,
                    keys_revision: latest.serial.keys_revision + 1,
                };
                let keys = policies.keys.snapshot();
                let sealer = policies.signing.current();
                policies
                    .renew(sealer, serial, latest.digest, policy, keys, None)
                    .await?;
            }
        }
        Ok(policies)
    }

    /// The bundle in force, and word of the next.
    pub(crate) fn subscribe(&self, _may: &May<ActAsNode>) -> watch::Receiver<Option<Arc<Current>>> {
        self.current.subscribe()
    }

    /// The bundle in force.
    pub(crate) fn in_force(&self, _may: &May<ReadState>) -> Option<Arc<Current>> {
        self.current()
    }

    fn current(&self) -> Option<Arc<Current>> {
        self.current.borrow().clone()
    }

    /// Versions below `before`, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn versions(
        &self,
        _may: &May<ReadState>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Version>, StoreError> {
        self.store.versions(before, limit).await
    }

    /// One version with its content; the current one when no number is given.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn version(
        &self,
        _may: &May<ReadState>,
        number: Option<u64>,
    ) -> Result<Option<StoredVersion>, StoreError> {
        self.store.version(number).await
    }

    /// Publishes a document.
    ///
    /// # Errors
    /// [`PublishError`]; nothing has changed then.
    pub(crate) async fn publish(
        self: &Arc<Self>,
        may: &May<ChangePolicy>,
        document: String,
        notes: Notes,
    ) -> Result<Published, PublishError> {
        let by = &may.caller().identity().subject;
        self.publish_as(by, document, notes, None).await
    }

    /// Publishes the content of an earlier version under a new number. It is checked like a new
    /// one: an older control plane may have accepted it, and this one does not.
    ///
    /// # Errors
    /// [`PublishError`]; nothing has changed then.
    pub(crate) async fn roll_back(
        self: &Arc<Self>,
        may: &May<ChangePolicy>,
        version: u64,
        notes: Notes,
    ) -> Result<Published, PublishError> {
        let old = self
            .store
            .version(Some(version))
            .await?
            .ok_or(PublishError::NoSuchVersion { version })?;
        let by = &may.caller().identity().subject;
        self.publish_as(by, old.document, notes, Some(version))
            .await
    }

    async fn publish_as(
        self: &Arc<Self>,
        by: &str,
        document: String,
        notes: Notes,
        rollback_of: Option<u64>,
    ) -> Result<Published, PublishError> {
        let policies = Arc::clone(self);
        let drafted = self.drafting.run(move || {
            let current = policies.current();
            let before = current.as_ref().and_then(|current| current.gate.as_deref());
            draft(document, rollback_of.is_some(), before)
        });
        let Draft {
            document,
            policy,
            gate,
            warnings,
        } = drafted.await??;
        let canonical = serde_json::to_string(&policy)?;
        let merged = self.merged(policy);
        // Before the lock: fetching may take seconds.
        let mut prepared = self.keys.prepare(&merged.issuers).await;
        let mut warnings = warnings;
        warnings.append(&mut prepared.warnings);

        let _making = self.making.lock().await;
        let before = self.store.version(None).await?;
        let current = before.as_ref().map_or(0, |stored| stored.version.version);
        if notes
            .expected_current
            .is_some_and(|expected| expected != current)
        {
            return Err(PublishError::Conflict { current });
        }
        let mut needs = policy::needs(&merged);
        needs.revision = needs.revision.max(self.least_revision);
        let needs_revision = needs.revision;
        if let Some(before) = before.filter(|before| before.document == document) {
            return Ok(Published {
                version: before.version,
                unchanged: true,
                needs_revision,
                warnings,
            });
        }
        let nodes = self.nodes.behind(needs.revision);
        if !nodes.is_empty() {
            let unreadable = Unreadable { needs, nodes };
            if !notes.allow_unreadable {
                return Err(PublishError::Unreadable(unreadable));
            }
            let named = unreadable
                .nodes
                .iter()
                .map(|node| format!("{} ({})", node.name, node.boot));
            let named: Vec<String> = named.collect();
            warnings.push(format!(
                "{unreadable}: they keep the version that they enforce. {}",
                named.join(", ")
            ));
        }
        // Above everything that a node enforces, too: after the database was restored from an older
        // copy, nodes would take a number that they have seen for old news.
        let number = current.max(self.nodes.highest_enforced().await?) + 1;
        let serial = Serial {
            policy_version: number,
            keys_revision: 0,
        };
        let on = self.current().map(|current| current.digest.clone());
        let (current, stored) = self
            .seal(
                self.signing.current(),
                serial,
                on.clone(),
                merged,
                prepared.keys.clone(),
                Some(Arc::new(gate)),
            )
            .await?;
        let version = Version {
            version: number,
            digest: sha256_hex(&canonical),
            bundle_digest: stored.digest.clone(),
            published_at: stored.issued_at,
            published_by: by.to_owned(),
            comment: notes.comment.map(Comment::into_string),
            rollback_of,
            current: true,
        };
        let row = StoredVersion {
            version: version.clone(),
            document,
            policy: canonical,
        };
        match self.store.add_version(&row, &stored, on.as_deref()).await? {
            Added::Done => {}
            Added::Overtaken { current } => return Err(PublishError::Conflict { current }),
        }
        self.keys.follow(&current.bundle.policy.issuers, prepared);
        self.put(current);
        tracing::info!(version = number, by, "a policy version was published");
        Ok(Published {
            version,
            unchanged: false,
            needs_revision,
            warnings,
        })
    }

    /// Signs a bundle with the keys that are known now, if they differ from those in force.
    ///
    /// # Errors
    /// [`BundleError`]; the bundle in force stays the one before.
    pub(crate) async fn keys_changed(&self) -> Result<(), BundleError> {
        let _making = self.making.lock().await;
        let Some(current) = self.current() else {
            return Ok(());
        };
        // On top of the keys in force: an issuer whose keys are not here right now keeps those it
        // has.
        let mut keys = current.bundle.keys.clone();
        keys.extend(self.keys.snapshot());
        if keys == current.bundle.keys {
            return Ok(());
        }
        let serial = Serial {
            policy_version: current.serial.policy_version,
            keys_revision: current.serial.keys_revision + 1,
        };
        let policy = current.bundle.policy.clone();
        let gate = current.gate.clone();
        let (sealer, on) = (self.signing.current(), current.digest.clone());
        self.renew(sealer, serial, on, policy, keys, gate).await?;
        tracing::info!(%serial, "a bundle with new keys was signed");
        Ok(())
    }

    /// Signs a further bundle of the current version, stores it and puts it in force.
    async fn renew(
        &self,
        sealer: Arc<Sealer>,
        serial: Serial,
        on: String,
        policy: Policy,
        keys: Keys,
        gate: Option<Arc<Gate>>,
    ) -> Result<(), BundleError> {
        let (current, stored) = self
            .seal(sealer, serial, Some(on.clone()), policy, keys, gate)
            .await?;
        match self.store.add_bundle(&stored, &on).await? {
            Added::Done => {
                self.put(current);
                Ok(())
            }
            Added::Overtaken { .. } => Err(BundleError::Overtaken),
        }
    }

    /// [`Sealer::seal`], off the threads that answer.
    async fn seal(
        &self,
        sealer: Arc<Sealer>,
        serial: Serial,
        previous: Option<String>,
        policy: Policy,
        keys: Keys,
        before: Option<Arc<Gate>>,
    ) -> Result<(Current, StoredBundle), SealError> {
        let sealing = self
            .sealing
            .run(move || sealer.seal(serial, previous, policy, keys, before.as_deref()));
        sealing.await?
    }

    /// The policy with the issuers that the configuration adds. The document's own come first and
    /// win: an added one of the same name is left out.
    fn merged(&self, mut policy: Policy) -> Policy {
        for extra in &self.extra_issuers {
            if !policy
                .issuers
                .iter()
                .any(|issuer| issuer.issuer == extra.issuer)
            {
                policy.issuers.push(extra.clone());
            }
        }
        policy
    }

    /// Puts a stored bundle in force.
    fn put(&self, current: Current) {
        let metrics = &self.metrics;
        metrics.policy_version.set(current.serial.policy_version);
        metrics.keys_revision.set(current.serial.keys_revision);
        self.current.send_replace(Some(Arc::new(current)));
    }
}

/// The policy of a stored version. An older control plane may have stored one that this one cannot
/// read.
fn parsed(stored: &StoredVersion) -> Result<Policy, StoreError> {
    serde_json::from_str(&stored.policy).map_err(|error| {
        StoreError::Corrupt(format!(
            "policy version {}: {error}",
            stored.version.version
        ))
    })
}
