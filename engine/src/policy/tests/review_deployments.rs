//! What a deployment creates although a rule keeps it from being created by name.

use crate::policy::parse_draft;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const HEAD: &str = r#"apiVersion: chaperone/v1
issuers:
  - { issuer: "https://idp.example.com", audiences: [chaperone] }
connections:
  - { name: arm, hosts: [management.azure.com], protocol: azure-arm }
  - { name: eu, hosts: [eu.management.example.com], protocol: azure-arm }
  - { name: api, hosts: [api.example.com], protocol: http }
rules:
"#;
const ALL: [&str; 7] = [
    "Microsoft.Resources/deployments/write",
    "Microsoft.Resources/subscriptions/resourceGroups/deployments/write",
    "Microsoft.Resources/deploymentStacks/write",
    "Microsoft.Resources/deploymentScripts/write",
    "Microsoft.Solutions/applications/write",
    "Microsoft.Blueprint/blueprintAssignments/write",
    "Microsoft.PolicyInsights/remediations/write",
];
/// Denies all of these.
const ALL_DENIED: &str = "operations: [\"*/deployments/*\", \"Microsoft.Resources/deploymentS*\", \
     \"Microsoft.Solutions/*\", \"Microsoft.Blueprint/*\", \"*/remediations/write\"]";

/// What is said of deployments in a document with these rules: matches and effects.
fn said(rules: &[(&str, &str)]) -> Vec<String> {
    let mut text = HEAD.to_owned();
    for (index, (wanted, effect)) in rules.iter().enumerate() {
        let terms = match *effect {
            "approve" => ", approve: { by: [sre] }",
            _ => "",
        };
        text.push_str(&format!(
            "  - {{ name: r{index}, match: {{ {wanted} }}, effect: {effect}{terms} }}\n"
        ));
    }
    let draft = parse_draft(&text, None).unwrap_or_else(|errors| panic!("{text}{errors}"));
    let warnings = draft.warnings.iter();
    warnings
        .map(|fault| format!("{}: {}", fault.path, fault.message))
        .filter(|line| line.contains("deployment"))
        .collect()
}

/// One warning at this place, which names these and no others.
#[track_caller]
fn open(rules: &[(&str, &str)], place: &str, names: &[&str]) {
    let said = said(rules);
    assert_eq!(said.len(), 1, "{rules:?}: {said:?}");
    assert!(said[0].starts_with(&format!("{place}: ")), "{said:?}");
    for name in ALL {
        let named = said[0].contains(&format!("`{name}`"));
        assert_eq!(named, names.contains(&name), "{rules:?} {name}: {said:?}");
    }
}

#[track_caller]
fn closed(rules: &[(&str, &str)]) {
    assert_eq!(said(rules), Vec::<String>::new(), "{rules:?}");
}

const DENY: &str = "operations: [Microsoft.Authorization/roleAssignments/write]";
const EVERYTHING: (&str, &str) = ("any: true", "allow");

#[test]
fn a_deny_that_a_deployment_leads_around_is_warned_of() {
    open(
        &[(DENY, "deny"), EVERYTHING],
        "rules[0].match.operations[0]",
        &ALL,
    );
    let said = said(&[(DENY, "deny"), EVERYTHING]);
    for part in [
        "creates what is denied here (`Microsoft.Authorization/roleAssignments/write`)",
        "the gate sees the deployment, not the resources in its template",
        "deny them, or have them approved",
    ] {
        assert!(said[0].contains(part), "{part}: {said:?}");
    }
    // Whatever writes of a provider the rule is about, wherever it stands.
    for wanted in [
        "operations: [Microsoft.Authorization/*]",
        "operations: [\"*/roleAssignments/*\"]",
        "operations: [\"*/roleAssignments/write\"], methods: [PUT]",
        "operations: [\"*/roleAssignments/write\"], connections: [arm, api]",
    ] {
        open(
            &[EVERYTHING, (wanted, "deny")],
            "rules[1].match.operations[0]",
            &ALL,
        );
    }
    // Asking a human is led around as well.
    open(
        &[(DENY, "approve"), EVERYTHING],
        "rules[0].match.operations[0]",
        &ALL,
    );
}

#[test]
fn only_what_some_rule_allows_is_named() {
    let deny = (DENY, "deny");
    closed(&[deny, ("operations: [\"*/read\"]", "allow")]);
    closed(&[deny, ("operations: [\"Microsoft.Storage/*\"]", "allow")]);
    closed(&[deny, ("any: true", "approve")]);
    closed(&[deny, ("connections: [api]", "allow")]);
    closed(&[deny, ("methods: [GET, POST]", "allow")]);
    open(
        &[deny, ("operations: [Microsoft.Resources/*]", "allow")],
        "rules[0].match.operations[0]",
        &ALL[..4],
    );
    let of_claude = format!("agents: [claude], {DENY}");
    closed(&[(&of_claude, "deny"), ("agents: [codex]", "allow")]);
    // Somebody may be in both groups.
    let of_dev = format!("groups: [dev], {DENY}");
    open(
        &[(&of_dev, "deny"), ("groups: [ops]", "allow")],
        "rules[0].match.operations[0]",
        &ALL,
    );
}

#[test]
fn what_is_denied_or_approved_is_not_open() {
    let deny = (DENY, "deny");
    for effect in ["deny", "approve"] {
        closed(&[deny, EVERYTHING, (ALL_DENIED, effect)]);
        closed(&[deny, EVERYTHING, ("operations: [\"*/write\"]", effect)]);
        open(
            &[
                deny,
                EVERYTHING,
                (
                    "operations: [\"Microsoft.Resources/deployments/*\"]",
                    effect,
                ),
            ],
            "rules[0].match.operations[0]",
            &ALL[1..],
        );
    }
    // For everybody and everything that the deny is about.
    for narrow in [
        "groups: [dev]",
        "connections: [arm]",
        "methods: [POST]",
        "paths: [\"/a/**\"]",
    ] {
        let narrow = format!("{narrow}, {ALL_DENIED}");
        open(
            &[deny, EVERYTHING, (&narrow, "deny")],
            "rules[0].match.operations[0]",
            &ALL,
        );
    }
    let (ours, theirs) = (
        format!("groups: [dev], connections: [arm], {DENY}"),
        format!("groups: [ops, dev], connections: [eu, arm], {ALL_DENIED}"),
    );
    closed(&[(&ours, "deny"), EVERYTHING, (&theirs, "deny")]);
}

#[test]
fn rules_that_no_deployment_leads_around_are_let_alone() {
    for (wanted, effect) in [
        ("operations: [\"*\"]", "deny"),
        ("operations: [\"*/write\"]", "deny"),
        ("operations: [\"*/read\", \"*/listKeys/action\"]", "deny"),
        (
            "operations: [\"Microsoft.Resources/deployments/write\"]",
            "deny",
        ),
        (
            "methods: [GET], operations: [\"Microsoft.Storage/*\"]",
            "deny",
        ),
        (DENY, "allow"),
        ("connections: [api], operations: [\"*/x/write\"]", "deny"),
    ] {
        closed(&[(wanted, effect), EVERYTHING]);
    }
}
