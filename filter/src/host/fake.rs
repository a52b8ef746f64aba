//! A host for tests: records what is asked of it and answers from what the test put there.
//!
//! It has no opinion about what Envoy does with streams; [`crate::model`] adds that.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};

use chaperone_engine::base::time::UnixMillis;

use super::{
    Call, CallId, ContextId, Direction, Headers, Host, HostError, Level, MetricId, MetricKind,
};

/// A call that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentCall {
    /// Its id.
    pub id: CallId,
    /// Cluster.
    pub cluster: String,
    /// Path.
    pub path: String,
    /// Headers, with authority.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// Timeout.
    pub timeout_ms: u32,
}

/// An answer that was given to the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// What happened to one stream.
#[derive(Debug, Clone, Default)]
pub struct FakeStream {
    /// Request headers as they are now.
    pub request_headers: Headers,
    /// Response headers as they are now.
    pub response_headers: Headers,
    /// Request buffer as it is now.
    pub request_body: Vec<u8>,
    /// Response buffer as it is now.
    pub response_body: Vec<u8>,
    /// Buffers that Envoy would crash on if they were touched now.
    pub out_of_reach: Vec<Direction>,
    /// Every answer; more than one is a fault.
    pub responses: Vec<Response>,
    /// Every resume, in order.
    pub resumed: Vec<Direction>,
    /// Whether it was reset.
    pub reset: bool,
}

/// Shared data: values with their versions.
pub type SharedData = std::rc::Rc<RefCell<HashMap<String, (Vec<u8>, u32)>>>;

/// The host.
#[derive(Debug, Default)]
pub struct FakeHost {
    /// The clock, milliseconds.
    pub now: Cell<u64>,
    /// Microseconds that pass whenever the fine clock is read.
    pub reading_takes: Cell<u64>,
    passed: Cell<u64>,
    /// How far somebody has set the clock forward in all.
    stepped: Cell<i64>,
    /// Log lines.
    pub logs: RefCell<Vec<(Level, String)>>,
    /// Properties by their path joined with dots.
    pub properties: RefCell<HashMap<String, Vec<u8>>>,
    /// Shared data; share it between hosts to play several workers.
    pub shared: SharedData,
    /// Calls that were sent, oldest first.
    pub calls: RefCell<Vec<SentCall>>,
    /// When set, calls fail at once with this.
    pub calls_fail: Cell<Option<HostError>>,
    /// Counters, gauges, and histograms' counts by name.
    pub metrics: RefCell<BTreeMap<String, i64>>,
    names: RefCell<Vec<String>>,
    /// Tick period by root.
    pub ticks: RefCell<HashMap<ContextId, u32>>,
    /// Roots that said that they are done.
    pub done: RefCell<Vec<ContextId>>,
    /// Streams that exist.
    pub streams: RefCell<HashMap<ContextId, FakeStream>>,
    /// The effective stream.
    pub effective: Cell<Option<ContextId>>,
    next_call: Cell<u32>,
    random: Cell<u128>,
}

impl FakeHost {
    /// Takes the calls that were sent since the last time.
    pub fn take_calls(&self) -> Vec<SentCall> {
        self.calls.take()
    }

    /// A metric's value, 0 when it was never touched.
    pub fn metric(&self, name: &str) -> i64 {
        self.metrics.borrow().get(name).copied().unwrap_or(0)
    }

    /// Somebody sets the clock, forward or back.
    pub fn step_clock(&self, by: i64) {
        self.now.set(self.now.get().saturating_add_signed(by));
        self.stepped.set(self.stepped.get().saturating_add(by));
    }

    fn stream<T>(&self, f: impl FnOnce(&mut FakeStream) -> T) -> Option<T> {
        self.streams
            .borrow_mut()
            .get_mut(&self.effective.get()?)
            .map(f)
    }

    fn change_metric(&self, metric: MetricId, by: i64) {
        if let Some(name) = self.names.borrow().get(metric.0 as usize) {
            *self.metrics.borrow_mut().entry(name.clone()).or_default() += by;
        }
    }
}

fn headers_of(stream: &mut FakeStream, direction: Direction) -> &mut Headers {
    match direction {
        Direction::Request => &mut stream.request_headers,
        Direction::Response => &mut stream.response_headers,
    }
}

fn body_of(stream: &mut FakeStream, direction: Direction) -> &mut Vec<u8> {
    assert!(
        !stream.out_of_reach.contains(&direction),
        "Envoy would follow a pointer to a buffer that is gone"
    );
    match direction {
        Direction::Request => &mut stream.request_body,
        Direction::Response => &mut stream.response_body,
    }
}

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
impl Host for FakeHost {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.now.get())
    }

    fn steady(&self) -> UnixMillis {
        UnixMillis(self.now.get().saturating_sub_signed(self.stepped.get()))
    }

    fn micros(&self) -> u64 {
        let passed = self.passed.get() + self.reading_takes.get();
        self.passed.set(passed);
        self.steady().0 * 1000 + passed
    }

    fn random(&self) -> u128 {
        self.random.set(self.random.get() + 1);
        self.random.get()
    }

    fn log(&self, level: Level, message: &str) {
        self.logs.borrow_mut().push((level, message.to_owned()));
    }

    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        self.properties.borrow().get(&path.join(".")).cloned()
    }

    fn shared(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.shared.borrow().get(key).cloned()
    }

    fn set_shared(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<(), HostError> {
        let mut shared = self.shared.borrow_mut();
        let entry = shared.entry(key.to_owned()).or_default();
        if version.is_some_and(|version| version != entry.1) {
            return Err(HostError::Changed);
        }
        *entry = (value.to_owned(), entry.1 + 1);
        Ok(())
    }

    fn call(&self, call: Call<'_>) -> Result<CallId, HostError> {
        if let Some(error) = self.calls_fail.get() {
            return Err(error);
        }
        self.next_call.set(self.next_call.get() + 1);
        let id = CallId(self.next_call.get());
        let mut headers: Vec<_> = call
            .headers
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        headers.push((":authority".to_owned(), call.authority.to_owned()));
        self.calls.borrow_mut().push(SentCall {
            id,
            cluster: call.cluster.to_owned(),
            path: call.path.to_owned(),
            headers,
            body: call.body.to_owned(),
            timeout_ms: call.timeout_ms,
        });
        Ok(id)
    }

    fn define_metric(&self, _kind: MetricKind, name: &str) -> Option<MetricId> {
        let mut names = self.names.borrow_mut();
        let at = names.iter().position(|n| n == name).unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        });
        Some(MetricId(at as u32))
    }

    fn add_metric(&self, metric: MetricId, by: i64) {
        self.change_metric(metric, by);
    }

    fn record_metric(&self, metric: MetricId, _value: u64) {
        self.change_metric(metric, 1);
    }

    fn foreign(&self, _name: &str, _arguments: &[u8]) -> Result<Vec<u8>, HostError> {
        Err(HostError::NotFound)
    }

    fn tick_every(&self, root: ContextId, millis: u32) {
        self.ticks.borrow_mut().insert(root, millis);
    }

    fn root_done(&self, root: ContextId) {
        self.done.borrow_mut().push(root);
    }

    fn enter_stream(&self, stream: ContextId) -> Result<(), HostError> {
        if !self.streams.borrow().contains_key(&stream) {
            return Err(HostError::NotFound);
        }
        self.effective.set(Some(stream));
        Ok(())
    }

    fn headers(&self, direction: Direction) -> Headers {
        self.stream(|s| headers_of(s, direction).clone())
            .unwrap_or_default()
    }

    fn set_header(&self, direction: Direction, name: &str, value: &[u8]) {
        self.stream(|s| {
            let headers = headers_of(s, direction);
            headers.retain(|(n, _)| n != name);
            headers.push((name.to_owned(), value.to_owned()));
        });
    }

    fn add_header(&self, direction: Direction, name: &str, value: &[u8]) {
        self.stream(|s| headers_of(s, direction).push((name.to_owned(), value.to_owned())));
    }

    fn remove_header(&self, direction: Direction, name: &str) {
        self.stream(|s| headers_of(s, direction).retain(|(n, _)| n != name));
    }

    fn body(&self, direction: Direction, max: usize) -> Vec<u8> {
        self.stream(|s| {
            let body = body_of(s, direction);
            body[..max.min(body.len())].to_vec()
        })
        .unwrap_or_default()
    }

    fn replace_body(&self, direction: Direction, size: usize, bytes: &[u8]) {
        self.stream(|s| {
            let body = body_of(s, direction);
            let end = size.min(body.len());
            body.splice(..end, bytes.iter().copied());
        });
    }

    fn append_body(&self, direction: Direction, _size: usize, bytes: &[u8]) {
        self.stream(|s| body_of(s, direction).extend_from_slice(bytes));
    }

    fn respond(&self, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        self.stream(|s| {
            s.responses.push(Response {
                status,
                headers: headers
                    .iter()
                    .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                    .collect(),
                body: body.to_owned(),
            });
        });
    }

    fn resume(&self, direction: Direction) {
        self.stream(|s| s.resumed.push(direction));
    }

    fn reset(&self) {
        self.stream(|s| s.reset = true);
    }

    fn annotate(&self, _name: &str, _value: &[u8]) {}
}
