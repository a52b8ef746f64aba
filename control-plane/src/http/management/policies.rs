//! Policy versions: publish, list, show, roll back.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chaperone_api::{
    Page, Paging, Problem, ProblemCode as Code, PublishRequest, Published, RollbackRequest,
    Version, VersionDetail,
};

use crate::access::May;
use crate::access::permission::{ChangePolicy, ReadState};
use crate::app::App;
use crate::http::extract::{Body, List, NoFilter, Segment};
use crate::http::problem::ApiError;
use crate::policies::{Author, PublishError};

/// Policy versions, newest first.
#[utoipa::path(get, path = "/api/v1/policies", tag = "policies", params(Paging), responses(
    (status = 200, body = Page<Version>),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    _may: May<ReadState>,
    State(app): State<Arc<App>>,
    list: List<NoFilter>,
) -> Result<Json<Page<Version>>, ApiError> {
    let versions = app
        .storage
        .versions(list.after("policies")?, list.fetch())
        .await?;
    Ok(Json(list.page(
        "policies",
        versions,
        |version| version.version,
        |version| version,
    )))
}

/// Publishes a document as the next version, after its tests have passed. The very document that is
/// current already makes no new version.
#[utoipa::path(post, path = "/api/v1/policies", tag = "policies", responses(
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
    let author = Author {
        subject: &may.caller().identity().subject,
        comment: comment(request.comment)?,
        expected_current: request.expected_current,
        allow_unreadable: request.allow_unreadable,
    };
    let live_since = app.stale_before();
    let published = app.versions.publish(request.document, author, live_since);
    answer(published.await)
}

/// One version with its document; `current` stands for the one in force.
#[utoipa::path(get, path = "/api/v1/policies/{version}", tag = "policies",
    params(("version" = String, Path, description = "A number, or `current`")), responses(
    (status = 200, body = VersionDetail),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    _may: May<ReadState>,
    State(app): State<Arc<App>>,
    Segment(version): Segment,
) -> Result<Json<VersionDetail>, ApiError> {
    let unknown = || ApiError::not_found("policy version", &version);
    let number = match version.as_str() {
        "current" => None,
        number => Some(number.parse::<u64>().map_err(|_| unknown())?),
    };
    let stored = app.storage.version(number).await?.ok_or_else(unknown)?;
    let policy = serde_json::from_str(&stored.policy).map_err(|e| ApiError::internal(&e))?;
    Ok(Json(VersionDetail {
        version: stored.version,
        document: stored.document,
        policy,
    }))
}

/// Publishes the content of an earlier version under a new number.
#[utoipa::path(post, path = "/api/v1/policies/{version}/rollback", tag = "policies",
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
    let unknown = || ApiError::not_found("policy version", &version);
    let number = version.parse::<u64>().map_err(|_| unknown())?;
    let author = Author {
        subject: &may.caller().identity().subject,
        comment: comment(request.comment)?,
        expected_current: request.expected_current,
        allow_unreadable: request.allow_unreadable,
    };
    let live_since = app.stale_before();
    match app.versions.roll_back(number, author, live_since).await {
        Err(PublishError::NoSuchVersion) => Err(unknown()),
        result => answer(result),
    }
}

fn answer(result: Result<Published, PublishError>) -> Result<Response, ApiError> {
    let published = result.map_err(|error| match error {
        PublishError::Invalid(errors) => {
            let count = errors.len();
            let detail = format!("The document has {count} fault(s); nothing was published.");
            ApiError::new(Code::PolicyInvalid, detail).with_errors(errors)
        }
        PublishError::TestsFailed(errors) => {
            let count = errors.len();
            let detail = format!("{count} test(s) of the document fail; nothing was published.");
            ApiError::new(Code::PolicyTestsFailed, detail).with_errors(errors)
        }
        PublishError::Conflict { current } => ApiError::new(
            Code::VersionConflict,
            format!("The current version is {current}; look at it and publish on top of it."),
        ),
        PublishError::Unreadable(unreadable) => {
            const NAMED: usize = 100;
            let detail = format!(
                "{unreadable}; nothing was published. Upgrade their filters, or publish with `allow_unreadable`: they then \
                 keep the version that they enforce."
            );
            let mut nodes = unreadable.nodes;
            nodes.truncate(NAMED);
            ApiError::new(Code::UnreadableByNodes, detail).with_nodes(nodes)
        }
        PublishError::NoSuchVersion => ApiError::not_found("policy version", ""),
        PublishError::Storage(error) => error.into(),
        PublishError::Internal(error) => ApiError::internal(&error),
    })?;
    let status = if published.unchanged {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok((status, Json(published)).into_response())
}

/// People's words are kept for good and shown in terminals.
pub(crate) fn comment(text: Option<String>) -> Result<Option<String>, ApiError> {
    const MAX: usize = 1000;
    let Some(text) = text else { return Ok(None) };
    let text = text.trim().to_owned();
    if text.chars().count() > MAX || text.chars().any(|c| c.is_control() && c != '\n') {
        let detail = format!("comment: at most {MAX} characters, none of them control characters.");
        return Err(ApiError::new(Code::InvalidBody, detail));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}
