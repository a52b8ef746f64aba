//! The flags of `chaperone dev`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::envoy_config::Profile;
use super::upstream::{UpstreamUrl, named};
use crate::cli::failure::ArgumentError;

/// Arguments of `chaperone dev`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Examples:
  chaperone dev --policy policy.yaml --upstream models=https://api.example.com
  chaperone dev --policy policy.yaml --upstream arm=http://127.0.0.1:9000 \\
      --listen 10000 --port arm=10001 --log-dir logs --ready-file ready.json

Then, in another terminal:
  TOKEN=$(chaperone dev token --subject alice --groups platform)
  curl -H \"Authorization: Bearer $TOKEN\" http://127.0.0.1:10001/subscriptions
  chaperone audit tail")]
pub(crate) struct DevArgs {
    #[command(subcommand)]
    pub(crate) command: Option<DevCommand>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum DevCommand {
    /// Print a token of the development issuer
    #[command(after_help = "Examples:
  chaperone dev token --subject alice --groups platform,sre
  chaperone dev token --subject ci --claim 'azp=\"codex\"' --ttl 5m")]
    Token(TokenArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// The policy to publish, YAML or JSON
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) policy: Option<PathBuf>,
    /// Where a connection of the policy goes: http or https, host and port; repeat for each
    #[arg(long = "upstream", value_name = "NAME=URL", value_parser = named_url)]
    pub(crate) upstreams: Vec<(String, UpstreamUrl)>,
    /// Speak HTTP/2 to this connection's upstream
    #[arg(long, value_name = "NAME")]
    pub(crate) upstream_http2: Vec<String>,
    /// Verify this connection's https upstream with these roots instead of the system's
    #[arg(long, value_name = "NAME=FILE", value_parser = named_file)]
    pub(crate) upstream_ca: Vec<(String, PathBuf)>,
    /// What goes upstream in Authorization, as `Bearer …`; the agent never sees it
    #[arg(long, value_name = "NAME=FILE", value_parser = named_file)]
    pub(crate) credential: Vec<(String, PathBuf)>,

    /// Where agents reach all connections, chosen by Host; a port alone means 127.0.0.1
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = address, default_value = "0", help_heading = "Addresses (port 0: any free one)")]
    pub(crate) listen: SocketAddr,
    /// The port of its own of one connection
    #[arg(long = "port", value_name = "NAME=PORT", value_parser = named_port, help_heading = "Addresses (port 0: any free one)")]
    pub(crate) ports: Vec<(String, u16)>,
    /// Port of Envoy's admin interface
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        help_heading = "Addresses (port 0: any free one)"
    )]
    pub(crate) admin_port: u16,
    /// Port of the control plane
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        help_heading = "Addresses (port 0: any free one)"
    )]
    pub(crate) control_plane_port: u16,
    /// Port of the issuer
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        help_heading = "Addresses (port 0: any free one)"
    )]
    pub(crate) issuer_port: u16,

    /// Keep the logs of Envoy and the control plane in this directory
    #[arg(long, value_name = "DIR", help_heading = "Files")]
    pub(crate) log_dir: Option<PathBuf>,
    /// Write every address to this file, as JSON, once the policy is enforced
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    pub(crate) ready_file: Option<PathBuf>,
    /// Keep policies, records and keys in this directory instead of throwing them away at the end
    #[arg(long, value_name = "DIR", help_heading = "Files")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The Envoy to run [default: from PATH or .tools/envoy-*/envoy]
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    pub(crate) envoy: Option<PathBuf>,
    /// The filter to load [default: as cargo builds it, or beside this program]
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    pub(crate) wasm: Option<PathBuf>,
    /// JSON with further settings of the filter, as `limits` or `on_audit_full`
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    pub(crate) filter_config: Option<PathBuf>,

    /// Whether the filter sees the body before the verdict
    #[arg(long, value_enum, default_value_t = Profile::Body, help_heading = "Envoy")]
    pub(crate) profile: Profile,
    /// Worker threads of Envoy
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64), help_heading = "Envoy")]
    pub(crate) concurrency: u32,
    /// What Envoy logs: trace, debug, info, warning, error, critical or off
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = ["trace", "debug", "info", "warning", "error", "critical", "off"], help_heading = "Envoy")]
    pub(crate) envoy_log_level: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TokenArgs {
    /// Who calls
    #[arg(long, default_value = "dev")]
    pub(crate) subject: String,
    /// Groups of the caller
    #[arg(long, value_delimiter = ',', value_name = "GROUP,…")]
    pub(crate) groups: Vec<String>,
    /// The agent that acts for the caller (claim azp)
    #[arg(long)]
    pub(crate) agent: Option<String>,
    /// The agent run (claim sid)
    #[arg(long)]
    pub(crate) session: Option<String>,
    /// Any other claim; it replaces one of the same name
    #[arg(long = "claim", value_name = "NAME=JSON", value_parser = claim)]
    pub(crate) claims: Vec<(String, Value)>,
    /// How long it is good for
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    pub(crate) ttl: Duration,
    /// Print the issuer's public key set instead, for other verifiers
    #[arg(long)]
    pub(crate) jwks: bool,
}

fn named_url(text: &str) -> Result<(String, UpstreamUrl), ArgumentError> {
    let (name, url) = named(text, "URL")?;
    Ok((name, UpstreamUrl::parse(&url)?))
}

fn named_file(text: &str) -> Result<(String, PathBuf), ArgumentError> {
    named(text, "FILE").map(|(name, file)| (name, file.into()))
}

fn named_port(text: &str) -> Result<(String, u16), ArgumentError> {
    let (name, port) = named(text, "PORT")?;
    let port = port
        .parse()
        .map_err(|_| ArgumentError::new(format!("{port} is no port: expected 0 to 65535")))?;
    Ok((name, port))
}

fn address(text: &str) -> Result<SocketAddr, ArgumentError> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| {
        ArgumentError::new(format!(
            "{text} is no address: expected a port, or as in 127.0.0.1:10000"
        ))
    })
}

fn claim(text: &str) -> Result<(String, Value), ArgumentError> {
    let (name, json) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| {
            ArgumentError::new(
                "expected NAME=JSON, as in 'roles=[\"reader\"]' or 'email=\"a@example.com\"'",
            )
        })?;
    let value = serde_json::from_str(json).map_err(|e| {
        ArgumentError::new(format!(
            "{json} is not JSON ({e}); a text stands in double quotes, as in '{name}=\"…\"'"
        ))
    })?;
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_listens_for_this_machine_only() {
        assert_eq!(address("10000"), Ok("127.0.0.1:10000".parse().unwrap()));
        assert_eq!(address("0.0.0.0:80"), Ok("0.0.0.0:80".parse().unwrap()));
        assert!(address("localhost:80").is_err());
    }

    #[test]
    fn a_claim_is_json_and_the_error_says_how_to_write_a_text() {
        assert_eq!(claim("a=[1]"), Ok(("a".into(), serde_json::json!([1]))));
        assert_eq!(claim("a==\"b\"").ok(), None);
        assert!(
            claim("email=x@example.com")
                .unwrap_err()
                .to_string()
                .contains("double quotes")
        );
    }
}
