//! Rules: references that lead somewhere, matches that can be met, terms that make sense.

use std::collections::BTreeMap;

use super::checks::{entries, name, references, text, texts};
use super::targets::Targets;
use crate::policy::document::{ApproveTerms, Connection, Duration, Effect, Grant, Match, Rule};
use crate::policy::error::{Faults, Place};
use crate::policy::hosts;
use crate::policy::wording::{shorten, suggest};

const MAX_REASON_CHARS: usize = 500;
const MAX_APPROVALS: u32 = 10;
/// Longest time that a request itself may wait for a human: Envoy's `stream_idle_timeout` ends a
/// silent stream after five minutes, with an answer that explains nothing.
pub const MAX_HOLD: Duration = Duration::from_secs(240);
const MAX_EXPIRES: Duration = Duration::from_secs(7 * 86_400);
const MAX_WINDOW: Duration = Duration::from_secs(30 * 86_400);

pub(super) fn check(place: &Place, rule: &Rule, targets: &Targets<'_>, faults: &mut Faults) {
    name(place, "name", &rule.name, faults);
    if let Some(reason) = &rule.reason {
        let place = place.key("reason");
        if reason.chars().count() > MAX_REASON_CHARS {
            faults.at(
                place,
                format!("expected at most {MAX_REASON_CHARS} characters"),
            );
        } else {
            text(&place, reason, usize::MAX, faults);
        }
    }
    if let Some(terms) = &rule.approve {
        approve_terms(&place.key("approve"), terms, faults);
    }
    match (rule.effect, &rule.approve) {
        (Effect::Approve, None) => faults.at(
            place.clone(),
            "`effect: approve` needs `approve:` with the groups that may, as in `approve: { by: [sre] }`",
        ),
        (Effect::Approve, Some(_)) | (_, None) => {}
        (effect, Some(_)) => faults.between(
            place.key("approve"),
            &[place.key("effect")],
            format!("`approve:` is only for `effect: approve`, and this rule's effect is `{effect}`"),
        ),
    }
    matching(&place.key("match"), &rule.r#match, targets, faults);
}

fn approve_terms(place: &Place, terms: &ApproveTerms, faults: &mut Faults) {
    if terms.by.is_empty() {
        faults.at(
            place.key("by"),
            "expected at least one group that may approve",
        );
    }
    texts(&place.key("by"), &terms.by, faults);
    if !(1..=MAX_APPROVALS).contains(&terms.count) {
        faults.at(
            place.key("count"),
            format!(
                "expected a number from 1 to {MAX_APPROVALS}, found {}",
                terms.count
            ),
        );
    }
    if terms.hold > MAX_HOLD {
        faults.at(
            place.key("hold"),
            format!("expected at most `{MAX_HOLD}`, found `{}`: Envoy ends a silent stream after 5 minutes", terms.hold),
        );
    }
    let anyway = terms.expires > MAX_EXPIRES || terms.expires.as_secs() == 0;
    if anyway || terms.expires < terms.hold {
        let others = [place.key("hold")];
        faults.between(
            place.key("expires"),
            if anyway { &[] } else { &others },
            format!(
                "expected from `hold` (`{}`) to `{MAX_EXPIRES}`, and more than `0s`, found `{}`",
                terms.hold, terms.expires
            ),
        );
    }
    if let Grant::Window(window) = terms.grant
        && (window > MAX_WINDOW || window.as_secs() == 0)
    {
        faults.at(
            place.key("grant"),
            format!("expected `once`, or from `1s` to `{MAX_WINDOW}`, found `{window}`"),
        );
    }
}

fn matching(place: &Place, wanted: &Match, targets: &Targets<'_>, faults: &mut Faults) {
    if wanted.is_unrestricted() && !wanted.any {
        faults.at(
            place.clone(),
            "this matches every request; write `match: { any: true }` if that is meant",
        );
    }
    if wanted.any && !wanted.is_unrestricted() {
        faults.at(
            place.key("any"),
            "`any: true` stands alone: leave it or the other keys out",
        );
    }
    let all_known = references(
        &place.key("connections"),
        "connection",
        &wanted.connections,
        &targets.connections,
        faults,
    ) & labels(&place.key("labels"), &wanted.labels, targets, faults);
    references(
        &place.key("issuers"),
        "issuer",
        &wanted.issuers,
        &targets.issuers,
        faults,
    );
    for (key, list) in [
        ("subjects", &wanted.subjects),
        ("groups", &wanted.groups),
        ("agents", &wanted.agents),
    ] {
        texts(&place.key(key), list, faults);
    }
    for (key, count) in [
        ("methods", wanted.methods.len()),
        ("hosts", wanted.hosts.len()),
        ("paths", wanted.paths.len()),
        ("operations", wanted.operations.len()),
    ] {
        entries(&place.key(key), count, faults);
    }
    if all_known {
        reachable(place, wanted, targets, faults);
    }
}

/// A rule that no request can meet is a mistake: the deny rule one believes to be in force.
fn reachable(place: &Place, wanted: &Match, targets: &Targets<'_>, faults: &mut Faults) {
    if !wanted.labels.is_empty() && !targets.labels_complete {
        return;
    }
    let all = targets.policy.connections.iter().enumerate();
    let selected: Vec<(usize, &Connection)> = all.filter(|(_, c)| wanted.is_about(c)).collect();
    if selected.is_empty() {
        if !wanted.connections.is_empty() || !wanted.labels.is_empty() {
            faults.at(
                place.clone(),
                "no connection has all of these labels and one of these names",
            );
        }
        return;
    }
    if wanted.hosts.is_empty() {
        return;
    }
    let connections = Place::default().key("connections");
    let mut others = vec![place.key("connections"), place.key("labels")];
    if faults.unread().len() > 0 {
        let hosts = |(index, _): &(usize, _)| connections.index(*index).key("hosts");
        others.extend(selected.iter().map(hosts));
    }
    for (index, host) in wanted.hosts.iter().enumerate() {
        let mut theirs = selected.iter().flat_map(|(_, c)| &c.hosts);
        if !theirs.any(|theirs| hosts::overlap(host, theirs)) {
            let owned = selected.iter().flat_map(|(_, c)| &c.hosts);
            let owned: Vec<&str> = owned.map(|h| h.as_str()).collect();
            faults.between(
                place.key("hosts").index(index),
                &others,
                format!(
                    "`{host}` is no host of the connections that this rule is about{}",
                    suggest(host.as_str(), &owned)
                ),
            );
        }
    }
}

fn labels(
    place: &Place,
    wanted: &BTreeMap<String, String>,
    targets: &Targets<'_>,
    faults: &mut Faults,
) -> bool {
    let mut good = true;
    for (key, value) in wanted {
        let place = place.key(key);
        let shown = shorten(key);
        match targets.labels.get(key.as_str()) {
            None => {
                let keys: Vec<&str> = targets.labels.keys().copied().collect();
                let hint = suggest(key, &keys);
                if targets.labels_complete {
                    faults.at(
                        place,
                        format!("no connection has the label `{shown}`{hint}"),
                    );
                }
                good = false;
            }
            Some(values) if !values.contains(value.as_str()) => {
                let values: Vec<&str> = values.iter().copied().collect();
                let hint = suggest(value, &values);
                let value = shorten(value);
                if targets.labels_complete {
                    faults.at(
                        place,
                        format!("no connection has the label `{shown}: {value}`{hint}"),
                    );
                }
                good = false;
            }
            Some(_) => {}
        }
    }
    good
}
