//! The trail: search, show, follow.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chaperone_api::{Page, Paging, Problem, Record, RecordDetail, RecordFilter, StoredEvent};
use chaperone_engine::base::time::UnixMillis;
use serde_json::value::RawValue;

use crate::access::May;
use crate::access::permission::ReadRecords;
use crate::app::App;
use crate::http::extract::{List, Query, Segment};
use crate::http::problem::ApiError;
use crate::http::stream::{self, EventStream};
use crate::store::StoreError;
use crate::trail::{self, Changed, RecordQuery};

/// Searches records, newest first.
#[utoipa::path(get, path = "/api/v1/records", tag = "records", params(RecordFilter, Paging), responses(
    (status = 200, body = Page<Record>),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn search(
    may: May<ReadRecords>,
    State(app): State<Arc<App>>,
    list: List<RecordFilter>,
) -> Result<Json<Page<Record>>, ApiError> {
    let after = list.after("records")?;
    let found = app
        .trail
        .search(&may, &asked(&list.filter), after.as_ref(), list.fetch())
        .await?;
    let key = |record: &trail::Record| (record.received_at.0, record.id.clone());
    Ok(Json(list.page("records", found, key, shown)))
}

/// One record with all its events.
#[utoipa::path(get, path = "/api/v1/records/{id}", tag = "records",
    params(("id" = String, Path, description = "As the agent was told")), responses(
    (status = 200, body = RecordDetail),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    may: May<ReadRecords>,
    State(app): State<Arc<App>>,
    Segment(id): Segment,
) -> Result<Json<RecordDetail>, ApiError> {
    let found = app.trail.show(&may, &id).await?;
    let (record, events) = found.ok_or_else(|| ApiError::not_found("record", &id))?;
    let events = events.into_iter().map(|stored| {
        let trail::StoredEvent { stored_at, json } = stored;
        let event = RawValue::from_string(json).map_err(StoreError::from)?;
        Ok(StoredEvent { stored_at, event })
    });
    Ok(Json(RecordDetail {
        record: shown(record),
        events: events.collect::<Result<_, ApiError>>()?,
    }))
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
    let news = app.trail.subscribe(&may);
    let asker = Arc::new((may, asked(&filter)));
    stream::follow(
        app,
        Arc::clone(asker.0.caller()),
        Vec::new(),
        news,
        move |app: Arc<App>, changed: Changed| {
            let asker = Arc::clone(&asker);
            async move {
                let (may, query) = &*asker;
                match app.trail.changed(may, query, &changed).await {
                    Ok(records) => records
                        .into_iter()
                        .flat_map(|record| stream::event("record", &shown(record)))
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

/// What the parameters of a search ask for.
fn asked(filter: &RecordFilter) -> RecordQuery {
    RecordQuery {
        attributes: filter.attributes(),
        state: filter.state,
        node: filter.node.clone(),
        since: filter.since.map(UnixMillis),
        until: filter.until.map(UnixMillis),
        text: filter.q.clone(),
    }
}

/// A record as clients see it.
fn shown(record: trail::Record) -> Record {
    let trail::Record {
        id,
        node,
        boot,
        state,
        received_at,
        attributes,
    } = record;
    Record::new(id, node, boot, state, received_at, attributes)
}
