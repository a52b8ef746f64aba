//! From masking rules to plans. A plan is the work of the masker in one direction of a connection.
//!
//! Rules add up. Where several rules for one body name one detector (or key), the strictest counts:
//! the action in the order block, mask, report; the smallest `keep`; and a secret is restored only
//! if every rule that masks it says so. So adding a rule never loosens masking.

mod target;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use self::target::{InTarget, look_in_target};
use super::error::{Oversize, PlanError};
use crate::masking::{
    Action, Allow, CustomDetector, Detector, DetectorSet, KeyNames, Plan, Treatment, catalogue,
    chooses, compile_custom,
};
use crate::policy::{Connection, Direction, MaskingAction, MaskingRule, Policy, rules_for};

/// Most memory that the compiled detectors of one policy may take, in bytes: every Envoy worker
/// holds them, twice while one version follows another.
pub const MAX_COMPILED_BYTES: usize = 8 * 1024 * 1024;

/// The plans of one policy, with the detectors that they share, compiled.
#[derive(Debug, Default)]
pub struct MaskingPlans {
    /// Sets that the next version can take over: compiling takes longest by far, and detectors
    /// rarely change.
    sets: BTreeMap<SetKey, Arc<DetectorSet>>,
    /// The policy's own detectors, with their part of a [`SetKey`].
    custom: Arc<Custom>,
    connections: BTreeMap<String, ByDirection>,
    shown: Option<Arc<Plan>>,
}

#[derive(Debug, Default)]
struct Custom {
    texts: Vec<String>,
    detectors: Vec<Detector>,
}

/// The plan for requests, then for responses; nothing where there is nothing to do.
type ByDirection = [Option<Arc<Plan>>; 2];

/// Two sets of detectors with equal keys are the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct SetKey {
    /// Full names, in the order of precedence.
    names: Vec<String>,
    /// The policy's own detectors among them, as JSON: two versions may use one name for two
    /// detectors.
    custom: String,
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

    fn within(limit: usize, policy: &Policy, before: Option<&Self>) -> Result<Self, PlanError> {
        let mut maker = Maker::new(
            limit,
            &policy.masking,
            &policy.detectors,
            &policy.detectors_allow,
            before,
        )?;
        let mut connections = BTreeMap::new();
        for Connection { name, .. } in &policy.connections {
            let by_direction = [
                maker.plan(name, Direction::Request)?,
                maker.plan(name, Direction::Response)?,
            ];
            connections.insert(name.clone(), by_direction);
        }
        // Not the author's choice, so not held against their limit; most policies mask with the
        // same set.
        maker.limit = usize::MAX;
        let hides = |rule: &&MaskingRule| rule.action != MaskingAction::Report;
        let hidden = |name: &str| {
            let rules = policy.masking.iter().filter(hides);
            let mut selectors = rules.flat_map(|rule| &rule.detectors);
            selectors.any(|selector| chooses(selector, name))
        };
        let own = |name: &str| policy.detectors.iter().any(|own| own.name == name);
        let shown = maker.set(|name| name.starts_with("secrets/") || own(name) || hidden(name))?;
        Ok(Self {
            sets: maker.sets,
            custom: maker.custom,
            connections,
            shown: Some(Arc::new(Plan::masking(shown))),
        })
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
        let mut maker = Maker::new(usize::MAX, rules, detectors, allow, None)?;
        Ok(Arc::new(maker.make(&[0])?))
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
        let sizes = self.sets.values().map(|set| set.memory());
        sizes.fold(0, usize::saturating_add)
    }
}

/// The parts that plans are made from, and the plans made so far.
struct Maker<'a> {
    /// Bytes of compiled detectors.
    limit: usize,
    rules: &'a [MaskingRule],
    before: Option<&'a MaskingPlans>,
    custom: Arc<Custom>,
    /// Names of all detectors, in the order of precedence, each with its part of a [`SetKey`].
    known: Vec<(String, String)>,
    sets: BTreeMap<SetKey, Arc<DetectorSet>>,
    /// By the rules that apply: most connections have the same.
    plans: BTreeMap<Vec<usize>, Arc<Plan>>,
}

impl<'a> Maker<'a> {
    fn new(
        limit: usize,
        rules: &'a [MaskingRule],
        detectors: &[CustomDetector],
        allow: &[Allow],
        before: Option<&'a MaskingPlans>,
    ) -> Result<Self, PlanError> {
        let texts = detectors.iter().map(|detector| {
            serde_json::to_string(&(detector, allow)).map_err(PlanError::Unwritable)
        });
        let texts: Vec<String> = texts.collect::<Result<_, _>>()?;
        let custom = match before.filter(|before| before.custom.texts == texts) {
            Some(before) => Arc::clone(&before.custom),
            None => Arc::new(Custom {
                detectors: compile_custom(detectors, allow).map_err(PlanError::Detector)?,
                texts,
            }),
        };
        let built_in = catalogue().iter();
        let mut known: Vec<(String, String)> = built_in
            .map(|detector| (detector.name().to_owned(), String::new()))
            .collect();
        let names = detectors.iter().map(|detector| detector.name.clone());
        known.extend(names.zip(custom.texts.iter().cloned()));
        Ok(Self {
            limit,
            rules,
            before,
            custom,
            known,
            sets: BTreeMap::new(),
            plans: BTreeMap::new(),
        })
    }

    fn plan(
        &mut self,
        connection: &str,
        direction: Direction,
    ) -> Result<Option<Arc<Plan>>, PlanError> {
        let rules = rules_for(self.rules, connection, direction);
        if rules.is_empty() {
            return Ok(None);
        }
        if let Some(plan) = self.plans.get(&rules) {
            return Ok(Some(Arc::clone(plan)));
        }
        let plan = Arc::new(self.make(&rules)?);
        self.plans.insert(rules, Arc::clone(&plan));
        Ok(Some(plan))
    }

    fn make(&mut self, rules: &[usize]) -> Result<Plan, PlanError> {
        let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
        let mut keys = KeyNames::default();
        for rule in rules.iter().filter_map(|at| self.rules.get(*at)) {
            let chosen = self.known.iter().map(|(name, _)| name);
            let chosen = chosen.filter(|name| rule.detectors.iter().any(|s| chooses(s, name)));
            for name in chosen {
                Wanted::add(&mut wanted, name.clone(), rule);
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
        Ok(plan.remembering_only(restored))
    }

    /// The compiled set of the detectors that `chosen` chooses.
    fn set(&mut self, chosen: impl Fn(&str) -> bool) -> Result<Arc<DetectorSet>, PlanError> {
        let known = self.known.iter().filter(|(name, _)| chosen(name));
        let (names, custom): (Vec<String>, Vec<&str>) = known
            .map(|(name, custom)| (name.clone(), custom.as_str()))
            .unzip();
        let key = SetKey {
            custom: custom.concat(),
            names,
        };
        let made = self.sets.get(&key);
        if let Some(set) = made.or_else(|| self.before.and_then(|before| before.sets.get(&key))) {
            let set = Arc::clone(set);
            self.sets.insert(key, Arc::clone(&set));
            return self.bounded(set);
        }
        let set = DetectorSet::compile_with(&key.names, &self.custom.detectors)
            .map_err(PlanError::Detector)?;
        let set = Arc::new(set);
        self.sets.insert(key, Arc::clone(&set));
        self.bounded(set)
    }

    /// Asked after every set, so that a policy with too many of them is refused before they are all
    /// compiled.
    fn bounded(&self, set: Arc<DetectorSet>) -> Result<Arc<DetectorSet>, PlanError> {
        let sizes = self.sets.values().map(|set| set.memory());
        let all = sizes.fold(0, usize::saturating_add);
        if all <= self.limit {
            return Ok(set);
        }
        let largest = self.sets.iter().max_by_key(|(_, set)| set.memory());
        let (detectors, memory) = largest.map_or((Vec::new(), 0), |(key, set)| {
            (key.names.clone(), set.memory())
        });
        Err(PlanError::TooLarge(Oversize {
            all,
            limit: self.limit,
            sets: self.sets.len(),
            largest: memory,
            detectors,
        }))
    }
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
