//! Rules are imported as they are meant, one at a time and all that gitleaks brings.

use std::{fs, path::Path};

use super::super::yaml;
use super::*;

#[test]
fn a_rule_becomes_a_detector() {
    let imported = import(
        r#"
        [[rules]]
        id = "acme-token"
        description = "Acme"
        regex = '''acme_(live|test)_([a-z0-9]{16})'''
        secretGroup = 2
        entropy = 3.2
        keywords = ["acme_"]
        [[rules.allowlists]]
        description = "documentation"
        condition = "AND"
        regexTarget = "line"
        regexes = ['''example''']
        stopwords = ["0000"]
        "#,
    )
    .unwrap();
    assert_eq!(imported.notes, Vec::<String>::new());
    assert_eq!(imported.refused, []);
    let allow = Allow {
        description: "documentation".to_owned(),
        regexes: vec!["example".to_owned()],
        stopwords: vec!["0000".to_owned()],
        on: AllowOn::Line,
        all: true,
    };
    let detector = CustomDetector {
        name: "custom/acme-token".to_owned(),
        description: "Acme".to_owned(),
        severity: Severity::High,
        regex: "acme_(live|test)_([a-z0-9]{16})".to_owned(),
        secret_group: Some(2),
        keywords: vec!["acme_".to_owned()],
        entropy: Some(3.2),
        allow: vec![allow],
    };
    assert_eq!(imported.detectors, [detector]);
}

#[test]
fn nothing_is_left_out_without_a_word() {
    let imported = import(
        r#"
        title = "ours"
        [extend]
        useDefault = true
        [allowlist]
        paths = ["a"]
        stopwords = ["example"]
        [[rules]]
        id = "Both_1"
        path = "b"
        regex = "acme_[a-z]{9}"
        tags = ["t"]
        skipReport = true
        colour = "red"
        [rules.allowlist]
        commits = ["c"]
        regexes = ["^acme_x"]
        [[rules.allowlists]]
        condition = "AND"
        paths = ["d"]
        regexes = ["e"]
        [[rules.allowlists]]
        regexTarget = "file"
        regexes = ["f"]
        [[rules.required]]
        id = "other"
        [[rules]]
        id = "files"
        path = "g"
        "#,
    )
    .unwrap();
    for said in [
        "[extend] (usedefault) is not followed",
        "top-level keys that say nothing of what is found are not kept: title",
        "`path` is not looked at",
        "tags are not kept",
        "`skipReport` is not looked at",
        "the key \"colour\" is not known",
        "`required` is not looked at",
        "`paths` and `commits` of an allowlist are not looked at (Both_1, the global allowlist)",
        "asks for a path or a commit AND for something else",
        "the regexTarget \"file\"",
        "rules without a regex are left out: they look at the names of files (files)",
        "the rule \"Both_1\" is called \"custom/both_1\"",
    ] {
        let notes = &imported.notes;
        assert!(
            notes.iter().any(|note| note.contains(said)),
            "{said}: {notes:#?}"
        );
    }
    assert_eq!(imported.notes.len(), 12);
    let [detector] = imported.detectors.as_slice() else {
        panic!("{:?}", imported.detectors)
    };
    assert_eq!(detector.allow.len(), 1);
    assert_eq!(imported.allow.len(), 1);
}

#[test]
fn keys_are_read_without_regard_to_case_and_names_are_kept_apart() {
    let two = import(
        "[[rules]]\nID = 'a'\nRegex = '(x)(acme_[a-z]{9})'\nSecretGroup = 2\n[[rules]]\nid = 'A'\nregex = 'zeta_[a-z]{9}'\n[[allowlists]]\ntargetRules = ['A', 'none']\nstopwords = ['example']\n",
    )
    .unwrap();
    let names: Vec<&str> = two.detectors.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["custom/a", "custom/a-2"]);
    assert_eq!(two.detectors[0].secret_group, Some(2));
    assert_eq!(two.detectors[0].allow.len(), 0);
    assert_eq!(two.detectors[1].allow.len(), 1);
    assert_eq!(two.allow.len(), 0);
    assert!(
        two.notes
            .iter()
            .any(|n| n.contains("targetRules that name no rule are not kept (none)"))
    );
}

#[test]
fn rules_that_cannot_run_are_refused_and_the_others_stay() {
    let imported = import(
        "[[rules]]\nid = 'a'\nregex = '[a-z]{30}'\n[[rules]]\nid = 'b'\nregex = 'acme_[a-z]{9}'\n[[rules]]\nid = 'c'\nregex = 'a('\n",
    )
    .unwrap();
    let refused: Vec<&str> = imported.refused.iter().map(|r| r.rule.as_str()).collect();
    assert_eq!(refused, ["custom/a", "custom/c"]);
    assert_eq!(imported.detectors.len(), 1);
}

#[test]
fn what_is_no_configuration_is_refused_with_its_line() {
    for (text, said) in [
        ("", "neither"),
        ("a = 1", "neither"),
        ("a = 1\nb = [", "line 2"),
        ("[[rules]]\nid = 3", "string"),
    ] {
        let error = import(text).unwrap_err().to_string();
        assert!(error.contains(said), "{text:?}: {error}");
    }
}

/// gitleaks' own default configuration, which `scripts/setup --tests` fetches: it is not part of
/// this repository.
fn default_configuration() -> Option<Imported> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/gitleaks.toml");
    match fs::read_to_string(&path) {
        Ok(text) => Some(import(&text).unwrap()),
        Err(error) => {
            // CI always has it; a checkout without network still has the tests beside this one.
            assert!(
                std::env::var_os("CI").is_none(),
                "{}: {error}",
                path.display()
            );
            eprintln!(
                "skipped: {} is not there, run scripts/setup --tests",
                path.display()
            );
            None
        }
    }
}

#[test]
fn all_rules_of_the_default_configuration_import() {
    let Some(imported) = default_configuration() else {
        return;
    };
    assert_eq!(imported.refused, []);
    assert_eq!(imported.detectors.len(), 221);
    assert_eq!(imported.allow.len(), 1);
    // One rule looks at names of files only, four at their paths as well, one allowlist cannot
    // apply.
    assert_eq!(imported.notes.len(), 5, "{:#?}", imported.notes);
}

#[test]
fn what_was_imported_can_be_written_into_a_policy() {
    let Some(imported) = default_configuration() else {
        return;
    };
    let written = yaml::detectors(&imported.detectors, &imported.allow);
    let read = chaperone_engine::policy::parse_detectors(&written).unwrap();
    assert_eq!(read.detectors, imported.detectors);
    assert_eq!(read.detectors_allow, imported.allow);
}
