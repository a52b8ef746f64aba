//! Each suggestion is good itself: whoever follows it is not told of the next mistake.

use crate::policy::{Draft, parse_draft};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const HEAD: &str = r#"apiVersion: chaperone/v1
issuers:
  - { issuer: "https://idp.example.com", audiences: [chaperone] }
connections:
  - { name: arm, hosts: [management.azure.com], protocol: azure-arm }
  - { name: api, hosts: [api.example.com, "*.api.example.com"], protocol: http }
rules:
"#;

/// What is said of one rule with this match: errors, then warnings.
fn said(wanted: &str, effect: &str) -> (Vec<String>, Vec<String>) {
    let text = format!("{HEAD}  - {{ name: r, match: {{ {wanted} }}, effect: {effect} }}\n");
    let lines = |list: &[crate::policy::PolicyError]| -> Vec<String> {
        list.iter().map(|fault| fault.message.clone()).collect()
    };
    match parse_draft(&text, None) {
        Ok(Draft { warnings, .. }) => (Vec::new(), lines(&warnings)),
        Err(errors) => {
            let all: Vec<_> = errors.iter().cloned().collect();
            (lines(&all), lines(errors.warnings()))
        }
    }
}

/// The match that a message suggests in place of `key: ["…"]`.
fn suggested(key: &str, message: &str) -> Option<String> {
    let (_, hint) = message.split_once("did you mean ")?;
    let hint = hint.trim_end_matches('?');
    let first = hint.strip_prefix('`')?.split('`').next()?;
    let quoted = |list: &str| {
        let items: Vec<String> = list.split(", ").map(|item| format!("\"{item}\"")).collect();
        items.join(", ")
    };
    if first.contains(": [") {
        // Other keys of the match.
        let keys = hint.split('`').filter(|part| part.contains(": ["));
        let keys: Vec<String> = keys
            .filter_map(|part| part.strip_suffix(']')?.split_once(": ["))
            .map(|(key, list)| format!("{key}: [{}]", quoted(list)))
            .collect();
        return Some(keys.join(", "));
    }
    match first
        .strip_prefix('[')
        .and_then(|list| list.strip_suffix(']'))
    {
        Some(list) => Some(format!("{key}: [{}]", quoted(list))),
        None => Some(format!("{key}: [\"{first}\"]")),
    }
}

#[test]
fn whoever_follows_a_suggestion_is_told_nothing_more() {
    let paths = [
        "^/admin",
        "^/admin$",
        "^/admin/.*$",
        "admin",
        "admin/",
        "/admin/",
        "/admin*",
        "/admin/*",
        "/admin/*/*",
        "/admin/**.php",
        "/admin**",
        "/a**b**",
        "/admin/***",
        "/**x",
        "/admin/[a-z]*",
        "/admin/[^/]+",
        "/a/.+",
        "/a/.*",
        "/a/.*/b",
        "/(admin|root)/**",
        "/users/$id",
        "/users/{id}",
        "/users/{id}/{id}",
        "/users/:id/x",
        "/users/<id>",
        "/a?b",
        "/a#b",
        "https://api.example.com/x?y=1",
        "https://api.example.com/a/../b",
        "(a|b)",
        "/a/../b/**x",
        "/admin/(.*)",
        "/v\\\\d+/x",
        "/**/",
        "/a/**/",
        "/admin/x*/",
        "/x/$",
        "/a/[0-9]+/",
    ];
    let operations = [
        "read",
        "Write",
        "list",
        "get",
        "GET",
        "*/list",
        "*/get",
        "/v1/x",
        "/v1//x",
        "GET /v1/x",
        "GET /v1//x",
        "GET v1/x",
        "GET /v1/x?y",
        "Microsoft.Storage",
        "Microsoft.Storage/storageAccounts",
        "Microsoft.Storage/storageAccounts/listKeys",
        "Microsoft.Storage/storageAccounts/read",
        "delete",
        "action",
    ];
    let callers = ["^dev$", "^(a|b)$", "^dev", "^$", "a, b", "a,", "^a.b$"];
    let mut lists: Vec<(&str, &str, String)> = Vec::new();
    for path in paths {
        lists.push(("paths", path, "connections: [api], ".into()));
    }
    for operation in operations {
        for connection in ["arm", "api"] {
            lists.push((
                "operations",
                operation,
                format!("connections: [{connection}], "),
            ));
        }
    }
    for key in ["groups", "subjects", "agents"] {
        lists.extend(callers.map(|caller| (key, caller, String::new())));
    }
    for method in ["get", "PSOT", "READ", "WRITE", "CREATE", "DELTE"] {
        lists.push(("methods", method, String::new()));
    }
    for host in [
        "https://api.example.com/x",
        "api.example.com:443",
        "api.example.com/x",
        "api.example.co",
    ] {
        lists.push(("hosts", host, "connections: [api], ".into()));
    }
    let mut followed = 0;
    for (key, value, rest) in &lists {
        for effect in ["allow", "deny"] {
            let (errors, warnings) = said(&format!("{rest}{key}: [\"{value}\"]"), effect);
            for message in errors.iter().chain(&warnings) {
                let Some(better) = suggested(key, message) else {
                    continue;
                };
                followed += 1;
                let after = said(&format!("{rest}{better}"), effect);
                assert_eq!(
                    after,
                    (Vec::new(), Vec::new()),
                    "{key} {value:?} {effect}: {message}\nfollowed: {better}"
                );
            }
        }
    }
    assert!(followed > 60, "{followed}");
}

#[test]
fn what_is_suggested_is_what_was_probably_meant() {
    for (key, value, effect, meant) in [
        ("paths", "^/admin", "deny", Some("`/admin`")),
        ("paths", "/admin/**.php", "deny", Some("`/admin/**/*.php`")),
        ("paths", "/admin/[a-z]*", "deny", Some("`/admin/**`")),
        ("paths", "/admin/[a-z]*", "allow", Some("`/admin/*`")),
        ("paths", "/a/.+", "allow", Some("`/a/**`")),
        ("paths", "/users/$id", "allow", Some("`/users/*`")),
        ("paths", "/(admin|root)/**", "deny", None),
        ("operations", "read", "allow", Some("`*/read`")),
    ] {
        let rest = if key == "operations" {
            "connections: [arm], "
        } else {
            ""
        };
        let (errors, warnings) = said(&format!("{rest}{key}: [\"{value}\"]"), effect);
        let all = [errors, warnings].concat();
        assert_eq!(all.len(), 1, "{value}: {all:?}");
        match meant {
            Some(meant) => assert!(
                all[0].ends_with(&format!("did you mean {meant}?")),
                "{all:?}"
            ),
            None => assert!(!all[0].contains("did you mean"), "{all:?}"),
        }
    }
}

#[test]
fn what_looks_odd_and_is_good_is_let_alone() {
    for path in [
        "/v1.0/$batch",
        "/users('ada')",
        "/users/$count",
        "/drive/root:/a",
        "/a.b/x",
        "/c++/x",
        "/admin/**/*",
        "/**/*",
        "/.well-known/**",
        "/a/**/*/*",
        "/admin/**/",
    ] {
        for effect in ["allow", "deny"] {
            assert_eq!(
                said(&format!("paths: [\"{path}\"]"), effect),
                (Vec::new(), Vec::new()),
                "{path} {effect}"
            );
        }
    }
}

#[test]
fn what_nobody_filled_in_is_an_error() {
    for caller in [
        "%TEAM%",
        "YOUR_GROUP",
        "<group>",
        "${TEAM}",
        "$TEAM",
        "$(TEAM)",
        "__TEAM__",
        "@@TEAM@@",
        "CHANGE_ME",
        "changeme",
    ] {
        for key in ["groups", "subjects", "agents"] {
            let (errors, _) = said(&format!("{key}: [\"{caller}\"]"), "allow");
            assert!(
                errors.len() == 1 && errors[0].contains("was not filled in"),
                "{caller}: {errors:?}"
            );
        }
    }
    let (errors, _) = said("subjects: [\"@example.com\"]", "allow");
    assert!(
        errors.len() == 1 && errors[0].contains("let `groups` say"),
        "{errors:?}"
    );
    for caller in [
        "100% real",
        "Your team",
        "a%20b%20c",
        "ops$",
        "MYTEAM",
        "dev_ops",
    ] {
        let (errors, _) = said(&format!("groups: [\"{caller}\"]"), "allow");
        assert_eq!(errors, Vec::<String>::new(), "{caller}");
    }
}
