//! Automata of bounded size for expressions that would need larger ones.

use regex_syntax::hir::{Hir, HirKind};

use super::branch::repeat;

/// How exactly repetitions are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ease {
    /// As written.
    Exact,
    /// `{10,200}` as `{10,}`.
    Endless,
    /// The same, and `{64,}` as `{16,}`.
    Shorter,
    /// All large repetitions as `+`.
    Loose,
}

impl Ease {
    pub(super) const ALL: [Self; 4] = [Self::Exact, Self::Endless, Self::Shorter, Self::Loose];

    pub(super) fn of(self, hir: &Hir) -> Hir {
        match hir.kind() {
            HirKind::Repetition(r) => {
                let sub = self.of(&r.sub);
                let varies = r.max != Some(r.min);
                let wide = r.max.is_none_or(|max| max.saturating_sub(r.min) >= 16);
                let (min, max) = match self {
                    Self::Exact => (r.min, r.max),
                    Self::Endless if wide => (r.min, None),
                    Self::Shorter if wide => (r.min.min(16), None),
                    Self::Loose if wide || r.min >= 8 => (r.min.min(1), None),
                    _ if varies && matches!(self, Self::Loose) => (r.min.min(1), r.max),
                    _ => (r.min, r.max),
                };
                repeat(r, min, max, sub)
            }
            HirKind::Concat(all) => Hir::concat(all.iter().map(|hir| self.of(hir)).collect()),
            HirKind::Alternation(all) => {
                Hir::alternation(all.iter().map(|hir| self.of(hir)).collect())
            }
            _ => hir.clone(),
        }
    }
}

/// Whether an automaton for this could be much larger than the expression: something varies, and
/// something else is repeated.
pub(super) fn may_be_large(hir: &Hir) -> bool {
    fn count(hir: &Hir, varying: &mut u32, repeated: &mut u32) {
        match hir.kind() {
            HirKind::Repetition(r) => {
                let spread = r.max.map_or(u32::MAX, |max| max.saturating_sub(r.min));
                if spread >= 4 {
                    *varying = varying.saturating_add(1);
                } else if r.min >= 8 {
                    *repeated = repeated.saturating_add(1);
                }
                count(&r.sub, varying, repeated);
            }
            HirKind::Concat(all) | HirKind::Alternation(all) => {
                all.iter().for_each(|hir| count(hir, varying, repeated));
            }
            _ => {}
        }
    }
    let (mut varying, mut repeated) = (0, 0);
    count(hir, &mut varying, &mut repeated);
    varying > 1 || (varying > 0 && repeated > 0)
}

/// How many places in an expression an attempt can be at: what it counts with. `{10,150}` counts to
/// 150, `{10,}` to 10.
pub(super) fn places(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(_) => 1,
        HirKind::Capture(capture) => places(&capture.sub),
        HirKind::Repetition(r) => {
            let count = usize::try_from(r.max.unwrap_or(r.min).max(1)).unwrap_or(usize::MAX);
            places(&r.sub).saturating_mul(count)
        }
        HirKind::Concat(all) => all.iter().map(places).fold(0, usize::saturating_add),
        HirKind::Alternation(all) => all.iter().map(places).max().unwrap_or(0),
    }
}
