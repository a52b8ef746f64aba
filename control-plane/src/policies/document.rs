//! From a document as written to a policy that may be published.
//!
//! Nothing here decides anything about requests: reading, checking, testing and compiling are the
//! engine's.

use chaperone_engine::gate::Gate;
use chaperone_engine::policy::{Policy, PolicyError, PolicyErrors, parse_draft, parse_published};

use super::seal::{self, SealError};

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Place in the document: `rules[2].match.groups`, `tests[0]`, or `line 4, column 7`; empty
    /// when it is the whole.
    pub(crate) place: String,
    /// Says the mistake, and the words that were expected there.
    pub(crate) message: String,
}

/// Why a document cannot be published.
#[derive(Debug)]
pub(crate) enum DocumentError {
    /// It has faults.
    Invalid(Vec<Fault>),
    /// Tests in it fail.
    TestsFailed(Vec<Fault>),
}

/// A document that was read, checked, tested and compiled.
#[derive(Debug)]
pub(super) struct Draft {
    /// The document as it came.
    pub(super) document: String,
    /// The document as a policy.
    pub(super) policy: Policy,
    /// The same, compiled, without keys.
    pub(super) gate: Gate,
    /// Sentences that its author should look at, with their places.
    pub(super) warnings: Vec<String>,
}

/// Reads, checks, tests and compiles a document. One that `was_published` must only be enforceable.
/// `before` is the gate of the policy in force, whose detectors are taken over where they are the
/// same.
///
/// This takes seconds where there are many detectors.
///
/// # Errors
/// [`DraftError`], with every fault that was found.
pub(super) fn draft(
    document: String,
    was_published: bool,
    before: Option<&Gate>,
) -> Result<Draft, DraftError> {
    let invalid = |errors: PolicyErrors| DocumentError::Invalid(errors.iter().map(fault).collect());
    let known = before.map(|before| &**before.policy().policy());
    let read = if was_published {
        parse_published(&document, known)
    } else {
        parse_draft(&document, known)
    };
    let read = read.map_err(invalid)?;
    let (policy, warnings) = (read.policy, read.warnings);
    let gate = seal::gate(seal::unsigned(policy.clone()), before)?;
    let failed: Vec<Fault> = gate
        .policy()
        .run_tests()
        .iter()
        .filter(|outcome| !outcome.passed)
        .map(|outcome| Fault {
            place: format!("tests[{}]", outcome.index),
            message: outcome.to_string(),
        })
        .collect();
    if !failed.is_empty() {
        return Err(DocumentError::TestsFailed(failed).into());
    }
    Ok(Draft {
        document,
        policy,
        gate,
        warnings: warnings.iter().map(PolicyError::to_string).collect(),
    })
}

/// Why no draft was made.
#[derive(Debug)]
pub(super) enum DraftError {
    /// The document cannot be published.
    Document(DocumentError),
    /// Nodes could not enforce it.
    Seal(SealError),
}

impl From<DocumentError> for DraftError {
    fn from(error: DocumentError) -> Self {
        Self::Document(error)
    }
}

impl From<SealError> for DraftError {
    fn from(error: SealError) -> Self {
        Self::Seal(error)
    }
}

fn fault(error: &PolicyError) -> Fault {
    let path = error.path.to_string();
    let place = match error.position {
        Some(at) if path.is_empty() => format!("line {}, column {}", at.line, at.column),
        Some(at) => format!("{path} (line {}, column {})", at.line, at.column),
        None => path,
    };
    Fault {
        place,
        message: error.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody who has to go back in a hurry needs the policy that worked, and nothing else.
    #[test]
    fn a_version_that_was_published_once_is_not_refused_for_what_was_learnt_since() {
        let document = r#"
            apiVersion: chaperone/v1
            issuers: [{ issuer: "https://issuer.example", audiences: [chaperone] }]
            connections: [{ name: a, hosts: [a.example], protocol: http }]
            rules: [{ name: r, match: { groups: ["dev-*"] }, effect: deny }]
        "#;
        let refused = draft(document.to_owned(), false, None);
        assert!(matches!(
            refused,
            Err(DraftError::Document(DocumentError::Invalid(faults))) if faults.len() == 1
        ));
        let again = draft(document.to_owned(), true, None).unwrap();
        assert_eq!(again.warnings.len(), 1);
        assert!(again.warnings[0].starts_with("rules[0].match.groups[0]"));
    }
}
