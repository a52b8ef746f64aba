//! API tokens.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chaperone_api::{
    CreatedToken, NewToken, Page, Paging, Problem, ProblemCode as Code, Role, Token,
};

use crate::access::permission::{ManageTokens, ReadState};
use crate::access::{self, ApiToken, CreateError, Credential, May, RevokeError};
use crate::app::App;
use crate::http::extract::{Body, List, NoFilter, Segment};
use crate::http::problem::ApiError;

/// Tokens without their secrets, newest first. A revoked one stays listed.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", params(Paging), responses(
    (status = 200, body = Page<Token>),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    may: May<ManageTokens>,
    State(app): State<Arc<App>>,
    list: List<NoFilter>,
) -> Result<Json<Page<Token>>, ApiError> {
    let after = list.after("tokens")?;
    let found = app
        .access
        .tokens(&may, after.as_ref(), list.fetch())
        .await?;
    let key = |token: &ApiToken| (token.created_at.0, token.id.clone());
    Ok(Json(list.page("tokens", found, key, wire)))
}

/// Makes a token. Its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", request_body = NewToken, responses(
    (status = 201, body = CreatedToken),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    may: May<ManageTokens>,
    State(app): State<Arc<App>>,
    Body(new): Body<NewToken>,
) -> Result<Response, ApiError> {
    let NewToken {
        name,
        subject,
        groups,
        role,
        ttl_seconds,
    } = new;
    let new = access::NewToken {
        name,
        subject,
        groups,
        role: role_asked(role),
        ttl_seconds,
    };
    let (token, secret) = app.access.create(&may, new).await?;
    let created = CreatedToken {
        token: wire(token),
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
    app.access.revoke(&may, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The caller's own token, without its secret.
#[utoipa::path(get, path = "/api/v1/whoami", tag = "tokens", responses(
    (status = 200, body = Token),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn whoami(may: May<ReadState>) -> Json<Token> {
    let Credential::Token(token) = may.caller().credential();
    Json(wire(token.clone()))
}

fn wire(token: ApiToken) -> Token {
    let ApiToken {
        id,
        name,
        identity: access::Identity { subject, groups },
        role,
        created_at,
        expires_at,
        revoked_at,
    } = token;
    Token {
        id,
        name,
        subject,
        groups,
        role: role_shown(role),
        created_at,
        expires_at,
        revoked_at,
    }
}

const fn role_asked(role: Role) -> access::Role {
    match role {
        Role::Admin => access::Role::Admin,
        Role::Policy => access::Role::Policy,
        Role::Approver => access::Role::Approver,
        Role::Auditor => access::Role::Auditor,
        Role::Node => access::Role::Node,
    }
}

const fn role_shown(role: access::Role) -> Role {
    match role {
        access::Role::Admin => Role::Admin,
        access::Role::Policy => Role::Policy,
        access::Role::Approver => Role::Approver,
        access::Role::Auditor => Role::Auditor,
        access::Role::Node => Role::Node,
    }
}

impl From<CreateError> for ApiError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Invalid { .. } => Self::new(Code::InvalidBody, format!("{error}.")),
            CreateError::Randomness(_) => Self::internal(&error),
            CreateError::Store(error) => error.into(),
        }
    }
}

impl From<RevokeError> for ApiError {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::Unknown { id } => Self::not_found("token", &id),
            RevokeError::LastAdmin => Self::new(
                Code::LastAdmin,
                "This is the last lasting token of role admin; make another one first.",
            ),
            RevokeError::Store(error) => error.into(),
        }
    }
}
