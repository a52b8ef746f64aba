use std::collections::BTreeMap;

use super::*;
use crate::policy::Effect;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn gate() -> Gate {
    gate_of(
        br#"{"apiVersion":"chaperone/v1",
            "issuers":[{"issuer":"https://issuer.example","audiences":["chaperone"]}],
            "connections":[
                {"name":"api","hosts":["api.example.com"],"protocol":"http"},
                {"name":"arm","hosts":["management.azure.com"],"protocol":"azure-arm"}],
            "rules":[
                {"name":"reads","match":{"connections":["api"],"groups":["dev"],"methods":["GET"]},"effect":"allow"},
                {"name":"keys","match":{"connections":["arm"],"operations":["*/listKeys/action"]},"effect":"deny","reason":"Keys stay where they are."}],
            "masking":[{"name":"secrets","detectors":["secrets/*"],"on":["response"],"action":"mask","connections":["api"]}]}"#,
    )
}

fn gate_of(policy: &[u8]) -> Gate {
    let policy = crate::policy::parse_json(policy).unwrap();
    Gate::from_bundle(Bundle {
        serial: Serial {
            policy_version: 1,
            keys_revision: 0,
        },
        previous: None,
        issued_at: UnixMillis(0),
        policy,
        keys: BTreeMap::new(),
    })
    .unwrap()
}

fn principal() -> Principal {
    Principal {
        issuer: "https://issuer.example".into(),
        subject: "ana".into(),
        groups: vec!["dev".into()],
        agent: None,
        session: None,
    }
}

fn code(gate: &Gate, pinned: Option<&str>, authority: &str, method: &str, path: &str) -> Code {
    gate.route(pinned, authority, method, path)
        .map(|routed| panic!("routed to {routed:?}"))
        .unwrap_err()
        .code
}

#[test]
fn a_request_goes_from_host_and_path_to_a_decision() {
    let gate = gate();
    let routed = gate
        .route(None, "API.example.com:8443", "GET", "/v1/models?x=1")
        .unwrap();
    assert_eq!(
        (routed.connection.name.as_str(), routed.host.as_str()),
        ("api", "api.example.com")
    );
    assert_eq!(routed.operation.action, "GET /v1/models");
    assert_eq!(
        gate.decide(&principal(), &routed).rule.as_deref(),
        Some("reads")
    );

    let keys =
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a/listKeys";
    let routed = gate
        .route(None, "management.azure.com", "POST", keys)
        .unwrap();
    assert_eq!(
        &*gate.decide(&principal(), &routed).reason,
        "Keys stay where they are."
    );
}

#[test]
fn the_routes_pin_wins_over_the_host_and_an_unknown_pin_is_refused() {
    let gate = gate();
    let routed = gate
        .route(Some("arm"), "api.example.com", "GET", "/subscriptions")
        .unwrap();
    assert_eq!(routed.connection.name, "arm");
    assert_eq!(
        code(&gate, Some("gone"), "api.example.com", "GET", "/"),
        Code::UnknownConnection
    );
}

#[test]
fn a_pinned_route_cannot_be_used_to_lie_about_the_host_to_a_rule_that_looks_at_it() {
    let gate = gate_of(
        br#"{"apiVersion":"chaperone/v1",
            "issuers":[{"issuer":"https://issuer.example","audiences":["chaperone"]}],
            "connections":[
                {"name":"api","hosts":["prod.example","*.test.example"],"protocol":"http"},
                {"name":"other","hosts":["other.example"],"protocol":"http"}],
            "rules":[
                {"name":"prod","match":{"connections":["api"],"hosts":["prod.example"]},"effect":"deny","reason":"Off."},
                {"name":"all","match":{"any":true},"effect":"allow"}]}"#,
    );
    let decide = |host| {
        let routed = gate.route(Some("api"), host, "GET", "/").unwrap();
        gate.decide(&principal(), &routed).effect
    };
    assert_eq!(decide("prod.example"), Effect::Deny);
    assert_eq!(decide("a.test.example"), Effect::Allow);
    for host in ["elsewhere.example", "other.example", "127.0.0.1:8080"] {
        assert_eq!(
            code(&gate, Some("api"), host, "GET", "/"),
            Code::UnknownConnection,
            "{host}"
        );
        // Nothing looks at the host there, so a base URL is as good as the real host.
        assert!(
            gate.route(Some("other"), host, "GET", "/").is_ok(),
            "{host}"
        );
    }
}

#[test]
fn what_cannot_be_read_in_one_way_is_refused_with_its_own_code() {
    let gate = gate();
    assert_eq!(
        code(&gate, None, "other.example.com", "GET", "/"),
        Code::UnknownConnection
    );
    assert_eq!(
        code(&gate, None, "user@api.example.com", "GET", "/"),
        Code::InvalidHost
    );
    assert_eq!(
        code(&gate, None, "api.example.com", "GET", "/a/%2e%2e/b"),
        Code::AmbiguousPath
    );
    assert_eq!(
        code(&gate, None, "api.example.com", "get", "/"),
        Code::InvalidMethod
    );
    assert_eq!(
        code(&gate, None, "api.example.com", "POST", "/?_method=DELETE"),
        Code::MethodOverride
    );
}

#[test]
fn masking_applies_where_the_policy_says_and_nowhere_else() {
    let gate = gate();
    assert!(gate.masking("api").response.is_some());
    assert!(gate.masking("api").request.is_none());
    assert!(gate.masking("arm").response.is_none());
}

#[test]
fn answers_are_restored_where_the_requests_masking_says_so() {
    let gate = gate_of(
        br#"{"apiVersion":"chaperone/v1",
            "issuers":[{"issuer":"https://issuer.example","audiences":["chaperone"]}],
            "connections":[
                {"name":"models","hosts":["api.example.com"],"protocol":"http"},
                {"name":"arm","hosts":["management.azure.com"],"protocol":"azure-arm"}],
            "rules":[],
            "masking":[
                {"name":"a","detectors":["secrets/jwt"],"on":["request"],"restore":true,"connections":["models"]},
                {"name":"b","detectors":["secrets/jwt"],"on":["request"],"connections":["arm"]}]}"#,
    );
    assert!(gate.masking("models").restores());
    assert!(gate.masking("models").changes_response());
    assert!(gate.masking("models").response.is_none());
    assert!(!gate.masking("arm").restores());
    assert!(!gate.masking("arm").changes_response());
    assert!(!gate.masking("elsewhere").restores());
}

#[test]
fn a_token_of_an_issuer_without_keys_asks_for_a_refresh() {
    // {"alg":"EdDSA","kid":"k"} . {"iss":"https://issuer.example"} . 64 zero bytes
    let token = format!(
        "Bearer eyJhbGciOiJFZERTQSIsImtpZCI6ImsifQ.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIn0.{}",
        "A".repeat(86)
    );
    let mut cache = TokenCache::new(8, 8192);
    let refusal = gate()
        .identify(
            &[token.as_bytes()],
            UnixMillis(0),
            &mut cache,
            &crate::identity::PureRust,
        )
        .unwrap_err();
    assert_eq!(Code::Identity(refusal.code).as_str(), "unknown_key");
    assert_eq!(refusal.unknown_key.unwrap().kid.as_deref(), Some("k"));
}

#[test]
fn every_code_has_a_name_of_its_own_and_a_refusing_status() {
    let mut names: Vec<_> = Code::all().map(Code::as_str).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(
        Code::all().all(|code| (400..600).contains(&code.status()) && code.title().ends_with('.'))
    );
}

#[test]
fn every_code_has_a_row_with_its_status_in_the_failure_table() {
    let document = include_str!("../../../docs/failures.md");
    for code in Code::all() {
        let row = format!("| `{code}` | {} |", code.status());
        assert!(document.contains(&row), "docs/failures.md has no row {row}");
    }
}

#[test]
fn what_a_policy_explains_is_what_the_gate_answers() {
    let gate = gate();
    for (host, method, path) in [
        ("elsewhere.example.com", "GET", "/"),
        ("api.example.com", "POST", "/?_method=DELETE"),
        ("api.example.com", "GET", "/a;b"),
        ("management.azure.com", "POST", "/batch"),
    ] {
        let answered = code(&gate, None, host, method, path);
        let explained = gate
            .policy()
            .decide_request(&principal(), &format!("{method} https://{host}{path}"))
            .unwrap();
        assert_eq!(*explained.reason, *answered.as_str(), "{host} {path}");
    }
}

#[test]
fn a_problem_tells_the_agent_what_to_do_and_leaves_out_what_is_not_known() {
    let record = crate::audit::RecordId("b-1".into());
    let json: serde_json::Value = serde_json::from_str(
        &Problem::new(Code::ApprovalRequired, "Ask again later.")
            .decided_by(Some("prod"), "Production needs an SRE.")
            .recorded_as(&record)
            .ticket("apr-1", None, 5)
            .to_json(),
    )
    .unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "type": "urn:chaperone:problem:approval_required",
            "title": "A human must approve this request; send it again once they have.",
            "status": 403, "detail": "Ask again later.", "code": "approval_required",
            "rule": "prod", "reason": "Production needs an SRE.", "record": "b-1",
            "approval": "apr-1", "retry_after_s": 5,
        })
    );
}
