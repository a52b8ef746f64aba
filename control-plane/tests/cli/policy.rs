//! `chaperone policy validate` and `test`: what is wrong, and what was probably not meant.

use serde_json::Value;

use crate::{chaperone, files, stdout};

const HEAD: &str = r#"apiVersion: chaperone/v1
issuers:
  - { issuer: "https://issuer.example", audiences: [chaperone] }
connections:
  - { name: models, hosts: [api.example.com], protocol: http }
rules:
"#;

const HABIT: &str = "  - { name: no-admin, match: { paths: [/admin/] }, effect: deny }\n";

#[test]
fn what_was_probably_not_meant_is_a_warning_and_the_document_is_valid() {
    let (_dir, paths) = files(&[("policy.yaml", &format!("{HEAD}{HABIT}"))]);
    let sentence = "warning: rules[0].match.paths[0] (line 7, column 40): `/admin/` matches that one path, with and \
                    without the slash, so `/admin/1` is not denied by this rule; did you mean `/admin/**`?";
    for command in ["validate", "test"] {
        let told = chaperone(&["policy", command, &paths[0]], b"");
        assert!(told.status.success(), "{told:?}");
        assert!(
            stdout(&told).contains(sentence),
            "{command}: {}",
            stdout(&told)
        );
    }
    let told = chaperone(&["policy", "validate", "-o", "json", &paths[0]], b"");
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told[0]["valid"], true, "{told}");
    assert_eq!(told[0]["warnings"][0]["path"], "rules[0].match.paths[0]");
    assert_eq!(told[0]["warnings"][0]["line"], 7);
}

#[test]
fn one_run_names_every_mistake_and_a_good_document_gets_no_warning() {
    let bad = "  - { nam: a, match: { groups: [\"dev-*\"], methods: [get] }, effect: alow, audit: always }\n";
    let (_dir, paths) = files(&[
        ("bad.yaml", &format!("{HEAD}{bad}")),
        (
            "good.yaml",
            &format!("{HEAD}{}", HABIT.replace("/admin/", "\"/admin/**\"")),
        ),
    ]);
    let told = chaperone(&["policy", "validate", &paths[0]], b"");
    assert_eq!(told.status.code(), Some(1));
    let told = stdout(&told);
    for place in [
        "rules[0].nam ",
        "rules[0].match.methods[0] ",
        "rules[0].effect ",
        "rules[0].audit ",
    ] {
        assert!(told.contains(place), "{place}: {told}");
    }
    let told = chaperone(&["policy", "validate", &paths[1]], b"");
    assert!(
        told.status.success() && !stdout(&told).contains("warning"),
        "{told:?}"
    );
}
