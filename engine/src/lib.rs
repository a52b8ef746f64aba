//! Everything that decides.
//!
//! This crate is pure: no I/O, no clock, no host calls. Time comes in as an argument, bytes come in
//! and go out as slices. It compiles natively and to wasm32, so the control plane validates and
//! tests with the very code that the filter runs on the request path.
//!
//! | module | answers |
//! |---|---|
//! | [`base`] | how is that written? Time, digests, percent-encoding, JSON, strict or streamed |
//! | [`identity`] | who is calling? |
//! | [`request`] | where does the request go? |
//! | [`upstreams`] | what does it do there, in the upstream's own terms, and how are answers written? |
//! | [`masking`] | what must not leave in a body? |
//! | [`policy`] | may they? |
//! | [`audit`] | what is recorded, and is anything missing? |
//! | [`approval`] | what exactly does a human approve? |
//! | [`bundle`] | is this the policy that was published? |
//! | [`gate`] | all of the above, put together once per policy version |
//! | [`link`] | what do filter and control plane say to each other? |
//!
//! A module uses those that stand above it in this table, never one below. No files use each other
//! in a circle, but in the folders that `CIRCLES_ALLOWED` in `tests/architecture.rs` names.
//! That test reads the table and the imports, and says who breaks the rule.
//!
//! # Promises
//!
//! No input makes this crate panic: the lints below turn every construct that could into a build
//! error. A trap in the filter is an outage of the path it guards.
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

pub mod approval;
pub mod audit;
pub mod base;
pub mod bundle;
pub mod gate;
pub mod identity;
pub mod link;
pub mod masking;
pub mod policy;
pub mod request;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod testing;
pub mod upstreams;
