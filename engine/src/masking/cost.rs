//! How much work can text made for it cause? A bound for compiled rules, asked for when a policy is published.
//!
//! A rule is tried wherever its anchor stands. An attempt reads on for as long as its pattern may match, so the bytes of a
//! text are read once for each attempt that is alive there, except that attempts in the same state become one
//! ([`known`](super::known), and for contexts [`discovery`](super::discovery)). What counts is therefore how many attempts can be
//! alive at one byte in states that differ: a rule that counts (`[a-z]{500}`) has as many states as it counts bytes, and
//! as many attempts if it can begin anew at each of them.
//!
//! The bound is on the safe side for one rule and for rules that share an anchor: ages and states are counted that no
//! text brings together. Of rules with different anchors it says nothing: a text that has one anchor has no room for another.
//! Twice the work cannot be ruled out where anchors overlap (`abc`, `bca`), and is not counted.

use super::{
    automaton::{Automaton, State},
    bytes::ByteSet,
    compile::{Compiler, Head, Rule},
    discovery::{CHECKPOINT, NEAR},
    known::WAYPOINT,
    rule::From,
};
use std::collections::BTreeSet;

/// Most attempts that one rule may have alive at one byte, and all rules with the same anchor. gitleaks' own rules reach 401
/// and 534.
const MAX_ONE: usize = 448;
const MAX_TOGETHER: usize = 640;

/// How old attempts can be that were not compared with others yet.
const YOUNG: usize = 2 * WAYPOINT;
/// Ages that are looked at, one by one. Patterns count to 1000.
const AGES: usize = 1100;

/// The rules that are too expensive, each by itself or all that share an anchor: their numbers, and a sentence for the
/// author of their detector.
pub(super) fn excesses(compiler: &Compiler) -> Vec<(u16, String)> {
    let rules = (0_u16..).zip(&compiler.rules);
    let costs: Vec<usize> = rules
        .map(|(number, rule)| {
            let own = compiler.heads.iter().filter(|head| head.rule == number);
            alive(rule, &own.collect::<Vec<_>>())
        })
        .collect();
    let single = (0_u16..).zip(&costs).filter(|&(_, &cost)| cost > MAX_ONE);
    let single: Vec<(u16, String)> = single
        .map(|(rule, cost)| {
            let reason = format!(
                "in text made for it, it would be tried at {cost} places at once, each of which reads on; at most \
                 {MAX_ONE} are allowed: count to less (`{{32,}}` instead of `{{500}}`), or begin with more fixed \
                 characters that cannot stand inside of the secret"
            );
            (rule, reason)
        })
        .collect();
    if !single.is_empty() {
        return single;
    }
    together(&compiler.heads, &costs).into_iter().collect()
}

/// The most expensive of the rules that share an anchor, if they are too expensive together.
fn together(heads: &[Head], costs: &[usize]) -> Option<(u16, String)> {
    let cost = |rule: u16| costs.get(usize::from(rule)).copied().unwrap_or(0);
    heads.iter().find_map(|head| {
        let same = heads.iter().filter(|other| end_alike(head, other));
        let rules: BTreeSet<u16> = same.map(|head| head.rule).collect();
        let all = rules.iter().map(|&rule| cost(rule));
        let all = all.fold(0, usize::saturating_add);
        if all <= MAX_TOGETHER {
            return None;
        }
        let largest = rules.iter().copied().max_by_key(|&rule| cost(rule))?;
        let reason = format!(
            "{} patterns are looked for at the same characters as this one, and in text made for them they would be tried \
             at {all} places at once, each of which reads on; at most {MAX_TOGETHER} are allowed: give each a beginning \
             of its own, or make one detector of them",
            rules.len()
        );
        Some((largest, reason))
    })
}

fn own(head: &Head) -> &[ByteSet] {
    head.text
        .sets()
        .get(head.lead..head.own)
        .unwrap_or_default()
}

/// Whether two anchors can end at the same place.
fn end_alike(one: &Head, other: &Head) -> bool {
    own(one)
        .iter()
        .rev()
        .zip(own(other).iter().rev())
        .all(|(a, b)| !a.common(*b).is_empty())
}

/// How many attempts of a rule with these anchors can be alive at one byte of a text in states that differ.
fn alive(rule: &Rule, heads: &[&Head]) -> usize {
    let anchors: Vec<&[ByteSet]> = heads
        .iter()
        .map(|head| head.text.sets().get(..head.own).unwrap_or_default())
        .collect();
    let Some((context, from)) = &rule.context else {
        return at_once(&rule.secret, &Begins::At(&anchors), YOUNG);
    };
    let leads = match from {
        From::Match => at_once(context, &Begins::At(&anchors), CHECKPOINT),
        From::AnchorEnd => at_once(context, &Begins::Behind(&anchors), CHECKPOINT),
        From::Near => at_once(context, &Begins::Anywhere, CHECKPOINT).min(NEAR),
    };
    // A context may end at each of many bytes in a row, whatever its anchor.
    leads.saturating_add(at_once(&rule.secret, &Begins::Anywhere, YOUNG))
}

/// Where attempts begin.
enum Begins<'a> {
    /// With one of these anchors.
    At(&'a [&'a [ByteSet]]),
    /// Behind one of them.
    Behind(&'a [&'a [ByteSet]]),
    /// At any byte.
    Anywhere,
}

/// How many attempts can be alive at one byte, of which those older than `young` become one when in the same state.
fn at_once(automaton: &Automaton, begins: &Begins<'_>, young: usize) -> usize {
    let mut layers = vec![automaton.beginnings()];
    while let Some(last) = layers.last().filter(|last| !last.is_empty())
        && layers.len() <= AGES
    {
        layers.push(automaton.after_any(last));
    }
    let longest = layers.len().saturating_sub(1);
    let ages: Vec<usize> = (1..longest)
        .filter(|&age| begins.again(automaton, &layers, age))
        .collect();
    // The first age at which another can begin is also the least distance between any two.
    let Some(apart) = ages.first().copied() else {
        return 1;
    };
    let spaced = |ages: usize, span: usize| ages.min(span.checked_div(apart).unwrap_or(ages));
    let early = ages.iter().filter(|&&age| age < young).count();
    let early = spaced(early, young);
    let late = ages.len().saturating_sub(early);
    let late = match layers.get(young) {
        Some(states) if late > 0 => spaced(late, longest).min(reachable(automaton, states.clone())),
        _ => 0,
    };
    early.saturating_add(late).saturating_add(1)
}

impl Begins<'_> {
    /// Whether another attempt can begin when one is `age` bytes old, and the old one live on through the anchor.
    fn again(&self, automaton: &Automaton, layers: &[Vec<State>], age: usize) -> bool {
        let (anchors, behind) = match self {
            Self::At(anchors) => (*anchors, false),
            Self::Behind(anchors) => (*anchors, true),
            Self::Anywhere => return true,
        };
        anchors.iter().any(|next| {
            let lies_over = |last: &&[ByteSet]| {
                let over = last.get(age..).unwrap_or_default();
                over.iter()
                    .zip(*next)
                    .all(|(a, b)| !a.common(*b).is_empty())
            };
            // Behind anchors, ages count from their ends: what of the next one lies before is not read.
            let (from, unread) = match behind {
                true => (
                    age.saturating_sub(next.len()),
                    next.len().saturating_sub(age),
                ),
                false => (age, 0),
            };
            let mut states = layers.get(from).cloned().unwrap_or_default();
            for set in next.get(unread..).unwrap_or_default() {
                states = automaton.after(&states, *set);
            }
            !states.is_empty() && anchors.iter().any(lies_over)
        })
    }
}

fn reachable(automaton: &Automaton, from: Vec<State>) -> usize {
    let mut all = automaton.no_states();
    let mut queue = from;
    queue.retain(|&state| all.insert(state));
    let mut count = queue.len();
    while let Some(state) = queue.pop() {
        for next in automaton.after_any(&[state]) {
            if all.insert(next) {
                count = count.saturating_add(1);
                queue.push(next);
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masking::{CustomDetector, compile_custom};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn costs(expressions: &[&str]) -> (Vec<usize>, Vec<(u16, String)>) {
        let detectors: Vec<CustomDetector> = (0..)
            .zip(expressions)
            .map(|(number, regex)| {
                serde_json::from_value(serde_json::json!({
                    "name": format!("custom/a{number}"), "regex": regex, "keywords": ["keyword"]
                }))
                .unwrap()
            })
            .collect();
        let mut compiler = Compiler::default();
        for detector in compile_custom(&detectors, &[]).unwrap() {
            compiler.add(&std::sync::Arc::new(detector)).unwrap();
        }
        let rules = (0_u16..).zip(&compiler.rules);
        let costs = rules.map(|(number, rule)| {
            let own = compiler.heads.iter().filter(|head| head.rule == number);
            alive(rule, &own.collect::<Vec<_>>())
        });
        (costs.collect(), excesses(&compiler))
    }

    #[test]
    fn a_rule_costs_as_many_attempts_as_can_be_alive_at_one_byte() {
        for (expression, least, most) in [
            // The anchor cannot stand in the secret.
            ("acme_[a-z0-9]{200}", 1, 1),
            // It can, at every fourth byte.
            ("acme[a-z0-9]{200}", 50, 70),
            // Without counting, attempts soon are in the same state.
            ("acme[a-z0-9]*!", 10, 20),
            // A secret behind something may begin at each byte.
            ("acme[=]{1,5}([a-z=]{60})", 60, 70),
            ("[a-f0-9]{40}", 40, 50),
        ] {
            let (costs, excesses) = costs(&[expression]);
            assert!(
                (least..=most).contains(&costs[0]),
                "{expression}: {costs:?}"
            );
            assert_eq!(excesses, [], "{expression}");
        }
    }

    #[test]
    fn a_rule_that_can_begin_anew_at_each_of_many_bytes_is_too_expensive() {
        let (costs, excesses) = costs(&["acme_[a-z]{9}", "aaa[a-z]{900}"]);
        assert_eq!(costs[0], 1);
        assert!(costs[1] > 800, "{costs:?}");
        let [(1, reason)] = excesses.as_slice() else {
            panic!("{excesses:?}")
        };
        assert!(reason.contains("count to less"), "{reason}");
    }

    #[test]
    fn rules_are_too_expensive_together_if_they_share_an_anchor() {
        let counted: Vec<String> = (200..220)
            .map(|n| format!("acme[a-z0-9]{{{n}}}!"))
            .collect();
        let same: Vec<&str> = counted.iter().map(String::as_str).collect();
        let (_, excesses) = costs(&same);
        let [(_, reason)] = excesses.as_slice() else {
            panic!("{excesses:?}")
        };
        assert!(reason.starts_with("20 patterns are looked for"), "{reason}");
        // Those that stand elsewhere do not count.
        let apart: Vec<String> = ('a'..'u')
            .map(|c| format!("{c}{c}me[a-z0-9]{{200}}!"))
            .collect();
        let apart: Vec<&str> = apart.iter().map(String::as_str).collect();
        assert_eq!(costs(&apart).1, []);
    }
}
