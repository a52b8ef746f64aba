//! Policy versions and bundles.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chaperone_engine::bundle::Serial;

use super::{Memory, duplicate};
use crate::policies::store::{Added, Store, StoredBundle, StoredVersion, Version};
use crate::store::Result;

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    versions: BTreeMap<u64, StoredVersion>,
    bundles: BTreeMap<Serial, StoredBundle>,
}

impl State {
    fn current(&self) -> u64 {
        self.versions.keys().next_back().copied().unwrap_or(0)
    }

    /// As it is now: another one may be current than when it was added.
    fn seen(&self, stored: &StoredVersion) -> StoredVersion {
        let mut stored = stored.clone();
        stored.version.current = stored.version.version == self.current();
        stored
    }

    fn add(&mut self, bundle: &StoredBundle) -> Result<Added> {
        match self.bundles.insert(bundle.serial, bundle.clone()) {
            None => Ok(Added::Done),
            Some(_) => Err(duplicate("the serial of a bundle")),
        }
    }

    fn overtaken(&self, on: Option<&str>) -> Option<Added> {
        let latest = self.bundles.values().next_back();
        let current = self.current();
        (latest.map(|bundle| bundle.digest.as_str()) != on).then_some(Added::Overtaken { current })
    }
}

#[async_trait]
impl Store for Memory {
    async fn version(&self, number: Option<u64>) -> Result<Option<StoredVersion>> {
        let state = self.read().await;
        let policies = &state.policies;
        let number = number.unwrap_or_else(|| policies.current());
        let found = policies.versions.get(&number);
        Ok(found.map(|stored| policies.seen(stored)))
    }

    async fn versions(&self, before: Option<u64>, limit: u32) -> Result<Vec<Version>> {
        let state = self.read().await;
        let policies = &state.policies;
        Ok(policies
            .versions
            .range(..before.unwrap_or(u64::MAX))
            .rev()
            .take(limit as usize)
            .map(|(_, stored)| policies.seen(stored).version)
            .collect())
    }

    async fn latest_bundle(&self) -> Result<Option<StoredBundle>> {
        let state = self.read().await;
        Ok(state.policies.bundles.values().next_back().cloned())
    }

    async fn add_version(
        &self,
        version: &StoredVersion,
        bundle: &StoredBundle,
        on: Option<&str>,
    ) -> Result<Added> {
        self.write(|state| {
            let policies = &mut state.policies;
            if let Some(overtaken) = policies.overtaken(on) {
                return Ok(overtaken);
            }
            let number = version.version.version;
            if policies.versions.insert(number, version.clone()).is_some() {
                return Err(duplicate("the number of a version"));
            }
            policies.add(bundle)
        })
        .await
    }

    async fn add_bundle(&self, bundle: &StoredBundle, on: &str) -> Result<Added> {
        self.write(|state| {
            let policies = &mut state.policies;
            if let Some(overtaken) = policies.overtaken(Some(on)) {
                return Ok(overtaken);
            }
            policies.add(bundle)
        })
        .await
    }
}
