//! Plans of a policy while they are made, a piece at a time.
//!
//! A worker of Envoy makes them between the callbacks of its streams, so no piece may be much work.
//! Most of the work is building automata; one of them is the longest piece, for it cannot be
//! divided.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::{Bodies, Compiled, Custom, Identity, Maker, MaskingPlans, SetKey};
use crate::gate::error::{Oversize, PlanError};
use crate::masking::{Compiling, DetectorSet, Planning};
use crate::policy::Policy;

/// Makes [`MaskingPlans`]. Detectors that the version before has are taken over.
pub(in crate::gate) struct PlansMaking {
    /// Most bytes of compiled detectors.
    limit: usize,
    before: Compiled,
    stage: Stage,
}

enum Stage {
    /// Each detector of the policy's own is told from those before.
    Telling(Box<Telling>),
    /// Rules are made of them.
    Planning(Vec<Identity>, Box<Planning>),
    /// Sets are compiled.
    Sets(Box<Sets>),
}

struct Telling {
    /// Digest of the allow lists for all detectors.
    shared: Option<Sha256>,
    identities: Vec<Identity>,
}

struct Sets {
    /// What is there already.
    compiled: Compiled,
    /// What is missing, the next one last.
    missing: Vec<SetKey>,
    /// The sets that are held against the limit.
    chosen: Vec<SetKey>,
    compiling: Option<(SetKey, Compiling)>,
}

impl PlansMaking {
    pub(super) fn within(limit: usize, before: Option<&MaskingPlans>) -> Self {
        Self {
            limit,
            before: before.map_or_else(Compiled::default, |before| before.compiled.clone()),
            stage: Stage::Telling(Box::new(Telling {
                shared: None,
                identities: Vec::new(),
            })),
        }
    }

    /// Does one piece; gives the plans once all is done. Always called with the same policy, and
    /// not again after that or after an error.
    ///
    /// # Errors
    /// As [`MaskingPlans::compile`].
    pub(in crate::gate) fn step(
        &mut self,
        policy: &Policy,
    ) -> Result<Option<MaskingPlans>, PlanError> {
        match &mut self.stage {
            Stage::Telling(telling) => {
                if telling.step(policy)? {
                    let identities = std::mem::take(&mut telling.identities);
                    self.stage = match identities == self.before.custom.identities {
                        true => {
                            let custom = Arc::clone(&self.before.custom);
                            self.sets(policy, custom)?
                        }
                        false => Stage::Planning(identities, Box::default()),
                    };
                }
            }
            Stage::Planning(identities, planning) => {
                let next = identities.get(planning.done());
                let known = next.and_then(|next| self.before.custom.detector(next));
                if let Some(known) = known
                    && planning.take_over(known)
                {
                    return Ok(None);
                }
                let planned = planning.step(&policy.detectors, &policy.detectors_allow);
                if planned.map_err(PlanError::Detector)? {
                    let custom = Arc::new(Custom {
                        identities: std::mem::take(identities),
                        detectors: std::mem::take(planning).into_detectors(),
                    });
                    self.stage = self.sets(policy, custom)?;
                }
            }
            Stage::Sets(sets) => {
                if sets.step(self.limit)? {
                    return sets.finish(policy).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn sets(&self, policy: &Policy, custom: Arc<Custom>) -> Result<Stage, PlanError> {
        let compiled = Compiled {
            sets: self.before.sets.clone(),
            custom,
        };
        let mut maker = Maker::listing(&policy.masking, &compiled)?;
        let Bodies { chosen, .. } = maker.all(policy)?;
        let missing = maker.missing.map(|missing| missing.keys);
        let sets = Sets {
            missing: missing.into_iter().flatten().rev().collect(),
            chosen: chosen.into_iter().collect(),
            compiling: None,
            compiled,
        };
        Ok(Stage::Sets(Box::new(sets)))
    }
}

impl Telling {
    fn step(&mut self, policy: &Policy) -> Result<bool, PlanError> {
        let unwritable = PlanError::Unwritable;
        let Some(shared) = &self.shared else {
            let shared = serde_json::to_vec(&policy.detectors_allow).map_err(unwritable)?;
            self.shared = Some(Sha256::new_with_prefix(shared));
            return Ok(false);
        };
        if let Some(detector) = policy.detectors.get(self.identities.len()) {
            // What came before is whole JSON, so nothing of it can pass for a part of this.
            let own = serde_json::to_vec(detector).map_err(unwritable)?;
            let identity = shared.clone().chain_update(own).finalize();
            self.identities.push(identity.into());
        }
        Ok(self.identities.len() >= policy.detectors.len())
    }
}

impl Sets {
    /// Compiles on; `true` once nothing is missing.
    fn step(&mut self, limit: usize) -> Result<bool, PlanError> {
        let Some((_, compiling)) = &mut self.compiling else {
            let Some(next) = self.missing.pop() else {
                // Also asked where all was taken over.
                self.within(limit)?;
                return Ok(true);
            };
            let compiling = Compiling::named(&next.names, &self.compiled.custom.detectors);
            self.compiling = Some((next, compiling));
            return Ok(false);
        };
        if let Some(set) = compiling.step().map_err(PlanError::Detector)?
            && let Some((key, _)) = self.compiling.take()
        {
            self.compiled.sets.insert(key, Arc::new(set));
            // After every set, so that a policy with too many of them is refused before they are
            // all compiled.
            self.within(limit)?;
        }
        Ok(false)
    }

    fn within(&self, limit: usize) -> Result<(), PlanError> {
        let sets = &self.compiled.sets;
        let made = self
            .chosen
            .iter()
            .filter_map(|key| Some((key, sets.get(key)?)));
        let made: Vec<(&SetKey, &Arc<DetectorSet>)> = made.collect();
        let sizes = made.iter().map(|(_, set)| set.memory());
        let all = sizes.fold(0, usize::saturating_add);
        if all <= limit {
            return Ok(());
        }
        let largest = made.iter().max_by_key(|(_, set)| set.memory());
        let (detectors, memory) = largest.map_or((Vec::new(), 0), |(key, set)| {
            (key.names.clone(), set.memory())
        });
        Err(PlanError::TooLarge(Oversize {
            all,
            limit,
            sets: made.len(),
            largest: memory,
            detectors,
        }))
    }

    /// The plans, of sets that are all there.
    fn finish(&mut self, policy: &Policy) -> Result<MaskingPlans, PlanError> {
        let mut maker = Maker::new(&policy.masking, &self.compiled);
        let Bodies {
            connections, shown, ..
        } = maker.all(policy)?;
        let sets = std::mem::take(&mut maker.sets);
        Ok(MaskingPlans {
            compiled: Compiled {
                sets,
                custom: Arc::clone(&self.compiled.custom),
            },
            connections,
            shown: Some(shown),
        })
    }
}

impl std::fmt::Debug for PlansMaking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.stage {
            Stage::Telling(_) => "PlansMaking(telling)",
            Stage::Planning(..) => "PlansMaking(planning)",
            Stage::Sets(_) => "PlansMaking(sets)",
        })
    }
}
