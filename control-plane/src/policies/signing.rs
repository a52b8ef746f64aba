//! The key that signs bundles, and how another one takes its place.
//!
//! Filters pin the public key, so a change of it has an order: the next key is made, every filter
//! pins both, the next key begins to sign, and only then do filters stop to pin the old one. In
//! this order no filter is ever sent a bundle that it has no key for.
//!
//! # Promises
//! - One key signs at a time. Nodes get the first bundle of the next key before its file is in the
//!   place of the old one. Whoever switches is answered once the file is there.
//! - The key changes only when every live node has said that it pins the next one, or when somebody
//!   says that the other nodes may be left behind.
//! - Wherever a change breaks off, the next start goes on with one of these two keys. Every node
//!   that was not left behind pins both.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chaperone_engine::bundle::{PublicKey, Signer};
use zeroize::Zeroizing;

use super::seal::{SealError, Sealer};
use super::{BundleError, Policies, Serial};
use crate::access::May;
use crate::access::permission::{ManageSigningKey, ReadState};
use crate::administration::{Act, Administration};
use crate::data_dir::{DataDir, DataDirError};
use crate::nodes::NodeBehind;
use crate::random;
use crate::store::StoreError;

/// The key that signs and the one that waits, with their files.
#[derive(Debug)]
pub(crate) struct SigningKeys {
    dir: DataDir,
    administration: Administration,
    held: Mutex<Held>,
}

#[derive(Debug, Clone)]
struct Held {
    current: Arc<Sealer>,
    next: Option<Arc<Sealer>>,
}

/// Signing keys, for people.
#[derive(Debug)]
pub(crate) struct SigningKeysView {
    /// The one that signs.
    pub(crate) current: SigningKeyView,
    /// The one that waits to take its place.
    pub(crate) next: Option<SigningKeyView>,
}

/// One signing key, for people.
#[derive(Debug)]
pub(crate) struct SigningKeyView {
    /// The public half.
    pub(crate) key: PublicKey,
    /// Live nodes that would not accept a bundle that it has signed.
    pub(crate) unpinned_by: Vec<NodeBehind>,
}

/// Why the signing key was not changed.
#[derive(Debug)]
pub(crate) enum SigningError {
    /// No key waits.
    NoneWaits,
    /// No key of this name waits.
    NoSuchKey {
        /// The name that was given.
        id: String,
    },
    /// Live nodes do not pin the next key.
    Unpinned(Vec<NodeBehind>),
    /// The operating system has no randomness.
    Randomness(std::io::Error),
    /// A file could not be read or written.
    Files(DataDirError),
    /// No bundle could be signed with the next key.
    Bundle(BundleError),
    /// The store failed.
    Store(StoreError),
}

impl From<DataDirError> for SigningError {
    fn from(error: DataDirError) -> Self {
        Self::Files(error)
    }
}

impl From<StoreError> for SigningError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl SigningKeys {
    /// Those of a data directory; the first is made when there is none. Changes of them are written
    /// into the log of administration.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub(crate) fn open(dir: DataDir, administration: Administration) -> Result<Self, DataDirError> {
        let sealer = |seed: &[u8; 32]| Arc::new(Sealer(Signer::from_seed(seed)));
        let current = sealer(&*DataDir::key(&dir.signing_key())?);
        let next = DataDir::existing_key(&dir.next_signing_key())?;
        let next = next.map(|seed| sealer(&seed));
        let held = Mutex::new(Held { current, next });
        Ok(Self {
            dir,
            administration,
            held,
        })
    }

    /// The key that filters pin.
    pub(crate) fn public_key(&self) -> PublicKey {
        self.current().public_key()
    }

    pub(super) fn current(&self) -> Arc<Sealer> {
        Arc::clone(&self.held().current)
    }

    fn next(&self) -> Option<Arc<Sealer>> {
        self.held().next.clone()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a key as the next one.
    async fn keep_next(&self, seed: Zeroizing<[u8; 32]>) -> Result<(), SigningError> {
        let next = Arc::new(Sealer(Signer::from_seed(&seed)));
        let dir = self.dir.clone();
        blocking(move || DataDir::keep_key(&dir.next_signing_key(), &seed)).await?;
        self.held().next = Some(next);
        Ok(())
    }

    /// Gives the next key up.
    async fn remove_next(&self) -> Result<(), SigningError> {
        let dir = self.dir.clone();
        blocking(move || dir.remove(&dir.next_signing_key())).await?;
        self.held().next = None;
        Ok(())
    }

    /// Puts the next key in the place of the current one.
    async fn promote(&self) -> Result<(), SigningError> {
        let dir = self.dir.clone();
        blocking(move || dir.promote_signing_key()).await?;
        let mut held = self.held();
        if let Some(next) = held.next.take() {
            held.current = next;
        }
        Ok(())
    }
}

/// Files are written durably, which may take a while.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DataDirError> + Send + 'static,
) -> Result<T, SigningError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(error) => Err(SigningError::Bundle(SealError::from(error).into())),
    }
}

impl Policies {
    /// The signing keys, and which live nodes do not pin them.
    pub(crate) fn signing_keys(&self, _may: &May<ReadState>) -> SigningKeysView {
        self.view()
    }

    /// The keys that filters should pin now: the one that signs, and the one that waits.
    pub(crate) fn pinned_keys(&self, _may: &May<ReadState>) -> Vec<PublicKey> {
        let Held { current, next } = self.signing.held().clone();
        let next = next.map(|next| next.public_key());
        [Some(current.public_key()), next]
            .into_iter()
            .flatten()
            .collect()
    }

    fn view(&self) -> SigningKeysView {
        let Held { current, next } = self.signing.held().clone();
        let current = current.public_key();
        let view = |key: PublicKey| SigningKeyView {
            unpinned_by: self.nodes.without_pin(&key.id(), &current.id()),
            key,
        };
        SigningKeysView {
            next: next.map(|next| view(next.public_key())),
            current: view(current.clone()),
        }
    }

    /// Makes the next signing key; `true` if it was not there. Nothing is signed with it yet.
    ///
    /// # Errors
    /// [`SigningError`]; there is no next key then.
    pub(crate) async fn prepare_signing_key(
        &self,
        may: &May<ManageSigningKey>,
    ) -> Result<(SigningKeysView, bool), SigningError> {
        let _making = self.making.lock().await;
        let missing = self.signing.next().is_none();
        if missing {
            let seed = random::bytes::<32>().map_err(SigningError::Randomness)?;
            let id = Signer::from_seed(&seed).public_key().id();
            let entry = may.caller().does(Act::SigningKeyPrepared, &id);
            self.signing.administration.note(&entry).await?;
            self.signing.keep_next(seed).await?;
        }
        Ok((self.view(), missing))
    }

    /// Gives the next signing key up.
    ///
    /// # Errors
    /// [`SigningError`].
    pub(crate) async fn discard_signing_key(
        &self,
        may: &May<ManageSigningKey>,
    ) -> Result<(), SigningError> {
        let _making = self.making.lock().await;
        let next = self.signing.next();
        let next = next.ok_or(SigningError::NoneWaits)?;
        let id = next.public_key().id();
        let entry = may.caller().does(Act::SigningKeyDiscarded, &id);
        self.signing.administration.note(&entry).await?;
        self.signing.remove_next().await
    }

    /// Signs with the next key from now on, beginning with the policy in force. `id` names that
    /// key. Asked again after it was done, it does nothing.
    ///
    /// The bundle goes out before the file of the key is in its place. So where this breaks off,
    /// the old key goes on signing, and nodes that pin both take bundles of either.
    ///
    /// # Errors
    /// [`SigningError`]; the old key signs on then.
    pub(crate) async fn switch_signing_key(
        &self,
        may: &May<ManageSigningKey>,
        id: &str,
        allow_unpinned: bool,
    ) -> Result<SigningKeysView, SigningError> {
        let _making = self.making.lock().await;
        let current = self.signing.public_key();
        if current.id() == id {
            return Ok(self.view());
        }
        let next = self.signing.next();
        let next = next.filter(|next| next.public_key().id() == id);
        let next = next.ok_or_else(|| SigningError::NoSuchKey { id: id.to_owned() })?;
        let left_behind = self.nodes.without_pin(id, &current.id());
        if !left_behind.is_empty() && !allow_unpinned {
            return Err(SigningError::Unpinned(left_behind));
        }
        let entry = may
            .caller()
            .does(Act::SigningKeySwitched, id)
            .with("before", current.id())
            .with("unpinned_by_nodes", left_behind.len().to_string());
        self.signing.administration.note(&entry).await?;
        if let Some(in_force) = self.current() {
            let serial = Serial {
                policy_version: in_force.serial.policy_version,
                keys_revision: in_force.serial.keys_revision + 1,
            };
            let (policy, keys) = (in_force.bundle.policy.clone(), in_force.bundle.keys.clone());
            let (on, gate) = (in_force.digest.clone(), in_force.gate.clone());
            self.renew(next, serial, on, policy, keys, gate)
                .await
                .map_err(SigningError::Bundle)?;
        }
        self.signing.promote().await?;
        tracing::warn!(
            key = id,
            before = current.id(),
            "the signing key has changed"
        );
        Ok(self.view())
    }
}
