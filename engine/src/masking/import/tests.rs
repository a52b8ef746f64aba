//! What becomes of rules.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

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
