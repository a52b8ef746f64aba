//! `chaperone detectors`.

use serde_json::{Value, json};

use super::{POLICY, chaperone, files, github, stderr, stdout};

#[test]
fn detectors_are_listed_with_those_of_a_policy() {
    let (_dir, paths) = files(&[("policy.yaml", POLICY)]);
    let output = chaperone(&["detectors", "list"], b"");
    let table = stdout(&output);
    assert!(table.starts_with("NAME "), "{table}");
    assert!(table.lines().count() > 20);

    let args = [
        "detectors",
        "list",
        "--json",
        "--policy",
        &paths[0],
        "custom/*",
    ];
    let listed: Value = serde_json::from_str(&stdout(&chaperone(&args, b""))).unwrap();
    assert_eq!(
        listed,
        json!([{ "name": "custom/acme", "severity": "critical", "description": "Acme token", "confirms": false }])
    );

    let output = chaperone(&["detectors", "list", "secrets/githb-pat"], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("did you mean `secrets/github-pat`?"));
}

#[test]
fn a_test_says_what_is_found_where_and_shows_no_secret_unless_asked() {
    let text = format!("first line\nä {} end", github());
    let output = chaperone(&["detectors", "test", &text], b"");
    assert!(output.status.success(), "{}", stderr(&output));
    let table = stdout(&output);
    let line = table.lines().nth(1).unwrap();
    assert!(line.starts_with("secrets/github-pat  2:3"), "{table}");
    assert!(
        line.contains("14..54") && line.contains("[masked:github-pat:"),
        "{table}"
    );
    assert!(!table.contains(&github()));

    let args = ["detectors", "test", "-o", "json", "--show-secrets", "-"];
    let finds: Value = serde_json::from_str(&stdout(&chaperone(&args, text.as_bytes()))).unwrap();
    assert_eq!(finds[0]["detector"], "secrets/github-pat");
    assert_eq!(finds[0]["ranges"], json!([{ "start": 14, "end": 54 }]));
    assert_eq!(finds[0]["secret"], github());

    let output = chaperone(&["detectors", "test", "nothing here"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "error: Nothing was found.\n");
}

#[test]
fn detectors_of_a_policy_or_of_a_file_can_be_tested() {
    let detectors = "detectors:\n  - { name: custom/other, regex: 'other_[a-z0-9]{12}' }\n";
    let (_dir, paths) = files(&[("policy.yaml", POLICY), ("other.yaml", detectors)]);
    let found = |option: &str, file: &str, text: &str| {
        let args = ["detectors", "test", "-o", "json", option, file, text];
        let finds: Value = serde_json::from_str(&stdout(&chaperone(&args, b""))).unwrap();
        finds[0]["detector"].as_str().map(str::to_owned)
    };
    let policy = |text: &str| found("--policy", &paths[0], text);
    assert_eq!(policy("acme_01234example ").as_deref(), Some("custom/acme"));
    assert_eq!(
        policy(r#"{"password": "hunter2"}"#).as_deref(),
        Some("keys/password")
    );
    assert_eq!(policy("other_01234example "), None);
    let file = |text: &str| found("--detector", &paths[1], text);
    assert_eq!(file("other_01234example ").as_deref(), Some("custom/other"));
    assert_eq!(file(&github()), None);
}

#[test]
fn a_file_with_faults_is_refused_with_their_places() {
    let (_dir, paths) = files(&[("d.yaml", "detectors:\n  - { name: custom/a, regex: '(' }\n")]);
    let output = chaperone(&["detectors", "test", "--detector", &paths[0], "text"], b"");
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("is not a valid list of detectors"), "{said}");
    assert!(
        said.contains("detectors[0].regex (line 2, column 30): "),
        "{said}"
    );
}

const GITLEAKS: &str = r#"
title = "rules of our own"

[allowlist]
paths = ['''\.lock$''']
stopwords = ["sample"]

[[rules]]
id = "acme-token"
description = "Acme's token"
regex = '''acme_([a-z0-9]{12})\b'''
secretGroup = 1
entropy = 2.0
keywords = ["acme_"]

[[rules]]
id = "key-file"
path = '''(?i)id_rsa$'''
"#;

#[test]
fn gitleaks_rules_become_detectors_that_a_policy_can_use() {
    let (dir, paths) = files(&[("gitleaks.toml", GITLEAKS)]);
    let to = dir.path().join("detectors.yaml");
    let to = to.to_str().unwrap();
    let output = chaperone(
        &["detectors", "import", &paths[0], "--to", to, "--check"],
        b"",
    );
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stdout(&output).starts_with("1 detectors, "),
        "{}",
        stdout(&output)
    );
    let notes = stderr(&output);
    assert!(notes.contains("key-file"), "{notes}");
    assert!(
        notes.lines().all(|line| line.starts_with("note: ")),
        "{notes}"
    );

    let find = |text: &str| chaperone(&["detectors", "test", "--detector", to, text], b"");
    let found = find("a acme_0123abcdexyz b");
    assert!(
        stdout(&found).contains("custom/acme-token  1:8"),
        "{}",
        stdout(&found)
    );
    assert_eq!(find("a acme_0sample3wxyz b").status.code(), Some(1));

    // Without options it is the YAML that comes out.
    let printed = stdout(&chaperone(&["detectors", "import", &paths[0]], b""));
    assert_eq!(printed, std::fs::read_to_string(to).unwrap());
    let policy = POLICY.replace(
        "detectors:\n  - { name: custom/acme, ",
        &format!("{printed}  - {{ name: custom/acme, "),
    );
    let shared = policy.find("detectors_allow").unwrap();
    let rest = policy[shared..].find("  - { name: custom/acme").unwrap() + shared;
    let policy = format!(
        "{}{}{}",
        &policy[..shared],
        &policy[rest..],
        &policy[shared..rest]
    );
    let (_dir, paths) = files(&[("policy.yaml", &policy)]);
    let output = chaperone(&["policy", "validate", &paths[0]], b"");
    assert!(output.status.success(), "{policy}{}", stderr(&output));
    assert!(
        stdout(&output).contains("MiB of compiled detectors"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn rules_that_cannot_be_used_fail_an_import_unless_they_may_be_skipped() {
    let bad = "[[rules]]\nid = 'much'\nregex = '[a-z]{30}'\n";
    let some = format!("{bad}[[rules]]\nid = 'good'\nregex = 'acme_[a-z]{{9}}'\n");
    let import = |options: &[&str], rules: &str| {
        let arguments = [&["detectors", "import", "-"], options].concat();
        chaperone(&arguments, rules.as_bytes())
    };

    let output = import(&[], &some);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), "");
    let said = stderr(&output);
    assert!(
        said.contains("note: The rule custom/much is left out: "),
        "{said}"
    );
    assert!(said.contains("1 of 2 rules of - cannot be used"), "{said}");
    assert!(said.contains("--skip-unusable"), "{said}");

    let output = import(&["--skip-unusable"], &some);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("custom/good"),
        "{}",
        stdout(&output)
    );
    assert!(
        !stdout(&output).contains("custom/much"),
        "{}",
        stdout(&output)
    );

    // An empty list is no result that anybody wants.
    for rules in [bad, "[[rules]]\nid = 'files'\npath = 'a'\n"] {
        let output = import(&["--skip-unusable"], rules);
        assert_eq!(output.status.code(), Some(1), "{rules}");
        assert_eq!(stdout(&output), "");
        let said = stderr(&output);
        assert!(said.contains("No rule of - can be used"), "{said}");
    }
}

#[test]
fn what_is_no_gitleaks_configuration_is_refused() {
    let output = chaperone(&["detectors", "import", "-"], b"rules: []\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("error: Cannot import -: "),
        "{}",
        stderr(&output)
    );
}
