//! The trail: search, show, follow.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chaperone_api::{Page, Paging, Problem, Record, RecordDetail, RecordFilter};

use crate::access::May;
use crate::access::permission::ReadRecords;
use crate::app::App;
use crate::http::extract::{List, Query, Segment};
use crate::http::problem::ApiError;
use crate::http::stream::{self, EventStream};

/// Searches records, newest first.
#[utoipa::path(get, path = "/api/v1/records", tag = "records", params(RecordFilter, Paging), responses(
    (status = 200, body = Page<Record>),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn search(
    _may: May<ReadRecords>,
    State(app): State<Arc<App>>,
    list: List<RecordFilter>,
) -> Result<Json<Page<Record>>, ApiError> {
    let after = list.after("records")?;
    let found = app
        .storage
        .records(&list.filter, after.as_ref(), list.fetch())
        .await?;
    let key = |record: &Record| (record.received_at.0, record.id.clone());
    Ok(Json(list.page("records", found, key, |record| record)))
}

/// One record with all its events.
#[utoipa::path(get, path = "/api/v1/records/{id}", tag = "records",
    params(("id" = String, Path, description = "As the agent was told")), responses(
    (status = 200, body = RecordDetail),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    _may: May<ReadRecords>,
    State(app): State<Arc<App>>,
    Segment(id): Segment,
) -> Result<Json<RecordDetail>, ApiError> {
    let record = app
        .storage
        .record(&id)
        .await?
        .ok_or_else(|| ApiError::not_found("record", &id))?;
    let events = app.storage.record_events(&id).await?;
    Ok(Json(RecordDetail { record, events }))
}

/// Records as they change, as server-sent events: `record` with a record as it is then, each time that
/// events of it were stored; `missed` with a number when the client was too slow for so many groups of
/// changes.
#[utoipa::path(get, path = "/api/v1/records/tail", tag = "records", params(RecordFilter), responses(
    (status = 200, description = "A stream of `record` events", body = Record, content_type = "text/event-stream"),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn tail(
    may: May<ReadRecords>,
    State(app): State<Arc<App>>,
    Query(filter): Query<RecordFilter>,
) -> EventStream {
    let news = app.events.subscribe();
    let filter = Arc::new(filter);
    stream::follow(
        app,
        Arc::clone(may.caller()),
        Vec::new(),
        news,
        move |app: Arc<App>, changed: Arc<Vec<String>>| {
            let filter = Arc::clone(&filter);
            async move {
                match app.storage.changed_records(&filter, &changed).await {
                    Ok(records) => records
                        .iter()
                        .flat_map(|record| stream::event("record", record))
                        .collect(),
                    Err(error) => {
                        tracing::error!(%error, "changed records could not be read");
                        Vec::new()
                    }
                }
            }
        },
    )
}
