//! Who calls, and may they? Every handler of a guarded route takes a [`May`] with what it wants to do,
//! so the check stands in its signature; a test calls every route of the OpenAPI document without the
//! right role.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::{header, request::Parts};
use chaperone_api::{ProblemCode as Code, Role, Token};

use super::problem::ApiError;
use crate::app::App;
use crate::clock;

/// Something that only some roles may do.
pub(crate) trait Permission: Send + Sync + 'static {
    /// The roles that may.
    const ROLES: &'static [Role];
}

macro_rules! permissions {
    ($( $(#[$doc:meta])* $name:ident: $($role:ident)+; )+) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub(crate) struct $name;
            impl Permission for $name {
                const ROLES: &'static [Role] = &[ $(Role::$role),+ ];
            }
        )+
    };
}

permissions! {
    /// The data plane.
    ActAsNode: Node;
    /// Versions, nodes, keys, connections, the filter's configuration.
    ReadState: Admin Policy Approver Auditor;
    /// Publishing, rolling back, refreshing keys.
    ChangePolicy: Admin Policy;
    /// The trail.
    ReadRecords: Admin Auditor;
    /// Questions and their answers.
    ReadApprovals: Admin Approver Auditor;
    /// Answering.
    AnswerApprovals: Admin Approver;
    /// Making and revoking tokens.
    ManageTokens: Admin;
}

/// The caller, who may do `P`.
#[derive(Debug)]
pub(crate) struct May<P> {
    pub(crate) token: Arc<Token>,
    permission: PhantomData<P>,
}

impl<P: Permission> FromRequestParts<Arc<App>> for May<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let token = authenticate(parts, app)?;
        if P::ROLES.contains(&token.role) {
            return Ok(Self {
                token,
                permission: PhantomData,
            });
        }
        let roles: Vec<&str> = P::ROLES.iter().map(|role| role.as_str()).collect();
        Err(ApiError::new(
            Code::RoleForbidden,
            format!(
                "This token is of role {}; this call wants {}.",
                token.role,
                roles.join(" or ")
            ),
        ))
    }
}

fn authenticate(parts: &Parts, app: &App) -> Result<Arc<Token>, ApiError> {
    let missing = |detail| ApiError::new(Code::TokenMissing, detail);
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let value = values
        .next()
        .ok_or_else(|| missing("Send `Authorization: Bearer …` with an API token."))?;
    if values.next().is_some() {
        return Err(missing("Send one Authorization header, not several."));
    }
    let secret = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, secret)| secret.trim())
        .filter(|secret| !secret.is_empty())
        .ok_or_else(|| missing("The Authorization header is not `Bearer …` with an API token."))?;
    app.tokens.find(secret, clock::now()).ok_or_else(|| {
        ApiError::new(
            Code::TokenInvalid,
            "The token is unknown here, expired or revoked.",
        )
    })
}
