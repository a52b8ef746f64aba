//! Masking rules: that they choose something, and that their keys go together.

use super::checks::{Names, entries, name, references};
use super::detectors::GROUP;
use crate::masking::{CustomDetector, KeyNames, MAX_KEEP, catalogue, chooses};
use crate::policy::document::{Direction, KeyList, MaskingAction, MaskingRule};
use crate::policy::error::{Faults, Place, PolicyErrors};
use crate::policy::wording::{near_miss, shorten};

/// Longest name of a key.
const MAX_KEY_BYTES: usize = crate::masking::MAX_KEY_NAME;

/// Whether a masking rule that stands in no document may be used with these detectors beside the
/// built-in ones.
///
/// # Errors
/// Everything that is wrong with it.
pub fn validate_masking_rule(
    rule: &MaskingRule,
    detectors: &[CustomDetector],
) -> Result<(), PolicyErrors> {
    let own = detectors.iter().map(|d| d.name.as_str());
    let detectors = Names {
        known: catalogue().iter().map(|d| d.name()).chain(own).collect(),
        complete: true,
    };
    let connections = Names {
        known: Vec::new(),
        complete: true,
    };
    let mut faults = Faults::default();
    check(
        &Place::default(),
        rule,
        &detectors,
        &connections,
        &mut faults,
    );
    faults.finish(|_| None)
}

/// `detectors` are the names of all detectors that there are, `connections` those of all
/// connections.
pub(super) fn check(
    place: &Place,
    rule: &MaskingRule,
    detectors: &Names<'_>,
    connections: &Names<'_>,
    faults: &mut Faults,
) {
    name(place, "name", &rule.name, faults);
    if rule.on.is_empty() {
        faults.at(place.key("on"), "expected at least one entry");
    }
    if rule.detectors.is_empty() && rule.keys.is_none() {
        faults.at(
            place.clone(),
            "this rule looks for nothing: expected `detectors`, as in `detectors: [\"secrets/*\"]`, or `keys`",
        );
    }
    let selectors = place.key("detectors");
    entries(&selectors, rule.detectors.len(), faults);
    for (index, selector) in rule.detectors.iter().enumerate() {
        // One of the document's own may have a name that could not be read.
        let may_be_own = !detectors.complete && selector.starts_with(GROUP);
        if !may_be_own && let Err(message) = check_selector(selector, &detectors.known) {
            faults.at(selectors.index(index), message);
        }
    }
    if let Some(keys) = &rule.keys {
        check_keys(&place.key("keys"), keys, faults);
    }
    check_action(place, rule, faults);
    if let Some(chosen) = &rule.connections {
        let place = place.key("connections");
        if chosen.is_empty() {
            faults.at(
                place.clone(),
                "expected at least one entry: leave the key out for all",
            );
        }
        references(&place, "connection", chosen, connections, faults);
    }
}

/// `keep` and `restore` are about replacements, and only `mask` makes them.
fn check_action(place: &Place, rule: &MaskingRule, faults: &mut Faults) {
    let action = rule.action.as_str();
    let masks = rule.action == MaskingAction::Mask;
    // An action that could not be read is that of no rule.
    let only_mask = |key: &str, faults: &mut Faults| {
        faults.between(
            place.key(key),
            &[place.key("action")],
            format!("`{key}` is only for `action: mask`, and this rule's action is `{action}`"),
        );
    };
    if let Some(keep) = rule.keep {
        if !masks {
            only_mask("keep", faults);
        } else if !(1..=MAX_KEEP).contains(&keep) {
            faults.at(
                place.key("keep"),
                format!(
                    "expected a number from 1 to {MAX_KEEP}, found {keep}; leave the key out to show nothing"
                ),
            );
        }
    }
    if rule.restore {
        if !masks {
            only_mask("restore", faults);
        } else if rule.on.contains(&Direction::Response) {
            faults.between(
                place.key("restore"),
                &[place.key("on")],
                "`restore` gives back in the answer what was masked in the request: expected `on: [request]`; \
                 write another rule for responses",
            );
        }
    }
}

fn check_keys(place: &Place, keys: &KeyList, faults: &mut Faults) {
    let KeyList::Names(names) = keys else { return };
    entries(place, names.len(), faults);
    let mut seen = KeyNames::default();
    for (index, name) in names.iter().enumerate() {
        let place = place.index(index);
        let good = name.len() <= MAX_KEY_BYTES
            && name.bytes().any(|b| b.is_ascii_alphanumeric())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b' '));
        if !good {
            faults.at(
                place,
                format!(
                    "expected a key of 1 to {MAX_KEY_BYTES} letters, digits, `.`, `_`, `-` or spaces, found `{}`",
                    shorten(name)
                ),
            );
        } else if name == "default" {
            faults.at(
                place,
                "`default` stands for itself in a list; write `keys: default` in a rule of its own to add the usual keys",
            );
        } else if seen.get(name.as_bytes()).is_some() {
            faults.at(
                place,
                format!(
                    "the key `{name}` is there already: case, `-`, `_`, `.` and spaces do not count"
                ),
            );
        } else {
            seen = seen.and(KeyNames::of([name]));
        }
    }
}

/// Whether a selector chooses one of these detectors.
///
/// # Errors
/// The form that was expected, with the detectors that were perhaps meant.
fn check_selector(selector: &str, names: &[&str]) -> Result<(), String> {
    if names.iter().any(|name| chooses(selector, name)) {
        return Ok(());
    }
    let has_own = names.iter().any(|name| name.starts_with(GROUP));
    let hint = match near_miss(selector, names.iter().copied()) {
        Some(name) => format!("; did you mean `{name}`?"),
        None if selector.starts_with(GROUP) && !has_own => {
            "; this document has no `detectors` of its own".into()
        }
        None => "; expected `secrets/*`, or the name of one such as `secrets/github-pat`".into(),
    };
    Err(format!(
        "no detector is called `{}`{hint}",
        shorten(selector)
    ))
}

/// The places of the rules for a connection and direction, in document order.
pub(crate) fn rules_for(
    rules: &[MaskingRule],
    connection: &str,
    direction: Direction,
) -> Vec<usize> {
    let here = |rule: &MaskingRule| {
        rule.on.contains(&direction)
            && match &rule.connections {
                Some(connections) => connections.iter().any(|name| name == connection),
                None => true,
            }
    };
    let rules = rules.iter().enumerate();
    rules
        .filter(|(_, rule)| here(rule))
        .map(|(index, _)| index)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masking::{DetectorSet, catalogue};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_selector_is_good_when_the_masker_can_use_it() {
        let known: Vec<&str> = catalogue().iter().map(|d| d.name()).collect();
        let names = known.iter().map(|name| (*name).to_owned());
        let others = [
            "secrets/*",
            "secrets/github-*",
            "secrets/g*",
            "secrets/nothing-*",
            "secrets/",
            "secrets",
            "*",
            "secret*",
            "secrets*",
            "",
            "secrets/**",
            "pii/*",
            "SECRETS/*",
            "secrets/git*pat",
        ];
        for selector in names.chain(others.map(String::from)) {
            let usable = DetectorSet::compile(&[&selector]).is_ok();
            assert_eq!(
                check_selector(&selector, &known).is_ok(),
                usable,
                "{selector}"
            );
        }
    }
}
