//! Approvals: what is asked, and the answers of people.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chaperone_api::{
    Approval, ApprovalAnswer, ApprovalFilter, ApproveRequest, BodyShown, DenyRequest, Page, Paging,
    Problem, ProblemCode as Code,
};
use chaperone_engine::approval::{Answer, Conflict};

use crate::access::May;
use crate::access::permission::{AnswerApprovals, ReadApprovals};
use crate::app::App;
use crate::approvals::{AnswerError, ApprovalNow, ApprovalQuery, Given, Question, StoredApproval};
use crate::comment::Comment;
use crate::http::extract::{Body, List, Query, Segment};
use crate::http::problem::ApiError;
use crate::http::stream::{self, EventStream};

/// Approvals, newest first. Without bodies: one approval by its id has the beginning of its own.
#[utoipa::path(get, path = "/api/v1/approvals", tag = "approvals", params(ApprovalFilter, Paging), responses(
    (status = 200, body = Page<Approval>),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    may: May<ReadApprovals>,
    State(app): State<Arc<App>>,
    list: List<ApprovalFilter>,
) -> Result<Json<Page<Approval>>, ApiError> {
    let after = list.after("approvals")?;
    let query = asked(&list.filter);
    let found = app
        .approvals
        .list(&may, &query, after.as_ref(), list.fetch())
        .await?;
    let key = |found: &ApprovalNow| (found.stored.approval.asked_at.0, found.stored.id.clone());
    Ok(Json(list.page("approvals", found, key, listed)))
}

/// One approval.
#[utoipa::path(get, path = "/api/v1/approvals/{id}", tag = "approvals",
    params(("id" = String, Path, description = "As the agent was told")), responses(
    (status = 200, body = Approval),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    may: May<ReadApprovals>,
    State(app): State<Arc<App>>,
    Segment(id): Segment,
) -> Result<Json<Approval>, ApiError> {
    let found = app.approvals.read(&may, &id).await?;
    let found = found.ok_or_else(|| ApiError::not_found("approval", &id))?;
    Ok(Json(shown(found)))
}

/// Says yes. The request passes once as many people as the rule wants have said so.
#[utoipa::path(post, path = "/api/v1/approvals/{id}/approve", tag = "approvals", request_body = Option<ApproveRequest>,
    params(("id" = String, Path)), responses(
    (status = 200, description = "The answer counts", body = Approval),
    (status = 403, description = "`own_request` or `not_an_approver`", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "`approval_not_pending` or `already_answered`", body = Problem, content_type = "application/problem+json"),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn approve(
    may: May<AnswerApprovals>,
    State(app): State<Arc<App>>,
    Segment(id): Segment,
    Body(request): Body<ApproveRequest>,
) -> Result<Json<Approval>, ApiError> {
    let words = Comment::new(request.comment.as_deref().unwrap_or_default())?;
    answer(&app, &may, &id, Answer::Approve, words).await
}

/// Says no, with a reason that the agent is told.
#[utoipa::path(post, path = "/api/v1/approvals/{id}/deny", tag = "approvals", request_body = DenyRequest,
    params(("id" = String, Path)), responses(
    (status = 200, description = "The answer counts", body = Approval),
    (status = 403, description = "`not_an_approver`", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "`approval_not_pending`", body = Problem, content_type = "application/problem+json"),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn deny(
    may: May<AnswerApprovals>,
    State(app): State<Arc<App>>,
    Segment(id): Segment,
    Body(request): Body<DenyRequest>,
) -> Result<Json<Approval>, ApiError> {
    let reason = Comment::new(&request.reason)?;
    answer(&app, &may, &id, Answer::Deny, reason).await
}

/// Approvals as they change, as server-sent events: `approval` with an approval as it is then,
/// first for every question that is open, then each time that one is asked, answered, spent or runs
/// out, without its body; `missed` with a number when the client was too slow for so many.
#[utoipa::path(get, path = "/api/v1/approvals/watch", tag = "approvals", params(ApprovalFilter), responses(
    (status = 200, description = "A stream of `approval` events", body = Approval, content_type = "text/event-stream"),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn watch(
    may: May<ReadApprovals>,
    State(app): State<Arc<App>>,
    Query(filter): Query<ApprovalFilter>,
) -> Result<EventStream, ApiError> {
    // Before looking: what is asked after the look is in here.
    let news = app.approvals.subscribe(&may);
    let query = asked(&filter);
    let open = app.approvals.open(&may, &query).await?;
    let first = open
        .into_iter()
        .flat_map(|found| stream::event("approval", &listed(found)))
        .collect();
    let caller = Arc::clone(may.caller());
    let asker = Arc::new((may, query));
    Ok(stream::follow(
        app,
        caller,
        first,
        news,
        move |app: Arc<App>, id: String| {
            let asker = Arc::clone(&asker);
            async move {
                let (may, query) = &*asker;
                match app.approvals.show(may, &id).await {
                    Ok(Some(found)) if found.matches(query) => {
                        stream::event("approval", &listed(found))
                    }
                    Ok(_) => Vec::new(),
                    Err(error) => {
                        tracing::error!(%error, "a changed approval could not be read");
                        Vec::new()
                    }
                }
            }
        },
    ))
}

async fn answer(
    app: &App,
    may: &May<AnswerApprovals>,
    id: &str,
    answer: Answer,
    words: Option<Comment>,
) -> Result<Json<Approval>, ApiError> {
    let answered = app.approvals.answer(may, id, answer, words).await;
    answered.map(shown).map(Json).map_err(|error| match error {
        AnswerError::NoReason => {
            ApiError::new(Code::InvalidBody, "reason: say why; the agent is told.")
        }
        AnswerError::Unknown => ApiError::not_found("approval", id),
        AnswerError::Refused(conflict) => {
            let code = match conflict {
                Conflict::NotPending(_) => Code::NotPending,
                Conflict::OwnRequest => Code::OwnRequest,
                Conflict::NotAnApprover { .. } => Code::NotAnApprover,
                Conflict::AlreadyAnswered => Code::AlreadyAnswered,
            };
            ApiError::new(code, conflict.to_string())
        }
        AnswerError::Store(error) => error.into(),
    })
}

/// What the parameters of a list ask for.
fn asked(filter: &ApprovalFilter) -> ApprovalQuery {
    let ApprovalFilter {
        state,
        subject,
        connection,
        rule,
    } = filter.clone();
    ApprovalQuery {
        state,
        subject,
        connection,
        rule,
    }
}

/// An approval in a list.
fn listed(found: ApprovalNow) -> Approval {
    Approval {
        body: None,
        ..shown(found)
    }
}

/// An approval as clients see it.
fn shown(found: ApprovalNow) -> Approval {
    let ApprovalNow {
        stored,
        state,
        records,
    } = found;
    let StoredApproval {
        id,
        question,
        approval,
        answers,
        decided_at,
    } = stored;
    let Question {
        principal,
        connection,
        operation,
        request,
        content_type,
        body,
        rule,
        reason,
        terms,
        policy_version,
        digest,
        node,
        record,
    } = question;
    let answers = answers.into_iter().map(|given| {
        let Given {
            by,
            answer,
            comment,
            at,
        } = given;
        ApprovalAnswer {
            by,
            answer,
            comment,
            at,
        }
    });
    Approval {
        id,
        state,
        principal,
        connection,
        operation,
        request,
        content_type,
        body_shown: BodyShown::by(body.as_ref()),
        body,
        rule,
        reason,
        terms,
        policy_version,
        digest: digest.as_str().to_owned(),
        node,
        record: record.0,
        records,
        asked_at: approval.asked_at,
        expires_at: approval.expires_at(),
        decided_at,
        grant_ends_at: approval.grant_ends_at(),
        spent_by: approval.spent_by.map(|record| record.0),
        answers: answers.collect(),
    }
}
