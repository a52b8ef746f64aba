//! From rules as they are written to rules as they run.

use super::{
    automaton::{Automaton, Follow, State},
    bytes::{Anchor, ByteSet},
    prefilter::{MAX_ANCHOR, Target, WINDOW},
};
use crate::masking::detectors::{
    detector::{Detector, DetectorError},
    rule::{Check, Context, ContextStart, Ends, Lead, Left, RuleSpec},
};
use std::{borrow::Cow, collections::HashMap, sync::Arc};

/// Most memory that the automata of one set may take, in bytes. Every worker has its own.
pub(in crate::masking) const MAX_MEMORY: usize = 16 << 20;
/// Most rules of one set, and most anchors.
const MAX_RULES: usize = 16_384;

/// One form of one detector, compiled. Its members are those of a [`RuleSpec`]. Rules are numbered
/// in the order of their detectors.
pub(in crate::masking) struct Rule {
    pub(in crate::masking) detector: Arc<Detector>,
    pub(in crate::masking) left: Left,
    /// Class and greatest length of the run with which a match begins, if it does.
    pub(in crate::masking) run: Option<(ByteSet, usize)>,
    pub(in crate::masking) context: Option<(Arc<Automaton>, ContextStart)>,
    pub(in crate::masking) secret: Arc<Automaton>,
    pub(in crate::masking) tail: Option<Tail>,
    /// The tail, if one byte decides on it and the last end counts.
    pub(in crate::masking) follow: Option<Follow>,
    pub(in crate::masking) after: usize,
    /// Whether the first end counts; otherwise the last one does.
    pub(in crate::masking) first_end: bool,
    pub(in crate::masking) must: Option<Check>,
    /// See [`RuleSpec::refuted`].
    pub(in crate::masking) refuted: Option<fn(&[u8]) -> bool>,
}

impl Rule {
    /// Bytes before the secret that its check wants to see.
    pub(in crate::masking) fn lookback(&self) -> usize {
        self.must.as_ref().map_or(0, Check::lookback)
    }
}

/// What must follow a secret.
pub(in crate::masking) struct Tail {
    /// The same for all rules that have it: what is known of it at a place is known for all.
    pub(in crate::masking) number: u16,
    pub(in crate::masking) automaton: Arc<Automaton>,
}

/// The beginning of a match: one anchor of one rule, with what stands before and after it.
pub(in crate::masking) struct Head {
    pub(in crate::masking) rule: u16,
    /// Bytes of the match before the anchor; 0 for rules with a run.
    pub(in crate::masking) lead: usize,
    /// Where the anchor ends, counted from the beginning of the match (or from the end of the run).
    pub(in crate::masking) own: usize,
    /// Lead, anchor, and what follows the anchor.
    pub(in crate::masking) text: Anchor,
}

/// Compiles rule by rule.
#[derive(Default)]
pub(in crate::masking) struct Compiler {
    pub(in crate::masking) rules: Vec<Rule>,
    pub(in crate::masking) heads: Vec<Head>,
    /// What the prefilter looks for.
    pub(in crate::masking) targets: Vec<Target>,
    /// For each target the heads that have it.
    pub(in crate::masking) owners: Vec<Vec<u16>>,
    numbers: HashMap<Target, usize>,
    /// Patterns that are equal become one automaton.
    automata: HashMap<Cow<'static, str>, Arc<Automaton>>,
    /// Of each tail the first rule that has it.
    tails: HashMap<Cow<'static, str>, u16>,
    memory: usize,
}

impl Compiler {
    /// Adds all rules of a detector.
    #[cfg(feature = "authoring")]
    pub(in crate::masking) fn add(
        &mut self,
        detector: &Arc<Detector>,
    ) -> Result<(), DetectorError> {
        for rule in detector.rules.iter() {
            self.add_rule(detector, rule)
                .map_err(|reason| DetectorError::Invalid {
                    detector: detector.name().to_owned(),
                    reason,
                })?;
        }
        Ok(())
    }

    /// Does one piece of adding a rule of a detector: builds one automaton that it needs and that
    /// is not there yet, or adds the rule. `true` once it is added.
    pub(super) fn add_piece(
        &mut self,
        detector: &Arc<Detector>,
        rule: &RuleSpec,
    ) -> Result<bool, DetectorError> {
        let context = rule.context.as_ref().map(|context| &context.pattern);
        let patterns = [context, Some(&rule.secret), rule.tail.as_ref()];
        let mut patterns = patterns.into_iter().flatten();
        let missing = patterns.find(|&pattern| !self.automata.contains_key(pattern));
        let done = match missing {
            Some(pattern) => self.automaton(pattern).map(|_| false),
            None => self.add_rule(detector, rule).map(|()| true),
        };
        done.map_err(|reason| DetectorError::Invalid {
            detector: detector.name().to_owned(),
            reason,
        })
    }

    /// Whether nothing more can be added.
    #[cfg(feature = "authoring")]
    pub(in crate::masking) fn is_full(&self) -> bool {
        self.memory > MAX_MEMORY || self.rules.len() >= MAX_RULES || self.heads.len() >= MAX_RULES
    }

    /// Bytes of memory that what was compiled occupies.
    pub(in crate::masking) fn memory(&self) -> usize {
        let heads = self.heads.iter().map(|head| {
            size_of::<Head>()
                .saturating_add(size_of_val(head.text.sets()))
                .saturating_add(size_of::<u16>())
        });
        heads.fold(self.memory, usize::saturating_add)
    }

    fn add_rule(&mut self, detector: &Arc<Detector>, spec: &RuleSpec) -> Result<(), String> {
        let number = self.rules.len();
        if number >= MAX_RULES || self.heads.len() >= MAX_RULES {
            return Err(format!(
                "the detectors together have more than {MAX_RULES} rules or anchors"
            ));
        }
        let context = match &spec.context {
            Some(Context { pattern, from }) => Some((self.automaton(pattern)?, *from)),
            None => None,
        };
        let secret = self.automaton(&spec.secret)?;
        if secret.matches_nothing() {
            return Err("its pattern also matches the empty text".to_owned());
        }
        let tail = match &spec.tail {
            Some(tail) => {
                let next = u16::try_from(number).unwrap_or(u16::MAX);
                Some(Tail {
                    number: *self.tails.entry(tail.clone()).or_insert(next),
                    automaton: self.automaton(tail)?,
                })
            }
            None => None,
        };
        let follow = match spec.ends {
            Ends::Longest => tail.as_ref().and_then(|tail| tail.automaton.follow()),
            Ends::First => None,
        };
        let rule = Rule {
            follow,
            detector: Arc::clone(detector),
            left: spec.left,
            run: match spec.lead {
                Lead::Fixed(_) => None,
                Lead::Run { class, max } => Some((class, usize::from(max))),
            },
            context,
            secret,
            tail,
            after: usize::from(spec.after),
            first_end: spec.ends == Ends::First,
            must: spec.must.clone(),
            refuted: spec.refuted,
        };
        if spec.anchors.is_empty() {
            return Err(
                "it has no anchor, so it would have to be tried everywhere: give it a keyword or a literal beginning"
                    .to_owned(),
            );
        }
        for anchor in &spec.anchors {
            self.add_anchor(
                u16::try_from(number).unwrap_or(u16::MAX),
                &rule,
                spec.lead,
                anchor,
            )?;
        }
        self.rules.push(rule);
        Ok(())
    }

    /// Adds one of a rule's anchors: what is searched for, and the head that is compared with what
    /// the end of a chunk cuts.
    fn add_anchor(
        &mut self,
        number: u16,
        rule: &Rule,
        lead: Lead,
        anchor: &Anchor,
    ) -> Result<(), String> {
        let own = anchor.sets();
        if !(1..=MAX_ANCHOR).contains(&own.len()) {
            return Err(format!(
                "the anchor {anchor:?} must have 1 to {MAX_ANCHOR} bytes"
            ));
        }
        let LeadIn {
            mut bytes,
            class,
            states,
        } = LeadIn::of(rule, lead, anchor)?;
        let sets = window(rule, own, states);
        let lead = bytes.len();
        bytes.extend(sets.iter().copied());
        let head = u16::try_from(self.heads.len()).unwrap_or(u16::MAX);
        self.heads.push(Head {
            rule: number,
            lead,
            own: lead.saturating_add(own.len()),
            text: bytes.into(),
        });
        let target = Target {
            text: sets.into(),
            before: class,
        };
        self.search_for(target, head);
        Ok(())
    }

    /// Searches for a target, whose places are those of this head.
    fn search_for(&mut self, target: Target, head: u16) {
        let next = self.targets.len();
        let known = *self.numbers.entry(target.clone()).or_insert(next);
        if known == next {
            self.targets.push(target);
            self.owners.push(Vec::new());
        }
        if let Some(owners) = self.owners.get_mut(known) {
            owners.push(head);
        }
    }

    #[allow(
        clippy::ptr_arg,
        reason = "a pattern of the catalogue is kept without a copy"
    )]
    fn automaton(&mut self, pattern: &Cow<'static, str>) -> Result<Arc<Automaton>, String> {
        if let Some(known) = self.automata.get(pattern) {
            return Ok(Arc::clone(known));
        }
        let automaton = Automaton::shared(pattern)?;
        self.memory = self.memory.saturating_add(automaton.memory());
        if self.memory > MAX_MEMORY {
            return Err(format!(
                "the detectors together need more than {} MiB for their patterns; make repetitions smaller",
                MAX_MEMORY >> 20
            ));
        }
        self.automata
            .insert(pattern.clone(), Arc::clone(&automaton));
        Ok(automaton)
    }
}

/// The pattern with which a match begins, from the anchor on, and whether the anchor comes before
/// it.
fn first(rule: &Rule) -> (&Automaton, bool) {
    match &rule.context {
        Some((context, ContextStart::Match)) => (context, false),
        Some((context, ContextStart::AnchorEnd | ContextStart::Near)) => (context, true),
        None => (&rule.secret, false),
    }
}

/// What stands before an anchor, as far as the rule's pattern says.
struct LeadIn {
    /// The bytes before it, if it is known how many they are.
    bytes: Vec<ByteSet>,
    /// The class of the byte before it, if a run stands there.
    class: Option<ByteSet>,
    /// The states of the pattern behind the anchor; none if it says nothing about what follows.
    states: Vec<State>,
}

impl LeadIn {
    /// # Errors
    /// The pattern never matches where this stands.
    fn of(rule: &Rule, lead: Lead, anchor: &Anchor) -> Result<Self, String> {
        let (first, after_anchor) = first(rule);
        let own = anchor.sets();
        let mut states = first.beginnings();
        let mut bytes = Vec::new();
        let mut class_before = None;
        match lead {
            Lead::Fixed(n) if after_anchor => bytes.resize(usize::from(n), ByteSet::ALL),
            Lead::Fixed(n) => {
                for _ in 0..n {
                    let set = first.followers(&states);
                    bytes.push(set);
                    states = first.after(&states, set);
                }
            }
            Lead::Run { .. } if after_anchor => {
                return Err(
                    "a context that begins after the anchor cannot have a run before it".to_owned(),
                );
            }
            Lead::Run { class, max } => {
                if own.first().is_some_and(|set| !set.common(class).is_empty()) {
                    return Err(format!(
                        "the anchor {anchor:?} begins with a byte of the run before it"
                    ));
                }
                states = after_run(first, class, max)?;
                class_before = Some(class);
            }
        }
        if !after_anchor {
            for &set in own {
                states = first.after(&states, set);
            }
            if states.is_empty() {
                return Err(format!(
                    "its pattern never matches where its anchor {anchor:?} stands"
                ));
            }
        }
        if let Some((_, ContextStart::Near)) = rule.context {
            states.clear();
        }
        Ok(Self {
            bytes,
            class: class_before,
            states,
        })
    }
}

/// An anchor and what may follow it, where the pattern is in these states behind it.
fn window(rule: &Rule, own: &[ByteSet], mut states: Vec<State>) -> Vec<ByteSet> {
    let (first, _) = first(rule);
    let mut sets = own.to_vec();
    // One more than needed: what cannot follow refutes most false alarms at once.
    while sets.len() <= own.len() || sets.len() < WINDOW {
        // When the match may end here, anything may follow it, or nothing.
        let ends = states.is_empty() || states.iter().any(|&s| first.matches_at_end(s));
        let set = match ends {
            true => ByteSet::ALL,
            false => first.followers(&states),
        };
        sets.push(set);
        states = first.after(&states, set);
    }
    sets
}

/// The states after one to `max` bytes of `class`.
///
/// # Errors
/// The pattern would read more bytes of the class: what is found would then depend on how far back
/// one looks for the beginning.
fn after_run(automaton: &Automaton, class: ByteSet, max: u8) -> Result<Vec<State>, String> {
    let mut now = automaton.beginnings();
    let mut all = Vec::new();
    for _ in 0..max {
        now = automaton.after(&now, class);
        if now.is_empty() {
            break;
        }
        all.extend_from_slice(&now);
    }
    if !automaton.after(&now, class).is_empty() {
        return Err(format!(
            "its pattern reads more than the {max} bytes that may stand before its anchor"
        ));
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}
