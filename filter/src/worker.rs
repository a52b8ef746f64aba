//! One VM: which root is the newest, which streams live, who is woken.
//!
//! A configuration update makes a new root in the same VM while the old one lives on until its
//! listener has drained; streams keep the configuration of the root that they began under, and only
//! the newest root does background work ([`Node`] sees to that).

use std::collections::HashMap;
use std::rc::Rc;

use crate::host::{CallAnswer, CallId, ContextId, Direction, Host, Level};
use crate::node::{Config, Node};
use crate::stream::{Around, Detectors, Flow, Stream, metric};

/// Everything in a VM.
pub struct Worker<H: Host> {
    host: H,
    /// Made with the first good configuration.
    ready: Option<Ready>,
    configs: HashMap<ContextId, Rc<Config>>,
    streams: HashMap<ContextId, Stream>,
}

struct Ready {
    node: Node,
    detectors: Detectors,
}

impl<H: Host> Worker<H> {
    /// An empty VM.
    pub fn new(host: H) -> Self {
        Self {
            host,
            ready: None,
            configs: HashMap::new(),
            streams: HashMap::new(),
        }
    }

    /// The host.
    pub fn host(&self) -> &H {
        &self.host
    }

    /// Takes a root's configuration. Whether it is good depends on its bytes and nothing else: a
    /// worker that refused a configuration which the main thread accepted would let traffic past
    /// the filter.
    pub fn configure(&mut self, root: ContextId, bytes: &[u8]) -> bool {
        let config = match Config::parse(bytes) {
            Ok(config) => Rc::new(config),
            Err(error) => {
                self.host.log(Level::Error, &error.to_string());
                return false;
            }
        };
        if self.ready.is_none() {
            self.ready = Some(Ready {
                node: Node::new(&self.host),
                detectors: Detectors::default(),
            });
        }
        if let Some(ready) = &mut self.ready {
            ready.node.configure(&self.host, root, Rc::clone(&config));
            for name in metric::COUNTERS {
                ready.node.metrics().count(&self.host, name, 0);
            }
        }
        self.configs.insert(root, config);
        true
    }

    /// Time passed.
    pub fn tick(&mut self, root: ContextId) {
        let Some(ready) = &mut self.ready else { return };
        ready.node.on_tick(&self.host, root);
        self.wake();
        if let Some(ready) = &mut self.ready {
            ready.node.tick_ends(&self.host);
        }
    }

    /// A call was answered.
    pub fn call_answered(&mut self, root: ContextId, call: CallId, answer: CallAnswer) {
        let Some(ready) = &mut self.ready else { return };
        ready.node.on_call_answer(&self.host, root, call, answer);
        self.wake();
    }

    /// A root is to go; `false` when it has something to finish first.
    pub fn root_done(&mut self, root: ContextId) -> bool {
        self.ready
            .as_mut()
            .is_none_or(|ready| ready.node.root_done(&self.host, root))
    }

    /// A root is gone.
    pub fn root_deleted(&mut self, root: ContextId) {
        self.configs.remove(&root);
        if let Some(ready) = &mut self.ready {
            ready.node.root_deleted(&self.host, root);
        }
    }

    /// A stream begins.
    pub fn stream_created(&mut self, stream: ContextId, root: ContextId) {
        // Envoy makes streams of configured roots only; a stream that is not known here stays
        // paused.
        if let Some(config) = self.configs.get(&root) {
            self.streams
                .insert(stream, Stream::new(&self.host, stream, Rc::clone(config)));
        }
    }

    /// Headers.
    pub fn headers(&mut self, stream: ContextId, direction: Direction, end: bool) -> Flow {
        self.with(stream, Flow::Pause, |stream, around| {
            stream.headers(around, direction, end)
        })
    }

    /// A piece of a body.
    pub fn body(
        &mut self,
        stream: ContextId,
        direction: Direction,
        size: usize,
        end: bool,
    ) -> Flow {
        self.with(stream, Flow::Pause, |stream, around| {
            stream.body(around, direction, size, end)
        })
    }

    /// Trailers.
    pub fn trailers(&mut self, stream: ContextId, direction: Direction) -> Flow {
        self.with(stream, Flow::Pause, |stream, around| {
            stream.trailers(around, direction)
        })
    }

    /// The stream is over.
    pub fn log(&mut self, stream: ContextId) {
        self.with(stream, (), |stream, around| stream.log(around));
        // News that comes from now on has no stream to enter.
        self.streams.remove(&stream);
    }

    /// The stream's context is gone.
    pub fn stream_deleted(&mut self, stream: ContextId) {
        self.streams.remove(&stream);
    }

    /// Whether a stream has been let through.
    pub fn is_open(&self, stream: ContextId) -> bool {
        self.streams.get(&stream).is_some_and(Stream::is_open)
    }

    fn with<T>(
        &mut self,
        stream: ContextId,
        otherwise: T,
        f: impl FnOnce(&mut Stream, &mut Around<'_>) -> T,
    ) -> T {
        let (Some(ready), Some(stream)) = (&mut self.ready, self.streams.get_mut(&stream)) else {
            return otherwise;
        };
        let mut around = Around {
            host: &self.host,
            node: &mut ready.node,
            detectors: &ready.detectors,
        };
        f(stream, &mut around)
    }

    /// Delivers news to streams that wait. Only from callbacks of a root: a stream that is resumed
    /// inside its own callback hangs.
    fn wake(&mut self) {
        // One round: what a woken stream asks next makes the next tick an early one.
        let Some(ready) = &mut self.ready else { return };
        for (id, wake) in ready.node.take_wakes() {
            if self.host.enter_stream(id).is_ok() {
                self.with(id, (), |stream, around| stream.wake(around, wake));
            } else {
                self.streams.remove(&id);
                if let Some(ready) = &mut self.ready {
                    ready.node.cancel(id);
                }
            }
        }
    }
}

impl<H: Host> std::fmt::Debug for Worker<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("streams", &self.streams.len())
            .finish()
    }
}
