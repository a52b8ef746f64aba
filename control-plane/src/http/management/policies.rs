//! Policy versions: publish, list, show, roll back.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chaperone_api::{
    Page, Paging, PolicyProblem, Problem, ProblemCode as Code, PublishRequest, Published,
    RollbackRequest, Version, VersionDetail,
};

use super::nodes::behind;
use crate::access::May;
use crate::access::permission::{ChangePolicy, ReadState};
use crate::app::App;
use crate::comment::{Comment, InvalidComment};
use crate::http::extract::{Body, List, NoFilter, Segment};
use crate::http::problem::ApiError;
use crate::policies::{self, DocumentError, Fault, Notes, PublishError, SealError};

/// Policy versions, newest first.
#[utoipa::path(get, path = "/api/v1/policies", tag = "policies", params(Paging), responses(
    (status = 200, body = Page<Version>),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    may: May<ReadState>,
    State(app): State<Arc<App>>,
    list: List<NoFilter>,
) -> Result<Json<Page<Version>>, ApiError> {
    let versions = app
        .policies
        .versions(&may, list.after("policies")?, list.fetch())
        .await?;
    Ok(Json(list.page(
        "policies",
        versions,
        |version| version.version,
        wire,
    )))
}

/// Publishes a document as the next version, after its tests have passed. The very document that is
/// current already makes no new version.
#[utoipa::path(post, path = "/api/v1/policies", tag = "policies", request_body = PublishRequest, responses(
    (status = 201, description = "Published and in force", body = Published),
    (status = 200, description = "It is the current version already", body = Published),
    (status = 409, description = "`version_conflict`, or `unreadable_by_nodes` with the nodes", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "`policy_invalid` or `policy_tests_failed`, with places", body = Problem, content_type = "application/problem+json"),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn publish(
    may: May<ChangePolicy>,
    State(app): State<Arc<App>>,
    Body(request): Body<PublishRequest>,
) -> Result<Response, ApiError> {
    let PublishRequest {
        document,
        comment,
        expected_current,
        allow_unreadable,
    } = request;
    let notes = Notes {
        comment: Comment::new(comment.as_deref().unwrap_or_default())?,
        expected_current,
        allow_unreadable,
    };
    answer(app.policies.publish(&may, document, notes).await?)
}

/// One version with its document; `current` stands for the one in force.
#[utoipa::path(get, path = "/api/v1/policies/{version}", tag = "policies",
    params(("version" = String, Path, description = "A number, or `current`")), responses(
    (status = 200, body = VersionDetail),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    may: May<ReadState>,
    State(app): State<Arc<App>>,
    Segment(version): Segment,
) -> Result<Json<VersionDetail>, ApiError> {
    let unknown = || ApiError::not_found("policy version", &version);
    let number = match version.as_str() {
        "current" => None,
        number => Some(number.parse::<u64>().map_err(|_| unknown())?),
    };
    let stored = app
        .policies
        .version(&may, number)
        .await?
        .ok_or_else(unknown)?;
    let policy = serde_json::from_str(&stored.policy).map_err(|e| ApiError::internal(&e))?;
    Ok(Json(VersionDetail {
        version: wire(stored.version),
        document: stored.document,
        policy,
    }))
}

/// Publishes the content of an earlier version under a new number.
#[utoipa::path(post, path = "/api/v1/policies/{version}/rollback", tag = "policies", request_body = Option<RollbackRequest>,
    params(("version" = u64, Path, description = "The version to bring back")), responses(
    (status = 201, description = "Published and in force", body = Published),
    (status = 200, description = "It is the current version already", body = Published),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn roll_back(
    may: May<ChangePolicy>,
    State(app): State<Arc<App>>,
    Segment(version): Segment,
    Body(request): Body<RollbackRequest>,
) -> Result<Response, ApiError> {
    let number = version
        .parse::<u64>()
        .map_err(|_| ApiError::not_found("policy version", &version))?;
    let RollbackRequest {
        comment,
        expected_current,
        allow_unreadable,
    } = request;
    let notes = Notes {
        comment: Comment::new(comment.as_deref().unwrap_or_default())?,
        expected_current,
        allow_unreadable,
    };
    answer(app.policies.roll_back(&may, number, notes).await?)
}

fn answer(published: policies::Published) -> Result<Response, ApiError> {
    let policies::Published {
        version,
        unchanged,
        needs_revision,
        warnings,
    } = published;
    let status = if unchanged {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let published = Published {
        version: wire(version),
        unchanged,
        needs_revision,
        warnings,
    };
    Ok((status, Json(published)).into_response())
}

fn wire(version: policies::Version) -> Version {
    let policies::Version {
        version,
        digest,
        bundle_digest,
        published_at,
        published_by,
        comment,
        rollback_of,
        current,
    } = version;
    Version {
        version,
        digest,
        bundle_digest,
        published_at,
        published_by,
        comment,
        rollback_of,
        current,
    }
}

fn problems(faults: Vec<Fault>) -> Vec<PolicyProblem> {
    faults
        .into_iter()
        .map(|Fault { place, message }| PolicyProblem { place, message })
        .collect()
}

fn invalid(errors: Vec<PolicyProblem>) -> ApiError {
    let count = errors.len();
    let detail = format!("The document has {count} fault(s); nothing was published.");
    ApiError::new(Code::PolicyInvalid, detail).with_errors(errors)
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Document(DocumentError::Invalid(faults)) => invalid(problems(faults)),
            PublishError::Document(DocumentError::TestsFailed(faults)) => {
                let count = faults.len();
                let detail =
                    format!("{count} test(s) of the document fail; nothing was published.");
                Self::new(Code::PolicyTestsFailed, detail).with_errors(problems(faults))
            }
            PublishError::Seal(SealError::NotForNodes(message)) => invalid(vec![PolicyProblem {
                place: String::new(),
                message,
            }]),
            PublishError::Seal(error @ SealError::Failed(_)) => Self::internal(&error),
            PublishError::Conflict { current } => Self::new(
                Code::VersionConflict,
                format!("The current version is {current}; look at it and publish on top of it."),
            ),
            PublishError::Unreadable(unreadable) => {
                const NAMED: usize = 100;
                // Without the name of a member: the command line has a flag for it.
                let ways = match unreadable.nodes.len() {
                    1 => {
                        "Upgrade its filter, or allow that it stays behind: it then keeps the \
                         version that it enforces."
                    }
                    _ => {
                        "Upgrade their filters, or allow that they stay behind: they then keep the \
                         versions that they enforce."
                    }
                };
                let detail = format!("{unreadable}; nothing was published. {ways}");
                let named = unreadable.nodes.into_iter().take(NAMED);
                Self::new(Code::UnreadableByNodes, detail).with_nodes(named.map(behind).collect())
            }
            PublishError::NoSuchVersion { version } => {
                Self::not_found("policy version", &version.to_string())
            }
            PublishError::Store(error) => error.into(),
        }
    }
}

impl From<InvalidComment> for ApiError {
    fn from(error: InvalidComment) -> Self {
        Self::new(Code::InvalidBody, format!("comment: {error}."))
    }
}
