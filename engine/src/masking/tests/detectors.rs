//! Every detector, case by case.

use super::{
    super::{Content, DetectorError, DetectorSet, Plan, catalogue, mask_whole},
    cases::{ALNUM, Case, cases, filler, harmless},
    key, masked, replacement, whole,
};
use std::{collections::BTreeSet, sync::Arc};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn surroundings(case: &Case) -> Vec<(String, String)> {
    let Case { before, after, .. } = case;
    let mut all = vec![
        (before.clone(), after.clone()),
        (
            format!("text \u{e9}\u{1f600} {before}"),
            format!("{after} more text"),
        ),
        (format!("\n{before}"), format!("{after}\n")),
        (format!("{{\"a\":\"x\\n{before}"), format!("{after}\"}}")),
        (format!("[{before}"), format!("{after}]")),
    ];
    if before.is_empty() {
        for (open, close) in [
            ("\"", "\""),
            ("'", "'"),
            ("`", "`"),
            ("TOKEN=", ""),
            ("key: ", ","),
            ("(", ")"),
            ("<t>", "</t>"),
            ("https://h/x?t=", "&y=1"),
            ("https://h/x?t%3D", "#f"),
            ("Authorization: Bearer ", "\r\n"),
            ("\\u0022", "\\u0022"),
        ] {
            all.push((open.to_owned(), close.to_owned()));
        }
    }
    if case.detector == "secrets/azure-client-secret" {
        // Recognised only after a keyword or what opens a value.
        all.retain(|(b, _)| !before.is_empty() || !b.ends_with([' ', '\n', '[']));
    }
    all
}

#[test]
fn each_secret_is_masked_whole_and_nothing_around_it() {
    for case in cases() {
        for (before, after) in surroundings(&case) {
            let text = format!("{before}{}{after}", case.secret);
            let expected = format!(
                "{before}{}{after}",
                replacement(case.detector, &case.secret)
            );
            assert_eq!(masked(&text), expected, "{}: {text}", case.detector);
        }
    }
}

#[test]
fn neighbouring_secrets_are_masked_one_by_one() {
    let cases = cases();
    for (one, two) in cases.iter().zip(cases.iter().skip(1)) {
        let text = format!(
            "{}{}{}, \"{}{}{}\"",
            one.before, one.secret, one.after, two.before, two.secret, two.after
        );
        let expected = format!(
            "{}{}{}, \"{}{}{}\"",
            one.before,
            replacement(one.detector, &one.secret),
            one.after,
            two.before,
            replacement(two.detector, &two.secret),
            two.after
        );
        assert_eq!(masked(&text), expected);
    }
}

#[test]
fn harmless_text_passes_as_it_is() {
    for text in harmless() {
        assert_eq!(masked(&text), text);
    }
}

#[test]
fn every_detector_has_a_case_a_source_and_a_name_of_its_own() {
    // Kubernetes' has its own tests: it looks for a place, not for a form.
    let tried: BTreeSet<_> = cases()
        .iter()
        .map(|c| c.detector)
        .chain(["secrets/kubernetes-secret-data"])
        .collect();
    let known: BTreeSet<_> = catalogue().iter().map(|d| d.name()).collect();
    assert_eq!(tried, known);
    assert_eq!(known.len(), catalogue().len());
    assert!(known.len() >= 30);
    for detector in catalogue() {
        assert!(
            detector.source().starts_with("https://"),
            "{}",
            detector.name()
        );
        assert!(
            detector
                .short_name()
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        );
    }
}

#[test]
fn a_detector_chosen_alone_finds_its_own_secrets_and_no_others() {
    for detector in catalogue() {
        let set = DetectorSet::compile(&[detector.name()]).unwrap();
        let set = Arc::new(Plan::masking(Arc::new(set)));
        for case in cases() {
            let text = format!("{}{}{}", case.before, case.secret, case.after);
            let (_, findings) = mask_whole(&set, &key(), &Content::text(), text.as_bytes());
            assert!(findings.iter().all(|(name, _)| name == detector.name()));
            if case.detector == detector.name() {
                assert_eq!(findings.total(), 1, "{text}");
            }
        }
    }
}

#[test]
fn right_checksums_are_counted_and_wrong_ones_are_masked_all_the_same() {
    let right = concat!("gh", "p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ", "0mLq17");
    let wrong = format!("ghp_{}", filler(36, ALNUM));
    let (_, findings) = whole(format!("{right} {wrong}"));
    let finding = findings.get("secrets/github-pat").unwrap();
    assert_eq!((finding.count, finding.confirmed), (2, 1));
}

#[test]
fn selectors_choose_by_name_or_by_beginning() {
    let names = |selectors: &[&str]| {
        let set = DetectorSet::compile(selectors).unwrap();
        set.detectors()
            .map(|d| d.name().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&["secrets/jwt", "secrets/jwt"]), ["secrets/jwt"]);
    assert_eq!(names(&["secrets/github-*"]).len(), 6);
    assert_eq!(names(&["secrets/*"]).len(), catalogue().len());
    assert_eq!(names(&[]).len(), 0);
}

#[test]
fn an_unknown_selector_is_an_error_that_names_what_was_perhaps_meant() {
    let error = DetectorSet::compile(&["secrets/githb-pat"]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("did you mean secrets/github-pat"),
        "{error}"
    );
    let error = DetectorSet::compile(&["secrets/jwt", "openai"]).unwrap_err();
    assert!(
        error.to_string().contains("secrets/openai-api-key"),
        "{error}"
    );
    for selector in ["*", "", "pii/*", "secrets/zzzzzzzzzzzzzzzzz"] {
        let error = DetectorSet::compile(&[selector]).unwrap_err();
        assert!(matches!(error, DetectorError::Unknown { .. }), "{error}");
    }
}

#[test]
fn the_compiled_set_is_small() {
    let memory = super::all().memory();
    assert!(memory < 2 << 20, "{memory} bytes");
}

#[test]
fn the_documentation_lists_every_detector_with_its_severity_and_source() {
    let page = include_str!("../../../../docs/masking.md");
    for detector in catalogue() {
        let begin = format!(
            "| `{}` | {} | {} | [",
            detector.name(),
            detector.description(),
            detector.severity()
        );
        let row = page.lines().find(|line| line.starts_with(&begin));
        assert!(
            row.is_some_and(|row| row.contains(detector.source())),
            "missing in docs/masking.md: {begin}"
        );
    }
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| `secrets/"))
        .count();
    assert_eq!(rows, catalogue().len());
}
