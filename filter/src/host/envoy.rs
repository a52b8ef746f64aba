//! The real host: Envoy through the proxy-wasm SDK.
//!
//! The SDK traps on statuses that it does not expect. Each call below is one whose unexpected
//! statuses cannot occur, or says under which condition.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chaperone_engine::base::time::UnixMillis;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType, Status};

use super::{
    Call, CallAnswer, CallId, ContextId, Direction, Headers, Host, HostError, Level, MetricId,
    MetricKind,
};

/// Envoy. What it remembers spares calls into the host, which cost more than all that the filter
/// computes for a request.
#[derive(Debug, Default)]
pub(super) struct Envoy {
    /// The context that the running callback is about.
    current: Cell<u32>,
    /// The time, once it was asked for in this callback: Envoy's own does not move on within one.
    now: Cell<Option<UnixMillis>>,
    /// Changes of counters and gauges that Envoy has not been told.
    changes: RefCell<HashMap<u32, i64>>,
}

impl Envoy {
    /// A callback of `context` begins.
    pub(super) fn entered(&self, context: ContextId) {
        self.current.set(context.0);
        self.now.set(None);
    }

    /// Tells Envoy how counters and gauges changed. Once a tick and not at each change: a request
    /// makes twenty of them.
    pub(super) fn flush_metrics(&self) {
        for (metric, by) in self.changes.borrow_mut().drain() {
            // An increment of 0 is an error in Envoy.
            if by != 0 {
                let _ = hostcalls::increment_metric(metric, by);
            }
        }
    }

    /// Runs `f` with `root` as the effective context, then goes back.
    fn as_root(&self, root: ContextId, f: impl FnOnce()) {
        if hostcalls::set_effective_context(root.0).is_ok() {
            f();
            let _ = hostcalls::set_effective_context(self.current.get());
        }
    }

    /// The answer to a call, in its callback.
    pub(super) fn call_answer(&self, body_size: usize) -> CallAnswer {
        let headers = hostcalls::get_map_bytes(MapType::HttpCallResponseHeaders);
        let body = match body_size {
            0 => None,
            size => hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, size)
                .ok()
                .flatten(),
        };
        CallAnswer {
            headers: headers.unwrap_or_default(),
            body: body.unwrap_or_default(),
        }
    }

    /// The plugin's configuration, in its callback.
    pub(super) fn configuration(&self, size: usize) -> Vec<u8> {
        match size {
            0 => Vec::new(),
            size => hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size)
                .ok()
                .flatten()
                .unwrap_or_default(),
        }
    }
}

fn since_epoch() -> Duration {
    hostcalls::get_current_time()
        .unwrap_or(SystemTime::UNIX_EPOCH)
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

const fn map(direction: Direction) -> MapType {
    match direction {
        Direction::Request => MapType::HttpRequestHeaders,
        Direction::Response => MapType::HttpResponseHeaders,
    }
}

const fn buffer(direction: Direction) -> BufferType {
    match direction {
        Direction::Request => BufferType::HttpRequestBody,
        Direction::Response => BufferType::HttpResponseBody,
    }
}

fn error(status: Status) -> HostError {
    match status {
        Status::CasMismatch => HostError::Changed,
        Status::NotFound | Status::BadArgument => HostError::NotFound,
        _ => HostError::Failed,
    }
}

impl Host for Envoy {
    fn now(&self) -> UnixMillis {
        self.now.get().unwrap_or_else(|| {
            let now = UnixMillis(u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX));
            self.now.set(Some(now));
            now
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
        let _ = hostcalls::log(level, message);
    }

    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        hostcalls::get_property(path.to_vec()).ok().flatten()
    }

    fn shared(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        match hostcalls::get_shared_data(key) {
            Ok((Some(bytes), version)) => Some((bytes, version.unwrap_or(0))),
            _ => None,
        }
    }

    fn set_shared(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<(), HostError> {
        hostcalls::set_shared_data(key, Some(value), version).map_err(error)
    }

    fn call(&self, call: Call<'_>) -> Result<CallId, HostError> {
        let mut headers = vec![
            (":method", call.method),
            (":path", call.path),
            (":authority", call.authority),
        ];
        headers.extend_from_slice(call.headers);
        let timeout = Duration::from_millis(u64::from(call.timeout_ms));
        hostcalls::dispatch_http_call(call.cluster, headers, Some(call.body), Vec::new(), timeout)
            .map(CallId)
            .map_err(error)
    }

    fn define_metric(&self, kind: MetricKind, name: &str) -> Option<MetricId> {
        let kind = match kind {
            MetricKind::Counter => MetricType::Counter,
            MetricKind::Gauge => MetricType::Gauge,
            MetricKind::Histogram => MetricType::Histogram,
        };
        hostcalls::define_metric(kind, name).ok().map(MetricId)
    }

    fn add_metric(&self, metric: MetricId, by: i64) {
        let mut changes = self.changes.borrow_mut();
        let change = changes.entry(metric.0).or_insert(0);
        *change = change.saturating_add(by);
    }

    fn record_metric(&self, metric: MetricId, value: u64) {
        let _ = hostcalls::record_metric(metric.0, value);
    }

    fn foreign(&self, name: &str, arguments: &[u8]) -> Result<Vec<u8>, HostError> {
        hostcalls::call_foreign_function(name, Some(arguments))
            .map(Option::unwrap_or_default)
            .map_err(error)
    }

    fn tick_every(&self, root: ContextId, millis: u32) {
        self.as_root(root, || {
            let _ = hostcalls::set_tick_period(Duration::from_millis(u64::from(millis)));
        });
    }

    fn root_done(&self, root: ContextId) {
        self.as_root(root, || {
            let _ = hostcalls::done();
        });
    }

    fn enter_stream(&self, stream: ContextId) -> Result<(), HostError> {
        hostcalls::set_effective_context(stream.0).map_err(error)?;
        self.current.set(stream.0);
        Ok(())
    }

    fn headers(&self, direction: Direction) -> Headers {
        // The whole map: reading one header traps outside its phase and hides duplicates.
        hostcalls::get_map_bytes(map(direction)).unwrap_or_default()
    }

    fn set_header(&self, direction: Direction, name: &str, value: &[u8]) {
        let _ = hostcalls::set_map_value_bytes(map(direction), name, Some(value));
    }

    fn add_header(&self, direction: Direction, name: &str, value: &[u8]) {
        let _ = hostcalls::add_map_value_bytes(map(direction), name, value);
    }

    fn remove_header(&self, direction: Direction, name: &str) {
        let _ = hostcalls::remove_map_value(map(direction), name);
    }

    fn body(&self, direction: Direction, max: usize) -> Vec<u8> {
        match max {
            0 => Vec::new(),
            max => hostcalls::get_buffer(buffer(direction), 0, max)
                .ok()
                .flatten()
                .unwrap_or_default(),
        }
    }

    fn replace_body(&self, direction: Direction, size: usize, bytes: &[u8]) {
        // Start 0 drains `size` bytes and prepends.
        let _ = hostcalls::set_buffer(buffer(direction), 0, size, bytes);
    }

    fn append_body(&self, direction: Direction, size: usize, bytes: &[u8]) {
        // A start at the end appends.
        if !bytes.is_empty() {
            let _ = hostcalls::set_buffer(buffer(direction), size, 0, bytes);
        }
    }

    fn respond(&self, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        let _ = hostcalls::send_http_response(u32::from(status), headers.to_vec(), Some(body));
    }

    fn resume(&self, direction: Direction) {
        let _ = match direction {
            Direction::Request => hostcalls::resume_http_request(),
            Direction::Response => hostcalls::resume_http_response(),
        };
    }

    fn reset(&self) {
        let _ = hostcalls::reset_http_response();
    }

    fn annotate(&self, name: &str, value: &[u8]) {
        // Setting a value twice is an error, on which the SDK traps: a second gate in the same chain.
        if self.property(&[name]).is_none() {
            let _ = hostcalls::set_property(vec![name], Some(value));
        }
    }
}
