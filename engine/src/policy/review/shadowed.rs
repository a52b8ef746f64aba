//! Rules that another rule makes idle: everything that they are about is decided by it.

use super::findings::Faulty;
use super::scope::{Scopes, each, path_covered};
use crate::policy::decide::{Glob, Matcher};
use crate::policy::document::{AuditLevel, Connection, Effect, HostPattern, Policy, Rule};
use crate::policy::error::{Faults, Place};
use crate::policy::hosts;

/// Beyond so many rules nobody wrote the document by hand, and comparing each with each takes
/// seconds.
const MAX_RULES: usize = 1_000;

/// A rule, and the connections that it is about.
struct Scope<'a> {
    rule: &'a Rule,
    connections: Vec<&'a Connection>,
    /// The same, a bit for each connection of the document: comparing names would take minutes
    /// where there are many of both.
    bits: Vec<u64>,
}

impl<'a> Scope<'a> {
    fn of(rule: &'a Rule, connections: Vec<&'a Connection>, policy: &'a Policy) -> Self {
        let mut bits = vec![0_u64; policy.connections.len().div_ceil(64)];
        let mut rest = connections.iter().peekable();
        for (index, connection) in policy.connections.iter().enumerate() {
            // Both are in the order of the document.
            if rest
                .next_if(|next| std::ptr::eq(**next, connection))
                .is_some()
                && let Some(word) = bits.get_mut(index >> 6)
            {
                *word |= 1_u64.wrapping_shl((index & 63) as u32);
            }
        }
        Self {
            rule,
            connections,
            bits,
        }
    }

    fn is_within(&self, wide: &Self) -> bool {
        let mut words = self.bits.iter().zip(&wide.bits);
        words.all(|(ours, theirs)| ours & !theirs == 0)
    }
}

pub(super) fn review(
    policy: &Policy,
    scopes: &Scopes<'_>,
    faulty: &Faulty<'_>,
    warnings: &mut Faults,
) {
    if policy.rules.len() > MAX_RULES {
        return;
    }
    let list = Place::default().key("rules");
    let rules: Vec<(usize, Scope<'_>)> = policy
        .rules
        .iter()
        .enumerate()
        .filter_map(|(index, rule)| {
            let place = list.index(index);
            // Nothing follows from a rule that will be another one.
            if !faulty.is_sound(&place) {
                return None;
            }
            let connections = scopes.connections_of(&place, rule)?;
            Some((index, Scope::of(rule, connections, policy)))
        })
        .collect();
    for (index, idle) in &rules {
        let by = rules.iter().find_map(|(other, by)| {
            let why = reason(idle.rule, by.rule, other < index)?;
            (other != index && covers(by, idle)).then_some((by.rule, why))
        });
        if let Some((by, why)) = by {
            warnings.at(
                list.index(*index),
                format!("this rule never decides: {}", why(by)),
            );
        }
    }
}

/// Why one rule would leave nothing for another, if it covers it. `None` when it leaves something
/// all the same.
fn reason(idle: &Rule, by: &Rule, stands_before: bool) -> Option<fn(&Rule) -> String> {
    match (idle.effect, by.effect) {
        (Effect::Allow | Effect::Approve, Effect::Deny) => Some(|by| {
            format!(
                "rule `{}` denies all that it is about, and deny beats allow and approve wherever it stands; did you mean to leave \
                     something out there?",
                by.name
            )
        }),
        (Effect::Allow, Effect::Approve) => Some(|by| {
            format!(
                "rule `{}` asks a human about all that it is about, and approve beats allow wherever it stands",
                by.name
            )
        }),
        (Effect::Approve, Effect::Approve) if stands_before && idle.approve != by.approve => {
            Some(|by| {
                format!(
                    "rule `{}` stands before it, is about all of it, and its terms count; put the more special rule first",
                    by.name
                )
            })
        }
        (ours, theirs)
            if stands_before
                && ours == theirs
                && (idle.audit != AuditLevel::Required || by.audit == AuditLevel::Required) =>
        {
            Some(|by| {
                format!(
                    "rule `{}` stands before it, does the same, and is about all of it",
                    by.name
                )
            })
        }
        _ => None,
    }
}

/// Whether every request that `narrow` matches is one that `wide` matches. May say no where it is
/// so.
fn covers(wide: &Scope<'_>, narrow: &Scope<'_>) -> bool {
    let (a, b) = (&wide.rule.r#match, &narrow.rule.r#match);
    each(&a.groups, &b.groups, String::eq)
        && each(&a.subjects, &b.subjects, String::eq)
        && each(&a.agents, &b.agents, String::eq)
        && each(&a.issuers, &b.issuers, String::eq)
        && each(&a.methods, &b.methods, |x, y| x == y)
        && narrow.is_within(wide)
        && (a.hosts.is_empty() || hosts_covered(&a.hosts, &b.hosts, &narrow.connections))
        && each(&a.operations, &b.operations, |wide, narrow| {
            // A star of the narrow pattern is a character that only a star of the wide one takes.
            Glob::operation(wide).matches(&narrow.as_str().to_ascii_lowercase())
        })
        && each(&a.paths, &b.paths, path_covered)
}

fn hosts_covered(
    wide: &[HostPattern],
    narrow: &[HostPattern],
    connections: &[&Connection],
) -> bool {
    let covered = |host: &HostPattern| wide.iter().any(|wide| hosts::covers(wide, host));
    if narrow.is_empty() {
        connections.iter().flat_map(|c| &c.hosts).all(covered)
    } else {
        narrow.iter().all(covered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::hosts::tests::{hosts, patterns};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_list_of_hosts_is_covered_when_each_host_that_it_means_is() {
        let (patterns, hosts) = (patterns(), hosts());
        let mean = |list: &[HostPattern], host: &str| {
            list.iter().any(|pattern| hosts::matches(pattern, host))
        };
        for wide in patterns.windows(2) {
            for narrow in patterns.chunks(3).chain(patterns.chunks(1)) {
                let expected = hosts
                    .iter()
                    .filter(|host| mean(narrow, host))
                    .all(|host| mean(wide, host));
                assert_eq!(
                    hosts_covered(wide, narrow, &[]),
                    expected,
                    "{wide:?} {narrow:?}"
                );
            }
        }
    }
}
