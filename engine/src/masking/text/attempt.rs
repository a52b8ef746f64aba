//! One rule tried at one place.

use super::{
    known::{End, Known, Waypoint},
    reading::WAYPOINT,
    tails::{Answer, Tails},
};
use crate::masking::{
    bodies::fault,
    detectors::doubt::DOUBTED,
    offsets::{TextAt, Window},
    search::{
        automaton::State,
        compile::{Rule, Tail},
        discovery::Start,
        set::DetectorSet,
    },
};
use std::collections::BTreeSet;

/// What it costs to compare an attempt with earlier ones; see [`Budget`](crate::masking::Budget).
const COMPARED: u64 = 32;

/// A rule that reads on from a place where its secret may begin.
#[derive(Debug, Clone)]
pub(in crate::masking) struct Attempt {
    rule: u16,
    /// `None` when no longer match can come.
    state: Option<State>,
    /// Ends of the secret of which it is not decided whether the tail follows, in order: of those
    /// with the same answer the one that counts.
    waiting: Vec<usize>,
    /// Where the match so far ends that counts.
    matched: Option<usize>,
    /// Where the byte stands that said so.
    known: TextAt,
    /// Where it began.
    begun: TextAt,
    /// Where it came by.
    waypoints: Vec<(TextAt, State)>,
    /// What it has cost since this was last asked; see [`Budget`](crate::masking::Budget).
    work: u64,
}

impl Attempt {
    /// At the place of `start`, which is `begun` in the text.
    pub(in crate::masking) fn new(set: &DetectorSet, start: Start, begun: TextAt) -> Self {
        Self {
            begun,
            waypoints: Vec::new(),
            work: 0,
            rule: start.rule,
            state: set
                .rule(start.rule)
                .and_then(|rule| rule.secret.start(start.look)),
            waiting: Vec::new(),
            matched: None,
            known: TextAt::START,
        }
    }

    /// What it has cost since this was last asked.
    pub(in crate::masking) fn take_work(&mut self) -> u64 {
        std::mem::take(&mut self.work)
    }

    /// The number of the rule.
    pub(in crate::masking) fn rule(&self) -> u16 {
        self.rule
    }

    /// Where the match so far ends that counts.
    pub(in crate::masking) fn matched(&self) -> Option<usize> {
        self.matched
    }

    /// The state of the secret alone, while it can become longer.
    pub(in crate::masking) fn state(&self) -> Option<State> {
        self.state
    }

    /// Whether more bytes can change anything.
    pub(in crate::masking) fn is_open(&self) -> bool {
        self.state.is_some() || !self.waiting.is_empty()
    }

    /// Reads on up to `to`, from the place where it was begun and up to which it was read. On the
    /// way the rule may say that what begins so is no secret.
    pub(super) fn read_in_doubt(
        &mut self,
        set: &DetectorSet,
        on: Window<'_>,
        known: &mut Known,
        (begun, read): (usize, usize),
        to: usize,
    ) {
        let mut from = read;
        let doubted = begun.saturating_add(DOUBTED);
        if let Some(is_none) = set.rule(self.rule).and_then(|rule| rule.refuted)
            && (read..to).contains(&doubted)
        {
            self.read(set, on, known, from, doubted);
            from = doubted;
            let text = on.bytes.get(begun..doubted).unwrap_or_default();
            if self.is_open() && self.matched.is_none() && is_none(text) {
                self.state = None;
                self.waiting.clear();
                // What others find here, this one does not know.
                self.waypoints.clear();
            }
        }
        self.read(set, on, known, from, to);
    }

    /// Reads the bytes `from..to`; everything before `from` was read.
    pub(in crate::masking) fn read(
        &mut self,
        set: &DetectorSet,
        on: Window<'_>,
        known: &mut Known,
        from: usize,
        to: usize,
    ) {
        let Some(rule) = set.rule(self.rule) else {
            known.fault.cannot_be("a rule that is none is tried");
            self.state = None;
            return;
        };
        known
            .fault
            .unless(to <= on.bytes.len(), "bytes are read that are not at hand");
        self.look_again(rule, on, &mut known.tails, to);
        let mut at = from;
        while let Some(state) = self.state
            && at < to
            && !(rule.first_end && self.is_known(on, at))
        {
            let stop = at.saturating_add(on.to_waypoint(at)).min(to);
            let new = on.bytes.get(at..stop).unwrap_or_default();
            self.state = match (&rule.follow, rule.tail.as_ref()) {
                (Some(follow), _) => {
                    let matched = &mut self.matched;
                    let ended = |i| {
                        if new.get(i).is_some_and(|&byte| follow.bytes.contains(byte)) {
                            *matched = Some(at.saturating_add(i));
                        }
                    };
                    rule.secret.read(state, new, ended, &mut self.work)
                }
                (None, None) if !rule.first_end => {
                    let matched = &mut self.matched;
                    let ended = |i| *matched = Some(at.saturating_add(i));
                    rule.secret.read(state, new, ended, &mut self.work)
                }
                (None, tail) => {
                    let mut work = 0;
                    let ended = |i| {
                        let end = at.saturating_add(i);
                        self.ended(rule, tail, on, &mut known.tails, end, to);
                    };
                    let state = rule.secret.read(state, new, ended, &mut work);
                    self.work = self.work.saturating_add(work);
                    state
                }
            };
            at = stop;
            if on.is_waypoint(at) {
                self.come_by(rule, on, known, at);
            }
        }
        if rule.first_end && self.matched.is_some() {
            // What waits could only be known later.
            self.state = None;
            self.waiting.clear();
        }
        self.leave_out_alike(rule, on, &mut known.tails, to);
    }

    /// Whether the end that counts was known before the byte at `at` was read.
    fn is_known(&self, on: Window<'_>, at: usize) -> bool {
        self.matched.is_some() && self.known < on.place(at)
    }

    /// The secret may end at `end`, if its tail stands there or it has none.
    fn ended(
        &mut self,
        rule: &Rule,
        tail: Option<&Tail>,
        on: Window<'_>,
        tails: &mut Tails,
        end: usize,
        to: usize,
    ) {
        if rule.first_end && self.is_known(on, end) {
            return;
        }
        let answer = match tail {
            Some(tail) => tails.ask(tail, on, end, to, &mut self.work),
            None => Answer::Stands(on.place(end)),
        };
        match answer {
            Answer::Stands(known) => self.take(rule, end, known),
            Answer::Fails => {}
            Answer::Waits(_) => self.waiting.push(end),
        }
    }

    /// The secret ends at `end`, which was known at `known`, unless another end counts. Ends come
    /// in order.
    fn take(&mut self, rule: &Rule, end: usize, known: TextAt) {
        if rule.first_end && self.matched.is_some() && self.known <= known {
            return;
        }
        (self.matched, self.known) = (Some(end), known);
    }

    /// Asks again about the ends that wait: there are new bytes, up to `to`.
    fn look_again(&mut self, rule: &Rule, on: Window<'_>, tails: &mut Tails, to: usize) {
        let Some(tail) = rule.tail.as_ref().filter(|_| !self.waiting.is_empty()) else {
            return;
        };
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|&end| match tails.ask(tail, on, end, to, &mut self.work) {
            Answer::Stands(known) => {
                self.take(rule, end, known);
                false
            }
            Answer::Fails => false,
            Answer::Waits(_) => true,
        });
        self.waiting = waiting;
    }

    /// Of the ends that wait and have the same answer only one counts, and none before one that is
    /// sure.
    fn leave_out_alike(&mut self, rule: &Rule, on: Window<'_>, tails: &mut Tails, to: usize) {
        let Some(tail) = rule.tail.as_ref().filter(|_| !self.waiting.is_empty()) else {
            return;
        };
        if let (false, Some(matched)) = (rule.first_end, self.matched) {
            self.waiting.retain(|&end| end > matched);
        }
        if self.waiting.len() < 2 {
            return;
        }
        let mut seen = BTreeSet::new();
        let work = &mut self.work;
        let mut counts = |&end: &usize| match tails.ask(tail, on, end, to, work) {
            Answer::Waits(reader) => seen.insert(reader),
            _ => true,
        };
        if rule.first_end {
            self.waiting.retain(&mut counts);
        } else {
            self.waiting.reverse();
            self.waiting.retain(&mut counts);
            self.waiting.reverse();
        }
    }

    /// All before `at` is read: if another came by here in the same state, the ends that it found
    /// from here on are those of this one.
    fn come_by(&mut self, rule: &Rule, on: Window<'_>, known: &Known, at: usize) {
        let (Some(state), place) = (self.state, on.place(at)) else {
            return;
        };
        if place.since(self.begun) < WAYPOINT as u64 {
            return;
        }
        self.work = self.work.saturating_add(COMPARED);
        let here = Waypoint {
            at: place,
            rule: self.rule,
            state,
        };
        let Some(end) = known.end(&here) else {
            self.waypoints.push((place, state));
            return;
        };
        self.state = None;
        if let Some(end) = end {
            self.take(rule, on.at(end.at), end.known);
        }
    }

    /// It is decided: leaves behind what it found.
    pub(in crate::masking) fn teach(&self, set: &DetectorSet, known: &mut Known, on: Window<'_>) {
        let first_end = set.rule(self.rule).is_some_and(|rule| rule.first_end);
        let matched = self.matched.map(|end| End {
            at: on.place(end),
            known: self.known,
        });
        for &(at, state) in &self.waypoints {
            let end = matched.filter(|end| end.at >= at);
            if first_end && end != matched {
                // It did not go on to see which end there is after this place.
                continue;
            }
            let end = end.map(|end| End {
                known: end.known.max(at),
                ..end
            });
            let here = Waypoint {
                at,
                rule: self.rule,
                state,
            };
            known.learn_end(&here, end, self.begun);
        }
    }

    /// The text ends at `to`, up to which all was read.
    pub(in crate::masking) fn finish(
        &mut self,
        set: &DetectorSet,
        on: Window<'_>,
        known: &mut Known,
        to: usize,
    ) {
        let Some(rule) = set.rule(self.rule) else {
            known.fault.cannot_be("a rule that is none is tried");
            return;
        };
        if !self.is_open() {
            return;
        }
        let (tails, fault) = (&mut known.tails, &mut known.fault);
        let complete = self
            .state
            .is_some_and(|state| rule.secret.matches_at_end(state));
        let last = match (&rule.follow, rule.tail.as_ref()) {
            (Some(follow), _) => complete && follow.at_end,
            (None, Some(tail)) => complete && tail.automaton.stands_at_end(on.look(to)),
            (None, None) => complete,
        };
        let mut ends: Vec<usize> = last.then_some(to).into_iter().collect();
        if let Some(tail) = rule.tail.as_ref() {
            ends.extend(self.waiting.iter().filter(|&&end| {
                let answer = tails.ask(tail, on, end, to, &mut self.work);
                let Answer::Waits(reader) = answer else {
                    return false;
                };
                let state = tails.state(reader);
                fault.unless(state.is_some(), "a place waits for a reader that is none");
                state.is_some_and(|state| tail.automaton.matches_at_end(state))
            }));
        }
        ends.extend(self.matched);
        self.matched = match rule.first_end {
            true => ends.into_iter().min(),
            false => ends.into_iter().max(),
        };
        self.known = self.known.max(on.place(to));
        self.state = None;
        self.waiting.clear();
    }

    /// Positions become smaller by `by`.
    pub(in crate::masking) fn rebase(&mut self, by: usize) {
        fault::check(
            || {
                self.matched
                    .iter()
                    .chain(&self.waiting)
                    .all(|&end| end >= by)
            },
            "a match ends before it has begun",
        );
        self.matched = self.matched.map(|end| end.saturating_sub(by));
        for end in &mut self.waiting {
            *end = end.saturating_sub(by);
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
