//! Waiting for conditions.

use std::time::{Duration, Instant};

/// Long enough for anything that starts on a busy machine; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks `condition` until it gives something, for at most [`PATIENCE`].
///
/// # Panics
/// When it never does; `what` completes the sentence "waited in vain for …".
pub async fn until<T>(what: &str, condition: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, condition).await
}

/// Until `holds` is true of every worker of an Envoy. Each worker takes new policy and keys for
/// itself and new connections are spread over them, so it has to hold twenty times in a row.
///
/// # Panics
/// When [`PATIENCE`] is over.
pub async fn until_everywhere(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let mut in_a_row = 0;
    until(what, async || {
        in_a_row = if holds().await { in_a_row + 1 } else { 0 };
        (in_a_row >= 20).then_some(())
    })
    .await;
}

/// As [`until`], with a time limit of its own.
///
/// # Panics
/// When the limit is over.
pub async fn until_within<T>(
    limit: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(
            start.elapsed() < limit,
            "waited in vain for {what} ({limit:?})"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
