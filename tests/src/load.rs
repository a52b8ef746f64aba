//! Requests one after the other, while something else happens: nothing may be dropped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::client::{Call, Client};
use crate::wait;

/// Between two requests of a connection. Without it a control plane built for debugging falls so
/// far behind that the filter's event queue fills and requests are refused, which is right and no
/// drop.
const PAUSE: Duration = Duration::from_millis(8);

/// Requests being sent; they end with [`stop`](Self::stop) or when this is dropped.
#[derive(Debug)]
pub struct Load {
    is_over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    senders: JoinSet<Report>,
}

/// What became of the requests.
#[derive(Debug, Default)]
pub struct Report {
    /// How many answers had each status.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests that got no whole answer, and why. Empty when nothing was dropped.
    pub dropped: Vec<String>,
}

impl Report {
    /// How many answers there were.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.by_status.values().sum()
    }
}

impl Load {
    /// Sends `call` again and again on `connections` connections, each kept open.
    #[must_use]
    pub fn start(client: Client, call: &Call, connections: usize) -> Self {
        Self::paced(client, call, connections, Some(PAUSE))
    }

    /// The same as fast as the answers come.
    #[must_use]
    pub fn flood(client: Client, call: &Call, connections: usize) -> Self {
        Self::paced(client, call, connections, None)
    }

    fn paced(client: Client, call: &Call, connections: usize, pause: Option<Duration>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(0));
        let mut senders = JoinSet::new();
        for _ in 0..connections {
            senders.spawn(send(
                client,
                call.clone(),
                Arc::clone(&is_over),
                Arc::clone(&sent),
                pause,
            ));
        }
        Self {
            is_over,
            sent,
            senders,
        }
    }

    /// Waits until `count` more requests have been answered.
    ///
    /// # Panics
    /// When they are not.
    pub async fn more(&self, count: u64) {
        let goal = self.sent.load(Ordering::Relaxed).saturating_add(count);
        wait::until("the load to go on", async || {
            (self.sent.load(Ordering::Relaxed) >= goal).then_some(())
        })
        .await;
    }

    /// Ends it, each request with its answer, and tells what became of all.
    ///
    /// # Panics
    /// When a sender does.
    pub async fn stop(mut self) -> Report {
        self.is_over.store(true, Ordering::Relaxed);
        let mut total = Report::default();
        while let Some(report) = self.senders.join_next().await {
            let report = report.expect("a sender does not panic");
            for (status, count) in report.by_status {
                *total.by_status.entry(status).or_default() += count;
            }
            total.dropped.extend(report.dropped);
        }
        total
    }
}

async fn send(
    client: Client,
    call: Call,
    is_over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    pause: Option<Duration>,
) -> Report {
    let mut report = Report::default();
    let mut connection = None;
    while !is_over.load(Ordering::Relaxed) {
        // A server may close a connection between two requests; what must not be lost is a request.
        let mut open = match connection.take() {
            Some(open) => open,
            None => match client.connect().await {
                Ok(open) => open,
                Err(error) => {
                    report.dropped.push(error.0);
                    continue;
                }
            },
        };
        if crate::client::Connection::is_closed(&open) {
            continue;
        }
        match open.send(call.clone()).await {
            Ok(answer) => {
                *report.by_status.entry(answer.status).or_default() += 1;
                let closes = answer
                    .header("connection")
                    .is_some_and(|value| value.eq_ignore_ascii_case("close"));
                connection = (!closes).then_some(open);
            }
            Err(error) => report.dropped.push(error.0),
        }
        sent.fetch_add(1, Ordering::Relaxed);
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
    report
}
