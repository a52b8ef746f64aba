//! The proxy-wasm ABI, version 0.2.1: what Envoy calls in a module, and what a module can ask of
//! Envoy.
//!
//! | module | is about |
//! |---|---|
//! | [`status`] | what callbacks return, and how calls fail |
//! | [`module`](Module) | the callbacks, as one trait, and [`export_module!`] which exports them |
//! | `calls` | what Envoy can be asked (wasm32 only) |
//! | [`pairs`] | lists of headers, as they cross the boundary |
//! | `bindings`, `memory` | the boundary itself: the only `unsafe` code of the workspace |
//!
//! Sources: the specification of ABI 0.2.1
//! (<https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>) for names, parameters and
//! codes; Envoy's `source/extensions/common/wasm/` and the `proxy-wasm-cpp-host` that it is built
//! with for all that the specification leaves open. The statuses of header and body callbacks are
//! such a thing: 0.2.1 has two, the host takes five and four.
//!
//! # Why not the `proxy-wasm` crate
//!
//! Three ways were tried with its newest version, 0.2.5:
//!
//! - It returns Continue and Pause and nothing else: its `Action` has two variants.
//! - Exports of our own beside it do not link. Its callbacks are `#[no_mangle]`, and the compiler
//!   keeps and exports such functions of every crate in a `cdylib`, used or not: "duplicate
//!   symbol".
//! - A `[patch]` needs the whole source in this repository, to change four lines of it.
//!
//! Its calls would have to go in any case. They trap on a status that they do not expect, and on a
//! header name that is not UTF-8; a host status that its enum does not list is undefined behaviour.
//! A trap is an outage here.
//!
//! # Promises
//!
//! - Nothing that the host answers makes a call trap: an unknown status is a [`Failure`], a broken
//!   list of headers an empty one. Values and names are bytes.
//! - A callback that a module does not implement answers as if it were not there.
//! - State of its own: which contexts are roots, and nothing else.
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

#[cfg(target_arch = "wasm32")]
mod bindings;
#[cfg(target_arch = "wasm32")]
pub mod calls;
#[cfg(target_arch = "wasm32")]
mod memory;
mod module;
pub mod pairs;
mod roots;
pub mod status;

pub use module::Module;
pub use status::{DataStatus, Failure, HeadersStatus, TrailersStatus};

/// A context of a plugin's configuration. It lives until a newer configuration has replaced it and
/// its streams are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RootId(pub u32);

/// A context of one request with its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// What [`export_module!`] is made of. Not for others.
#[doc(hidden)]
pub mod exported {
    #[cfg(target_arch = "wasm32")]
    pub use crate::memory::allocate;
    #[cfg(target_arch = "wasm32")]
    pub use crate::module::initialize;
    pub use crate::module::{context_created, deleted, done, logged};
}
