//! Errors on their way to the client, as `application/problem+json` (RFC 9457).
//!
//! What went wrong inside goes to the log; the client is told what it can act on and nothing else.
//! Each error of a service becomes a problem in one place: a `From` beside the handlers that call
//! the service, or here when several do.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chaperone_api::{NodeBehind, PolicyProblem, Problem, ProblemCode as Code};
use chaperone_engine::gate::MEDIA_TYPE;

use crate::store::{Fault, StoreError};

/// An error of a call. Boxed: errors are rare, and every answer would be as large as they are.
#[derive(Debug)]
pub(crate) struct ApiError(Box<Problem>, Option<Fault>);

impl ApiError {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(code, detail)), None)
    }

    pub(crate) fn with_errors(mut self, errors: Vec<PolicyProblem>) -> Self {
        self.0.errors = errors;
        self
    }

    pub(crate) fn with_nodes(mut self, nodes: Vec<NodeBehind>) -> Self {
        self.0.nodes = nodes;
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
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a call failed");
        Self::storage(error.fault(), "Try again when that is mended.")
    }
}

impl ApiError {
    /// The database has failed so. `next` says what to do, a sentence.
    pub(crate) fn storage(fault: Fault, next: &str) -> Self {
        let detail = format!("{}. {next}", capitalized(&fault.to_string()));
        Self(
            Box::new(Problem::new(Code::StorageUnavailable, detail)),
            Some(fault),
        )
    }
}

/// The words as the beginning of a sentence.
pub(crate) fn capitalized(words: &str) -> String {
    let mut chars = words.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars).collect()
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self(problem, fault) = self;
        let unauthorized = problem.status == 401;
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
        // For `observe`, which tells those who have to know.
        if let Some(fault) = fault {
            response.extensions_mut().insert(fault);
        }
        response
    }
}
