//! Which detectors mask which bodies.

use super::document::{Direction, Policy};

/// Whether a selector names something: `secrets/*` or `secrets/` and the name of a detector.
pub(super) fn check_selector(selector: &str) -> Result<(), String> {
    let name = selector
        .strip_prefix("secrets/")
        .ok_or("expected a detector such as `secrets/*` or `secrets/github-pat`")?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if name == "*" || (!name.is_empty() && name.bytes().all(plain)) {
        return Ok(());
    }
    Err("expected a detector such as `secrets/*` or `secrets/github-pat`".into())
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
