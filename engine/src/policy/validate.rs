//! What a document must keep beyond its shape: names that are unique, references that lead somewhere,
//! rules that can match, terms that make sense.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{ApproveTerms, Connection, Effect, Match, Policy, PolicyTest, Rule};
use super::error::{Faults, Place, PolicyErrors, suggest};
use super::hosts::{self, Hosts};
use super::values::{Duration, Grant};
use super::{detectors, masking};
use crate::request::{RequestTarget, host_of};

/// The most rules of one document.
pub const MAX_RULES: usize = 5_000;
/// The most connections of one document.
pub const MAX_CONNECTIONS: usize = 1_000;
/// The most entries of one list in a rule, connection or masking rule.
pub const MAX_ENTRIES: usize = 1_000;
const MAX_TESTS: usize = 10_000;
const MAX_ISSUERS: usize = 100;
const MAX_NAME_BYTES: usize = 63;
pub(super) const MAX_TEXT_BYTES: usize = 1024;
const MAX_REASON_CHARS: usize = 500;
const MAX_APPROVALS: u32 = 10;
/// Longest time that a request itself may wait for a human: Envoy's `stream_idle_timeout` ends a silent
/// stream after five minutes, with an answer that explains nothing.
pub const MAX_HOLD: Duration = Duration::from_secs(240);
const MAX_EXPIRES: Duration = Duration::from_secs(7 * 86_400);
const MAX_WINDOW: Duration = Duration::from_secs(30 * 86_400);

/// Whether a policy may be used.
///
/// # Errors
/// Everything that is wrong, with paths; line and column are known only to [`parse`](super::parse).
pub fn validate(policy: &Policy) -> Result<(), PolicyErrors> {
    let mut faults = Faults::default();
    check(policy, &mut faults);
    faults.finish(|_| None)
}

/// What references in a document may lead to.
struct Known<'a> {
    policy: &'a Policy,
    issuers: Vec<&'a str>,
    connections: Vec<&'a str>,
    labels: BTreeMap<&'a str, BTreeSet<&'a str>>,
    rules: BTreeMap<&'a str, Effect>,
}

pub(super) fn check(policy: &Policy, faults: &mut Faults) {
    let root = Place::default();
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (key, value) in policy.connections.iter().flat_map(|c| &c.labels) {
        labels.entry(key).or_default().insert(value);
    }
    let known = Known {
        policy,
        issuers: policy.issuers.iter().map(|i| i.issuer.as_str()).collect(),
        connections: policy.connections.iter().map(|c| c.name.as_str()).collect(),
        labels,
        rules: policy
            .rules
            .iter()
            .map(|r| (r.name.as_str(), r.effect))
            .collect(),
    };

    sizes(policy, faults);
    issuers(policy, faults);
    unique(
        &root.key("connections"),
        "name",
        known.connections.iter().copied(),
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
        rule(&root.key("rules").index(index), item, &known, faults);
    }
    detectors::check(policy, faults);
    let detectors: Vec<&str> = detectors::names(&policy.detectors).collect();
    for (index, item) in policy.masking.iter().enumerate() {
        masking::check(
            &root.key("masking").index(index),
            item,
            &detectors,
            &known.connections,
            faults,
        );
    }
    for (index, item) in policy.tests.iter().enumerate() {
        test(&root.key("tests").index(index), item, &known, faults);
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
            faults.at(
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
        for problem in issuer.problems() {
            let field = problem
                .field
                .split('.')
                .fold(place.index(index), |at, key| at.key(key));
            faults.at(field, problem.problem);
        }
    }
}

pub(super) fn unique<'a>(
    place: &Place,
    key: &str,
    names: impl Iterator<Item = &'a str>,
    faults: &mut Faults,
) {
    let mut first = BTreeMap::new();
    for (index, name) in names.enumerate() {
        if let Some(earlier) = first.insert(name, index) {
            let list = place.to_string();
            faults.at(
                place.index(index).key(key),
                format!("the name `{name}` is taken by {list}[{earlier}]; expected a unique one"),
            );
        }
    }
}

/// Names go into answers, metrics and log lines.
pub(super) fn name(place: &Place, key: &str, name: &str, faults: &mut Faults) {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let valid = name.len() <= MAX_NAME_BYTES
        && name.bytes().all(inner)
        && name
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric());
    if !valid {
        faults.at(
            place.key(key),
            "expected a name of 1 to 63 letters, digits, `.`, `_` or `-` that begins with a letter or digit",
        );
    }
}

fn texts(place: &Place, list: &[String], faults: &mut Faults) {
    entries(place, list.len(), faults);
    for (index, text) in list.iter().enumerate() {
        self::text(&place.index(index), text, MAX_TEXT_BYTES, faults);
    }
}

pub(super) fn text(place: &Place, text: &str, most: usize, faults: &mut Faults) {
    if text.is_empty() {
        faults.at(place.clone(), "expected text, found an empty string");
    } else if text.len() > most {
        faults.at(
            place.clone(),
            format!("expected at most {most} bytes, found {}", text.len()),
        );
    } else if text.chars().any(char::is_control) {
        // A line break here is a forged line in a log or a header.
        faults.at(
            place.clone(),
            "expected one line without control characters",
        );
    } else if text.trim() != text {
        faults.at(
            place.clone(),
            "expected text without spaces at its beginning or end",
        );
    }
}

pub(super) fn entries(place: &Place, count: usize, faults: &mut Faults) {
    if count > MAX_ENTRIES {
        faults.at(
            place.clone(),
            format!("expected at most {MAX_ENTRIES} entries, found {count}"),
        );
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

fn rule(place: &Place, rule: &Rule, known: &Known<'_>, faults: &mut Faults) {
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
    match (rule.effect, &rule.approve) {
        (Effect::Approve, None) => faults.at(
            place.clone(),
            "`effect: approve` needs `approve:` with the groups that may, as in `approve: { by: [sre] }`",
        ),
        (Effect::Approve, Some(terms)) => approve_terms(&place.key("approve"), terms, faults),
        (effect, Some(_)) => faults.at(
            place.key("approve"),
            format!("`approve:` is only for `effect: approve`, and this rule's effect is `{effect}`"),
        ),
        (_, None) => {}
    }
    matching(&place.key("match"), &rule.r#match, known, faults);
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
    if terms.expires > MAX_EXPIRES || terms.expires < terms.hold || terms.expires.as_secs() == 0 {
        faults.at(
            place.key("expires"),
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

fn matching(place: &Place, wanted: &Match, known: &Known<'_>, faults: &mut Faults) {
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
        &known.connections,
        faults,
    ) & labels(&place.key("labels"), &wanted.labels, known, faults);
    references(
        &place.key("issuers"),
        "issuer",
        &wanted.issuers,
        &known.issuers,
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
        reachable(place, wanted, known, faults);
    }
}

/// A rule that no request can meet is a mistake: the deny rule one believes to be in force.
fn reachable(place: &Place, wanted: &Match, known: &Known<'_>, faults: &mut Faults) {
    let selected: Vec<&Connection> = known
        .policy
        .connections
        .iter()
        .filter(|c| selects(wanted, c))
        .collect();
    if selected.is_empty() {
        if !wanted.connections.is_empty() || !wanted.labels.is_empty() {
            faults.at(
                place.clone(),
                "no connection has all of these labels and one of these names",
            );
        }
        return;
    }
    for (index, host) in wanted.hosts.iter().enumerate() {
        let met = selected
            .iter()
            .flat_map(|c| &c.hosts)
            .any(|theirs| hosts::overlap(host, theirs));
        if !met {
            let owned: Vec<&str> = selected
                .iter()
                .flat_map(|c| &c.hosts)
                .map(|h| h.as_str())
                .collect();
            faults.at(
                place.key("hosts").index(index),
                format!(
                    "`{host}` is no host of the connections that this rule is about{}",
                    suggest(host.as_str(), &owned)
                ),
            );
        }
    }
}

/// Whether a rule is about a connection, as far as names and labels go.
pub(super) fn selects(wanted: &Match, connection: &Connection) -> bool {
    (wanted.connections.is_empty() || wanted.connections.contains(&connection.name))
        && wanted
            .labels
            .iter()
            .all(|(key, value)| connection.labels.get(key) == Some(value))
}

pub(super) fn references(
    place: &Place,
    what: &str,
    names: &[String],
    known: &[&str],
    faults: &mut Faults,
) -> bool {
    entries(place, names.len(), faults);
    let mut good = true;
    for (index, name) in names.iter().enumerate() {
        if !known.contains(&name.as_str()) {
            good = false;
            let shown = super::error::shorten(name);
            faults.at(
                place.index(index),
                format!("unknown {what} `{shown}`{}", suggest(name, known)),
            );
        }
    }
    good
}

fn labels(
    place: &Place,
    wanted: &BTreeMap<String, String>,
    known: &Known<'_>,
    faults: &mut Faults,
) -> bool {
    let mut good = true;
    for (key, value) in wanted {
        let place = place.key(key);
        let shown = super::error::shorten(key);
        match known.labels.get(key.as_str()) {
            None => {
                let keys: Vec<&str> = known.labels.keys().copied().collect();
                faults.at(
                    place,
                    format!(
                        "no connection has the label `{shown}`{}",
                        suggest(key, &keys)
                    ),
                );
                good = false;
            }
            Some(values) if !values.contains(value.as_str()) => {
                let values: Vec<&str> = values.iter().copied().collect();
                let hint = suggest(value, &values);
                let value = super::error::shorten(value);
                faults.at(
                    place,
                    format!("no connection has the label `{shown}: {value}`{hint}"),
                );
                good = false;
            }
            Some(_) => {}
        }
    }
    good
}

fn test(place: &Place, test: &PolicyTest, known: &Known<'_>, faults: &mut Faults) {
    if let Some(name) = &test.name {
        text(&place.key("name"), name, MAX_TEXT_BYTES, faults);
    }
    if let Some(issuer) = &test.as_.issuer {
        let place = place.key("as").key("issuer");
        if !known.issuers.contains(&issuer.as_str()) {
            faults.at(
                place,
                format!("unknown issuer{}", suggest(issuer, &known.issuers)),
            );
        }
    }
    if let Err(message) = request_of(&test.request) {
        faults.at(place.key("request"), message);
    }
    let Some(rule) = &test.rule else { return };
    match known.rules.get(rule.as_str()) {
        None => {
            let names: Vec<&str> = known.rules.keys().copied().collect();
            let shown = super::error::shorten(rule);
            faults.at(place.key("rule"), format!("unknown rule `{shown}`{}", suggest(rule, &names)));
        }
        Some(effect) if *effect != test.expect => faults.at(
            place.key("rule"),
            format!("this test cannot pass: it expects `{}` of rule `{rule}`, whose effect is `{effect}`", test.expect),
        ),
        Some(_) => {}
    }
}

/// Method, host and target of a test's `METHOD URL`.
pub(super) fn request_of(request: &str) -> Result<(&str, String, RequestTarget), String> {
    const REQUEST: &str =
        "expected a method and a URL, as in `GET https://api.example.com/v1/models`";
    let (method, url) = request.split_once(' ').ok_or(REQUEST)?;
    let method_ok: Result<super::values::Method, String> = method.parse();
    method_ok.map_err(|why| format!("{REQUEST}; {why}"))?;
    let (authority, target) =
        RequestTarget::from_url(url).map_err(|why| format!("{REQUEST}; {why}"))?;
    let host = host_of(authority).map_err(|why| format!("{REQUEST}; {why}"))?;
    Ok((method, host, target))
}
