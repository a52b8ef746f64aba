//! Errors as `application/problem+json` (RFC 9457).
//!
//! One table gives every code its status and title. What went wrong inside goes to the log, with the
//! code; the client is told what it can act on and nothing else.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chaperone_engine::gate::{MEDIA_TYPE, problem_type};

use super::types::{PolicyProblem, Problem};
use crate::storage::StorageError;

macro_rules! codes {
    ($( $variant:ident = $name:literal, $status:literal, $title:literal; )+) => {
        /// Every kind of error of the API. Names are part of the interface.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code { $( $variant, )+ }

        impl Code {
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            pub(crate) const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            const fn status(self) -> u16 {
                match self { $( Self::$variant => $status, )+ }
            }

            const fn title(self) -> &'static str {
                match self { $( Self::$variant => $title, )+ }
            }
        }
    };
}

codes! {
    TokenMissing = "token_missing", 401, "The call carries no API token.";
    TokenInvalid = "token_invalid", 401, "The API token is not valid.";
    RoleForbidden = "role_forbidden", 403, "The token's role does not allow this.";
    NotFound = "not_found", 404, "There is no such thing here.";
    MethodNotAllowed = "method_not_allowed", 405, "The path does not know this method.";
    InvalidBody = "invalid_body", 400, "The body cannot be read.";
    InvalidQuery = "invalid_query", 400, "A query parameter cannot be read.";
    InvalidCursor = "invalid_cursor", 400, "The cursor is none of this list.";
    BodyTooLarge = "body_too_large", 413, "The body is too large.";
    PolicyInvalid = "policy_invalid", 422, "The policy document is not valid.";
    PolicyTestsFailed = "policy_tests_failed", 422, "Tests in the policy document fail.";
    VersionConflict = "version_conflict", 409, "Another version was published meanwhile.";
    LastAdmin = "last_admin", 409, "Nobody could administer any more.";
    NotPending = "approval_not_pending", 409, "The approval is decided already.";
    AlreadyAnswered = "already_answered", 409, "You have answered already.";
    OwnRequest = "own_request", 403, "Nobody approves their own request.";
    NotAnApprover = "not_an_approver", 403, "You are in none of the approving groups.";
    StorageUnavailable = "storage_unavailable", 503, "The database cannot be used right now.";
    Internal = "internal", 500, "Something went wrong inside the control plane.";
}

/// An error on its way to the client.
#[derive(Debug)]
pub(crate) struct ApiError {
    code: Code,
    detail: String,
    errors: Vec<PolicyProblem>,
}

impl ApiError {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    pub(crate) fn with_errors(mut self, errors: Vec<PolicyProblem>) -> Self {
        self.errors = errors;
        self
    }

    pub(crate) fn not_found(what: &str, id: &str) -> Self {
        let id: String = id.chars().take(100).collect();
        Self::new(Code::NotFound, format!("There is no {what} {id:?}."))
    }

    /// A fault of ours: the cause goes to the log only.
    pub(crate) fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a call failed");
        Self::new(Code::Internal, "The control plane's log says more.")
    }

    /// The body that the client gets.
    fn problem(self) -> Problem {
        Problem {
            kind: problem_type(self.code.as_str()),
            title: self.code.title().to_owned(),
            status: self.code.status(),
            detail: self.detail,
            code: self.code.as_str().to_owned(),
            errors: self.errors,
        }
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        tracing::error!(%error, "a call failed");
        Self::new(
            Code::StorageUnavailable,
            "The database did not take or give what was needed; try again, and see the control \
             plane's log.",
        )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let unauthorized = self.code.status() == 401;
        let problem = self.problem();
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        if unauthorized {
            // RFC 9110 §11.6.1: a 401 says how to authenticate.
            let challenge = HeaderValue::from_static("Bearer realm=\"chaperone\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_titles_are_sentences() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(code.title().ends_with('.'), "{}", code.title());
            assert!((400..600).contains(&code.status()));
        }
    }

    #[test]
    fn every_code_and_its_status_is_documented() {
        let document = include_str!("../../../docs/control-plane.md");
        for code in Code::ALL {
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
