//! All mistakes of a document are told in one run: none waits behind another, and none is made up.

use std::collections::BTreeSet;

use crate::policy::{Draft, PolicyError, parse_draft};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const GOOD: &str = r#"apiVersion: chaperone/v1
issuers:
  - { issuer: "https://idp.example.com", audiences: [chaperone], claims: { groups: roles } }
  - { issuer: "https://other.example.com", audiences: [chaperone] }
connections:
  - { name: arm, hosts: [management.azure.com], protocol: azure-arm, labels: { env: prod } }
  - { name: api, hosts: [api.example.com, "*.models.example.com"], protocol: http, labels: { env: prod } }
  - { name: old, hosts: [old.example.com], protocol: http }
rules:
  - { name: read, match: { connections: [arm], groups: [platform], operations: ["*/read"] }, effect: allow, reason: Safe. }
  - { name: write, match: { connections: [api], groups: [platform], methods: [PUT], paths: ["/v1/**"] }, effect: approve, approve: { by: [sre], count: 1, hold: 1m, expires: 1h } }
  - { name: admin, match: { connections: [api], hosts: [api.example.com], paths: ["/admin/**"] }, effect: deny }
  - { name: labelled, match: { labels: { env: prod }, issuers: ["https://idp.example.com"], subjects: [ada], agents: [copilot] }, effect: allow, audit: required }
  - { name: legacy, match: { connections: [old], groups: [legacy] }, effect: allow }
detectors:
  - { name: custom/acme, regex: 'acme_[a-z0-9]{32}' }
  - { name: custom/other, regex: 'other_[a-z0-9]{32}', entropy: 3.5, allow: [{ stopwords: [example] }] }
masking:
  - { name: secrets, detectors: ["secrets/*"], on: [response], action: mask, keep: 4 }
  - { name: own, detectors: [custom/acme, custom/other], on: [request], action: block, connections: [api] }
tests:
  - { as: { groups: [platform] }, request: "GET https://management.azure.com/subscriptions/1", expect: allow, rule: read }
  - { as: { groups: [nobody] }, request: "GET https://management.azure.com/subscriptions/1", expect: deny }
"#;

/// One mistake of each kind, none of which depends on another: the part of the document, the part
/// with the mistake, and where it is told.
const MISTAKES: [(&str, &str, &str); 35] = [
    ("chaperone/v1", "chaperone/v2", "apiVersion"),
    (
        "claims: { groups",
        "leeway_seconds: 900, claims: { groups",
        "issuers[0].leeway_seconds",
    ),
    (
        "https://other.example.com",
        "https://login.example.com/{tenantid}/v2.0",
        "issuers[1].issuer",
    ),
    ("name: old,", "nam: old,", "connections[2].nam"),
    (
        "[old.example.com]",
        "[\"old.example.com:443\"]",
        "connections[2].hosts[0]",
    ),
    (
        "protocol: http }",
        "protocol: https }",
        "connections[2].protocol",
    ),
    (
        "[platform], operations",
        "[\"dev-*\"], operations",
        "rules[0].match.groups[0]",
    ),
    (
        "[\"*/read\"]",
        "[\"*/get\"]",
        "rules[0].match.operations[0]",
    ),
    (
        "effect: allow, reason",
        "effect: alow, reason",
        "rules[0].effect",
    ),
    ("reason: Safe.", "reason: \"a\\nb\"", "rules[0].reason"),
    (
        "[api], groups",
        "[apo], groups",
        "rules[1].match.connections[0]",
    ),
    ("[PUT]", "[put]", "rules[1].match.methods[0]"),
    ("[\"/v1/**\"]", "[v1]", "rules[1].match.paths[0]"),
    ("by: [sre]", "by: [\"sre-*\"]", "rules[1].approve.by[0]"),
    ("count: 1", "count: 0", "rules[1].approve.count"),
    ("hold: 1m", "hold: 60", "rules[1].approve.hold"),
    ("expires: 1h", "expires: 8d", "rules[1].approve.expires"),
    ("/admin/**", "/admin/", "rules[2].match.paths[0]"),
    (
        "hosts: [api.example.com],",
        "hosts: [api.example.org],",
        "rules[2].match.hosts[0]",
    ),
    (
        "{ env: prod }, issuers",
        "{ env: dev }, issuers",
        "rules[3].match.labels.env",
    ),
    (
        "issuers: [\"https://idp.example.com\"]",
        "issuers: [\"https://idp.example.com/\"]",
        "rules[3].match.issuers[0]",
    ),
    ("[ada]", "[\"*@example.com\"]", "rules[3].match.subjects[0]"),
    ("[copilot]", "[\"${AGENT}\"]", "rules[3].match.agents[0]"),
    ("audit: required", "audit: always", "rules[3].audit"),
    ("name: legacy", "name: admin", "rules[4].name"),
    (
        "groups: [legacy] }",
        "groups: [legacy], groups: [older] }",
        "rules[4].match.groups",
    ),
    ("name: custom/acme,", "name: acme,", "detectors[0].name"),
    (
        "'acme_[a-z0-9]{32}'",
        "'acme_[a-z0-9'",
        "detectors[0].regex",
    ),
    ("entropy: 3.5", "entropy: 1.3.5", "detectors[1].entropy"),
    (
        "[\"secrets/*\"]",
        "[\"secrets/*\", secrets/githb-pat]",
        "masking[0].detectors[1]",
    ),
    ("action: mask", "action: maks", "masking[0].action"),
    ("keep: 4", "keep: 100", "masking[0].keep"),
    (
        "connections: [api] }",
        "connections: [apii] }",
        "masking[1].connections[0]",
    ),
    ("rule: read", "rule: reed", "tests[0].rule"),
    (
        "[nobody] }, request: \"GET ",
        "[nobody] }, request: \"",
        "tests[1].request",
    ),
];

fn told(text: &str) -> (Vec<PolicyError>, Vec<PolicyError>) {
    match parse_draft(text, None) {
        Ok(Draft { warnings, .. }) => (Vec::new(), warnings),
        Err(errors) => (errors.iter().cloned().collect(), errors.warnings().to_vec()),
    }
}

/// What is said, without positions.
fn said(text: &str) -> BTreeSet<String> {
    let (errors, warnings) = told(text);
    let all = errors.iter().chain(&warnings);
    all.map(|fault| format!("{}: {}", fault.path, fault.message))
        .collect()
}

#[track_caller]
fn with(text: &str, (from, to, _): &(&str, &str, &str)) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from:?}");
    text.replacen(from, to, 1)
}

#[test]
fn every_mistake_is_told_in_one_run_and_in_the_order_of_the_document() {
    assert_eq!(said(GOOD), BTreeSet::new());
    let all = MISTAKES
        .iter()
        .fold(GOOD.to_owned(), |text, mistake| with(&text, mistake));
    let (errors, warnings) = told(&all);
    let places: Vec<String> = errors.iter().map(|fault| fault.path.to_string()).collect();
    let expected: Vec<&str> = MISTAKES.iter().map(|(_, _, place)| *place).collect();
    let (warned, wrong): (Vec<&str>, Vec<&str>) = expected
        .into_iter()
        .partition(|place| *place == "rules[2].match.paths[0]");
    assert_eq!(places, wrong, "{errors:#?}");
    assert!(errors.is_sorted_by_key(|fault| fault.position));
    let places: Vec<String> = warnings
        .iter()
        .map(|fault| fault.path.to_string())
        .collect();
    assert_eq!(places, warned, "{warnings:#?}");
}

/// Of two mistakes, both are told as each would be alone, and nothing that only follows from one of
/// them.
#[test]
fn one_mistake_never_hides_another_one_elsewhere() {
    let alone: Vec<BTreeSet<String>> = MISTAKES
        .iter()
        .map(|mistake| said(&with(GOOD, mistake)))
        .collect();
    for ((_, _, place), told) in MISTAKES.iter().zip(&alone) {
        assert_eq!(told.len(), 1, "{place}: {told:?}");
        assert!(
            told.iter()
                .all(|line| line.starts_with(&format!("{place}: "))),
            "{told:?}"
        );
    }
    for (index, first) in MISTAKES.iter().enumerate() {
        let document = with(GOOD, first);
        for (second, theirs) in MISTAKES.iter().zip(&alone).skip(index + 1) {
            let both: BTreeSet<String> = alone[index].union(theirs).cloned().collect();
            assert_eq!(said(&with(&document, second)), both, "{first:?} {second:?}");
        }
    }
}

#[test]
fn numbers_are_asked_for_in_words() {
    for (from, to, said_of_it) in [
        (
            "entropy: 3.5",
            "entropy: 1.3.5",
            "expected a number, found \"1.3.5\"",
        ),
        (
            "keep: 4",
            "keep: 300",
            "expected a whole number from 0 to 255, found the number 300",
        ),
    ] {
        let said = said(&with(GOOD, &(from, to, "")));
        assert!(
            said.len() == 1 && said.iter().all(|line| line.ends_with(said_of_it)),
            "{said:?}"
        );
    }
}

#[test]
fn nothing_is_said_that_only_follows_from_what_could_not_be_read() {
    for (from, to, places) in [
        // A rule that may be anything makes no other one idle, and no test of it fails.
        (
            "  - { name: admin, match: { connections: [api], hosts: [api.example.com], paths: [\"/admin/**\"] }, effect: deny }",
            "  - { name: admin, match: { any: true }, effect: dney }",
            &["rules[2].effect"][..],
        ),
        (
            "effect: allow, reason",
            "effect: [], reason",
            &["rules[0].effect"],
        ),
        ("name: read,", "name: [read],", &["rules[0].name"]),
        (
            "name: read,",
            "title: read,",
            &["rules[0].title", "rules[0]"],
        ),
        ("name: arm,", "name: 5,", &["connections[0].name"]),
        ("name: arm, ", "", &["connections[0]"]),
        (
            "protocol: azure-arm",
            "protocol: azure",
            &["connections[0].protocol"],
        ),
        (
            "hosts: [api.example.com, ",
            "hosts: [\"https://api.example.com\", ",
            &["connections[1].hosts[0]"],
        ),
        (
            "labels: { env: prod } }\n  - { name: api",
            "tags: { env: prod } }\n  - { name: api",
            &["connections[0].tags"],
        ),
        (
            "{ issuer: \"https://idp.example.com\",",
            "{ issuer: 7,",
            &["issuers[0].issuer"],
        ),
        (
            "connections:\n  - {",
            "connectoins:\n  - {",
            &["connectoins"],
        ),
        ("detectors:\n", "detecors:\n", &["detecors"]),
        ("detectors:\n", "patterns:\n", &["patterns"]),
        ("connections:\n  - {", "hosts:\n  - {", &["hosts", ""]),
        ("name: custom/acme,", "name: [],", &["detectors[0].name"]),
        (
            "detectors: [custom/acme, custom/other]",
            "detectors: custom/*",
            &["masking[1].detectors"],
        ),
        (
            "detectors: [custom/acme, custom/other]",
            "detectors: [custom/acm, custom/other]",
            &["masking[1].detectors[0]"],
        ),
        (
            "on: [request], action",
            "on: request, action",
            &["masking[1].on"],
        ),
        (
            "action: block, connections",
            "action: blok, restore: true, connections",
            &["masking[1].action"],
        ),
        (
            "effect: approve, approve",
            "effect: approve, aprove",
            &["rules[1].aprove"],
        ),
        (
            "effect: approve, approve",
            "effect: aprove, approve",
            &["rules[1].effect"],
        ),
    ] {
        let document = with(GOOD, &(from, to, ""));
        let found: BTreeSet<String> = said(&document)
            .iter()
            .filter_map(|line| line.split(": ").next().map(str::to_owned))
            .collect();
        let expected: BTreeSet<String> = places.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{to:?}: {:#?}", said(&document));
    }
}

/// More faults than one rule is mended for do not hide those of others, nor move them.
#[test]
fn a_rule_of_another_kind_leaves_the_others_their_numbers() {
    let methods = vec!["get"; 80].join(", ");
    let document = with(
        &with(GOOD, &("[PUT]", &format!("[{methods}]"), "")),
        &("expect: deny", "expect: allow, rule: wirte", ""),
    );
    let document = with(&document, &("[legacy] }", "[\"legacy-*\"] }", ""));
    let (errors, _) = told(&document);
    let last: Vec<String> = errors.iter().map(|fault| fault.path.to_string()).collect();
    assert_eq!(errors.len(), 51);
    assert!(
        last.contains(&"rules[1].match.methods[0]".to_owned()),
        "{last:?}"
    );
    let few = document.replacen(&methods, "get", 1);
    let places: Vec<String> = told(&few)
        .0
        .iter()
        .map(|fault| fault.path.to_string())
        .collect();
    assert_eq!(
        places,
        [
            "rules[1].match.methods[0]",
            "rules[4].match.groups[0]",
            "tests[1].rule"
        ]
    );
}
