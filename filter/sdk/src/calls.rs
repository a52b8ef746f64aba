//! What Envoy can be asked: ABI 0.2.1, as far as the workspace uses it.
//!
//! Every call gives the host's answer as a `Result`. Calls about headers, buffers, answers and
//! going on are about the *effective* context: the one whose callback runs, or the one that
//! [`set_effective_context`] named.
#![allow(unsafe_code, reason = "calls of the host's functions")]

use std::ptr::null;

use crate::bindings as host;
use crate::memory::given;
use crate::pairs::{Pairs, encode};
use crate::status::{Failure, result};

/// Severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum LogLevel {
    /// For people who look for a fault.
    Debug = 1,
    /// Worth knowing.
    Info = 2,
    /// Something does not work.
    Warn = 3,
    /// Something that is needed does not work.
    Error = 4,
    /// Nothing works.
    Critical = 5,
}

/// What kind of metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum MetricKind {
    /// Only rises.
    Counter = 0,
    /// Rises and falls.
    Gauge = 1,
    /// Values, recorded one by one.
    Histogram = 2,
}

/// A direction of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Way {
    /// From the client.
    Request = 0,
    /// To the client.
    Response = 1,
}

/// Headers that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Map {
    /// Of the request.
    RequestHeaders = 0,
    /// Of the response.
    ResponseHeaders = 2,
    /// Of the answer to a call, in its callback.
    CallResponseHeaders = 6,
}

/// Bytes that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Buffer {
    /// The piece of the request's body that a callback is about, or all that is buffered.
    RequestBody = 0,
    /// The same of the response.
    ResponseBody = 1,
    /// Of the answer to a call, in its callback.
    CallResponseBody = 4,
    /// The plugin's configuration, in its callback.
    PluginConfiguration = 7,
}

/// A call over HTTP. `headers` need `:method`, `:path` and `:authority`.
#[derive(Debug, Clone, Copy)]
pub struct HttpCall<'a> {
    /// Envoy cluster.
    pub cluster: &'a str,
    /// Headers.
    pub headers: &'a [(&'a str, &'a str)],
    /// Body.
    pub body: &'a [u8],
    /// Milliseconds.
    pub timeout: u32,
}

// SAFETY of every `unsafe` block below: the host reads arguments and writes results before it
// returns and keeps no address. Each pointer is that of a slice or of a local of the very type,
// beside the slice's own length.

/// Writes a line to Envoy's log.
///
/// # Errors
/// The host did not take it.
pub fn log(level: LogLevel, message: &str) -> Result<(), Failure> {
    // SAFETY: as above.
    result(unsafe { host::proxy_log(level as u32, message.as_ptr(), message.len()) })
}

/// Nanoseconds since 1970, as Envoy's event loop sees them: the same within one callback.
///
/// # Errors
/// The host has no clock.
pub fn now() -> Result<u64, Failure> {
    let mut time = 0;
    // SAFETY: as above.
    result(unsafe { host::proxy_get_current_time_nanoseconds(&raw mut time) })?;
    Ok(time)
}

/// Sets the tick period of the effective root, in milliseconds; 0 ends the ticks.
///
/// # Errors
/// The effective context is no root.
pub fn set_tick_period(millis: u32) -> Result<(), Failure> {
    // SAFETY: no address crosses.
    result(unsafe { host::proxy_set_tick_period_milliseconds(millis) })
}

/// Makes a context the effective one until the callback ends.
///
/// # Errors
/// [`Failure::BadArgument`] when it is gone.
pub fn set_effective_context(context: u32) -> Result<(), Failure> {
    // SAFETY: no address crosses.
    result(unsafe { host::proxy_set_effective_context(context) })
}

/// The effective root, which had asked to wait, is done.
///
/// # Errors
/// It had not.
pub fn done() -> Result<(), Failure> {
    // SAFETY: no address crosses.
    result(unsafe { host::proxy_done() })
}

/// Defines a metric, or finds it again by its name.
///
/// # Errors
/// The host does not take it.
pub fn define_metric(kind: MetricKind, name: &str) -> Result<u32, Failure> {
    let mut id = 0;
    // SAFETY: as above.
    result(unsafe {
        host::proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id)
    })?;
    Ok(id)
}

/// Changes a counter or a gauge. 0 is an error in Envoy.
///
/// # Errors
/// There is no such metric.
pub fn increment_metric(id: u32, by: i64) -> Result<(), Failure> {
    // SAFETY: no address crosses.
    result(unsafe { host::proxy_increment_metric(id, by) })
}

/// Records a value in a histogram.
///
/// # Errors
/// There is no such metric.
pub fn record_metric(id: u32, value: u64) -> Result<(), Failure> {
    // SAFETY: no address crosses.
    result(unsafe { host::proxy_record_metric(id, value) })
}

/// A value of the shared data, and its version.
///
/// # Errors
/// [`Failure::NotFound`].
pub fn shared_data(key: &str) -> Result<(Vec<u8>, u32), Failure> {
    let mut version = 0;
    // SAFETY: as above.
    let value = given(|value, size| unsafe {
        host::proxy_get_shared_data(key.as_ptr(), key.len(), value, size, &raw mut version)
    })?;
    Ok((value, version))
}

/// Writes shared data; with a version other than 0, only if it is still the one that is there.
///
/// # Errors
/// [`Failure::CasMismatch`] when it is not.
pub fn set_shared_data(key: &str, value: &[u8], version: u32) -> Result<(), Failure> {
    // SAFETY: as above.
    result(unsafe {
        host::proxy_set_shared_data(
            key.as_ptr(),
            key.len(),
            value.as_ptr(),
            value.len(),
            version,
        )
    })
}

/// A property by its path.
///
/// # Errors
/// There is none, or it cannot be represented.
pub fn property(path: &[&str]) -> Result<Vec<u8>, Failure> {
    let path = path.join("\0");
    // SAFETY: as above.
    given(|value, size| unsafe { host::proxy_get_property(path.as_ptr(), path.len(), value, size) })
}

/// Sets a property of the effective stream, which Envoy keeps as filter state `wasm.NAME`.
///
/// # Errors
/// It has been set before.
pub fn set_property(name: &str, value: &[u8]) -> Result<(), Failure> {
    // SAFETY: as above.
    result(unsafe {
        host::proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

/// Calls a function of the host that is not part of the ABI.
///
/// # Errors
/// [`Failure::NotFound`] when the host has no such function, and whatever the function fails with.
pub fn foreign_function(name: &str, arguments: &[u8]) -> Result<Vec<u8>, Failure> {
    // SAFETY: as above.
    given(|results, size| unsafe {
        host::proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            arguments.as_ptr(),
            arguments.len(),
            results,
            size,
        )
    })
}

/// Sends a call, and gives the number under which its answer comes.
///
/// # Errors
/// [`Failure::BadArgument`] when there is no such cluster or a header is missing,
/// [`Failure::InternalFailure`] when it cannot take the call.
pub fn http_call(call: HttpCall<'_>) -> Result<u32, Failure> {
    let headers = encode(call.headers).ok_or(Failure::BadArgument)?;
    let mut id = 0;
    // SAFETY: as above; no trailers are an address that is not read.
    result(unsafe {
        host::proxy_http_call(
            call.cluster.as_ptr(),
            call.cluster.len(),
            headers.as_ptr(),
            headers.len(),
            call.body.as_ptr(),
            call.body.len(),
            null(),
            0,
            call.timeout,
            &raw mut id,
        )
    })?;
    Ok(id)
}

/// All headers.
///
/// # Errors
/// They cannot be read now.
pub fn headers(map: Map) -> Result<Pairs, Failure> {
    // SAFETY: as above.
    given(|pairs, size| unsafe { host::proxy_get_header_map_pairs(map as u32, pairs, size) })
        .map(Pairs::new)
}

/// Replaces all values of a header by one.
///
/// # Errors
/// They cannot be changed now.
pub fn replace_header(map: Map, name: &str, value: &[u8]) -> Result<(), Failure> {
    // SAFETY: as above.
    result(unsafe {
        host::proxy_replace_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Adds a line to a header.
///
/// # Errors
/// They cannot be changed now.
pub fn add_header(map: Map, name: &str, value: &[u8]) -> Result<(), Failure> {
    // SAFETY: as above.
    result(unsafe {
        host::proxy_add_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Removes a header.
///
/// # Errors
/// They cannot be changed now.
pub fn remove_header(map: Map, name: &str) -> Result<(), Failure> {
    // SAFETY: as above.
    result(unsafe { host::proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) })
}

/// At most `max` bytes of a buffer, from `start`.
///
/// # Errors
/// There is no such buffer now.
pub fn buffer(buffer: Buffer, start: usize, max: usize) -> Result<Vec<u8>, Failure> {
    // SAFETY: as above.
    given(|bytes, size| unsafe {
        host::proxy_get_buffer_bytes(buffer as u32, start, max, bytes, size)
    })
}

/// Writes a buffer. From start 0 the first `size` bytes are replaced; a start at the end or past it
/// appends. Envoy replaces nothing in the middle.
///
/// # Errors
/// There is no such buffer now, or it is one that cannot be written.
pub fn set_buffer(buffer: Buffer, start: usize, size: usize, bytes: &[u8]) -> Result<(), Failure> {
    // SAFETY: as above.
    result(unsafe {
        host::proxy_set_buffer_bytes(buffer as u32, start, size, bytes.as_ptr(), bytes.len())
    })
}

/// Lets the effective stream go on, once the callback has returned.
///
/// # Errors
/// The host did not take it.
pub fn continue_stream(way: Way) -> Result<(), Failure> {
    // SAFETY: no address crosses.
    result(unsafe { host::proxy_continue_stream(way as u32) })
}

/// Breaks the effective stream off.
///
/// # Errors
/// The host did not take it.
pub fn close_stream(way: Way) -> Result<(), Failure> {
    // SAFETY: no address crosses.
    result(unsafe { host::proxy_close_stream(way as u32) })
}

/// Answers the effective stream's client instead of upstream.
///
/// # Errors
/// The host did not take it.
pub fn send_local_response(
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<(), Failure> {
    /// The answer says nothing about gRPC.
    const NO_GRPC_STATUS: i32 = -1;
    let headers = encode(headers).ok_or(Failure::BadArgument)?;
    // SAFETY: as above; no details are an address that is not read.
    result(unsafe {
        host::proxy_send_local_response(
            u32::from(status),
            null(),
            0,
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC_STATUS,
        )
    })
}
