//! How much work can text made for it cause? A bound for compiled rules, asked for when a policy is
//! published.
//!
//! A rule is tried wherever its anchor stands. An attempt reads on for as long as its pattern may
//! match, so the bytes of a text are read once for each attempt that is alive there, except that
//! attempts in the same state become one ([`known`](crate::masking::text::known), and for contexts
//! [`discovery`](crate::masking::search::discovery)). What counts is therefore how many attempts
//! can be alive at one byte in states that differ: a rule that counts (`[a-z]{500}`) has as many
//! states as it counts bytes, and as many attempts if it can begin anew at each of them.
//!
//! The bound is on the safe side for one rule and for rules that share an anchor: ages and states
//! are counted that no text brings together. Of rules with different anchors it says nothing: a
//! text that has one anchor has no room for another. Of patterns that repeat without end and may be
//! in all their states at any age, it takes attempts of the last [`AGES`] bytes for all: that older
//! ones have become one is likely there, and not proven. Twice the work cannot be ruled out where
//! anchors overlap (`abc`, `bca`), and is not counted.
//!
//! A tail is read once from each place at which a secret may end, whichever attempt has that end,
//! and readers in the same state become one as well (`text::tails`). So it
//! counts like a secret that may begin at every byte, once for all rules that have it. A tail that
//! one byte decides on is not read at all.

use super::rule::ContextStart;
use crate::masking::{
    search::{
        automaton::{Automaton, State},
        bytes::ByteSet,
        compile::{Compiler, Head, Rule},
        discovery::{CHECKPOINT, NEAR},
    },
    text::{
        channel::MAX_HELD,
        reading::{MAX_STATES, WAYPOINT},
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// Most attempts that one rule may have alive at one byte, and all rules with the same anchor.
/// Rules of gitleaks need most of both.
const MAX_ONE: usize = 448;
const MAX_TOGETHER: usize = MAX_STATES;
/// Most different tails of rules with the same anchor: what is known of each is 4 bytes for every
/// byte that a text holds.
const MAX_TAILS: usize = 16;
/// Most work to find out, for all rules of a policy: states that are looked at, times their ways
/// on. Text for which this is not known cannot be bounded, so the rule that comes then is refused.
const MAX_WORK: usize = 1 << 29;

/// How old attempts can be that were not compared with others yet.
const YOUNG: usize = 2 * WAYPOINT;
/// Ages that are looked at, one by one. Patterns count to 1000.
const AGES: usize = 1100;

/// The rules that are too expensive, each by itself or all that share an anchor: their numbers, and
/// a sentence for the author of their detector.
pub(in crate::masking) fn excesses(compiler: &Compiler) -> Vec<(u16, String)> {
    let costs = match costs(compiler) {
        Ok(costs) => costs,
        Err(rule) => {
            let reason = "how much text could cost that is made for it is too much work to find out: let this \
                          detector or those before it count to less"
                .to_owned();
            return vec![(rule, reason)];
        }
    };
    let single = (0_u16..).zip(&costs);
    let single = single.filter(|(_, cost)| cost.all() > MAX_ONE);
    let single: Vec<(u16, String)> = single.map(|(rule, cost)| (rule, cost.excess())).collect();
    if !single.is_empty() {
        return single;
    }
    together(&compiler.heads, &costs).into_iter().collect()
}

/// How many readers a rule may have at one byte.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// Of what leads to the secret and of the secret.
    attempts: usize,
    /// The number of its tail, if that is read, and how many readers it may have.
    tail: Option<(u16, usize)>,
}

impl Cost {
    fn all(&self) -> usize {
        let tail = self.tail.map_or(0, |(_, readers)| readers);
        self.attempts.saturating_add(tail)
    }

    /// For the author of a rule that costs too much.
    fn excess(&self) -> String {
        let Self { attempts, tail } = self;
        match tail {
            Some((_, tail)) if tail >= attempts || *attempts <= MAX_ONE => format!(
                "in text made for it, it would be tried at {attempts} places at once, and what must follow the secret \
                 at {tail}, each of which reads on; at most {MAX_ONE} are allowed together: count to less in what \
                 follows the secret (`{{32,}}` instead of `{{300}}`), or ask for less of it"
            ),
            _ => format!(
                "in text made for it, it would be tried at {attempts} places at once, each of which reads on; at most \
                 {MAX_ONE} are allowed: count to less (`{{32,}}` instead of `{{500}}`), or begin with more fixed \
                 characters that cannot stand inside of the secret"
            ),
        }
    }
}

/// What each rule costs, or the first of which it is too much work to find out.
fn costs(compiler: &Compiler) -> Result<Vec<Cost>, u16> {
    let mut heads: BTreeMap<u16, Vec<&Head>> = BTreeMap::new();
    for head in &compiler.heads {
        heads.entry(head.rule).or_default().push(head);
    }
    let mut work = Work(MAX_WORK);
    let rules = (0_u16..).zip(&compiler.rules);
    rules
        .map(|(number, rule)| {
            let own = heads.get(&number).map(Vec::as_slice).unwrap_or_default();
            Cost::of(rule, own, &mut work).ok_or(number)
        })
        .collect()
}

/// How much may still be looked at.
struct Work(usize);

impl Work {
    fn spend(&mut self, states: usize, ways: usize) -> Option<()> {
        self.0 = self.0.checked_sub(states.saturating_mul(ways))?;
        Some(())
    }
}

/// An anchor and the rules that have it.
type Owned<'a> = (&'a [ByteSet], &'a BTreeSet<u16>);

/// The most expensive of the rules that share an anchor, if they are too expensive together.
fn together(heads: &[Head], costs: &[Cost]) -> Option<(u16, String)> {
    let cost = |rule: &u16| costs.get(usize::from(*rule));
    let all_of = |rule: &u16| cost(rule).map_or(0, Cost::all);
    let mut anchors: BTreeMap<&[ByteSet], BTreeSet<u16>> = BTreeMap::new();
    for head in heads {
        anchors.entry(own(head)).or_default().insert(head.rule);
    }
    // By what they may end with, as most end with different bytes.
    let mut ends: BTreeMap<ByteSet, Vec<Owned<'_>>> = BTreeMap::new();
    for (anchor, rules) in &anchors {
        let last = anchor.last().copied().unwrap_or(ByteSet::ALL);
        ends.entry(last).or_default().push((anchor, rules));
    }
    anchors.keys().find_map(|anchor| {
        let last = anchor.last().copied().unwrap_or(ByteSet::ALL);
        let near = ends.iter().filter(|(end, _)| !end.common(last).is_empty());
        let near = near.flat_map(|(_, near)| near);
        let same = near.filter(|(other, _)| end_alike(anchor, other));
        let rules: BTreeSet<u16> = same.flat_map(|(_, rules)| *rules).copied().collect();
        let tails: BTreeMap<u16, usize> = rules.iter().filter_map(|rule| cost(rule)?.tail).collect();
        let attempts = rules.iter().filter_map(|rule| Some(cost(rule)?.attempts));
        let all = attempts.chain(tails.values().copied());
        let all = all.fold(0, usize::saturating_add);
        if all <= MAX_TOGETHER && tails.len() <= MAX_TAILS {
            return None;
        }
        let largest = rules.iter().copied().max_by_key(all_of)?;
        if all <= MAX_TOGETHER {
            let reason = format!(
                "{} patterns are looked for at the same characters as this one, and what must follow their secrets \
                 differs in {} ways; at most {MAX_TAILS} are allowed: let some of them ask for the same, or for one \
                 character only, or give each a beginning of its own",
                rules.len(),
                tails.len()
            );
            return Some((largest, reason));
        }
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
fn end_alike(one: &[ByteSet], other: &[ByteSet]) -> bool {
    one.iter()
        .rev()
        .zip(other.iter().rev())
        .all(|(a, b)| !a.common(*b).is_empty())
}

impl Cost {
    /// What a rule with these anchors costs; `None` if that is too much work to find out.
    fn of(rule: &Rule, heads: &[&Head], work: &mut Work) -> Option<Self> {
        let tail = match (&rule.tail, &rule.follow) {
            (Some(tail), None) => {
                let readers = at_once(&tail.automaton, &Begins::Anywhere, WAYPOINT, work)?;
                Some((tail.number, readers))
            }
            _ => None,
        };
        Some(Self {
            attempts: attempts(rule, heads, work)?,
            tail,
        })
    }
}

/// How many attempts of a rule with these anchors may be alive at one byte, and readers of its
/// context.
fn attempts(rule: &Rule, heads: &[&Head], work: &mut Work) -> Option<usize> {
    let anchors: BTreeSet<&[ByteSet]> = heads
        .iter()
        .map(|head| head.text.sets().get(..head.own).unwrap_or_default())
        .collect();
    let Some((context, from)) = &rule.context else {
        return at_once(&rule.secret, &Begins::At(&anchors), YOUNG, work);
    };
    let leads = match from {
        ContextStart::Match => at_once(context, &Begins::At(&anchors), CHECKPOINT, work)?,
        ContextStart::AnchorEnd => at_once(context, &Begins::Behind(&anchors), CHECKPOINT, work)?,
        ContextStart::Near => at_once(context, &Begins::Anywhere, CHECKPOINT, work)?.min(NEAR),
    };
    // A context may end at each of many bytes in a row, whatever its anchor.
    let secret = at_once(&rule.secret, &Begins::Anywhere, YOUNG, work)?;
    Some(leads.saturating_add(secret))
}

/// Where attempts begin.
enum Begins<'a> {
    /// With one of these anchors.
    At(&'a BTreeSet<&'a [ByteSet]>),
    /// Behind one of them.
    Behind(&'a BTreeSet<&'a [ByteSet]>),
    /// At any byte.
    Anywhere,
}

/// How many attempts can be alive at one byte, of which those older than `young` become one when in
/// the same state.
fn at_once(
    automaton: &Automaton,
    begins: &Begins<'_>,
    young: usize,
    work: &mut Work,
) -> Option<usize> {
    let layers = Layers::of(automaton, work)?;
    let next = begins.samples(automaton);
    let mut ages = Vec::new();
    // Once the states stay the same and an anchor lies behind the beginning, all later ages are
    // alike.
    let walked = match layers.endless {
        true => layers.last().saturating_add(next.longest).min(AGES),
        false => layers.last(),
    };
    for age in 1..=walked {
        if begins.again(automaton, &layers, &next, age, work)? {
            ages.push(age);
        }
    }
    let longest = match layers.endless {
        true => MAX_HELD,
        false => layers.last(),
    };
    if ages.last() == Some(&walked) {
        ages.extend(walked.saturating_add(1)..=longest);
    }
    // The first age at which another can begin is also the least distance between any two.
    let Some(apart) = ages.first().copied() else {
        return Some(1);
    };
    // Where old attempts may be in the same states at any age, they have mostly become one: those
    // of the last `AGES` bytes are counted. One that goes round through states of their own
    // (`([a-z]{999})*`) stays another as long as it is held.
    let span = match layers.settled {
        true => longest.min(AGES),
        false => longest,
    };
    let spaced = |ages: usize, span: usize| ages.min(span.checked_div(apart).unwrap_or(ages));
    let early = ages.iter().filter(|&&age| age < young).count();
    let late = ages.len().saturating_sub(early);
    let (early, late) = (spaced(early, young), spaced(late, span));
    let mut late = late;
    if late > 0 {
        let states = reachable(automaton, layers.at(young).to_vec(), work)?;
        // States beyond what is remembered do not become one.
        if states <= MAX_STATES {
            late = late.min(states);
        }
        // Where a pattern counts far and ends with what repeats (`.{0,200}key: *!`), the states
        // that repeat are few.
        if layers.endless {
            let before = ages
                .iter()
                .filter(|&&age| (young..layers.last()).contains(&age));
            let before = spaced(before.count(), layers.last());
            let behind = reachable(automaton, layers.at(layers.last()).to_vec(), work)?;
            late = late.min(before.saturating_add(behind));
        }
    }
    Some(early.saturating_add(late).saturating_add(1))
}

/// In which states attempts can be, by their age in bytes.
struct Layers {
    layers: Vec<Vec<State>>,
    /// Whether those older than the oldest here are in the same states, or not known: the pattern
    /// repeats without end.
    endless: bool,
    /// Whether they are known to be in the same ones.
    settled: bool,
}

impl Layers {
    fn of(automaton: &Automaton, work: &mut Work) -> Option<Self> {
        let mut layers = vec![automaton.beginnings()];
        let (mut endless, mut settled) = (true, false);
        while layers.len() <= AGES
            && let Some(last) = layers.last()
        {
            work.spend(last.len(), automaton.ways())?;
            let mut next = automaton.after_any(last);
            next.sort_unstable();
            if next.is_empty() {
                endless = false;
                break;
            }
            if next == *last {
                settled = true;
                break;
            }
            layers.push(next);
        }
        Some(Self {
            layers,
            endless,
            settled,
        })
    }

    /// The greatest age that is known.
    fn last(&self) -> usize {
        self.layers.len().saturating_sub(1)
    }

    fn at(&self, age: usize) -> &[State] {
        let age = match self.endless {
            true => age.min(self.last()),
            false => age,
        };
        self.layers.get(age).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Anchors, and for each of their sets the bytes to try.
struct Samples<'a> {
    anchors: Vec<(&'a [ByteSet], Vec<Vec<u8>>)>,
    /// How many bytes the longest has.
    longest: usize,
}

impl Begins<'_> {
    fn samples(&self, automaton: &Automaton) -> Samples<'_> {
        let (Self::At(anchors) | Self::Behind(anchors)) = self else {
            return Samples {
                anchors: Vec::new(),
                longest: 1,
            };
        };
        let samples = |sets: &[ByteSet]| sets.iter().map(|&set| automaton.samples(set)).collect();
        Samples {
            longest: anchors.iter().map(|sets| sets.len()).max().unwrap_or(0),
            anchors: anchors.iter().map(|&sets| (sets, samples(sets))).collect(),
        }
    }

    /// Whether another attempt can begin when one is `age` bytes old, and the old one live on
    /// through the anchor.
    fn again(
        &self,
        automaton: &Automaton,
        layers: &Layers,
        next: &Samples<'_>,
        age: usize,
        work: &mut Work,
    ) -> Option<bool> {
        let behind = match self {
            Self::At(_) => false,
            Self::Behind(_) => true,
            Self::Anywhere => return Some(true),
        };
        for (sets, samples) in &next.anchors {
            // Behind anchors, ages count from their ends: what of the next one lies before is not
            // read.
            let (from, unread) = match behind {
                true => (
                    age.saturating_sub(sets.len()),
                    sets.len().saturating_sub(age),
                ),
                false => (age, 0),
            };
            let mut states = layers.at(from).to_vec();
            for bytes in samples.iter().skip(unread) {
                work.spend(states.len().max(1), bytes.len())?;
                let ways = states.iter().flat_map(|&state| {
                    let step = move |&byte: &u8| automaton.step(state, byte).next;
                    bytes.iter().filter_map(step)
                });
                let mut after: Vec<State> = ways.collect();
                after.sort_unstable();
                after.dedup();
                states = after;
                if states.is_empty() {
                    break;
                }
            }
            if states.is_empty() {
                continue;
            }
            for (last, _) in &next.anchors {
                let over = last.get(age..).unwrap_or_default();
                work.spend(1, over.len().max(1))?;
                let mut pairs = over.iter().zip(*sets);
                if pairs.all(|(a, b)| !a.common(*b).is_empty()) {
                    return Some(true);
                }
            }
        }
        Some(false)
    }
}

fn reachable(automaton: &Automaton, from: Vec<State>, work: &mut Work) -> Option<usize> {
    let mut all = automaton.no_states();
    let mut queue = from;
    queue.retain(|&state| all.insert(state));
    let mut count = queue.len();
    while let Some(state) = queue.pop() {
        work.spend(1, automaton.ways())?;
        for next in automaton.after_any(&[state]) {
            if all.insert(next) {
                count = count.saturating_add(1);
                queue.push(next);
            }
        }
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masking::{CustomDetector, compile_custom};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn rated(expressions: &[&str]) -> (Vec<usize>, Vec<(u16, String)>) {
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
        let costs = costs(&compiler).unwrap();
        (costs.iter().map(Cost::all).collect(), excesses(&compiler))
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
            // A tail is read from each byte, until its readers are in the same state: 64 and 32.
            ("acme([a-z]*)[a-z]*==", 90, 110),
            ("acme_([a-z]{9})[a-z]{200}==", 200, 220),
            // One byte is looked at and not read.
            ("acme_([a-z]{9})(?:=|$)", 9, 14),
        ] {
            let (costs, excesses) = rated(&[expression]);
            assert!(
                (least..=most).contains(&costs[0]),
                "{expression}: {costs:?}"
            );
            assert_eq!(excesses, [], "{expression}");
        }
    }

    #[test]
    fn a_rule_that_can_begin_anew_at_each_of_many_bytes_is_too_expensive() {
        let (costs, excesses) = rated(&["acme_[a-z]{9}", "aaa[a-z]{900}"]);
        assert_eq!(costs[0], 1);
        assert!(costs[1] > 800, "{costs:?}");
        let [(1, reason)] = excesses.as_slice() else {
            panic!("{excesses:?}")
        };
        assert!(reason.contains("count to less"), "{reason}");
    }

    #[test]
    fn a_tail_that_is_read_from_too_many_places_is_too_expensive() {
        let (costs, excesses) = rated(&[
            "acme([a-z]{9})(?:[a-z]{60}|[a-z]{59})*==",
            "acme([a-z]{140})(?:[a-z]{24}|[a-z]{23})*==",
        ]);
        assert!(costs.iter().all(|&cost| cost > MAX_ONE), "{costs:?}");
        assert_eq!(excesses.len(), 2);
        for (_, reason) in excesses {
            assert!(reason.contains("in what follows the secret"), "{reason}");
        }
    }

    #[test]
    fn a_tail_counts_once_for_all_rules_that_share_an_anchor() {
        let rules = |most: usize, tail: &dyn Fn(usize) -> String| -> Vec<String> {
            (2..most)
                .map(|n| format!("acme_([a-z]{{{n}}}){}", tail(n)))
                .collect()
        };
        let one = rules(12, &|_| "[a-z]{100}!!".to_owned());
        let one: Vec<&str> = one.iter().map(String::as_str).collect();
        assert_eq!(rated(&one).1, []);
        let many = rules(12, &|n| format!("[a-z]{{{}}}!!", 60 + n));
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let (_, excesses) = rated(&many);
        assert!(
            matches!(excesses.as_slice(), [(_, said)] if said.contains("places at once")),
            "{excesses:?}"
        );
        let short = rules(22, &|n| format!("{n}!!"));
        let short: Vec<&str> = short.iter().map(String::as_str).collect();
        let (_, excesses) = rated(&short);
        assert!(
            matches!(excesses.as_slice(), [(_, said)] if said.contains("differs in 20 ways")),
            "{excesses:?}"
        );
    }

    #[test]
    fn rules_are_too_expensive_together_if_they_share_an_anchor() {
        let counted: Vec<String> = (200..220)
            .map(|n| format!("acme[a-z0-9]{{{n}}}!"))
            .collect();
        let same: Vec<&str> = counted.iter().map(String::as_str).collect();
        let (_, excesses) = rated(&same);
        let [(_, reason)] = excesses.as_slice() else {
            panic!("{excesses:?}")
        };
        assert!(reason.starts_with("20 patterns are looked for"), "{reason}");
        // Those that stand elsewhere do not count.
        let apart: Vec<String> = ('a'..'u')
            .map(|c| format!("{c}{c}me[a-z0-9]{{200}}!"))
            .collect();
        let apart: Vec<&str> = apart.iter().map(String::as_str).collect();
        assert_eq!(rated(&apart).1, []);
    }
}
