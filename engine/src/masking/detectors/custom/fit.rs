//! Which patterns fit into an automaton, and how much has been built to find out.

use std::{collections::HashMap, sync::Arc};

use regex_syntax::hir::Hir;

use super::{ease::may_be_large, syntax::print};
use crate::masking::search::automaton::Automaton;

/// Most states that are built for all detectors of a policy, whether they are used or found to be
/// too many.
const MAX_STATES: usize = 1 << 18;
/// About how many bytes of a limit one state takes.
const STATE: usize = 128;
/// Most patterns of one detector that do not fit: a hostile expression could have any number of
/// them.
pub(super) const MAX_MISFITS: u32 = 24;

/// What was tried for the detectors of one policy.
#[derive(Default)]
pub(super) struct Fits {
    /// By pattern and limit.
    tried: HashMap<(String, usize), Option<Arc<Automaton>>>,
    states: usize,
    /// Patterns of the present detector that do not fit.
    misfits: u32,
    /// Whether automata are built one at a time: after one, what was not tried is not known.
    one_at_a_time: bool,
    /// Whether one was built since the detector was last begun.
    built_one: bool,
    /// Whether something was asked that is not known yet.
    paused: bool,
}

impl Fits {
    /// To be asked by a [`Planning`](super::Planning): building one automaton takes as long as all
    /// else about a detector, so one is built at a time, and the detector is begun anew with what
    /// is known then. That costs little, and a function that calls itself need not be cut.
    pub(super) fn one_at_a_time() -> Self {
        Self {
            one_at_a_time: true,
            ..Self::default()
        }
    }

    /// A detector is looked at: the next one, or the present one again after a pause.
    pub(super) fn begin(&mut self) {
        if !self.paused {
            self.misfits = 0;
        }
        self.paused = false;
        self.built_one = false;
    }

    /// Whether the present detector has to be begun anew, as something is not known yet that was
    /// asked. All answers since then are void.
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether all the work that is allowed was done. What does not fit then is not known.
    pub(super) fn is_spent(&self) -> bool {
        self.states > MAX_STATES
    }

    /// Whether the automaton of `hir` can be built with so much memory.
    pub(super) fn fits(&mut self, hir: &Hir, limit: usize) -> bool {
        if !may_be_large(hir) {
            return true;
        }
        let key = (print(hir), limit);
        if let Some(known) = self.tried.get(&key) {
            return known.is_some();
        }
        if self.misfits >= MAX_MISFITS || self.is_spent() {
            return false;
        }
        if self.paused || (self.one_at_a_time && self.built_one) {
            self.paused = true;
            return false;
        }
        self.built_one = true;
        let built = Automaton::compile_within(&key.0, limit).ok();
        let states = built.as_ref().map_or(limit / STATE, Automaton::states);
        self.states = self.states.saturating_add(states);
        if built.is_none() {
            self.misfits = self.misfits.saturating_add(1);
        }
        let kept = built.map(|automaton| Automaton::share(&key.0, automaton));
        let fits = kept.is_some();
        self.tried.insert(key, kept);
        fits
    }

    /// The automata that were built for these patterns, so that they need not be built again.
    pub(super) fn built<'a>(
        &self,
        patterns: impl Iterator<Item = &'a str>,
        limits: &[usize],
    ) -> Vec<Arc<Automaton>> {
        let tried = |pattern: &str| {
            limits.iter().find_map(|&limit| {
                let known = self.tried.get(&(pattern.to_owned(), limit))?;
                known.clone()
            })
        };
        patterns.filter_map(tried).collect()
    }
}
