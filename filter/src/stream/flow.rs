//! The return value of a callback.

/// Whether Envoy goes on with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on. From a body or trailers callback this also releases held headers.
    Continue,
    /// Stay, and show what comes: body callbacks go on, and each sees all that has come.
    Pause,
    /// Stay, and keep what comes out of reach, without an end in sight: its sender is slowed down, nothing is
    /// lost, and the stream can be resumed at any moment. From a headers callback no body callback comes; from a
    /// body callback each sees its own piece, and what has come before must not be touched any more.
    Hold,
}
