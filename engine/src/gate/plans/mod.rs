//! From masking rules to plans. A plan is the work of the masker in one direction of a connection.
//!
//! Rules add up. Where several rules for one body name one detector (or key), the strictest counts:
//! the action in the order block, mask, report; the smallest `keep`; and a secret is restored only
//! if every rule that masks it says so. So adding a rule never loosens masking.

mod making;
mod target;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) use self::making::PlansMaking;
pub use self::target::{InTarget, look_in_target};
use super::error::PlanError;
use crate::masking::{
    Action, Allow, Compiling, CustomDetector, Detector, DetectorSet, KeyNames, Plan, Treatment,
    catalogue, chooses, compile_custom,
};
use crate::policy::{Connection, Direction, MaskingAction, MaskingRule, Policy, rules_for};

/// Most memory that the compiled detectors of one policy may take, in bytes: every Envoy worker
/// holds them, twice while one version follows another.
pub const MAX_COMPILED_BYTES: usize = 8 * 1024 * 1024;

/// The plans of one policy, with the detectors that they share, compiled.
#[derive(Debug, Default)]
pub struct MaskingPlans {
    /// What the next version can take over: compiling takes longest by far, and detectors rarely
    /// change.
    compiled: Compiled,
    connections: BTreeMap<String, ByDirection>,
    shown: Option<Arc<Plan>>,
}

/// Compiled detectors, shared by the versions that have them.
#[derive(Debug, Clone, Default)]
pub(super) struct Compiled {
    sets: BTreeMap<SetKey, Arc<DetectorSet>>,
    custom: Arc<Custom>,
}

/// The policy's own detectors, with their part of a [`SetKey`].
#[derive(Debug, Default)]
struct Custom {
    identities: Vec<Identity>,
    detectors: Vec<Detector>,
}

impl Custom {
    fn detector(&self, identity: &Identity) -> Option<&Detector> {
        let at = self.identities.iter().position(|known| known == identity)?;
        self.detectors.get(at)
    }
}

/// What tells a detector of the policy's own from others: two versions may use one name for two
/// detectors. SHA-256 of all that is said of it.
type Identity = [u8; 32];

/// The plan for requests, then for responses; nothing where there is nothing to do.
type ByDirection = [Option<Arc<Plan>>; 2];

const DIRECTIONS: [Direction; 2] = [Direction::Request, Direction::Response];

/// Two sets of detectors with equal keys are the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct SetKey {
    /// Full names, in the order of precedence.
    names: Vec<String>,
    /// Of the policy's own detectors among them.
    custom: Vec<Identity>,
}

/// The treatment of the secrets of one detector, or of the values of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    action: Action,
    /// Of the rules that mask.
    keep: Option<u8>,
    /// Of the rules that mask.
    restore: bool,
}

impl MaskingPlans {
    /// Makes the plans of a valid policy, taking over the detectors that `before` compiled.
    ///
    /// # Errors
    /// [`PlanError`]: a detector cannot be compiled, or the detectors take too much memory.
    pub fn compile(policy: &Policy, before: Option<&Self>) -> Result<Self, PlanError> {
        Self::within(MAX_COMPILED_BYTES, policy, before)
    }

    /// The same, a piece at a time.
    pub(super) fn making(before: Option<&Self>) -> PlansMaking {
        PlansMaking::within(MAX_COMPILED_BYTES, before)
    }

    fn within(limit: usize, policy: &Policy, before: Option<&Self>) -> Result<Self, PlanError> {
        let mut making = PlansMaking::within(limit, before);
        loop {
            if let Some(plans) = making.step(policy)? {
                return Ok(plans);
            }
        }
    }

    /// The plan of one rule that stands in no policy, whatever connection and direction the rule
    /// names. `detectors` stand beside the built-in ones.
    ///
    /// # Errors
    /// As [`compile`](Self::compile); whether the rule is good is not asked here.
    pub fn of_rule(
        rule: &MaskingRule,
        detectors: &[CustomDetector],
        allow: &[Allow],
    ) -> Result<Arc<Plan>, PlanError> {
        let rules = std::slice::from_ref(rule);
        let compiled = Compiled {
            sets: BTreeMap::new(),
            custom: Arc::new(Custom {
                identities: vec![Identity::default(); detectors.len()],
                detectors: compile_custom(detectors, allow).map_err(PlanError::Detector)?,
            }),
        };
        let mut maker = Maker::new(rules, &compiled);
        Ok(Arc::new(maker.make(&[0])?.plan))
    }

    /// The plan for the bodies of one direction of a connection; `None` where there is nothing to
    /// do.
    pub fn plan(&self, connection: &str, direction: Direction) -> Option<Arc<Plan>> {
        let [request, response] = self.connections.get(connection)?;
        match direction {
            Direction::Request => request.clone(),
            Direction::Response => response.clone(),
        }
    }

    /// The plan for everything that is recorded of a request or shown to people, whatever the
    /// connection. It masks every secret, all findings of the policy's own detectors, and all that
    /// any rule hides. `None` for no policy.
    pub fn shown(&self) -> Option<Arc<Plan>> {
        self.shown.clone()
    }

    /// Bytes that the compiled detectors take.
    pub fn memory(&self) -> usize {
        let sizes = self.compiled.sets.values().map(|set| set.memory());
        sizes.fold(0, usize::saturating_add)
    }
}

/// The parts that plans are made from, and the plans made so far.
struct Maker<'a> {
    rules: &'a [MaskingRule],
    /// Sets that are there already; others are compiled when they are asked for.
    compiled: &'a Compiled,
    /// Names of all detectors, in the order of precedence, each with its part of a [`SetKey`].
    known: Vec<(&'a str, Option<Identity>)>,
    sets: BTreeMap<SetKey, Arc<DetectorSet>>,
    /// Sets that are not there, in the order in which they were asked for, if they are only listed
    /// and not compiled: plans have an empty set in the place of each.
    missing: Option<Missing>,
}

/// The plan of some rules.
struct Made {
    plan: Plan,
    /// What is done with what each detector finds, and with the values of each key.
    actions: BTreeMap<String, Action>,
}

impl Made {
    fn acts(&self, name: &str) -> bool {
        self.actions
            .get(name)
            .is_some_and(|action| *action > Action::Report)
    }

    fn reports(&self, name: &str) -> bool {
        self.actions.get(name) == Some(&Action::Report)
    }
}

struct Missing {
    keys: Vec<SetKey>,
    stand_in: Arc<DetectorSet>,
}

impl<'a> Maker<'a> {
    fn new(rules: &'a [MaskingRule], compiled: &'a Compiled) -> Self {
        let built_in = catalogue().iter().map(|detector| (detector.name(), None));
        let custom = &compiled.custom;
        let own = custom.detectors.iter().map(Detector::name);
        let own = own.zip(custom.identities.iter().copied().map(Some));
        Self {
            rules,
            compiled,
            known: built_in.chain(own).collect(),
            sets: BTreeMap::new(),
            missing: None,
        }
    }

    /// One that compiles nothing.
    fn listing(rules: &'a [MaskingRule], compiled: &'a Compiled) -> Result<Self, PlanError> {
        let stand_in = DetectorSet::compile(&[] as &[&str]).map_err(PlanError::Detector)?;
        Ok(Self {
            missing: Some(Missing {
                keys: Vec::new(),
                stand_in: Arc::new(stand_in),
            }),
            ..Self::new(rules, compiled)
        })
    }

    /// The plans for all bodies, and how many of the sets in [`Self::sets`] they have asked for:
    /// the one for all that is shown, which comes last, is not the author's choice.
    fn all(&mut self, policy: &Policy) -> Result<Bodies, PlanError> {
        let hides = |rule: &&MaskingRule| rule.action != MaskingAction::Report;
        let hidden = |name: &str| {
            let rules = policy.masking.iter().filter(hides);
            let mut selectors = rules.flat_map(|rule| &rule.detectors);
            selectors.any(|selector| chooses(selector, name))
        };
        let own = |name: &str| policy.detectors.iter().any(|own| own.name == name);
        let is_shown = |name: &str| name.starts_with("secrets/") || own(name) || hidden(name);
        // By the rules that apply: most connections have the same.
        let mut plans: BTreeMap<Vec<usize>, Made> = BTreeMap::new();
        for Connection { name, .. } in &policy.connections {
            for direction in DIRECTIONS {
                let rules = rules_for(self.rules, name, direction);
                if !rules.is_empty() && !plans.contains_key(&rules) {
                    let made = self.make(&rules)?;
                    plans.insert(rules, made);
                }
            }
        }
        // What is only reported is an author's choice, also where records have to hide it.
        for made in plans.values() {
            let beside = |name: &str| made.reports(name) && !is_shown(name);
            if self.known.iter().any(|(name, _)| beside(name)) {
                self.set(|name| is_shown(name) || made.reports(name))?;
            }
        }
        let chosen: BTreeSet<SetKey> = self.sets.keys().cloned().collect();
        let shown = self.set(is_shown)?;
        let mut shared: BTreeMap<Vec<usize>, Arc<Plan>> = BTreeMap::new();
        for (rules, made) in plans {
            let plan = match self.recording(&made, is_shown)? {
                Some(recording) => made.plan.recording(Arc::new(recording)),
                None => made.plan,
            };
            shared.insert(rules, Arc::new(plan));
        }
        let plan = |name: &str, on| shared.get(&rules_for(self.rules, name, on)).cloned();
        let names = policy.connections.iter().map(|connection| &connection.name);
        let connections = names.map(|name| (name.clone(), DIRECTIONS.map(|on| plan(name, on))));
        Ok(Bodies {
            connections: connections.collect(),
            chosen,
            shown: Arc::new(Plan::masking(shown)),
        })
    }

    /// What is masked in the copy that is recorded of a body, beside what the plan masks: all that
    /// is hidden wherever something is shown, and what the plan only reports. `None` if that is
    /// nothing.
    fn recording(
        &mut self,
        made: &Made,
        is_shown: impl Fn(&str) -> bool,
    ) -> Result<Option<Plan>, PlanError> {
        let hides = |name: &str| is_shown(name) || made.reports(name);
        let reported = made.actions.keys().filter(|name| made.reports(name));
        let keys = reported.filter_map(|name| name.strip_prefix(KEYS));
        let keys = KeyNames::of(keys);
        let mut names = self.known.iter().map(|(name, _)| *name);
        if keys.is_empty() && !names.any(|name| hides(name) && !made.acts(name)) {
            return Ok(None);
        }
        let acting = made.actions.keys().filter(|name| made.acts(name));
        let mut plan = Plan::masking(self.set(hides)?).with_keys(keys);
        for name in acting.clone() {
            // Replacements are recognised by how much they show.
            let keep = made.plan.treatment(name).keep;
            if keep > 0 {
                let action = Action::Mask;
                plan = plan.treating(name, Treatment { action, keep });
            }
        }
        Ok(Some(plan.after(acting.cloned())))
    }

    fn make(&mut self, rules: &[usize]) -> Result<Made, PlanError> {
        let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
        let mut keys = KeyNames::default();
        for rule in rules.iter().filter_map(|at| self.rules.get(*at)) {
            let chosen = self.known.iter().map(|(name, _)| *name);
            let chosen = chosen.filter(|name| rule.detectors.iter().any(|s| chooses(s, name)));
            for name in chosen {
                Wanted::add(&mut wanted, name.to_owned(), rule);
            }
            if let Some(list) = &rule.keys {
                let names = list.names();
                for name in names.iter() {
                    Wanted::add(&mut wanted, key_detector(name), rule);
                }
                keys = keys.and(names);
            }
        }
        let acting =
            self.set(|name| wanted.get(name).is_some_and(|w| w.action > Action::Report))?;
        let mut plan = Plan::masking(acting).with_keys(keys);
        let reports = |name: &str| wanted.get(name).is_some_and(|w| w.action == Action::Report);
        if self.known.iter().any(|(name, _)| reports(name)) {
            plan = plan.reporting(self.set(reports)?);
        }
        let mut restored = BTreeSet::new();
        let actions = wanted
            .iter()
            .map(|(name, wanted)| (name.clone(), wanted.action));
        let actions = actions.collect();
        for (name, wanted) in wanted {
            // A detector that only reports is in no need of a treatment; a key has no other place
            // to say it.
            if wanted.action == Action::Report && !name.starts_with(KEYS) {
                continue;
            }
            let treatment = Treatment {
                action: wanted.action,
                keep: wanted.keep.unwrap_or_default(),
            };
            plan = plan.treating(&name, treatment);
            if wanted.action == Action::Mask && wanted.restore {
                restored.insert(name);
            }
        }
        Ok(Made {
            plan: plan.remembering_only(restored),
            actions,
        })
    }

    /// The compiled set of the detectors that `chosen` chooses.
    fn set(&mut self, chosen: impl Fn(&str) -> bool) -> Result<Arc<DetectorSet>, PlanError> {
        let known = self.known.iter().filter(|(name, _)| chosen(name));
        let (names, custom): (Vec<String>, Vec<Option<Identity>>) = known
            .map(|&(name, identity)| (name.to_owned(), identity))
            .unzip();
        let key = SetKey {
            custom: custom.into_iter().flatten().collect(),
            names,
        };
        let made = self.sets.get(&key).or_else(|| self.compiled.sets.get(&key));
        let set = match (made, &mut self.missing) {
            (Some(set), _) => Arc::clone(set),
            (None, Some(missing)) => {
                missing.keys.push(key.clone());
                Arc::clone(&missing.stand_in)
            }
            (None, None) => {
                let mut compiling = Compiling::named(&key.names, &self.compiled.custom.detectors);
                loop {
                    if let Some(set) = compiling.step().map_err(PlanError::Detector)? {
                        break Arc::new(set);
                    }
                }
            }
        };
        self.sets.insert(key, Arc::clone(&set));
        Ok(set)
    }
}

/// The plans for bodies.
struct Bodies {
    connections: BTreeMap<String, ByDirection>,
    /// The sets in them.
    chosen: BTreeSet<SetKey>,
    shown: Arc<Plan>,
}

impl Wanted {
    fn add(all: &mut BTreeMap<String, Self>, name: String, rule: &MaskingRule) {
        let masks = rule.action == MaskingAction::Mask;
        let new = Self {
            action: match rule.action {
                MaskingAction::Report => Action::Report,
                MaskingAction::Mask => Action::Mask,
                MaskingAction::Block => Action::Block,
            },
            keep: masks.then(|| rule.keep.unwrap_or_default()),
            // Only rules that mask have a say in it.
            restore: rule.restore || !masks,
        };
        all.entry(name)
            .and_modify(|wanted| *wanted = wanted.and(new))
            .or_insert(new);
    }

    fn and(self, other: Self) -> Self {
        Self {
            action: self.action.max(other.action),
            keep: match (self.keep, other.keep) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            restore: self.restore && other.restore,
        }
    }
}

/// The beginning of a key's name where the key stands for a detector.
const KEYS: &str = "keys/";

/// The name that values of a key are treated and counted under.
fn key_detector(key: &str) -> String {
    format!("{KEYS}{key}")
}
