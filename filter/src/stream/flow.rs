//! The return value of a callback.

/// Whether Envoy goes on with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on. From a body or trailers callback this also releases held headers.
    Continue,
    /// Stay, and show what comes: body callbacks go on, and each sees all that has come.
    Pause,
    /// Stay, and keep all further bytes where no callback can reach them, however many come: their
    /// sender is slowed down, nothing is lost, and the stream can be resumed at any moment. After a
    /// headers callback no body callback comes. After a body callback each sees its own piece, and
    /// bytes that came before it must not be touched any more.
    Hold,
}
