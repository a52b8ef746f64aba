//! Approvals: what is asked, and the answers of people.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chaperone_api::{
    Approval, ApprovalFilter, ApproveRequest, DenyRequest, Page, Paging, Problem,
    ProblemCode as Code,
};
use chaperone_engine::approval::{Answer, Conflict};

use crate::access::permission::{AnswerApprovals, ReadApprovals};
use crate::access::{Caller, May};
use crate::app::App;
use crate::clock;
use crate::comment::Comment;
use crate::http::extract::{Body, List, Query, Segment};
use crate::http::problem::ApiError;
use crate::http::stream::{self, EventStream};
use crate::metrics::OutcomeLabel;
use crate::storage::sqlite::approvals::Answered;

/// Open questions that a new watcher is told at once, at most.
const FIRST: u32 = 500;

/// Approvals, newest first.
#[utoipa::path(get, path = "/api/v1/approvals", tag = "approvals", params(ApprovalFilter, Paging), responses(
    (status = 200, body = Page<Approval>),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    _may: May<ReadApprovals>,
    State(app): State<Arc<App>>,
    list: List<ApprovalFilter>,
) -> Result<Json<Page<Approval>>, ApiError> {
    let after = list.after("approvals")?;
    let found = app
        .storage
        .approvals(&list.filter, after.as_ref(), list.fetch(), clock::now())
        .await?;
    let key = |approval: &Approval| (approval.asked_at.0, approval.id.clone());
    Ok(Json(
        list.page("approvals", found, key, |approval| approval),
    ))
}

/// One approval.
#[utoipa::path(get, path = "/api/v1/approvals/{id}", tag = "approvals",
    params(("id" = String, Path, description = "As the agent was told")), responses(
    (status = 200, body = Approval),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    _may: May<ReadApprovals>,
    State(app): State<Arc<App>>,
    Segment(id): Segment,
) -> Result<Json<Approval>, ApiError> {
    read(&app, &id).await.map(Json)
}

/// Says yes. The request passes once as many people as the rule wants have said so.
#[utoipa::path(post, path = "/api/v1/approvals/{id}/approve", tag = "approvals",
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
    answer(&app, &id, Answer::Approve, may.caller(), words).await
}

/// Says no, with a reason that the agent is told.
#[utoipa::path(post, path = "/api/v1/approvals/{id}/deny", tag = "approvals",
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
    let Some(reason) = Comment::new(&request.reason)? else {
        return Err(ApiError::new(
            Code::InvalidBody,
            "reason: say why; the agent is told.",
        ));
    };
    answer(&app, &id, Answer::Deny, may.caller(), Some(reason)).await
}

/// Approvals as they change, as server-sent events: `approval` with an approval as it is then, first
/// for every question that is open, then each time that one is asked, answered, spent or runs out;
/// `missed` with a number when the client was too slow for so many.
#[utoipa::path(get, path = "/api/v1/approvals/watch", tag = "approvals", params(ApprovalFilter), responses(
    (status = 200, description = "A stream of `approval` events", body = Approval, content_type = "text/event-stream"),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn watch(
    may: May<ReadApprovals>,
    State(app): State<Arc<App>>,
    Query(filter): Query<ApprovalFilter>,
) -> Result<EventStream, ApiError> {
    // Before looking: what is asked after the look is in here.
    let news = app.approvals_changed.subscribe();
    let open = ApprovalFilter {
        state: Some(chaperone_engine::approval::ApprovalState::Pending),
        ..filter.clone()
    };
    let first = if filter.state.is_none_or(|state| Some(state) == open.state) {
        let open = app
            .storage
            .approvals(&open, None, FIRST, clock::now())
            .await?;
        // Oldest first, as if they came now.
        open.iter()
            .rev()
            .flat_map(|approval| stream::event("approval", approval))
            .collect()
    } else {
        Vec::new()
    };
    Ok(stream::follow(
        app,
        Arc::clone(may.caller()),
        first,
        news,
        move |app: Arc<App>, id: String| {
            let filter = filter.clone();
            async move {
                match app.storage.approval(&id, clock::now()).await {
                    Ok(Some(approval)) if passes(&filter, &approval) => {
                        stream::event("approval", &approval)
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

fn passes(filter: &ApprovalFilter, approval: &Approval) -> bool {
    let equal = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
    filter.state.is_none_or(|state| state == approval.state)
        && equal(&filter.subject, &approval.principal.subject)
        && equal(&filter.connection, &approval.connection)
        && equal(&filter.rule, &approval.rule)
}

async fn read(app: &App, id: &str) -> Result<Approval, ApiError> {
    let found = app.storage.approval(id, clock::now()).await?;
    found.ok_or_else(|| ApiError::not_found("approval", id))
}

async fn answer(
    app: &App,
    id: &str,
    answer: Answer,
    caller: &Caller,
    words: Option<Comment>,
) -> Result<Json<Approval>, ApiError> {
    let answered = app
        .storage
        .answer(
            id,
            answer,
            caller.identity(),
            words.as_ref().map(Comment::as_str),
            clock::now(),
        )
        .await?;
    let count = |outcome| {
        app.metrics
            .answers
            .get_or_create(&OutcomeLabel { outcome })
            .inc()
    };
    match answered {
        Answered::Done => {
            count(match answer {
                Answer::Approve => "approve",
                Answer::Deny => "deny",
            });
            tracing::info!(
                approval = id,
                by = caller.identity().subject,
                ?answer,
                "an approval was answered"
            );
            // Nobody listening is not an error.
            drop(app.approvals_changed.send(id.to_owned()));
            read(app, id).await.map(Json)
        }
        Answered::Unknown => Err(ApiError::not_found("approval", id)),
        Answered::Refused(conflict) => {
            count("refused");
            let code = match conflict {
                Conflict::NotPending(_) => Code::NotPending,
                Conflict::OwnRequest => Code::OwnRequest,
                Conflict::NotAnApprover { .. } => Code::NotAnApprover,
                Conflict::AlreadyAnswered => Code::AlreadyAnswered,
            };
            Err(ApiError::new(code, conflict.to_string()))
        }
    }
}
