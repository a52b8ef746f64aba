//! The control plane as its clients see it: started in this process on a port of its own, with a
//! data directory of its own, and spoken to over HTTP.

mod administration;
mod api;
mod approvals;
mod connections;
mod events;
mod http2;
mod keys;
mod kit;
mod lifecycle;
mod newer;
mod nodes;
mod openapi;
mod policies;
mod process;
mod program;
mod readable;
mod recorded;
mod roles;
mod signing;
mod storage;
mod throughput;
mod tls;
