//! Masking rules that do less, or something else, than they seem to.

use std::collections::{BTreeMap, BTreeSet};

use super::expressions::Texts;
use super::findings::Faulty;
use super::scope::Scopes;
use crate::masking::{catalogue, chooses};
use crate::policy::document::{Direction, Effect, MaskingAction, MaskingRule, Policy, Rule};
use crate::policy::error::{Faults, Place};
use crate::upstreams::{Protocol, Requests};

/// Beyond so many masking rules nobody compares them, and comparing each with each takes long.
const MAX_COMPARED: usize = 200;

pub(super) fn review(
    policy: &Policy,
    scopes: &Scopes<'_>,
    faulty: &Faulty<'_>,
    warnings: &mut Faults,
) {
    if policy.masking.is_empty() {
        return;
    }
    let passing = Passing::of(policy, scopes, faulty);
    let list = Place::default().key("masking");
    let sound: Vec<bool> = (0..policy.masking.len())
        .map(|index| faulty.is_sound(&list.index(index)))
        .collect();
    for (index, rule) in policy.masking.iter().enumerate() {
        let place = list.index(index);
        nothing_passes(&place, rule, &passing, warnings);
        if sound.get(index) == Some(&true) {
            placeholders_are_stored(&place, rule, &passing, warnings);
            if policy.masking.len() <= MAX_COMPARED {
                is_not_loosened(&place, index, policy, &sound, warnings);
            }
        }
    }
}

/// What rules let through, by the names of connections.
struct Passing<'a> {
    /// Connections that something goes to.
    any: BTreeSet<&'a str>,
    /// Connections that agents may write to, with the first rule that lets them.
    writes: BTreeMap<&'a str, &'a str>,
    /// Whether that is all: not where a rule has faults.
    complete: bool,
}

impl<'a> Passing<'a> {
    fn of(policy: &'a Policy, scopes: &Scopes<'a>, faulty: &Faulty<'_>) -> Self {
        let list = Place::default().key("rules");
        let mut passing = Self {
            any: BTreeSet::new(),
            writes: BTreeMap::new(),
            complete: faulty.faults.unread().has_list(&list),
        };
        for (index, rule) in policy.rules.iter().enumerate() {
            let place = list.index(index);
            let sound = faulty.is_sound(&place);
            if sound && rule.effect == Effect::Deny {
                continue;
            }
            let connections = scopes.connections_of(&place, rule).filter(|_| sound);
            let Some(connections) = connections else {
                passing.complete = false;
                continue;
            };
            let mut writes = BTreeMap::new();
            for connection in connections {
                let name = connection.name.as_str();
                passing.any.insert(name);
                let protocol = connection.protocol;
                if *writes
                    .entry(protocol)
                    .or_insert_with(|| lets_write(rule, protocol))
                {
                    passing.writes.entry(name).or_insert(&rule.name);
                }
            }
        }
        passing
    }
}

/// A rule for connections that no body ever goes to.
fn nothing_passes(place: &Place, rule: &MaskingRule, passing: &Passing<'_>, warnings: &mut Faults) {
    let Some(names) = rule.connections.as_ref().filter(|_| passing.complete) else {
        return;
    };
    for (index, name) in names.iter().enumerate() {
        if !passing.any.contains(name.as_str()) {
            warnings.at(
                place.key("connections").index(index),
                format!("no rule lets anything through to `{name}`, so there is nothing to mask"),
            );
        }
    }
}

/// A placeholder that an upstream stores has taken the place of the secret for good.
fn placeholders_are_stored(
    place: &Place,
    rule: &MaskingRule,
    passing: &Passing<'_>,
    warnings: &mut Faults,
) {
    if rule.action != MaskingAction::Mask || !rule.on.contains(&Direction::Request) {
        return;
    }
    let is_meant = |connection: &str| match &rule.connections {
        Some(names) => names.iter().any(|name| name == connection),
        None => true,
    };
    let store = passing
        .writes
        .iter()
        .find(|(connection, _)| is_meant(connection));
    if let Some((connection, writing)) = store {
        let not_that = if rule.restore {
            " (`restore` gives it back in answers only)"
        } else {
            ""
        };
        warnings.at(
            place.clone(),
            format!(
                "rule `{writing}` lets agents write to `{connection}`, and what they send there is masked: the upstream then stores the placeholder, \
                 and the secret is lost{not_that}. `action: block` refuses such a request instead; or name with `connections` those \
                 that only read"
            ),
        );
    }
}

/// Whether a rule lets through what upstreams usually store: PUT and PATCH, and POST where the rule
/// says neither to which paths nor for which operations.
fn lets_write(rule: &Rule, protocol: Protocol) -> bool {
    let wanted = &rule.r#match;
    let has = |method: &str| {
        wanted.methods.is_empty() || wanted.methods.iter().any(|m| m.as_str() == method)
    };
    let methods: Vec<&str> = ["PUT", "PATCH"].into_iter().filter(|m| has(m)).collect();
    if wanted.operations.is_empty() {
        return !methods.is_empty() || (has("POST") && wanted.paths.is_empty());
    }
    let requests = Requests {
        methods: &methods,
        paths: None,
    };
    let Some(writes) = Texts::of(&protocol.operations(&requests)) else {
        return false;
    };
    let mut patterns = wanted.operations.iter().filter_map(Texts::of_operation);
    !methods.is_empty() && patterns.any(|pattern| pattern.meet(&writes))
}

/// Names of the connections that a masking rule is about.
fn connections<'a>(rule: &'a MaskingRule, policy: &'a Policy) -> Vec<&'a str> {
    match &rule.connections {
        Some(names) => names.iter().map(String::as_str).collect(),
        None => policy.connections.iter().map(|c| c.name.as_str()).collect(),
    }
}

/// Rules add up, and the stricter action counts: one that is milder than another for the same
/// detectors changes nothing.
fn is_not_loosened(
    place: &Place,
    index: usize,
    policy: &Policy,
    sound: &[bool],
    warnings: &mut Faults,
) {
    let Some(rule) = policy.masking.get(index) else {
        return;
    };
    let own = policy.detectors.iter().map(|d| d.name.as_str());
    let names: Vec<&str> = catalogue().iter().map(|d| d.name()).chain(own).collect();
    let here = connections(rule, policy);
    let others = policy.masking.iter().zip(sound);
    let mut others = others.filter(|(_, sound)| **sound).map(|(other, _)| other);
    let stricter = others.find(|other| {
        let there = connections(other, policy);
        strictness(other.action) > strictness(rule.action)
            && rule.on.iter().all(|direction| other.on.contains(direction))
            && here.iter().all(|name| there.contains(name))
            && rule.keys.is_none()
            && names
                .iter()
                .filter(|name| {
                    rule.detectors
                        .iter()
                        .any(|selector| chooses(selector, name))
                })
                .all(|name| {
                    other
                        .detectors
                        .iter()
                        .any(|selector| chooses(selector, name))
                })
    });
    if let Some(other) = stricter {
        warnings.at(
            place.clone(),
            format!(
                "masking rule `{}` is about all of this too, and its `action: {}` is stricter: rules add up, and none loosens another. \
                 Name with `detectors` or `connections` in `{}` what it is meant for",
                other.name,
                other.action.as_str(),
                other.name
            ),
        );
    }
}

fn strictness(action: MaskingAction) -> u8 {
    match action {
        MaskingAction::Report => 0,
        MaskingAction::Mask => 1,
        MaskingAction::Block => 2,
    }
}
