//! The key sets of the issuers.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chaperone_api::{Key, KeySet, KeySource, Page, Problem};

use crate::access::May;
use crate::access::permission::{ChangePolicy, ReadState};
use crate::app::App;
use crate::http::problem::ApiError;
use crate::keys::{self as service, KeySetView, KeyView};

/// The key sets of the issuers in force, all on one page.
#[utoipa::path(get, path = "/api/v1/keys", tag = "state", responses(
    (status = 200, body = Page<KeySet>),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn keys(may: May<ReadState>, State(app): State<Arc<App>>) -> Json<Page<KeySet>> {
    page(app.keys.list(&may))
}

/// Fetches all key sets now and answers how that went.
#[utoipa::path(post, path = "/api/v1/keys/refresh", tag = "state", responses(
    (status = 200, body = Page<KeySet>),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn refresh_keys(
    may: May<ChangePolicy>,
    State(app): State<Arc<App>>,
) -> Result<Json<Page<KeySet>>, ApiError> {
    Ok(page(app.keys.refresh_all(&may).await?))
}

fn page(sets: Vec<KeySetView>) -> Json<Page<KeySet>> {
    Json(Page {
        items: sets.into_iter().map(wire).collect(),
        next_cursor: None,
    })
}

fn wire(set: KeySetView) -> KeySet {
    let KeySetView {
        issuer,
        source,
        url,
        keys,
        fetched_at,
        attempted_at,
        error,
    } = set;
    KeySet {
        issuer,
        source: match source {
            service::KeySource::Discovery => KeySource::Discovery,
            service::KeySource::Url => KeySource::Url,
            service::KeySource::Inline => KeySource::Inline,
        },
        url,
        keys: keys.into_iter().map(key).collect(),
        fetched_at,
        attempted_at,
        error,
    }
}

fn key(key: KeyView) -> Key {
    let KeyView {
        kid,
        kty,
        alg,
        unusable,
    } = key;
    Key {
        kid,
        kty,
        alg,
        unusable,
    }
}
