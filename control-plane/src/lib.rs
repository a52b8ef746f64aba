//! The control plane: policy versions, approvals, the trail, and the interfaces to them.
//!
//! | module | what it is for |
//! |---|---|
//! | [`serve`] | starting and stopping |
//! | [`http`] | the HTTP face: management for people and automation, and what filters call |
//! | `app` | the services together, and what else all faces share |
//! | `access` | service: who may call, and what they may do |
//! | `approvals` | service: what nodes ask, and what people answer |
//! | `trail` | service: events, and the records that they add up to |
//! | `policies` | service: from a document to a signed bundle |
//! | `nodes` | service: what nodes have reported, and what they were sent |
//! | `keys` | the key sets of the issuers: fetched, refreshed, cached |
//! | `readiness` | whether a write can be made durable |
//! | `storage` | implementations of the services' stores |
//! | `store` | what all stores have in common |
//! | `comment` | people's words |
//! | `data_dir` | the data directory and its secrets |
//! | `metrics` | what Prometheus sees |
//!
//! The wire types of the management API are the crate `chaperone-api`, which clients use, too.
//!
//! What is allowed, who may approve, what a token proves: all of that is decided by
//! [`chaperone_engine`]. This crate asks it, keeps what came of it, and tells the nodes.
#![forbid(unsafe_code)]

mod access;
mod administration;
mod app;
mod approvals;
mod clock;
mod comment;
mod data_dir;
pub mod http;
mod keys;
mod metrics;
mod nodes;
mod policies;
mod random;
mod readiness;
pub mod serve;
mod storage;
mod store;
mod trail;
