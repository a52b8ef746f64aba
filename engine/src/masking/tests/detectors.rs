//! Every detector, case by case.

use super::{
    super::{Content, DetectorError, DetectorSet, Plan, mask_whole},
    cases::{ALNUM, Case, cases, filler, harmless},
    key, masked, replacement, whole,
};
use crate::masking::{
    catalogue,
    detectors::rule::{ContextStart, Lead},
    search::{
        automaton::{Automaton, State},
        bytes::{Anchor, ByteSet},
    },
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
    let mut wrong = Vec::new();
    for case in cases() {
        for (before, after) in surroundings(&case) {
            let text = format!("{before}{}{after}", case.secret);
            let replacement = replacement(case.detector, &case.secret);
            let expected = format!("{before}{replacement}{after}");
            let found = masked(&text);
            if found != expected {
                wrong.push(format!("{text}\n  gives {found}\n  wanted {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
    let masked: Vec<_> = harmless()
        .iter()
        .map(|text| (text.clone(), masked(text)))
        .filter(|(text, masked)| text != masked)
        .collect();
    assert!(masked.is_empty(), "{masked:#?}");
}

#[test]
fn every_detector_has_a_case_a_source_and_a_name_of_its_own() {
    // Kubernetes' has its own tests: it looks for a place, not for a form.
    let tried: BTreeSet<_> = cases()
        .iter()
        .map(|c| c.detector)
        .chain(["secrets/kubernetes-secret-data"])
        .collect();
    let names: BTreeSet<_> = catalogue().iter().map(|d| d.name()).collect();
    assert_eq!(names.len(), catalogue().len());
    // Personal data has its own tests.
    let known: BTreeSet<_> = names
        .into_iter()
        .filter(|name| name.starts_with("secrets/"))
        .collect();
    assert_eq!(tried, known);
    assert!(known.len() >= 80, "{}", known.len());
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
    let cases = cases();
    for detector in catalogue() {
        let set = DetectorSet::compile(&[detector.name()]).unwrap();
        let set = Arc::new(Plan::masking(Arc::new(set)));
        for case in &cases {
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
    assert_eq!(names(&["secrets/github-*"]).len(), 7);
    assert_eq!(names(&["secrets/*", "pii/*"]).len(), catalogue().len());
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
    for selector in ["*", "", "pii/zzzzzzzzzzz", "secrets/zzzzzzzzzzzzzzzzz"] {
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
    let page = include_str!("../../../../docs/detectors.md");
    let rows: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("| `secrets/") || line.starts_with("| `pii/"))
        .collect();
    let wanted: Vec<_> = catalogue()
        .iter()
        .map(|detector| {
            let host = detector.source().split('/').nth(2).unwrap_or_default();
            format!(
                "| `{}` | {} | {} | [{}]({}) |",
                detector.name(),
                detector.description(),
                detector.severity(),
                host.trim_start_matches("www."),
                detector.source()
            )
        })
        .collect();
    assert!(
        rows == wanted,
        "the table in docs/detectors.md must read:\n{}",
        wanted.join("\n")
    );
    let is_secret = |line: &&&str| line.starts_with("| `secrets/");
    let secrets = rows.iter().filter(is_secret).count();
    let page = include_str!("../../../../docs/masking.md");
    assert!(
        page.contains(&format!("{secrets} kinds of secrets")),
        "docs/masking.md must say that there are {secrets} kinds of secrets"
    );
}

/// Discovery looks for anchors, but an anchor that the end of a chunk cuts is only followed by its
/// pattern. So a pattern that goes on where no anchor stands would find more in small chunks than
/// in the whole.
#[test]
fn every_pattern_begins_with_one_of_its_anchors() {
    let mut wrong = Vec::new();
    for detector in catalogue() {
        for rule in detector.rules.iter() {
            let Lead::Fixed(lead) = rule.lead else {
                continue;
            };
            // What begins after the anchor cannot begin without it.
            if rule
                .context
                .as_ref()
                .is_some_and(|c| c.from == ContextStart::AnchorEnd)
            {
                continue;
            }
            let pattern = rule.context.as_ref().map_or(&rule.secret, |c| &c.pattern);
            let automaton = Automaton::compile(pattern).unwrap();
            let mut states = automaton.beginnings();
            for _ in 0..lead {
                states = automaton.after(&states, ByteSet::ALL);
            }
            let anchors: Vec<_> = rule.anchors.iter().collect();
            let mut text = Vec::new();
            if let Err(text) = follow(&automaton, &states, &anchors, &mut text) {
                wrong.push(format!("{}: {}", detector.name(), text.escape_ascii()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Follows the pattern while anchors are not complete; gives a text that it takes and none of them
/// begins.
fn follow(
    automaton: &Automaton,
    states: &[State],
    anchors: &[&Anchor],
    text: &mut Vec<u8>,
) -> Result<(), Vec<u8>> {
    for byte in automaton.followers(states).iter() {
        text.push(byte);
        let left: Vec<_> = anchors
            .iter()
            .copied()
            .filter(|anchor| anchor.agrees(text))
            .collect();
        if left.is_empty() {
            return Err(text.clone());
        }
        if left.iter().all(|anchor| anchor.sets().len() > text.len()) {
            let next = automaton.after(states, ByteSet::byte(byte));
            follow(automaton, &next, &left, text)?;
        }
        text.pop();
    }
    Ok(())
}
