//! What people are told. The messages are part of the interface: a change shows here.

use crate::policy::{CompiledPolicy, MAX_DOCUMENT_BYTES, parse, parse_json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Line 11 has `match` of the first rule, line 19 `approve` of the second.
const GOOD: &str = r#"apiVersion: chaperone/v1
issuers:
  - { issuer: "https://idp.example.com", audiences: [chaperone] }
connections:
  - { name: arm, hosts: [management.azure.com], protocol: azure-arm, labels: { env: prod } }
  - name: models
    hosts: [api.example.com, "*.models.example.com"]
    protocol: http
rules:
  - name: read
    match: { connections: [arm], groups: [platform], operations: ["*/read"] }
    effect: allow
  - name: ask
    match:
      groups:
        - platform
      operations: ["*/write"]
    effect: approve
    approve: { by: [sre] }
masking:
  - { name: secrets, detectors: ["secrets/*"], on: [response], action: mask }
tests:
  - as: { groups: [platform] }
    request: GET https://management.azure.com/subscriptions/1
    expect: allow
"#;

fn told(text: &str) -> String {
    match parse(text) {
        Ok(_) => "nothing is wrong".to_owned(),
        Err(errors) => errors.to_string(),
    }
}

/// What is said when `from` stands there as `to`.
#[track_caller]
fn check(from: &str, to: &str, expected: &[&str]) {
    assert!(GOOD.contains(from), "the good document has no {from:?}");
    assert_eq!(
        told(&GOOD.replacen(from, to, 1)),
        expected.join("\n"),
        "{from:?} as {to:?}"
    );
}

#[test]
fn the_good_document_is_good() {
    let policy = parse(GOOD).unwrap();
    assert!(
        CompiledPolicy::compile(policy)
            .unwrap()
            .run_tests()
            .iter()
            .all(|test| test.passed)
    );
}

#[test]
fn unknown_keys_are_errors_with_a_suggestion() {
    check(
        "groups: [platform], op",
        "goups: [platform], op",
        &["rules[0].match.goups (line 11, column 34): unknown key `goups`; did you mean `groups`?"],
    );
    check(
        "      groups:\n",
        "      group:\n",
        &["rules[1].match.group (line 15, column 7): unknown key `group`; did you mean `groups`?"],
    );
    check(
        "protocol: http",
        "protocol: http\n    tls: true",
        &[
            "connections[1].tls (line 9, column 5): unknown key `tls`; expected `name`, `hosts`, `protocol`, `credential` or `labels`",
        ],
    );
    check(
        "rules:",
        "rule:",
        &["rule (line 9, column 1): unknown key `rule`; did you mean `rules`?"],
    );
}

#[test]
fn what_is_not_supported_yet_says_so() {
    check(
        "    effect: allow",
        "    when: 'true'\n    effect: allow",
        &[
            "rules[0].when (line 12, column 5): conditions (`when`) are not supported yet: say it with `match`, or leave the rule out",
        ],
    );
    check(
        "    effect: allow",
        "    mode: shadow\n    effect: allow",
        &[
            "rules[0].mode (line 12, column 5): modes (`mode: shadow`) are not supported yet: every rule is enforced",
        ],
    );
    check(
        "rules:",
        "mode: shadow\nrules:",
        &[
            "mode (line 9, column 1): modes (`mode: shadow`) are not supported yet: every rule is enforced",
        ],
    );
    check(
        "azure-arm",
        "openai",
        &[
            "connections[0].protocol (line 5, column 59): expected `http` or `azure-arm`, found \"openai\"",
        ],
    );
}

#[test]
fn a_key_twice_is_an_error() {
    check(
        "    effect: allow",
        "    effect: allow\n    effect: deny",
        &["rules[0].effect (line 13, column 5): the key `effect` appears twice"],
    );
    check(
        "labels: { env: prod }",
        "labels: { env: prod, env: dev }",
        &["connections[0].labels.env (line 5, column 91): the key `env` appears twice"],
    );
    let json = br#"{ "apiVersion": "chaperone/v1", "rules": [{ "match": { "labels": { "a": "b", "a": "c" } } }] }"#;
    assert_eq!(
        parse_json(json).unwrap_err().to_string(),
        "rules[0].match.labels.a: the key `a` appears twice"
    );
}

#[test]
fn a_list_left_empty_does_not_mean_anybody() {
    check(
        "groups: [platform], op",
        "groups: [], op",
        &[
            "rules[0].match.groups (line 11, column 34): expected at least one entry: leave the key out to match anything",
        ],
    );
    check(
        "groups: [platform], op",
        "groups: , op",
        &["rules[0].match.groups (line 11, column 34): expected a list, found nothing"],
    );
    check(
        "      groups:\n        - platform\n",
        "      groups:\n",
        &["rules[1].match.groups (line 15, column 7): expected a list, found nothing"],
    );
    check(
        "labels: { env: prod }",
        "credential: ",
        &[
            "connections[0].credential (line 5, column 70): expected a value, found nothing: leave the key out if it is not needed",
        ],
    );
    check(
        "{ connections: [arm], groups: [platform], operations: [\"*/read\"] }",
        "{}",
        &[
            "rules[0].match (line 11, column 5): this matches every request; write `match: { any: true }` if that is meant",
        ],
    );
    check(
        "{ connections: [arm],",
        "{ any: true, connections: [arm],",
        &[
            "rules[0].match.any (line 11, column 19): `any: true` stands alone: leave it or the other keys out",
        ],
    );
    check(
        "on: [response]",
        "on: [response], connections: []",
        &[
            "masking[0].connections (line 21, column 64): expected at least one entry: leave the key out to match anything",
        ],
    );
}

#[test]
fn values_of_another_kind_are_named() {
    check(
        "groups: [platform], op",
        "groups: [42], op",
        &[
            "rules[0].match.groups[0] (line 11, column 43): expected text, found the number 42: put it in quotes",
        ],
    );
    check(
        "groups: [platform], op",
        "groups: platform, op",
        &["rules[0].match.groups (line 11, column 42): expected a list, found \"platform\""],
    );
    check(
        "effect: allow",
        "effect: alow",
        &[
            "rules[0].effect (line 12, column 13): expected `allow`, `approve` or `deny`, found \"alow\"; did you mean `allow`?",
        ],
    );
    check(
        "by: [sre] ",
        "by: [sre], hold: 60 ",
        &[
            "rules[1].approve.hold (line 19, column 33): expected a duration such as `60s`, `5m`, `1h` or `7d`, found the number 60",
        ],
    );
    check(
        "by: [sre] ",
        "by: [sre], hold: 5 minutes ",
        &[
            "rules[1].approve.hold (line 19, column 33): expected a duration such as `60s`, `5m`, `1h` or `7d`, found \"5 minutes\"",
        ],
    );
    check(
        "by: [sre] ",
        "by: [sre], grant: twice ",
        &[
            "rules[1].approve.grant (line 19, column 34): expected `once`, or a duration such as `30m`, found \"twice\"",
        ],
    );
    check(
        "    effect: allow\n",
        "",
        &["rules[0] (line 10, column 5): the key `effect` is missing"],
    );
    check(
        "chaperone/v1",
        "chaperone/v2",
        &[
            "apiVersion (line 1, column 13): expected `chaperone/v1`, found \"chaperone/v2\"; did you mean `chaperone/v1`?",
        ],
    );
    check(
        "{ groups: [platform] }",
        "[platform]",
        &["tests[0].as (line 23, column 5): expected a map, found a list"],
    );
}

#[test]
fn one_run_reports_several_errors() {
    check(
        "effect: allow\n",
        "effect: alow\n  - nam: x\n",
        &[
            "rules[0].effect (line 12, column 13): expected `allow`, `approve` or `deny`, found \"alow\"; did you mean `allow`?",
            "rules[1].nam (line 13, column 5): unknown key `nam`; did you mean `name`?",
            "rules[1] (line 13, column 5): the key `match` is missing",
            "rules[1] (line 13, column 5): the key `effect` is missing",
        ],
    );
    check(
        "by: [sre] ",
        "by: [sre], hold: 5m, expires: 8d, count: 0, grant: 31d ",
        &[
            "rules[1].approve.hold (line 19, column 33): expected at most `4m`, found `5m`: Envoy ends a silent stream after 5 minutes",
            "rules[1].approve.expires (line 19, column 46): expected from `hold` (`5m`) to `7d`, and more than `0s`, found `8d`",
            "rules[1].approve.count (line 19, column 57): expected a number from 1 to 10, found 0",
            "rules[1].approve.grant (line 19, column 67): expected `once`, or from `1s` to `30d`, found `31d`",
        ],
    );
}

#[test]
fn one_run_reports_every_error_of_one_rule() {
    let rule = r#"  - name: "two words"
    match: { goups: [dev], hosts: ["https://api.example.com/v1"], methods: [get, post], paths: [v1/models], operations: [] }
    effect: aprove
    approve: { by: [], count: 0, hold: 5 minutes, expires: 8d }
    reason: [because]
    audit: always
"#;
    let document = GOOD.replacen("rules:\n", &format!("rules:\n{rule}"), 1);
    let told = told(&document);
    let told: Vec<&str> = told.lines().collect();
    for begin in [
        "rules[0].name (line 10, column 11): expected a name of 1 to 63 letters",
        "rules[0].match.goups (line 11, column 14): unknown key `goups`; did you mean `groups`?",
        "rules[0].match.hosts[0] (line 11, column 36): expected a host name such as",
        "rules[0].match.methods[0] (line 11, column 77): expected an HTTP method in upper case",
        "rules[0].match.methods[1] (line 11, column 82): expected an HTTP method in upper case",
        "rules[0].match.paths[0] (line 11, column 97): expected a path pattern that starts with `/`",
        "rules[0].match.operations (line 11, column 109): expected at least one entry",
        "rules[0].effect (line 12, column 13): expected `allow`, `approve` or `deny`",
        "rules[0].approve.by (line 13, column 16): expected at least one entry",
        "rules[0].approve.count (line 13, column 31): expected a number from 1 to 10, found 0",
        "rules[0].approve.hold (line 13, column 40): expected a duration",
        "rules[0].approve.expires (line 13, column 60): expected from `hold`",
        "rules[0].reason (line 14, column 5): expected text, found a list",
        "rules[0].audit (line 15, column 12): expected `normal` or `required`",
    ] {
        let found = told.iter().any(|line| line.starts_with(begin));
        assert!(found, "{begin:?} is missing in\n{}", told.join("\n"));
    }
    // Nothing that follows from something else: no fault of a stand-in, none twice.
    assert_eq!(told.len(), 14, "{}", told.join("\n"));
}

#[test]
fn one_run_reports_every_key_that_is_missing_and_nothing_below_what_is_not_there() {
    check(
        "  - name: read\n",
        "  - {}\n  - rule\n  - { match: 5, effect: deny }\n  - name: read\n",
        &[
            "rules[0] (line 10, column 5): the key `name` is missing",
            "rules[0] (line 10, column 5): the key `match` is missing",
            "rules[0] (line 10, column 5): the key `effect` is missing",
            "rules[1] (line 11, column 5): expected a map, found \"rule\"",
            "rules[2] (line 12, column 5): the key `name` is missing",
            "rules[2].match (line 12, column 14): expected a map, found the number 5",
        ],
    );
}

#[test]
fn faults_of_one_part_do_not_hide_those_of_another() {
    let document = GOOD
        .replacen("protocol: http", "protocol: https", 1)
        .replacen("by: [sre] ", "by: [sre], count: 11 ", 1)
        .replacen("request: GET https", "request: https", 1)
        .replacen(
            "audiences: [chaperone]",
            "audiences: [chaperone], leeway_seconds: 900",
            1,
        );
    let told = told(&document);
    let places: Vec<&str> = told
        .lines()
        .filter_map(|line| line.split(" (").next())
        .collect();
    assert_eq!(
        places,
        [
            "issuers[0].leeway_seconds",
            "connections[1].protocol",
            "rules[1].approve.count",
            "tests[0].request"
        ],
        "{told}"
    );
}

#[test]
fn errors_are_capped() {
    let many = GOOD.replacen("rules:", &format!("rules:\n{}", "  - {}\n".repeat(80)), 1);
    let errors = parse(&many).unwrap_err();
    assert_eq!(errors.iter().count(), 51);
    assert_eq!(
        errors.iter().last().unwrap().to_string(),
        "190 more errors are not shown"
    );
}

#[test]
fn a_key_that_a_reader_of_yaml_1_1_has_changed_is_recognised() {
    check(
        "on: [response]",
        "true: [response]",
        &[
            "masking[0].true (line 21, column 48): unknown key `true`; did you mean `on`? A program that reads YAML 1.1 has made `true` of it: write it as `\"on\"` there",
        ],
    );
    check(
        "{ connections: [arm],",
        "{ any: yes, connections: [arm],",
        &[
            "rules[0].match.any (line 11, column 19): expected `true` or `false`, found \"yes\": this is text in YAML 1.2; write `true`",
        ],
    );
}

#[test]
fn names_are_unique_and_plain() {
    check(
        "name: ask",
        "name: read",
        &[
            "rules[1].name (line 13, column 11): the name `read` is taken by rules[0]; expected a unique one",
        ],
    );
    check(
        "name: models",
        "name: arm",
        &[
            "connections[1].name (line 6, column 11): the name `arm` is taken by connections[0]; expected a unique one",
        ],
    );
    check(
        "name: ask",
        "name: \"ask\\r\\nSet-Cookie: a\"",
        &[
            "rules[1].name (line 13, column 11): expected a name of 1 to 63 letters, digits, `.`, `_` or `-` that begins with a letter or digit",
        ],
    );
    check(
        "    effect: allow",
        "    reason: \"a\\nb\"\n    effect: allow",
        &["rules[0].reason (line 12, column 13): expected one line without control characters"],
    );
    check(
        "rules:",
        "  - { name: third, hosts: [x.example.com], protocol: http }\nrules:\n  - { name: read, match: { any: true }, effect: deny }",
        &[
            "rules[1].name (line 12, column 11): the name `read` is taken by rules[0]; expected a unique one",
        ],
    );
}

#[test]
fn references_lead_somewhere() {
    check(
        "connections: [arm]",
        "connections: [amr]",
        &[
            "rules[0].match.connections[0] (line 11, column 28): unknown connection `amr`; expected `arm` or `models`",
        ],
    );
    check(
        "connections: [arm]",
        "labels: { env: dev }",
        &[
            "rules[0].match.labels.env (line 11, column 29): no connection has the label `env: dev`; expected `prod`",
        ],
    );
    check(
        "connections: [arm]",
        "labels: { environment: prod }",
        &[
            "rules[0].match.labels.environment (line 11, column 37): no connection has the label `environment`; expected `env`",
        ],
    );
    check(
        "connections: [arm]",
        "connections: [models], labels: { env: prod }",
        &[
            "rules[0].match (line 11, column 5): no connection has all of these labels and one of these names",
        ],
    );
    check(
        "operations: [\"*/read\"]",
        "hosts: [management.azure.org]",
        &[
            "rules[0].match.hosts[0] (line 11, column 62): `management.azure.org` is no host of the connections that this rule is about; did you mean `management.azure.com`?",
        ],
    );
    check(
        "operations: [\"*/read\"]",
        "issuers: [\"https://idp.example.com/\"]",
        &[
            "rules[0].match.issuers[0] (line 11, column 64): unknown issuer `https://idp.example.com/`; did you mean `https://idp.example.com`?",
        ],
    );
    check(
        "action: mask",
        "action: mask, connections: [armm]",
        &[
            "masking[0].connections[0] (line 21, column 92): unknown connection `armm`; did you mean `arm`?",
        ],
    );
    check(
        "    expect: allow",
        "    expect: allow\n    rule: reed",
        &["tests[0].rule (line 26, column 11): unknown rule `reed`; did you mean `read`?"],
    );
    check(
        "    expect: allow",
        "    expect: allow\n    rule: ask",
        &[
            "tests[0].rule (line 26, column 11): this test cannot pass: it expects `allow` of rule `ask`, whose effect is `approve`",
        ],
    );
}

#[test]
fn approve_terms_and_the_approve_effect_belong_together() {
    check(
        "    approve: { by: [sre] }\n",
        "",
        &[
            "rules[1] (line 13, column 5): `effect: approve` needs `approve:` with the groups that may, as in `approve: { by: [sre] }`",
        ],
    );
    check(
        "effect: allow",
        "effect: allow\n    approve: { by: [sre] }",
        &[
            "rules[0].approve (line 13, column 5): `approve:` is only for `effect: approve`, and this rule's effect is `allow`",
        ],
    );
    check(
        "by: [sre] ",
        "by: [] ",
        &["rules[1].approve.by (line 19, column 16): expected at least one entry"],
    );
}

#[test]
fn issuers_are_required_and_checked() {
    check(
        "issuers:\n  - { issuer: \"https://idp.example.com\", audiences: [chaperone] }",
        "issuers: []",
        &[
            "issuers (line 2, column 1): expected at least one issuer: without one, every caller is refused",
        ],
    );
    check(
        "audiences: [chaperone]",
        "audiences: []",
        &["issuers[0].audiences (line 3, column 42): name at least one accepted audience"],
    );
}

#[test]
fn a_host_belongs_to_one_connection() {
    check(
        "management.azure.com]",
        "a.b.models.example.com]",
        &[
            "connections[0].hosts[0] (line 5, column 26): `a.b.models.example.com` overlaps with `*.models.example.com` of connection `models`; a host may belong to one connection only",
            "tests[0].expect",
        ][..1],
    );
    check(
        "management.azure.com]",
        "API.example.com]",
        &[
            "connections[1].hosts[0] (line 7, column 13): `api.example.com` already belongs to connection `arm`; a host may belong to one connection only",
        ],
    );
    check(
        "management.azure.com]",
        "\"*.example.com\"]",
        &[
            "connections[1].hosts[0] (line 7, column 13): `api.example.com` overlaps with `*.example.com` of connection `arm`; a host may belong to one connection only",
            "connections[1].hosts[1] (line 7, column 30): `*.models.example.com` overlaps with `*.example.com` of connection `arm`; a host may belong to one connection only",
        ],
    );
}

#[test]
fn patterns_are_checked_where_they_stand() {
    for (from, to, expected) in [
        (
            "management.azure.com]",
            "\"https://management.azure.com\"]",
            "connections[0].hosts[0] (line 5, column 26): expected a host name such as `api.example.com` or `*.example.com`, found a URL: leave out the scheme; did you mean `management.azure.com`?",
        ),
        (
            "management.azure.com]",
            "\"management.azure.com:443\"]",
            "connections[0].hosts[0] (line 5, column 26): expected a host name such as `api.example.com` or `*.example.com`, found `:`: leave out the port (IPv6 addresses go in brackets); did you mean `management.azure.com`?",
        ),
        (
            "management.azure.com]",
            "\"*.com\"]",
            "connections[0].hosts[0] (line 5, column 26): `*.com` is too wide: expected at least two labels of a name after `*.`",
        ),
        (
            "management.azure.com]",
            "\"a.*.com\"]",
            "connections[0].hosts[0] (line 5, column 26): expected a host name such as `api.example.com` or `*.example.com`: `*` may only be the whole first label",
        ),
        (
            "operations: [\"*/read\"]",
            "operations: [\"\"]",
            "rules[0].match.operations[0] (line 11, column 67): expected an operation pattern such as `*/read` or `Microsoft.Storage/*`, found an empty string",
        ),
        (
            "operations: [\"*/read\"]",
            "paths: [v1]",
            "rules[0].match.paths[0] (line 11, column 62): expected a path pattern that starts with `/`, such as `/v1/models/*` or `/v1/**`; did you mean `/v1`?",
        ),
        (
            "operations: [\"*/read\"]",
            "paths: [/v1/x**]",
            "rules[0].match.paths[0] (line 11, column 62): expected a path pattern that starts with `/`, such as `/v1/models/*` or `/v1/**`: `**` stands alone between slashes; did you mean `/v1/x/**`?",
        ),
        (
            "operations: [\"*/read\"]",
            "paths: [/a/../b]",
            "rules[0].match.paths[0] (line 11, column 62): expected a path pattern that starts with `/`, such as `/v1/models/*` or `/v1/**`; no request has such a path: The path is ambiguous: it has a dot segment (`.` or `..`).",
        ),
        (
            "operations: [\"*/read\"]",
            "paths: [/a?b]",
            "rules[0].match.paths[0] (line 11, column 62): expected a path pattern that starts with `/`, such as `/v1/models/*` or `/v1/**`, found `?` or `#`: a path is matched without its query; did you mean `/a`?",
        ),
        (
            "operations: [\"*/read\"]",
            "methods: [get]",
            "rules[0].match.methods[0] (line 11, column 64): expected an HTTP method in upper case such as `GET`: did you mean `GET`?",
        ),
        (
            "request: GET https",
            "request: https",
            "tests[0].request (line 24, column 14): expected a method and a URL, as in `GET https://api.example.com/v1/models`",
        ),
        (
            "request: GET https",
            "request: GET ftp",
            "tests[0].request (line 24, column 14): expected a method and a URL, as in `GET https://api.example.com/v1/models`; The path is ambiguous: it is not an http or https URL.",
        ),
        (
            "secrets/*\"",
            "secrets\"",
            "masking[0].detectors[0] (line 21, column 34): no detector is called `secrets`; expected `secrets/*`, or the name of one such as `secrets/github-pat`",
        ),
    ] {
        check(from, to, &[expected]);
    }
}

#[test]
fn detectors_exist() {
    check(
        "secrets/*\"",
        "secrets/githb-pat\"",
        &[
            "masking[0].detectors[0] (line 21, column 34): no detector is called `secrets/githb-pat`; did you mean `secrets/github-pat`?",
        ],
    );
}

const RULE: &str =
    r#"  - { name: secrets, detectors: ["secrets/*"], on: [response], action: mask }"#;

#[test]
fn a_masking_rule_says_what_to_look_for_and_only_what_its_action_can_do() {
    let rule = |rule: &str, expected: &str| check(RULE, &format!("  - {rule}"), &[expected]);
    rule(
        "{ name: m, on: [response] }",
        "masking[0] (line 21, column 5): this rule looks for nothing: expected `detectors`, as in `detectors: [\"secrets/*\"]`, or `keys`",
    );
    rule(
        "{ name: m, detectors: [], on: [response] }",
        "masking[0].detectors (line 21, column 16): expected at least one entry",
    );
    rule(
        "{ name: m, detectors: [secrets/jwt], on: [response], action: blok }",
        "masking[0].action (line 21, column 66): expected `mask`, `block` or `report`, found \"blok\"; did you mean `block`?",
    );
    rule(
        "{ name: m, detectors: [secrets/jwt], on: [response], action: block, keep: 4 }",
        "masking[0].keep (line 21, column 79): `keep` is only for `action: mask`, and this rule's action is `block`",
    );
    for keep in [0, 17, 200] {
        rule(
            &format!("{{ name: m, detectors: [secrets/jwt], on: [response], keep: {keep} }}"),
            &format!(
                "masking[0].keep (line 21, column 64): expected a number from 1 to 16, found {keep}; leave the key out to show nothing"
            ),
        );
    }
    rule(
        "{ name: m, detectors: [secrets/jwt], on: [request], action: report, restore: true }",
        "masking[0].restore (line 21, column 82): `restore` is only for `action: mask`, and this rule's action is `report`",
    );
    rule(
        "{ name: m, detectors: [secrets/jwt], on: [request, response], restore: true }",
        "masking[0].restore (line 21, column 76): `restore` gives back in the answer what was masked in the request: expected `on: [request]`; write another rule for responses",
    );
}

#[test]
fn keys_are_the_default_ones_or_a_list_of_names() {
    let keys = |keys: &str, expected: &str| {
        check(
            RULE,
            &format!("  - {{ name: m, keys: {keys}, on: [response] }}"),
            &[expected],
        );
    };
    for good in ["default", "[password]", "[client_secret, x-api-key]"] {
        keys(good, "nothing is wrong");
    }
    keys(
        "usual",
        "masking[0].keys (line 21, column 22): expected a list of keys, as in `[password, client_secret]`, or `default`, found \"usual\"",
    );
    keys(
        "[]",
        "masking[0].keys (line 21, column 16): expected at least one key: leave `keys` out for none",
    );
    keys(
        "[default, acme]",
        "masking[0].keys[0] (line 21, column 23): `default` stands for itself in a list; write `keys: default` in a rule of its own to add the usual keys",
    );
    keys(
        "[client_secret, clientSecret]",
        "masking[0].keys[1] (line 21, column 38): the key `clientSecret` is there already: case, `-`, `_`, `.` and spaces do not count",
    );
    keys(
        "['a/b']",
        "masking[0].keys[0] (line 21, column 23): expected a key of 1 to 64 letters, digits, `.`, `_`, `-` or spaces, found `a/b`",
    );
}

/// What is said of these detectors where a rule chooses all of them.
#[track_caller]
fn own(detectors: &str, expected: &[&str]) {
    check(
        "masking:\n  - { name: secrets, detectors: [\"secrets/*\"]",
        &format!("{detectors}\nmasking:\n  - {{ name: secrets, detectors: [\"custom/*\"]"),
        expected,
    );
}

#[test]
fn a_detector_of_ones_own_has_a_name_in_its_group_and_a_use() {
    let named = |name: &str, expected: &[&str]| {
        own(
            &format!(
                "detectors:\n  - {{ name: {name}, regex: 'acme_[a-z0-9]{{32}}' }}\n  - {{ name: custom/other, regex: 'other_[a-z0-9]{{32}}' }}"
            ),
            expected,
        );
    };
    named("custom/acme-token", &["nothing is wrong"]);
    let rule = "expected `custom/` and then 1 to 63 of `a-z`, `0-9`, `.`, `_` or `-`, beginning with a letter or digit";
    let at = "detectors[0].name (line 21, column 13): ";
    for (name, meant) in [
        ("acme", "acme"),
        ("secrets/github-pat", "github-pat"),
        ("custom/ACME", "acme"),
    ] {
        named(
            name,
            &[&format!("{at}{rule}; did you mean `custom/{meant}`?")],
        );
    }
    named("custom/a b", &[&format!("{at}{rule}")]);
    named(
        "custom/other",
        &[
            "detectors[1].name (line 22, column 13): the name `custom/other` is taken by detectors[0]; expected a unique one",
        ],
    );
    check(
        "masking:",
        "detectors:\n  - { name: custom/acme, regex: 'acme_[a-z0-9]{32}' }\nmasking:",
        &[
            "detectors[0] (line 21, column 5): no masking rule chooses `custom/acme`, so it would find nothing; choose it, for example with `detectors: [\"custom/*\"]`",
        ],
    );
    check(
        "secrets/*\"",
        "custom/acme\"",
        &[
            "masking[0].detectors[0] (line 21, column 34): no detector is called `custom/acme`; this document has no `detectors` of its own",
        ],
    );
    check(
        "masking:",
        "detectors_allow:\n  - stopwords: [example]\nmasking:",
        &[
            "detectors_allow (line 20, column 1): this is about the document's own `detectors`, and there are none; the built-in ones do not ask it",
        ],
    );
}

#[test]
fn every_pattern_that_cannot_be_compiled_is_named_with_its_place() {
    let text = GOOD.replacen(
        "masking:\n  - { name: secrets, detectors: [\"secrets/*\"]",
        "detectors:\n  - { name: custom/a, regex: 'acme_[a-z0-9' }\n  - { name: custom/b, regex: 'acme_[a-z0-9]{32}' }\n  - name: custom/c\n    regex: '(?<=x)acme_[a-z0-9]{32}'\nmasking:\n  - { name: secrets, detectors: [\"custom/*\"]",
        1,
    );
    let told = told(&text);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 2, "{told}");
    assert!(
        lines[0].starts_with("detectors[0].regex (line 21, column 30): "),
        "{told}"
    );
    assert!(
        lines[1].starts_with("detectors[2].regex (line 24, column 12): "),
        "{told}"
    );
}

#[test]
fn text_that_is_no_policy_is_told_from_one_that_has_a_fault() {
    let no_map = "line 1, column 1: expected a map that begins with `apiVersion: chaperone/v1`";
    for (text, expected) in [
        ("", no_map),
        ("[]", no_map),
        ("hello", no_map),
        (
            "a: 1\n---\nb: 2",
            "line 2, column 1: expected one document, found a second one after `---`",
        ),
        (
            "rules: [a, b\nfoo: bar: baz",
            "line 2, column 4: not valid YAML: illegal placement of ':' indicator",
        ),
        (
            "apiVersion: !foo bar",
            "line 1, column 18: not valid YAML: unsupported tag `!foo`",
        ),
        (
            "{ \"a\": [1, }",
            "line 1, column 12: not valid JSON: expected value",
        ),
    ] {
        assert_eq!(told(text), expected, "{text:?}");
    }
    check(
        "    approve: { by: [sre] }",
        "    <<: { by: x }",
        &["line 19, column 5: merge keys (`<<`) are not supported: write out what they stand for"],
    );
}

#[test]
fn documents_that_grow_while_they_are_read_are_stopped() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let again = vec![format!("*a{}", n - 1); 10].join(", ");
        laughs.push_str(&format!("a{n}: &a{n} [{again}]\n"));
    }
    assert_eq!(
        told(&laughs),
        "line 5, column 45: aliases (`*name`) stand for more than a policy may hold"
    );
    assert!(told(&format!("a: {}", "[".repeat(100_000))).contains("not valid YAML"));
    assert!(
        parse_json("[".repeat(100_000).as_bytes())
            .unwrap_err()
            .to_string()
            .contains("expected lists and maps in at most")
    );
    let large = format!("#{}", "x".repeat(MAX_DOCUMENT_BYTES));
    assert_eq!(
        told(&large),
        "expected a document of at most 1048576 bytes, found 1048577"
    );
    assert!(parse_json(large.as_bytes()).is_err());
}

#[test]
fn an_alias_is_read_as_what_it_stands_for() {
    let text = GOOD
        .replacen("groups: [platform], op", "groups: &team [platform], op", 1)
        .replacen(
            "      groups:\n        - platform\n",
            "      groups: *team\n",
            1,
        );
    assert_eq!(parse(&text).unwrap(), parse(GOOD).unwrap());
}

#[test]
fn json_has_the_same_refusals_as_yaml() {
    let good = serde_json::to_string(&parse(GOOD).unwrap()).unwrap();
    assert!(parse_json(good.as_bytes()).is_ok());
    for (from, to, expected) in [
        (
            r#""groups":["platform"]"#,
            r#""goups":["platform"]"#,
            "rules[0].match.goups: unknown key `goups`; did you mean `groups`?",
        ),
        (
            r#""groups":["platform"]"#,
            r#""groups":[]"#,
            "rules[0].match.groups: expected at least one entry: leave the key out to match anything",
        ),
        (
            r#""groups":["platform"]"#,
            r#""groups":null"#,
            "rules[0].match.groups: expected a list, found nothing",
        ),
        (
            r#""effect":"allow""#,
            r#""effect":"allow","when":"true""#,
            "rules[0].when: conditions (`when`) are not supported yet: say it with `match`, or leave the rule out",
        ),
    ] {
        let text = good.replacen(from, to, 1);
        assert_eq!(
            parse_json(text.as_bytes()).unwrap_err().to_string(),
            expected
        );
        let (place, message) = expected.split_once(": ").unwrap();
        let told = told(&text);
        assert!(
            told.starts_with(&format!("{place} (line 1, column ")) && told.ends_with(message),
            "{told}"
        );
    }
}
