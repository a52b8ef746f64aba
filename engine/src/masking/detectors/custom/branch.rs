//! Which part of an expression is the secret.
//!
//! An expression is cut into *branches*: ways through it on each of which the secret is one
//! contiguous part.

use regex_syntax::hir::{Capture, Hir, HirKind, Repetition};

use super::expand;

/// Most branches of one detector.
pub(super) const MAX_BRANCHES: usize = 256;

/// One way through an expression: what leads to the secret, the secret, what must follow it.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) before: Vec<Hir>,
    pub(super) secret: Vec<Hir>,
    pub(super) after: Vec<Hir>,
    /// Whether a group says what the secret is; otherwise all that matches is taken.
    pub(super) chosen: bool,
}

/// Cuts an expression into branches. `group` is the group that is the secret.
///
/// Without it the secret is the first group that can hold one: it is not empty, stands in no
/// repetition (it would be the last of many then), and is no mere choice of fixed words. Without
/// such a group it is all that matches.
///
/// # Errors
/// There is no such group, or it cannot be followed.
pub(super) fn branches(hir: &Hir, group: Option<u32>) -> Result<Vec<Branch>, String> {
    let wanted = match group {
        None => Wanted::First,
        Some(0) => Wanted::Whole,
        Some(number) => {
            match find(hir, number, false) {
                Some(false) => {}
                Some(true) => {
                    return Err(format!(
                        "group {number} stands in a repetition, so it is only the last of several parts; put the group around the repetition"
                    ));
                }
                None => {
                    return Err(format!(
                        "secret_group is {number}, but the regex has {} groups",
                        hir.properties().explicit_captures_len()
                    ));
                }
            }
            Wanted::Number(number)
        }
    };
    let mut out = Vec::new();
    for way in expand(hir, wanted)? {
        let mut branch = Branch {
            before: Vec::new(),
            secret: Vec::new(),
            after: Vec::new(),
            chosen: false,
        };
        for piece in way {
            match piece {
                Piece::Secret(hir) => {
                    branch.chosen = true;
                    flatten(hir, &mut branch.secret);
                }
                Piece::Plain(hir) if branch.chosen => flatten(hir, &mut branch.after),
                Piece::Plain(hir) => flatten(hir, &mut branch.before),
            }
        }
        if branch.chosen {
            out.push(branch);
            continue;
        }
        // All that matches. Alternatives become branches of their own.
        let all = Hir::concat(std::mem::take(&mut branch.before));
        match all.into_kind() {
            HirKind::Alternation(alternatives) => {
                for alternative in alternatives {
                    let mut secret = Vec::new();
                    flatten(alternative, &mut secret);
                    out.push(Branch {
                        secret,
                        ..branch.clone()
                    });
                }
            }
            kind => {
                flatten(rebuild(kind), &mut branch.secret);
                out.push(branch);
            }
        }
    }
    if out.len() > MAX_BRANCHES {
        return Err(too_many());
    }
    Ok(out)
}

#[derive(Debug, Clone, Copy)]
enum Wanted {
    Whole,
    First,
    Number(u32),
}

impl Wanted {
    fn takes(self, capture: &Capture) -> bool {
        match self {
            Self::Whole => false,
            Self::Number(number) => capture.index == number,
            Self::First => {
                let fixed = || {
                    expand::texts(&capture.sub)
                        .is_some_and(|texts| texts.iter().flatten().all(|set| set.len() <= 2))
                };
                capture.sub.properties().maximum_len() != Some(0) && !fixed()
            }
        }
    }

    /// Whether a group that is taken stands in `hir`.
    fn stands_in(self, hir: &Hir) -> bool {
        match hir.kind() {
            HirKind::Capture(capture) => self.takes(capture) || self.stands_in(&capture.sub),
            HirKind::Concat(all) | HirKind::Alternation(all) => {
                all.iter().any(|hir| self.stands_in(hir))
            }
            HirKind::Repetition(r) => r.max == Some(1) && self.stands_in(&r.sub),
            _ => false,
        }
    }
}

#[derive(Debug, Clone)]
enum Piece {
    Plain(Hir),
    Secret(Hir),
}

fn expand(hir: &Hir, wanted: Wanted) -> Result<Vec<Vec<Piece>>, String> {
    if !wanted.stands_in(hir) {
        return Ok(vec![vec![Piece::Plain(without_groups(hir))]]);
    }
    match hir.kind() {
        HirKind::Capture(capture) if wanted.takes(capture) => {
            Ok(vec![vec![Piece::Secret(without_groups(&capture.sub))]])
        }
        HirKind::Capture(capture) => expand(&capture.sub, wanted),
        HirKind::Concat(all) => {
            let mut ways: Vec<Vec<Piece>> = vec![Vec::new()];
            for hir in all {
                if !wanted.stands_in(hir) {
                    for way in &mut ways {
                        way.push(Piece::Plain(without_groups(hir)));
                    }
                    continue;
                }
                let mut longer = Vec::new();
                let more = expand(hir, wanted)?;
                for way in ways {
                    if way.iter().any(|piece| matches!(piece, Piece::Secret(_))) {
                        let mut way = way;
                        way.push(Piece::Plain(without_groups(hir)));
                        longer.push(way);
                        continue;
                    }
                    for piece in &more {
                        let mut way = way.clone();
                        way.extend(piece.iter().cloned());
                        longer.push(way);
                    }
                }
                if longer.len() > MAX_BRANCHES {
                    return Err(too_many());
                }
                ways = longer;
            }
            Ok(ways)
        }
        HirKind::Alternation(all) => {
            let mut ways = Vec::new();
            for hir in all {
                ways.extend(expand(hir, wanted)?);
                if ways.len() > MAX_BRANCHES {
                    return Err(too_many());
                }
            }
            Ok(ways)
        }
        HirKind::Repetition(r) => {
            let mut ways = expand(&r.sub, wanted)?;
            if r.min == 0 {
                ways.push(Vec::new());
            }
            Ok(ways)
        }
        _ => Ok(vec![vec![Piece::Plain(without_groups(hir))]]),
    }
}

fn too_many() -> String {
    format!(
        "the regex has more than {MAX_BRANCHES} alternatives; divide it among several detectors"
    )
}

/// Whether group `number` exists, and stands in a repetition.
fn find(hir: &Hir, number: u32, repeated: bool) -> Option<bool> {
    match hir.kind() {
        HirKind::Capture(capture) if capture.index == number => Some(repeated),
        HirKind::Capture(capture) => find(&capture.sub, number, repeated),
        HirKind::Concat(all) | HirKind::Alternation(all) => {
            all.iter().find_map(|hir| find(hir, number, repeated))
        }
        HirKind::Repetition(r) => find(&r.sub, number, repeated || r.max != Some(1)),
        _ => None,
    }
}

/// The same expression without capture groups.
pub(super) fn without_groups(hir: &Hir) -> Hir {
    if hir.properties().explicit_captures_len() == 0 {
        return hir.clone();
    }
    match hir.kind() {
        HirKind::Capture(capture) => without_groups(&capture.sub),
        HirKind::Concat(all) => Hir::concat(all.iter().map(without_groups).collect()),
        HirKind::Alternation(all) => Hir::alternation(all.iter().map(without_groups).collect()),
        HirKind::Repetition(r) => repeat(r, r.min, r.max, without_groups(&r.sub)),
        _ => hir.clone(),
    }
}

/// The repetition `r` with other bounds.
pub(super) fn repeat(r: &Repetition, min: u32, max: Option<u32>, sub: Hir) -> Hir {
    Hir::repetition(Repetition {
        min,
        max,
        greedy: r.greedy,
        sub: Box::new(sub),
    })
}

/// Appends the parts of a concatenation.
pub(super) fn flatten(hir: Hir, pieces: &mut Vec<Hir>) {
    match hir.into_kind() {
        HirKind::Concat(all) => {
            for hir in all {
                flatten(hir, pieces);
            }
        }
        HirKind::Empty => {}
        kind => pieces.push(rebuild(kind)),
    }
}

pub(super) fn rebuild(kind: HirKind) -> Hir {
    match kind {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(class) => Hir::class(class),
        HirKind::Look(look) => Hir::look(look),
        HirKind::Repetition(repetition) => Hir::repetition(repetition),
        HirKind::Capture(capture) => Hir::capture(capture),
        HirKind::Concat(all) => Hir::concat(all),
        HirKind::Alternation(all) => Hir::alternation(all),
    }
}
