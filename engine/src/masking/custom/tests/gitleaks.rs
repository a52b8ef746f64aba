//! gitleaks' own default configuration, which `scripts/setup --tests` fetches: it is not part of this repository.

use std::{fs, path::Path};

use regex_syntax::hir::Hir;

use super::{
    generated::{Dice, sample},
    *,
};
use crate::masking::{Imported, import};

pub(super) fn imported() -> Option<Imported> {
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
fn all_its_rules_import_and_compile_in_little_memory() {
    let Some(imported) = imported() else { return };
    assert_eq!(imported.refused, []);
    assert_eq!(imported.detectors.len(), 221);
    assert_eq!(imported.allow.len(), 1);
    // One rule looks at names of files only, four at their paths as well, one allowlist cannot apply.
    assert_eq!(imported.notes.len(), 5, "{:#?}", imported.notes);
    let compiled = compile_custom(&imported.detectors, &imported.allow).unwrap();
    let set = DetectorSet::compile_with(&["custom/*"], &compiled).unwrap();
    assert!(set.memory() < 2 << 20, "{}", set.memory());
}

/// JSON is YAML too.
#[test]
fn what_was_imported_can_be_written_into_a_policy() {
    let Some(imported) = imported() else { return };
    let document = serde_json::json!({
        "detectors": imported.detectors,
        "detectors_allow": imported.allow,
    });
    let file = crate::policy::parse_detectors(&document.to_string()).unwrap();
    assert_eq!(file.detectors, imported.detectors);
    assert_eq!(file.detectors_allow, imported.allow);
}

/// What its rules are for is found: texts that each of them matches, without its entropy and allow lists, which a
/// text of chance does not always satisfy.
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

/// A text that the rule matches, and its secret as gitleaks says: the group, else the first that is not empty, else all.
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
