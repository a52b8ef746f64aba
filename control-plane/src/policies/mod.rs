//! Publishing: from a document to a signed bundle that the nodes fetch.
//!
//! One lock is held while a bundle is made, so numbers and the chain of `previous` digests have one
//! author. A bundle goes out only after it is stored. Nothing here decides anything about requests:
//! reading, checking, testing and compiling are the engine's.

use std::sync::Arc;

use axum::body::Bytes;
use chaperone_api::{NodeBehind, PolicyProblem, Published, Version};
use chaperone_engine::base::digest::sha256_hex;
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::bundle::{self, Bundle, Envelope, PublicKey, Serial, Signer};
use chaperone_engine::gate::Gate;
use chaperone_engine::identity::Issuer;
use chaperone_engine::link::PolicyAnswer;
use chaperone_engine::policy::{self, CompiledPolicy, Needs, Policy, PolicyErrors};
use tokio::sync::{Mutex, watch};

use crate::clock;
use crate::keys::{Keys, Prepared};
use crate::metrics::Metrics;
use crate::storage::sqlite::Database;
use crate::storage::sqlite::versions::{StoredBundle, StoredVersion};
use crate::store::StoreError;

/// Nodes' reports of what they enforce count up to here: whoever holds a node token must not be able
/// to push the numbers to where they end.
pub(crate) const MAX_REPORTED_VERSION: u64 = 1_000_000_000;

/// The bundle in force.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) serial: Serial,
    /// The answer to a node that wants it, ready to send.
    pub(crate) answer: Bytes,
    digest: String,
    bundle: Bundle,
}

impl Current {
    /// The policy in force, with the issuers that the configuration adds.
    pub(crate) fn policy(&self) -> &Policy {
        &self.bundle.policy
    }

    /// The signed bundle, as nodes get it.
    pub(crate) fn envelope(&self) -> Option<Envelope> {
        serde_json::from_slice::<PolicyAnswer>(&self.answer)
            .ok()?
            .bundle
    }
}

/// Why nothing was published.
#[derive(Debug)]
pub(crate) enum PublishError {
    /// The document has faults.
    Invalid(Vec<PolicyProblem>),
    /// Tests in the document fail.
    TestsFailed(Vec<PolicyProblem>),
    /// Another version is current than the author thought.
    Conflict { current: u64 },
    /// Live nodes cannot read the document.
    Unreadable(Unreadable),
    /// There is no such version.
    NoSuchVersion,
    /// The database failed.
    Storage(StoreError),
    /// Making the bundle failed.
    Internal(String),
}

impl std::fmt::Display for PublishError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invalid(problems) | Self::TestsFailed(problems) => {
                for (n, problem) in problems.iter().enumerate() {
                    let separator = if n > 0 { "; " } else { "" };
                    write!(f, "{separator}{}: {}", problem.place, problem.message)?;
                }
                Ok(())
            }
            Self::Conflict { current } => write!(f, "the current version is {current}"),
            Self::Unreadable(unreadable) => unreadable.fmt(f),
            Self::NoSuchVersion => f.write_str("there is no such version"),
            Self::Storage(error) => error.fmt(f),
            Self::Internal(error) => f.write_str(error),
        }
    }
}

/// A document and the live nodes that cannot read it. Shown, it is the beginning of a sentence.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) needs: Needs,
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

impl From<StoreError> for PublishError {
    fn from(error: StoreError) -> Self {
        Self::Storage(error)
    }
}

/// Who publishes, and what they say about it.
#[derive(Debug)]
pub(crate) struct Author<'a> {
    pub(crate) subject: &'a str,
    pub(crate) comment: Option<String>,
    /// The version that they think is current.
    pub(crate) expected_current: Option<u64>,
    /// They want it although some live nodes cannot read it.
    pub(crate) allow_unreadable: bool,
}

/// All policy versions.
#[derive(Debug)]
pub(crate) struct Versions {
    storage: Database,
    keys: Arc<Keys>,
    metrics: Arc<Metrics>,
    signer: Signer,
    extra_issuers: Vec<Issuer>,
    making: Mutex<()>,
    current: watch::Sender<Option<Arc<Current>>>,
}

impl Versions {
    /// Takes up where the last start ended.
    ///
    /// # Errors
    /// When the database fails or holds a policy that cannot be read.
    pub(crate) async fn load(
        storage: Database,
        keys: Arc<Keys>,
        metrics: Arc<Metrics>,
        signer: Signer,
        extra_issuers: Vec<Issuer>,
    ) -> Result<Self, PublishError> {
        let versions = Self {
            storage,
            keys,
            metrics,
            signer,
            extra_issuers,
            making: Mutex::new(()),
            current: watch::Sender::new(None),
        };
        let Some(stored) = versions.storage.version(None).await? else {
            return Ok(versions);
        };
        let policy = versions.merged(stored.parse_policy()?);
        versions.keys.follow(&policy.issuers, Prepared::default());
        let Some(latest) = versions.storage.latest_bundle().await? else {
            return Ok(versions);
        };
        match bundle::open(latest.envelope.as_bytes(), &versions.signer.public_key()) {
            Ok(bundle) if bundle.policy == policy => versions.put(bundle, latest)?,
            // The signing key or the added issuers are others than at the last start.
            _ => {
                let serial = Serial {
                    policy_version: latest.serial.policy_version,
                    keys_revision: latest.serial.keys_revision + 1,
                };
                let keys = versions.keys.snapshot();
                let (bundle, stored) = versions.seal(serial, Some(latest.digest), policy, keys)?;
                versions.storage.add_bundle(&stored).await?;
                versions.put(bundle, stored)?;
            }
        }
        Ok(versions)
    }

    /// The bundle in force, and word of the next.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Arc<Current>>> {
        self.current.subscribe()
    }

    /// The bundle in force.
    pub(crate) fn current(&self) -> Option<Arc<Current>> {
        self.current.borrow().clone()
    }

    /// What filters pin.
    pub(crate) fn public_key(&self) -> PublicKey {
        self.signer.public_key()
    }

    /// Publishes a document. A node that was last heard of before `live_since` does not count as a
    /// live one.
    ///
    /// # Errors
    /// [`PublishError`]; nothing has changed then.
    pub(crate) async fn publish(
        &self,
        document: String,
        author: Author<'_>,
        live_since: UnixMillis,
    ) -> Result<Published, PublishError> {
        self.publish_as(document, author, None, live_since).await
    }

    /// Publishes the content of an earlier version under a new number. It is checked like a new one:
    /// what an older control plane accepted may not pass any more.
    ///
    /// # Errors
    /// [`PublishError`]; nothing has changed then.
    pub(crate) async fn roll_back(
        &self,
        version: u64,
        author: Author<'_>,
        live_since: UnixMillis,
    ) -> Result<Published, PublishError> {
        let old = self
            .storage
            .version(Some(version))
            .await?
            .ok_or(PublishError::NoSuchVersion)?;
        self.publish_as(old.document, author, Some(version), live_since)
            .await
    }

    async fn publish_as(
        &self,
        document: String,
        author: Author<'_>,
        rollback_of: Option<u64>,
        live_since: UnixMillis,
    ) -> Result<Published, PublishError> {
        let policy = checked(&document)?;
        let canonical = serde_json::to_string(&policy)
            .map_err(|error| PublishError::Internal(error.to_string()))?;
        let merged = self.merged(policy);
        // Before the lock: fetching may take seconds.
        let mut prepared = self.keys.prepare(&merged.issuers).await;
        let mut warnings = std::mem::take(&mut prepared.warnings);

        let _making = self.making.lock().await;
        let before = self.storage.version(None).await?;
        let current = before.as_ref().map_or(0, |stored| stored.version.version);
        if author
            .expected_current
            .is_some_and(|expected| expected != current)
        {
            return Err(PublishError::Conflict { current });
        }
        if let Some(before) = before.filter(|before| before.document == document) {
            return Ok(Published {
                version: before.version,
                unchanged: true,
                warnings,
            });
        }
        let needs = policy::needs(&merged);
        let nodes = self
            .storage
            .nodes_behind(needs.revision, live_since)
            .await?;
        if !nodes.is_empty() {
            let unreadable = Unreadable { needs, nodes };
            if !author.allow_unreadable {
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
        let enforced = self
            .storage
            .highest_enforced()
            .await?
            .min(MAX_REPORTED_VERSION);
        let number = current.max(enforced) + 1;
        let serial = Serial {
            policy_version: number,
            keys_revision: 0,
        };
        let previous = self.current().map(|current| current.digest.clone());
        let (bundle, stored) = self.seal(serial, previous, merged, prepared.keys.clone())?;
        let version = Version {
            version: number,
            digest: sha256_hex(&canonical),
            bundle_digest: stored.digest.clone(),
            published_at: stored.issued_at,
            published_by: author.subject.to_owned(),
            comment: author.comment.filter(|comment| !comment.is_empty()),
            rollback_of,
            current: true,
        };
        let row = StoredVersion {
            version: version.clone(),
            document,
            policy: canonical,
        };
        self.storage.add_version(&row, &stored).await?;
        self.keys.follow(&bundle.policy.issuers, prepared);
        self.put(bundle, stored)?;
        tracing::info!(
            version = number,
            by = author.subject,
            "a policy version was published"
        );
        Ok(Published {
            version,
            unchanged: false,
            warnings,
        })
    }

    /// Signs a bundle with the keys that are known now, if they differ from those in force.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn keys_changed(&self) -> Result<(), PublishError> {
        let _making = self.making.lock().await;
        let Some(current) = self.current() else {
            return Ok(());
        };
        // On top of what is in force: an issuer whose keys are not here right now keeps those it has.
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
        let previous = Some(current.digest.clone());
        let (bundle, stored) = self.seal(serial, previous, policy, keys)?;
        self.storage.add_bundle(&stored).await?;
        self.put(bundle, stored)?;
        tracing::info!(%serial, "a bundle with new keys was signed");
        Ok(())
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

    fn seal(
        &self,
        serial: Serial,
        previous: Option<String>,
        policy: Policy,
        keys: std::collections::BTreeMap<String, serde_json::Value>,
    ) -> Result<(Bundle, StoredBundle), PublishError> {
        let issued_at = clock::now();
        let bundle = Bundle {
            serial,
            previous,
            issued_at,
            policy,
            keys,
        };
        // What a node could not make ready must not go out.
        Gate::from_bundle(bundle.clone()).map_err(|why| {
            PublishError::Invalid(vec![PolicyProblem {
                place: String::new(),
                message: why.to_string(),
            }])
        })?;
        let envelope = self
            .signer
            .seal(&bundle)
            .map_err(|error| PublishError::Internal(error.to_string()))?;
        let envelope = serde_json::to_string(&envelope)
            .map_err(|error| PublishError::Internal(error.to_string()))?;
        if envelope.len() > bundle::MAX_ENVELOPE_BYTES {
            let message = format!(
                "the policy and the keys of its issuers make a bundle of {} bytes; filters take at \
                 most {}",
                envelope.len(),
                bundle::MAX_ENVELOPE_BYTES
            );
            return Err(PublishError::Invalid(vec![PolicyProblem {
                place: String::new(),
                message,
            }]));
        }
        let digest =
            bundle::digest(&bundle).map_err(|error| PublishError::Internal(error.to_string()))?;
        let stored = StoredBundle {
            serial,
            digest,
            envelope,
            issued_at,
        };
        Ok((bundle, stored))
    }

    fn put(&self, bundle: Bundle, stored: StoredBundle) -> Result<(), PublishError> {
        let envelope: Envelope = serde_json::from_str(&stored.envelope)
            .map_err(|error| PublishError::Internal(error.to_string()))?;
        let answer = chaperone_engine::link::PolicyAnswer {
            bundle: Some(envelope),
        };
        let answer = serde_json::to_vec(&answer)
            .map_err(|error| PublishError::Internal(error.to_string()))?;
        self.metrics
            .policy_version
            .set(stored.serial.policy_version);
        self.metrics.keys_revision.set(stored.serial.keys_revision);
        self.current.send_replace(Some(Arc::new(Current {
            serial: stored.serial,
            answer: answer.into(),
            digest: stored.digest,
            bundle,
        })));
        Ok(())
    }
}

/// A document that was read, checked and tested.
fn checked(document: &str) -> Result<Policy, PublishError> {
    let invalid = |errors: PolicyErrors| PublishError::Invalid(problems(&errors));
    let policy = chaperone_engine::policy::parse(document).map_err(invalid)?;
    let compiled = CompiledPolicy::compile(policy.clone()).map_err(invalid)?;
    let failed: Vec<PolicyProblem> = compiled
        .run_tests()
        .iter()
        .filter(|outcome| !outcome.passed)
        .map(|outcome| PolicyProblem {
            place: format!("tests[{}]", outcome.index),
            message: outcome.to_string(),
        })
        .collect();
    if failed.is_empty() {
        Ok(policy)
    } else {
        Err(PublishError::TestsFailed(failed))
    }
}

fn problems(errors: &PolicyErrors) -> Vec<PolicyProblem> {
    errors
        .iter()
        .map(|error| {
            let path = error.path.to_string();
            let place = match error.position {
                Some(at) if path.is_empty() => format!("line {}, column {}", at.line, at.column),
                Some(at) => format!("{path} (line {}, column {})", at.line, at.column),
                None => path,
            };
            PolicyProblem {
                place,
                message: error.message.clone(),
            }
        })
        .collect()
}
