//! From a branch of an expression to rules: where to look, what leads to the secret, what it is.

use regex_syntax::hir::{Hir, HirKind};

use super::{
    branch::{Branch, MAX_BRANCHES},
    ease::{Ease, places},
    expand::MAX_POSITIONS,
    fit::Fits,
    pieces::{tail, varies},
    plan::{Settled, Step, ends},
    syntax::print,
};
use crate::masking::{
    detectors::rule::{ContextStart, Ends, Lead, Left},
    search::bytes::Anchor,
};

/// Memory for an automaton while it is built, where an expression could need much. A context too
/// large is asked for in another way, a secret less exactly, but without its tail a secret could be
/// anything.
const CONTEXT_FITS: usize = 1 << 18;
const SECRET_FITS: usize = 1 << 19;
const TAIL_FITS: usize = 1 << 20;
/// What a secret after something else may count to, and what follows a secret.
const MAX_PLACES: usize = 144;
const LONGEST_TAIL: usize = 256;
/// All of them.
pub(super) const LIMITS: [usize; 3] = [CONTEXT_FITS, SECRET_FITS, TAIL_FITS];
/// How often a branch may be divided further.
const MAX_DEPTH: u32 = 6;
/// Most beginnings of a context that are tried as anchors.
const MAX_SKIPPED: usize = 32;
/// Most branches looked at for one detector: the time that a hostile expression takes.
const MAX_STEPS: u32 = 2000;

/// A rule before it gets its checks.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) anchors: Vec<Anchor>,
    pub(super) lead: Lead,
    pub(super) left: Left,
    /// The context and where it begins.
    pub(super) context: Option<(String, ContextStart)>,
    pub(super) secret: String,
    pub(super) tail: Option<String>,
    pub(super) ends: Ends,
    /// What must lead to the secret, where `context` is only the end of it.
    pub(super) verify: Option<Hir>,
    /// All that matches, to the end of the secret.
    pub(super) all: Hir,
}

/// Turns branches into rules. Remembers which patterns fit into an automaton.
pub(super) struct Drafter<'a> {
    keywords: &'a [String],
    fits: &'a mut Fits,
    drafts: Vec<Draft>,
    steps: u32,
}

impl<'a> Drafter<'a> {
    pub(super) fn new(keywords: &'a [String], fits: &'a mut Fits) -> Self {
        Self {
            keywords,
            fits,
            drafts: Vec::new(),
            steps: 0,
        }
    }

    pub(super) fn into_drafts(self) -> Vec<Draft> {
        self.drafts
    }

    /// Adds the rules of a branch.
    ///
    /// # Errors
    /// A sentence for the author of the expression.
    pub(super) fn add(&mut self, branch: Branch, depth: u32) -> Result<(), String> {
        self.steps = self.steps.saturating_add(1);
        if self.steps > MAX_STEPS {
            return Err(
                "the regex has too many alternatives; divide it among several detectors".to_owned(),
            );
        }
        let Some(branch) = Settled::of(branch)? else {
            return Ok(());
        };
        let mut branch = match branch {
            Step::Settled(plan) => plan,
            Step::Divided(parts) => return self.add_all(parts, depth),
        };
        branch.ends = ends(&branch.secret, !branch.after.is_empty());
        let follows = !branch.before.is_empty();
        branch.secret = self.fitting(branch.secret, follows)?;
        // What follows and is too large to be run is not asked for: more is masked.
        let tail = tail(branch.after.clone());
        let tail = Hir::concat(tail);
        let asked = !matches!(tail.kind(), HirKind::Empty);
        branch.tail = (asked && places(&tail) <= LONGEST_TAIL && self.fits.fits(&tail, TAIL_FITS))
            .then(|| print(&tail));
        // The nearer to its beginning a context is anchored, the more of it is asked for before
        // anything is held.
        let mut context_fits = true;
        let mut too_large_until = None;
        let all = branch.before.len();
        for skip in (0..all.min(MAX_SKIPPED)).chain([all]) {
            if too_large_until.is_some_and(|until| skip <= until) {
                continue;
            }
            let end = branch.end_of_context(skip);
            if !end.before.is_empty()
                && !self
                    .fits
                    .fits(&Hir::concat(end.before.clone()), CONTEXT_FITS)
            {
                context_fits &= skip > 0;
                // Without its first repetition it can be smaller; sooner it cannot.
                let rest = branch.before.iter().skip(skip);
                let repetition = rest.enumerate().find(|(_, hir)| varies(hir));
                too_large_until = repetition.map(|(at, _)| skip.saturating_add(at));
                continue;
            }
            let mut drafts: Vec<Draft> = end.by_keyword_inside().into_iter().collect();
            if drafts.is_empty() {
                drafts = end.by_fixed_place();
            }
            if drafts.is_empty() {
                drafts.extend(end.by_run());
            }
            if !drafts.is_empty() {
                return drafts.into_iter().try_for_each(|draft| self.push(draft));
            }
        }
        if depth < MAX_DEPTH
            && let Some(parts) = branch.divided()
        {
            return self.add_all(parts, depth.saturating_add(1));
        }
        if context_fits && !self.keywords.is_empty() {
            if let Some(poor) = self.keywords.iter().find(|word| !is_telling(word)) {
                return Err(format!(
                    "the regex has no part at a fixed place that is rare in text, so its keywords are looked for, and \
                     the keyword {poor:?} is no good for that: give words of 3 to {MAX_POSITIONS} characters, two of \
                     them different letters or digits"
                ));
            }
            branch.secret = self.fitting(branch.secret, true)?;
            return self.push(branch.by_keywords_near(self.keywords));
        }
        if !context_fits {
            return Err(
                "what stands before the secret needs too large an automaton; make its repetitions smaller".to_owned(),
            );
        }
        Err(
            "the regex has no part at a fixed place that is rare in text, so it would have to be tried at almost \
             every byte; write such a part, or give keywords of three characters or more"
                .to_owned(),
        )
    }

    fn add_all(&mut self, parts: Vec<Branch>, depth: u32) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err("the regex has too many optional parts at its beginning".to_owned());
        }
        parts
            .into_iter()
            .try_for_each(|part| self.add(part, depth.saturating_add(1)))
    }

    fn push(&mut self, draft: Draft) -> Result<(), String> {
        if self.drafts.len() >= MAX_BRANCHES {
            return Err(format!(
                "the regex has more than {MAX_BRANCHES} alternatives; divide it among several detectors"
            ));
        }
        self.drafts.push(draft);
        Ok(())
    }

    /// The same secret in a form that an automaton can hold: if need be its repetitions are asked
    /// for less exactly, so that more is masked. One that `follows` something else may begin at
    /// every byte in a row, so that as many attempts are alive at once as it counts bytes.
    fn fitting(&mut self, secret: Vec<Hir>, follows: bool) -> Result<Vec<Hir>, String> {
        let mut most = usize::MAX;
        for ease in Ease::ALL {
            let eased: Vec<Hir> = secret.iter().map(|hir| ease.of(hir)).collect();
            let whole = Hir::concat(eased.clone());
            if follows && !matches!(ease, Ease::Loose) {
                most = most.min(places(&whole));
                if places(&whole) > MAX_PLACES {
                    continue;
                }
            }
            if follows && most > MAX_PLACES {
                return Err(format!(
                    "the secret is counted to {most} bytes, and nothing in it is rare: in text made for it, it would be \
                     tried anew at each of them; count to {MAX_PLACES} at most (`{{32,}}` instead of `{{500}}`), or \
                     let it begin with fixed characters"
                ));
            }
            if self.fits.fits(&whole, SECRET_FITS) {
                return Ok(eased);
            }
        }
        Err("the secret needs too large an automaton; make its repetitions smaller".to_owned())
    }
}

/// Whether a keyword can be looked for: it is not too short, and says more than a run of one
/// character or of blanks.
fn is_telling(word: &str) -> bool {
    let mut plain = word
        .bytes()
        .filter(u8::is_ascii_alphanumeric)
        .map(|b| b.to_ascii_lowercase());
    let first = plain.next();
    (3..=MAX_POSITIONS).contains(&word.len()) && plain.any(|b| Some(b) != first)
}
