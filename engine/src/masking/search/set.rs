//! A compiled choice of detectors.

use super::{
    bytes::ByteSet,
    compile::{Compiler, Head, Rule},
    cut::Cuts,
    prefilter::{Building, Prefilter, Target},
};
use crate::masking::detectors::{
    catalogue::catalogue,
    detector::{Detector, DetectorError, chooses, near},
};
use std::{fmt, sync::Arc};

/// Detectors compiled for use: immutable, shared by all streams behind an `Arc`.
pub struct DetectorSet {
    detectors: Vec<Arc<Detector>>,
    rules: Vec<Rule>,
    pub(in crate::masking) prefilter: Prefilter,
    /// Each anchor of each rule.
    pub(in crate::masking) heads: Vec<Head>,
    /// For each target of the prefilter the heads that have it.
    pub(in crate::masking) owners: Vec<Box<[u16]>>,
    /// What the end of a chunk may cut.
    pub(in crate::masking) cuts: Cuts,
    /// Rules whose match begins with a run, with their heads.
    pub(in crate::masking) runs: Vec<Run>,
    memory: usize,
    /// Most bytes before a secret that a rule's check wants to see.
    lookback: usize,
}

/// A rule whose match begins with a run of bytes of a class.
pub(in crate::masking) struct Run {
    pub(in crate::masking) class: ByteSet,
    pub(in crate::masking) max: usize,
    pub(in crate::masking) heads: Box<[u16]>,
}

impl DetectorSet {
    /// Compiles the detectors that `selectors` choose: names (`secrets/github-pat`) or the
    /// beginning of names with a star (`secrets/*`, `secrets/github-*`). No selectors: nothing is
    /// masked.
    ///
    /// # Errors
    /// A selector that chooses nothing, with the names that were perhaps meant.
    pub fn compile(selectors: &[impl AsRef<str>]) -> Result<Self, DetectorError> {
        Self::compile_with(selectors, &[])
    }

    /// The same, choosing from the catalogue and `custom`, in this order.
    ///
    /// # Errors
    /// As [`compile`](Self::compile); or a custom detector is wrong or too large.
    pub fn compile_with(
        selectors: &[impl AsRef<str>],
        custom: &[Detector],
    ) -> Result<Self, DetectorError> {
        let all: Vec<&Detector> = catalogue().iter().chain(custom).collect();
        let mut chosen = vec![false; all.len()];
        for selector in selectors {
            let selector = selector.as_ref();
            let mut any = false;
            for (detector, chosen) in all.iter().zip(chosen.iter_mut()) {
                if chooses(selector, detector.name()) {
                    *chosen = true;
                    any = true;
                }
            }
            if !any {
                return Err(DetectorError::Unknown {
                    selector: selector.to_owned(),
                    near: near(selector, all.iter().map(|detector| detector.name())),
                });
            }
        }
        let detectors = all.into_iter().zip(chosen);
        Self::of(
            detectors
                .filter(|(_, chosen)| *chosen)
                .map(|(detector, _)| detector.clone()),
        )
    }

    /// Compiles these detectors.
    pub(in crate::masking) fn of(
        detectors: impl IntoIterator<Item = Detector>,
    ) -> Result<Self, DetectorError> {
        let mut compiler = Compiler::default();
        let detectors: Vec<Arc<Detector>> = detectors.into_iter().map(Arc::new).collect();
        for detector in &detectors {
            compiler.add(detector)?;
        }
        let memory = compiler.memory();
        let Compiler {
            rules,
            heads,
            targets,
            owners,
            ..
        } = compiler;
        let prefilter = search_for(targets).map_err(|(target, reason)| {
            let owner = owners.get(target).and_then(|heads| heads.first());
            let head = owner.and_then(|&head| heads.get(usize::from(head)));
            let rule = head.and_then(|head| rules.get(usize::from(head.rule)));
            DetectorError::Invalid {
                detector: rule.map_or_else(String::new, |rule| rule.detector.name().to_owned()),
                reason,
            }
        })?;
        let mut runs: Vec<Run> = Vec::new();
        for (number, rule) in (0_u16..).zip(&rules) {
            if let Some((class, max)) = rule.run {
                let own = (0_u16..).zip(&heads).filter(|(_, h)| h.rule == number);
                runs.push(Run {
                    class,
                    max,
                    heads: own.map(|(head, _)| head).collect(),
                });
            }
        }
        Ok(Self {
            cuts: Cuts::of(&heads, &rules),
            lookback: rules.iter().map(Rule::lookback).max().unwrap_or(0),
            memory: memory.saturating_add(prefilter.memory()),
            detectors,
            rules,
            prefilter,
            heads,
            owners: owners.into_iter().map(Into::into).collect(),
            runs,
        })
    }

    /// The detectors in this set.
    pub fn detectors(&self) -> impl Iterator<Item = &Detector> {
        self.detectors.iter().map(|detector| &**detector)
    }

    /// Bytes of memory that the compiled set occupies, without the allocator's overhead.
    pub fn memory(&self) -> usize {
        self.memory
            .saturating_add(size_of::<Self>())
            .saturating_add(self.cuts.memory())
            .saturating_add(self.rules.len().saturating_mul(size_of::<Rule>()))
    }

    /// The rule of this number.
    pub(in crate::masking) fn rule(&self, number: u16) -> Option<&Rule> {
        self.rules.get(usize::from(number))
    }

    /// Most bytes before a secret that a rule's check wants to see.
    pub(in crate::masking) fn lookback(&self) -> usize {
        self.lookback
    }
}

/// Builds the search for these targets.
///
/// # Errors
/// The number of a target that cannot be searched for, and why.
fn search_for(targets: Vec<Target>) -> Result<Prefilter, (usize, String)> {
    let mut building = Building::new();
    for (number, target) in (0_u16..).zip(&targets) {
        building.add(number, target)?;
    }
    Ok(building.finish(targets))
}

impl fmt::Debug for DetectorSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.detectors.iter().map(|d| d.name()))
            .finish()
    }
}
