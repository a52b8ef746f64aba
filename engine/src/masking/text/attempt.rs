//! One rule tried at one place.

use super::known::{Known, MAX_WAITING, WAYPOINT, Waiting, Waypoint};
use crate::masking::{
    detectors::doubt::DOUBTED,
    search::{
        automaton::{Look, State},
        compile::Rule,
        discovery::Start,
        set::DetectorSet,
    },
};

/// The bytes that an attempt reads.
#[derive(Clone, Copy)]
pub(in crate::masking) struct Reading<'a> {
    pub(in crate::masking) bytes: &'a [u8],
    /// Where they begin in the text.
    pub(in crate::masking) base: u64,
    /// What earlier attempts found in them.
    pub(in crate::masking) known: &'a Known,
}

/// What it costs to compare an attempt with earlier ones, and what each byte of a tail costs:
/// several times what a byte of a secret does.
const COMPARED: u64 = 32;
const TAIL: u64 = 4;

impl Reading<'_> {
    fn place(self, at: usize) -> u64 {
        self.base.saturating_add(at as u64)
    }

    /// How many bytes it is from `at` to the next waypoint.
    fn to_waypoint(self, at: usize) -> usize {
        let past = self.place(at) & (WAYPOINT as u64).wrapping_sub(1);
        WAYPOINT.saturating_sub(usize::try_from(past).unwrap_or(0))
    }
}

/// A rule that reads on from a place where its secret may begin.
#[derive(Debug)]
pub(in crate::masking) struct Attempt {
    rule: u16,
    /// `None` when no longer match can come.
    state: Option<State>,
    /// Ends of the secret after which its tail is not decided, the longest for each state of the
    /// tail.
    tails: Vec<(State, usize)>,
    /// Where the longest match so far ends.
    matched: Option<usize>,
    /// Where in the text it began.
    begun: u64,
    /// Where it came by, and where its longest match ended then.
    waypoints: Vec<(Waypoint, Option<usize>)>,
    /// How many tails waited at all of these.
    waiting: usize,
    /// Where the tail was looked for, if it is a long one, and whether it matches there.
    looked: Vec<(u64, bool)>,
    /// What it has cost since this was last asked; see [`Budget`](crate::masking::Budget).
    work: u64,
}

impl Attempt {
    /// At the place of `start`.
    pub(in crate::masking) fn new(set: &DetectorSet, start: Start, base: u64) -> Self {
        Self {
            begun: base.saturating_add(start.at as u64),
            waypoints: Vec::new(),
            waiting: 0,
            looked: Vec::new(),
            work: 0,
            rule: start.rule,
            state: set
                .rule(start.rule)
                .and_then(|rule| rule.secret.start(start.look)),
            tails: Vec::new(),
            matched: None,
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

    /// Where the longest match so far ends.
    pub(in crate::masking) fn matched(&self) -> Option<usize> {
        self.matched
    }

    /// The state of the secret alone, while it can become longer.
    pub(in crate::masking) fn state(&self) -> Option<State> {
        self.state
    }

    /// Whether more bytes can change anything.
    pub(in crate::masking) fn is_open(&self) -> bool {
        self.state.is_some() || !self.tails.is_empty()
    }

    /// Reads on up to `to`, from the place where it was begun and up to which it was read. On the
    /// way the rule may say that what begins so is no secret.
    pub(super) fn read_in_doubt(
        &mut self,
        set: &DetectorSet,
        on: Reading<'_>,
        (begun, read): (usize, usize),
        to: usize,
    ) {
        let mut from = read;
        let doubted = begun.saturating_add(DOUBTED);
        if let Some(is_none) = set.rule(self.rule).and_then(|rule| rule.refuted)
            && (read..to).contains(&doubted)
        {
            self.read(set, on, from, doubted);
            from = doubted;
            let text = on.bytes.get(begun..doubted).unwrap_or_default();
            if self.is_open() && self.matched.is_none() && is_none(text) {
                self.state = None;
                self.tails.clear();
                // What others find here, this one does not know.
                self.waypoints.clear();
            }
        }
        self.read(set, on, from, to);
    }

    /// Reads the bytes `from..to`; everything before `from` was read.
    pub(in crate::masking) fn read(
        &mut self,
        set: &DetectorSet,
        on: Reading<'_>,
        from: usize,
        to: usize,
    ) {
        let Some(rule) = set.rule(self.rule) else {
            self.state = None;
            return;
        };
        if (rule.tail.is_none() || rule.follow.is_some()) && !rule.first_end {
            self.read_secret(rule, on, from, to);
            return;
        }
        let new = on.bytes.get(from..to).unwrap_or_default();
        let mut behind = from.checked_sub(1).and_then(|at| on.bytes.get(at).copied());
        let mut waypoint = from.saturating_add(on.to_waypoint(from));
        for (at, &byte) in (from..).zip(new) {
            let tails = (self.tails.len() as u64).saturating_mul(TAIL);
            self.work = self.work.saturating_add(tails).saturating_add(1);
            if let Some(state) = self.state {
                let step = rule.secret.step(state, byte);
                self.state = step.next;
                if step.matched_before {
                    self.begin_tail(rule, on, behind, at);
                }
            }
            self.read_tails(rule, on, byte);
            if rule.first_end && self.matched.is_some() {
                self.state = None;
                self.tails.clear();
            }
            if !self.is_open() {
                return;
            }
            behind = Some(byte);
            let next = at.saturating_add(1);
            if next == waypoint {
                self.come_by(on, next);
                waypoint = next.saturating_add(WAYPOINT);
            }
        }
    }

    /// Reads a rule that is nothing but a secret, or one with a byte behind it.
    fn read_secret(&mut self, rule: &Rule, on: Reading<'_>, from: usize, to: usize) {
        let mut at = from;
        while let Some(state) = self.state
            && at < to
        {
            let stop = at.saturating_add(on.to_waypoint(at)).min(to);
            let new = on.bytes.get(at..stop).unwrap_or_default();
            let matched = &mut self.matched;
            self.state = match &rule.follow {
                None => {
                    let ended = |i| *matched = Some(at.saturating_add(i));
                    rule.secret.read(state, new, ended, &mut self.work)
                }
                Some(follow) => {
                    let ended = |i| {
                        if new.get(i).is_some_and(|&byte| follow.bytes.contains(byte)) {
                            *matched = Some(at.saturating_add(i));
                        }
                    };
                    rule.secret.read(state, new, ended, &mut self.work)
                }
            };
            at = stop;
            if on.to_waypoint(at) == WAYPOINT {
                self.come_by(on, at);
            }
        }
    }

    /// All before `at` is read: if another came by here in the same state, what it found is what
    /// this one would.
    fn come_by(&mut self, on: Reading<'_>, at: usize) {
        let (Some(state), place) = (self.state, on.place(at)) else {
            return;
        };
        if place.saturating_sub(self.begun) < WAYPOINT as u64 {
            return;
        }
        self.work = self.work.saturating_add(COMPARED);
        let Some(waiting) = self.waiting(at) else {
            return;
        };
        let here = Waypoint {
            at: place,
            rule: self.rule,
            state,
            waiting,
        };
        let Some(end) = on.known.end(&here) else {
            self.waiting = self.waiting.saturating_add(here.waiting.len());
            self.waypoints.push((here, self.matched));
            return;
        };
        let end = end.and_then(|end| usize::try_from(end.saturating_sub(on.base)).ok());
        self.matched = end.or(self.matched);
        self.state = None;
        self.tails.clear();
    }

    /// The tails that are not decided, as seen from `at`; `None` if they are too many to be
    /// remembered.
    fn waiting(&self, at: usize) -> Option<Waiting> {
        if self.waiting.saturating_add(self.tails.len()) > MAX_WAITING {
            return None;
        }
        let tails = self.tails.iter();
        tails
            .map(|&(state, end)| Some((state, u16::try_from(at.checked_sub(end)?).ok()?)))
            .collect()
    }

    /// It is decided: leaves behind what it found.
    pub(in crate::masking) fn teach(&self, known: &mut Known, base: u64) {
        for (here, before) in &self.waypoints {
            let end = self.matched.filter(|_| self.matched != *before);
            let end = end.map(|end| base.saturating_add(end as u64));
            known.learn_end(here, end, self.begun);
        }
        for &(at, matches) in &self.looked {
            known.learn_tail(self.rule, at, matches);
        }
    }

    /// The text ends at `to`, up to which all was read.
    pub(in crate::masking) fn finish(&mut self, set: &DetectorSet, bytes: &[u8], to: usize) {
        let Some(rule) = set.rule(self.rule) else {
            return;
        };
        if self
            .state
            .is_some_and(|state| rule.secret.matches_at_end(state))
        {
            match (&rule.follow, &rule.tail) {
                (Some(follow), _) => {
                    if follow.at_end {
                        self.matched = Some(to);
                    }
                }
                (None, Some(_)) => {
                    let behind = to.checked_sub(1).and_then(|at| bytes.get(at).copied());
                    self.begin_tail_at_end(rule, behind, to);
                }
                (None, None) => self.matched = Some(to),
            }
        }
        if let (None, Some(tail)) = (&rule.follow, &rule.tail) {
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
    pub(in crate::masking) fn rebase(&mut self, by: usize) {
        self.matched = self.matched.map(|end| end.saturating_sub(by));
        for (_, end) in &mut self.waypoints {
            *end = end.map(|end| end.saturating_sub(by));
        }
        for (_, end) in &mut self.tails {
            *end = end.saturating_sub(by);
        }
    }

    /// The secret may end before `at`, if its tail stands there or it has none.
    fn begin_tail(&mut self, rule: &Rule, on: Reading<'_>, behind: Option<u8>, at: usize) {
        let known = match rule.long_tail {
            true => on.known.tail(self.rule, on.place(at)),
            false => None,
        };
        match known {
            Some(true) => self.matched = Some(at),
            Some(false) => {}
            None => self.begin_tail_at_end(rule, behind, at),
        }
    }

    fn begin_tail_at_end(&mut self, rule: &Rule, behind: Option<u8>, at: usize) {
        let look = behind.map_or(Look::Text, Look::behind);
        let Some(tail) = &rule.tail else {
            self.matched = Some(at);
            return;
        };
        if let Some(state) = tail.start(look) {
            self.tails.push((state, at));
        }
    }

    fn read_tails(&mut self, rule: &Rule, on: Reading<'_>, byte: u8) {
        let Some(tail) = &rule.tail else { return };
        let (matched, looked) = (&mut self.matched, &mut self.looked);
        self.tails.retain_mut(|(state, end)| {
            let step = tail.step(*state, byte);
            if step.matched_before {
                *matched = (*matched).max(Some(*end));
            }
            if rule.long_tail && (step.matched_before || step.next.is_none()) {
                looked.push((on.place(*end), step.matched_before));
            }
            match step.next {
                Some(next) => *state = next,
                None => return false,
            }
            true
        });
        if self.tails.len() > 1 {
            // They lie in the order of their ends. Of equal ones the end that counts is what
            // matters.
            if !rule.first_end {
                self.tails.reverse();
            }
            let mut seen = tail.no_states();
            self.tails.retain(|(state, end)| {
                matched.is_none_or(|matched| *end > matched) && seen.insert(*state)
            });
            if !rule.first_end {
                self.tails.reverse();
            }
        } else if let Some(matched) = matched {
            self.tails.retain(|(_, end)| *end > *matched);
        }
    }
}
