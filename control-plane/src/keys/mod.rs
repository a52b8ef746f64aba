//! The key sets of the issuers: fetched, refreshed, cached on disk.
//!
//! Key sets travel to the nodes in bundles, so a node never fetches anything. When the keys of an
//! issuer of the policy change, [`IssuerKeys::changed`] says so and a bundle with the next
//! `keys_revision` is signed. A failed fetch changes nothing: the last good set stays in force, in
//! memory and on disk.

mod fetch;
mod set;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::identity::Issuer;
use serde_json::Value;
use tokio::sync::Notify;

use self::fetch::{Fetched, Fetcher, KeysError};
use self::set::Entry;
pub(crate) use self::set::{KeySource, KeyView};
use crate::access::May;
use crate::access::permission::{ActAsNode, ChangePolicy, ReadState};
use crate::administration::{Act, Administration};
use crate::clock;
use crate::metrics::{Metrics, OutcomeLabel};
use crate::store::StoreError;

/// How often the clock is looked at for refreshes that are due.
const TICK: Duration = Duration::from_secs(1);

/// All key sets.
#[derive(Debug)]
pub(crate) struct IssuerKeys {
    dir: PathBuf,
    administration: Administration,
    fetcher: Fetcher,
    metrics: Arc<Metrics>,
    sets: Mutex<BTreeMap<String, Slot>>,
    changed: Notify,
}

/// The keys of one issuer, for people.
#[derive(Debug, Clone)]
pub(crate) struct KeySetView {
    /// The issuer.
    pub(crate) issuer: String,
    /// Where its keys come from.
    pub(crate) source: KeySource,
    /// The URL that was fetched last.
    pub(crate) url: Option<String>,
    /// The keys, usable or not.
    pub(crate) keys: Vec<KeyView>,
    /// When the keys were last fetched without fault.
    pub(crate) fetched_at: Option<UnixMillis>,
    /// When fetching was last tried.
    pub(crate) attempted_at: Option<UnixMillis>,
    /// Why the last try failed; the keys before it stay in force.
    pub(crate) error: Option<String>,
}

/// What [`IssuerKeys::prepare`] found, for a bundle and for [`IssuerKeys::follow`].
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// Usable keys by issuer.
    pub(crate) keys: BTreeMap<String, Value>,
    /// A sentence for each issuer without keys.
    pub(crate) warnings: Vec<String>,
    fresh: Vec<Entry>,
}

#[derive(Debug)]
struct Slot {
    entry: Entry,
    /// Held while fetching: whoever comes meanwhile waits for that fetch instead of making another.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

impl Slot {
    fn new(entry: Entry) -> Self {
        Self {
            entry,
            fetching: Arc::default(),
        }
    }

    /// Whether the policy sends us to the same place for this issuer's keys as before.
    fn serves(&self, issuer: &Issuer) -> bool {
        self.entry.issuer.jwks == issuer.jwks && self.entry.issuer.jwks_uri == issuer.jwks_uri
    }
}

impl IssuerKeys {
    pub(crate) fn new(dir: &Path, administration: Administration, metrics: Arc<Metrics>) -> Self {
        Self {
            dir: dir.to_owned(),
            administration,
            fetcher: Fetcher::new(),
            metrics,
            sets: Mutex::default(),
            changed: Notify::new(),
        }
    }

    fn sets(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks after these issuers from now on, and no others. What was prepared is taken over.
    pub(crate) fn follow(&self, issuers: &[Issuer], prepared: Prepared) {
        let mut fresh = prepared.fresh;
        let mut sets = self.sets();
        sets.retain(|name, _| issuers.iter().any(|issuer| issuer.issuer == *name));
        for issuer in issuers {
            let known = sets.get(&issuer.issuer);
            if known.is_some_and(|slot| slot.serves(issuer) && slot.entry.usable.is_some()) {
                continue;
            }
            let prepared = fresh.iter().position(|entry| entry.issuer == *issuer);
            let entry = prepared.map_or_else(
                || Entry::cached_in(&self.dir, issuer.clone()),
                |at| fresh.swap_remove(at),
            );
            sets.insert(issuer.issuer.clone(), Slot::new(entry));
        }
    }

    /// The keys for a bundle with these issuers. Issuers that are not followed yet are fetched
    /// first, so that a policy with a new issuer works from its first moment.
    pub(crate) async fn prepare(&self, issuers: &[Issuer]) -> Prepared {
        let lookups = issuers.iter().map(|issuer| async move {
            let known = {
                let sets = self.sets();
                let slot = sets.get(&issuer.issuer).filter(|slot| slot.serves(issuer));
                slot.and_then(|slot| slot.entry.usable.clone())
            };
            match known {
                Some(keys) => (issuer, Ok(keys), None),
                None => {
                    let entry = self.fetch_new(issuer).await;
                    let keys = entry.usable.clone();
                    let keys = keys.ok_or_else(|| entry.error.clone().unwrap_or_default());
                    (issuer, keys, Some(entry))
                }
            }
        });
        let mut prepared = Prepared::default();
        for (issuer, found, entry) in futures_util::future::join_all(lookups).await {
            prepared.fresh.extend(entry);
            match found {
                Ok(set) => {
                    prepared.keys.insert(issuer.issuer.clone(), set);
                }
                Err(why) => prepared.warnings.push(format!(
                    "no keys of the issuer {} yet, so its tokens are refused until they are fetched: {why}",
                    issuer.issuer
                )),
            }
        }
        prepared
    }

    /// An issuer that is not followed yet: fetched, or as it lies on disk when that fails.
    async fn fetch_new(&self, issuer: &Issuer) -> Entry {
        let (dir, own) = (self.dir.clone(), issuer.clone());
        let cached = tokio::task::spawn_blocking(move || Entry::cached_in(&dir, own)).await;
        let mut entry = cached.unwrap_or_else(|_| Entry::new(issuer.clone()));
        if entry.is_due(Instant::now()) {
            let fetched = self.fetcher.key_set(issuer).await;
            let taken = fetched.and_then(|f| entry.take(f.url, &f.body, clock::now()));
            self.count(taken.is_ok());
            match taken {
                Ok(_) => store(entry.to_cache(&self.dir)).await,
                Err(why) => entry.failed(&why, clock::now()),
            }
        }
        entry
    }

    /// The keys that are known now, by issuer.
    pub(crate) fn snapshot(&self) -> BTreeMap<String, Value> {
        let sets = self.sets();
        sets.iter()
            .filter_map(|(issuer, slot)| Some((issuer.clone(), slot.entry.usable.clone()?)))
            .collect()
    }

    /// Returns when keys have changed since the last time.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// A node has met a key that it does not know: fetches the issuer's keys again, unless they
    /// have arrived meanwhile or that was done too often lately.
    pub(crate) fn unknown_key(
        self: &Arc<Self>,
        _may: &May<ActAsNode>,
        issuer: &str,
        kid: Option<&str>,
    ) {
        {
            let mut sets = self.sets();
            let Some(slot) = sets.get_mut(issuer) else {
                return;
            };
            if kid.is_some_and(|kid| slot.entry.has(kid))
                || slot.fetching.try_lock().is_err()
                || !slot.entry.may_refresh_early(Instant::now())
            {
                return;
            }
        }
        tracing::info!(
            issuer,
            "a token names a key that is not known; fetching the issuer's keys"
        );
        let (keys, issuer) = (Arc::clone(self), issuer.to_owned());
        tokio::spawn(async move { keys.refresh(&issuer).await });
    }

    /// Fetches the keys of every issuer that has a place to fetch from, now, and answers how that
    /// went.
    ///
    /// # Errors
    /// When the log of administration cannot be written; nothing is fetched then.
    pub(crate) async fn refresh_all(
        &self,
        may: &May<ChangePolicy>,
    ) -> Result<Vec<KeySetView>, StoreError> {
        let entry = may.caller().does(Act::KeysRefreshed, "");
        self.administration.note(&entry).await?;
        let issuers: Vec<String> = self.sets().keys().cloned().collect();
        futures_util::future::join_all(issuers.iter().map(|issuer| self.refresh(issuer))).await;
        Ok(self.view())
    }

    /// Fetches one issuer's keys. Single flight: who waited for another's fetch takes its result.
    async fn refresh(&self, name: &str) {
        let Some((issuer, fetching)) = self
            .sets()
            .get(name)
            .filter(|slot| slot.entry.issuer.jwks.is_none())
            .map(|slot| (slot.entry.issuer.clone(), Arc::clone(&slot.fetching)))
        else {
            return;
        };
        let Ok(_flight) = fetching.try_lock() else {
            drop(fetching.lock().await);
            return;
        };
        let fetched = self.fetcher.key_set(&issuer).await;
        let to_cache = self.take(name, &issuer, fetched);
        store(to_cache).await;
    }

    /// Takes a fetched key set over; gives the bytes for the file.
    fn take(
        &self,
        name: &str,
        issuer: &Issuer,
        fetched: Result<Fetched, KeysError>,
    ) -> Option<(PathBuf, Vec<u8>)> {
        let mut sets = self.sets();
        // The policy may have moved on meanwhile.
        let slot = sets
            .get_mut(name)
            .filter(|slot| slot.entry.issuer == *issuer)?;
        let taken = fetched.and_then(|f| slot.entry.take(f.url, &f.body, clock::now()));
        self.count(taken.is_ok());
        match taken {
            Ok(changed) => {
                if changed {
                    tracing::info!(issuer = name, "the issuer's keys have changed");
                    self.changed.notify_one();
                }
                slot.entry.to_cache(&self.dir)
            }
            Err(why) => {
                tracing::warn!(issuer = name, %why, "the issuer's keys could not be fetched; the ones before stay in force");
                slot.entry.failed(&why, clock::now());
                None
            }
        }
    }

    /// Refreshes whatever is due, for as long as it is polled.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tick.tick().await;
            let now = Instant::now();
            let due: Vec<String> = {
                let sets = self.sets();
                let due = sets.iter().filter(|(_, slot)| slot.entry.is_due(now));
                due.map(|(issuer, _)| issuer.clone()).collect()
            };
            futures_util::future::join_all(due.iter().map(|issuer| self.refresh(issuer))).await;
        }
    }

    /// All key sets, for people.
    pub(crate) fn list(&self, _may: &May<ReadState>) -> Vec<KeySetView> {
        self.view()
    }

    fn view(&self) -> Vec<KeySetView> {
        let sets = self.sets();
        let view = |(issuer, slot): (&String, &Slot)| KeySetView {
            issuer: issuer.clone(),
            source: slot.entry.source,
            url: slot.entry.url.clone(),
            keys: slot.entry.keys.clone(),
            fetched_at: slot.entry.fetched_at,
            attempted_at: slot.entry.attempted_at,
            error: slot.entry.error.clone(),
        };
        sets.iter().map(view).collect()
    }

    fn count(&self, fetched: bool) {
        let outcome = if fetched { "fetched" } else { "failed" };
        self.metrics
            .key_fetches
            .get_or_create(&OutcomeLabel { outcome })
            .inc();
    }
}

/// Keeps a key set on disk, off the threads that answer: a disk may be slow. One that fails costs a
/// start without network, nothing else.
async fn store(to_cache: Option<(PathBuf, Vec<u8>)>) {
    let Some((path, bytes)) = to_cache else {
        return;
    };
    let written = tokio::task::spawn_blocking(move || {
        let beside = path.with_extension("new");
        let written = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, &path));
        if let Err(error) = written {
            tracing::warn!(file = %path.display(), %error, "a key set could not be cached");
        }
    });
    // It has said so.
    drop(written.await);
}
