//! The control plane: policy versions, approvals, the trail, and the interfaces to them.
//!
//! | module | its purpose |
//! |---|---|
//! | [`serve`] | starting and stopping |
//! | [`http`] | the HTTP face: management for people and automation, and the calls of filters |
//! | `http::connections` | the listener's connections: who holds each, and who makes room |
//! | `app` | the services together, and all else that faces share |
//! | `access` | service: who may call, and for which calls |
//! | `administration` | service: the log of those who administer, and of who read bodies |
//! | `approvals` | service: the questions of nodes, and people's answers |
//! | `trail` | service: events, and the records that they add up to |
//! | `policies` | service: from a document to a signed bundle |
//! | `nodes` | service: the reports of nodes, and the bundles that they were sent |
//! | `keys` | the key sets of the issuers: fetched, refreshed, cached |
//! | `readiness` | whether a write can be made durable |
//! | `storage` | implementations of the services' stores |
//! | `store` | the common part of all stores |
//! | `comment` | people's words |
//! | `clock` | the wall clock |
//! | `random` | secrets and ids from the system's randomness |
//! | `data_dir` | the data directory and its secrets |
//! | `metrics` | the metrics for Prometheus |
//!
//! The wire types of the management API are the crate `chaperone-api`, which clients use, too.
//!
//! [`chaperone_engine`] decides which requests are allowed, who may approve and whether a token is
//! good. This crate asks it, keeps its decisions, and tells the nodes.
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
