//! What a rule is about, and what for.

use std::collections::HashSet;

use super::findings::Faulty;
use crate::policy::decide::{Matcher, PathGlob};
use crate::policy::document::{Connection, Effect, PathPattern, Policy, Rule};
use crate::policy::error::{Faults, Place};
use crate::policy::hosts;

/// What rules are about, as far as that can be told.
pub(super) struct Scopes<'a> {
    policy: &'a Policy,
    faulty: Faulty<'a>,
    names: HashSet<&'a str>,
    labels_are_read: bool,
}

impl<'a> Scopes<'a> {
    pub(super) fn of(policy: &'a Policy, faults: &'a Faults) -> Self {
        let unread = faults.unread();
        let list = Place::default().key("connections");
        let other = ["name", "hosts", "protocol", "credential"];
        let labels_are_read = unread.has_list(&list)
            && (0..policy.connections.len())
                .all(|index| unread.has_all_but(&list.index(index), &other));
        Self {
            policy,
            faulty: Faulty { faults, more: None },
            names: policy.connections.iter().map(|c| c.name.as_str()).collect(),
            labels_are_read,
        }
    }

    /// The connections that the rule at a place is about, by name, label and host. `None` where
    /// that depends on something that could not be read or is wrong, and where it is none: that was
    /// said already.
    pub(super) fn connections_of(&self, place: &Place, rule: &Rule) -> Option<Vec<&'a Connection>> {
        let wanted = &rule.r#match;
        let place = place.key("match");
        let has_host = |connection: &Connection| {
            let overlaps = |host| connection.hosts.iter().any(|own| hosts::overlap(host, own));
            wanted.hosts.is_empty() || wanted.hosts.iter().any(overlaps)
        };
        let sound = |key: &str| self.faulty.is_sound(&place.key(key));
        if self.faulty.faults.is_at(&place)
            || !["connections", "labels", "hosts"].into_iter().all(sound)
            || !wanted
                .connections
                .iter()
                .all(|name| self.names.contains(name.as_str()))
            || !(wanted.labels.is_empty() || self.labels_are_read)
        {
            return None;
        }
        let all = self.policy.connections.iter();
        let about: Vec<&Connection> = all
            .filter(|connection| wanted.is_about(connection))
            .collect();
        if !wanted.hosts.is_empty() && !about.iter().all(|c| self.was_read(c, "hosts")) {
            return None;
        }
        let about: Vec<&Connection> = about.into_iter().filter(|c| has_host(c)).collect();
        (!about.is_empty()).then_some(about)
    }

    /// Whether a key of a connection was read.
    pub(super) fn was_read(&self, connection: &Connection, key: &str) -> bool {
        let unread = self.faulty.faults.unread();
        let mut all = self.policy.connections.iter();
        unread.len() == 0
            || all
                .position(|other| std::ptr::eq(other, connection))
                .is_some_and(|index| {
                    unread.has(&Place::default().key("connections").index(index).key(key))
                })
    }

    /// What was wrong with the document before.
    pub(super) fn faults(&self) -> &'a Faults {
        self.faulty.faults
    }
}

/// Whether a rule keeps something from happening. One that is narrower than was meant leaves a
/// hole, where an allowing rule would only leave something out.
pub(super) fn guards(rule: &Rule) -> bool {
    rule.effect != Effect::Allow
}

/// Whether each entry of the narrow list is covered by one of the wide list; an empty list is about
/// everything.
pub(super) fn each<T>(wide: &[T], narrow: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    wide.is_empty()
        || (!narrow.is_empty()
            && narrow
                .iter()
                .all(|narrow| wide.iter().any(|wide| covers(wide, narrow))))
}

/// Whether one pattern matches every path that another one matches. May say no where it is so.
pub(super) fn path_covered(wide: &PathPattern, narrow: &PathPattern) -> bool {
    let glob = PathGlob::new(wide, false);
    let segments = wide.as_str().split('/').count();
    // `**` stands for any number of segments. One more than the wide pattern has tells as much as
    // all others.
    [0, 1, 2, segments.saturating_add(1)]
        .into_iter()
        .all(|number| {
            let path: String = narrow
                .as_str()
                .split('/')
                .skip(1)
                .map(|segment| match segment {
                    "**" => "/\u{1}".repeat(number),
                    other => format!("/{other}"),
                })
                .collect();
            glob.matches(if path.is_empty() { "/" } else { &path })
        })
}
