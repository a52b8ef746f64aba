//! The HTTP interfaces of the control plane.
//!
//! Routes and the OpenAPI document come from the same declarations, so neither can have what the
//! other lacks. Conventions that new routes follow: lists are [`chaperone_api::Page`]s with opaque
//! cursors, newest first; errors are [`chaperone_api::Problem`]s; unknown members and parameters
//! are refused; every guarded handler takes an `access::May` with the permission that the call
//! wants.

mod auth;
pub(crate) mod connections;
mod document;
mod extract;
mod management;
mod node;
mod probes;
mod problem;
mod stream;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use chaperone_api::ProblemCode as Code;
use chaperone_engine::link::{ASK_PATH, MARKER, MARKER_VALUE};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::problem::ApiError;
use crate::app::App;
use crate::metrics::CallLabels;
use crate::store::Fault;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Chaperone",
        description = "The control plane's interfaces: management for people and automation, and \
                       what filters call.\n\nErrors are `application/problem+json` (RFC 9457) with a \
                       stable `code`. Lists page with `cursor` and `limit`. Instants are milliseconds \
                       since the Unix epoch.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(chaperone_api::Problem)),
    modifiers(&BearerTokens),
    security(("bearer" = [])),
)]
struct Document;

struct BearerTokens;

impl utoipa::Modify for BearerTokens {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API token; its role decides what it may do."))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

fn declared() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(
            management::policies::list,
            management::policies::publish
        ))
        .routes(routes!(management::policies::show))
        .routes(routes!(management::policies::roll_back))
        .routes(routes!(management::records::search))
        .routes(routes!(management::records::tail))
        .routes(routes!(management::records::show))
        .routes(routes!(management::approvals::list))
        .routes(routes!(management::approvals::watch))
        .routes(routes!(management::approvals::show))
        .routes(routes!(management::approvals::approve))
        .routes(routes!(management::approvals::deny))
        .routes(routes!(management::nodes::nodes))
        .routes(routes!(management::keys::keys))
        .routes(routes!(management::keys::refresh_keys))
        .routes(routes!(management::signing::show))
        .routes(routes!(
            management::signing::prepare,
            management::signing::discard
        ))
        .routes(routes!(management::signing::switch))
        .routes(routes!(management::connections::connections))
        .routes(routes!(management::filter_config::filter_config))
        .routes(routes!(
            management::tokens::list,
            management::tokens::create
        ))
        .routes(routes!(management::administration::list))
        .routes(routes!(management::tokens::revoke))
        .routes(routes!(management::tokens::whoami))
        .routes(routes!(node::policy::policy))
        .routes(routes!(node::events::events))
        .routes(routes!(node::approvals::ask))
        .routes(routes!(node::approvals::watch))
        .routes(routes!(probes::healthz))
        .routes(routes!(probes::readyz))
        .routes(routes!(probes::metrics))
}

/// The OpenAPI document, as served at `/openapi.json`.
pub fn openapi() -> serde_json::Value {
    document::complete(&declared().into_openapi())
}

/// Everything that the control plane answers.
pub(crate) fn router(app: Arc<App>) -> Router {
    let (routes, declared) = declared().split_for_parts();
    let document = document::complete(&declared);
    let document = Bytes::from(serde_json::to_vec(&document).unwrap_or_default());
    routes
        .route(
            "/openapi.json",
            axum::routing::get(move || probes::openapi(document)),
        )
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(middleware::from_fn(to_the_end))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), observe))
        .with_state(app)
}

async fn not_found(request: Request) -> ApiError {
    ApiError::not_found("path", request.uri().path())
}

async fn method_not_allowed(method: Method) -> ApiError {
    ApiError::new(
        Code::MethodNotAllowed,
        format!("{method} is not known here; see /openapi.json."),
    )
}

/// Lets a call that changes something go to its end when its caller breaks off. Handlers are
/// dropped then, at any place where they wait: a token would be revoked in the database and good in
/// memory, a version stored and never put in force. Calls that wait for news are dropped: nobody
/// wants it.
async fn to_the_end(request: Request, next: Next) -> Response {
    let changes = match *request.method() {
        Method::POST => {
            let path = request.uri().path();
            path.starts_with(chaperone_api::PREFIX) || path == ASK_PATH
        }
        Method::DELETE => true,
        _ => false,
    };
    if !changes {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(error) => ApiError::internal(&error).into_response(),
    }
}

/// Marks and counts every answer. The marker tells nodes that it is really ours: Envoy makes up
/// 503s and 504s of its own.
async fn observe(
    State(app): State<Arc<App>>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let started = std::time::Instant::now();
    // From closed sets: what a client can choose is no label.
    let method = match *request.method() {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    };
    let route = route.map_or_else(|| "none".to_owned(), |route| route.as_str().to_owned());
    let mut response = next.run(request).await.into_response();
    response
        .headers_mut()
        .insert(MARKER, HeaderValue::from_static(MARKER_VALUE));
    let status = response.status().as_u16();
    if let Some(fault) = response.extensions_mut().remove::<Fault>() {
        app.readiness.met(fault);
    }
    if matches!(status, 400 | 413) && route.starts_with("/node/") {
        // A filter that is refused like this sends the same again and again.
        tracing::warn!(
            route,
            status,
            "a node's call cannot be read; are filter and control plane of the same version?"
        );
    }
    tracing::debug!(
        method,
        route,
        status,
        ms = started.elapsed().as_millis() as u64,
        "answered"
    );
    app.metrics
        .calls
        .get_or_create(&CallLabels {
            method,
            route,
            status,
        })
        .inc();
    response
}
