//! The control plane: policy versions, approvals, the trail, and the interfaces to them.
//!
//! | module | what it is for |
//! |---|---|
//! | [`api`] | the HTTP interfaces: management and data plane |
//! | [`server`] | starting and stopping; the data directory and its secrets |
//! | `storage` | what is kept, in SQLite |
//! | `versions` | publishing: from a document to a signed bundle |
//! | `keys` | the key sets of the issuers: fetched, refreshed, cached |
//! | `tokens` | who may call |
//! | `metrics` | what Prometheus sees |
//!
//! What is allowed, who may approve, what a token proves: all of that is decided by
//! [`chaperone_engine`]. This crate asks it, keeps what came of it, and tells the nodes.

pub mod api;
mod clock;
mod keys;
mod metrics;
mod random;
pub mod server;
mod storage;
mod tokens;
mod versions;
