//! The return value of a callback.

/// Whether Envoy goes on with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on. From a body or trailers callback this also releases held headers.
    Continue,
    /// Stay.
    Pause,
}
