//! The real host: Envoy through the proxy-wasm ABI.
//!
//! A change that Envoy refuses is ignored where nothing better can be done: a header outside its
//! phase, a metric that is gone.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use chaperone_engine::base::time::UnixMillis;
use chaperone_proxy_wasm::Failure;
use chaperone_proxy_wasm::calls::{self, Buffer, HttpCall, LogLevel, Map, Way};

use super::{
    Call, CallAnswer, CallId, ContextId, Direction, Headers, Host, HostError, Level, MetricId,
    MetricKind,
};

/// Envoy. What it remembers spares calls into the host, which cost more than all that the filter
/// computes for a request.
#[derive(Debug, Default)]
pub(crate) struct Envoy {
    /// The context that the running callback is about.
    current: Cell<u32>,
    /// The time, once it was asked for in this callback: Envoy's own does not move on within one.
    now: Cell<Option<UnixMillis>>,
    /// The same of the steady clock.
    steady: Cell<Option<UnixMillis>>,
    /// The wall clock when the steady one began.
    began: Cell<Option<UnixMillis>>,
    /// Changes of counters and gauges that Envoy has not been told.
    changes: RefCell<HashMap<u32, i64>>,
}

impl Envoy {
    /// A callback of `context` begins.
    pub(crate) fn entered(&self, context: ContextId) {
        self.current.set(context.0);
        self.now.set(None);
        self.steady.set(None);
    }

    /// Tells Envoy how counters and gauges changed. Once a tick and not at each change: a request
    /// makes twenty of them.
    pub(crate) fn flush_metrics(&self) {
        for (metric, by) in self.changes.borrow_mut().drain() {
            // An increment of 0 is an error in Envoy.
            if by != 0 {
                let _ = calls::increment_metric(metric, by);
            }
        }
    }

    /// Runs `f` with `root` as the effective context, then goes back.
    fn as_root(&self, root: ContextId, f: impl FnOnce()) {
        if calls::set_effective_context(root.0).is_ok() {
            f();
            let _ = calls::set_effective_context(self.current.get());
        }
    }

    /// The answer to a call, in its callback.
    pub(crate) fn call_answer(&self, body_size: usize) -> CallAnswer {
        CallAnswer {
            headers: read_headers(Map::CallResponseHeaders),
            body: read(Buffer::CallResponseBody, body_size),
        }
    }

    /// The plugin's configuration, in its callback.
    pub(crate) fn configuration(&self, size: usize) -> Vec<u8> {
        read(Buffer::PluginConfiguration, size)
    }
}

/// The first `max` bytes; none when there is no such buffer now.
fn read(buffer: Buffer, max: usize) -> Vec<u8> {
    match max {
        0 => Vec::new(),
        max => calls::buffer(buffer, 0, max).unwrap_or_default(),
    }
}

fn read_headers(map: Map) -> Headers {
    let pairs = calls::headers(map).unwrap_or_default();
    pairs.iter().map(header).collect()
}

fn header((name, value): (&[u8], &[u8])) -> (String, Vec<u8>) {
    // Envoy lets no name in that is not ASCII (RFC 9110, section 5.1). One that came nevertheless
    // is none that is asked for.
    let name = String::from_utf8_lossy(name).into_owned();
    (name, value.to_owned())
}

const fn map(direction: Direction) -> Map {
    match direction {
        Direction::Request => Map::RequestHeaders,
        Direction::Response => Map::ResponseHeaders,
    }
}

const fn buffer(direction: Direction) -> Buffer {
    match direction {
        Direction::Request => Buffer::RequestBody,
        Direction::Response => Buffer::ResponseBody,
    }
}

fn error(failure: Failure) -> HostError {
    match failure {
        Failure::CasMismatch => HostError::Changed,
        Failure::NotFound | Failure::BadArgument => HostError::NotFound,
        _ => HostError::Failed,
    }
}

impl Host for Envoy {
    fn now(&self) -> UnixMillis {
        self.now.get().unwrap_or_else(|| {
            let now = UnixMillis(calls::now().unwrap_or(0) / 1_000_000);
            self.now.set(Some(now));
            now
        })
    }

    fn steady(&self) -> UnixMillis {
        self.steady.get().unwrap_or_else(|| {
            let passed = self.micros() / 1_000;
            let began = self.began.get().unwrap_or_else(|| {
                let began = UnixMillis(self.now().0.saturating_sub(passed));
                self.began.set(Some(began));
                began
            });
            let steady = began.saturating_add(passed);
            self.steady.set(Some(steady));
            steady
        })
    }

    fn micros(&self) -> u64 {
        // Envoy caches the time per event-loop turn, so its clock cannot see how long the filter
        // itself takes; WASI's monotonic clock can.
        thread_local! {
            static START: std::time::Instant = std::time::Instant::now();
        }
        START.with(|start| u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn random(&self) -> u128 {
        // The standard library seeds its hash maps from WASI's random_get; hashing two different
        // values under fresh keys draws 128 bits without another dependency.
        let (high, low) = (
            RandomState::new().hash_one(1_u8),
            RandomState::new().hash_one(2_u8),
        );
        (u128::from(high) << 64) | u128::from(low)
    }

    fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        let _ = calls::log(level, message);
    }

    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        // An empty one says as much as none.
        calls::property(path).ok().filter(|value| !value.is_empty())
    }

    fn shared(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        calls::shared_data(key)
            .ok()
            .filter(|(value, _)| !value.is_empty())
    }

    fn set_shared(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<(), HostError> {
        calls::set_shared_data(key, value, version.unwrap_or(0)).map_err(error)
    }

    fn call(&self, call: Call<'_>) -> Result<CallId, HostError> {
        let mut headers = vec![
            (":method", call.method),
            (":path", call.path),
            (":authority", call.authority),
        ];
        headers.extend_from_slice(call.headers);
        calls::http_call(HttpCall {
            cluster: call.cluster,
            headers: &headers,
            body: call.body,
            timeout: call.timeout_ms,
        })
        .map(CallId)
        .map_err(error)
    }

    fn define_metric(&self, kind: MetricKind, name: &str) -> Option<MetricId> {
        let kind = match kind {
            MetricKind::Counter => calls::MetricKind::Counter,
            MetricKind::Gauge => calls::MetricKind::Gauge,
            MetricKind::Histogram => calls::MetricKind::Histogram,
        };
        calls::define_metric(kind, name).ok().map(MetricId)
    }

    fn add_metric(&self, metric: MetricId, by: i64) {
        let mut changes = self.changes.borrow_mut();
        let change = changes.entry(metric.0).or_insert(0);
        *change = change.saturating_add(by);
    }

    fn record_metric(&self, metric: MetricId, value: u64) {
        let _ = calls::record_metric(metric.0, value);
    }

    fn foreign(&self, name: &str, arguments: &[u8]) -> Result<Vec<u8>, HostError> {
        calls::foreign_function(name, arguments).map_err(error)
    }

    fn tick_every(&self, root: ContextId, millis: u32) {
        self.as_root(root, || {
            let _ = calls::set_tick_period(millis);
        });
    }

    fn root_done(&self, root: ContextId) {
        self.as_root(root, || {
            let _ = calls::done();
        });
    }

    fn enter_stream(&self, stream: ContextId) -> Result<(), HostError> {
        calls::set_effective_context(stream.0).map_err(error)?;
        self.current.set(stream.0);
        Ok(())
    }

    fn headers(&self, direction: Direction) -> Headers {
        // The whole map: reading one header hides its duplicates.
        read_headers(map(direction))
    }

    fn set_header(&self, direction: Direction, name: &str, value: &[u8]) {
        let _ = calls::replace_header(map(direction), name, value);
    }

    fn add_header(&self, direction: Direction, name: &str, value: &[u8]) {
        let _ = calls::add_header(map(direction), name, value);
    }

    fn remove_header(&self, direction: Direction, name: &str) {
        let _ = calls::remove_header(map(direction), name);
    }

    fn body(&self, direction: Direction, max: usize) -> Vec<u8> {
        read(buffer(direction), max)
    }

    fn replace_body(&self, direction: Direction, size: usize, bytes: &[u8]) {
        // Start 0 drains `size` bytes and prepends.
        let _ = calls::set_buffer(buffer(direction), 0, size, bytes);
    }

    fn append_body(&self, direction: Direction, size: usize, bytes: &[u8]) {
        // A start at the end appends.
        if !bytes.is_empty() {
            let _ = calls::set_buffer(buffer(direction), size, 0, bytes);
        }
    }

    fn respond(&self, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        let _ = calls::send_local_response(status, headers, body);
    }

    fn resume(&self, direction: Direction) {
        let _ = calls::continue_stream(match direction {
            Direction::Request => Way::Request,
            Direction::Response => Way::Response,
        });
    }

    fn reset(&self) {
        let _ = calls::close_stream(Way::Response);
    }

    fn annotate(&self, name: &str, value: &[u8]) {
        // Refused when a second gate in the same chain has set it.
        let _ = calls::set_property(name, value);
    }
}
