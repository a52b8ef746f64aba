//! A compiled choice of detectors.

use super::{
    bytes::ByteSet,
    compile::{Compiler, Head, Rule},
    cut::Cuts,
    prefilter::{Building, Prefilter},
};
use crate::masking::detectors::{
    catalogue::catalogue,
    detector::{Detector, DetectorError, chooses, near},
};
use std::{collections::BTreeSet, fmt, sync::Arc};

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
        let mut compiling = Compiling::of(detectors);
        loop {
            if let Some(set) = compiling.step()? {
                return Ok(set);
            }
        }
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

/// A set while it is compiled, a piece at a time: an automaton, a rule, an anchor of the search.
pub(crate) struct Compiling {
    detectors: Vec<Arc<Detector>>,
    compiler: Compiler,
    /// Which rule of which detector comes next.
    next: (usize, usize),
    search: Building,
    /// How many targets the search has.
    searched: usize,
}

impl Compiling {
    /// Of the catalogue and `custom`, in this order, the detectors of these names.
    pub(crate) fn named(names: &[String], custom: &[Detector]) -> Self {
        let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let all = catalogue().iter().chain(custom);
        Self::of(
            all.filter(|detector| names.contains(detector.name()))
                .cloned(),
        )
    }

    fn of(detectors: impl IntoIterator<Item = Detector>) -> Self {
        Self {
            detectors: detectors.into_iter().map(Arc::new).collect(),
            compiler: Compiler::default(),
            next: (0, 0),
            search: Building::new(),
            searched: 0,
        }
    }

    /// Does one piece; gives the set once all is done, and an empty one after that.
    ///
    /// # Errors
    /// A detector is wrong, or together they are too large.
    pub(crate) fn step(&mut self) -> Result<Option<DetectorSet>, DetectorError> {
        if let Some(detector) = self.detectors.get(self.next.0) {
            match detector.rules.get(self.next.1) {
                Some(rule) if self.compiler.add_piece(detector, rule)? => {
                    self.next.1 = self.next.1.saturating_add(1);
                }
                Some(_) => {}
                None => self.next = (self.next.0.saturating_add(1), 0),
            }
            return Ok(None);
        }
        if let Some(target) = self.compiler.targets.get(self.searched) {
            let number = u16::try_from(self.searched).unwrap_or(u16::MAX);
            let added = self.search.add(number, target);
            added.map_err(|(target, reason)| self.unsearchable(target, reason))?;
            self.searched = self.searched.saturating_add(1);
            return Ok(None);
        }
        let done = std::mem::replace(self, Self::of([]));
        Ok(Some(done.finish()))
    }

    fn unsearchable(&self, target: usize, reason: String) -> DetectorError {
        let owner = self.compiler.owners.get(target);
        let head = owner.and_then(|heads| heads.first());
        let head = head.and_then(|&head| self.compiler.heads.get(usize::from(head)));
        let rule = head.and_then(|head| self.compiler.rules.get(usize::from(head.rule)));
        DetectorError::Invalid {
            detector: rule.map_or_else(String::new, |rule| rule.detector.name().to_owned()),
            reason,
        }
    }

    fn finish(self) -> DetectorSet {
        let memory = self.compiler.memory();
        let Compiler {
            rules,
            heads,
            targets,
            owners,
            ..
        } = self.compiler;
        let prefilter = self.search.finish(targets);
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
        DetectorSet {
            cuts: Cuts::of(&heads, &rules),
            lookback: rules.iter().map(Rule::lookback).max().unwrap_or(0),
            memory: memory.saturating_add(prefilter.memory()),
            detectors: self.detectors,
            rules,
            prefilter,
            heads,
            owners: owners.into_iter().map(Into::into).collect(),
            runs,
        }
    }
}

impl fmt::Debug for Compiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (detectors, at) = (self.detectors.len(), self.next.0);
        write!(f, "Compiling({at} of {detectors})")
    }
}

impl fmt::Debug for DetectorSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.detectors.iter().map(|d| d.name()))
            .finish()
    }
}
