//! A compiled choice of detectors, and the discovery of places where a secret could begin.

use super::{
    automaton::{Automaton, State, Step},
    catalogue::catalogue,
    detector::{BEHIND, Detector, DetectorError, Left, Shape, chooses, near},
    prefilter::{Anchor, MAX_ANCHOR, MIN_ANCHOR, Prefilter, gram, hash},
};
use std::fmt;

/// Detectors compiled for use: immutable, shared by all streams behind an `Arc`.
pub struct DetectorSet {
    detectors: Vec<&'static Detector>,
    rules: Vec<Rule>,
    prefilter: Prefilter,
    /// For each anchor the rule it belongs to.
    owners: Vec<u16>,
    /// For each byte the anchors without lead that begin with it: for anchors cut by the end of a chunk.
    beginnings: Box<[Vec<u16>; 256]>,
    /// A first look at a tail: which hashes the first three bytes of these anchors have.
    heads: Box<[u64; 64]>,
    /// Anchors of rules with a lead.
    led: Vec<u16>,
    /// A match that begins earlier than this before the end of a chunk has its anchor whole in it.
    reach: usize,
    /// The same for rules with a lead.
    led_reach: usize,
}

/// One shape of one detector, compiled. Rules are numbered in the order of the catalogue.
pub(super) struct Rule {
    pub(super) detector: &'static Detector,
    lead: usize,
    left: Left,
    context: Option<Automaton>,
    pub(super) secret: Automaton,
    pub(super) after: usize,
    pub(super) must: Option<fn(&[u8]) -> bool>,
}

/// A place where a secret of `rule` begins if it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Start {
    pub(super) at: usize,
    pub(super) rule: u16,
}

/// What discovery carries from chunk to chunk.
pub(super) struct Trail {
    /// The last bytes of the stream; `=` before its beginning, which every [`Left`] allows.
    behind: [u8; BEHIND],
    /// Contexts that go on.
    contexts: Vec<(u16, State)>,
}

impl Trail {
    pub(super) fn new() -> Self {
        Self {
            behind: [b'='; BEHIND],
            contexts: Vec::new(),
        }
    }
}

impl DetectorSet {
    /// Compiles the detectors that `selectors` choose: names (`secrets/github-pat`) or the beginning of
    /// names with a star (`secrets/*`, `secrets/github-*`). No selectors: nothing is masked.
    ///
    /// # Errors
    /// A selector that chooses nothing, with the names that were perhaps meant.
    pub fn compile(selectors: &[impl AsRef<str>]) -> Result<Self, DetectorError> {
        let mut chosen = vec![false; catalogue().len()];
        for selector in selectors {
            let selector = selector.as_ref();
            let mut any = false;
            for (detector, chosen) in catalogue().iter().zip(chosen.iter_mut()) {
                if chooses(selector, detector.name) {
                    *chosen = true;
                    any = true;
                }
            }
            if !any {
                return Err(DetectorError::Unknown {
                    selector: selector.to_owned(),
                    near: near(selector, catalogue().iter().map(Detector::name)),
                });
            }
        }
        let detectors = catalogue().iter().zip(chosen);
        Self::of(
            detectors
                .filter_map(|(d, chosen)| chosen.then_some(d))
                .collect(),
        )
    }

    pub(super) fn of(detectors: Vec<&'static Detector>) -> Result<Self, DetectorError> {
        let mut rules = Vec::new();
        let mut anchors = Vec::new();
        let mut owners = Vec::new();
        for detector in &detectors {
            let invalid = |reason: String| DetectorError::Invalid {
                detector: detector.name.to_owned(),
                reason,
            };
            for shape in detector.shapes {
                let number = u16::try_from(rules.len())
                    .map_err(|_| invalid("there are too many detectors".to_owned()))?;
                let rule = Rule::compile(detector, shape).map_err(invalid)?;
                for anchor in compile_anchors(shape, &rule).map_err(invalid)? {
                    anchors.push(anchor);
                    owners.push(number);
                }
                rules.push(rule);
            }
        }
        let mut beginnings = Box::new([const { Vec::new() }; 256]);
        let mut heads = Box::new([0_u64; 64]);
        let (mut led, mut led_reach) = (Vec::new(), 0_usize);
        let mut reach = 0_usize;
        for ((number, anchor), owner) in (0_u16..).zip(&anchors).zip(&owners) {
            let lead = rules.get(usize::from(*owner)).map_or(0, |rule| rule.lead);
            if lead > 0 {
                led_reach = led_reach.max(lead.saturating_add(anchor.window()));
                led.push(number);
                continue;
            }
            reach = reach.max(anchor.window());
            let (word, bit) = head(&anchor.literal);
            if let Some(word) = heads.get_mut(word) {
                *word |= bit;
            }
            for (byte, list) in (0_u8..=255).zip(beginnings.iter_mut()) {
                if anchor.agrees(&[byte]) {
                    list.push(number);
                }
            }
        }
        Ok(Self {
            detectors,
            rules,
            prefilter: Prefilter::new(anchors),
            owners,
            beginnings,
            heads,
            led,
            reach,
            led_reach,
        })
    }

    /// The detectors in this set.
    pub fn detectors(&self) -> impl Iterator<Item = &Detector> {
        self.detectors.iter().copied()
    }

    /// Bytes of memory that the compiled set occupies, without the allocator's overhead.
    pub fn memory(&self) -> usize {
        let rules = self
            .rules
            .iter()
            .map(|rule| {
                size_of::<Rule>()
                    .saturating_add(rule.secret.memory())
                    .saturating_add(rule.context.as_ref().map_or(0, Automaton::memory))
            })
            .fold(self.prefilter.memory(), usize::saturating_add);
        rules.saturating_add(size_of::<Vec<u16>>().saturating_mul(256))
    }

    pub(super) fn rule(&self, number: u16) -> Option<&Rule> {
        self.rules.get(usize::from(number))
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
        let from = starts.len();
        let mut sweep = Sweep {
            set: self,
            chunk,
            base,
            behind: trail.behind,
            starts,
            open: Vec::new(),
        };
        for (rule, state) in std::mem::take(&mut trail.contexts) {
            sweep.follow(rule, state, 0);
        }
        self.prefilter
            .search(chunk, |anchor, at| sweep.anchor(anchor, at));
        sweep.tail();
        let mut open = sweep.open;
        open.sort_unstable();
        open.dedup();
        trail.contexts = open;
        trail.behind = behind(trail.behind, chunk, chunk.len());
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
            .entries(self.detectors.iter().map(|d| d.name))
            .finish()
    }
}

impl Rule {
    fn compile(detector: &'static Detector, shape: &Shape) -> Result<Self, String> {
        Ok(Self {
            detector,
            lead: usize::from(shape.lead),
            left: shape.left,
            context: shape.context.map(Automaton::compile).transpose()?,
            secret: Automaton::compile(shape.secret)?,
            after: usize::from(shape.after),
            must: shape.must,
        })
    }

    /// The bytes that may come after `anchor` in a match.
    fn followers(&self, anchor: &[u8]) -> Box<[u8]> {
        let automaton = self.context.as_ref().unwrap_or(&self.secret);
        let after = anchor.iter().try_fold(automaton.start(), |state, &byte| {
            automaton.step(state, byte).next
        });
        (0..=255)
            .filter(|&byte| match after {
                Some(state) if self.lead == 0 => automaton.step(state, byte) != Step::DEAD,
                _ => true,
            })
            .collect()
    }
}

fn compile_anchors(shape: &Shape, rule: &Rule) -> Result<Vec<Anchor>, String> {
    if shape.anchors.is_empty() {
        return Err("it has no literal anchor, so it would have to be tried everywhere".to_owned());
    }
    shape
        .anchors
        .iter()
        .map(|literal| {
            if !(MIN_ANCHOR..=MAX_ANCHOR).contains(&literal.len()) {
                return Err(format!(
                    "the anchor {literal:?} must have {MIN_ANCHOR} to {MAX_ANCHOR} bytes"
                ));
            }
            Ok(Anchor {
                literal: literal.as_bytes().into(),
                ignore_case: shape.ignore_case,
                followers: if literal.len() == MIN_ANCHOR {
                    rule.followers(literal.as_bytes())
                } else {
                    Box::default()
                },
            })
        })
        .collect()
}

/// Where the first three bytes of `text` stand in [`DetectorSet::heads`]: the word and the bit.
fn head(text: &[u8]) -> (usize, u64) {
    let hash = hash(gram(text)) >> 4;
    (usize::from(hash >> 6), 1_u64.wrapping_shl(u32::from(hash)))
}

/// The last bytes before `at` in `chunk`, which follows `earlier`.
fn behind(earlier: [u8; BEHIND], chunk: &[u8], at: usize) -> [u8; BEHIND] {
    let seen = chunk.get(at.saturating_sub(BEHIND)..at).unwrap_or_default();
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
    behind: [u8; BEHIND],
    starts: &'a mut Vec<Start>,
    open: Vec<(u16, State)>,
}

impl Sweep<'_> {
    /// An anchor stands whole at `at`.
    fn anchor(&mut self, anchor: u16, at: usize) {
        let Some(&rule) = self.set.owners.get(usize::from(anchor)) else {
            return;
        };
        let lead = self.set.rule(rule).map_or(0, |rule| rule.lead);
        // A match that began in an earlier chunk has been followed since then.
        if let Some(at) = at.checked_sub(lead) {
            self.begin(rule, at);
        }
    }

    /// Anchors that the end of the chunk cuts.
    fn tail(&mut self) {
        let set = self.set;
        let n = self.chunk.len();
        for at in n.saturating_sub(set.reach.saturating_sub(1))..n {
            let rest = self.chunk.get(at..).unwrap_or_default();
            let (word, bit) = head(rest);
            let possible = set.heads.get(word).is_some_and(|word| word & bit != 0);
            if let ([first, ..], true) = (rest, possible || rest.len() < MIN_ANCHOR) {
                let anchors = set.beginnings.get(usize::from(*first));
                self.cut(at, rest, 0, anchors.into_iter().flatten());
            }
        }
        for at in n.saturating_sub(set.led_reach.saturating_sub(1))..n {
            let rest = self.chunk.get(at..).unwrap_or_default();
            self.cut(at, rest, 1, set.led.iter());
        }
    }

    /// Begins the rules of those `anchors` that agree with `rest`, the chunk from `at` to its end, and
    /// go on after it. The rules have a lead of `lead` bytes or more.
    fn cut<'s>(
        &mut self,
        at: usize,
        rest: &[u8],
        lead: usize,
        anchors: impl Iterator<Item = &'s u16>,
    ) {
        let set = self.set;
        let mut begun = None;
        for &number in anchors {
            let (Some(anchor), Some(&owner)) = (
                set.prefilter.anchor(number),
                set.owners.get(usize::from(number)),
            ) else {
                continue;
            };
            let lead = match lead {
                0 => 0,
                _ => set.rule(owner).map_or(0, |rule| rule.lead),
            };
            let is_cut = lead.saturating_add(anchor.window()) > rest.len();
            if is_cut && begun != Some(owner) && anchor.agrees(rest.get(lead..).unwrap_or_default())
            {
                // The anchors of a rule follow each other; one beginning is enough.
                begun = Some(owner);
                self.begin(owner, at);
            }
        }
    }

    /// A match of `number` may begin at `at`.
    fn begin(&mut self, number: u16, at: usize) {
        let Some(rule) = self.set.rule(number) else {
            return;
        };
        if !rule.left.allows(behind(self.behind, self.chunk, at)) {
            return;
        }
        match &rule.context {
            Some(context) => self.follow(number, context.start(), at),
            None => self.starts.push(Start {
                at: self.base.saturating_add(at),
                rule: number,
            }),
        }
    }

    /// Reads a context on from `at`; wherever it is complete, a secret may begin.
    fn follow(&mut self, number: u16, mut state: State, at: usize) {
        let set = self.set;
        let Some(context) = set.rule(number).and_then(|rule| rule.context.as_ref()) else {
            return;
        };
        let bytes = self.chunk.get(at..).unwrap_or_default();
        for (at, &byte) in (self.base.saturating_add(at)..).zip(bytes) {
            let step = context.step(state, byte);
            if step.matched_before {
                self.starts.push(Start { at, rule: number });
            }
            match step.next {
                Some(next) => state = next,
                None => return,
            }
        }
        self.open.push((number, state));
    }
}
