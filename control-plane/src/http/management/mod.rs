//! What people and automation call: one file per resource.
//!
//! A handler parses the call, asks a service, and renders the answer. It decides nothing.
//! `docs/extending/management-call.md` says how to add one.

pub(super) mod administration;
pub(super) mod approvals;
pub(super) mod connections;
pub(super) mod filter_config;
pub(super) mod keys;
pub(super) mod nodes;
pub(super) mod policies;
pub(super) mod records;
pub(super) mod signing;
pub(super) mod tokens;
