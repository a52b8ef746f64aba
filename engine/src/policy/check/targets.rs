//! Names in a document that other parts of it refer to.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::document::{Effect, Policy};

/// Everything that a reference in a document may lead to.
pub(super) struct Targets<'a> {
    pub(super) policy: &'a Policy,
    pub(super) issuers: Vec<&'a str>,
    pub(super) connections: Vec<&'a str>,
    pub(super) labels: BTreeMap<&'a str, BTreeSet<&'a str>>,
    pub(super) rules: BTreeMap<&'a str, Effect>,
}

impl<'a> Targets<'a> {
    pub(super) fn of(policy: &'a Policy) -> Self {
        let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (key, value) in policy.connections.iter().flat_map(|c| &c.labels) {
            labels.entry(key).or_default().insert(value);
        }
        let rules = policy.rules.iter();
        Self {
            policy,
            issuers: policy.issuers.iter().map(|i| i.issuer.as_str()).collect(),
            connections: policy.connections.iter().map(|c| c.name.as_str()).collect(),
            labels,
            rules: rules.map(|r| (r.name.as_str(), r.effect)).collect(),
        }
    }
}
