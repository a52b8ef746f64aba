//! Bodies that arrive as a test wants them to: piece by piece, when it says so, or not to the end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use hyper::HeaderMap;
use tokio::sync::watch;

/// Something that a test opens when it is time.
#[derive(Debug, Clone)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Lets everything that waits for it go on. It stays open.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it is open.
    pub async fn opened(&self) {
        let mut state = self.0.subscribe();
        // The sender lives in `self`, so this cannot fail.
        let _ = state.wait_for(|open| *open).await;
    }
}

/// A body, step by step.
#[derive(Debug, Clone, Default)]
pub struct Script {
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    Chunk(Bytes),
    Pause(Duration),
    Wait(Gate),
    Trailers(HeaderMap),
    Abort,
}

/// Why a scripted body ends early.
#[derive(Debug)]
pub struct Aborted;

impl std::fmt::Display for Aborted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("aborted as scripted")
    }
}

impl std::error::Error for Aborted {}

/// The body of a [`Script`].
pub type ScriptedBody = Channel<Bytes, Aborted>;

impl Script {
    /// A body of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Then these bytes, sent in one piece and on their own.
    #[must_use]
    pub fn chunk(mut self, bytes: impl Into<Bytes>) -> Self {
        self.steps.push(Step::Chunk(bytes.into()));
        self
    }

    /// Then `bytes`, cut into pieces of `size`.
    #[must_use]
    pub fn cut(mut self, bytes: &[u8], size: usize) -> Self {
        self.steps.extend(
            bytes
                .chunks(size)
                .map(|piece| Step::Chunk(Bytes::copy_from_slice(piece))),
        );
        self
    }

    /// Then nothing for a while: for what depends on time itself.
    #[must_use]
    pub fn pause(mut self, duration: Duration) -> Self {
        self.steps.push(Step::Pause(duration));
        self
    }

    /// Then nothing until the gate is open.
    #[must_use]
    pub fn wait(mut self, gate: &Gate) -> Self {
        self.steps.push(Step::Wait(gate.clone()));
        self
    }

    /// Then trailers, which end it.
    #[must_use]
    pub fn trailers(mut self, trailers: HeaderMap) -> Self {
        self.steps.push(Step::Trailers(trailers));
        self
    }

    /// Then the connection breaks off.
    #[must_use]
    pub fn abort(mut self) -> Self {
        self.steps.push(Step::Abort);
        self
    }

    /// How many steps it has.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// The size, when it is known before: a script of one chunk has one, and is sent with
    /// `content-length`.
    pub(crate) fn known(&self) -> Option<Bytes> {
        match self.steps.as_slice() {
            [] => Some(Bytes::new()),
            [Step::Chunk(bytes)] => Some(bytes.clone()),
            _ => None,
        }
    }

    /// Starts to play it.
    #[must_use]
    pub fn play(self) -> ScriptedBody {
        let (sender, body) = Channel::new(1);
        tokio::spawn(perform(self.steps, sender));
        body
    }
}

async fn perform(steps: Vec<Step>, mut sender: Sender<Bytes, Aborted>) {
    let mut is_first = true;
    for step in steps {
        let sent = match step {
            Step::Chunk(bytes) => {
                if !is_first {
                    // Long enough for the last chunk to be written and read on its own. It only
                    // makes the cut likely; a test that needs it for certain waits at a gate.
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                is_first = false;
                sender.send_data(bytes).await
            }
            Step::Pause(duration) => {
                tokio::time::sleep(duration).await;
                Ok(())
            }
            Step::Wait(gate) => {
                gate.opened().await;
                Ok(())
            }
            Step::Trailers(trailers) => {
                let _ = sender.send_trailers(trailers).await;
                return;
            }
            Step::Abort => {
                sender.abort(Aborted);
                return;
            }
        };
        if sent.is_err() {
            // The other side went away; the test sees that there.
            return;
        }
    }
}

impl From<&str> for Script {
    fn from(text: &str) -> Self {
        Self::new().chunk(text.to_owned())
    }
}

impl From<String> for Script {
    fn from(text: String) -> Self {
        Self::new().chunk(text)
    }
}

impl From<Vec<u8>> for Script {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new().chunk(bytes)
    }
}

impl From<&serde_json::Value> for Script {
    fn from(value: &serde_json::Value) -> Self {
        Self::new().chunk(value.to_string())
    }
}
