//! What is settled about a branch before one looks for it: where it begins, and where its secret
//! ends.

use regex_syntax::hir::{Hir, HirKind};

use super::{
    branch::{Branch, repeat},
    expand,
    pieces::{divide, is_look, lengths, without_beginning},
};
use crate::masking::detectors::rule::Ends;

/// A branch whose beginning is settled.
pub(super) struct Settled {
    /// What leads to the secret; it is never empty when it matches, or it has no pieces.
    pub(super) before: Vec<Hir>,
    pub(super) secret: Vec<Hir>,
    pub(super) tail: Option<String>,
    pub(super) ends: Ends,
    pub(super) verify: Option<Hir>,
    pub(super) all: Hir,
    pub(super) after: Vec<Hir>,
    pub(super) chosen: bool,
}

pub(super) enum Step {
    Settled(Settled),
    Divided(Vec<Branch>),
}

const MAY_BE_EMPTY: &str = "the secret may be empty; write `+` instead of `*`";

impl Settled {
    /// Drops what may be missing before the match, and divides what begins in different ways.
    /// Nothing if the secret has no bytes.
    pub(super) fn of(mut branch: Branch) -> Result<Option<Step>, String> {
        let all = branch.before.iter().chain(&branch.secret);
        let all = Hir::concat(all.cloned().collect());
        branch.before = without_beginning(branch.before);
        if let Some(ways) = by_context(&mut branch)? {
            return Ok(Some(Step::Divided(ways)));
        }
        if let Some(ways) = by_beginning(&branch)? {
            return Ok(Some(Step::Divided(ways)));
        }
        let Some(secret) = without_nothing(branch.secret)? else {
            return Ok(None);
        };
        Ok(Some(Step::Settled(Self {
            before: branch.before,
            secret,
            tail: None,
            ends: Ends::Longest,
            verify: None,
            all,
            after: branch.after,
            chosen: branch.chosen,
        })))
    }
}

/// The ways on which a context stands before the secret, if it may be empty. What asserts and has
/// no bytes belongs to the secret.
fn by_context(branch: &mut Branch) -> Result<Option<Vec<Branch>>, String> {
    if branch.before.is_empty() || lengths(&branch.before).0 > 0 {
        return Ok(None);
    }
    if branch.before.iter().all(is_look) {
        let looks = std::mem::take(&mut branch.before);
        branch.secret.splice(0..0, looks);
        return Ok(None);
    }
    let Some(ways) = divide(&branch.before) else {
        return Err(
            "what stands before the secret may be empty in a way that cannot be divided".to_owned(),
        );
    };
    let way = |before| Branch {
        before,
        ..branch.clone()
    };
    Ok(Some(ways.into_iter().map(way).collect()))
}

/// The ways on which a secret without a context begins, if its first piece may be missing.
fn by_beginning(branch: &Branch) -> Result<Option<Vec<Branch>>, String> {
    let secret = &branch.secret;
    let looks = secret.iter().take_while(|hir| is_look(hir)).count();
    let first = match branch.before.as_slice() {
        [] => secret.get(looks).map(Hir::kind),
        _ => None,
    };
    let Some(HirKind::Repetition(r)) = first else {
        return Ok(None);
    };
    if r.min > 0 {
        return Ok(None);
    }
    let is_class = matches!(r.sub.kind(), HirKind::Class(_));
    let mut without = secret.clone();
    let secrets = if is_class && !branch.chosen {
        // As before a secret: an optional beginning of any such bytes is a name, not the secret.
        without.drain(..=looks);
        vec![without]
    } else {
        without.remove(looks);
        let mut with = secret.clone();
        if let Some(hir) = with.get_mut(looks) {
            *hir = repeat(r, 1, r.max, (*r.sub).clone());
        }
        vec![with, without]
    };
    if secrets.iter().any(|secret| lengths(secret).0 == 0) {
        return Err(MAY_BE_EMPTY.to_owned());
    }
    let way = |secret| Branch {
        before: Vec::new(),
        secret,
        ..branch.clone()
    };
    Ok(Some(secrets.into_iter().map(way).collect()))
}

/// The secret without the way on which it is empty, since a secret of no bytes is none; nothing if
/// there is no other.
fn without_nothing(secret: Vec<Hir>) -> Result<Option<Vec<Hir>>, String> {
    if lengths(&secret).0 > 0 {
        return Ok(Some(secret));
    }
    let is_empty = |hir: &Hir| lengths(std::slice::from_ref(hir)).1 == Some(0);
    match secret.as_slice() {
        [one] if let HirKind::Repetition(r) = one.kind() => {
            Ok(Some(vec![repeat(r, 1, r.max, (*r.sub).clone())]))
        }
        _ if secret.iter().all(is_empty) => Ok(None),
        _ => Err(MAY_BE_EMPTY.to_owned()),
    }
}

/// Where a secret ends. A lazy repetition without a bound says: at the first place where the rest
/// matches. This is kept only where nothing after it could go on further, for nothing may be cut
/// off.
pub(super) fn ends(secret: &[Hir], tail: bool) -> Ends {
    let lazy = |hir: &Hir| match hir.kind() {
        HirKind::Repetition(r) => !r.greedy && r.max != Some(r.min),
        _ => false,
    };
    let Some(at) = secret.iter().rposition(lazy) else {
        return Ends::Longest;
    };
    let before: Vec<Hir> = secret.iter().take(at).cloned().collect();
    let rest = Hir::concat(secret.iter().skip(at.saturating_add(1)).cloned().collect());
    let bounded = before.is_empty() || lengths(&before).1.is_some();
    let Some(texts) = expand::texts(&rest) else {
        return Ends::Longest;
    };
    let none_goes_on = texts.iter().enumerate().all(|(i, a)| {
        texts.iter().enumerate().all(|(j, b)| {
            i == j || b.len() <= a.len() || a.iter().zip(b).any(|(a, b)| a.common(*b).is_empty())
        })
    });
    let said = tail || at.saturating_add(1) < secret.len();
    if bounded && none_goes_on && said {
        Ends::First
    } else {
        Ends::Longest
    }
}
