//! `scripts/bench masking`, inside of Envoy's V8: reads its order from the plugin's configuration,
//! logs a JSON object for each result.
#![cfg(target_arch = "wasm32")]
#![allow(unreachable_pub, reason = "shared with the engine's example")]

use std::cell::RefCell;

use chaperone_proxy_wasm::calls::{self, Buffer, LogLevel};
use chaperone_proxy_wasm::{Module, RootId, export_module};

#[path = "../../engine/examples/masking_bench/kernel.rs"]
mod kernel;

thread_local! {
    static ORDER: RefCell<String> = const { RefCell::new(String::new()) };
}

struct Bench;

export_module!(Bench);

impl Module for Bench {
    fn on_configure(_root: RootId, size: usize) -> bool {
        let order = calls::buffer(Buffer::PluginConfiguration, 0, size)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        ORDER.set(order.unwrap_or_default());
        // Not here: Envoy configures on its main thread and on every worker.
        calls::set_tick_period(100).is_ok()
    }

    fn on_tick(_root: RootId) {
        let _ = calls::set_tick_period(0);
        let order = ORDER.take();
        if order.is_empty() {
            return;
        }
        let say = |result: &serde_json::Value| {
            let _ = calls::log(LogLevel::Warn, &format!("BENCH {result}"));
        };
        let done = kernel::run(&order, say);
        let end = match done {
            Ok(()) => "BENCH done".to_owned(),
            Err(error) => format!("BENCH failed {error}"),
        };
        let _ = calls::log(LogLevel::Warn, &end);
    }
}
