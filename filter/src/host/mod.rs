//! Everything that Envoy does for the filter, as one trait.
//!
//! `envoy.rs` (built for wasm32 only) is the real implementation and, with `entry.rs` beside this
//! folder, the only code in the crate that names `chaperone_proxy_wasm`, the ABI. `fake.rs` is a
//! host for tests.
//!
//! Values are bytes: a header need not be UTF-8. Calls return `Option` or `Result`: a host that
//! cannot do something is an answer, never a panic.
//!
//! # What the host promises
//!
//! Measured on Envoy 1.36.2 and 1.40.0, which are alike unless a version stands there, for requests
//! and responses over HTTP/1.1 and HTTP/2. `tests/tests/e2e/statuses.rs` asks both again.
//!
//! - No call calls back into the module: resuming, answering and resetting take effect after the
//!   running callback has returned.
//! - Calls about headers, bodies, answers and resuming are about the *effective* stream: the one
//!   whose callback runs, or the one that [`Host::enter_stream`] named.
//!
//! ## What a status from a headers callback does
//!
//! "The option" is `allow_on_headers_stop_iteration`. The filter's Pause is status 1, its Hold
//! status 4.
//!
//! | status | headers | body callbacks meanwhile | a body over Envoy's limit |
//! |---|---|---|---|
//! | 0 Continue | go on | each piece | |
//! | 1 StopIteration, option unset | as 4 | | |
//! | 1 StopIteration, option true | stay; Continue from any body or trailers callback lets them go | come | by the status of the body callback |
//! | 2 ContinueAndEndStream | as 0: the stream does not end | | |
//! | 3 StopAllIterationAndBuffer | stay, and the body with them | none | 413 to a request, 500 for a response |
//! | 4 StopAllIterationAndWatermark | stay, and the body with them | none | its sender is slowed down; nothing is lost |
//!
//! ## What a status from a body callback does
//!
//! The filter's Pause is status 1, its Hold status 2.
//!
//! | status | the next callback sees | a body over Envoy's limit | the buffer from a tick |
//! |---|---|---|---|
//! | 0 Continue | its own piece | | out of bounds |
//! | 1 StopIterationAndBuffer | the total | 413, 500; broken off once the headers have left | can be read and changed |
//! | 2 StopIterationAndWatermark | its own piece, the earlier ones are out of reach | its sender is slowed down; nothing is lost | out of bounds |
//! | 3 StopIterationNoBuffer | its own piece; what the earlier callbacks did not take is lost | is taken without end | out of bounds |
//!
//! - Out of bounds: Envoy follows a pointer to a buffer that is gone. Reads and changes from a tick
//!   came to nothing at best, and ended the whole Envoy with a segmentation fault, on both
//!   versions.
//! - The limit is `per_connection_buffer_limit_bytes`, and over HTTP/2 the stream's window where
//!   that is less. Envoy may take one read more (up to a limit's worth) before it slows a sender
//!   down.
//! - A callback may change its piece whatever it returns then.
//!
//! ## What a resume from a tick does
//!
//! - After held headers all that is there comes in one body callback *inside of the resume*, and
//!   later pieces come as always. A hold may end while the body is still coming. No byte of the
//!   body can be read before: the buffer is empty and changes are refused.
//! - After a body callback that stopped, the buffered bytes go on without another callback; the
//!   next piece has its own. Status 2 at each piece and a resume from each tick pass a body of any
//!   length with bounded memory, in order.
//! - 1.36.2: after status 1 and a resume from a tick, a next body callback that returns Continue
//!   loses its piece. It has to stop, too (by status 2 it is as if that had been the status from
//!   the start); or the status is 2 from the start, which loses nothing.
//! - With trailers waiting, a body callback that stops inside of the resume, by whatever status,
//!   and a trailers callback that then returns Continue, lose the whole body (the trailers callback
//!   comes twice). If the trailers callback stops too, nothing is lost, and a second resume lets
//!   everything go. If the body callback stopped by status 1, the trailers callback can still read
//!   and change the body then.
//!
//! ## How bodies end
//!
//! - The end is a flag at the last callback: over HTTP/1.1 one of its own, with no new bytes; over
//!   HTTP/2 that, or the last piece. With trailers no body callback has it, and Continue from the
//!   trailers callback lets go what earlier callbacks stopped.
//! - A response that is broken off over its limit: its reader may take it for whole over HTTP/2 on
//!   1.36.2.

#[cfg(target_arch = "wasm32")]
pub(crate) mod envoy;
#[cfg(test)]
pub mod fake;

use chaperone_engine::base::time::UnixMillis;

/// Names and values of headers, in the order of the wire. Names are lower case.
pub type Headers = Vec<(String, Vec<u8>)>;

/// A context that Envoy has given a number: a root or a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContextId(pub u32);

/// A call to the control plane that is on its way. Unique within a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u32);

/// A metric that was defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MetricId(pub u32);

/// Which way, for headers and bodies of the effective stream.
pub use chaperone_engine::policy::Direction;

/// Severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For people who look for a fault.
    Debug,
    /// Worth knowing once.
    Info,
    /// Something does not work, and the gate copes.
    Warn,
    /// Something does not work, and requests are refused for it.
    Error,
}

/// What kind of metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Only rises.
    Counter,
    /// Process-wide, so it is changed by increments and never set.
    Gauge,
    /// Values, recorded one by one.
    Histogram,
}

/// The host did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostError {
    /// There is no such thing here: an unknown cluster, function, stream or buffer.
    NotFound,
    /// It is there, but this time it failed: no healthy host, a full circuit breaker.
    Failed,
    /// Shared data changed since it was read.
    Changed,
}

/// One HTTP call to a cluster.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Envoy cluster.
    pub cluster: &'a str,
    /// `:authority`.
    pub authority: &'a str,
    /// `:method`.
    pub method: &'a str,
    /// `:path`.
    pub path: &'a str,
    /// Further headers.
    pub headers: &'a [(&'a str, &'a str)],
    /// Body.
    pub body: &'a [u8],
    /// Milliseconds until Envoy gives up and makes up a 504.
    pub timeout_ms: u32,
}

/// What came back for a call. Envoy makes up answers of its own, with nothing to tell them from
/// real ones by but a header that only the control plane sets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallAnswer {
    /// Headers with `:status`; empty when the connection broke.
    pub headers: Headers,
    /// Body.
    pub body: Vec<u8>,
}

impl CallAnswer {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        first(&self.headers, name)
    }

    /// The status, if there is one that can be read.
    pub fn status(&self) -> Option<u16> {
        std::str::from_utf8(self.header(":status")?)
            .ok()?
            .parse()
            .ok()
    }
}

/// The first value of a header.
pub fn first<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    headers
        .iter()
        .find(|(n, _)| n == name)
        .map(|(_, value)| value.as_slice())
}

/// Everything that Envoy does for the filter.
pub trait Host {
    // Of the VM.

    /// Wall clock: for what was agreed on with others, and for nothing else. Somebody may set it,
    /// by any amount, either way.
    fn now(&self) -> UnixMillis;
    /// The wall clock of the VM's start, moved on by a clock that nobody sets. All waiting goes by
    /// this one: a pause or a hold lasts as long as it was to last, whatever becomes of the wall
    /// clock.
    fn steady(&self) -> UnixMillis;
    /// Microseconds from an arbitrary start, for measuring how long something took.
    fn micros(&self) -> u64;
    /// 128 random bits.
    fn random(&self) -> u128;
    /// Writes a log line. Never pass a secret.
    fn log(&self, level: Level, message: &str);
    /// A property by its path; `None` when there is none or it cannot be represented.
    fn property(&self, path: &[&str]) -> Option<Vec<u8>>;
    /// A value of the shared data and its version. Other plugins can write it: verify it.
    fn shared(&self, key: &str) -> Option<(Vec<u8>, u32)>;
    /// Writes shared data. With a version, only if it is still the one that is there.
    ///
    /// # Errors
    /// [`HostError::Changed`].
    fn set_shared(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<(), HostError>;
    /// Sends a call. Only from callbacks of the root (tick, call answers), to which the answer
    /// comes.
    ///
    /// # Errors
    /// At once when the cluster is unknown ([`HostError::NotFound`]) or cannot take it
    /// ([`HostError::Failed`]).
    fn call(&self, call: Call<'_>) -> Result<CallId, HostError>;
    /// Defines a metric or finds it again by its name.
    fn define_metric(&self, kind: MetricKind, name: &str) -> Option<MetricId>;
    /// Changes a counter or gauge. Envoy shows it after the next tick of a root.
    fn add_metric(&self, metric: MetricId, by: i64);
    /// Records a value in a histogram.
    fn record_metric(&self, metric: MetricId, value: u64);
    /// Calls a function of the host that is not part of proxy-wasm.
    ///
    /// # Errors
    /// [`HostError::NotFound`] when the host has no such function.
    fn foreign(&self, name: &str, arguments: &[u8]) -> Result<Vec<u8>, HostError>;
    /// Sets the root's tick period in milliseconds; the first tick comes one period from now.
    fn tick_every(&self, root: ContextId, millis: u32);
    /// Tells Envoy that a root that had asked to wait is done.
    fn root_done(&self, root: ContextId);

    // Of the effective stream.

    /// Makes a stream the effective one.
    ///
    /// # Errors
    /// [`HostError::NotFound`] when it is gone.
    fn enter_stream(&self, stream: ContextId) -> Result<(), HostError>;
    /// All headers; empty outside the phase in which they can be read.
    fn headers(&self, direction: Direction) -> Headers;
    /// Replaces all values of a header by one. Only while the headers are held or in their
    /// callback.
    fn set_header(&self, direction: Direction, name: &str, value: &[u8]);
    /// Adds a line to a header. Only while the headers are held or in their callback.
    fn add_header(&self, direction: Direction, name: &str, value: &[u8]);
    /// Removes a header. Only while the headers are held or in their callback.
    fn remove_header(&self, direction: Direction, name: &str);
    /// The first `max` bytes of what the body callback is about, or of all that is buffered. As
    /// [`Host::replace_body`].
    fn body(&self, direction: Direction, max: usize) -> Vec<u8>;
    /// Replaces the first `size` bytes of the buffer by `bytes`. Only in a body callback, or where
    /// the last body callback returned Pause: elsewhere Envoy follows a pointer to a buffer that is
    /// gone.
    fn replace_body(&self, direction: Direction, size: usize, bytes: &[u8]);
    /// Appends to the buffer of `size` bytes. As [`Host::replace_body`].
    fn append_body(&self, direction: Direction, size: usize, bytes: &[u8]);
    /// Answers the agent instead of upstream. At most once per stream, and only before the
    /// response's headers have left.
    fn respond(&self, status: u16, headers: &[(&str, &str)], body: &[u8]);
    /// Lets a stream go on after Pause.
    fn resume(&self, direction: Direction);
    /// Breaks the stream off.
    fn reset(&self);
    /// Leaves a value for access logs, as filter state `wasm.NAME`.
    fn annotate(&self, name: &str, value: &[u8]);
}
