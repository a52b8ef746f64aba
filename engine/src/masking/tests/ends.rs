//! Where a body ends at a secret that is blocked.

use super::{
    super::{Blocked, Content, Findings, Masker, Plan},
    key,
};
use proptest::{prelude::*, sample};
use std::sync::Arc;

/// What became of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) out: Vec<u8>,
    pub(super) blocked: Option<Blocked>,
    pub(super) findings: Findings,
}

/// Masks a body cut at `cuts`; also gives how much had left after each piece.
pub(super) fn ended(
    plan: &Arc<Plan>,
    content: &Content,
    body: &[u8],
    cuts: &[usize],
) -> (Ended, Vec<(usize, usize)>) {
    let mut masker = Masker::new(Arc::clone(plan), key(), content);
    let (mut out, mut left, mut from) = (Vec::new(), Vec::new(), 0);
    for &to in cuts.iter().chain([&body.len()]) {
        out.extend_from_slice(masker.push(&body[from..to]).as_bytes());
        left.push((to, out.len()));
        from = to;
    }
    out.extend_from_slice(masker.finish().as_bytes());
    let ended = Ended {
        out,
        blocked: masker.blocked().cloned(),
        findings: masker.findings().clone(),
    };
    (ended, left)
}

/// The places to cut at: none, each alone, and all.
fn cuts(at: &[sample::Index], length: usize) -> Vec<Vec<usize>> {
    let mut all: Vec<usize> = at.iter().map(|at| at.index(length + 1)).collect();
    all.sort_unstable();
    let each = all.iter().map(|at| vec![*at]);
    each.chain([vec![], all.clone()]).collect()
}

fn every(body: &[u8]) -> Vec<usize> {
    (1..body.len().max(1)).collect()
}

/// Checks a body cut at all of these places, at each of them alone, and at each byte: the same
/// leaves, is found and is named.
pub(super) fn ends_alike(
    plan: &Arc<Plan>,
    content: &Content,
    body: &[u8],
    at: &[sample::Index],
) -> Result<(), TestCaseError> {
    let (single, _) = ended(plan, content, body, &every(body));
    for cuts in cuts(at, body.len()) {
        let (other, _) = ended(plan, content, body, &cuts);
        let what = || format!("{}, cut at {cuts:?}", String::from_utf8_lossy(body));
        prop_assert_eq!(
            String::from_utf8_lossy(&other.out),
            String::from_utf8_lossy(&single.out),
            "{}",
            what()
        );
        prop_assert_eq!(&other, &single, "{}", what());
    }
    Ok(())
}

/// The same, and after each piece as much has left.
pub(super) fn waits_alike(
    plan: &Arc<Plan>,
    content: &Content,
    body: &[u8],
    at: &[sample::Index],
) -> Result<(), TestCaseError> {
    let (_, single) = ended(plan, content, body, &every(body));
    for cuts in cuts(at, body.len()) {
        let (_, left) = ended(plan, content, body, &cuts);
        for &(to, length) in left.iter().filter(|(to, _)| *to > 0) {
            let what = || format!("{}, cut at {cuts:?}", String::from_utf8_lossy(body));
            prop_assert_eq!((to, length), single[to - 1], "{}", what());
        }
    }
    ends_alike(plan, content, body, at)
}
