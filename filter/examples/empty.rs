//! A filter that does nothing: the floor that `scripts/bench` compares with.
#![cfg(target_arch = "wasm32")]
#![allow(unsafe_code, reason = "the SDK's entry macro exports a function")]

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::LogLevel;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_http_context(|_, _| Box::new(Empty));
}}

struct Empty;
impl Context for Empty {}
impl HttpContext for Empty {}
