//! The key that bundles are signed with.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chaperone_api::{
    NodeBehind, Problem, ProblemCode as Code, SigningKey, SigningKeys, SwitchRequest,
};

use super::nodes::behind;
use crate::access::May;
use crate::access::permission::{ManageSigningKey, ReadState};
use crate::app::App;
use crate::http::extract::Body;
use crate::http::problem::{ApiError, capitalized};
use crate::nodes;
use crate::policies::{BundleError, SigningError, SigningKeyView, SigningKeysView};

/// The key that bundles are signed with, the one that waits to take its place, and which live nodes
/// do not pin them.
#[utoipa::path(get, path = "/api/v1/signing-keys", tag = "state", responses(
    (status = 200, body = SigningKeys),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(may: May<ReadState>, State(app): State<Arc<App>>) -> Json<SigningKeys> {
    Json(wire(app.policies.signing_keys(&may)))
}

/// Makes the next key. Nothing is signed with it yet: filters are to pin it first, beside the
/// current one.
#[utoipa::path(post, path = "/api/v1/signing-keys/next", tag = "state", responses(
    (status = 201, description = "Made", body = SigningKeys),
    (status = 200, description = "It was there already", body = SigningKeys),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn prepare(
    may: May<ManageSigningKey>,
    State(app): State<Arc<App>>,
) -> Result<Response, ApiError> {
    let (keys, made) = app.policies.prepare_signing_key(&may).await?;
    let status = if made {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(wire(keys))).into_response())
}

/// Gives the next key up.
#[utoipa::path(delete, path = "/api/v1/signing-keys/next", tag = "state", responses(
    (status = 204, description = "There is none any more"),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn discard(
    may: May<ManageSigningKey>,
    State(app): State<Arc<App>>,
) -> Result<StatusCode, ApiError> {
    app.policies.discard_signing_key(&may).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Signs with the next key from now on, beginning with the policy in force. It is refused while
/// live nodes do not pin that key.
#[utoipa::path(post, path = "/api/v1/signing-keys/switch", tag = "state", request_body = SwitchRequest, responses(
    (status = 200, body = SigningKeys),
    (status = 409, description = "`unpinned_by_nodes`, with the nodes", body = Problem, content_type = "application/problem+json"),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn switch(
    may: May<ManageSigningKey>,
    State(app): State<Arc<App>>,
    Body(request): Body<SwitchRequest>,
) -> Result<Json<SigningKeys>, ApiError> {
    let SwitchRequest {
        key,
        allow_unpinned,
    } = request;
    let switched = app
        .policies
        .switch_signing_key(&may, &key, allow_unpinned)
        .await?;
    Ok(Json(wire(switched)))
}

fn wire(keys: SigningKeysView) -> SigningKeys {
    let SigningKeysView { current, next } = keys;
    SigningKeys {
        current: key(current),
        next: next.map(key),
    }
}

fn key(view: SigningKeyView) -> SigningKey {
    let SigningKeyView { key, unpinned_by } = view;
    SigningKey {
        id: key.id(),
        public_key: key.to_base64(),
        unpinned_by: named(unpinned_by),
    }
}

fn named(nodes: Vec<nodes::NodeBehind>) -> Vec<NodeBehind> {
    const NAMED: usize = 100;
    nodes.into_iter().take(NAMED).map(behind).collect()
}

impl From<SigningError> for ApiError {
    fn from(error: SigningError) -> Self {
        match error {
            SigningError::NoneWaits => Self::new(
                Code::NotFound,
                "No signing key waits: `chaperone signing-key prepare` makes one.",
            ),
            SigningError::NoSuchKey { id } => Self::not_found("waiting signing key", &id),
            SigningError::Unpinned(nodes) => {
                let count = nodes.len();
                let detail = format!(
                    "{count} live node(s) do not pin this key; nothing was changed. Put both keys \
                     into `public_keys` of their configuration, or allow that they are left behind: \
                     they then refuse every bundle, and have no policy after a restart."
                );
                Self::new(Code::UnpinnedByNodes, detail).with_nodes(named(nodes))
            }
            SigningError::Bundle(BundleError::Store(error)) | SigningError::Store(error) => {
                error.into()
            }
            SigningError::Bundle(error @ BundleError::Overtaken) => {
                Self::new(Code::VersionConflict, format!("Try again: {error}."))
            }
            SigningError::Bundle(error) => Self::internal(&error),
            SigningError::Files(error) => {
                tracing::error!(%error, "the files of the signing keys could not be changed");
                let why = capitalized(&error.to_string());
                Self::new(
                    Code::StorageUnavailable,
                    format!("{why}. Mend that, and try again."),
                )
            }
            SigningError::Randomness(error) => Self::internal(&error),
        }
    }
}
