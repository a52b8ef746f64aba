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

impl Settled {
    /// Drops what may be missing before the match, and divides what begins in different ways.
    pub(super) fn of(branch: Branch) -> Result<Option<Step>, String> {
        let all = Hir::concat(
            branch
                .before
                .iter()
                .chain(&branch.secret)
                .cloned()
                .collect(),
        );
        let Branch {
            before,
            mut secret,
            after,
            chosen,
        } = branch;
        let mut before = without_beginning(before);
        if !before.is_empty() && lengths(&before).0 == 0 {
            if before.iter().all(is_look) {
                secret.splice(0..0, std::mem::take(&mut before));
            } else {
                let branch = Branch {
                    before,
                    secret,
                    after,
                    chosen,
                };
                return match divide(&branch.before) {
                    Some(ways) => Ok(Some(Step::Divided(
                        ways.into_iter()
                            .map(|before| Branch {
                                before,
                                ..branch.clone()
                            })
                            .collect(),
                    ))),
                    None => Err("what stands before the secret may be empty in a way that cannot be divided".to_owned()),
                };
            }
        }
        if before.is_empty() {
            let looks = secret.iter().take_while(|hir| is_look(hir)).count();
            let first = secret.get(looks).map(Hir::kind);
            if let Some(HirKind::Repetition(r)) = first
                && r.min == 0
            {
                let is_class = matches!(r.sub.kind(), HirKind::Class(_));
                let mut without = secret.clone();
                if is_class && !chosen {
                    // As before a secret: an optional beginning of any such bytes is a name, not
                    // the secret.
                    without.drain(..=looks);
                } else {
                    without.remove(looks);
                }
                let mut parts = vec![without];
                if !is_class || chosen {
                    let mut with = secret.clone();
                    if let Some(hir) = with.get_mut(looks) {
                        *hir = repeat(r, 1, r.max, (*r.sub).clone());
                    }
                    parts.insert(0, with);
                }
                if parts.iter().any(|secret| lengths(secret).0 == 0) {
                    return Err("the secret may be empty; write `+` instead of `*`".to_owned());
                }
                return Ok(Some(Step::Divided(
                    parts
                        .into_iter()
                        .map(|secret| Branch {
                            before: Vec::new(),
                            secret,
                            after: after.clone(),
                            chosen,
                        })
                        .collect(),
                )));
            }
        }
        if lengths(&secret).0 == 0 {
            // A secret of no bytes is none: the way on which it is empty is left out.
            match secret.as_slice() {
                [one] if let HirKind::Repetition(r) = one.kind() => {
                    secret = vec![repeat(r, 1, r.max, (*r.sub).clone())];
                }
                _ if secret
                    .iter()
                    .all(|hir| lengths(std::slice::from_ref(hir)).1 == Some(0)) =>
                {
                    return Ok(None);
                }
                _ => return Err("the secret may be empty; write `+` instead of `*`".to_owned()),
            }
        }
        Ok(Some(Step::Settled(Self {
            before,
            secret,
            tail: None,
            ends: Ends::Longest,
            verify: None,
            all,
            after,
            chosen,
        })))
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
