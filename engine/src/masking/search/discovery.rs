//! Discovery: finds in one pass over a chunk every place where a secret could begin.
//!
//! What it finds does not depend on how the stream was cut: a [`Carried`] carries from chunk to
//! chunk what goes on.

use super::{
    automaton::{Look, State},
    bytes::ByteSet,
    compile::Head,
    cut::{Cut, behind},
    set::DetectorSet,
};
use crate::masking::detectors::rule::{BEHIND, ContextStart};
use std::collections::BTreeSet;

/// A place where a secret of `rule` begins if it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::masking) struct Start {
    pub(in crate::masking) at: usize,
    pub(in crate::masking) rule: u16,
    /// The kind of byte before it, which chooses the state that its pattern begins in.
    pub(in crate::masking) look: Look,
}

/// All that discovery carries from chunk to chunk. Variables that have it are called `trail`.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::masking) struct Carried {
    /// The last bytes of the stream; `=` before its beginning. Every
    /// [`Left`](crate::masking::detectors::rule::Left) allows a match behind that, but the one that
    /// asks for an assignment.
    behind: [u8; BEHIND],
    /// Whether the stream has begun.
    begun: bool,
    /// Contexts that go on.
    contexts: Vec<(u16, State)>,
    /// Rules whose context may begin at the next bytes because of an anchor before, and at how many
    /// of them.
    near: Vec<(u16, usize)>,
    /// Nodes of anchors that the end of the chunk cut; see [`Cuts`](super::cut::Cuts).
    cut: Vec<u32>,
    /// For each of [`DetectorSet::runs`] how many bytes of its class came last; empty if all are 0.
    runs: Vec<u16>,
    /// Offsets in the next chunk at which a word may begin, whatever stands before.
    pub(in crate::masking) breaks: Vec<usize>,
}

impl Carried {
    pub(in crate::masking) const fn new() -> Self {
        Self {
            behind: [b'='; BEHIND],
            begun: false,
            contexts: Vec::new(),
            near: Vec::new(),
            cut: Vec::new(),
            runs: Vec::new(),
            breaks: Vec::new(),
        }
    }

    /// Whether a context goes on, or may begin because of an anchor before.
    pub(in crate::masking) fn has_contexts(&self) -> bool {
        !self.contexts.is_empty() || !self.near.is_empty()
    }

    /// Forgets what stood before, but not what goes on.
    pub(in crate::masking) fn boundary(&mut self) {
        self.behind = [b'='; BEHIND];
        self.begun = false;
    }
}

impl DetectorSet {
    /// Appends to `places` where in `chunk` an anchor stands, sorted. A text that lies whole in a
    /// range of `chunk`, byte for byte, holds no secret unless one of these places is in that
    /// range. For formats with many short texts: one pass for all of them.
    pub(in crate::masking) fn candidates(&self, chunk: &[u8], places: &mut Vec<usize>) {
        let from = places.len();
        self.prefilter.search(chunk, |_, at| places.push(at));
        if let Some(new) = places.get_mut(from..) {
            new.sort_unstable();
        }
    }

    /// Appends to `starts` every place in `chunk` where a secret could begin, sorted; positions are
    /// offsets in `chunk` plus `base`. What it finds does not depend on how the stream was cut: an
    /// anchor or context cut by the end of the chunk counts until a later byte refutes it. Gives
    /// the work that it was beyond reading the chunk once.
    pub(in crate::masking) fn discover(
        &self,
        chunk: &[u8],
        base: usize,
        trail: &mut Carried,
        starts: &mut Vec<Start>,
    ) -> u64 {
        if chunk.is_empty() {
            return 0;
        }
        let from = starts.len();
        let mut sweep = Sweep {
            set: self,
            chunk,
            base,
            trail,
            starts,
            contexts: Vec::new(),
            near: Vec::new(),
            cut: Vec::new(),
            tried: BTreeSet::new(),
            seen: BTreeSet::new(),
            work: 0,
        };
        sweep.resume();
        self.prefilter
            .search(chunk, |target, at| sweep.anchor(target, at));
        sweep.tail();
        sweep.near();
        let Sweep {
            mut contexts,
            cut,
            work,
            ..
        } = sweep;
        contexts.sort_unstable();
        contexts.dedup();
        trail.contexts = contexts;
        trail.cut = cut;
        trail.behind = behind(trail.behind, chunk, chunk.len());
        trail.begun = true;
        if starts.len().saturating_sub(from) > 1 {
            // Everything from earlier chunks lies before `base`.
            if let Some(new) = starts.get_mut(from..) {
                new.sort_unstable();
            }
            starts.dedup();
        }
        work
    }
}

/// One discovery in one chunk, from its first byte to its last.
struct Sweep<'a> {
    set: &'a DetectorSet,
    chunk: &'a [u8],
    base: usize,
    trail: &'a mut Carried,
    starts: &'a mut Vec<Start>,
    contexts: Vec<(u16, State)>,
    /// Anchors that a context may follow at a distance: where they end.
    near: Vec<(u16, usize)>,
    cut: Vec<u32>,
    /// Secrets that were looked at after a context: rule and position.
    tried: BTreeSet<(u16, usize)>,
    /// Where long contexts have come by: rule, state, position.
    seen: BTreeSet<(u16, State, usize)>,
    /// What was done beyond reading the chunk once; see [`Budget`](crate::masking::Budget).
    work: u64,
}

impl Sweep<'_> {
    /// Goes on with what the end of the last chunk cut.
    fn resume(&mut self) {
        for (rule, state) in std::mem::take(&mut self.trail.contexts) {
            self.follow(rule, state, 0);
        }
        let (set, chunk) = (self.set, self.chunk);
        for node in std::mem::take(&mut self.trail.cut) {
            let mut cut = std::mem::take(&mut self.cut);
            let whole = |head: u16, end| {
                if let Some(head) = set.heads.get(usize::from(head)) {
                    self.lead_on(head, end);
                }
            };
            set.cuts.resume(node, chunk, whole, |node| cut.push(node));
            self.cut = cut;
        }
    }

    /// An anchor stands whole at `at`.
    fn anchor(&mut self, target: u16, at: usize) {
        self.work = self.work.saturating_add(FOUND);
        let set = self.set;
        let owners = set.owners.get(usize::from(target));
        for &number in owners.into_iter().flatten() {
            let Some(head) = set.heads.get(usize::from(number)) else {
                continue;
            };
            let begin = match set.rule(head.rule).and_then(|rule| rule.run) {
                Some((class, max)) => self.run_before(at, class, max, head.rule),
                // A match that began in an earlier chunk has been followed since then.
                None => at.checked_sub(head.lead),
            };
            if let Some(begin) = begin {
                self.begin(head, begin);
            }
        }
    }

    /// Where the run of bytes of `class` that ends before `at` begins, if it is not too long and
    /// has not been followed since an earlier chunk.
    fn run_before(&self, at: usize, class: ByteSet, max: usize, rule: u16) -> Option<usize> {
        let before = self.chunk.get(..at).unwrap_or_default();
        let bytes = before.iter().rev().take(max.saturating_add(1));
        let length = bytes.take_while(|&&b| class.contains(b)).count();
        if length == 0 || length > max {
            return None;
        }
        let begin = at.saturating_sub(length);
        if begin == 0 {
            let mut runs = self.set.runs.iter().zip(&self.trail.runs);
            let goes_on = runs.any(|(run, &length)| {
                let heads = run
                    .heads
                    .first()
                    .and_then(|&h| self.set.heads.get(usize::from(h)));
                length > 0 && heads.is_some_and(|head| head.rule == rule)
            });
            if goes_on {
                return None;
            }
        }
        Some(begin)
    }

    /// Beginnings that the end of the chunk cuts.
    fn tail(&mut self) {
        let (set, chunk) = (self.set, self.chunk);
        let (earlier, breaks) = (self.trail.behind, self.trail.breaks.clone());
        set.cuts.at_end(chunk, earlier, &breaks, |cut| match cut {
            Cut::Rule(rule, at) => self.lead_in(rule, at),
            Cut::Whole(head, at) => {
                if let Some(head) = set.heads.get(usize::from(head)) {
                    self.lead_on(head, at.saturating_add(head.own));
                }
            }
            Cut::Node(node) => self.cut.push(node),
        });
        if !set.runs.is_empty() {
            self.tail_of_runs();
        }
    }

    /// The same for rules whose match begins with a run: the run itself may be cut, or the anchor
    /// after it.
    fn tail_of_runs(&mut self) {
        let set = self.set;
        let n = self.chunk.len();
        for run in &set.runs {
            for &number in &run.heads {
                let Some(head) = set.heads.get(usize::from(number)) else {
                    continue;
                };
                let window = head.text.sets().len();
                for at in n.saturating_sub(window.saturating_sub(1))..=n {
                    let rest = self.chunk.get(at..).unwrap_or_default();
                    if head.text.agrees(rest)
                        && let Some(begin) = self.run_before(at, run.class, run.max, head.rule)
                    {
                        self.begin(head, begin);
                    }
                }
            }
        }
        let lengths = set.runs.iter().enumerate().map(|(i, run)| {
            let bytes = self.chunk.iter().rev().take(usize::from(u16::MAX));
            let length = bytes.take_while(|&&b| run.class.contains(b)).count();
            let earlier = match length == n {
                true => self.trail.runs.get(i).copied().unwrap_or(0),
                false => 0,
            };
            u16::try_from(length)
                .unwrap_or(u16::MAX)
                .saturating_add(earlier)
        });
        self.trail.runs = lengths.collect();
    }

    /// A match of `head` may begin at `at`.
    fn begin(&mut self, head: &Head, at: usize) {
        let Some(rule) = self.set.rule(head.rule) else {
            return;
        };
        if !rule.left.allows(behind(self.trail.behind, self.chunk, at)) && !self.is_break(at) {
            return;
        }
        match &rule.context {
            Some((_, ContextStart::AnchorEnd | ContextStart::Near)) => {
                self.lead_on(head, at.saturating_add(head.own))
            }
            _ => self.lead_in(head.rule, at),
        }
    }

    /// A match of rule `number`, whose context begins with it if it has one, may begin at `at`.
    fn lead_in(&mut self, number: u16, at: usize) {
        let rule = self.set.rule(number);
        match rule.map(|rule| &rule.context) {
            Some(Some((context, _))) => {
                if let Some(state) = context.start(self.look(at)) {
                    self.follow(number, state, at);
                }
            }
            _ => self.start(number, at),
        }
    }

    /// The anchor of a head ends at `at`, where its context begins.
    fn lead_on(&mut self, head: &Head, at: usize) {
        let rule = self.set.rule(head.rule);
        match rule.and_then(|rule| rule.context.as_ref()) {
            Some((_, ContextStart::Near)) => self.near.push((head.rule, at)),
            Some((context, _)) => {
                if let Some(state) = context.start(self.look(at)) {
                    self.follow(head.rule, state, at);
                }
            }
            None => {}
        }
    }

    /// Begins the contexts that may follow an anchor at a distance: once at each place, however
    /// many anchors stand before it.
    fn near(&mut self) {
        if self.near.is_empty() && self.trail.near.is_empty() {
            return;
        }
        let n = self.chunk.len();
        let mut reaches: Vec<(u16, usize, usize)> = std::mem::take(&mut self.trail.near)
            .into_iter()
            .map(|(number, more)| (number, 1, more))
            .collect();
        let anchors = std::mem::take(&mut self.near).into_iter();
        reaches.extend(anchors.map(|(number, end)| (number, end, end.saturating_add(NEAR))));
        reaches.sort_unstable();
        let mut done = (u16::MAX, 0);
        for (number, from, to) in reaches {
            if done.0 != number {
                done = (number, 0);
            }
            let rule = self.set.rule(number);
            let Some((context, _)) = rule.and_then(|rule| rule.context.as_ref()) else {
                continue;
            };
            for at in from.max(done.1)..=to.min(n) {
                if let Some(state) = context.start(self.look(at)) {
                    self.follow(number, state, at);
                }
            }
            done.1 = done.1.max(to.saturating_add(1));
            let more = to.saturating_sub(n);
            match self.trail.near.last_mut() {
                _ if more == 0 => {}
                Some((last, reach)) if *last == number => *reach = more.max(*reach),
                _ => self.trail.near.push((number, more)),
            }
        }
    }

    /// A secret of `number` may begin at `at`.
    fn start(&mut self, number: u16, at: usize) {
        self.work = self.work.saturating_add(TRIED);
        let after_context = self.set.rule(number).is_some_and(|r| r.context.is_some());
        if after_context && !self.tried.insert((number, at)) {
            return;
        }
        let look = self.look(at);
        // Most are refuted by the next bytes, here at no more cost than reading them.
        let secret = self.set.rule(number).map(|rule| &*rule.secret);
        let ahead = self.chunk.get(at..).unwrap_or_default();
        let ahead = ahead.get(..GLANCE).unwrap_or(ahead);
        let state = secret.and_then(|secret| Some((secret, secret.start(look)?)));
        let mut matched = false;
        let open = state.and_then(|(secret, state)| {
            secret.read(state, ahead, |_| matched = true, &mut self.work)
        });
        if matched || open.is_some() {
            self.starts.push(Start {
                at: self.base.saturating_add(at),
                rule: number,
                look,
            });
        }
    }

    /// Whether a word may begin at `at`, whatever stands before.
    fn is_break(&self, at: usize) -> bool {
        self.trail.breaks.binary_search(&at).is_ok()
    }

    /// The kind of byte before `at`.
    fn look(&self, at: usize) -> Look {
        if self.is_break(at) {
            return Look::behind(b' ');
        }
        let before = at.checked_sub(1).and_then(|at| self.chunk.get(at));
        match (before, self.trail.behind) {
            (Some(&byte), _) => Look::behind(byte),
            (None, [.., last]) if self.trail.begun => Look::behind(last),
            _ => Look::Text,
        }
    }

    /// Reads a context on from `at`; wherever it is complete, a secret may begin.
    fn follow(&mut self, number: u16, mut state: State, mut at: usize) {
        let set = self.set;
        let context = set.rule(number).and_then(|rule| rule.context.as_ref());
        let Some((context, _)) = context else { return };
        let mut bytes = self.chunk.get(at..).unwrap_or_default();
        // Most contexts are short. A long one could be begun again after each of its bytes, by text
        // made for it, and read over and over; so it stops where another one came by in the same
        // state.
        loop {
            let to = CHECKPOINT.saturating_sub(at & CHECKPOINT.wrapping_sub(1));
            let (piece, rest) = bytes.split_at_checked(to).unwrap_or((bytes, &[]));
            let mut read = 0_u64;
            let next = context.read(
                state,
                piece,
                |i| self.start(number, at.saturating_add(i)),
                &mut read,
            );
            self.work = self.work.saturating_add(read);
            let Some(next) = next else { return };
            (state, bytes) = (next, rest);
            at = at.saturating_add(piece.len());
            if bytes.is_empty() {
                break;
            }
            if !self.seen.insert((number, state, at)) {
                return;
            }
        }
        self.contexts.push((number, state));
    }
}

/// A context [`ContextStart::Near`] an anchor begins at most so many bytes after it.
pub(in crate::masking) const NEAR: usize = 255;

/// How many bytes of a secret are read when its place is found.
pub(in crate::masking) const GLANCE: usize = 32;

/// What it costs to find an anchor, whether or not a secret may begin there.
const FOUND: u64 = 20;

/// What it costs to try a place, beside the bytes that are read: searching what was tried before.
const TRIED: u64 = 32;

/// At every position that is a multiple of this, contexts in the same state become one. A power of
/// two.
pub(in crate::masking) const CHECKPOINT: usize = 128;
