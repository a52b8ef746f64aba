//! Rules for a document beyond its shape: names are unique, references lead somewhere, rules can
//! match, terms make sense.

mod checks;
mod detectors;
mod masking;
mod policy_tests;
mod rules;
mod targets;

pub use self::checks::MAX_ENTRIES;
#[cfg(feature = "authoring")]
pub(super) use self::detectors::{
    check_names as check_detector_names, compile as compile_detectors,
};
pub(crate) use self::masking::rules_for;
pub use self::masking::validate_masking_rule;
pub use self::rules::MAX_HOLD;

use self::checks::{MAX_NAME_BYTES, MAX_TEXT_BYTES, entries, name, text, unique};
use self::targets::Targets;
use super::document::{Connection, Policy};
use super::error::{Faults, Place, PolicyErrors};
use super::hosts::Hosts;
use crate::identity::Issuer;

/// The most rules of one document.
pub const MAX_RULES: usize = 5_000;
/// The most connections of one document.
pub const MAX_CONNECTIONS: usize = 1_000;
const MAX_TESTS: usize = 10_000;
const MAX_ISSUERS: usize = 100;

/// Whether a policy may be used.
///
/// # Errors
/// Everything that is wrong, with paths; line and column are known only to [`parse`](super::parse).
pub fn validate(policy: &Policy) -> Result<(), PolicyErrors> {
    let mut faults = Faults::default();
    check(policy, &mut faults);
    faults.finish(|_| None)
}

pub(super) fn check(policy: &Policy, faults: &mut Faults) {
    let root = Place::default();
    let targets = Targets::of(policy, faults.unread());

    sizes(policy, faults);
    issuers(policy, faults);
    unique(
        &root.key("connections"),
        "name",
        policy.connections.iter().map(|c| c.name.as_str()),
        faults,
    );
    unique(
        &root.key("rules"),
        "name",
        policy.rules.iter().map(|r| r.name.as_str()),
        faults,
    );
    unique(
        &root.key("masking"),
        "name",
        policy.masking.iter().map(|m| m.name.as_str()),
        faults,
    );

    for (index, item) in policy.connections.iter().enumerate() {
        connection(&root.key("connections").index(index), item, faults);
    }
    overlapping_hosts(policy, faults);
    for (index, item) in policy.rules.iter().enumerate() {
        rules::check(&root.key("rules").index(index), item, &targets, faults);
    }
    detectors::check(policy, faults);
    let meant = detectors::meant_names(&policy.detectors);
    let detectors = detectors::names(&policy.detectors, &meant, faults.unread());
    for (index, item) in policy.masking.iter().enumerate() {
        masking::check(
            &root.key("masking").index(index),
            item,
            &detectors,
            &targets.connections,
            faults,
        );
    }
    for (index, item) in policy.tests.iter().enumerate() {
        policy_tests::check(&root.key("tests").index(index), item, &targets, faults);
    }
}

fn sizes(policy: &Policy, faults: &mut Faults) {
    let counts = [
        ("issuers", policy.issuers.len(), MAX_ISSUERS),
        ("connections", policy.connections.len(), MAX_CONNECTIONS),
        ("rules", policy.rules.len(), MAX_RULES),
        ("detectors", policy.detectors.len(), detectors::MAX_CUSTOM),
        ("detectors_allow", policy.detectors_allow.len(), MAX_ENTRIES),
        ("masking", policy.masking.len(), MAX_ENTRIES),
        ("tests", policy.tests.len(), MAX_TESTS),
    ];
    for (key, count, most) in counts {
        if count > most {
            faults.certainly(
                Place::default().key(key),
                format!("expected at most {most} entries, found {count}"),
            );
        }
    }
}

fn issuers(policy: &Policy, faults: &mut Faults) {
    let place = Place::default().key("issuers");
    if policy.issuers.is_empty() {
        faults.at(
            place.clone(),
            "expected at least one issuer: without one, every caller is refused",
        );
    }
    unique(
        &place,
        "issuer",
        policy.issuers.iter().map(|i| i.issuer.as_str()),
        faults,
    );
    for (index, issuer) in policy.issuers.iter().enumerate() {
        let place = place.index(index);
        // A key that is not known may have been meant to say where the keys are.
        let other = [
            "issuer",
            "audiences",
            "algorithms",
            "leeway_seconds",
            "claims",
        ];
        let keys_read = faults.unread().has_all_but(&place, &other);
        let with_keys = (!keys_read).then(|| Issuer {
            jwks_uri: Some("https://keys.invalid/".into()),
            jwks: None,
            ..issuer.clone()
        });
        let anyway = with_keys.map(|issuer| issuer.problems());
        for problem in issuer.problems() {
            let is_certain = anyway.as_ref().is_none_or(|list| list.contains(&problem));
            if problem.field == "issuer" && !is_certain {
                continue;
            }
            let field = problem
                .field
                .split('.')
                .fold(place.clone(), |at, key| at.key(key));
            faults.at(field, problem.problem);
        }
    }
}

fn connection(place: &Place, connection: &Connection, faults: &mut Faults) {
    name(place, "name", &connection.name, faults);
    if connection.hosts.is_empty() {
        faults.at(place.key("hosts"), "expected at least one host");
    }
    entries(&place.key("hosts"), connection.hosts.len(), faults);
    if let Some(credential) = &connection.credential {
        name(place, "credential", credential, faults);
    }
    for (key, value) in &connection.labels {
        text(&place.key("labels").key(key), key, MAX_NAME_BYTES, faults);
        text(&place.key("labels").key(key), value, MAX_TEXT_BYTES, faults);
    }
}

/// A host of two connections would get the credential of whichever was looked at first.
fn overlapping_hosts(policy: &Policy, faults: &mut Faults) {
    let hosts = Hosts::new(policy);
    for (index, connection) in policy.connections.iter().enumerate() {
        for (n, pattern) in connection.hosts.iter().enumerate() {
            let Some((other, theirs)) = hosts.other_owner(pattern, index) else {
                continue;
            };
            let Some(other) = policy.connections.get(other) else {
                continue;
            };
            let overlap = if theirs == pattern.as_str() {
                format!("`{pattern}` already belongs to connection `{}`", other.name)
            } else {
                format!(
                    "`{pattern}` overlaps with `{theirs}` of connection `{}`",
                    other.name
                )
            };
            faults.at(
                Place::default()
                    .key("connections")
                    .index(index)
                    .key("hosts")
                    .index(n),
                format!("{overlap}; a host may belong to one connection only"),
            );
        }
    }
}
