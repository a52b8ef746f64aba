//! What a document can be enforced with, and was probably not meant.

use crate::policy::{Draft, parse_draft, parse_json, parse_published};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const HEAD: &str = r#"apiVersion: chaperone/v1
issuers:
  - { issuer: "https://idp.example.com", audiences: [chaperone] }
connections:
  - { name: arm, hosts: [management.azure.com], protocol: azure-arm, labels: { env: prod } }
  - { name: api, hosts: [api.example.com, "*.api.example.com"], protocol: http, labels: { env: prod } }
"#;

/// What is said of a document with these rules: errors, then warnings.
fn said_of(rules: &str, more: &str) -> (Vec<String>, Vec<String>) {
    said(&format!("{HEAD}rules:\n{rules}\n{more}"))
}

fn said(text: &str) -> (Vec<String>, Vec<String>) {
    let lines = |list: &[crate::policy::PolicyError]| -> Vec<String> {
        list.iter()
            .map(|fault| format!("{}: {}", fault.path, fault.message))
            .collect()
    };
    match parse_draft(text, None) {
        Ok(Draft { warnings, .. }) => (Vec::new(), lines(&warnings)),
        Err(errors) => (
            lines(&errors.iter().cloned().collect::<Vec<_>>()),
            Vec::new(),
        ),
    }
}

/// One rule with this match and effect.
fn rule(wanted: &str, effect: &str) -> String {
    let approve = if effect == "approve" {
        ", approve: { by: [sre] }"
    } else {
        ""
    };
    format!("  - {{ name: r, match: {{ {wanted} }}, effect: {effect}{approve} }}")
}

#[track_caller]
fn error(wanted: &str, parts: &[&str]) {
    let (errors, _) = said_of(&rule(wanted, "allow"), "");
    assert_eq!(errors.len(), 1, "{wanted}: {errors:?}");
    for part in parts {
        assert!(errors[0].contains(part), "{wanted}: {part:?} in {errors:?}");
    }
}

#[track_caller]
fn warning(wanted: &str, effect: &str, parts: &[&str]) {
    let (errors, warnings) = said_of(&rule(wanted, effect), "");
    assert!(errors.is_empty(), "{wanted}: {errors:?}");
    assert_eq!(warnings.len(), 1, "{wanted}: {warnings:?}");
    for part in parts {
        assert!(
            warnings[0].contains(part),
            "{wanted}: {part:?} in {warnings:?}"
        );
    }
}

#[track_caller]
fn nothing(wanted: &str, effect: &str) {
    let (errors, warnings) = said_of(&rule(wanted, effect), "");
    assert!(
        errors.is_empty() && warnings.is_empty(),
        "{wanted}: {errors:?} {warnings:?}"
    );
}

#[test]
fn an_operation_that_the_protocol_never_has_is_an_error_with_what_was_meant() {
    for (wanted, parts) in [
        (
            "connections: [api], operations: [Microsoft.Storage/storageAccounts/read]",
            [
                "operations of `http` are the method and the path",
                "`methods: [GET, HEAD]`",
            ],
        ),
        (
            "connections: [api], operations: [GET]",
            [
                "rules[0].match.operations[0]",
                "did you mean `methods: [GET]`",
            ],
        ),
        (
            "connections: [api], operations: [/v1/models]",
            ["like `/v1/models`", "did you mean `paths: [/v1/models]`"],
        ),
        (
            "connections: [api], operations: [\"GET /v1/models/\"]",
            ["like `GET /v1/models/`", "did you mean `GET /v1/models`"],
        ),
        (
            "connections: [api], operations: [\"GET v1/models\"]",
            ["like", "did you mean `GET /v1/models`"],
        ),
        (
            "connections: [api], operations: [\"GET /v1/%6dodels\"]",
            ["like", "did you mean `GET /v1/models`"],
        ),
        (
            "connections: [api], operations: [\"GET /v1//models\"]",
            ["like", "`methods: [GET]`"],
        ),
        (
            "connections: [api], operations: [\"GET /v1/models?x=1\"]",
            ["like", "did you mean `GET /v1/models`"],
        ),
        (
            "connections: [api], operations: [\"POST https://api.example.com/v1/x\"]",
            ["like", "did you mean `POST /v1/x`"],
        ),
        (
            "connections: [arm], operations: [\"*/get\"]",
            [
                "operations of `azure-arm` are Azure RBAC actions",
                "did you mean `*/read`",
            ],
        ),
        (
            "connections: [arm], operations: [\"*/create\"]",
            ["like", "did you mean `*/write`"],
        ),
        (
            "connections: [arm], operations: [Microsoft.Storage/storageAccounts]",
            ["like", "did you mean `Microsoft.Storage/storageAccounts/*`"],
        ),
        (
            "connections: [arm], operations: [Microsoft.Storage/storageAccounts/listKeys]",
            [
                "like",
                "did you mean `Microsoft.Storage/storageAccounts/listKeys/action`",
            ],
        ),
        (
            "connections: [arm], operations: [\"GET /subscriptions/*\"]",
            ["like", "`methods: [GET]` and `paths: [/subscriptions/*]`"],
        ),
        (
            "connections: [arm], operations: [GET]",
            ["like", "did you mean `methods: [GET]`"],
        ),
        (
            "hosts: [management.azure.com], operations: [\"GET /x\"]",
            ["like", "azure-arm"],
        ),
    ] {
        error(wanted, &parts);
    }
    // Each entry of a list for itself, also beside good ones.
    let (errors, _) = said_of(
        &rule(
            "connections: [arm], operations: [\"*/read\", \"*/list\", \"*/put\"]",
            "deny",
        ),
        "",
    );
    let places: Vec<&str> = errors.iter().filter_map(|e| e.split(": ").next()).collect();
    assert_eq!(
        places,
        [
            "rules[0].match.operations[1]",
            "rules[0].match.operations[2]"
        ]
    );
}

#[test]
fn an_operation_that_goes_with_none_of_the_other_dimensions_is_an_error() {
    for (wanted, other) in [
        (
            "connections: [arm], methods: [GET], operations: [\"*/write\"]",
            "`methods`",
        ),
        (
            "connections: [arm], methods: [OPTIONS], operations: [\"*/read\"]",
            "`methods`",
        ),
        (
            "connections: [api], methods: [GET], operations: [\"POST /v1/*\"]",
            "`methods`",
        ),
        (
            "connections: [api], paths: [\"/v1/**\"], operations: [\"GET /v2/*\"]",
            "`paths`",
        ),
        (
            "connections: [api], paths: [\"/v1/*\"], methods: [GET], operations: [\"GET /v1\"]",
            "`methods` and `paths`",
        ),
    ] {
        error(wanted, &["is one of this rule's", other, "all dimensions"]);
    }
}

#[test]
fn operations_that_requests_have_are_let_alone() {
    for wanted in [
        "operations: [\"*\"]",
        "operations: [\"*/read\", \"*/write\", \"*/delete\", \"*/action\"]",
        "connections: [arm], operations: [\"*/read\", \"Microsoft.Storage/*\", \"unknown/*\", unknown/http-post]",
        "connections: [arm], methods: [GET], operations: [\"*/listKeys/action\"]",
        "connections: [arm], methods: [OPTIONS], operations: [\"unknown/*\"]",
        "connections: [arm], operations: [\"microsoft.storage/STORAGEACCOUNTS/READ\", \"*metrics:getBatch*\"]",
        "connections: [api], operations: [\"GET /\", \"GET /v1/*\", \"* /v1/models\", \"get /V1/x\", \"*/v1/files/*\", \"DELETE *\"]",
        "connections: [api], operations: [\"GET /v1/a%20b\", \"GET /v1/%C3%A9\", \"GET /a%3Bb\", \"GET /v1.0/.hidden\"]",
        "connections: [api], methods: [GET], paths: [\"/v1/**\"], operations: [\"* /v1/models\"]",
        "connections: [api], paths: [\"/**/x/*\"], operations: [\"GET /a/b/x/y\"]",
        "labels: { env: prod }, operations: [\"GET /v1/*\", \"*/read\"]",
    ] {
        nothing(wanted, "allow");
    }
}

#[test]
fn an_azure_operation_on_an_http_connection_is_only_about_paths_that_end_so() {
    for (operation, methods) in [
        ("*/read", "GET, HEAD"),
        ("*/delete", "DELETE"),
        ("*/write", "PUT, PATCH"),
    ] {
        warning(
            &format!("connections: [api], operations: [\"{operation}\"]"),
            "deny",
            &[
                "only about paths that end in",
                &format!("did you mean `methods: [{methods}]`?"),
            ],
        );
    }
}

#[test]
fn callers_are_no_patterns() {
    for (wanted, parts) in [
        (
            "groups: [\"dev-*\"]",
            [
                "rules[0].match.groups[0]: a group is compared exactly",
                "name each group",
            ],
        ),
        (
            "groups: [\"*\"]",
            ["no caller's group is `*`", "leave `groups` out"],
        ),
        (
            "subjects: [\"*@example.com\"]",
            [
                "a subject is compared exactly",
                "let `groups` say who they are",
            ],
        ),
        ("agents: [\"claude*\"]", ["an agent", "`claude*`"]),
        (
            "groups: [\"${TEAM}\"]",
            ["`${TEAM}` was not filled in", "write the group"],
        ),
        (
            "groups: [\"{{ .Values.group }}\"]",
            ["was not filled in", "group"],
        ),
    ] {
        error(wanted, &parts[1..]);
        if parts[0].starts_with("rules") {
            error(wanted, &parts[..1]);
        }
    }
    warning(
        "groups: [\"^dev$\"]",
        "allow",
        &["no regular expression", "`dev`"],
    );
    warning(
        "groups: [\"dev, ops\"]",
        "deny",
        &["one group with a comma", "`[dev, ops]`"],
    );
    nothing(
        "groups: [\"CN=dev,OU=groups,DC=example\", Domain Admins], subjects: [ada@example.com]",
        "deny",
    );
    let approvers =
        "  - { name: r, match: { any: true }, effect: approve, approve: { by: [\"sre-*\"] } }";
    let (errors, _) = said_of(approvers, "");
    assert!(
        errors[0].starts_with("rules[0].approve.by[0]: a group is compared exactly"),
        "{errors:?}"
    );
}

#[test]
fn a_prefix_of_another_program_is_no_prefix_here() {
    for (path, parts) in [
        (
            "/v1/files*",
            [
                "within one segment only, so `/v1/files/1` is not denied",
                "`/v1/files/**`",
            ],
        ),
        (
            "/admin/",
            [
                "`/admin/` matches that one path",
                "did you mean `/admin/**`?",
            ],
        ),
        (
            "/v1/files/*",
            [
                "exactly one more segment, so `/v1/files/1/2` is not denied",
                "`/v1/files/**`",
            ],
        ),
        ("/admin%2D*", ["within one segment only", "`/admin-/**`"]),
    ] {
        warning(&format!("paths: [\"{path}\"]"), "deny", &parts);
    }
    warning(
        "paths: [/admin/]",
        "approve",
        &["`/admin/1` needs no approval", "`/admin/**`"],
    );
    // Where all of it is matched anyway, and where a narrow rule only leaves something out.
    nothing("paths: [\"/v1/files*\", \"/v1/files/**\"]", "deny");
    nothing("paths: [\"/v1/files/*\", \"/v1/**\"]", "deny");
    nothing("paths: [/admin/, \"/v1/files/*\"]", "allow");
    for (path, meant) in [
        ("/v1/files/{id}", "`/v1/files/*`"),
        ("/v1/files/:id/content", "`/v1/files/*/content`"),
        ("/v1/.*", "`/v1/**`"),
    ] {
        warning(
            &format!("paths: [\"{path}\"]"),
            "allow",
            &["did you mean", meant],
        );
    }
    nothing(
        "paths: [\"/v1/models/gemini:generateContent\", /.well-known/x]",
        "deny",
    );
}

#[test]
fn methods_that_nobody_sends() {
    warning(
        "methods: [PSOT]",
        "deny",
        &["no registered HTTP method", "did you mean `POST`?"],
    );
    warning("methods: [READ]", "deny", &["did you mean `GET`?"]);
    warning("methods: [ANY]", "deny", &["leave `methods` out"]);
    error(
        &format!("methods: [{}]", "A".repeat(40)),
        &["more than 32 bytes"],
    );
    for method in ["TRACE", "TRACK", "DEBUG"] {
        let said = format!("no request can have the method `{method}`");
        error(&format!("methods: [GET, {method}]"), &["methods[1]", &said]);
        error(
            &format!("connections: [api], operations: [\"GET /a\", \"{method} /**\"]"),
            &["operations[1]", &said],
        );
    }
    error(
        "connections: [arm], operations: [unknown/http-trace]",
        &["operations[0]", "the method `TRACE`"],
    );
    nothing("methods: [GET, PROPFIND, QUERY]", "deny");
    nothing(
        "connections: [arm], operations: [\"unknown/http-*\"]",
        "deny",
    );
}

#[test]
fn a_rule_that_another_one_makes_idle_is_told_which() {
    let two = |first: &str, second: &str| said_of(&format!("{first}\n{second}"), "").1;
    let named = |name: &str, wanted: &str, effect: &str| {
        rule(wanted, effect).replace("name: r", &format!("name: {name}"))
    };
    let deny = named("closed", "paths: [\"/v1/files/**\"]", "deny");
    for (idle, said) in [
        (
            named(
                "open",
                "connections: [api], groups: [dev], paths: [\"/v1/files/*/content\", /v1/files]",
                "allow",
            ),
            "rules[0]: this rule never decides: rule `closed` denies all",
        ),
        (
            named("ask", "paths: [\"/v1/files/**\"]", "approve"),
            "rules[0]: this rule never decides: rule `closed` denies all",
        ),
    ] {
        let warnings = two(&idle, &deny);
        assert!(warnings.iter().any(|w| w.starts_with(said)), "{warnings:?}");
    }
    for open in [
        named("open", "paths: [\"/v1/**\"]", "allow"),
        named("open", "paths: [\"/**/files/**\"]", "allow"),
        named("open", "groups: [dev]", "allow"),
        named("open", "paths: [\"/v1/files/**\", /v2]", "allow"),
    ] {
        assert_eq!(two(&open, &deny), Vec::<String>::new(), "{open}");
    }
    let ask = named("ask", "connections: [arm]", "approve");
    let warnings = two(
        &named(
            "open",
            "connections: [arm], operations: [\"*/read\"]",
            "allow",
        ),
        &ask,
    );
    assert!(
        warnings[0].contains("rule `ask` asks a human about all"),
        "{warnings:?}"
    );
    let special = named(
        "special",
        "connections: [arm], operations: [\"*/delete\"]",
        "approve",
    )
    .replace("[sre]", "[security]");
    let warnings = two(&ask, &special);
    assert!(
        warnings[0].starts_with("rules[1]")
            && warnings[0].contains("put the more special rule first"),
        "{warnings:?}"
    );
    assert_eq!(two(&special, &ask), Vec::<String>::new());
    let again = named("again", "connections: [arm], groups: [dev]", "allow");
    let warnings = two(&named("first", "connections: [arm]", "allow"), &again);
    assert!(
        warnings[0].contains("`first` stands before it, does the same"),
        "{warnings:?}"
    );
    let recorded = again.replace("effect: allow", "effect: allow, audit: required");
    assert_eq!(
        two(&named("first", "connections: [arm]", "allow"), &recorded),
        Vec::<String>::new()
    );
}

/// `*.apps.example.com` means every host below the domain, and never the domain itself.
#[test]
fn a_single_host_is_nothing_beside_all_hosts_below_it() {
    let with = |wanted: &str, effect: &str| {
        let document = format!(
            "{HEAD}rules:\n  - {{ name: a, match: {{ connections: [apps] }}, effect: allow }}\n{}\n",
            rule(wanted, effect)
        );
        said(
            &document
                .replacen(
                    "hosts: [api.example.com, \"*.api.example.com\"]",
                    "hosts: [\"*.apps.example.com\"]",
                    1,
                )
                .replace("name: api", "name: apps"),
        )
    };
    let (errors, _) = with("hosts: [apps.example.com]", "deny");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].starts_with("rules[1].match.hosts[0]: `apps.example.com` is no host of"),
        "{errors:?}"
    );
    for narrower in ["x.apps.example.com", "\"*.x.apps.example.com\""] {
        let said = with(&format!("hosts: [{narrower}]"), "deny");
        assert_eq!(said, (Vec::new(), Vec::new()), "{narrower}");
    }
    let (_, warnings) = with("hosts: [\"*.apps.example.com\"]", "deny");
    assert!(
        warnings[0].starts_with("rules[0]: this rule never decides"),
        "{warnings:?}"
    );
}

#[test]
fn terms_that_leave_nobody_the_time() {
    for (terms, place, part) in [
        (
            "hold: 0s, expires: 10s",
            "rules[0].approve.expires",
            "hardly anybody decides",
        ),
        (
            "hold: 0s, grant: 5s",
            "rules[0].approve.grant",
            "write `once`",
        ),
        (
            "hold: 1s",
            "rules[0].approve.hold",
            "`0s` gives the ticket at once",
        ),
    ] {
        let text =
            rule("any: true", "approve").replace("by: [sre]", &format!("by: [sre], {terms}"));
        let (errors, warnings) = said_of(&text, "");
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].starts_with(place) && warnings[0].contains(part),
            "{warnings:?}"
        );
    }
}

#[test]
fn issuers_whose_tokens_are_never_good() {
    let with = |issuer: &str| {
        said(&format!("{HEAD}rules: []\n").replacen(
            r#"{ issuer: "https://idp.example.com", audiences: [chaperone] }"#,
            issuer,
            1,
        ))
    };
    for (issuer, parts) in [
        (
            r#"{ issuer: "https://login.microsoftonline.com/{tenantid}/v2.0", audiences: [x] }"#,
            [
                "issuers[0].issuer: `{tenantid}` was not filled in",
                "one issuer for each tenant",
            ],
        ),
        (
            r#"{ issuer: "https://login.example.com/<TENANT>/", audiences: [x] }"#,
            ["issuers[0].issuer", "`<TENANT>`"],
        ),
        (
            r#"{ issuer: "https://a.example", audiences: ["api://*"] }"#,
            ["issuers[0].audiences[0]", "compared exactly"],
        ),
        (
            r#"{ issuer: "https://a.example", audiences: [x], jwks: { keys: [{ kty: oct, k: AAAA }, { kty: RSA }] } }"#,
            [
                "issuers[0].jwks.keys[0]: this key cannot be used",
                "every token of this issuer would be refused",
            ],
        ),
        (
            r#"{ issuer: "https://a.example", audiences: [x], jwks: { keys: [] } }"#,
            [
                "issuers[0].jwks.keys: there is no key",
                "leave `jwks` out to have the keys fetched",
            ],
        ),
        (
            r#"{ issuer: "https://a.example", audiences: [x], jwks: { key: [] } }"#,
            ["issuers[0].jwks", "one `keys` array"],
        ),
        (
            r#"{ issuer: "https://a.example", audiences: [x], claims: { groups: resource_access.my.app.roles } }"#,
            [
                "issuers[0].claims.groups: which of the dots",
                r"`resource_access.my\.app.roles`",
            ],
        ),
        (
            r#"{ issuer: "https://a.example", audiences: [x], claims: { agent: 'act\sub' } }"#,
            ["issuers[0].claims.agent", "only before a dot"],
        ),
    ] {
        let (errors, _) = with(issuer);
        for part in parts {
            assert!(
                errors.iter().any(|e| e.contains(part)),
                "{issuer}: {part:?} in {errors:?}"
            );
        }
    }
    for (issuer, part) in [
        (
            r#"{ issuer: "https://login.microsoftonline.com/common/v2.0", audiences: [x] }"#,
            "no token of Entra ID has `common`",
        ),
        (
            r#"{ issuer: "https://a.example", audiences: [x], claims: { groups: "$.realm_access.roles[*]" } }"#,
            "did you mean `realm_access.roles`?",
        ),
    ] {
        let (errors, warnings) = with(issuer);
        assert!(errors.is_empty(), "{errors:?}");
        assert!(
            warnings.iter().any(|w| w.contains(part)),
            "{issuer}: {warnings:?}"
        );
    }
}

#[test]
fn masking_rules_that_do_something_else_than_they_seem_to() {
    let masking =
        |rules: &str, masking: &str| said_of(rules, &format!("masking:\n  - {masking}")).1;
    let write = rule("connections: [api], methods: [PUT]", "allow");
    let mask = r#"{ name: m, detectors: ["secrets/*"], on: [request] }"#;
    for rules in [
        write.as_str(),
        &rule("connections: [api]", "allow"),
        &rule("connections: [arm], operations: [\"*/write\"]", "approve"),
        &rule("connections: [api], operations: [\"* /v1/*\"]", "allow"),
    ] {
        let warnings = masking(rules, mask);
        assert_eq!(warnings.len(), 1, "{rules}: {warnings:?}");
        assert!(
            warnings[0].starts_with("masking[0]: rule `r` lets agents write to"),
            "{warnings:?}"
        );
        assert!(
            warnings[0].contains("`action: block` refuses such a request"),
            "{warnings:?}"
        );
    }
    for (rules, mask) in [
        (
            write.as_str(),
            r#"{ name: m, detectors: ["secrets/*"], on: [request], action: block }"#,
        ),
        (
            write.as_str(),
            r#"{ name: m, detectors: ["secrets/*"], on: [response] }"#,
        ),
        (
            &rule(
                "connections: [api], methods: [POST], paths: [/v1/chat/completions]",
                "allow",
            ),
            mask,
        ),
        (
            &rule("connections: [arm], operations: [\"*/read\"]", "allow"),
            mask,
        ),
        (&rule("connections: [api], methods: [PUT]", "deny"), mask),
    ] {
        assert_eq!(masking(rules, mask), Vec::<String>::new(), "{rules} {mask}");
    }
    let warnings = masking(
        &write,
        r#"{ name: m, detectors: ["secrets/*"], on: [response], connections: [arm] }"#,
    );
    assert!(
        warnings[0].contains("no rule lets anything through to `arm`"),
        "{warnings:?}"
    );
    let two = r#"{ name: all, detectors: ["secrets/*"], on: [response] }
  - { name: looser, detectors: [secrets/jwt], on: [response], action: report }"#;
    let warnings = masking(&write, two);
    assert!(
        warnings[0].starts_with("masking[1]") && warnings[0].contains("none loosens another"),
        "{warnings:?}"
    );
}

/// An upgrade must never keep a filter from the policy that it enforces, nor an operator from the
/// one that worked yesterday.
#[test]
fn what_is_reviewed_was_enforceable_and_stays_so() {
    let document = format!("{HEAD}rules:\n{}\n", rule("groups: [\"dev-*\"]", "allow"));
    assert!(parse_draft(&document, None).is_err());
    let draft = parse_published(&document, None).unwrap();
    assert_eq!(draft.warnings.len(), 1);
    assert!(draft.warnings[0].position.is_some());
    let json = serde_json::to_vec(&draft.policy).unwrap();
    assert_eq!(parse_json(&json).unwrap(), draft.policy);
}
