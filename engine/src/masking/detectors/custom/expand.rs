//! The first bytes that an expression can match, as sets of bytes by position.

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::masking::search::bytes::ByteSet;

/// Most alternatives that are told apart.
pub(super) const MAX_ALTERNATIVES: usize = 40;
/// Most positions that are looked at.
pub(super) const MAX_POSITIONS: usize = 64;

/// An anchor that says less than so many bits about its place would be looked at too often.
const RARE: f64 = 9.0;
/// So many bits are enough: the first place that has them is taken.
const RARE_ENOUGH: f64 = 18.0;

/// One way in which a match begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) sets: Vec<ByteSet>,
    /// Whether the expression ends here: `sets` is all of this alternative, not only its beginning.
    pub(super) whole: bool,
}

impl Opening {
    const fn nothing() -> Self {
        Self {
            sets: Vec::new(),
            whole: true,
        }
    }
}

/// How matches of `pieces`, one after the other, begin: every match begins in one of these ways.
/// Assertions are taken to hold.
pub(super) fn openings<'a>(pieces: impl IntoIterator<Item = &'a Hir>) -> Vec<Opening> {
    let mut all = vec![Opening::nothing()];
    for piece in pieces {
        if all.iter().all(|o| !o.whole) {
            break;
        }
        all = then(all, piece);
    }
    all
}

/// All texts of `hir`, if they are few, or `None`.
pub(super) fn texts(hir: &Hir) -> Option<Vec<Vec<ByteSet>>> {
    openings([hir])
        .into_iter()
        .map(|o| o.whole.then_some(o.sets))
        .collect()
}

/// Each of `before`, and what `hir` adds where it goes on.
fn then(before: Vec<Opening>, hir: &Hir) -> Vec<Opening> {
    let added = of(hir);
    let open = before.iter().filter(|o| o.whole).count();
    let total = open
        .saturating_mul(added.len())
        .saturating_add(before.len());
    if total > MAX_ALTERNATIVES.saturating_mul(2)
        || open.saturating_mul(added.len()) > MAX_ALTERNATIVES
    {
        return before.into_iter().map(cut).collect();
    }
    let mut out = Vec::new();
    for opening in before {
        if !opening.whole {
            out.push(opening);
            continue;
        }
        for more in &added {
            let mut sets = opening.sets.clone();
            sets.extend(more.sets.iter().copied());
            let fits = sets.len() <= MAX_POSITIONS;
            sets.truncate(MAX_POSITIONS);
            let next = Opening {
                sets,
                whole: more.whole && fits,
            };
            if !out.contains(&next) {
                out.push(next);
            }
        }
    }
    out
}

fn cut(opening: Opening) -> Opening {
    Opening {
        whole: false,
        ..opening
    }
}

fn of(hir: &Hir) -> Vec<Opening> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![Opening::nothing()],
        HirKind::Literal(literal) => {
            let sets = literal.0.iter().take(MAX_POSITIONS);
            vec![Opening {
                sets: sets.map(|&b| ByteSet::byte(b)).collect(),
                whole: literal.0.len() <= MAX_POSITIONS,
            }]
        }
        HirKind::Class(class) => match set(class) {
            Some(set) => vec![Opening {
                sets: vec![set],
                whole: true,
            }],
            None => vec![cut(Opening::nothing())],
        },
        HirKind::Capture(capture) => of(&capture.sub),
        HirKind::Concat(all) => openings(all),
        HirKind::Alternation(all) => {
            let mut out = Vec::new();
            for alternative in all {
                for opening in of(alternative) {
                    if !out.contains(&opening) {
                        out.push(opening);
                    }
                }
                if out.len() > MAX_ALTERNATIVES {
                    return vec![cut(Opening::nothing())];
                }
            }
            out
        }
        HirKind::Repetition(r) => {
            let mut all = vec![Opening::nothing()];
            let mut done = Vec::new();
            let most = r.max.unwrap_or(u32::MAX);
            for count in 0..=most {
                if count >= r.min {
                    // It may stop here, or go on.
                    done.extend(all.iter().filter(|o| o.whole).cloned());
                }
                let full = all
                    .iter()
                    .all(|o| !o.whole || o.sets.len() >= MAX_POSITIONS);
                if full && count < r.min {
                    return all.into_iter().map(cut).collect();
                }
                if count == most || full || done.len() > MAX_ALTERNATIVES {
                    break;
                }
                // An optional rest of many lengths would only multiply the alternatives.
                if count >= r.min && most.saturating_sub(r.min) > 1 {
                    return all.into_iter().map(cut).collect();
                }
                all = then(all, &r.sub);
            }
            done.extend(all.into_iter().filter(|o| !o.whole));
            if done.is_empty() || done.len() > MAX_ALTERNATIVES {
                vec![cut(Opening::nothing())]
            } else {
                done
            }
        }
    }
}

/// The bytes of a class; `None` if it has characters of several bytes.
pub(super) fn set(class: &Class) -> Option<ByteSet> {
    match class {
        Class::Bytes(class) => Some(
            class
                .iter()
                .map(|r| ByteSet::range(r.start(), r.end()))
                .fold(ByteSet::EMPTY, ByteSet::union),
        ),
        Class::Unicode(class) => class
            .iter()
            .map(|r| {
                let (first, last) = (u32::from(r.start()), u32::from(r.end()));
                (last < 128).then(|| ByteSet::range(first as u8, last as u8))
            })
            .try_fold(ByteSet::EMPTY, |all, range| Some(all.union(range?))),
    }
}

/// How rare the anchor is in text: bits of its rarest four neighbours, roughly.
pub(super) fn rarity(sets: &[ByteSet]) -> f64 {
    let bits = |window: &[ByteSet]| -> f64 {
        let mut before = None;
        let mut sum = 0.0;
        for set in window {
            // Digits and hex stand together: a second one says less.
            let again = set.len() > 2 && before == Some(*set);
            sum += surprise(*set) * if again { 0.5 } else { 1.0 };
            before = Some(*set);
        }
        sum
    };
    if sets.len() <= 4 {
        return bits(sets);
    }
    sets.windows(4).map(bits).fold(0.0, f64::max)
}

/// Bits that one byte of a set says in text, roughly.
fn surprise(set: ByteSet) -> f64 {
    let share: f64 = set
        .iter()
        .map(|b| match b {
            b' ' => 0.12,
            b'a'..=b'z' => 0.03,
            b'A'..=b'Z' => 0.008,
            b'0'..=b'9' => 0.01,
            0x21..=0x7e | b'\n' => 0.01,
            _ => 0.001,
        })
        .sum();
    -share.clamp(1e-3, 1.0).log2()
}

/// Whether all of these can be looked for.
pub(super) fn all_rare(openings: &[Opening]) -> bool {
    !openings.is_empty() && openings.iter().all(|o| rarity(&o.sets) >= RARE)
}

/// The part of these positions to look for: where it begins and its sets.
pub(super) fn rarest(sets: &[ByteSet]) -> Option<(u8, &[ByteSet])> {
    if rarity(sets) < RARE {
        return None;
    }
    let best = (0..sets.len())
        .filter_map(|at| {
            let window = sets.get(at..at.saturating_add(4).min(sets.len()))?;
            Some((at, rarity(window).min(RARE_ENOUGH)))
        })
        .reduce(|best, next| if next.1 > best.1 + 0.01 { next } else { best })?
        .0;
    // What stands before it is taken along as far as it is narrow.
    let begin = sets
        .iter()
        .take(best)
        .rposition(|set| set.len() > 16)
        .map_or(0, |wide| wide.saturating_add(1));
    let end = sets
        .iter()
        .skip(best.saturating_add(4))
        .position(|set| set.len() > 16)
        .map_or(sets.len(), |wide| {
            best.saturating_add(4).saturating_add(wide)
        });
    let sets = sets.get(begin..end)?;
    Some((u8::try_from(begin).ok()?, trimmed(sets)))
}

/// Without wide sets at the end, which would be looked at in vain.
pub(super) fn trimmed(sets: &[ByteSet]) -> &[ByteSet] {
    let wide = sets.iter().rev().take_while(|set| set.len() > 16).count();
    let end = sets.len().saturating_sub(wide).max(3).min(sets.len());
    sets.get(..end).unwrap_or(sets)
}
