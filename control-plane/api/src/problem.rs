//! Errors as the API shows them: `application/problem+json` (RFC 9457).
//!
//! One table gives every code its status and title.

use chaperone_engine::gate::problem_type;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{NodeBehind, PolicyProblem};

macro_rules! codes {
    ($( $variant:ident = $name:literal, $status:literal, $title:literal; )+) => {
        /// Every kind of error of the API. Names are part of the interface.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ProblemCode { $( #[doc = $title] $variant, )+ }

        impl ProblemCode {
            /// All codes.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// As in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// HTTP status.
            pub const fn status(self) -> u16 {
                match self { $( Self::$variant => $status, )+ }
            }

            /// The kind of problem in a few words, the same each time.
            pub const fn title(self) -> &'static str {
                match self { $( Self::$variant => $title, )+ }
            }
        }
    };
}

codes! {
    TokenMissing = "token_missing", 401, "The call carries no API token.";
    TokenInvalid = "token_invalid", 401, "The API token is not valid.";
    RoleForbidden = "role_forbidden", 403, "The token's role does not allow this.";
    CertificateMissing = "certificate_missing", 403, "The connection shows no client certificate.";
    NotFound = "not_found", 404, "There is no such thing here.";
    MethodNotAllowed = "method_not_allowed", 405, "The path does not know this method.";
    InvalidBody = "invalid_body", 400, "The body cannot be read.";
    InvalidQuery = "invalid_query", 400, "A query parameter cannot be read.";
    InvalidCursor = "invalid_cursor", 400, "The cursor is none of this list.";
    BodyTimeout = "body_timeout", 408, "The body took too long to come.";
    BodyTooLarge = "body_too_large", 413, "The body is too large.";
    PolicyInvalid = "policy_invalid", 422, "The policy document is not valid.";
    PolicyTestsFailed = "policy_tests_failed", 422, "Tests in the policy document fail.";
    VersionConflict = "version_conflict", 409, "Another version was published meanwhile.";
    UnreadableByNodes = "unreadable_by_nodes", 409, "Live nodes cannot read the document.";
    UnpinnedByNodes = "unpinned_by_nodes", 409, "Live nodes do not pin the next signing key.";
    LastAdmin = "last_admin", 409, "Nobody could administer any more.";
    NotPending = "approval_not_pending", 409, "The approval is decided already.";
    AlreadyAnswered = "already_answered", 409, "You have answered already.";
    OwnRequest = "own_request", 403, "Nobody approves their own request.";
    NotAnApprover = "not_an_approver", 403, "You are in none of the approving groups.";
    StorageUnavailable = "storage_unavailable", 503, "The database cannot be used right now.";
    Internal = "internal", 500, "Something went wrong inside the control plane.";
}

/// An error: `application/problem+json` (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Names the kind of problem; `urn:chaperone:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in a few words, the same each time.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What went wrong this time and what to do, in a sentence.
    pub detail: String,
    /// Stable name of the kind of problem, for programs.
    pub code: String,
    /// Places in the request or in the policy document, where there are several to name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<PolicyProblem>,
    /// With `unreadable_by_nodes` and `unpinned_by_nodes`: which nodes. At most 100 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeBehind>,
}

impl Problem {
    /// A problem of this kind; `detail` says what went wrong this time, and what to do.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            kind: problem_type(code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code: code.as_str().to_owned(),
            errors: Vec::new(),
            nodes: Vec::new(),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_titles_are_sentences() {
        let names: BTreeSet<_> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), ProblemCode::ALL.len());
        for code in ProblemCode::ALL {
            assert!(code.title().ends_with('.'), "{}", code.title());
            assert!((400..600).contains(&code.status()));
        }
    }

    #[test]
    fn every_code_and_its_status_is_documented() {
        let document = include_str!("../../../docs/control-plane.md");
        for code in ProblemCode::ALL {
            let (name, status) = (format!("`{}`", code.as_str()), code.status());
            let row = document
                .lines()
                .find(|line| line.starts_with('|') && line.contains(&name));
            assert!(
                row.is_some_and(|row| row.contains(&format!("| {status} |"))),
                "docs/control-plane.md does not say that {name} is {status}"
            );
        }
    }
}
