//! Who calls? Every handler of a guarded route takes a [`May`] with what it wants to do, so the
//! check stands in its signature; a test calls every route of the OpenAPI document without the
//! right role. What each role may do is [`crate::access::permission`]'s to say.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::{header, request::Parts};
use chaperone_api::ProblemCode as Code;

use super::connections::{Certificate, Peer};
use super::problem::ApiError;
use crate::access::{Caller, Forbidden, May, Permission, Role};
use crate::app::App;
use crate::clock;

impl<P: Permission> FromRequestParts<Arc<App>> for May<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        Ok(Self::try_from(authenticate(parts, app)?)?)
    }
}

impl From<Forbidden> for ApiError {
    fn from(forbidden: Forbidden) -> Self {
        Self::new(Code::RoleForbidden, forbidden.to_string())
    }
}

fn authenticate(parts: &Parts, app: &App) -> Result<Arc<Caller>, ApiError> {
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
    let caller = app.access.caller(secret, clock::now()).ok_or_else(|| {
        ApiError::new(
            Code::TokenInvalid,
            "The token is unknown here, expired or revoked.",
        )
    })?;
    if let Some(peer) = parts.extensions.get::<Arc<Peer>>() {
        // A node's token lies in the configuration of every Envoy. With certificates asked for, it
        // is good for nothing where the network alone would let it in.
        if caller.role() == Role::Node && peer.certificate() == Certificate::Missing {
            return Err(ApiError::new(
                Code::CertificateMissing,
                "Nodes have to show a client certificate here: give Envoy's cluster of the control plane one.",
            ));
        }
        peer.authenticated(&caller);
    }
    Ok(caller)
}
