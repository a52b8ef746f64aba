//! Envoy, started with a configuration, and its admin interface.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use tokio::process::Command;

use crate::client::{Answer, Call, Client, Failed};
use crate::places;
use crate::process::Process;
use crate::wait;

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    /// The process, with its log.
    pub process: Process,
    /// Its admin interface.
    pub admin: Admin,
    _folder: tempfile::TempDir,
}

impl Envoy {
    /// Starts the usual Envoy with two workers. `config` is a bootstrap document without `admin`,
    /// which is added.
    ///
    /// # Panics
    /// When Envoy refuses it, with Envoy's log.
    pub async fn start(config: Value) -> Self {
        Self::start_with(&places::envoy(), 2, config).await
    }

    /// Starts this Envoy, with so many workers.
    ///
    /// # Panics
    /// When Envoy refuses the configuration, with Envoy's log.
    pub async fn start_with(binary: &Path, workers: usize, mut config: Value) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address_file = folder.path().join("admin-address");
        config["admin"] = serde_json::json!({
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        });
        let file = folder.path().join("envoy.json");
        std::fs::write(&file, config.to_string()).expect("the temporary folder can be written");
        let mut command = Command::new(binary);
        command.arg("--config-path").arg(&file);
        command.arg("--admin-address-path").arg(&address_file);
        command.args(["--concurrency", &workers.to_string()]);
        // Otherwise a second Envoy on the machine fails with "unable to bind domain socket".
        command.arg("--disable-hot-restart");
        command.args(["--log-level", "info"]);
        let mut process = Process::start("Envoy", command);
        let address: SocketAddr = wait::until(
            "Envoy to write the address of its admin interface",
            async || {
                process.assert_running();
                std::fs::read_to_string(&address_file)
                    .ok()?
                    .trim()
                    .parse()
                    .ok()
            },
        )
        .await;
        let admin = Admin::new(address);
        wait::until("Envoy to be ready", async || {
            process.assert_running();
            admin.is_ready().await.then_some(())
        })
        .await;
        Self {
            process,
            admin,
            _folder: folder,
        }
    }

    /// Where a listener got its port; for those that are configured with port 0.
    ///
    /// # Panics
    /// When there is no listener of that name.
    pub async fn listener(&self, name: &str) -> SocketAddr {
        self.admin
            .listener(name)
            .await
            .unwrap_or_else(|| panic!("Envoy has no listener called {name}"))
    }
}

/// Envoy's admin interface.
#[derive(Debug, Clone, Copy)]
pub struct Admin {
    address: SocketAddr,
}

impl Admin {
    /// At this address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether Envoy is live and takes traffic.
    pub async fn is_ready(&self) -> bool {
        self.get("/ready")
            .await
            .is_ok_and(|answer| answer.status == 200)
    }

    /// Counters and gauges whose names match a regular expression, by name. Workers' sums.
    ///
    /// # Panics
    /// When Envoy does not answer.
    pub async fn stats(&self, filter: &str) -> BTreeMap<String, u64> {
        let answer = self
            .expect(&format!("/stats?filter={}", percent_encoded(filter)))
            .await;
        answer
            .text()
            .lines()
            .filter_map(|line| {
                let (name, value) = line.split_once(": ")?;
                // Histograms and text have values that are no numbers.
                Some((name.to_owned(), value.parse().ok()?))
            })
            .collect()
    }

    /// One counter or gauge, 0 when Envoy does not have it (it makes them when they are first
    /// used).
    ///
    /// # Panics
    /// When Envoy does not answer.
    pub async fn stat(&self, name: &str) -> u64 {
        let exact = format!("^{}$", name.replace('.', "\\."));
        self.stats(&exact).await.get(name).copied().unwrap_or(0)
    }

    /// What Prometheus gets, whose metrics have this prefix, line by line without comments, sorted.
    ///
    /// # Panics
    /// When Envoy does not answer.
    pub async fn prometheus(&self, prefix: &str) -> Vec<String> {
        let answer = self.expect("/stats/prometheus").await.text();
        let lines = answer.lines().filter(|line| line.starts_with(prefix));
        let mut lines: Vec<String> = lines.map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// Waits until a counter or gauge is as `condition` wants it, and gives it.
    ///
    /// # Panics
    /// When it never is.
    pub async fn wait_for_stat(&self, name: &str, condition: impl Fn(u64) -> bool) -> u64 {
        wait::until(&format!("the stat {name}"), async || {
            let value = self.stat(name).await;
            condition(value).then_some(value)
        })
        .await
    }

    /// # Panics
    /// When a wasm module has trapped since Envoy started: each one is an outage.
    pub async fn assert_no_traps(&self) {
        let stats = self.stats("wasm").await;
        let reloads: BTreeMap<_, _> = stats
            .iter()
            .filter(|(name, value)| name.contains("vm_reload") && **value > 0)
            .collect();
        assert!(reloads.is_empty(), "the module trapped: {reloads:?}");
        let failures: BTreeMap<_, _> = stats
            .iter()
            .filter(|(name, value)| name.contains("remote_load_fetch_failures") && **value > 0)
            .collect();
        assert!(
            failures.is_empty(),
            "the module was not loaded: {failures:?}"
        );
    }

    /// The whole configuration that Envoy runs.
    ///
    /// # Panics
    /// When Envoy does not answer.
    pub async fn config_dump(&self) -> Value {
        self.expect("/config_dump").await.json()
    }

    /// Where a listener listens.
    ///
    /// # Panics
    /// When Envoy does not answer.
    pub async fn listener(&self, name: &str) -> Option<SocketAddr> {
        let listeners = self.expect("/listeners?format=json").await.json();
        let listener = listeners["listener_statuses"]
            .as_array()?
            .iter()
            .find(|status| status["name"] == name)?;
        let address = &listener["local_address"]["socket_address"];
        let port = u16::try_from(address["port_value"].as_u64()?).ok()?;
        Some(SocketAddr::new(
            address["address"].as_str()?.parse().ok()?,
            port,
        ))
    }

    /// POSTs to the admin interface, e.g. `/drain_listeners?graceful`.
    ///
    /// # Panics
    /// When Envoy does not answer with 200.
    pub async fn post(&self, target: &str) {
        let answer = Client::http1(self.address)
            .send(Call::post(target, ""))
            .await;
        let answer = answer
            .unwrap_or_else(|e| panic!("Envoy's admin interface does not answer {target}: {e}"));
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    }

    async fn get(&self, target: &str) -> Result<Answer, Failed> {
        Client::http1(self.address).send(Call::get(target)).await
    }

    async fn expect(&self, target: &str) -> Answer {
        let answer = self.get(target).await;
        let answer = answer
            .unwrap_or_else(|e| panic!("Envoy's admin interface does not answer {target}: {e}"));
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer
    }
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
