//! Secrets in the target of a request: its path and query.

use std::sync::Arc;

use crate::masking::{Content, Findings, FingerprintKey, Masker, Plan};
use crate::request::decode_unreserved;

/// What was found in a target.
#[derive(Debug)]
pub struct InTarget {
    /// Everything that was found: counted as reported if it passes.
    pub findings: Findings,
    /// The detector that blocks the request, if one does.
    pub blocked: Option<String>,
}

/// Looks for secrets in a target, as it came. Secrets there cannot be masked: the request would
/// then ask for something else. So a plan that blocks nothing does not look.
pub fn look_in_target(plan: &Arc<Plan>, key: FingerprintKey, target: &str) -> Option<InTarget> {
    if !plan.blocks() {
        return None;
    }
    let target = decode_unreserved(target);
    let mut masker = Masker::new(Arc::clone(plan), key, &Content::text());
    masker.push(target.as_bytes());
    masker.finish();
    let findings = masker.findings().clone();
    Some(match masker.blocked() {
        Some(blocked) => InTarget {
            findings,
            blocked: Some(blocked.detector.clone()),
        },
        None => InTarget {
            findings: findings.passed(),
            blocked: None,
        },
    })
}
