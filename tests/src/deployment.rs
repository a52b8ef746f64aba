//! A deployment as in production: `chaperone serve`, and Envoy with the configuration that is
//! shipped in `envoy/envoy.yaml`, each a process of its own that can be stopped without the other.
//!
//! For everything that does not need this, [`Dev`](crate::chaperone::Dev) is simpler.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::Api;
use crate::chaperone::Commands;
use crate::client::{Call, Client, Http};
use crate::envoy::Envoy;
use crate::places;
use crate::process::Process;
use crate::recorder::Recorder;
use crate::wait;

/// A connection of the policy and what is behind it.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its name in the policy.
    pub name: String,
    /// The host that agents ask for.
    pub host: String,
    /// Where the upstream listens.
    pub upstream: SocketAddr,
    /// What the upstream speaks.
    pub http: Http,
}

impl Connection {
    /// An HTTP/1.1 upstream.
    #[must_use]
    pub fn new(name: &str, host: &str, upstream: SocketAddr) -> Self {
        Self {
            name: name.to_owned(),
            host: host.to_owned(),
            upstream,
            http: Http::One,
        }
    }
}

/// How a deployment is to be started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The policy, YAML or JSON; `None` publishes none.
    pub policy: Option<String>,
    /// The connections that Envoy has routes for.
    pub connections: Vec<Connection>,
    /// The Envoy.
    pub envoy: PathBuf,
    /// Its workers.
    pub workers: usize,
    /// Whether Envoy takes WebSocket upgrades; the shipped configuration does not.
    pub takes_upgrades: bool,
    /// Members of the filter's configuration that differ from the shipped one, e.g. `limits`.
    pub filter: Value,
    /// Stands between Envoy and the control plane.
    pub recorder: Option<Recorder>,
}

impl Options {
    /// With the usual Envoy, two workers, and the filter as shipped.
    ///
    /// # Panics
    /// When there is no Envoy.
    #[must_use]
    pub fn new(policy: impl std::fmt::Display, connections: &[Connection]) -> Self {
        Self {
            policy: Some(policy.to_string()),
            connections: connections.to_vec(),
            envoy: places::envoy(),
            workers: 2,
            takes_upgrades: false,
            filter: json!({}),
            recorder: None,
        }
    }
}

/// A running deployment.
#[derive(Debug)]
pub struct Deployment {
    /// Envoy, with its admin interface.
    pub envoy: Envoy,
    /// Commands that talk to the control plane as administrator.
    pub commands: Commands,
    control_plane: Process,
    address: SocketAddr,
    options: Options,
    folder: TempDir,
}

impl Deployment {
    /// Starts control plane and Envoy, publishes the policy, and waits until each worker enforces
    /// it.
    ///
    /// # Panics
    /// When something does not come up, with its log.
    pub async fn start(options: Options) -> Self {
        let folder = tempfile::Builder::new().prefix("chaperone-test-").tempdir();
        let folder = folder.expect("a temporary folder");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, places::free_port()));
        let control_plane = serve(folder.path(), address).await;
        let token_file = folder.path().join("data/admin.token");
        let commands = Commands::at(folder.path(), &format!("http://{address}"), &token_file);
        if let Some(recorder) = &options.recorder {
            recorder.hand_on_to(address);
        }
        let config = envoy_config(folder.path(), address, &options);
        let envoy = Envoy::start_with(&options.envoy, options.workers, config).await;
        let deployment = Self {
            envoy,
            commands,
            control_plane,
            address,
            options,
            folder,
        };
        deployment.all_workers_reported().await;
        if let Some(policy) = &deployment.options.policy {
            deployment.publish(policy).await;
        }
        deployment
    }

    /// `policy publish --wait` waits for the nodes that the control plane has heard of, so it must
    /// have heard of all: one for each worker and one for Envoy's main thread.
    async fn all_workers_reported(&self) {
        let api = self.api();
        wait::until("every worker to report", async || {
            (api.nodes().await.len() > self.options.workers).then_some(())
        })
        .await;
    }

    /// Publishes a policy and waits until each worker enforces it.
    ///
    /// # Panics
    /// When it is refused or not enforced in time.
    pub async fn publish(&self, policy: impl std::fmt::Display) {
        let file = self.folder.path().join("policy.yaml");
        std::fs::write(&file, policy.to_string()).expect("the folder can be written");
        self.commands
            .run(&["policy", "publish", "policy.yaml", "--wait"])
            .await
            .ok();
    }

    /// HTTP/1.1 to the listener for agents; name the host in each call.
    pub async fn client(&self) -> Client {
        Client::http1(self.envoy.listener("agents").await)
    }

    /// The management API as administrator.
    #[must_use]
    pub fn api(&self) -> Api {
        Api::new(self.address, &self.folder.path().join("data/admin.token"))
    }

    /// Where the control plane listens.
    #[must_use]
    pub fn control_plane(&self) -> SocketAddr {
        self.address
    }

    /// Stops the control plane as an operator does (SIGTERM): connections to it are refused then.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn stop_control_plane(&mut self) -> ExitStatus {
        self.control_plane.stop().await
    }

    /// Ends the control plane as a crash does (SIGKILL).
    ///
    /// # Panics
    /// When the system refuses.
    pub async fn kill_control_plane(&mut self) {
        self.control_plane.kill().await;
    }

    /// Starts it again, on the same address and data.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start_control_plane(&mut self) {
        self.control_plane = serve(self.folder.path(), self.address).await;
    }

    /// The control plane's process: to freeze it, or to read its log.
    #[must_use]
    pub fn control_plane_process(&self) -> &Process {
        &self.control_plane
    }

    /// Stops Envoy as an operator does and starts a new one, with the same configuration.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn restart_envoy(&mut self) {
        self.envoy.process.stop().await;
        let config = envoy_config(self.folder.path(), self.address, &self.options);
        self.envoy = Envoy::start_with(&self.options.envoy, self.options.workers, config).await;
    }

    /// Starts another Envoy beside the one that runs, whose filter differs in these settings, as a
    /// deployment does that is rolled out.
    pub async fn another_envoy(&self, filter: &Value) -> Envoy {
        let mut options = self.options.clone();
        for (name, value) in filter.as_object().into_iter().flatten() {
            options.filter[name] = value.clone();
        }
        let config = envoy_config(self.folder.path(), self.address, &options);
        Envoy::start_with(&options.envoy, options.workers, config).await
    }

    /// Everything that this deployment has written: data, policies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All that its processes have logged.
    #[must_use]
    pub fn logs(&self) -> String {
        format!(
            "{}\n{}",
            self.control_plane.output(),
            self.envoy.process.output()
        )
    }
}

async fn serve(folder: &Path, address: SocketAddr) -> Process {
    let commands = Commands::local(folder);
    let address_text = address.to_string();
    let mut process = commands.start(&["serve", "--data-dir", "data", "--listen", &address_text]);
    wait::until("the control plane to be ready", async || {
        process.assert_running();
        let answer = Client::http1(address).send(Call::get("/readyz")).await;
        answer.ok().filter(|answer| answer.status == 200)
    })
    .await;
    process
}

/// The shipped configuration with what is written in capitals replaced, ports that are free, and a
/// plain HTTP cluster for each upstream.
fn envoy_config(folder: &Path, control_plane: SocketAddr, options: &Options) -> Value {
    let path = places::repository().join("envoy/envoy.yaml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut config: Value =
        serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));

    let resources = &mut config["static_resources"];
    let listener = &mut resources["listeners"][0];
    listener["address"]["socket_address"]["port_value"] = json!(0);
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    let filter = &mut manager["http_filters"][0]["typed_config"]["config"];
    filter["vm_config"]["code"]["local"]["filename"] = json!(places::filter_wasm());
    // Envoy hands a Struct to the module in protobuf's binary form, whatever its documentation says
    // (seen with 1.36 and 1.40), so the shipped file has the JSON as text.
    let plugin = &mut filter["configuration"]["value"];
    let text = plugin
        .as_str()
        .expect("the shipped filter configuration is a StringValue");
    let settings = settings_of(text, folder, &options.filter);
    *plugin = json!(settings.to_string());
    filter["allow_on_headers_stop_iteration"] = json!(settings["profile"] == "body");

    if options.takes_upgrades {
        manager["upgrade_configs"] = json!([{"upgrade_type": "websocket"}]);
    }
    let hosts = &mut manager["route_config"]["virtual_hosts"];
    let (template, unknown) = (hosts[0].clone(), hosts[1].clone());
    let hosts_of_connections = options.connections.iter().map(|connection| {
        let mut host = template.clone();
        host["name"] = json!(connection.name);
        host["domains"] = json!([connection.host]);
        let route = &mut host["routes"][0];
        route["metadata"]["filter_metadata"]["chaperone"]["connection"] = json!(connection.name);
        route["route"]["cluster"] = json!(connection.name);
        host
    });
    *hosts = hosts_of_connections.chain([unknown]).collect();

    let control_plane = options
        .recorder
        .as_ref()
        .map_or(control_plane, Recorder::address);
    let control_plane_cluster = {
        let mut cluster = resources["clusters"][0].clone();
        cluster["type"] = json!("STATIC");
        cluster["load_assignment"] = endpoint("chaperone", control_plane);
        cluster
    };
    let clusters = options.connections.iter().map(|connection| {
        let protocol = match connection.http {
            Http::One => "http_protocol_options",
            Http::Two => "http2_protocol_options",
        };
        let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        json!({
            "name": connection.name,
            "type": "STATIC",
            "connect_timeout": "5s",
            "load_assignment": endpoint(&connection.name, connection.upstream),
            "typed_extension_protocol_options": {options: {
                "@type": format!("type.googleapis.com/{options}"),
                "explicit_http_config": {protocol: {}},
            }},
        })
    });
    resources["clusters"] = [control_plane_cluster]
        .into_iter()
        .chain(clusters)
        .collect();
    resources["secrets"] = json!([]);
    config
}

/// The filter's own configuration: as shipped, with this deployment's secrets and what differs.
fn settings_of(shipped: &str, folder: &Path, differing: &Value) -> Value {
    let secret = |name: &str| {
        let path = folder.join("data").join(name);
        let text = std::fs::read_to_string(&path);
        text.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
            .trim()
            .to_owned()
    };
    let seed = STANDARD
        .decode(secret("signing.key"))
        .expect("the signing key is base64");
    let seed: [u8; 32] = seed.try_into().expect("the signing key has 32 bytes");
    let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
    let mut settings: Value =
        serde_json::from_str(shipped).expect("the shipped filter configuration is JSON");
    settings["node_token"] = json!(secret("node.token"));
    settings["public_key"] = json!(STANDARD.encode(public.as_bytes()));
    settings["fingerprint_key"] = json!(secret("fingerprint.key"));
    for (name, value) in differing.as_object().into_iter().flatten() {
        settings[name] = value.clone();
    }
    settings
}

fn endpoint(cluster: &str, address: SocketAddr) -> Value {
    let socket = json!({"address": address.ip().to_string(), "port_value": address.port()});
    let endpoint = json!({"endpoint": {"address": {"socket_address": socket}}});
    json!({"cluster_name": cluster, "endpoints": [{"lb_endpoints": [endpoint]}]})
}
