//! Where does a request go? Its host and its target, each in one reading or not at all.
//!
//! [`host_of`] reads the authority, [`RequestTarget`] the request line. Rules and upstreams see
//! only these readings, never the raw text.
//!
//! # Promises
//!
//! - The gate decides on the target that the upstream acts on: a target that two readers could read
//!   differently is refused as `ambiguous_path` by [`RequestTarget::parse`].
//! - Headers that ask the upstream to act on another method or path than the one that was decided
//!   on are known here ([`Overrides`]).

mod host;
mod overrides;
mod target;

#[cfg(test)]
mod tests;

pub use host::{HostError, host_of};
pub use overrides::Overrides;
pub use target::{RequestTarget, TargetError, decode_unreserved};
