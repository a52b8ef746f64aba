//! From a branch of an expression to rules: where to look, what leads to the secret, what it is.

use regex_syntax::hir::{Hir, HirKind};

use super::{
    branch::{Branch, MAX_BRANCHES, repeat},
    ease::{Ease, places},
    expand::{self, MAX_POSITIONS, Opening, all_rare, rarest, trimmed},
    fit::Fits,
    pieces::{
        begins_before, divide, is_boundary, is_look, is_word, is_word_look, lengths, tail, varies,
        without_beginning,
    },
    syntax::print,
};
use crate::masking::{
    bytes::Anchor,
    rule::{Ends, From, Lead, Left},
};

/// Memory for an automaton while it is built, where an expression could need much. A context too large is asked for in
/// another way, a secret less exactly, but without its tail a secret could be anything.
const CONTEXT_FITS: usize = 1 << 18;
const SECRET_FITS: usize = 1 << 19;
const TAIL_FITS: usize = 1 << 20;
/// What a secret after something else may count to, and what follows a secret.
const MAX_PLACES: usize = 144;
const LONGEST_TAIL: usize = 256;
/// Most bytes of a run before an anchor.
const LONGEST_RUN: u8 = 128;
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
    pub(super) context: Option<(String, From)>,
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
        let Some(branch) = Plan::of(branch)? else {
            return Ok(());
        };
        let mut branch = match branch {
            Step::Plan(plan) => plan,
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
        // The nearer to its beginning a context is anchored, the more of it is asked for before anything is held.
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

    /// The same secret in a form that an automaton can hold: if need be its repetitions are asked for less
    /// exactly, so that more is masked. One that `follows` something else may begin at every byte in a row, so that as many
    /// attempts are alive at once as it counts bytes.
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

/// A branch whose beginning is settled.
struct Plan {
    /// What leads to the secret; it is never empty when it matches, or it has no pieces.
    before: Vec<Hir>,
    secret: Vec<Hir>,
    tail: Option<String>,
    ends: Ends,
    verify: Option<Hir>,
    all: Hir,
    after: Vec<Hir>,
    chosen: bool,
}

enum Step {
    Plan(Plan),
    Divided(Vec<Branch>),
}

impl Plan {
    /// Drops what may be missing before the match, and divides what begins in different ways.
    fn of(branch: Branch) -> Result<Option<Step>, String> {
        let all = Hir::concat(
            branch
                .before
                .iter()
                .chain(&branch.secret)
                .cloned()
                .collect(),
        );
        let Branch {
            before,
            mut secret,
            after,
            chosen,
        } = branch;
        let mut before = without_beginning(before);
        if !before.is_empty() && lengths(&before).0 == 0 {
            if before.iter().all(is_look) {
                secret.splice(0..0, std::mem::take(&mut before));
            } else {
                let branch = Branch {
                    before,
                    secret,
                    after,
                    chosen,
                };
                return match divide(&branch.before) {
                    Some(ways) => Ok(Some(Step::Divided(
                        ways.into_iter()
                            .map(|before| Branch {
                                before,
                                ..branch.clone()
                            })
                            .collect(),
                    ))),
                    None => Err("what stands before the secret may be empty in a way that cannot be divided".to_owned()),
                };
            }
        }
        if before.is_empty() {
            let looks = secret.iter().take_while(|hir| is_look(hir)).count();
            let first = secret.get(looks).map(Hir::kind);
            if let Some(HirKind::Repetition(r)) = first
                && r.min == 0
            {
                let is_class = matches!(r.sub.kind(), HirKind::Class(_));
                let mut without = secret.clone();
                if is_class && !chosen {
                    // As before a secret: an optional beginning of any such bytes is a name, not the secret.
                    without.drain(..=looks);
                } else {
                    without.remove(looks);
                }
                let mut parts = vec![without];
                if !is_class || chosen {
                    let mut with = secret.clone();
                    if let Some(hir) = with.get_mut(looks) {
                        *hir = repeat(r, 1, r.max, (*r.sub).clone());
                    }
                    parts.insert(0, with);
                }
                if parts.iter().any(|secret| lengths(secret).0 == 0) {
                    return Err("the secret may be empty; write `+` instead of `*`".to_owned());
                }
                return Ok(Some(Step::Divided(
                    parts
                        .into_iter()
                        .map(|secret| Branch {
                            before: Vec::new(),
                            secret,
                            after: after.clone(),
                            chosen,
                        })
                        .collect(),
                )));
            }
        }
        if lengths(&secret).0 == 0 {
            // A secret of no bytes is none: the way on which it is empty is left out.
            match secret.as_slice() {
                [one] if let HirKind::Repetition(r) = one.kind() => {
                    secret = vec![repeat(r, 1, r.max, (*r.sub).clone())];
                }
                _ if secret
                    .iter()
                    .all(|hir| lengths(std::slice::from_ref(hir)).1 == Some(0)) =>
                {
                    return Ok(None);
                }
                _ => return Err("the secret may be empty; write `+` instead of `*`".to_owned()),
            }
        }
        Ok(Some(Step::Plan(Self {
            before,
            secret,
            tail: None,
            ends: Ends::Longest,
            verify: None,
            all,
            after,
            chosen,
        })))
    }

    /// A context that begins with one of a few words: they are the anchors, the context goes on after them. Many
    /// rules differ in that word only.
    fn by_keyword_inside(&self) -> Option<Draft> {
        let looks = self.before.iter().take_while(|hir| is_look(hir)).count();
        let (leading, pieces) = self.before.split_at_checked(looks)?;
        let (mut words, mut taken) = (Vec::new(), 0_usize);
        for count in 1..=pieces.len() {
            let openings = expand::openings(pieces.iter().take(count));
            let narrow = openings
                .iter()
                .all(|o| o.whole && o.sets.iter().all(|set| set.len() <= 4 || set.len() > 250));
            if !narrow || openings.iter().any(|o| o.sets.len() >= MAX_POSITIONS) {
                break;
            }
            words = openings;
            taken = count;
        }
        let rest: Vec<Hir> = pieces.iter().skip(taken).cloned().collect();
        if taken == 0 || lengths(&rest).0 == 0 || !all_rare(&words) {
            return None;
        }
        let left = self.left(leading, words.iter())?;
        Some(self.draft(
            words.into_iter().map(|o| Anchor::from(o.sets)).collect(),
            Lead::Fixed(0),
            left,
            Some((print(&Hir::concat(rest)), From::AnchorEnd)),
            &self.secret,
        ))
    }

    /// Bytes at a fixed distance from the beginning.
    fn by_fixed_place(&self) -> Vec<Draft> {
        let whole: Vec<&Hir> = match self.before.as_slice() {
            [] => self.secret.iter().collect(),
            before => before.iter().collect(),
        };
        let openings = expand::openings(whole.iter().copied());
        let mut by_lead: Vec<(u8, Vec<Anchor>)> = Vec::new();
        for opening in &openings {
            let Some((lead, sets)) = rarest(&opening.sets) else {
                return Vec::new();
            };
            let anchor = Anchor::from(sets.to_vec());
            match by_lead.iter_mut().find(|(l, _)| *l == lead) {
                Some((_, anchors)) if anchors.contains(&anchor) => {}
                Some((_, anchors)) => anchors.push(anchor),
                None => by_lead.push((lead, vec![anchor])),
            }
        }
        let looks = whole.iter().take_while(|hir| is_look(hir)).count();
        let leading: Vec<Hir> = whole.iter().take(looks).map(|&hir| hir.clone()).collect();
        // A boundary is taken out of the pattern where [`Left`] says the same; others stay in it.
        let (left, drop) = match self.left(&leading, openings.iter()) {
            Some(left) => (left, looks),
            None => (Left::Any, 0),
        };
        let (mut before, mut secret) = (self.before.clone(), self.secret.clone());
        let from = if before.is_empty() {
            &mut secret
        } else {
            &mut before
        };
        from.drain(..drop.min(from.len()));
        let context = (!before.is_empty()).then(|| (print(&Hir::concat(before)), From::Match));
        by_lead
            .into_iter()
            .map(|(lead, anchors)| {
                self.draft(anchors, Lead::Fixed(lead), left, context.clone(), &secret)
            })
            .collect()
    }

    /// A secret that begins with a run of bytes before its anchor, as an address before its `@`.
    fn by_run(&self) -> Option<Draft> {
        if !self.before.is_empty() {
            return None;
        }
        let looks = self.secret.iter().take_while(|hir| is_look(hir)).count();
        let (leading, pieces) = self.secret.split_at_checked(looks)?;
        let (first, rest) = pieces.split_first()?;
        let HirKind::Repetition(r) = first.kind() else {
            return None;
        };
        let HirKind::Class(class) = r.sub.kind() else {
            return None;
        };
        let class = expand::set(class)?;
        let max = r
            .max
            .and_then(|max| u8::try_from(max).ok())
            .map_or(LONGEST_RUN, |max| max.min(LONGEST_RUN));
        let openings = expand::openings(rest);
        let apart = |o: &Opening| {
            o.sets
                .first()
                .is_some_and(|set| set.common(class).is_empty())
        };
        if r.min > u32::from(max) || !all_rare(&openings) || !openings.iter().all(apart) {
            return None;
        }
        // The match begins where the whole run does. A boundary may hold inside of the run only (`\b[^"]+"acme` in `{x"acme`),
        // so it is not asked for: more is masked. The beginning of a line is asked for if no run goes over it.
        let drop = leading.iter().all(is_word_look);
        let keep = leading.iter().all(|hir| begins_before(hir, class));
        if !drop && !keep {
            return None;
        }
        let mut secret: Vec<Hir> = Vec::new();
        if !drop {
            secret.extend(leading.iter().cloned());
        }
        secret.push(repeat(
            r,
            r.min.max(1),
            Some(u32::from(max)),
            (*r.sub).clone(),
        ));
        secret.extend(rest.iter().cloned());
        let anchors = openings
            .into_iter()
            .map(|o| Anchor::from(trimmed(&o.sets).to_vec()));
        Some(self.draft(
            anchors.collect(),
            Lead::Run { class, max },
            Left::Any,
            None,
            &secret,
        ))
    }

    /// The keywords stand at most [`NEAR`](crate::masking::discovery::NEAR) bytes before.
    fn by_keywords_near(&self, keywords: &[String]) -> Draft {
        let anchors = keywords.iter().map(|word| Anchor::ignoring_case(word));
        let context = print(&Hir::concat(self.before.clone()));
        self.draft(
            anchors.collect(),
            Lead::Fixed(0),
            Left::Any,
            Some((context, From::Near)),
            &self.secret,
        )
    }

    /// The parts of the first piece that has several.
    fn divided(&self) -> Option<Vec<Branch>> {
        let as_branch = |before: Vec<Hir>, secret: Vec<Hir>| Branch {
            before,
            secret,
            after: self.after.clone(),
            chosen: self.chosen,
        };
        if let Some(ways) = divide(&self.before) {
            let ways = ways.into_iter();
            return Some(
                ways.map(|before| as_branch(before, self.secret.clone()))
                    .collect(),
            );
        }
        let ways = divide(&self.secret)?.into_iter();
        Some(
            ways.map(|secret| as_branch(self.before.clone(), secret))
                .collect(),
        )
    }

    /// The same with the first pieces of the context left out; they are asked for when a secret was found.
    fn end_of_context(&self, skip: usize) -> Self {
        let mut before: Vec<Hir> = self.before.iter().skip(skip).cloned().collect();
        if skip > 0 {
            before = without_beginning(before);
            if lengths(&before).0 == 0 {
                before.clear();
            }
        }
        Self {
            before,
            secret: self.secret.clone(),
            tail: self.tail.clone(),
            ends: self.ends,
            verify: (skip > 0).then(|| Hir::concat(self.before.clone())),
            all: self.all.clone(),
            after: self.after.clone(),
            chosen: self.chosen,
        }
    }

    /// What [`Left`] can say about the place before a match that begins with these assertions.
    fn left<'o>(
        &self,
        looks: &[Hir],
        mut openings: impl Iterator<Item = &'o Opening>,
    ) -> Option<Left> {
        match looks {
            [] => Some(Left::Any),
            _ if looks.iter().all(is_boundary)
                && openings.all(|o| o.sets.first().is_some_and(|s| s.iter().all(is_word))) =>
            {
                Some(Left::NotWord)
            }
            _ => None,
        }
    }

    fn draft(
        &self,
        anchors: Vec<Anchor>,
        lead: Lead,
        left: Left,
        context: Option<(String, From)>,
        secret: &[Hir],
    ) -> Draft {
        Draft {
            anchors,
            lead,
            left,
            context,
            secret: print(&Hir::concat(secret.to_vec())),
            tail: self.tail.clone(),
            ends: self.ends,
            verify: self.verify.clone(),
            all: self.all.clone(),
        }
    }
}

/// Whether a keyword can be looked for: it is not too short, and says more than a run of one character or of blanks.
fn is_telling(word: &str) -> bool {
    let mut plain = word
        .bytes()
        .filter(u8::is_ascii_alphanumeric)
        .map(|b| b.to_ascii_lowercase());
    let first = plain.next();
    (3..=MAX_POSITIONS).contains(&word.len()) && plain.any(|b| Some(b) != first)
}

/// Where a secret ends. A lazy repetition without a bound says: at the first place where the rest matches.
/// This is kept only where nothing after it could go on further, for nothing may be cut off.
fn ends(secret: &[Hir], tail: bool) -> Ends {
    let lazy = |hir: &Hir| match hir.kind() {
        HirKind::Repetition(r) => !r.greedy && r.max != Some(r.min),
        _ => false,
    };
    let Some(at) = secret.iter().rposition(lazy) else {
        return Ends::Longest;
    };
    let before: Vec<Hir> = secret.iter().take(at).cloned().collect();
    let rest = Hir::concat(secret.iter().skip(at.saturating_add(1)).cloned().collect());
    let bounded = before.is_empty() || lengths(&before).1.is_some();
    let Some(texts) = expand::texts(&rest) else {
        return Ends::Longest;
    };
    let none_goes_on = texts.iter().enumerate().all(|(i, a)| {
        texts.iter().enumerate().all(|(j, b)| {
            i == j || b.len() <= a.len() || a.iter().zip(b).any(|(a, b)| a.common(*b).is_empty())
        })
    });
    let said = tail || at.saturating_add(1) < secret.len();
    if bounded && none_goes_on && said {
        Ends::First
    } else {
        Ends::Longest
    }
}
