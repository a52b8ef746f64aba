//! The trail: search, show, follow.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::Event;
use chaperone_api::{
    Page, Paging, Problem, ProblemCode as Code, Record, RecordDetail, RecordFilter, StoredEvent,
};
use chaperone_engine::base::time::UnixMillis;
use futures_util::StreamExt as _;
use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::access::May;
use crate::access::permission::ReadRecords;
use crate::app::App;
use crate::http::extract::{List, Query, Segment};
use crate::http::problem::ApiError;
use crate::http::stream::{self, EventStream};
use crate::store::StoreError;
use crate::trail::{self, NotRead, RecordQuery};

/// Searches records: newest first, or, with `after`, in the order of their last changes. A search
/// by time misses what arrives late; whoever reads on from the last `position` that they have seen
/// misses nothing.
#[utoipa::path(get, path = "/api/v1/records", tag = "records", params(RecordFilter, Paging), responses(
    (status = 200, body = Page<Record>),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn search(
    may: May<ReadRecords>,
    State(app): State<Arc<App>>,
    list: List<RecordFilter>,
) -> Result<Json<Page<Record>>, ApiError> {
    let query = asked(&list.filter);
    let Some(position) = list.filter.after else {
        let after = list.after("records")?;
        let found = app
            .trail
            .search(&may, &query, after.as_ref(), list.fetch())
            .await?;
        let key = |record: &trail::Record| (record.received_at.0, record.id.clone());
        return Ok(Json(list.page("records", found, key, shown)));
    };
    let position = list.after("changed records")?.unwrap_or(position);
    let found = app
        .trail
        .changed_after(&may, &query, position, list.fetch())
        .await?;
    let key = |record: &trail::Record| record.position;
    Ok(Json(list.page("changed records", found, key, shown)))
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

/// Records as they change, as server-sent events: `record` with a record as it is then, in the
/// order of changes; the event's `id` is the record's `position`. Changes that follow each other
/// fast come as one. The first event is `position`: where it begins. That is after the position in
/// `Last-Event-ID` or, without that, in `after`, or now; so a client that goes on where it was cut
/// off misses nothing, and neither does a slow one.
#[utoipa::path(get, path = "/api/v1/records/tail", tag = "records", params(RecordFilter,
    ("Last-Event-ID" = Option<u64>, Header, description = "The `id` of the last event of the stream before (WHATWG HTML §9.2.4)")),
    responses(
    (status = 200, description = "A stream of `record` events", body = Record, content_type = "text/event-stream"),
    (status = "default", description = "An error", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn tail(
    may: May<ReadRecords>,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Query(filter): Query<RecordFilter>,
) -> Result<EventStream, ApiError> {
    let news = app.trail.subscribe(&may);
    let end = app.trail.position(&may).await?;
    let position = match last_event(&headers)?.or(filter.after) {
        Some(position) if position > end => return Err(NotRead::Ahead { end }.into()),
        Some(position) => position,
        None => end,
    };
    let caller = Arc::clone(may.caller());
    let tail = Tail {
        app: Arc::clone(&app),
        may,
        query: asked(&filter),
        news,
        position,
    };
    // A client that is cut off before the first record has to know where it was.
    let begin = Event::default()
        .event("position")
        .id(position.to_string())
        .data(position.to_string());
    let begin = futures_util::stream::once(async move { vec![begin] });
    let groups = begin.chain(futures_util::stream::unfold(tail, Tail::next));
    Ok(stream::events(app, caller, groups))
}

/// Reads the trail in the order of changes. News of changes only wake it: all that it sends was
/// read from the store, so a client that is slow misses nothing.
struct Tail {
    app: Arc<App>,
    may: May<ReadRecords>,
    query: RecordQuery,
    news: watch::Receiver<u64>,
    /// Up to here all was sent, or not asked for.
    position: u64,
}

impl Tail {
    /// Records that are read at once.
    const PAGE: u32 = 200;

    async fn next(mut self) -> Option<(Vec<Event>, Self)> {
        loop {
            let committed = *self.news.borrow_and_update();
            let (query, position) = (&self.query, self.position);
            let trail = &self.app.trail;
            let found = match trail
                .changed_after(&self.may, query, position, Self::PAGE)
                .await
            {
                Ok(found) => found,
                Err(error) => {
                    // Its client comes again, and begins where it was.
                    tracing::error!(?error, "changed records could not be read; a tail ends");
                    return None;
                }
            };
            if let Some(last) = found.last() {
                self.position = last.position;
            }
            if found.len() < Self::PAGE as usize {
                // What was committed by then and did not come is not asked for.
                self.position = self.position.max(committed);
            }
            if !found.is_empty() {
                let events = found.into_iter().flat_map(|record| {
                    let id = record.position.to_string();
                    let event = stream::event("record", &shown(record));
                    event.into_iter().map(move |event| event.id(id.clone()))
                });
                return Some((events.collect(), self));
            }
            self.news.changed().await.ok()?;
        }
    }
}

/// Where the stream before was cut off, as its client says.
fn last_event(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let position = value.to_str().ok().and_then(|text| text.parse().ok());
    position.map(Some).ok_or_else(|| {
        let detail = "Last-Event-ID: the `id` of an event of this stream, which is a number.";
        ApiError::new(Code::InvalidQuery, detail)
    })
}

impl From<NotRead> for ApiError {
    fn from(error: NotRead) -> Self {
        match error {
            NotRead::Ahead { end } => Self::new(
                Code::InvalidQuery,
                format!(
                    "after: the trail here ends at position {end}. Yours is of another database, or of one \
                     that was restored from a backup since. Read all with 0, or begin now without it."
                ),
            ),
            NotRead::Store(error) => error.into(),
        }
    }
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
        position,
        attributes,
    } = record;
    Record::new(id, node, boot, state, received_at, position, attributes)
}
