//! What a document can be enforced with, and was probably not meant.
//!
//! [`validate`](super::validate()) says what no gate could enforce, and runs in every filter. What
//! stands here is for whoever writes a document: a rule that no request can meet, a habit from
//! elsewhere that means something else here, a rule that another one makes idle. It runs where
//! documents are written and published, never in a filter. So it may learn more with every version,
//! and no filter that is upgraded refuses the policy that it has enforced until then.
//!
//! An *error* is what has no effect at all, or cannot be what was meant. A *warning* is what has
//! one that is easily mistaken for another. Each says what was probably meant.

mod callers;
mod deployments;
mod expressions;
mod findings;
mod issuers;
mod masking;
mod methods;
mod operations;
mod paths;
mod scope;
mod shadowed;
mod terms;

use self::expressions::Known;
pub(super) use self::findings::Strictness;
use self::findings::{Faulty, Findings, Written};
use self::scope::Scopes;
use super::document::Policy;
use super::error::{Faults, Place};

/// Looks at a policy with the faults that were found so far. Of a place that has one, nothing more
/// is said, and nothing that only follows from one.
pub(super) fn review(policy: &Policy, written: &Written<'_>, faults: &Faults) -> Findings {
    let mut found = Findings::beside(faults);
    let scopes = Scopes::of(policy, faults);
    let mut known = Known::default();
    let root = Place::default();
    for (index, issuer) in policy.issuers.iter().enumerate() {
        issuers::review(&root.key("issuers").index(index), issuer, &mut found);
    }
    for (index, rule) in policy.rules.iter().enumerate() {
        let place = root.key("rules").index(index);
        let wanted = place.key("match");
        callers::review(&place, rule, &mut found);
        methods::review(&wanted, rule, &mut found);
        paths::review(&place, rule, written, &mut found);
        operations::review(&place, rule, &scopes, &mut known, &mut found);
        terms::review(&place, rule, &mut found);
    }
    let Findings { errors, warnings } = found;
    let mut found = Findings {
        errors: errors.without_places_of(faults),
        warnings: warnings.without_places_of(faults),
    };
    let faulty = Faulty {
        faults,
        more: Some(&found.errors),
    };
    let mut warnings = Faults::beside(faults.unread());
    shadowed::review(policy, &scopes, &faulty, &mut warnings);
    masking::review(policy, &scopes, &faulty, &mut warnings);
    deployments::review(policy, &scopes, &faulty, &mut warnings);
    found.warnings.append(warnings.without_places_of(faults));
    found
}
