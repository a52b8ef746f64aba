//! A compiled choice of detectors, and the discovery of places where a secret could begin.

use super::{
    automaton::{Look, State},
    bytes::ByteSet,
    catalogue::catalogue,
    compile::{Compiler, Head, Rule},
    detector::{Detector, DetectorError, chooses, near},
    prefilter::Prefilter,
    rule::{BEHIND, From},
};
use std::{collections::BTreeSet, fmt, sync::Arc};

/// Detectors compiled for use: immutable, shared by all streams behind an `Arc`.
pub struct DetectorSet {
    detectors: Vec<Arc<Detector>>,
    rules: Vec<Rule>,
    prefilter: Prefilter,
    /// Each anchor of each rule.
    heads: Vec<Head>,
    /// For each target of the prefilter the heads that have it.
    owners: Vec<Box<[u16]>>,
    tails: Tails,
    /// Rules whose match begins with a run, with their heads.
    runs: Vec<Run>,
    memory: usize,
    /// Most bytes before a secret that a rule's check wants to see.
    lookback: usize,
}

/// A rule whose match begins with a run of bytes of a class.
struct Run {
    class: ByteSet,
    max: usize,
    heads: Box<[u16]>,
}

/// How heads that the end of a chunk cuts are found.
struct Tails {
    /// Which hashes the first three bytes of heads have that can be listed.
    bits: Box<[u64; 64]>,
    /// These heads by the run of three bytes with which they begin, sorted.
    runs: Vec<([u8; 3], u16)>,
    /// For each byte all heads that begin with it.
    any: Box<[Vec<u16>; 256]>,
    /// For each byte the heads that begin with it and with too many runs of three bytes to list them.
    wide: Box<[Vec<u16>; 256]>,
    /// A match that begins earlier than this before the end of a chunk has its anchor whole in it.
    reach: usize,
    /// The same for wide heads.
    wide_reach: usize,
}

/// A place where a secret of `rule` begins if it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Start {
    pub(super) at: usize,
    pub(super) rule: u16,
    /// What stands before it.
    pub(super) look: Look,
}

/// What discovery carries from chunk to chunk.
pub(super) struct Trail {
    /// The last bytes of the stream; `=` before its beginning, which every [`Left`](super::rule::Left) allows.
    behind: [u8; BEHIND],
    /// Whether the stream has begun.
    begun: bool,
    /// Contexts that go on.
    contexts: Vec<(u16, State)>,
    /// Heads that the end of the chunk cut, and how many of their bytes were seen.
    cut: Vec<(u16, u8)>,
    /// For each of [`DetectorSet::runs`] how many bytes of its class came last; empty if all are 0.
    runs: Vec<u16>,
    /// Offsets in the next chunk at which a word may begin, whatever stands before.
    pub(super) breaks: Vec<usize>,
}

impl Trail {
    pub(super) const fn new() -> Self {
        Self {
            behind: [b'='; BEHIND],
            begun: false,
            contexts: Vec::new(),
            cut: Vec::new(),
            runs: Vec::new(),
            breaks: Vec::new(),
        }
    }

    /// Forgets what stood before, but not what goes on.
    pub(super) fn boundary(&mut self) {
        self.behind = [b'='; BEHIND];
        self.begun = false;
    }
}

impl DetectorSet {
    /// Compiles the detectors that `selectors` choose: names (`secrets/github-pat`) or the beginning of
    /// names with a star (`secrets/*`, `secrets/github-*`). No selectors: nothing is masked.
    ///
    /// # Errors
    /// A selector that chooses nothing, with the names that were perhaps meant.
    pub fn compile(selectors: &[impl AsRef<str>]) -> Result<Self, DetectorError> {
        Self::compile_with(selectors, &[])
    }

    /// The same, choosing from the catalogue and `custom`, in this order.
    ///
    /// # Errors
    /// As [`compile`](Self::compile); or a custom detector is wrong or too large.
    pub fn compile_with(
        selectors: &[impl AsRef<str>],
        custom: &[Detector],
    ) -> Result<Self, DetectorError> {
        let all: Vec<&Detector> = catalogue().iter().chain(custom).collect();
        let mut chosen = vec![false; all.len()];
        for selector in selectors {
            let selector = selector.as_ref();
            let mut any = false;
            for (detector, chosen) in all.iter().zip(chosen.iter_mut()) {
                if chooses(selector, detector.name()) {
                    *chosen = true;
                    any = true;
                }
            }
            if !any {
                return Err(DetectorError::Unknown {
                    selector: selector.to_owned(),
                    near: near(selector, all.iter().map(|detector| detector.name())),
                });
            }
        }
        let detectors = all.into_iter().zip(chosen);
        Self::of(
            detectors
                .filter(|(_, chosen)| *chosen)
                .map(|(detector, _)| detector.clone()),
        )
    }

    /// Compiles these detectors.
    pub(super) fn of(detectors: impl IntoIterator<Item = Detector>) -> Result<Self, DetectorError> {
        let mut compiler = Compiler::default();
        let detectors: Vec<Arc<Detector>> = detectors.into_iter().map(Arc::new).collect();
        for detector in &detectors {
            compiler.add(detector)?;
        }
        let memory = compiler.memory();
        let Compiler {
            rules,
            heads,
            targets,
            owners,
            ..
        } = compiler;
        let prefilter = Prefilter::new(targets).map_err(|(target, reason)| {
            let owner = owners.get(target).and_then(|heads| heads.first());
            let head = owner.and_then(|&head| heads.get(usize::from(head)));
            let rule = head.and_then(|head| rules.get(usize::from(head.rule)));
            DetectorError::Invalid {
                detector: rule.map_or_else(String::new, |rule| rule.detector.name().to_owned()),
                reason,
            }
        })?;
        let mut runs: Vec<Run> = Vec::new();
        for (number, rule) in (0_u16..).zip(&rules) {
            if let Some((class, max)) = rule.run {
                let own = (0_u16..).zip(&heads).filter(|(_, h)| h.rule == number);
                runs.push(Run {
                    class,
                    max,
                    heads: own.map(|(head, _)| head).collect(),
                });
            }
        }
        Ok(Self {
            tails: Tails::of(&heads, &rules),
            lookback: rules.iter().map(Rule::lookback).max().unwrap_or(0),
            memory: memory.saturating_add(prefilter.memory()),
            detectors,
            rules,
            prefilter,
            heads,
            owners: owners.into_iter().map(Into::into).collect(),
            runs,
        })
    }

    /// The detectors in this set.
    pub fn detectors(&self) -> impl Iterator<Item = &Detector> {
        self.detectors.iter().map(|detector| &**detector)
    }

    /// Bytes of memory that the compiled set occupies, without the allocator's overhead.
    pub fn memory(&self) -> usize {
        self.memory
            .saturating_add(size_of::<Self>())
            .saturating_add(self.tails.memory())
            .saturating_add(self.rules.len().saturating_mul(size_of::<Rule>()))
    }

    /// The rule of this number.
    pub(super) fn rule(&self, number: u16) -> Option<&Rule> {
        self.rules.get(usize::from(number))
    }

    /// Most bytes before a secret that a rule's check wants to see.
    pub(super) fn lookback(&self) -> usize {
        self.lookback
    }

    /// Appends to `places` where in `chunk` an anchor stands, sorted. A text that lies whole in a range of
    /// `chunk`, byte for byte, holds no secret unless one of these places is in that range. For formats with many
    /// short texts: one pass for all of them.
    pub(super) fn candidates(&self, chunk: &[u8], places: &mut Vec<usize>) {
        let from = places.len();
        self.prefilter.search(chunk, |_, at| places.push(at));
        if let Some(new) = places.get_mut(from..) {
            new.sort_unstable();
        }
    }

    /// Appends to `starts` every place in `chunk` where a secret could begin, sorted; positions are
    /// offsets in `chunk` plus `base`. What it finds does not depend on how the stream was cut: an anchor
    /// or context cut by the end of the chunk counts until a later byte refutes it.
    pub(super) fn discover(
        &self,
        chunk: &[u8],
        base: usize,
        trail: &mut Trail,
        starts: &mut Vec<Start>,
    ) {
        if chunk.is_empty() {
            return;
        }
        let from = starts.len();
        let mut sweep = Sweep {
            set: self,
            chunk,
            base,
            trail,
            starts,
            contexts: Vec::new(),
            cut: Vec::new(),
            seen: BTreeSet::new(),
        };
        sweep.resume();
        self.prefilter
            .search(chunk, |target, at| sweep.anchor(target, at));
        sweep.tail();
        let Sweep {
            mut contexts, cut, ..
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
    }
}

impl fmt::Debug for DetectorSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.detectors.iter().map(|d| d.name()))
            .finish()
    }
}

impl Tails {
    /// Most runs of three bytes for which a head is listed.
    const LISTED: u32 = 128;

    fn of(heads: &[Head], rules: &[Rule]) -> Self {
        let mut this = Self {
            bits: Box::new([0; 64]),
            runs: Vec::new(),
            any: Box::new([const { Vec::new() }; 256]),
            wide: Box::new([const { Vec::new() }; 256]),
            reach: 0,
            wide_reach: 0,
        };
        for (number, head) in (0_u16..).zip(heads) {
            let rule = rules.get(usize::from(head.rule));
            if rule.is_none_or(|rule| rule.run.is_some()) {
                continue;
            }
            let sets = head.text.sets();
            this.reach = this.reach.max(sets.len());
            let [a, b, c, ..] = *sets else { continue };
            let runs = a.len().saturating_mul(b.len()).saturating_mul(c.len());
            let listed = runs <= Self::LISTED;
            if listed {
                let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
                for (a, b, c) in pairs.flat_map(|(a, b)| c.iter().map(move |c| (a, b, c))) {
                    let (word, bit) = Self::place([a, b, c]);
                    if let Some(word) = this.bits.get_mut(word) {
                        *word |= bit;
                    }
                    this.runs.push(([a, b, c], number));
                }
            }
            if !listed {
                this.wide_reach = this.wide_reach.max(sets.len());
            }
            let wide = this.wide.iter_mut().filter(|_| !listed);
            for (byte, list) in (0_u8..=255)
                .zip(wide)
                .chain((0_u8..=255).zip(this.any.iter_mut()))
            {
                if a.contains(byte) {
                    list.push(number);
                }
            }
        }
        this.runs.sort_unstable();
        this
    }

    /// Calls `each` with the heads that may begin with `rest`.
    #[inline]
    fn heads(&self, rest: &[u8], mut each: impl FnMut(u16)) {
        let Some(&first) = rest.first() else { return };
        let Some(run) = rest.first_chunk::<3>() else {
            let list = self.any.get(usize::from(first));
            list.into_iter().flatten().for_each(|&head| each(head));
            return;
        };
        let (word, bit) = Self::place(*run);
        if self.bits.get(word).is_some_and(|word| word & bit != 0) {
            let from = self.runs.partition_point(|(known, _)| known < run);
            let same = self
                .runs
                .iter()
                .skip(from)
                .take_while(|(known, _)| known == run);
            same.for_each(|&(_, head)| each(head));
        }
        if rest.len() < self.wide_reach
            && let Some(list) = self.wide.get(usize::from(first))
        {
            list.iter().for_each(|&head| each(head));
        }
    }

    /// Where three bytes stand in `bits`: the word and the bit.
    #[inline]
    fn place(run: [u8; 3]) -> (usize, u64) {
        let [a, b, c] = run;
        let run = u32::from_le_bytes([a, b, c, 0]);
        // The upper twelve bits of the product with 2^32 over the golden ratio.
        let hash = run.wrapping_mul(0x9E37_79B1) >> 20;
        ((hash >> 6) as usize, 1_u64.wrapping_shl(hash))
    }

    fn memory(&self) -> usize {
        let lists = self.any.iter().chain(self.wide.iter());
        let rest = size_of_val(&*self.bits).saturating_add(size_of_val(&*self.runs));
        lists.fold(rest, |sum, list| {
            sum.saturating_add(size_of_val(list))
                .saturating_add(size_of_val(&**list))
        })
    }
}

/// The last bytes before `at` in `chunk`, which follows `earlier`.
#[inline]
fn behind(earlier: [u8; BEHIND], chunk: &[u8], at: usize) -> [u8; BEHIND] {
    let seen = chunk.get(..at).unwrap_or(chunk);
    if let Some(last) = seen.last_chunk() {
        return *last;
    }
    let mut out = [0; BEHIND];
    let bytes = earlier.iter().skip(seen.len()).chain(seen);
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = *from;
    }
    out
}

/// One discovery in one chunk.
struct Sweep<'a> {
    set: &'a DetectorSet,
    chunk: &'a [u8],
    base: usize,
    trail: &'a mut Trail,
    starts: &'a mut Vec<Start>,
    contexts: Vec<(u16, State)>,
    cut: Vec<(u16, u8)>,
    /// Where long contexts have come by: rule, state, position.
    seen: BTreeSet<(u16, State, usize)>,
}

impl Sweep<'_> {
    /// Goes on with what the end of the last chunk cut.
    fn resume(&mut self) {
        for (rule, state) in std::mem::take(&mut self.trail.contexts) {
            self.follow(rule, state, 0);
        }
        for (number, seen) in std::mem::take(&mut self.trail.cut) {
            let Some(head) = self.set.heads.get(usize::from(number)) else {
                continue;
            };
            let missing = head.text.sets().get(usize::from(seen)..head.own);
            let missing = missing.unwrap_or_default();
            if missing
                .iter()
                .zip(self.chunk)
                .all(|(set, &b)| set.contains(b))
            {
                if missing.len() > self.chunk.len() {
                    let more = u8::try_from(self.chunk.len()).unwrap_or(u8::MAX);
                    self.cut.push((number, seen.saturating_add(more)));
                } else {
                    self.lead_on(head.rule, missing.len());
                }
            }
        }
    }

    /// An anchor stands whole at `at`.
    fn anchor(&mut self, target: u16, at: usize) {
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
                self.begin(number, head, begin);
            }
        }
    }

    /// Where the run of bytes of `class` that ends before `at` begins, if it is not too long and has not been
    /// followed since an earlier chunk.
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

    /// Anchors that the end of the chunk cuts.
    fn tail(&mut self) {
        let set = self.set;
        let n = self.chunk.len();
        for at in n.saturating_sub(set.tails.reach.saturating_sub(1))..n {
            let rest = self.chunk.get(at..).unwrap_or_default();
            set.tails
                .heads(rest, |number| self.cut_at(number, rest, at));
        }
        if !set.runs.is_empty() {
            self.tail_of_runs();
        }
    }

    /// Begins the rule of a head if it agrees with `rest`, the chunk from `at` to its end, and goes on after it.
    fn cut_at(&mut self, number: u16, rest: &[u8], at: usize) {
        if let Some(head) = self.set.heads.get(usize::from(number))
            && head.text.sets().len() > rest.len()
            && head.text.agrees(rest)
        {
            self.begin(number, head, at);
        }
    }

    /// The same for rules whose match begins with a run: the run itself may be cut, or the anchor after it.
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
                        self.begin(number, head, begin);
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
    fn begin(&mut self, number: u16, head: &Head, at: usize) {
        let Some(rule) = self.set.rule(head.rule) else {
            return;
        };
        if !rule.left.allows(behind(self.trail.behind, self.chunk, at)) && !self.is_break(at) {
            return;
        }
        match &rule.context {
            None => self.start(head.rule, at),
            Some((context, From::Match)) => {
                if let Some(state) = context.start(self.look(at)) {
                    self.follow(head.rule, state, at);
                }
            }
            Some((_, From::AnchorEnd)) => {
                let end = at.saturating_add(head.own);
                let n = self.chunk.len();
                if end <= n {
                    self.lead_on(head.rule, end);
                } else {
                    let seen = u8::try_from(n.saturating_sub(at)).unwrap_or(u8::MAX);
                    self.cut.push((number, seen));
                }
            }
        }
    }

    /// The anchor of `number` ends at `at`, where its context begins.
    fn lead_on(&mut self, number: u16, at: usize) {
        let rule = self.set.rule(number);
        if let Some((context, _)) = rule.and_then(|rule| rule.context.as_ref())
            && let Some(state) = context.start(self.look(at))
        {
            self.follow(number, state, at);
        }
    }

    /// A secret of `number` may begin at `at`.
    fn start(&mut self, number: u16, at: usize) {
        let look = self.look(at);
        // Most are refuted by the next bytes, here at no more cost than reading them.
        let secret = self.set.rule(number).map(|rule| &*rule.secret);
        let ahead = self.chunk.get(at..).unwrap_or_default();
        let ahead = ahead.get(..GLANCE).unwrap_or(ahead);
        let state = secret.and_then(|secret| Some((secret, secret.start(look)?)));
        let mut matched = false;
        let open = state.and_then(|(secret, state)| secret.read(state, ahead, |_| matched = true));
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

    /// What stands before `at`.
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
        // Most contexts are short. A long one could be begun again after each of its bytes, by text made for it, and
        // read over and over; so it stops where another one came by in the same state.
        loop {
            let to = CHECKPOINT.saturating_sub(at & CHECKPOINT.wrapping_sub(1));
            let (piece, rest) = bytes.split_at_checked(to).unwrap_or((bytes, &[]));
            let next = context.read(state, piece, |i| self.start(number, at.saturating_add(i)));
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

/// How many bytes of a secret are read when its place is found.
const GLANCE: usize = 32;

/// At every position that is a multiple of this, contexts in the same state become one. A power of two.
const CHECKPOINT: usize = 128;
