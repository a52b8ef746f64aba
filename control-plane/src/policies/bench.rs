//! Where policies are compiled: not on the threads that answer calls.
//!
//! With two hundred detectors a policy takes more than a second to compile. On the threads that
//! answer, a few publishes at once would keep everybody else waiting, nodes and probes too. So it
//! is done on threads of its own, one document at a time: more at once would only take the
//! processor from each other and from those who answer.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinError;

/// Where policies are compiled.
#[derive(Debug)]
pub(super) struct Bench(Arc<Semaphore>);

impl Bench {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }

    /// Does the work when it is its turn. Who goes while waiting costs nothing.
    ///
    /// # Errors
    /// When the work panics, or the process stops.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        // Nobody closes it.
        let turn = Arc::clone(&self.0).acquire_owned().await.ok();
        tokio::task::spawn_blocking(move || {
            // Held to the end of the work, even when nobody waits for it any more.
            let _turn = turn;
            work()
        })
        .await
    }
}
