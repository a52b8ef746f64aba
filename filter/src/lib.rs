//! The proxy-wasm module: host calls in, engine decisions out.
//!
//! | module | is about |
//! |---|---|
//! | `entry` | where Envoy comes in: its callbacks, passed on to the worker |
//! | [`host`] | everything that Envoy does for us, as one trait; with `entry` the only place that names the ABI (`chaperone_proxy_wasm`) |
//! | [`worker`] | one VM: which root is the newest, which streams live, who is woken |
//! | [`stream`] | one request with its response: callbacks, changes, records |
//! | [`node`] | the state that all streams of a VM share: policy, token cache, event queue, approvals, metrics |
//! | `crypto` | Envoy's BoringSSL, as the engine asks for it |
//! | `model` | for tests: Envoy and a control plane, as far as streams notice them |
//!
//! # Promises
//!
//! - While a verdict is pending no callback returns Continue ([`stream`] has one function that
//!   derives the status, and nothing else does).
//! - Every verdict, every mask and every refusal, with its code and its sentence, is the engine's.
//!   The filter reads heads and hands them over as facts; only where something of ours fails does
//!   it choose by itself which refusal that is.
//! - No input makes the module trap. A trap is an outage of the path that it guards, so everything
//!   that could panic is a build error outside tests.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects,
        clippy::get_unwrap
    )
)]

mod crypto;
#[cfg(target_arch = "wasm32")]
mod entry;
pub mod host;
#[cfg(test)]
mod model;
pub mod node;
pub mod stream;
pub mod worker;
