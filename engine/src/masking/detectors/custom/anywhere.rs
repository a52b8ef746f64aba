//! Expressions of an allow list that are looked for anywhere in a find.
//!
//! As automata that are built beforehand: each byte is one step in each of a few tables, whatever
//! the expressions and the text. An automaton that is built while it runs
//! ([`Lazy`](super::check::Lazy)) can be made to build a state for nearly every byte, at thousands
//! of steps each, with expressions such as `a[ab]{500}c` and text made for them.

use std::sync::Arc;

use regex_syntax::hir::{Hir, HirKind};

use super::syntax::print;
use crate::masking::search::automaton::Automaton;

/// Memory for an automaton while it is built; its table takes at most half as much.
const FITS: usize = 1 << 20;
/// Most automata of one list: more expressions than one can hold are divided.
const MOST: usize = 8;

/// Expressions, one of which is to match.
pub(super) struct Anywhere(Vec<Arc<Automaton>>);

impl Anywhere {
    /// Compiles expressions; `None` if they are too large.
    pub(super) fn of(expressions: &[Hir]) -> Option<Self> {
        let (mut ways, mut all) = (Vec::new(), Vec::new());
        expressions.iter().for_each(|one| divide(one, &mut ways));
        add(&ways, &mut all)?;
        Some(Self(all))
    }

    /// How many steps it takes for each byte.
    pub(super) fn steps(&self) -> usize {
        self.0.len()
    }

    /// How many bytes of memory it occupies.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.0.iter().map(|automaton| automaton.memory()).sum()
    }

    /// Whether one of them matches anywhere in `text`.
    pub(super) fn finds(&self, text: &[u8]) -> bool {
        self.0.iter().any(|automaton| automaton.ends_in(text))
    }
}

/// The ways in which an expression can match: what is too large as one choice can be divided.
fn divide(expression: &Hir, ways: &mut Vec<Hir>) {
    match expression.kind() {
        HirKind::Alternation(all) => all.iter().for_each(|one| divide(one, ways)),
        _ => ways.push(expression.clone()),
    }
}

fn add(expressions: &[Hir], all: &mut Vec<Arc<Automaton>>) -> Option<()> {
    if all.len() >= MOST {
        return None;
    }
    let one = print(&Hir::alternation(expressions.to_vec()));
    let pattern = format!("(?s-u:.)*(?:{one})");
    if let Ok(automaton) = Automaton::compile_within(&pattern, FITS) {
        all.push(Automaton::share(&pattern, automaton));
        return Some(());
    }
    let (first, second) = expressions.split_at(expressions.len() / 2);
    if first.is_empty() {
        return None;
    }
    add(first, all)?;
    add(second, all)
}
