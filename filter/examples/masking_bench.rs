//! `scripts/bench masking`, inside of Envoy's V8: reads its order from the plugin's configuration, logs a JSON
//! object for each result.
#![cfg(target_arch = "wasm32")]
#![allow(unsafe_code, reason = "the SDK's entry macro exports a function")]
#![allow(unreachable_pub, reason = "shared with the engine's example")]

use proxy_wasm::traits::{Context, RootContext};
use proxy_wasm::types::LogLevel;

#[path = "../../engine/examples/masking_bench/kernel.rs"]
mod kernel;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Bench::default()));
}}

#[derive(Default)]
struct Bench {
    order: String,
}

impl Context for Bench {}

impl RootContext for Bench {
    fn on_configure(&mut self, _: usize) -> bool {
        self.order = self
            .get_plugin_configuration()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .unwrap_or_default();
        // Not here: Envoy configures on its main thread and on every worker.
        self.set_tick_period(std::time::Duration::from_millis(100));
        true
    }

    fn on_tick(&mut self) {
        self.set_tick_period(std::time::Duration::ZERO);
        let order = std::mem::take(&mut self.order);
        if order.is_empty() {
            return;
        }
        let say = |result: &serde_json::Value| {
            let _ = proxy_wasm::hostcalls::log(LogLevel::Warn, &format!("BENCH {result}"));
        };
        let done = kernel::run(&order, say);
        let end = match done {
            Ok(()) => "BENCH done".to_owned(),
            Err(error) => format!("BENCH failed {error}"),
        };
        let _ = proxy_wasm::hostcalls::log(LogLevel::Warn, &end);
    }
}
