//! The stores of the control plane's state. Each implementation is one type, which implements the
//! store of every service ([`crate::access::store::Store`] and the others).
//!
//! The columns of records are made of the engine's table of attributes
//! (`engine/src/audit/attributes/table.rs`). `docs/extending/database.md` is about a second
//! database.
//!
//! Nothing here knows the web framework or the wire types of the management API.

#[cfg(test)]
pub(crate) mod conformance;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod memory;
pub(crate) mod sqlite;
