//! Where does a request go? Its host and its target, each in one reading or not at all.
//!
//! [`host_of`] reads the authority, [`RequestTarget`] the request line. Rules and upstreams see
//! only these readings, never the raw text.
//!
//! # Promises
//!
//! - The gate decides on the target that the upstream acts on: a target that two readers could read
//!   differently is refused as `ambiguous_path` by [`RequestTarget::parse`].
//! - Headers and query parameters that ask the upstream to act for somebody else, or on another
//!   method, path or host than those that were decided on, are known here ([`headers`]), and so are
//!   those in which only a proxy may speak.

pub mod headers;
mod host;
mod target;

#[cfg(test)]
mod tests;

pub use host::{HostError, host_of};
pub use target::{RequestTarget, TargetError, decode_unreserved};
