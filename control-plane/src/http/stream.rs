//! Server-sent events (WHATWG HTML §9.2): what happens, as it happens.
//!
//! A client that reads too slowly is told how much it missed, rather than slowing down the rest or
//! being fed from an unbounded buffer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::access::Caller;
use crate::app::App;
use crate::clock;

/// Comments that keep proxies from closing an idle stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A stream of server-sent events.
pub(crate) type EventStream = Sse<axum::response::sse::KeepAliveStream<Events>>;
pub(crate) type Events = std::pin::Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>>;

/// Turns news into events with `render`, until [`events`] ends it. `first` goes out before any
/// news.
pub(crate) fn follow<T, F>(
    app: Arc<App>,
    caller: Arc<Caller>,
    first: Vec<Event>,
    news: broadcast::Receiver<T>,
    render: impl Fn(Arc<App>, T) -> F + Send + 'static,
) -> EventStream
where
    T: Clone + Send + 'static,
    F: Future<Output = Vec<Event>> + Send + 'static,
{
    let later = futures_util::stream::unfold(
        (news, render, Arc::clone(&app)),
        |(mut news, render, app)| async move {
            let events = match news.recv().await {
                Ok(item) => render(Arc::clone(&app), item).await,
                Err(RecvError::Lagged(missed)) => {
                    vec![Event::default().event("missed").data(missed.to_string())]
                }
                Err(RecvError::Closed) => return None,
            };
            Some((events, (news, render, app)))
        },
    );
    let first = futures_util::stream::once(async move { first });
    events(app, caller, first.chain(later))
}

/// Sends groups of events, until there are no more, the client goes, the control plane stops, or
/// `caller` is no longer let in: who is locked out must not go on reading what was begun before.
pub(crate) fn events(
    app: Arc<App>,
    caller: Arc<Caller>,
    groups: impl Stream<Item = Vec<Event>> + Send + 'static,
) -> EventStream {
    let stop = app.stop.clone();
    let waiting = Waiting::new(Arc::clone(&app));
    let events = groups
        .take_while(move |_| {
            let _ = &waiting;
            let let_in = app.access.still_lets_in(&caller, clock::now());
            async move { let_in }
        })
        .flat_map(|events| futures_util::stream::iter(events.into_iter().map(Ok)))
        .take_until(stop.cancelled_owned());
    let events: Events = Box::pin(events);
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// An event with a JSON body.
pub(crate) fn event(name: &'static str, body: &impl serde::Serialize) -> Vec<Event> {
    match serde_json::to_string(body) {
        Ok(json) => vec![Event::default().event(name).data(json)],
        Err(error) => {
            tracing::error!(%error, "an event could not be written");
            Vec::new()
        }
    }
}

/// Counts those who wait, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Waiting(Arc<App>);

impl Waiting {
    pub(crate) fn new(app: Arc<App>) -> Self {
        app.metrics.waiting.inc();
        Self(app)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.metrics.waiting.dec();
    }
}
