//! What a rule is about, and what for.

use crate::policy::document::{Connection, Effect, Policy, Rule};
use crate::policy::hosts;

/// The connections that a rule is about, by name, label and host.
pub(super) fn connections_of<'a>(rule: &Rule, policy: &'a Policy) -> Vec<&'a Connection> {
    let wanted = &rule.r#match;
    let has_host = |connection: &Connection| {
        let overlaps = |host| connection.hosts.iter().any(|own| hosts::overlap(host, own));
        wanted.hosts.is_empty() || wanted.hosts.iter().any(overlaps)
    };
    let all = policy.connections.iter();
    all.filter(|connection| wanted.is_about(connection) && has_host(connection))
        .collect()
}

/// Whether a rule keeps something from happening. One that is narrower than was meant leaves a hole, where
/// an allowing rule would only leave something out.
pub(super) fn guards(rule: &Rule) -> bool {
    rule.effect != Effect::Allow
}
