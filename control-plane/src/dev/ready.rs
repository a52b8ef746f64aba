//! What is where, once all is up: for the terminal and for `--ready-file`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// Every address of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ready {
    /// The process to signal.
    pub(crate) pid: u32,
    /// Where agents reach all connections, chosen by Host.
    pub(crate) gate: String,
    /// Connections that have an upstream, by name.
    pub(crate) connections: BTreeMap<String, ReadyConnection>,
    /// The control plane's management API, for `--server`.
    pub(crate) server: String,
    /// File with an admin token for it.
    pub(crate) token_file: PathBuf,
    /// Envoy's admin interface.
    pub(crate) envoy_admin: String,
    /// The development issuer.
    pub(crate) issuer: ReadyIssuer,
    /// The policy version that every worker enforces.
    pub(crate) policy_version: u64,
    /// Envoy's node id.
    pub(crate) node: String,
    /// Where the logs are.
    pub(crate) log_dir: PathBuf,
    /// Where the control plane keeps its data.
    pub(crate) data_dir: PathBuf,
}

/// One connection of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ReadyConnection {
    /// Its own listener.
    pub(crate) url: String,
    /// The Host headers that choose it on the gate.
    pub(crate) hosts: Vec<String>,
    /// What is behind it.
    pub(crate) upstream: String,
}

/// The issuer of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ReadyIssuer {
    /// Where discovery and key set are served.
    pub(crate) url: String,
    /// `iss` of its tokens.
    pub(crate) issuer: String,
    /// `aud` of its tokens.
    pub(crate) audience: String,
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Up, and policy version {} is enforced. Ctrl-C stops it.\n",
            self.policy_version
        )?;
        writeln!(
            f,
            "  gate           {}  (the connection is chosen by Host)",
            self.gate
        )?;
        let width = self
            .connections
            .keys()
            .map(|name| name.len())
            .max()
            .unwrap_or_default();
        for (name, connection) in &self.connections {
            let hosts = connection.hosts.join(", ");
            let (url, upstream) = (&connection.url, &connection.upstream);
            writeln!(f, "    {name:width$}  {url}  to {upstream}  (Host {hosts})")?;
        }
        writeln!(f, "  control plane  {}", self.server)?;
        writeln!(f, "  Envoy admin    {}", self.envoy_admin)?;
        writeln!(f, "  issuer         {}", self.issuer.url)?;
        writeln!(f, "  logs           {}", self.log_dir.display())?;
        writeln!(f, "\nIn another terminal:")?;
        writeln!(
            f,
            "  TOKEN=$(chaperone dev token --subject alice --groups dev)"
        )?;
        let url = self
            .connections
            .values()
            .next()
            .map_or(&self.gate, |connection| &connection.url);
        writeln!(f, "  curl -i -H \"Authorization: Bearer $TOKEN\" {url}/")?;
        write!(
            f,
            "  chaperone audit tail        # or: approvals watch, policy publish FILE --wait"
        )
    }
}
