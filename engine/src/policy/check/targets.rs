//! Names in a document that other parts of it refer to.

use std::collections::{BTreeMap, BTreeSet};

use super::checks::Names;
use crate::policy::document::{Effect, Policy};
use crate::policy::error::Place;
use crate::policy::unread::Unread;

/// Everything that a reference in a document may lead to.
pub(super) struct Targets<'a> {
    pub(super) policy: &'a Policy,
    pub(super) issuers: Names<'a>,
    pub(super) connections: Names<'a>,
    pub(super) labels: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// Whether these are the labels of all connections.
    pub(super) labels_complete: bool,
    pub(super) rules: Names<'a>,
    /// The places of rules, and their effects.
    pub(super) effects: BTreeMap<&'a str, (usize, Effect)>,
}

impl<'a> Targets<'a> {
    pub(super) fn of(policy: &'a Policy, unread: &Unread) -> Self {
        let root = Place::default();
        let names = |list: &str, key: &str, known: Vec<&'a str>| Names {
            complete: unread.has_each(&root.key(list), known.len(), key),
            known,
        };
        let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (key, value) in policy.connections.iter().flat_map(|c| &c.labels) {
            labels.entry(key).or_default().insert(value);
        }
        let connections = root.key("connections");
        let has_labels = |index| {
            let other = ["name", "hosts", "protocol", "credential"];
            unread.has_all_but(&connections.index(index), &other)
        };
        let issuers = policy.issuers.iter().map(|i| i.issuer.as_str());
        let named = policy.connections.iter().map(|c| c.name.as_str());
        let rules = policy.rules.iter().map(|r| r.name.as_str());
        let effects = policy.rules.iter().enumerate();
        Self {
            policy,
            issuers: names("issuers", "issuer", issuers.collect()),
            connections: names("connections", "name", named.collect()),
            labels,
            labels_complete: unread.len() == 0
                || (unread.has_list(&connections) && (0..policy.connections.len()).all(has_labels)),
            rules: names("rules", "name", rules.collect()),
            effects: effects
                .map(|(index, rule)| (rule.name.as_str(), (index, rule.effect)))
                .collect(),
        }
    }
}
