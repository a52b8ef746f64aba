//! Detectors that a policy brings itself: from a regular expression as users write it to rules as
//! built-in detectors have them ([`rule`](super::rule)).
//!
//! # What is found
//!
//! As a tool that searches whole files would, with the differences that a stream demands:
//!
//! - An expression is a statement about bytes, classes and `(?i)` are ASCII. It is divided into
//!   what leads to the secret, the secret (`secret_group`), and what must follow it. Only the
//!   secret is masked, and only it is ever held back. What may be missing before the match
//!   (`[\w.-]{0,50}?`) is not looked at.
//! - The *longest* secret counts, where an engine that tries alternatives in order takes the first
//!   that fits: `(ab|abc)` masks all of `abc`. Greedy or lazy makes no difference, except that
//!   after a lazy repetition in the secret the first place where the rest matches ends it
//!   (`BEGIN.*?END`), if nothing could go on there.
//! - `\b` at the beginning holds also after an escape (`\n`, `%3D`), which ends no word.
//! - A rule needs bytes at a fixed place that are rare in text. If it has them, keywords are not
//!   asked for: rather too much is masked than too little. If not, one of the keywords must stand
//!   before the match, with at most 255 bytes between them; nothing but the text decides about
//!   that, never how it was cut.
//! - Entropy and allow lists decide about what was found, once: a find that they refuse is none,
//!   and no shorter one is tried instead. They see up to 512 bytes before the secret and nothing
//!   after it.
//!
//! # Limits
//!
//! Everything is compiled when a policy is published or loaded, in bounded time and memory; what
//! does not fit is refused with a sentence. At run time each byte costs a bounded number of steps,
//! whatever was written.
//!
//! # Words
//!
//! | word | is |
//! |---|---|
//! | branch | one way through an expression, on which the secret is one contiguous part of the match |
//! | piece | a part of a branch: one of the expressions that stand in it one after the other. In `text` the word means something else |
//! | look | an assertion such as `^` or `\b`, as `regex_syntax` calls it. In `search` it is the kind of byte before a place |
//! | find | the text that a pattern has matched, before entropy and allow lists have decided about it |
//! | ease | to ask for less than the expression does, so that an automaton holds it: more is masked |
//!
//! The words for the parts of a rule are explained in [`rule`](super::rule).

mod anchors;
mod anywhere;
mod branch;
mod check;
mod document;
mod ease;
mod expand;
mod fit;
mod pieces;
mod plan;
mod rules;
mod syntax;
#[cfg(test)]
mod tests;

pub use document::{Allow, AllowOn, CustomDetector};

use std::{collections::HashSet, sync::Arc};

use self::{
    check::{Allows, Judge, Lazy},
    document::AllowOn as On,
    fit::Fits,
    rules::{Draft, Drafter, LIMITS},
};
#[cfg(feature = "authoring")]
use super::cost;
use super::{
    detector::{Detector, DetectorError},
    rule::{Check, Context, RuleSpec},
};
#[cfg(feature = "authoring")]
use crate::masking::search::{compile::Compiler as Rules, set::DetectorSet};

/// Most detectors that a policy may bring.
pub const MAX_CUSTOM_DETECTORS: usize = 1000;
/// Most allow lists of a detector, with those of all.
#[cfg(feature = "authoring")]
const MAX_ALLOW_LISTS: usize = 16;
/// Longest list of keywords.
const MAX_KEYWORDS: usize = 100;

/// Makes detectors of what a policy says. `shared` are allow lists for all of them.
///
/// # Errors
/// The first detector that cannot be used, and why.
pub fn compile_custom(
    detectors: &[CustomDetector],
    shared: &[Allow],
) -> Result<Vec<Detector>, DetectorError> {
    let mut planning = Planning::default();
    while !planning.step(detectors, shared)? {}
    Ok(planning.into_detectors())
}

/// Detectors of a policy while rules are made of them, a piece at a time: an allow list, an
/// automaton that is built to find out whether it fits, or all else of one detector.
#[derive(Default)]
pub(crate) struct Planning {
    compiler: Option<Compiler>,
    names: HashSet<String>,
    out: Vec<Detector>,
}

impl Planning {
    /// Does one piece; `true` once all is done. Always called with the same detectors.
    ///
    /// # Errors
    /// As [`compile_custom`].
    pub(crate) fn step(
        &mut self,
        detectors: &[CustomDetector],
        shared: &[Allow],
    ) -> Result<bool, DetectorError> {
        let Some(detector) = detectors.get(self.out.len()) else {
            return Ok(true);
        };
        let invalid = |reason: String| DetectorError::Invalid {
            detector: detector.name.clone(),
            reason,
        };
        if self.out.len() >= MAX_CUSTOM_DETECTORS {
            return Err(invalid(format!(
                "there are more than {MAX_CUSTOM_DETECTORS} custom detectors"
            )));
        }
        let compiler = self.compiler.get_or_insert_with(|| Compiler {
            allows: Allows::default(),
            fits: Fits::one_at_a_time(),
        });
        let mut allows = detector.allow.iter().chain(shared);
        if let Some(allow) = allows.find(|allow| !compiler.allows.has(allow)) {
            compiler.allows.get(allow).map_err(invalid)?;
            return Ok(false);
        }
        if let Some(made) = compiler.detector(detector, shared).map_err(invalid)? {
            if !self.names.insert(detector.name.clone()) {
                return Err(invalid("another detector has this name".to_owned()));
            }
            self.out.push(made);
        }
        Ok(self.out.len() >= detectors.len())
    }

    /// How many are done.
    pub(crate) fn done(&self) -> usize {
        self.out.len()
    }

    /// Takes the next one from who has made it already, of the same words. `false` if it is not to
    /// be taken: [`step`](Self::step) then says why.
    pub(crate) fn take_over(&mut self, detector: &Detector) -> bool {
        let new =
            self.out.len() < MAX_CUSTOM_DETECTORS && self.names.insert(detector.name().to_owned());
        if new {
            self.out.push(detector.clone());
        }
        new
    }

    /// The detectors, in the order of the policy.
    pub(crate) fn into_detectors(self) -> Vec<Detector> {
        self.out
    }
}

/// All detectors that cannot be used, by their place in the list, and why as a sentence. `shared`
/// are allow lists for all of them. Quicker than compiling each detector by itself.
#[cfg(feature = "authoring")]
pub fn check_custom(detectors: &[CustomDetector], shared: &[Allow]) -> Vec<(usize, String)> {
    let mut compiler = Compiler::default();
    let (mut bad, mut good) = (Vec::new(), Vec::new());
    for (place, detector) in detectors.iter().enumerate() {
        let compiled = compiler.detector(detector, shared);
        match compiled.and_then(|compiled| compiler.within(detector, shared).map(|()| compiled)) {
            Ok(compiled) => good.extend(compiled.map(|compiled| (place, compiled))),
            Err(reason) => bad.push((place, reason)),
        }
        if compiler.fits.is_spent() {
            return bad;
        }
    }
    // One after the other, so that what is too much together is noticed before all of it is
    // compiled.
    let mut rules = Rules::default();
    for (place, detector) in &good {
        match rules.add(&Arc::new(detector.clone())) {
            Ok(()) => {}
            Err(DetectorError::Invalid { reason, .. }) => bad.push((*place, reason)),
            Err(other) => bad.push((*place, other.to_string())),
        }
        if rules.is_full() {
            break;
        }
    }
    let known = bad.len();
    let place_of = |name: &str| {
        good.iter()
            .find(|(_, d)| d.name() == name)
            .map(|(place, _)| *place)
    };
    if known == 0 {
        for (rule, reason) in cost::excesses(&rules) {
            let detector = rules
                .rules
                .get(usize::from(rule))
                .map(|rule| &rule.detector);
            let place = detector.and_then(|detector| place_of(detector.name()));
            bad.extend(place.map(|place| (place, reason)));
        }
        bad.dedup_by_key(|(place, _)| *place);
    }
    if bad.is_empty()
        && let Err(error) = DetectorSet::of(good.iter().map(|(_, detector)| detector.clone()))
    {
        let (place, reason) = match error {
            DetectorError::Invalid { detector, reason } => (place_of(&detector), reason),
            other => (None, other.to_string()),
        };
        let last = good.last().map(|(place, _)| *place);
        bad.extend(place.or(last).map(|place| (place, reason)));
    }
    bad.sort_unstable();
    bad
}

/// Why an allow list cannot be used, as a sentence for its author.
#[cfg(feature = "authoring")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableAllow(String);

#[cfg(feature = "authoring")]
impl std::fmt::Display for UnusableAllow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(feature = "authoring")]
impl std::error::Error for UnusableAllow {}

/// Whether an allow list can be used.
///
/// # Errors
/// The list says nothing, would allow everything, or one of its expressions cannot be compiled, or
/// not so that its work is bounded.
#[cfg(feature = "authoring")]
pub fn check_allow(allow: &Allow) -> Result<(), UnusableAllow> {
    let allowed = check::Allowed::compile(allow).map_err(UnusableAllow)?;
    match allowed.excess() {
        Some(reason) => Err(UnusableAllow(reason)),
        None => Ok(()),
    }
}

/// What detectors share while they are compiled.
#[derive(Default)]
struct Compiler {
    allows: Allows,
    fits: Fits,
}

impl Compiler {
    /// Whether the work on what a detector finds is bounded. Asked when a policy is published, not
    /// when one is loaded that was.
    #[cfg(feature = "authoring")]
    fn within(&mut self, detector: &CustomDetector, shared: &[Allow]) -> Result<(), String> {
        let lists = detector.allow.iter().chain(shared);
        let count = lists.clone().count();
        if count > MAX_ALLOW_LISTS {
            return Err(format!(
                "{count} allow lists would be asked about each find, and {MAX_ALLOW_LISTS} are allowed, with those for \
                 all detectors; put the entries of several into one"
            ));
        }
        for allow in lists {
            if let Some(reason) = self.allows.get(allow)?.excess() {
                return Err(reason);
            }
        }
        Ok(())
    }

    /// `None`: to be called again, see [`Fits::one_at_a_time`].
    fn detector(
        &mut self,
        detector: &CustomDetector,
        shared: &[Allow],
    ) -> Result<Option<Detector>, String> {
        if !is_name(&detector.name) {
            return Err(
                "the name must be `custom/` and then 1 to 63 of a-z, 0-9, `.`, `_` and `-`, beginning with a letter or digit"
                    .to_owned(),
            );
        }
        let Some(rules) = self.rules(detector, shared)? else {
            return Ok(None);
        };
        let patterns = rules.iter().flat_map(|rule| {
            let context = rule.context.as_ref().map(|context| &*context.pattern);
            [Some(&*rule.secret), rule.tail.as_deref(), context]
        });
        let built = self.fits.built(patterns.flatten(), &LIMITS);
        let detector = Detector::custom(
            detector.name.clone(),
            detector.description.clone(),
            detector.severity,
            String::new(),
            rules,
        );
        Ok(Some(detector.with_built(built)))
    }

    fn rules(
        &mut self,
        detector: &CustomDetector,
        shared: &[Allow],
    ) -> Result<Option<Vec<RuleSpec>>, String> {
        if let Some(bits) = detector.entropy
            && !(0.0..=8.0).contains(&bits)
        {
            return Err("entropy is in bits per byte, 0 to 8".to_owned());
        }
        if detector.keywords.len() > MAX_KEYWORDS {
            return Err(format!("there are more than {MAX_KEYWORDS} keywords"));
        }
        if let Some(blank) = detector.keywords.iter().find(|word| word.trim().is_empty()) {
            return Err(format!(
                "the keyword {blank:?} is blank, so it stands nearly everywhere"
            ));
        }
        let hir = syntax::parse(&detector.regex)?;
        self.fits.begin();
        let mut drafter = Drafter::new(&detector.keywords, &mut self.fits);
        let branches = branch::branches(&hir, detector.secret_group)?;
        let added = branches
            .into_iter()
            .try_for_each(|branch| drafter.add(branch, 0));
        let drafts = drafter.into_drafts();
        if self.fits.is_paused() {
            return Ok(None);
        }
        if self.fits.is_spent() {
            return Err(
                "with this one the detectors take too long to compile; make what they repeat after a choice smaller \
                 (`(a|b)*a(a|b){11}` has 4,000 states), or leave some out"
                    .to_owned(),
            );
        }
        added?;
        if drafts.is_empty() {
            return Err("the regex matches nothing or the empty text".to_owned());
        }
        let mut allows = Vec::new();
        for allow in detector.allow.iter().chain(shared) {
            allows.push(self.allows.get(allow)?);
        }
        let on_match = detector.allow.iter().chain(shared);
        let on_match = on_match.filter(|allow| allow.on == On::Match).count() > 0;
        let rules = drafts.into_iter().map(|draft| {
            let judge = Judge {
                entropy: detector.entropy.filter(|&bits| bits > 0.0),
                allows: allows.clone(),
                context: draft.verify.as_ref().map(Lazy::backwards).transpose()?,
                whole: match on_match {
                    true => Some(Arc::new(Lazy::backwards(&draft.all)?)),
                    false => None,
                },
            };
            Ok(spec(draft, judge))
        });
        rules.collect::<Result<_, String>>().map(Some)
    }
}

fn spec(draft: Draft, judge: Judge) -> RuleSpec {
    let must = (!judge.is_idle()).then(|| Check::Found {
        lookback: judge.lookback(),
        cost: judge.cost(),
        test: Arc::new(move |found| judge.holds(found)),
    });
    RuleSpec {
        anchors: draft.anchors,
        lead: draft.lead,
        left: draft.left,
        context: draft.context.map(|(pattern, from)| Context {
            pattern: pattern.into(),
            from,
        }),
        secret: draft.secret.into(),
        tail: draft.tail.map(Into::into),
        after: 0,
        ends: draft.ends,
        must,
        refuted: None,
    }
}

fn is_name(name: &str) -> bool {
    let Some(own) = name.strip_prefix("custom/") else {
        return false;
    };
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    own.len() <= 63
        && own.bytes().next().is_some_and(plain)
        && own
            .bytes()
            .all(|b| plain(b) || matches!(b, b'.' | b'_' | b'-'))
}
