//! The table of dialects: masking puts all of it together, so no two may contradict each other.

use super::*;
use std::collections::{BTreeMap, BTreeSet};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn a_path_means_the_same_in_all_dialects() {
    let mut known = BTreeMap::new();
    for dialect in DIALECTS {
        for (path, part) in dialect.paths {
            let (other, before) = known.entry(path).or_insert((dialect, *part));
            assert_eq!(*before, *part, "`{path}` in {other:?} and in {dialect:?}");
        }
    }
}

#[test]
fn the_elements_of_an_array_are_joined_in_all_paths_or_in_none() {
    let mut known = BTreeMap::new();
    for (path, _) in DIALECTS.iter().flat_map(|dialect| dialect.paths) {
        let mut rest = *path;
        while let Some((before, elements)) = rest.rsplit_once('[') {
            let array = before.replace("[+]", "[]");
            let is_joined = elements.starts_with('+');
            assert!(elements.starts_with(['+', ']']), "{path}");
            let known = *known.entry(array).or_insert(is_joined);
            assert_eq!(known, is_joined, "{path}");
            rest = before;
        }
    }
}

#[test]
fn an_index_and_an_end_mean_the_same_in_all_dialects() {
    let (mut indices, mut ends) = (BTreeMap::new(), BTreeMap::new());
    for dialect in DIALECTS {
        for (name, index) in dialect.indices {
            let before = indices.insert(name, index);
            assert_eq!(before, None, "{} in {dialect:?}", name.escape_ascii());
        }
        for (kind, index) in dialect.ends {
            let before = *ends.entry(kind).or_insert(index);
            assert_eq!(before, index, "{} in {dialect:?}", kind.escape_ascii());
        }
    }
}

#[test]
fn a_dialect_is_stated_once() {
    let names: BTreeSet<_> = DIALECTS.iter().map(|dialect| dialect.name).collect();
    assert_eq!(names.len(), DIALECTS.len());
    for dialect in DIALECTS {
        let lists = [
            dialect.reasons,
            dialect.names,
            dialect.texts,
            dialect.varying,
            dialect.records,
            dialect.ids,
        ];
        for list in lists {
            let once: BTreeSet<_> = list.iter().collect();
            assert_eq!(once.len(), list.len(), "{dialect:?}");
        }
    }
}

#[test]
fn a_sign_is_that_of_one_dialect() {
    let mut signs = Vec::new();
    for dialect in DIALECTS {
        match dialect.sign {
            Sign::Nothing => {}
            Sign::Type(begins) => signs.extend(begins.iter().map(|begin| (dialect, *begin))),
            Sign::Elements(member) | Sign::Message { member, .. } => {
                signs.push((dialect, member));
            }
        }
    }
    assert!(signs.len() > 5);
    for (at, (dialect, sign)) in signs.iter().enumerate() {
        let rest = signs.iter().skip(at + 1);
        let mut same = rest.filter(|(_, other)| sign.starts_with(other) || other.starts_with(sign));
        assert!(
            same.next().is_none(),
            "{} of {dialect:?}",
            sign.escape_ascii()
        );
    }
}

#[test]
fn what_only_a_sign_can_choose_has_one() {
    for dialect in DIALECTS {
        let is_chosen = dialect.only.is_some() || dialect.error.is_some();
        let has_sign = !matches!(dialect.sign, Sign::Nothing);
        assert!(has_sign || !is_chosen, "{dialect:?}");
    }
}
