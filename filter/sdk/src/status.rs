//! What callbacks return, and how calls fail.
//!
//! The codes are those of `proxy-wasm-cpp-host` (`FilterHeadersStatus`, `FilterDataStatus`,
//! `FilterTrailersStatus` and `WasmResult`). What Envoy does on each was measured: the facts stand
//! at the head of the filter's `host` module, and `tests/tests/e2e/statuses.rs` asks Envoy again.

/// What a callback for headers returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum HeadersStatus {
    /// The headers go on.
    Continue = 0,
    /// The headers stay, body callbacks come. Only where the plugin's configuration has
    /// `allow_on_headers_stop_iteration: true`; otherwise Envoy reads it as
    /// [`StopAllIterationAndWatermark`](Self::StopAllIterationAndWatermark).
    StopIteration = 1,
    /// As Continue: Envoy does not end the stream.
    ContinueAndEndStream = 2,
    /// Headers and body stay, no body callback comes. A body over Envoy's buffer limit is refused.
    StopAllIterationAndBuffer = 3,
    /// Headers and body stay, no body callback comes. At Envoy's buffer limit the sender is slowed
    /// down.
    StopAllIterationAndWatermark = 4,
}

/// What a callback for a piece of a body returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum DataStatus {
    /// The body goes on, and held headers with it.
    Continue = 0,
    /// The piece waits in Envoy's buffer, and the next callback sees the total. A body over Envoy's
    /// buffer limit is refused.
    StopIterationAndBuffer = 1,
    /// The piece waits in Envoy's buffer, and the next callback sees its own piece. At Envoy's
    /// buffer limit the sender is slowed down. The buffer must not be touched from a tick: Envoy
    /// crashes.
    StopIterationAndWatermark = 2,
    /// The piece is not kept: a module that has not taken it loses it. Nothing slows the sender
    /// down. The buffer must not be touched from a tick: Envoy crashes.
    StopIterationNoBuffer = 3,
}

/// What a callback for trailers returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum TrailersStatus {
    /// The trailers go on, and with them all that is held.
    Continue = 0,
    /// The trailers stay.
    StopIteration = 1,
}

macro_rules! codes {
    ($($status:ident)*) => {$(
        impl $status {
            /// As it crosses the boundary.
            #[must_use]
            pub const fn code(self) -> u32 {
                self as u32
            }
        }
    )*};
}
codes!(HeadersStatus DataStatus TrailersStatus);

/// Why the host did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// There is no such thing here.
    NotFound,
    /// An argument is wrong, or the thing that it names is not there.
    BadArgument,
    /// A value cannot be represented.
    SerializationFailure,
    /// An argument cannot be read.
    ParseFailure,
    /// Shared data changed since it was read.
    CasMismatch,
    /// It failed this time.
    InternalFailure,
    /// The host does not have this call, or `allowed_capabilities` does not name it.
    Unimplemented,
    /// Any other code.
    Other(u32),
}

/// The host's answer to a call, from its code.
///
/// # Errors
/// Every code but 0.
pub const fn result(code: u32) -> Result<(), Failure> {
    Err(match code {
        0 => return Ok(()),
        1 => Failure::NotFound,
        2 => Failure::BadArgument,
        3 => Failure::SerializationFailure,
        4 => Failure::ParseFailure,
        8 => Failure::CasMismatch,
        10 => Failure::InternalFailure,
        12 => Failure::Unimplemented,
        other => Failure::Other(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_cross_the_boundary_as_the_hosts_numbers() {
        let headers = [
            HeadersStatus::Continue,
            HeadersStatus::StopIteration,
            HeadersStatus::ContinueAndEndStream,
            HeadersStatus::StopAllIterationAndBuffer,
            HeadersStatus::StopAllIterationAndWatermark,
        ];
        assert_eq!(headers.map(HeadersStatus::code), [0, 1, 2, 3, 4]);
        let data = [
            DataStatus::Continue,
            DataStatus::StopIterationAndBuffer,
            DataStatus::StopIterationAndWatermark,
            DataStatus::StopIterationNoBuffer,
        ];
        assert_eq!(data.map(DataStatus::code), [0, 1, 2, 3]);
        let trailers = [TrailersStatus::Continue, TrailersStatus::StopIteration];
        assert_eq!(trailers.map(TrailersStatus::code), [0, 1]);
    }

    #[test]
    fn every_code_of_the_host_is_an_answer() {
        assert_eq!(result(0), Ok(()));
        for code in (1..=20).chain([u32::MAX]) {
            assert!(result(code).is_err(), "{code}");
        }
        assert_eq!(result(11), Err(Failure::Other(11)));
    }
}
