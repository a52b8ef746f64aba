//! What a policy decides.

use super::{compiled, member_of};
use crate::identity::Principal;
use crate::policy::{
    CompiledPolicy, Decision, Effect, NO_RULE_MATCHED, UNKNOWN_CONNECTION, parse_json,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const CONNECTIONS: &str = r#""connections": [
    { "name": "arm", "hosts": ["management.azure.com"], "protocol": "azure-arm", "labels": { "env": "prod", "team": "core" } },
    { "name": "models", "hosts": ["api.example.com", "*.models.example.com"], "protocol": "http", "labels": { "env": "dev" } }
]"#;

/// A policy of one allow rule with this match.
fn allowing(wanted: &str) -> CompiledPolicy {
    compiled(&format!(
        r#"{CONNECTIONS}, "rules": [{{ "name": "it", "match": {wanted}, "effect": "allow" }}]"#
    ))
}

fn with_rules(rules: &str) -> CompiledPolicy {
    compiled(&format!(r#"{CONNECTIONS}, "rules": [{rules}]"#))
}

fn decide(policy: &CompiledPolicy, principal: &Principal, request: &str) -> Decision {
    policy.decide_request(principal, request).unwrap()
}

#[test]
fn each_dimension_matches_what_it_says() {
    let model = "GET https://api.example.com/v1/models";
    let arm = "GET https://management.azure.com/subscriptions/1/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a";
    for (wanted, request, matches) in [
        (r#"{ "any": true }"#, model, true),
        (r#"{ "connections": ["models"] }"#, model, true),
        (r#"{ "connections": ["arm"] }"#, model, false),
        (r#"{ "connections": ["arm", "models"] }"#, model, true),
        (r#"{ "labels": { "env": "dev" } }"#, model, true),
        (r#"{ "labels": { "env": "prod" } }"#, model, false),
        (
            r#"{ "labels": { "env": "prod", "team": "core" } }"#,
            arm,
            true,
        ),
        (r#"{ "issuers": ["https://idp.example.com"] }"#, model, true),
        (
            r#"{ "issuers": ["https://other.example.com"] }"#,
            model,
            false,
        ),
        (r#"{ "subjects": ["ada"] }"#, model, true),
        (r#"{ "subjects": ["Ada", "ad*"] }"#, model, false),
        (r#"{ "groups": ["sre", "platform"] }"#, model, true),
        (r#"{ "groups": ["sre"] }"#, model, false),
        (r#"{ "groups": ["Platform"] }"#, model, false),
        (r#"{ "agents": ["copilot"] }"#, model, true),
        (r#"{ "agents": ["codex"] }"#, model, false),
        (r#"{ "methods": ["GET", "HEAD"] }"#, model, true),
        (r#"{ "methods": ["POST"] }"#, model, false),
        (r#"{ "hosts": ["api.example.com"] }"#, model, true),
        (r#"{ "hosts": ["*.models.example.com"] }"#, model, false),
        (
            r#"{ "hosts": ["*.models.example.com"] }"#,
            "GET https://a.b.models.example.com/",
            true,
        ),
        (
            r#"{ "hosts": ["api.example.com"] }"#,
            "GET https://API.example.com:8443/",
            true,
        ),
        (r#"{ "paths": ["/v1/*"] }"#, model, true),
        (
            r#"{ "paths": ["/v1/models"] }"#,
            "GET https://api.example.com/v1/models/?limit=1",
            true,
        ),
        (
            r#"{ "paths": ["/v1/models"] }"#,
            "GET https://api.example.com/v1/%6dodels",
            true,
        ),
        (r#"{ "paths": ["/V1/models"] }"#, model, false),
        (r#"{ "paths": ["/v2/**"] }"#, model, false),
        (r#"{ "operations": ["GET /v1/*"] }"#, model, true),
        (r#"{ "operations": ["*/read"] }"#, arm, true),
        (
            r#"{ "operations": ["microsoft.storage/STORAGEACCOUNTS/read"] }"#,
            arm,
            true,
        ),
        (r#"{ "operations": ["*/write"] }"#, arm, false),
        (r#"{ "operations": ["Microsoft.Storage/*"] }"#, arm, true),
        // Azure reads paths without case, so a path rule about it does too.
        (
            r#"{ "paths": ["/subscriptions/1/resourcegroups/G/**"] }"#,
            arm,
            true,
        ),
        // All dimensions must match.
        (
            r#"{ "connections": ["models"], "groups": ["sre"] }"#,
            model,
            false,
        ),
        (
            r#"{ "connections": ["models"], "groups": ["platform"], "methods": ["GET"], "paths": ["/v1/**"] }"#,
            model,
            true,
        ),
    ] {
        let decision = decide(&allowing(wanted), &member_of(&["platform"]), request);
        assert_eq!(
            decision.effect == Effect::Allow,
            matches,
            "{wanted} {request}"
        );
    }
}

#[test]
fn a_caller_without_agent_or_groups_matches_no_rule_about_them() {
    let nobody = Principal {
        agent: None,
        groups: Vec::new(),
        ..member_of(&[])
    };
    for wanted in [
        r#"{ "agents": ["copilot"] }"#,
        r#"{ "groups": ["platform"] }"#,
    ] {
        let decision = decide(&allowing(wanted), &nobody, "GET https://api.example.com/");
        assert_eq!(decision, Decision::denied_without_rule(NO_RULE_MATCHED));
    }
}

#[test]
fn what_nothing_matches_is_denied() {
    let policy = allowing(r#"{ "groups": ["platform"] }"#);
    let caller = member_of(&["platform"]);
    for (request, reason) in [
        ("GET https://elsewhere.example.com/", UNKNOWN_CONNECTION),
        ("GET https://models.example.com/", UNKNOWN_CONNECTION),
        ("GET https://api.example.com/a;b=c", "ambiguous_path"),
        (
            "GET https://api.example.com/?_method=DELETE",
            "method_override",
        ),
    ] {
        assert_eq!(
            decide(&policy, &caller, request),
            Decision::denied_without_rule(reason),
            "{request}"
        );
    }
    let none = with_rules("");
    assert_eq!(
        decide(&none, &caller, "GET https://api.example.com/"),
        Decision::denied_without_rule(NO_RULE_MATCHED)
    );
}

#[test]
fn deny_beats_approve_beats_allow_in_any_order() {
    let rule = |effect: &str| {
        let approve = if effect == "approve" {
            r#", "approve": { "by": ["sre"] }"#
        } else {
            ""
        };
        format!(
            r#"{{ "name": "{effect}", "match": {{ "any": true }}, "effect": "{effect}"{approve} }}"#
        )
    };
    for (effects, winner) in [
        (["allow", "approve"].as_slice(), "approve"),
        (&["approve", "allow"], "approve"),
        (&["allow", "deny"], "deny"),
        (&["deny", "approve", "allow"], "deny"),
        (&["allow", "approve", "deny"], "deny"),
        (&["allow"], "allow"),
    ] {
        let rules: Vec<String> = effects.iter().map(|effect| rule(effect)).collect();
        let decision = decide(
            &with_rules(&rules.join(",")),
            &member_of(&[]),
            "GET https://api.example.com/",
        );
        assert_eq!(decision.effect.as_str(), winner, "{effects:?}");
        assert_eq!(decision.rule.as_deref(), Some(winner));
        assert_eq!(decision.approve.is_some(), winner == "approve");
    }
}

#[test]
fn of_several_approve_rules_the_first_sets_the_terms() {
    let policy = with_rules(
        r#"{ "name": "first", "match": { "any": true }, "effect": "approve", "approve": { "by": ["sre"], "count": 2 } },
           { "name": "second", "match": { "any": true }, "effect": "approve", "approve": { "by": ["everybody"] }, "reason": "No." }"#,
    );
    let decision = decide(&policy, &member_of(&[]), "GET https://api.example.com/");
    assert_eq!(decision.rule.as_deref(), Some("first"));
    assert_eq!(decision.approve.unwrap().by, ["sre"]);
    assert_eq!(&*decision.reason, "Rule first asks for approval.");
}

#[test]
fn any_matching_rule_can_require_the_audit() {
    let policy = with_rules(
        r#"{ "name": "a", "match": { "any": true }, "effect": "approve", "approve": { "by": ["sre"] } },
           { "name": "b", "match": { "paths": ["/v1/*"] }, "effect": "allow", "audit": "required" }"#,
    );
    assert!(decide(&policy, &member_of(&[]), "GET https://api.example.com/v1/x").audit_required);
    assert!(!decide(&policy, &member_of(&[]), "GET https://api.example.com/v2/x").audit_required);
}

#[test]
fn a_connection_of_another_policy_is_denied() {
    use crate::upstreams::Operation;
    let policy = allowing(r#"{ "any": true }"#);
    let mut stranger = policy.connection_named("models").unwrap().clone();
    stranger.name = "stranger".into();
    let principal = member_of(&[]);
    let operation = Operation {
        action: "GET /".into(),
        attributes: Default::default(),
    };
    let decision = policy.decide(&crate::policy::RequestFacts {
        principal: &principal,
        connection: &stranger,
        method: "GET",
        host: "api.example.com",
        path: "/",
        operation: &operation,
    });
    assert_eq!(decision, Decision::denied_without_rule(UNKNOWN_CONNECTION));
}

#[test]
fn a_host_finds_its_connection() {
    let policy = allowing(r#"{ "any": true }"#);
    for (host, connection) in [
        ("api.example.com", Some("models")),
        ("a.models.example.com", Some("models")),
        ("a.b.models.example.com", Some("models")),
        ("models.example.com", None),
        ("xmodels.example.com", None),
        ("management.azure.com", Some("arm")),
        ("management.azure.com.evil.example", None),
        ("azure.com", None),
        ("", None),
    ] {
        assert_eq!(
            policy.connection_for_host(host).map(|c| c.name.as_str()),
            connection,
            "{host}"
        );
    }
}

#[test]
fn tests_of_the_document_take_the_way_of_real_requests() {
    let policy = compiled(&format!(
        r#"{CONNECTIONS}, "rules": [
            {{ "name": "reads", "match": {{ "operations": ["*/read"], "groups": ["platform"] }}, "effect": "allow" }},
            {{ "name": "other", "match": {{ "issuers": ["https://other.example.com"] }}, "effect": "allow" }}
        ], "tests": [
            {{ "as": {{ "groups": ["platform"] }}, "request": "GET https://management.azure.com/subscriptions/1", "expect": "allow", "rule": "reads" }},
            {{ "name": "no writes", "as": {{ "groups": ["platform"] }}, "request": "PUT https://management.azure.com/subscriptions/1", "expect": "allow" }},
            {{ "as": {{}}, "request": "GET https://elsewhere.example.com", "expect": "deny" }},
            {{ "as": {{ "issuer": "https://other.example.com" }}, "request": "GET https://api.example.com", "expect": "allow", "rule": "reads" }}
        ]"#
    ));
    let outcomes = policy.run_tests();
    let told: Vec<String> = outcomes.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "passed: tests[0]: GET https://management.azure.com/subscriptions/1",
            "failed: tests[1]: no writes: expected allow, the policy decides deny by no rule (no_rule_matched)",
            "passed: tests[2]: GET https://elsewhere.example.com",
            "failed: tests[3]: GET https://api.example.com: expected allow by rule reads, the policy decides allow by rule other",
        ]
    );
    assert_eq!(
        outcomes.iter().map(|o| o.passed).collect::<Vec<_>>(),
        [true, false, true, false]
    );
}

#[test]
fn an_explanation_says_for_every_rule_why() {
    let policy = with_rules(
        r#"{ "name": "sre-only", "match": { "groups": ["sre", "oncall"], "labels": { "env": "prod" }, "methods": ["POST"] }, "effect": "allow" },
           { "name": "models", "match": { "connections": ["models"], "paths": ["/v1/**"] }, "effect": "allow" },
           { "name": "never-files", "match": { "paths": ["/v1/files/**"], "agents": ["codex"] }, "effect": "deny", "reason": "Files stay here." },
           { "name": "anything", "match": { "any": true }, "effect": "allow" }"#,
    );
    let caller = Principal {
        agent: None,
        ..member_of(&["platform"])
    };
    let explanation = policy
        .explain_request(&caller, "GET https://api.example.com/v1/models")
        .unwrap();
    assert_eq!(
        explanation.to_string(),
        "\
allow, by rule models: Allowed by rule models.
  connection models
  operation GET /v1/models
  rule sre-only (allow) does not match
    groups: wanted one of sre, oncall; the request has platform
    labels: wanted all of env: prod; the request has env: dev
    methods: wanted one of POST; the request has GET
  rule models (allow) matches and decides
  rule never-files (deny) does not match
    agents: wanted one of codex; the request has none
    paths: wanted one of /v1/files/**; the request has /v1/models
  rule anything (allow) matches"
    );
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(
        json["rules"][2]["mismatches"][0],
        serde_json::json!({
            "dimension": "agents", "wanted": ["codex"], "seen": []
        })
    );

    let refused = policy
        .explain_request(&caller, "GET https://elsewhere.example.com/")
        .unwrap();
    assert_eq!(refused.to_string(), "deny, by no rule: unknown_connection");
    assert!(policy.explain_request(&caller, "nonsense").is_err());
}

#[test]
fn an_invalid_policy_does_not_compile() {
    let mut policy = super::policy(&format!(r#"{CONNECTIONS}, "rules": []"#));
    policy.issuers.clear();
    assert_eq!(
        CompiledPolicy::compile(policy).unwrap_err().to_string(),
        "issuers: expected at least one issuer: without one, every caller is refused"
    );
    assert!(parse_json(b"{}").is_err());
}
