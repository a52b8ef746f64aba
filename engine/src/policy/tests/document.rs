//! What a document may look like, and what it reads as.

use crate::policy::{
    ApproveTerms, Duration, Grant, HostPattern, PathPattern, Policy, parse, parse_json,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The example of the design, without what comes later.
const EXAMPLE: &str = r#"
apiVersion: chaperone/v1
issuers:
  - issuer: https://login.microsoftonline.com/TENANT/v2.0
    audiences: [api://chaperone]
    claims: { subject: sub, groups: groups, agent: azp, session: sid }
connections:
  - { name: arm, hosts: [management.azure.com], protocol: azure-arm, credential: arm-sp, labels: { env: prod } }
  - { name: copilot, hosts: [api.githubcopilot.com], protocol: http }
rules:
  - name: platform-reads
    match: { connections: [arm], groups: [platform], operations: ["*/read"] }
    effect: allow
  - name: prod-writes-need-a-human
    match: { connections: [arm], groups: [platform], operations: ["*/write", "*/delete", "*/action"] }
    effect: approve
    approve: { by: [sre], count: 1, hold: 45s, expires: 1h, grant: once }
    reason: Changes to production need an SRE.
    audit: required
masking:
  - { name: secrets, detectors: ["secrets/*"], on: [request, response], action: mask }
tests:
  - { as: { groups: [platform] }, request: "DELETE https://management.azure.com/subscriptions/1/resourceGroups/prod-x", expect: approve, rule: prod-writes-need-a-human }
"#;

#[test]
fn a_written_policy_reads_back_as_itself() {
    let policy = parse(EXAMPLE).unwrap();
    let json = serde_json::to_string(&policy).unwrap();
    assert_eq!(parse_json(json.as_bytes()).unwrap(), policy);
    assert_eq!(parse(&json).unwrap(), policy);
    assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), policy);
}

#[test]
fn what_is_left_out_or_at_its_default_is_not_written() {
    let json = serde_json::to_string(&parse(EXAMPLE).unwrap().rules).unwrap();
    assert_eq!(
        json,
        r#"[{"name":"platform-reads","match":{"connections":["arm"],"groups":["platform"],"operations":["*/read"]},"effect":"allow"},{"name":"prod-writes-need-a-human","match":{"connections":["arm"],"groups":["platform"],"operations":["*/write","*/delete","*/action"]},"effect":"approve","approve":{"by":["sre"],"count":1,"hold":"45s","expires":"1h","grant":"once"},"reason":"Changes to production need an SRE.","audit":"required"}]"#
    );
}

#[test]
fn approve_terms_have_careful_defaults() {
    let text = EXAMPLE.replace(", count: 1, hold: 45s, expires: 1h, grant: once", "");
    let terms = parse(&text).unwrap().rules[1].approve.clone().unwrap();
    assert_eq!(terms, ApproveTerms::by(["sre"]));
    assert_eq!(
        (terms.count, terms.hold.as_secs(), terms.expires.as_secs()),
        (1, 45, 3600)
    );
    assert_eq!(terms.grant, Grant::Once);
}

#[test]
fn durations_are_written_in_the_largest_unit_that_divides_them() {
    for (text, seconds, written) in [
        ("0s", 0, "0s"),
        ("60s", 60, "1m"),
        ("90s", 90, "90s"),
        ("120m", 7200, "2h"),
        ("25h", 90_000, "25h"),
        ("48h", 172_800, "2d"),
    ] {
        let duration: Duration = text.parse().unwrap();
        assert_eq!(
            (duration.as_secs(), duration.as_millis()),
            (seconds, seconds * 1000),
            "{text}"
        );
        assert_eq!(duration.to_string(), written);
    }
    for wrong in [
        "",
        "s",
        "60",
        "1.5h",
        "-1s",
        "+1s",
        "1 s",
        "1S",
        "1w",
        "99999999999999999999s",
        "3651d",
        "1é",
    ] {
        assert!(wrong.parse::<Duration>().is_err(), "{wrong:?}");
    }
}

#[test]
fn a_grant_is_once_or_a_window() {
    assert_eq!("once".parse(), Ok(Grant::Once));
    assert_eq!("30m".parse(), Ok(Grant::Window(Duration::from_secs(1800))));
    assert_eq!(Grant::Window(Duration::from_secs(1800)).to_string(), "30m");
    assert!("Once".parse::<Grant>().is_err());
}

#[test]
fn host_patterns_take_the_spelling_that_hosts_are_compared_in() {
    for (text, pattern) in [
        ("API.Example.COM", "api.example.com"),
        ("api.example.com.", "api.example.com"),
        ("*.OpenAI.azure.com", "*.openai.azure.com"),
        ("[0:0:0:0:0:0:0:1]", "[::1]"),
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost"),
        ("my_service.default.svc", "my_service.default.svc"),
    ] {
        assert_eq!(
            text.parse::<HostPattern>().map(|p| p.to_string()),
            Ok(pattern.into()),
            "{text}"
        );
    }
    for wrong in [
        "*",
        "*.",
        "*.com",
        "*.0.0.1",
        "*.10.0.0.1",
        "a..b",
        "a b",
        "bücher.example",
        "[::1",
        "[::1]:80",
        "user@host",
        "a/b",
        "1.2.3",
    ] {
        assert!(wrong.parse::<HostPattern>().is_err(), "{wrong:?}");
    }
}

#[test]
fn path_patterns_take_the_spelling_that_paths_are_compared_in() {
    for (text, pattern) in [
        ("/v1/models/", "/v1/models"),
        ("/%61dmin/**", "/admin/**"),
        ("/a%c3%a9", "/a%C3%A9"),
        ("/v1/*:generate", "/v1/*:generate"),
    ] {
        assert_eq!(
            text.parse::<PathPattern>().map(|p| p.to_string()),
            Ok(pattern.into()),
            "{text}"
        );
    }
    for wrong in [
        "",
        "v1",
        "**",
        "*",
        "/a//b",
        "/a/%2e%2e/b",
        "/a%2fb",
        "/a***",
        "/a b",
        "/é",
    ] {
        assert!(wrong.parse::<PathPattern>().is_err(), "{wrong:?}");
    }
}
