//! From a document as written to a policy that may be published.
//!
//! Nothing here decides anything about requests: reading, checking, testing and compiling are the
//! engine's.

use chaperone_engine::policy::{
    CompiledPolicy, Draft, Policy, PolicyError, PolicyErrors, parse_draft, parse_published,
};

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Place in the document: `rules[2].match.groups`, `tests[0]`, or `line 4, column 7`; empty when
    /// it is the whole.
    pub(crate) place: String,
    /// What is wrong and what was expected.
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

/// A document that was read, checked and tested, and what its author should look at.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) policy: Policy,
    /// Sentences with their places.
    pub(super) warnings: Vec<String>,
}

/// Reads, checks and tests a document. One that `was_published` must only be enforceable.
///
/// # Errors
/// [`DocumentError`], with every fault that was found.
pub(super) fn checked(document: &str, was_published: bool) -> Result<Checked, DocumentError> {
    let invalid = |errors: PolicyErrors| DocumentError::Invalid(errors.iter().map(fault).collect());
    let read = if was_published {
        parse_published(document)
    } else {
        parse_draft(document)
    };
    let Draft { policy, warnings } = read.map_err(invalid)?;
    let compiled = CompiledPolicy::compile(policy.clone()).map_err(invalid)?;
    let failed: Vec<Fault> = compiled
        .run_tests()
        .iter()
        .filter(|outcome| !outcome.passed)
        .map(|outcome| Fault {
            place: format!("tests[{}]", outcome.index),
            message: outcome.to_string(),
        })
        .collect();
    if failed.is_empty() {
        let warnings = warnings.iter().map(PolicyError::to_string).collect();
        Ok(Checked { policy, warnings })
    } else {
        Err(DocumentError::TestsFailed(failed))
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
        let refused = checked(document, false);
        assert!(matches!(refused, Err(DocumentError::Invalid(faults)) if faults.len() == 1));
        let again = checked(document, true).unwrap();
        assert_eq!(again.warnings.len(), 1);
        assert!(again.warnings[0].starts_with("rules[0].match.groups[0]"));
    }
}
