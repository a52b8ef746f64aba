//! Sets of rules, and for each dimension of a match the rules that a value satisfies.
//!
//! Looking at each rule in turn would cost more with every rule. Here the values of a request look
//! up the rules that mention them. Intersecting those sets takes a few machine words per thousand
//! rules.

use std::collections::HashMap;
use std::hash::Hash;
use std::iter;

use super::glob::Matcher;

/// A set of rules by their index in the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules(Vec<u64>);

impl Rules {
    pub(super) fn none(rules: usize) -> Self {
        Self(vec![0; rules.div_ceil(64)])
    }

    pub(super) fn of(rules: usize, has: impl Fn(usize) -> bool) -> Self {
        let mut set = Self::none(rules);
        (0..rules)
            .filter(|rule| has(*rule))
            .for_each(|rule| set.insert(rule));
        set
    }

    fn insert(&mut self, rule: usize) {
        if let Some(word) = self.0.get_mut(rule >> 6) {
            *word |= 1_u64.wrapping_shl((rule & 63) as u32);
        }
    }

    pub(super) fn contains(&self, rule: usize) -> bool {
        let word = self.0.get(rule >> 6).copied().unwrap_or_default();
        word.wrapping_shr((rule & 63) as u32) & 1 == 1
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.0
            .iter_mut()
            .zip(&other.0)
            .for_each(|(word, other)| *word |= other);
    }

    pub(super) fn keep(&mut self, other: &Self) {
        self.0
            .iter_mut()
            .zip(&other.0)
            .for_each(|(word, other)| *word &= other);
    }

    /// The rules that are in both sets, in document order.
    pub(super) fn shared<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = usize> + 'a {
        self.0
            .iter()
            .zip(&other.0)
            .enumerate()
            .flat_map(|(index, (a, b))| {
                let mut word = a & b;
                iter::from_fn(move || {
                    let bit = word.trailing_zeros();
                    (bit < 64).then(|| {
                        word &= word.wrapping_sub(1);
                        index.wrapping_shl(6) | bit as usize
                    })
                })
            })
    }
}

/// The rules that mention a value. Most values are mentioned by few of many rules.
#[derive(Debug)]
enum Mentions {
    Few(Box<[usize]>),
    Many(Rules),
}

impl Mentions {
    fn new(rules: usize, mentioned: Vec<usize>) -> Self {
        if mentioned.len() <= rules.div_ceil(64) {
            return Self::Few(mentioned.into());
        }
        let mut set = Rules::none(rules);
        mentioned.into_iter().for_each(|rule| set.insert(rule));
        Self::Many(set)
    }

    fn add_to(&self, set: &mut Rules) {
        match self {
            Self::Few(mentioned) => mentioned.iter().for_each(|rule| set.insert(*rule)),
            Self::Many(mentioned) => set.add(mentioned),
        }
    }
}

/// One dimension whose values are compared exactly.
#[derive(Debug)]
pub(super) struct Dimension {
    /// The rules that leave the dimension out. `None` when all of them do.
    any: Option<Rules>,
    values: HashMap<Box<str>, Mentions>,
}

impl Dimension {
    /// From the values that each rule mentions, in document order; `None` for a rule that leaves
    /// the dimension out.
    pub(super) fn new<'a, V: IntoIterator<Item = &'a str>>(
        mentions: impl Iterator<Item = Option<V>>,
    ) -> Self {
        let mut values: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        let mut any = Vec::new();
        let mut rules: usize = 0;
        for (rule, mentioned) in mentions.enumerate() {
            rules = rules.saturating_add(1);
            let Some(mentioned) = mentioned else {
                any.push(rule);
                continue;
            };
            for value in mentioned {
                let list = values.entry(value.into()).or_default();
                if list.last() != Some(&rule) {
                    list.push(rule);
                }
            }
        }
        let any = (any.len() < rules).then(|| {
            let mut set = Rules::none(rules);
            any.iter().for_each(|rule| set.insert(*rule));
            set
        });
        let values = values
            .into_iter()
            .map(|(value, list)| (value, Mentions::new(rules, list)))
            .collect();
        Self { any, values }
    }

    /// Keeps of `rules` those that one of the `seen` values satisfies.
    pub(super) fn narrow<'a>(&self, rules: &mut Rules, seen: impl Iterator<Item = &'a str>) {
        if let Some(satisfied) = self.satisfied(seen) {
            rules.keep(&satisfied);
        }
    }

    /// `None` when the dimension restricts no rule.
    fn satisfied<'a>(&self, seen: impl Iterator<Item = &'a str>) -> Option<Rules> {
        let mut satisfied = self.any.clone()?;
        seen.filter_map(|value| self.values.get(value))
            .for_each(|m| m.add_to(&mut satisfied));
        Some(satisfied)
    }
}

/// One dimension of patterns. Those without a wildcard are looked up; of the others, each distinct
/// one is matched at most once per request, and only when a rule comes that far.
#[derive(Debug)]
pub(super) struct Patterns<M> {
    literals: Dimension,
    /// The rules with at least one wildcard pattern.
    wild: Rules,
    matchers: Vec<M>,
    /// For each rule, its wildcard patterns as indexes into `matchers`.
    of_rule: Vec<Box<[usize]>>,
}

impl<M: Matcher + Clone + Eq + Hash> Patterns<M> {
    /// From the patterns of each rule, in document order.
    pub(super) fn new(rules: Vec<Vec<M>>) -> Self {
        let literals = Dimension::new(rules.iter().map(|patterns| {
            (!patterns.is_empty()).then(|| patterns.iter().filter_map(Matcher::literal))
        }));
        let wild = Rules::of(rules.len(), |rule| {
            rules
                .get(rule)
                .is_some_and(|patterns| patterns.iter().any(|p| p.literal().is_none()))
        });
        let mut matchers: Vec<M> = Vec::new();
        let mut numbers: HashMap<M, usize> = HashMap::new();
        let mut of_rule = Vec::new();
        for patterns in rules {
            let mut indexes = Vec::new();
            for matcher in patterns.into_iter().filter(|m| m.literal().is_none()) {
                let next = numbers.len();
                let number = *numbers.entry(matcher.clone()).or_insert(next);
                if number == next {
                    matchers.push(matcher);
                }
                indexes.push(number);
            }
            of_rule.push(indexes.into_boxed_slice());
        }
        Self {
            literals,
            wild,
            matchers,
            of_rule,
        }
    }

    /// Keeps of `rules` those that `text` may satisfy, and gives what answers for each.
    pub(super) fn narrow<'a>(&'a self, rules: &mut Rules, text: &'a str) -> Answers<'a, M> {
        let satisfied = self.literals.satisfied(iter::once(text));
        if let Some(satisfied) = &satisfied {
            let mut possible = satisfied.clone();
            possible.add(&self.wild);
            rules.keep(&possible);
        }
        Answers {
            patterns: self,
            text,
            satisfied,
            known: Vec::new(),
        }
    }
}

/// The answers of one dimension of patterns for one request.
#[derive(Debug)]
pub(super) struct Answers<'a, M> {
    patterns: &'a Patterns<M>,
    text: &'a str,
    /// The rules that leave the dimension out or have the text as a literal. `None`: all of them.
    satisfied: Option<Rules>,
    /// For each matcher, whether it matches, once that is known.
    known: Vec<Option<bool>>,
}

impl<M: Matcher> Answers<'_, M> {
    pub(super) fn satisfies(&mut self, rule: usize) -> bool {
        match &self.satisfied {
            None => return true,
            Some(satisfied) if satisfied.contains(rule) => return true,
            Some(_) => {}
        }
        let patterns = self.patterns;
        if self.known.is_empty() {
            self.known.resize(patterns.matchers.len(), None);
        }
        let wild = patterns
            .of_rule
            .get(rule)
            .map(|list| &**list)
            .unwrap_or_default();
        wild.iter().any(|index| {
            let Some(matcher) = patterns.matchers.get(*index) else {
                return false;
            };
            match self.known.get_mut(*index) {
                Some(known) => *known.get_or_insert_with(|| matcher.matches(self.text)),
                None => matcher.matches(self.text),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn sets_give_their_shared_rules_in_document_order() {
        let a = Rules::of(200, |rule| rule % 3 == 0);
        let b = Rules::of(200, |rule| rule % 64 < 4);
        let shared: Vec<usize> = a.shared(&b).collect();
        assert_eq!(
            shared,
            (0..200)
                .filter(|r| r % 3 == 0 && r % 64 < 4)
                .collect::<Vec<_>>()
        );
        assert!(a.contains(198) && !a.contains(199) && !a.contains(100_000));
    }

    #[test]
    fn a_pattern_is_matched_once_however_many_rules_have_it() {
        use std::cell::Cell;
        use std::rc::Rc;

        #[derive(Clone)]
        struct Counting(Rc<Cell<u32>>);
        impl PartialEq for Counting {
            fn eq(&self, _: &Self) -> bool {
                true
            }
        }
        impl Eq for Counting {}
        impl Hash for Counting {
            fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
        }
        impl Matcher for Counting {
            fn literal(&self) -> Option<&str> {
                None
            }
            fn matches(&self, _: &str) -> bool {
                self.0.set(self.0.get() + 1);
                false
            }
        }
        let count = Rc::new(Cell::new(0));
        let patterns = Patterns::new(vec![vec![Counting(count.clone())]; 100]);
        let mut rules = Rules::of(100, |_| true);
        let mut answers = patterns.narrow(&mut rules, "x");
        assert!((0..100).all(|rule| !answers.satisfies(rule)));
        assert_eq!(count.get(), 1);
    }
}
