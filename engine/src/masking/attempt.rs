//! One rule tried at one place.

use super::{
    automaton::{Look, State},
    compile::Rule,
    discovery::Start,
    set::DetectorSet,
};

/// A rule that reads on from a place where its secret may begin.
#[derive(Debug)]
pub(super) struct Attempt {
    rule: u16,
    /// `None` when no longer match can come.
    state: Option<State>,
    /// Ends of the secret after which its tail is not decided, the longest for each state of the tail.
    tails: Vec<(State, usize)>,
    /// Where the longest match so far ends.
    matched: Option<usize>,
}

impl Attempt {
    /// At the place of `start`.
    pub(super) fn new(set: &DetectorSet, start: Start) -> Self {
        Self {
            rule: start.rule,
            state: set
                .rule(start.rule)
                .and_then(|rule| rule.secret.start(start.look)),
            tails: Vec::new(),
            matched: None,
        }
    }

    /// The number of the rule.
    pub(super) fn rule(&self) -> u16 {
        self.rule
    }

    /// Where the longest match so far ends.
    pub(super) fn matched(&self) -> Option<usize> {
        self.matched
    }

    /// The state of the secret alone, while it can become longer.
    pub(super) fn state(&self) -> Option<State> {
        self.state
    }

    /// Whether more bytes can change anything.
    pub(super) fn is_open(&self) -> bool {
        self.state.is_some() || !self.tails.is_empty()
    }

    /// Reads `bytes[from..to]`; everything before `from` was read.
    pub(super) fn read(&mut self, set: &DetectorSet, bytes: &[u8], from: usize, to: usize) {
        let Some(rule) = set.rule(self.rule) else {
            self.state = None;
            return;
        };
        let new = bytes.get(from..to).unwrap_or_default();
        if rule.tail.is_none() && !rule.first_end {
            if let Some(state) = self.state {
                let matched = &mut self.matched;
                self.state = rule
                    .secret
                    .read(state, new, |i| *matched = Some(from.saturating_add(i)));
            }
            return;
        }
        let mut behind = from.checked_sub(1).and_then(|at| bytes.get(at).copied());
        for (at, &byte) in (from..).zip(new) {
            if let Some(state) = self.state {
                let step = rule.secret.step(state, byte);
                self.state = step.next;
                if step.matched_before {
                    self.begin_tail(rule, behind, at);
                }
            }
            self.read_tails(rule, byte);
            if rule.first_end && self.matched.is_some() {
                self.state = None;
                self.tails.clear();
            }
            if !self.is_open() {
                return;
            }
            behind = Some(byte);
        }
    }

    /// The text ends at `to`, up to which all was read.
    pub(super) fn finish(&mut self, set: &DetectorSet, bytes: &[u8], to: usize) {
        let Some(rule) = set.rule(self.rule) else {
            return;
        };
        if self
            .state
            .is_some_and(|state| rule.secret.matches_at_end(state))
        {
            match rule.tail {
                Some(_) => {
                    let behind = to.checked_sub(1).and_then(|at| bytes.get(at).copied());
                    self.begin_tail(rule, behind, to);
                }
                None => self.matched = Some(to),
            }
        }
        if let Some(tail) = &rule.tail {
            let ends = self.tails.iter().filter(|(s, _)| tail.matches_at_end(*s));
            let ends = ends.map(|&(_, end)| end).chain(self.matched);
            self.matched = if rule.first_end {
                ends.min()
            } else {
                ends.max()
            };
        }
        self.state = None;
        self.tails.clear();
    }

    /// Positions become smaller by `by`.
    pub(super) fn rebase(&mut self, by: usize) {
        self.matched = self.matched.map(|end| end.saturating_sub(by));
        for (_, end) in &mut self.tails {
            *end = end.saturating_sub(by);
        }
    }

    /// The secret may end before `at`, if its tail stands there or it has none.
    fn begin_tail(&mut self, rule: &Rule, behind: Option<u8>, at: usize) {
        let look = behind.map_or(Look::Text, Look::behind);
        let Some(tail) = &rule.tail else {
            self.matched = Some(at);
            return;
        };
        if let Some(state) = tail.start(look) {
            self.tails.push((state, at));
        }
    }

    fn read_tails(&mut self, rule: &Rule, byte: u8) {
        let Some(tail) = &rule.tail else { return };
        let matched = &mut self.matched;
        self.tails.retain_mut(|(state, end)| {
            let step = tail.step(*state, byte);
            if step.matched_before {
                *matched = (*matched).max(Some(*end));
            }
            match step.next {
                Some(next) => *state = next,
                None => return false,
            }
            true
        });
        if self.tails.len() > 1 {
            // They lie in the order of their ends. Of equal ones the end that counts is what matters.
            if !rule.first_end {
                self.tails.reverse();
            }
            let mut seen: Vec<State> = Vec::new();
            self.tails.retain(|(state, end)| {
                let useful = matched.is_none_or(|matched| *end > matched) && !seen.contains(state);
                seen.push(*state);
                useful
            });
            if !rule.first_end {
                self.tails.reverse();
            }
        } else if let Some(matched) = matched {
            self.tails.retain(|(_, end)| *end > *matched);
        }
    }
}
