//! From a document as written to a policy that may be published.
//!
//! Nothing here decides anything about requests: reading, checking, testing and compiling are the
//! engine's.

use chaperone_engine::policy::{CompiledPolicy, Policy, PolicyErrors};

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

/// A document that was read, checked and tested.
///
/// # Errors
/// [`DocumentError`], with every fault that was found.
pub(super) fn checked(document: &str) -> Result<Policy, DocumentError> {
    let invalid = |errors: PolicyErrors| DocumentError::Invalid(faults(&errors));
    let policy = chaperone_engine::policy::parse(document).map_err(invalid)?;
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
        Ok(policy)
    } else {
        Err(DocumentError::TestsFailed(failed))
    }
}

fn faults(errors: &PolicyErrors) -> Vec<Fault> {
    errors
        .iter()
        .map(|error| {
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
        })
        .collect()
}
