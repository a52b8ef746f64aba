//! The log of administration.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chaperone_api::{AdministrativeAct, Page, Paging, Problem};

use crate::access::May;
use crate::access::permission::ReadAdministration;
use crate::administration::{Entry, Noted};
use crate::app::App;
use crate::http::extract::{List, NoFilter};
use crate::http::problem::ApiError;

/// Who administered, and who read bodies, newest first.
#[utoipa::path(get, path = "/api/v1/administration", tag = "administration", params(Paging), responses(
    (status = 200, body = Page<AdministrativeAct>),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    may: May<ReadAdministration>,
    State(app): State<Arc<App>>,
    list: List<NoFilter>,
) -> Result<Json<Page<AdministrativeAct>>, ApiError> {
    let before = list.after("administration")?;
    let found = app.administration.list(&may, before, list.fetch()).await?;
    Ok(Json(list.page(
        "administration",
        found,
        |noted| noted.number,
        wire,
    )))
}

fn wire(noted: Noted) -> AdministrativeAct {
    let Noted { number, entry } = noted;
    let Entry {
        at,
        by,
        token,
        act,
        object,
        details,
    } = entry;
    AdministrativeAct {
        number,
        at,
        by,
        token,
        act: act.as_str().to_owned(),
        object,
        details,
    }
}
