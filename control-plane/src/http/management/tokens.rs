//! API tokens.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chaperone_api::{CreatedToken, NewToken, Page, Paging, Problem, ProblemCode as Code, Token};

use crate::access::{Revoked, TokenError};
use crate::app::App;
use crate::http::auth::{ManageTokens, May, ReadState};
use crate::http::extract::{Body, List, NoFilter, Segment};
use crate::http::problem::ApiError;

/// Live tokens without their secrets, newest first.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", params(Paging), responses(
    (status = 200, body = Page<Token>),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    _may: May<ManageTokens>,
    State(app): State<Arc<App>>,
    list: List<NoFilter>,
) -> Result<Json<Page<Token>>, ApiError> {
    let after = list.after("tokens")?;
    let found = app.storage.tokens(after.as_ref(), list.fetch()).await?;
    let key = |token: &Token| (token.created_at.0, token.id.clone());
    Ok(Json(list.page("tokens", found, key, |token| token)))
}

/// Makes a token. Its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", responses(
    (status = 201, body = CreatedToken),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    may: May<ManageTokens>,
    State(app): State<Arc<App>>,
    Body(new): Body<NewToken>,
) -> Result<Response, ApiError> {
    let (token, secret) = app.tokens.create(new).await.map_err(|error| match error {
        TokenError::Invalid(why) => ApiError::new(Code::InvalidBody, format!("{why}.")),
        TokenError::Failed(error) => ApiError::internal(&error),
    })?;
    tracing::info!(token = token.id, role = %token.role, by = may.token.subject, "a token was made");
    let created = CreatedToken {
        token,
        secret: secret.as_str().to_owned(),
    };
    let headers = [(header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, headers, Json(created)).into_response())
}

/// Revokes a token, at once and for good.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "tokens",
    params(("id" = String, Path, description = "Its id, not its secret")), responses(
    (status = 204, description = "Revoked"),
    (status = 409, description = "`last_admin`", body = Problem, content_type = "application/problem+json"),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn revoke(
    may: May<ManageTokens>,
    State(app): State<Arc<App>>,
    Segment(id): Segment,
) -> Result<StatusCode, ApiError> {
    match app.tokens.revoke(&id).await? {
        Revoked::Done => {}
        Revoked::Unknown => return Err(ApiError::not_found("token", &id)),
        Revoked::LastAdmin => {
            let detail = "This is the last lasting token of role admin; make another one first.";
            return Err(ApiError::new(Code::LastAdmin, detail));
        }
    }
    tracing::info!(token = id, by = may.token.subject, "a token was revoked");
    Ok(StatusCode::NO_CONTENT)
}

/// The caller's own token, without its secret.
#[utoipa::path(get, path = "/api/v1/whoami", tag = "tokens", responses(
    (status = 200, body = Token),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn whoami(may: May<ReadState>) -> Json<Token> {
    Json(Token::clone(&may.token))
}
