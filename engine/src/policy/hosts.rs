//! Which connection a host belongs to, found in a few look-ups however many connections there are.

use std::collections::HashMap;

use super::document::{HostPattern, Policy};

/// The hosts of all connections. Look-ups give indexes into [`Policy::connections`].
#[derive(Debug, Default)]
pub(super) struct Hosts {
    /// `api.example.com`
    exact: HashMap<Box<str>, Vec<usize>>,
    /// `example.com` for `*.example.com`
    below: HashMap<Box<str>, Vec<usize>>,
}

impl Hosts {
    pub(super) fn new(policy: &Policy) -> Self {
        let mut hosts = Self::default();
        for (index, connection) in policy.connections.iter().enumerate() {
            for pattern in &connection.hosts {
                let (map, name) = match pattern.as_str().strip_prefix("*.") {
                    Some(domain) => (&mut hosts.below, domain),
                    None => (&mut hosts.exact, pattern.as_str()),
                };
                map.entry(name.into()).or_default().push(index);
            }
        }
        hosts
    }

    /// The connection that `host`, in the spelling of [`host_of`](crate::request::host_of), belongs
    /// to.
    pub(super) fn find(&self, host: &str) -> Option<usize> {
        let exact = self.exact.get(host);
        let owners = exact.or_else(|| parents(host).find_map(|domain| self.below.get(domain)));
        owners.and_then(|owners| owners.first()).copied()
    }

    /// Another connection than `index` that has a host of `pattern` too, and its pattern. Of two
    /// that overlap, the one that stands later in the document has the other; of an exact host and
    /// a wildcard, the exact host has it.
    pub(super) fn other_owner(
        &self,
        pattern: &HostPattern,
        index: usize,
    ) -> Option<(usize, String)> {
        let earlier = |owners: &Vec<usize>| owners.iter().copied().find(|owner| *owner < index);
        let other = |owners: &Vec<usize>| owners.iter().copied().find(|owner| *owner != index);
        let (map, name) = match pattern.as_str().strip_prefix("*.") {
            Some(domain) => (&self.below, domain),
            None => (&self.exact, pattern.as_str()),
        };
        let same = map
            .get(name)
            .and_then(earlier)
            .map(|owner| (owner, pattern.to_string()));
        same.or_else(|| {
            parents(name).find_map(|domain| {
                let owner = self.below.get(domain).and_then(other)?;
                Some((owner, format!("*.{domain}")))
            })
        })
    }
}

/// The domains above a name, the closest first: `b.c` and `c` of `a.b.c`.
fn parents(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| {
        name.split_once('.').map(|(_, parent)| parent)
    })
    .skip(1)
}

/// Whether `host`, in the spelling of [`host_of`](crate::request::host_of), is one that `pattern`
/// means.
pub(super) fn matches(pattern: &HostPattern, host: &str) -> bool {
    match pattern.as_str().strip_prefix("*.") {
        Some(domain) => host
            .strip_suffix(domain)
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => host == pattern.as_str(),
    }
}

/// Whether every host that `narrow` means is one that `wide` means, too. No single name covers a
/// wildcard: `apps.example.com` is not even one of the hosts of `*.apps.example.com`.
pub(super) fn covers(wide: &HostPattern, narrow: &HostPattern) -> bool {
    let wildcard = |pattern: &HostPattern| pattern.as_str().starts_with("*.");
    match narrow.as_str().strip_prefix("*.") {
        None => matches(wide, narrow.as_str()),
        Some(domain) => wide == narrow || (wildcard(wide) && matches(wide, domain)),
    }
}

/// Whether one host can be meant by both patterns. Two domains lie one within the other or apart,
/// so one of two patterns that share a host covers the other.
pub(super) fn overlap(a: &HostPattern, b: &HostPattern) -> bool {
    covers(a, b) || covers(b, a)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// All names of `from` to `to` of these labels.
    fn names(labels: &[&str], from: usize, to: usize) -> Vec<String> {
        let mut all = Vec::new();
        let mut longest: Vec<String> = labels.iter().map(ToString::to_string).collect();
        for length in 1..=to {
            if length >= from {
                all.extend(longest.iter().cloned());
            }
            longest = labels
                .iter()
                .flat_map(|label| longest.iter().map(move |name| format!("{label}.{name}")))
                .collect();
        }
        all
    }

    /// Patterns of two and three of two labels, with and without a wildcard.
    pub(in crate::policy) fn patterns() -> Vec<HostPattern> {
        let names = names(&["a", "b"], 2, 3);
        let wildcards = names.iter().map(|name| format!("*.{name}"));
        let all = names.iter().cloned().chain(wildcards);
        all.map(|pattern| pattern.parse().unwrap()).collect()
    }

    /// Hosts that tell those patterns apart: with a label that stands in none, and one label
    /// longer.
    pub(in crate::policy) fn hosts() -> Vec<String> {
        names(&["a", "b", "c"], 1, 4)
    }

    #[test]
    fn patterns_overlap_and_cover_as_the_hosts_that_they_mean() {
        let (patterns, hosts) = (patterns(), hosts());
        for a in &patterns {
            for b in &patterns {
                let mut theirs = hosts.iter().filter(|host| matches(b, host));
                assert_eq!(
                    overlap(a, b),
                    theirs.clone().any(|host| matches(a, host)),
                    "overlap of {a} and {b}"
                );
                assert_eq!(
                    covers(a, b),
                    theirs.all(|host| matches(a, host)),
                    "{a} covers {b}"
                );
            }
        }
    }
}
