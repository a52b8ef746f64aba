//! Envoy's configuration for `chaperone dev`, as one JSON document.
//!
//! Small functions that build JSON were chosen over structs for Envoy's API (thousands of messages,
//! of which a dozen are used) and over a text template (quoting by hand invites injection: hosts
//! and paths come from the policy and the command line). A test gives the result to the real Envoy.
//!
//! The reasons for each setting stand in `envoy/envoy.yaml`, which this follows; only what differs
//! is explained here. `scripts/bench` measures what stands here: it asks the Envoy of a running
//! `chaperone dev` for its configuration.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::upstream::{Scheme, Upstream};

/// Per-stream buffer, above the filter's own limit for held bodies so that the filter's 413, which
/// says what happened, comes first.
const STREAM_BUFFER_BYTES: u64 = 4 * 1024 * 1024;

/// Name of the cluster under which the filter reaches the control plane.
pub(crate) const CONTROL_PLANE_CLUSTER: &str = "chaperone";

/// Name of the listener that chooses the connection by Host.
pub(crate) const MAIN_LISTENER: &str = "main";

/// When the filter decides on requests: see `envoy/README.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Profile {
    /// On headers alone, as in Istio's `WasmPlugin`; approvals bind to the one stream that asked.
    Headers,
    /// Sees the body before the verdict; approvals bind to the body, and approvers see it, masked.
    Body,
}

impl Profile {
    /// As the filter's configuration spells it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::Body => "body",
        }
    }
}

/// A connection of the policy, as Envoy serves it.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    /// Its name in the policy.
    pub(crate) name: String,
    /// The hosts that the policy gives it; `*.example.com` means the same to Envoy.
    pub(crate) hosts: Vec<String>,
    /// Where its requests go, and the listener of its own; nothing when no `--upstream` names it.
    pub(crate) upstream: Option<ServedUpstream>,
}

/// The upstream of a [`Served`] connection.
#[derive(Debug, Clone)]
pub(crate) struct ServedUpstream {
    /// What is behind it.
    pub(crate) upstream: Upstream,
    /// Where the connection's own listener listens; port 0 lets the system choose.
    pub(crate) listen: SocketAddr,
    /// A file with the credential for the upstream, put into `Authorization`.
    pub(crate) credential: Option<PathBuf>,
}

/// All that Envoy has to know.
#[derive(Debug, Clone)]
pub(crate) struct EnvoyConfig {
    /// Envoy's node id.
    pub(crate) node: String,
    /// The admin interface; always on loopback.
    pub(crate) admin: SocketAddr,
    /// The listener that chooses the connection by Host.
    pub(crate) listen: SocketAddr,
    /// The control plane's data-plane interface.
    pub(crate) control_plane: SocketAddr,
    /// The filter.
    pub(crate) wasm: PathBuf,
    /// The filter's own configuration, with the node token: this document is a secret.
    pub(crate) plugin: Value,
    /// How the filter holds requests.
    pub(crate) profile: Profile,
    /// The policy's connections.
    pub(crate) connections: Vec<Served>,
    /// Where access log lines go.
    pub(crate) access_log: PathBuf,
}

impl EnvoyConfig {
    /// The bootstrap document.
    pub(crate) fn to_json(&self) -> Value {
        let mut listeners = vec![self.listener(MAIN_LISTENER, self.listen, &self.by_host())];
        let mut clusters = vec![control_plane_cluster(self.control_plane)];
        let mut secrets = Vec::new();
        for connection in &self.connections {
            let Some(served) = &connection.upstream else {
                continue;
            };
            listeners.push(self.listener(
                &listener_name(&connection.name),
                served.listen,
                &[virtual_host(
                    &connection.name,
                    &["*".to_owned()],
                    route(connection),
                )],
            ));
            clusters.push(upstream_cluster(&connection.name, served));
            if let Some(file) = &served.credential {
                secrets.push(json!({
                    "name": secret_name(&connection.name),
                    "generic_secret": { "secret": { "filename": file } },
                }));
            }
        }
        json!({
            "node": { "id": self.node, "cluster": "chaperone-dev" },
            "admin": { "address": address(self.admin) },
            "stats_config": { "stats_tags": stats_tags() },
            "overload_manager": { "resource_monitors": [{
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    "max_active_downstream_connections": 10_000,
                },
            }]},
            "static_resources": {
                "listeners": listeners,
                "clusters": clusters,
                "secrets": secrets,
            },
        })
    }

    fn by_host(&self) -> Vec<Value> {
        let mut hosts: Vec<Value> = self
            .connections
            .iter()
            .map(|connection| virtual_host(&connection.name, &connection.hosts, route(connection)))
            .collect();
        // Any other host: the filter refuses it (`unknown_connection`) and records it. The 403 is
        // what remains should it ever not.
        let refuse = json!({ "match": { "prefix": "/" }, "direct_response": { "status": 403 } });
        hosts.push(json!({ "name": "unknown-host", "domains": ["*"], "routes": [refuse] }));
        hosts
    }

    fn listener(&self, name: &str, listen: SocketAddr, virtual_hosts: &[Value]) -> Value {
        json!({
            "name": name,
            "address": address(listen),
            "per_connection_buffer_limit_bytes": STREAM_BUFFER_BYTES,
            "filter_chains": [{ "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": self.connection_manager(name, virtual_hosts),
            }]}],
        })
    }

    fn connection_manager(&self, name: &str, virtual_hosts: &[Value]) -> Value {
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": name,
            "codec_type": "AUTO",
            "use_remote_address": true,
            "internal_address_config": nobody_is_internal(),
            "skip_xff_append": true,
            "generate_request_id": true,
            "server_header_transformation": "PASS_THROUGH",
            "strip_any_host_port": true,
            "strip_trailing_host_dot": true,
            "normalize_path": false,
            "merge_slashes": false,
            "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
            "common_http_protocol_options": {
                "headers_with_underscores_action": "ALLOW",
                "idle_timeout": "3600s",
            },
            "request_headers_timeout": "15s",
            "stream_idle_timeout": "300s",
            "http2_protocol_options": {
                "max_concurrent_streams": 256,
                // Also how much of a held body Envoy buffers over HTTP/2: above
                // `limits.body_bytes`.
                "initial_stream_window_size": 1_048_576,
                "initial_connection_window_size": 4_194_304,
            },
            "access_log": [access_log(&self.access_log)],
            "http_filters": [self.wasm_filter(), router()],
            "route_config": {
                "name": name,
                // The agent's address, which Envoy adds.
                "request_headers_to_remove": ["x-envoy-external-address"],
                "virtual_hosts": virtual_hosts,
            },
        })
    }

    fn wasm_filter(&self) -> Value {
        let mut config = json!({
            "name": "chaperone",
            "root_id": "chaperone",
            "failure_policy": "FAIL_RELOAD",
            "capability_restriction_config": { "allowed_capabilities": allowed_capabilities() },
            "vm_config": {
                "vm_id": "chaperone",
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": self.wasm } },
            },
            // Not a Struct: Envoy hands a Struct to the module in protobuf's binary form.
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": self.plugin.to_string(),
            },
        });
        if self.profile == Profile::Body {
            config["allow_on_headers_stop_iteration"] = json!(true);
        }
        json!({
            "name": "chaperone",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": config,
            },
        })
    }
}

/// Name of a connection's own listener.
pub(crate) fn listener_name(connection: &str) -> String {
    format!("connection-{connection}")
}

fn cluster_name(connection: &str) -> String {
    format!("upstream-{connection}")
}

fn secret_name(connection: &str) -> String {
    format!("credential-{connection}")
}

fn address(socket: SocketAddr) -> Value {
    socket_address(&socket.ip().to_string(), socket.port())
}

fn socket_address(host: &str, port: u16) -> Value {
    json!({ "socket_address": { "address": host, "port_value": port } })
}

fn virtual_host(connection: &str, domains: &[String], route: Value) -> Value {
    json!({ "name": format!("connection-{connection}"), "domains": domains, "routes": [route] })
}

/// An internal client may ask Envoy for retries (`x-envoy-retry-on`), which sends upstream several
/// times what was approved once. Without any range private and loopback addresses are internal, so
/// there is one, which no client has: 192.0.2.0 is for documentation (RFC 5737).
fn nobody_is_internal() -> Value {
    json!({ "cidr_ranges": [{ "address_prefix": "192.0.2.0", "prefix_len": 32 }] })
}

/// Labels for Prometheus out of the names of the filter's metrics. Each is the name of the label
/// and what follows `wasmcustom.chaperone.` in names that have it.
fn stats_tags() -> Value {
    [
        ("rule", "rule_(?:allowed|denied|approve)"),
        ("code", "code"),
        ("detector", "(?:detector|reported_by|blocked_by)"),
    ]
    .iter()
    .map(|(label, family)| {
        json!({
            "tag_name": label,
            "regex": format!(r"^wasmcustom\.chaperone\.{family}(\.(.+))$"),
        })
    })
    .collect()
}

fn allowed_capabilities() -> Value {
    super::capabilities::ALLOWED
        .iter()
        .map(|name| ((*name).to_owned(), json!({})))
        .collect()
}

/// Every route names its connection, so that Envoy's routing and the policy cannot disagree about
/// where a request goes.
fn route(connection: &Served) -> Value {
    let mut route = json!({
        "match": { "prefix": "/" },
        "metadata": { "filter_metadata": { "chaperone": { "connection": connection.name } } },
    });
    match &connection.upstream {
        Some(served) => {
            route["route"] = json!({
                "cluster": cluster_name(&connection.name),
                "host_rewrite_literal": served.upstream.authority(),
                "timeout": "0s",
            });
        }
        None => {
            let message = format!(
                "The policy lets this request through to the connection {name}, but this `chaperone dev` has no upstream for it. Start it with --upstream {name}=URL.\n",
                name = connection.name
            );
            route["direct_response"] =
                json!({ "status": 503, "body": { "inline_string": message } });
        }
    }
    route
}

fn router() -> Value {
    json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            "suppress_envoy_headers": true,
        },
    })
}

fn access_log(path: &Path) -> Value {
    json!({
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": { "json_format": {
                "time": "%START_TIME%",
                "request_id": "%REQ(X-REQUEST-ID)%",
                "method": "%REQ(:METHOD)%",
                "host": "%REQ(:AUTHORITY)%",
                "protocol": "%PROTOCOL%",
                "upstream": "%UPSTREAM_CLUSTER%",
                "status": "%RESPONSE_CODE%",
                "details": "%RESPONSE_CODE_DETAILS%",
                "flags": "%RESPONSE_FLAGS%",
                "bytes_received": "%BYTES_RECEIVED%",
                "bytes_sent": "%BYTES_SENT%",
                "duration_ms": "%DURATION%",
            }},
        },
    })
}

fn endpoints(cluster: &str, address: &Value) -> Value {
    json!({
        "cluster_name": cluster,
        "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
    })
}

fn control_plane_cluster(socket: SocketAddr) -> Value {
    json!({
        "name": CONTROL_PLANE_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": endpoints(CONTROL_PLANE_CLUSTER, &address(socket)),
        "circuit_breakers": { "thresholds": [
            { "max_connections": 1024, "max_pending_requests": 1024, "max_requests": 1024 },
        ]},
    })
}

fn upstream_cluster(connection: &str, served: &ServedUpstream) -> Value {
    let upstream = &served.upstream;
    let name = cluster_name(connection);
    let host = upstream.address_host();
    let mut cluster = json!({
        "name": name,
        "connect_timeout": "5s",
        "per_connection_buffer_limit_bytes": STREAM_BUFFER_BYTES,
        "load_assignment": endpoints(&name, &socket_address(host, upstream.port)),
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol_options(connection, served),
        },
    });
    if upstream.ip().is_some() {
        cluster["type"] = json!("STATIC");
    } else {
        // One logical host whose addresses are tried in turn (RFC 8305): `localhost` is ::1 and
        // 127.0.0.1, and most test servers listen on one of them only.
        cluster["type"] = json!("LOGICAL_DNS");
        cluster["dns_lookup_family"] = json!("ALL");
    }
    if let Scheme::Https { ca_bundle } = &upstream.scheme {
        cluster["transport_socket"] = tls(upstream, ca_bundle);
    }
    cluster
}

fn tls(upstream: &Upstream, ca_bundle: &Path) -> Value {
    let host = upstream.address_host();
    let mut context = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": { "validation_context": { "trusted_ca": { "filename": ca_bundle } } },
    });
    let san_type = if upstream.ip().is_some() {
        // An address is no server name (RFC 6066 §3).
        "IP_ADDRESS"
    } else {
        context["sni"] = json!(host);
        "DNS"
    };
    context["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"] =
        json!([{ "san_type": san_type, "matcher": { "exact": host } }]);
    json!({ "name": "envoy.transport_sockets.tls", "typed_config": context })
}

fn protocol_options(connection: &str, served: &ServedUpstream) -> Value {
    let protocol = if served.upstream.http2 {
        "http2_protocol_options"
    } else {
        "http_protocol_options"
    };
    let mut options = json!({
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": { protocol: {} },
    });
    if served.credential.is_some() {
        options["http_filters"] = json!([
            {
                "name": "envoy.filters.http.credential_injector",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
                    "overwrite": true,
                    "credential": {
                        "name": "envoy.http.injected_credentials.generic",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic",
                            "credential": { "name": secret_name(connection) },
                            "header": "Authorization",
                        },
                    },
                },
            },
            {
                "name": "envoy.filters.http.upstream_codec",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
                },
            },
        ]);
    }
    options
}
