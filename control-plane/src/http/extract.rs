//! Reading calls: JSON bodies, filters, paging. What is not understood is an error with a place; a
//! misspelt filter that is ignored would return too much.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chaperone_api::{DEFAULT_LIMIT, MAX_LIMIT, Page, ProblemCode as Code};
use futures_util::StreamExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::connections::{Patience, Peer};
use super::problem::ApiError;
use crate::app::App;

/// Largest body of a management call: a policy document of 1 MiB, written as a JSON string.
pub(crate) const MANAGEMENT_BODY_BYTES: usize = 4 * 1024 * 1024;

/// The whole body, bounded in size and time: a client that sends a byte now and then would hold a
/// connection, and what was read so far, for as long as it likes.
///
/// # Errors
/// When it is larger than `limit`, takes too long, or the client breaks off.
pub(crate) async fn bytes(request: Request, limit: usize) -> Result<Vec<u8>, ApiError> {
    let peer = request.extensions().get::<Arc<Peer>>();
    let patience = peer.map_or(Patience::DEFAULT, |peer| *peer.patience());
    match tokio::time::timeout(patience.body, whole(request, limit)).await {
        Ok(body) => body,
        Err(_) => {
            let seconds = patience.body.as_secs_f32();
            let detail = format!("The body did not come within {seconds} seconds; send it again.");
            Err(ApiError::new(Code::BodyTimeout, detail))
        }
    }
}

async fn whole(request: Request, limit: usize) -> Result<Vec<u8>, ApiError> {
    let mut chunks = request.into_body().into_data_stream();
    let mut body = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::new(Code::InvalidBody, "The body broke off."))?;
        if chunk.len() > limit - body.len() {
            let detail = format!("At most {limit} bytes are taken here.");
            return Err(ApiError::new(Code::BodyTooLarge, detail));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A JSON value out of a body.
///
/// # Errors
/// Where serde stopped, without what stood there: bodies of the data plane may hold anything.
pub(crate) fn json<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| not_understood(&error))
}

/// A body, or a part of it, that serde could not read.
pub(crate) fn not_understood(error: &serde_json::Error) -> ApiError {
    ApiError::new(
        Code::InvalidBody,
        format!("The body is not understood: {error}."),
    )
}

/// A JSON body. An empty one stands for `{}`.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Arc<App>) -> Result<Self, ApiError> {
        let bytes = bytes(request, MANAGEMENT_BODY_BYTES).await?;
        let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        Ok(Self(json(bytes)?))
    }
}

/// The variable part of a path. One that is no text names nothing.
#[derive(Debug)]
pub(crate) struct Segment(pub(crate) String);

impl FromRequestParts<Arc<App>> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        match axum::extract::Path::from_request_parts(parts, app).await {
            Ok(axum::extract::Path(text)) => Ok(Self(text)),
            Err(_) => Err(ApiError::not_found("path", parts.uri.path())),
        }
    }
}

/// Query parameters without paging.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, ApiError> {
        query(pairs(parts)?).map(Self)
    }
}

/// Query parameters of a list: a filter, and where to go on.
#[derive(Debug)]
pub(crate) struct List<T> {
    pub(crate) filter: T,
    pub(crate) limit: u32,
    cursor: Option<String>,
}

/// A list without a filter.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoFilter {}

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for List<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, ApiError> {
        let (mut cursor, mut limit) = (None, None);
        let mut rest = Vec::new();
        for (name, value) in pairs(parts)? {
            let place = match name.as_str() {
                "cursor" => &mut cursor,
                "limit" => &mut limit,
                _ => {
                    rest.push((name, value));
                    continue;
                }
            };
            if place.replace(value).is_some() {
                let detail = format!("{name}: it is given twice.");
                return Err(ApiError::new(Code::InvalidQuery, detail));
            }
        }
        let limit = match limit.map(|text| text.parse::<u32>()) {
            None => DEFAULT_LIMIT,
            Some(Ok(limit)) if (1..=MAX_LIMIT).contains(&limit) => limit,
            Some(_) => {
                let detail = format!("limit: a number from 1 to {MAX_LIMIT}.");
                return Err(ApiError::new(Code::InvalidQuery, detail));
            }
        };
        Ok(Self {
            filter: query(rest)?,
            limit,
            cursor,
        })
    }
}

impl<T> List<T> {
    /// The key after which the page begins; `list` names the list, so that a cursor of one is no
    /// cursor of another.
    ///
    /// # Errors
    /// When it was not made by [`List::page`] for the same list.
    pub(crate) fn after<K: DeserializeOwned>(&self, list: &str) -> Result<Option<K>, ApiError> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let key = URL_SAFE_NO_PAD
            .decode(cursor)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<(String, K)>(&bytes).ok())
            .filter(|(name, _)| name == list);
        match key {
            Some((_, key)) => Ok(Some(key)),
            None => {
                let detail = "Pass `next_cursor` of the page before, unchanged, to the same list.";
                Err(ApiError::new(Code::InvalidCursor, detail))
            }
        }
    }

    /// One more than fits on the page: whether there is a next one shows in whether it comes.
    pub(crate) fn fetch(&self) -> u32 {
        self.limit + 1
    }

    /// The page of `entries`, fetched with [`List::fetch`].
    pub(crate) fn page<E, K: Serialize, V>(
        &self,
        list: &str,
        mut entries: Vec<E>,
        key: impl Fn(&E) -> K,
        view: impl Fn(E) -> V,
    ) -> Page<V> {
        let limit = self.limit as usize;
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next_cursor = entries.last().filter(|_| more).and_then(|last| {
            serde_json::to_vec(&(list, key(last)))
                .ok()
                .map(|json| URL_SAFE_NO_PAD.encode(json))
        });
        Page {
            items: entries.into_iter().map(view).collect(),
            next_cursor,
        }
    }
}

type Pairs = Vec<(String, String)>;

fn pairs(parts: &Parts) -> Result<Pairs, ApiError> {
    let text = parts.uri.query().unwrap_or_default();
    serde_urlencoded::from_str(text)
        .map_err(|error| ApiError::new(Code::InvalidQuery, format!("{error}.")))
}

fn query<T: DeserializeOwned>(pairs: Pairs) -> Result<T, ApiError> {
    let invalid =
        |error: &dyn std::fmt::Display| ApiError::new(Code::InvalidQuery, format!("{error}."));
    let text = serde_urlencoded::to_string(pairs).map_err(|error| invalid(&error))?;
    serde_urlencoded::from_str(&text).map_err(|error| invalid(&error))
}
