//! A filter that does nothing: the floor that `scripts/bench` compares with.
#![cfg(target_arch = "wasm32")]

use chaperone_proxy_wasm::{Module, export_module};

struct Empty;

export_module!(Empty);

impl Module for Empty {}
