//! What is to be done in one direction of one connection: which detectors look, and what happens to what they
//! find.

use super::{keys::KeyNames, restore::Secrets, set::DetectorSet};
use std::{collections::BTreeMap, sync::Arc};

/// What happens to a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// It passes and is counted.
    Report,
    /// It is replaced.
    Mask,
    /// The body ends before it.
    Block,
}

/// What happens to what one detector finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Treatment {
    /// The action; never [`Action::Report`] for a detector that acts.
    pub action: Action,
    /// How many of the secret's last characters its replacement shows; 0: none.
    pub keep: u8,
}

impl Default for Treatment {
    fn default() -> Self {
        Self {
            action: Action::Mask,
            keep: 0,
        }
    }
}

/// What is to be done with one direction's bodies. Immutable, shared by all streams behind an `Arc`.
#[derive(Debug)]
pub struct Plan {
    pub(super) acting: Arc<DetectorSet>,
    /// Looks on its own, so that what is only reported never hides a secret from the acting detectors.
    pub(super) reporting: Option<Arc<DetectorSet>>,
    /// By full detector name; [`Treatment::default`] for those that are not here.
    pub(super) treatments: BTreeMap<String, Treatment>,
    pub(super) keys: KeyNames,
    pub(super) remembers: bool,
    pub(super) restores: Option<Arc<Secrets>>,
}

impl Plan {
    /// Masks all that `acting` finds.
    pub fn masking(acting: Arc<DetectorSet>) -> Self {
        Self {
            acting,
            reporting: None,
            treatments: BTreeMap::new(),
            keys: KeyNames::default(),
            remembers: false,
            restores: None,
        }
    }

    /// Also counts what `set` finds, and lets it pass.
    #[must_use]
    pub fn reporting(mut self, set: Arc<DetectorSet>) -> Self {
        self.reporting = Some(set);
        self
    }

    /// Treats what this detector (full name) finds in this way.
    #[must_use]
    pub fn treating(mut self, detector: &str, treatment: Treatment) -> Self {
        self.treatments.insert(detector.to_owned(), treatment);
        self
    }

    /// Masks the string values of these keys whole, where a format has keys.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyNames) -> Self {
        self.keys = keys;
        self
    }

    /// Remembers what is masked, so that it can be [restored](Plan::restoring) in the answer.
    #[must_use]
    pub fn remembering(mut self) -> Self {
        self.remembers = true;
        self
    }

    /// Puts secrets back where their placeholders stand, and does nothing else. The result holds secrets: it
    /// goes to whoever they came from and is never recorded.
    ///
    /// # Errors
    /// None in practice: the detector of placeholders is fixed.
    pub fn restoring(secrets: Arc<Secrets>) -> Result<Self, super::DetectorError> {
        let mut plan = Self::masking(super::restore::placeholders()?);
        plan.restores = Some(secrets);
        Ok(plan)
    }

    /// Whether what is masked is remembered, to be restored.
    pub fn remembers(&self) -> bool {
        self.remembers
    }

    /// Whether a body can end because of what is found in it.
    pub fn blocks(&self) -> bool {
        let mut treatments = self.treatments.values();
        treatments.any(|treatment| treatment.action == Action::Block)
    }

    pub(super) fn treatment(&self, detector: &str) -> Treatment {
        self.treatments.get(detector).copied().unwrap_or_default()
    }
}
