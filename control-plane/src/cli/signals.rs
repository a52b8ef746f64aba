//! Being told to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::failure::Failure;

/// SIGINT, SIGTERM, and SIGHUP of a terminal that goes away.
pub(crate) struct Stop {
    signals: [Signal; 3],
}

impl Stop {
    /// From now on these signals do not end the process by themselves.
    ///
    /// # Errors
    /// When the system does not let us listen.
    pub(crate) fn new() -> Result<Self, Failure> {
        let on = |kind| {
            signal(kind).map_err(|e| Failure::failed(format!("Cannot listen for signals: {e}.")))
        };
        Ok(Self {
            signals: [
                on(SignalKind::interrupt())?,
                on(SignalKind::terminate())?,
                on(SignalKind::hangup())?,
            ],
        })
    }

    /// Waits for the next one.
    pub(crate) async fn told(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
