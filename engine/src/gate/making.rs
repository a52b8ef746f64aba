//! A gate while it is made of a bundle, a piece at a time.
//!
//! Whoever has time makes it at once ([`Gate::from_bundle`]); a worker of Envoy, whose streams
//! wait meanwhile, does some pieces at each tick. Both take the same way, so both get the same gate
//! or the same error.

use super::plans::{MaskingPlans, PlansMaking};
use super::{Gate, GateError};
use crate::bundle::{Bundle, Serial};
use crate::identity::{KeySet, Verifier};
use crate::policy::CompiledPolicy;

/// Makes a [`Gate`]. Compiled detectors of the gate before are taken over where they are the same.
#[derive(Debug)]
pub struct GateMaking {
    serial: Serial,
    stage: Stage,
    plans: PlansMaking,
}

#[derive(Debug)]
enum Stage {
    /// Key sets are read.
    Keys(Box<Bundle>),
    /// Rules are indexed.
    Policy(Box<Bundle>, Box<Verifier>),
    /// Detectors are compiled.
    Masking(Box<Verifier>, Box<CompiledPolicy>),
    /// All is done, or it failed.
    Over,
}

impl GateMaking {
    /// Begins with a bundle; `before` is the gate whose place it takes.
    pub fn new(bundle: Bundle, before: Option<&Gate>) -> Self {
        Self {
            serial: bundle.serial,
            stage: Stage::Keys(Box::new(bundle)),
            plans: MaskingPlans::making(before.map(|before| &before.masking)),
        }
    }

    /// Does one piece; gives the gate once all is done, and `None` before and after that.
    ///
    /// # Errors
    /// As [`Gate::from_bundle`]. It is over then.
    pub fn step(&mut self) -> Result<Option<Gate>, GateError> {
        let stage = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Keys(bundle) => {
                let verifier = verifier(&bundle)?;
                Stage::Policy(bundle, Box::new(verifier))
            }
            Stage::Policy(bundle, verifier) => {
                let policy = CompiledPolicy::compile(bundle.policy).map_err(GateError::Policy)?;
                Stage::Masking(verifier, Box::new(policy))
            }
            Stage::Masking(verifier, policy) => {
                let made = self.plans.step(policy.policy());
                match made.map_err(GateError::Masking)? {
                    Some(masking) => {
                        return Ok(Some(Gate {
                            serial: self.serial,
                            verifier: *verifier,
                            policy: *policy,
                            masking,
                        }));
                    }
                    None => Stage::Masking(verifier, policy),
                }
            }
            Stage::Over => Stage::Over,
        };
        self.stage = stage;
        Ok(None)
    }

    /// Does all that is left.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub(super) fn finish(mut self) -> Result<Gate, GateError> {
        loop {
            if let Some(gate) = self.step()? {
                return Ok(gate);
            }
        }
    }
}

fn verifier(bundle: &Bundle) -> Result<Verifier, GateError> {
    let issuers = bundle.policy.issuers.iter().map(|issuer| {
        let keys = match bundle.keys.get(&issuer.issuer) {
            Some(jwks) => {
                let read = KeySet::from_value(jwks).map_err(|why| GateError::KeySet {
                    issuer: issuer.issuer.clone(),
                    why,
                });
                let (keys, _problems) = read?;
                keys
            }
            None => KeySet::default(),
        };
        Ok((issuer.clone(), keys))
    });
    let issuers = issuers.collect::<Result<Vec<_>, GateError>>()?;
    Verifier::new(issuers).map_err(GateError::Issuer)
}
