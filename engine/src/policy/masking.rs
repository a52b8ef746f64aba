//! Which detectors mask which bodies. What a selector chooses is defined by
//! [`DetectorSet::compile`](crate::masking::DetectorSet::compile); a test holds the two together.

use super::document::{Direction, Policy};
use super::error::{near_miss, shorten};
use crate::masking::{Detector, catalogue};

/// Whether a selector chooses a detector.
///
/// # Errors
/// What was expected, with the detectors that were perhaps meant.
pub(super) fn check_selector(selector: &str) -> Result<(), String> {
    let names: Vec<&str> = catalogue().iter().map(Detector::name).collect();
    let chooses = match selector.strip_suffix('*') {
        Some(prefix) => prefix.contains('/') && names.iter().any(|name| name.starts_with(prefix)),
        None => names.contains(&selector),
    };
    if chooses {
        return Ok(());
    }
    let hint = match near_miss(selector, names.iter().copied()) {
        Some(name) => format!("; did you mean `{name}`?"),
        None => "; expected `secrets/*`, or the name of one such as `secrets/github-pat`".into(),
    };
    Err(format!(
        "no detector is called `{}`{hint}",
        shorten(selector)
    ))
}

/// The selectors of all masking rules for a connection and direction, each once, in document order.
pub(super) fn selectors<'a>(
    policy: &'a Policy,
    connection: &str,
    direction: Direction,
) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for rule in &policy.masking {
        let here = match &rule.connections {
            Some(connections) => connections.iter().any(|name| name == connection),
            None => true,
        };
        if here && rule.on.contains(&direction) {
            for selector in &rule.detectors {
                if !found.contains(&selector.as_str()) {
                    found.push(selector);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masking::DetectorSet;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_selector_is_good_when_the_masker_can_use_it() {
        let names = catalogue()
            .iter()
            .map(|detector| detector.name().to_owned());
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
            assert_eq!(check_selector(&selector).is_ok(), usable, "{selector}");
        }
    }
}
