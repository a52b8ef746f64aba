//! From flags and policy to what is going to run: everything that can be wrong with them is found
//! before anything is started.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use chaperone_engine::policy::CompiledPolicy;
use serde_json::{Map, Value, json};

use super::args::RunArgs;
use super::envoy_config::{CONTROL_PLANE_CLUSTER, Profile, Served, ServedUpstream};
use super::find;
use super::upstream::UpstreamUrl;
use crate::cli::failure::Failure;
use crate::cli::files::write_private;

/// What `chaperone dev` is going to run.
#[derive(Debug)]
pub(crate) struct RunPlan {
    /// The Envoy binary.
    pub(crate) envoy: PathBuf,
    /// The filter.
    pub(crate) wasm: PathBuf,
    /// The policy's connections.
    pub(crate) connections: Vec<Served>,
    /// Settings of the filter beside those that `dev` makes.
    pub(crate) filter_extra: Map<String, Value>,
}

impl RunPlan {
    /// Checks flags against the policy; credentials are copied into `run_dir`.
    ///
    /// # Errors
    /// A sentence for the person who wrote the flags.
    pub(crate) fn new(
        args: &RunArgs,
        policy: &CompiledPolicy,
        run_dir: &Path,
    ) -> Result<Self, Failure> {
        let known: Vec<&str> = policy
            .policy()
            .connections
            .iter()
            .map(|c| c.name.as_str())
            .collect();
        let check = |flag: &str, name: &str, among: &[&str], what: &str| {
            if among.contains(&name) {
                return Ok(());
            }
            let list = if among.is_empty() {
                "none".to_owned()
            } else {
                among.join(", ")
            };
            Err(Failure::usage(format!(
                "{flag} names {name}, but {what}: {list}."
            )))
        };
        let mut urls: BTreeMap<&str, &UpstreamUrl> = BTreeMap::new();
        for (name, url) in &args.upstreams {
            check("--upstream", name, &known, "the policy's connections are")?;
            if urls.insert(name, url).is_some() {
                return Err(Failure::usage(format!("--upstream {name} is given twice.")));
            }
        }
        let with_upstream: Vec<&str> = urls.keys().copied().collect();
        let on_upstream = |flag: &str, name: &str| {
            check(
                flag,
                name,
                &with_upstream,
                "the connections with an --upstream are",
            )
        };
        let http2: BTreeSet<&str> = args.upstream_http2.iter().map(String::as_str).collect();
        for name in &http2 {
            on_upstream("--upstream-http2", name)?;
        }
        let cas = by_name("--upstream-ca", &args.upstream_ca, &on_upstream)?;
        for name in cas.keys() {
            if !urls.get(name).is_some_and(|url| url.is_tls()) {
                return Err(Failure::usage(format!(
                    "--upstream-ca {name} has no use: its upstream is not https."
                )));
            }
        }
        let credentials = by_name("--credential", &args.credential, &on_upstream)?;
        let ports = by_name("--port", &args.ports, &on_upstream)?;
        ports_are_free(args, &ports)?;

        let mut connections = Vec::new();
        for connection in &policy.policy().connections {
            let name = connection.name.as_str();
            let upstream = match urls.get(name) {
                None => None,
                Some(url) => {
                    let roots = match (url.is_tls(), cas.get(name)) {
                        (false, _) => PathBuf::new(),
                        (true, Some(file)) => readable("--upstream-ca", file)?,
                        (true, None) => find::system_roots()?,
                    };
                    let credential = credentials
                        .get(name)
                        .map(|file| credential(name, file, run_dir));
                    Some(ServedUpstream {
                        upstream: (*url).clone().into_upstream(roots, http2.contains(name)),
                        listen: loopback(ports.get(name).map_or(0, |port| **port)),
                        credential: credential.transpose()?,
                    })
                }
            };
            connections.push(Served {
                name: name.to_owned(),
                hosts: connection
                    .hosts
                    .iter()
                    .map(|host| host.as_str().to_owned())
                    .collect(),
                upstream,
            });
        }
        Ok(Self {
            envoy: find::envoy(args.envoy.as_deref())?,
            wasm: find::wasm(args.wasm.as_deref())?,
            connections,
            filter_extra: args
                .filter_config
                .as_deref()
                .map(filter_extra)
                .transpose()?
                .unwrap_or_default(),
        })
    }

    /// The filter's configuration; a secret.
    pub(crate) fn plugin(&self, node: &str, profile: Profile, keys: &FilterKeys) -> Value {
        let mut config = self.filter_extra.clone();
        let made = json!({
            "control_plane": {
                "cluster": CONTROL_PLANE_CLUSTER, "authority": CONTROL_PLANE_CLUSTER, "timeout_ms": 2000,
            },
            "node_name": node,
            "node_token": keys.node_token,
            "public_key": keys.public_key,
            "fingerprint_key": keys.fingerprint_key,
            "profile": profile.as_str(),
            "connection_from_route": true,
        });
        if let Value::Object(made) = made {
            config.extend(made);
        }
        Value::Object(config)
    }
}

/// What the control plane's data directory gives to the filter.
pub(crate) struct FilterKeys {
    /// Authenticates the node.
    pub(crate) node_token: String,
    /// Verifies policy.
    pub(crate) public_key: String,
    /// Keys fingerprints.
    pub(crate) fingerprint_key: String,
}

fn by_name<'a, T>(
    flag: &str,
    given: &'a [(String, T)],
    check: &impl Fn(&str, &str) -> Result<(), Failure>,
) -> Result<BTreeMap<&'a str, &'a T>, Failure> {
    let mut map = BTreeMap::new();
    for (name, value) in given {
        check(flag, name)?;
        if map.insert(name.as_str(), value).is_some() {
            return Err(Failure::usage(format!("{flag} {name} is given twice.")));
        }
    }
    Ok(map)
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Envoy shares ports (SO_REUSEPORT): a second Envoy on a port takes half of the first one's
/// connections without an error. So a fixed port that anybody listens on is refused here.
fn ports_are_free(args: &RunArgs, ports: &BTreeMap<&str, &u16>) -> Result<(), Failure> {
    let mut wanted = vec![
        ("--listen".to_owned(), args.listen),
        ("--admin-port".to_owned(), loopback(args.admin_port)),
        (
            "--control-plane-port".to_owned(),
            loopback(args.control_plane_port),
        ),
        ("--issuer-port".to_owned(), loopback(args.issuer_port)),
    ];
    wanted.extend(
        ports
            .iter()
            .map(|(name, port)| (format!("--port {name}"), loopback(**port))),
    );
    let mut open = Vec::new();
    for (flag, address) in wanted.iter().filter(|(_, address)| address.port() != 0) {
        // All stay open until the last is checked, so that two flags cannot name one port.
        open.push(TcpListener::bind(address).map_err(|e| {
            Failure::usage(format!("{flag}: cannot listen on {address}: {e}. Choose another port, or 0 for any free one."))
        })?);
    }
    Ok(())
}

fn readable(flag: &str, file: &Path) -> Result<PathBuf, Failure> {
    std::fs::File::open(file)
        .map_err(|e| Failure::usage(format!("{flag}: cannot read {}: {e}.", file.display())))?;
    file.canonicalize()
        .map_err(|e| Failure::usage(format!("{flag}: {}: {e}.", file.display())))
}

/// A copy for Envoy, without the newline that editors put at the end and headers cannot have.
fn credential(name: &str, file: &Path, run_dir: &Path) -> Result<PathBuf, Failure> {
    let text = std::fs::read_to_string(file).map_err(|e| {
        Failure::usage(format!(
            "--credential {name}: cannot read {}: {e}.",
            file.display()
        ))
    })?;
    let value = text.trim();
    if value.is_empty() || value.chars().any(char::is_control) {
        return Err(Failure::usage(format!(
            "--credential {name}: {} must hold one line, the value of Authorization as in `Bearer …`.",
            file.display()
        )));
    }
    let copy = run_dir.join(format!("credential-{name}"));
    write_private(&copy, value.as_bytes()).map_err(|e| {
        Failure::usage(format!(
            "--credential {name}: cannot write {}: {e}.",
            copy.display()
        ))
    })?;
    Ok(copy)
}

fn filter_extra(file: &Path) -> Result<Map<String, Value>, Failure> {
    /// What `dev` fills in itself: another value would not work.
    const MADE: [&str; 7] = [
        "control_plane",
        "node_name",
        "node_token",
        "public_key",
        "fingerprint_key",
        "profile",
        "connection_from_route",
    ];
    let text = std::fs::read_to_string(file).map_err(|e| {
        Failure::usage(format!(
            "--filter-config: cannot read {}: {e}.",
            file.display()
        ))
    })?;
    let extra: Map<String, Value> = serde_json::from_str(&text).map_err(|e| {
        Failure::usage(format!(
            "--filter-config: {} is no JSON object: {e}.",
            file.display()
        ))
    })?;
    match MADE.into_iter().find(|key| extra.contains_key(*key)) {
        Some(key) => Err(Failure::usage(format!(
            "--filter-config: {key} is set by `chaperone dev` itself; take it out of {}.",
            file.display()
        ))),
        None => Ok(extra),
    }
}
