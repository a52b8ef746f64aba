//! Expressions as sequences of pieces, and what can be said of them.

use regex_syntax::hir::{Hir, HirKind, Look};

use super::branch::{MAX_BRANCHES, flatten, repeat};
use crate::masking::search::bytes::ByteSet;

pub(super) fn is_look(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Look(_))
}

pub(super) fn is_boundary(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Look(Look::WordAscii))
}

/// Whether it asks about words on its two sides.
pub(super) fn is_word_look(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Look(look) => !matches!(
            look,
            Look::Start | Look::StartLF | Look::StartCRLF | Look::End | Look::EndLF | Look::EndCRLF
        ),
        _ => false,
    }
}

/// Whether it asks for the beginning of a text or line, and bytes of `class` do not go over one: in
/// a run of them it holds at the beginning or nowhere.
pub(super) fn begins_before(hir: &Hir, class: ByteSet) -> bool {
    let HirKind::Look(look) = hir.kind() else {
        return false;
    };
    match look {
        Look::Start => true,
        Look::StartLF => !class.contains(b'\n'),
        Look::StartCRLF => !class.contains(b'\n') && !class.contains(b'\r'),
        _ => false,
    }
}

pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The least and the greatest length of what matches all pieces.
pub(super) fn lengths(pieces: &[Hir]) -> (usize, Option<usize>) {
    let all = Hir::concat(pieces.to_vec());
    let properties = all.properties();
    (
        properties.minimum_len().unwrap_or(0),
        properties.maximum_len(),
    )
}

/// Whether a piece may be missing.
pub(super) fn may_be_missing(hir: &Hir) -> bool {
    hir.properties().minimum_len() == Some(0) && hir.properties().look_set().is_empty()
}

/// Leaves out what may be missing at the beginning of a context: where it matches with it, it
/// matches without.
pub(super) fn without_beginning(mut pieces: Vec<Hir>) -> Vec<Hir> {
    loop {
        let looks = pieces.iter().take_while(|hir| is_look(hir)).count();
        let Some(first) = pieces.get(looks) else {
            return pieces;
        };
        if may_be_missing(first) {
            // A boundary before it goes with it.
            pieces.drain(..=looks);
            continue;
        }
        if looks == 0
            && let HirKind::Repetition(r) = first.kind()
            && r.max != Some(r.min)
        {
            let sub = (*r.sub).clone();
            let least = repeat(r, r.min, Some(r.min), sub);
            pieces.remove(0);
            let mut flat = Vec::new();
            flatten(least, &mut flat);
            pieces.splice(0..0, flat);
        }
        return pieces;
    }
}

/// What must follow the secret, without what may be missing at its end.
pub(super) fn tail(mut pieces: Vec<Hir>) -> Vec<Hir> {
    while let Some(last) = pieces.last() {
        if may_be_missing(last) {
            pieces.pop();
            continue;
        }
        if let HirKind::Repetition(r) = last.kind()
            && r.max != Some(r.min)
        {
            let least = repeat(r, r.min, Some(r.min), (*r.sub).clone());
            pieces.pop();
            pieces.push(least);
        }
        break;
    }
    pieces
}

/// Divides a sequence at its first piece that is a choice.
pub(super) fn divide(pieces: &[Hir]) -> Option<Vec<Vec<Hir>>> {
    let (at, choices) = pieces.iter().enumerate().find_map(|(at, hir)| {
        let choices = match hir.kind() {
            HirKind::Alternation(all) if all.len() <= MAX_BRANCHES => all.clone(),
            HirKind::Repetition(r) if r.min == 0 && r.max == Some(1) => {
                vec![(*r.sub).clone(), Hir::empty()]
            }
            _ => return None,
        };
        Some((at, choices))
    })?;
    let ways = choices.into_iter().map(|choice| {
        let mut way: Vec<Hir> = pieces.iter().take(at).cloned().collect();
        flatten(choice, &mut way);
        way.extend(pieces.iter().skip(at.saturating_add(1)).cloned());
        way
    });
    Some(ways.collect())
}

/// Whether it can have many lengths.
pub(super) fn varies(hir: &Hir) -> bool {
    let (least, most) = lengths(std::slice::from_ref(hir));
    most.is_none_or(|most| most.saturating_sub(least) >= 4)
}
