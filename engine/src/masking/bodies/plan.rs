//! What is to be done in one direction of one connection: which detectors look, and what happens to
//! what they find.

use super::{endings::Endings, keys::KeyNames, placeholder::Placeholder, restore::Secrets};
use crate::{
    masking::{detectors::catalogue::catalogue, search::set::DetectorSet},
    upstreams::{LOG_PROBABILITIES, kubernetes},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

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

/// The detector that has no pattern: where a value stands makes it a secret. Chosen like any other.
pub(in crate::masking) const KUBERNETES: &str = "secrets/kubernetes-secret-data";

/// What is to be done with one direction's bodies. Immutable, shared by all streams behind an
/// `Arc`.
#[derive(Debug)]
pub struct Plan {
    pub(in crate::masking) acting: Arc<DetectorSet>,
    /// Looks on its own, so that what is only reported never hides a secret from the acting
    /// detectors.
    pub(in crate::masking) reporting: Option<Arc<DetectorSet>>,
    /// By full detector name; [`Treatment::default`] for those that are not here.
    pub(in crate::masking) treatments: BTreeMap<String, Treatment>,
    /// One of them is to block.
    blocks: bool,
    pub(in crate::masking) keys: KeyNames,
    /// Of all names of keys whose value, or what stands in it, may be read in a way of its own.
    pub(in crate::masking) endings: Endings,
    /// The values of Kubernetes Secrets are masked whole.
    pub(in crate::masking) kubernetes: bool,
    remembers: Remembers,
    pub(in crate::masking) restores: Option<Arc<Secrets>>,
    /// What is masked as well in the copy that is recorded.
    pub(in crate::masking) recording: Option<Arc<Plan>>,
    /// These detectors (full names) find nothing: all that they would find was masked before.
    pub(in crate::masking) done: BTreeSet<String>,
}

/// What is remembered of what is masked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Remembers {
    Nothing,
    All,
    /// What these detectors find, by full name.
    Of(BTreeSet<String>),
}

impl Plan {
    /// Masks all that `acting` finds.
    pub fn masking(acting: Arc<DetectorSet>) -> Self {
        let kubernetes = acting
            .detectors()
            .any(|detector| detector.name() == KUBERNETES);
        Self {
            acting,
            reporting: None,
            treatments: BTreeMap::new(),
            blocks: false,
            endings: endings(&KeyNames::default()),
            keys: KeyNames::default(),
            kubernetes,
            remembers: Remembers::Nothing,
            restores: None,
            recording: None,
            done: BTreeSet::new(),
        }
    }

    /// Masks what `plan` finds as well in the copy of a body that is
    /// [recorded](crate::masking::Masker::recorded).
    #[must_use]
    pub fn recording(mut self, plan: Arc<Self>) -> Self {
        self.recording = Some(plan);
        self
    }

    /// Reads texts in which all that these detectors (full names) find was masked: what they still
    /// find are the replacements.
    #[must_use]
    pub fn after(mut self, detectors: impl IntoIterator<Item = String>) -> Self {
        self.done.extend(detectors);
        self.kubernetes &= !self.done.contains(KUBERNETES);
        self
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
        let mut treatments = self.treatments.values();
        self.blocks = treatments.any(|treatment| treatment.action == Action::Block);
        self
    }

    /// Masks the string values of these keys whole, where a format has keys.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyNames) -> Self {
        self.endings = endings(&keys);
        self.keys = keys;
        self
    }

    /// Remembers what is masked, so that it can be [restored](Plan::restoring) in the answer.
    #[must_use]
    pub fn remembering(mut self) -> Self {
        self.remembers = Remembers::All;
        self
    }

    /// Remembers what these detectors (full names) find and is masked, and nothing else: what one
    /// rule masks for good is not given back because another rule gives back what it masks.
    #[must_use]
    pub fn remembering_only(mut self, detectors: impl IntoIterator<Item = String>) -> Self {
        let detectors: BTreeSet<String> = detectors.into_iter().collect();
        self.remembers = if detectors.is_empty() {
            Remembers::Nothing
        } else {
            Remembers::Of(detectors)
        };
        self
    }

    /// Whether anything is remembered, so that an answer may have to be
    /// [restored](Plan::restoring).
    pub fn remembers(&self) -> bool {
        self.remembers != Remembers::Nothing
    }

    /// Puts secrets back where their placeholders stand, and does nothing else. The result holds
    /// secrets: it goes to whoever they came from and is never recorded.
    ///
    /// # Errors
    /// None in practice: the detector of placeholders is fixed.
    pub fn restoring(secrets: Arc<Secrets>) -> Result<Self, crate::masking::DetectorError> {
        let mut plan = Self::masking(super::restore::placeholders()?);
        plan.restores = Some(secrets);
        Ok(plan)
    }

    /// Whether a body can end because of what is found in it.
    pub fn blocks(&self) -> bool {
        self.blocks
    }

    /// Whether a key can make its value a secret.
    pub(in crate::masking) fn has_keys(&self) -> bool {
        self.kubernetes || !self.keys.is_empty()
    }

    /// Whether what this detector finds is remembered.
    pub(in crate::masking) fn remembers_of(&self, detector: &str) -> bool {
        match &self.remembers {
            Remembers::Nothing => false,
            Remembers::All => true,
            Remembers::Of(detectors) => detectors.contains(detector),
        }
    }

    /// The sets of detectors that look.
    pub(in crate::masking) fn sets(&self) -> impl Iterator<Item = &DetectorSet> {
        let sets = std::iter::once(&self.acting).chain(&self.reporting);
        sets.map(|set| &**set)
    }

    /// What is done with what this detector finds.
    pub(crate) fn treatment(&self, detector: &str) -> Treatment {
        self.treatments.get(detector).copied().unwrap_or_default()
    }

    /// Whether masking may have written this placeholder: its name is one that is known, and it
    /// shows no more than this plan shows. Anybody can write a secret where the name stands, or
    /// what is kept; this leaves no room but for the digits of the fingerprint, which only whoever
    /// has the key can check with the secret at hand.
    pub(in crate::masking) fn may_have_written(&self, found: Placeholder<'_>) -> bool {
        let shows = |full: &str| found.kept() <= usize::from(self.treatment(full).keep);
        let is_it = |full: &str, short: &str| found.is_named(short) && shows(full);
        let own = self.sets().flat_map(DetectorSet::detectors);
        let mut detectors = own.chain(catalogue());
        detectors.any(|detector| is_it(detector.name(), detector.short_name()))
            || KUBERNETES
                .split_once('/')
                .is_some_and(|(_, short)| is_it(KUBERNETES, short))
            || self
                .keys
                .iter()
                .chain(KeyNames::common().iter())
                .any(|key| found.is_named(key) && shows(&format!("keys/{key}")))
    }
}

fn endings(keys: &KeyNames) -> Endings {
    let [kind, data, string_data] = kubernetes::OF_ANY_OBJECT;
    Endings::of(keys, &[kind, data, string_data, LOG_PROBABILITIES.member])
}
