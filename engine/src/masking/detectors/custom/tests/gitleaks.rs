//! The rules of gitleaks' own default configuration. They are not part of this repository:
//! `scripts/test --only unit` fetches the configuration and has `chaperone detectors import` make
//! the detectors of it, so these tests see what a user of the import would publish.

use std::{fs, path::Path};

use regex_syntax::hir::Hir;

use super::{
    generated::{Dice, sample},
    *,
};
use crate::policy::{DetectorsFile, parse_detectors};

pub(super) fn imported() -> Option<DetectorsFile> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/gitleaks-detectors.yaml");
    match fs::read_to_string(&path) {
        Ok(text) => Some(parse_detectors(&text).unwrap()),
        Err(error) => {
            // CI always has it; a checkout without network still has the tests beside this one.
            assert!(
                std::env::var_os("CI").is_none(),
                "{}: {error}",
                path.display()
            );
            eprintln!(
                "skipped: {} is not there, run scripts/test --only unit",
                path.display()
            );
            None
        }
    }
}

#[test]
fn all_its_rules_compile_in_little_memory() {
    let Some(imported) = imported() else { return };
    assert_eq!(imported.detectors.len(), 221);
    let compiled = compile_custom(&imported.detectors, &imported.detectors_allow).unwrap();
    let set = DetectorSet::compile_with(&["custom/*"], &compiled).unwrap();
    assert!(set.memory() < 2 << 20, "{}", set.memory());
}

/// What its rules are for is found: texts that each of them matches, without its entropy and allow
/// lists, which a text of chance does not always satisfy.
#[test]
fn what_its_rules_match_is_masked_for_every_cut() {
    let Some(imported) = imported() else { return };
    for detector in imported.detectors {
        let bare = CustomDetector {
            entropy: None,
            allow: Vec::new(),
            ..detector
        };
        let plan = plan(std::slice::from_ref(&bare)).unwrap();
        let hir = syntax::parse(&bare.regex).unwrap();
        let keyword = bare.keywords.first().cloned().unwrap_or_default();
        let other = Lazy::forwards(&branch::without_groups(&hir)).unwrap();
        let samples = (0..400).map(|seed| text(&bare, &hir, &keyword, seed));
        // Assertions do not hold in every text of chance.
        let matching: Vec<_> = samples
            .filter(|(text, _)| other.finds(text))
            .take(4)
            .collect();
        assert_eq!(matching.len(), 4, "{}", bare.name);
        for (text, secret) in matching {
            let whole = masked(&plan, &[&text]);
            let shown = || {
                format!(
                    "{} {:?} -> {:?}",
                    bare.name,
                    String::from_utf8_lossy(&text),
                    String::from_utf8_lossy(&whole)
                )
            };
            assert!(whole.contains(&b'#'), "{}", shown());
            if secret.len() >= 8 {
                let leaked = memchr::memmem::find(&whole, &secret).is_some();
                assert!(!leaked, "{}", shown());
            }
            for cut in 1..text.len() {
                let cut_there = masked(&plan, &[&text[..cut], &text[cut..]]);
                assert_eq!(cut_there, whole, "{} cut at {cut}", bare.name);
            }
        }
    }
}

/// A text that the rule matches, and its secret as gitleaks says: the group, else the first that is
/// not empty, else all.
fn text(detector: &CustomDetector, hir: &Hir, keyword: &str, seed: u32) -> (Vec<u8>, Vec<u8>) {
    let mut text = format!("{keyword} \n").into_bytes();
    let from = text.len();
    let mut groups = Vec::new();
    let numbers = (1..9_u32).map(|n| (n ^ (seed << 7)).wrapping_mul(0x9E37_79B1));
    sample(hir, &mut Dice::new(numbers), &mut text, &mut groups);
    let to = text.len();
    groups.sort_unstable();
    let (_, a, b) = groups
        .into_iter()
        .find(|(index, a, b)| match detector.secret_group {
            Some(group) => *index == group,
            None => a < b,
        })
        .unwrap_or((0, from, to));
    let secret = text[a..b].to_vec();
    text.extend_from_slice(b"\n");
    (text, secret)
}
