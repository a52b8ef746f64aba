//! The command line: what it understands, and how it ends.
//!
//! Each group of commands is a module with its arguments and what they do; they talk to the
//! management API through [`client`], print through [`output`] and fail through [`failure`].

mod approvals;
mod audit;
pub(crate) mod client;
mod detectors;
pub(crate) mod failure;
mod mask;
mod masking_args;
mod nodes;
pub(crate) mod output;
pub(crate) mod policy;
pub(crate) mod policy_local;
mod serve;
pub(crate) mod signals;
mod token;

#[cfg(test)]
mod reference;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::client::{Client, Target};
use self::failure::Failure;
use self::output::{Format, Output, clean};
use crate::dev;

const EXIT_CODES: &str = "\
Exit codes:
  0  done, or the check passed
  1  a check failed, or the control plane refused
  2  the command line cannot be understood
  3  the control plane cannot be reached
  4  a secret was found that may not pass (chaperone mask)

Examples:
  chaperone dev --policy policy.yaml --upstream models=https://api.example.com
  chaperone policy test policy.yaml
  chaperone policy publish policy.yaml --wait
  chaperone approvals watch
  chaperone audit search --subject alice --effect deny --since 1h
  chaperone mask --format auto < build.log";

/// The gate for AI coding agents: who may do what, who approved it, and what came of it.
#[derive(Debug, Parser)]
#[command(name = "chaperone", version, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// The control plane, as https://chaperone.example.com [default: the last started `chaperone dev`]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "CHAPERONE_SERVER",
        hide_env_values = true,
        help_heading = "Control plane"
    )]
    server: Option<String>,
    /// File with an API token; CHAPERONE_TOKEN may hold the token itself
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CHAPERONE_TOKEN_FILE",
        hide_env_values = true,
        help_heading = "Control plane"
    )]
    token_file: Option<PathBuf>,
    /// Send the token over plain HTTP to another machine, where the network itself is encrypted
    #[arg(long, global = true, help_heading = "Control plane")]
    allow_http: bool,
    /// How to print results
    #[arg(
        long,
        short,
        global = true,
        help_heading = "Output",
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the control plane
    Serve(serve::ServeArgs),
    /// Try a policy on this machine: control plane, issuer and Envoy with one command
    Dev(dev::DevArgs),
    /// Check, try, publish and look up policies
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// See and answer requests that wait for a human
    #[command(subcommand)]
    Approvals(approvals::ApprovalsCommand),
    /// Search the trail: who did what, when, with what result
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Mask the secrets in standard input, as the gate masks bodies
    Mask(mask::MaskArgs),
    /// List and try what finds secrets, and import rules of other tools
    #[command(subcommand)]
    Detectors(detectors::DetectorsCommand),
    /// List Envoy workers, what they enforce, and whether events are missing
    Nodes(nodes::NodesArgs),
    /// Make, list and revoke API tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Starts Envoy so that it ends when `chaperone dev` does; not for people.
    #[command(name = dev::CHILD_COMMAND, hide = true)]
    Child(dev::ChildArgs),
}

/// What every command gets.
#[derive(Debug)]
pub(crate) struct Context {
    target: Target,
    /// Standard output in the format that was asked for.
    pub(crate) output: Output,
}

impl Context {
    /// The management API.
    ///
    /// # Errors
    /// When no server or token is named.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.target)
    }
}

/// Parses the arguments, runs the command, reports how it ended.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output {
        format: cli.global.output,
    };
    let target = Target {
        server: cli.global.server,
        token_file: cli.global.token_file,
        token: std::env::var("CHAPERONE_TOKEN")
            .ok()
            .filter(|token| !token.trim().is_empty()),
        allow_http: cli.global.allow_http,
    };
    let context = Context { target, output };
    match run(cli.command, &context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.reader_gone => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure, output);
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn run(command: Command, context: &Context) -> Result<(), Failure> {
    // Before there is a second thread: it becomes another program.
    if let Command::Child(args) = command {
        return Err(dev::become_child(&args));
    }
    // These wait for nobody but their input.
    match &command {
        Command::Mask(args) => return mask::run(args),
        Command::Detectors(command) => return detectors::run(command, context.output),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::failed(format!("Cannot start: {e}.")))?;
    // The command runs on this thread, the main one, which lives as long as the process: the death
    // signal of `dev`'s child is bound to the thread that started it.
    runtime.block_on(async {
        match command {
            Command::Serve(args) => serve::run(args).await,
            Command::Dev(args) => dev::run(args, context).await,
            Command::Policy(command) => policy::run(command, context).await,
            Command::Approvals(command) => approvals::run(command, context).await,
            Command::Audit(command) => audit::run(command, context).await,
            Command::Nodes(args) => nodes::run(&args, context).await,
            Command::Token(command) => token::run(command, context).await,
            Command::Child(_) | Command::Mask(_) | Command::Detectors(_) => Ok(()),
        }
    })
}

fn report(failure: &Failure, output: Output) {
    let text = if output.is_text() {
        format!("error: {}", clean(&failure.to_string()))
    } else {
        let error = serde_json::json!({ "message": failure.message, "next": failure.next });
        serde_json::json!({ "error": error }).to_string()
    };
    // If standard error is gone there is nobody to tell.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), (text + "\n").as_bytes());
}

/// What is logged: `CHAPERONE_LOG`, or else `default`.
pub(crate) fn log_filter(default: &str) -> Result<tracing_subscriber::EnvFilter, Failure> {
    let levels = std::env::var("CHAPERONE_LOG").unwrap_or_else(|_| default.to_owned());
    tracing_subscriber::EnvFilter::try_new(&levels).map_err(|e| {
        Failure::usage(format!("CHAPERONE_LOG={levels} cannot be understood: {e}."))
            .next("It is written like info or info,chaperone=debug.")
    })
}

/// Query parameters of a filter struct, as the API spells them.
pub(crate) fn query(filter: &impl serde::Serialize) -> Result<Vec<(String, String)>, Failure> {
    let value = serde_json::to_value(filter)
        .map_err(|e| Failure::failed(format!("Cannot write the query: {e}.")))?;
    let members = value.as_object().into_iter().flatten();
    Ok(members
        .filter_map(|(name, value)| {
            let text = match value {
                serde_json::Value::Null => return None,
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            Some((name.clone(), text))
        })
        .collect())
}

/// How many entries a list prints.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListArgs {
    /// Entries to show at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Go on where the list before ended
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

impl ListArgs {
    fn query(&self) -> Vec<(String, String)> {
        let mut query = vec![("limit".to_owned(), self.limit.to_string())];
        query.extend(
            self.cursor
                .clone()
                .map(|cursor| ("cursor".to_owned(), cursor)),
        );
        query
    }
}

/// Says how to see the rest of a list.
pub(crate) fn more(output: Output, next_cursor: Option<&str>) -> std::io::Result<()> {
    match next_cursor {
        Some(cursor) => output.line(format!("\nThere are more: add --cursor {cursor}")),
        None => Ok(()),
    }
}

/// A point in time: `15m` ago, or RFC 3339.
pub(crate) fn point_in_time(
    text: &str,
) -> Result<chaperone_engine::base::time::UnixMillis, String> {
    use chaperone_engine::base::time::UnixMillis;
    if let Ok(ago) = humantime::parse_duration(text) {
        let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        return Ok(UnixMillis(output::now().0.saturating_sub(ago)));
    }
    let time = humantime::parse_rfc3339_weak(text).map_err(|_| {
        "expected how long ago, as in 15m, or a time in UTC, as in 2026-01-31T12:00:00Z".to_owned()
    })?;
    let since = time
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Ok(UnixMillis(
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn filters_go_out_without_what_was_not_asked() {
        let filter = chaperone_api::RecordFilter {
            subject: Some("alice".into()),
            status: Some(403),
            ..Default::default()
        };
        let expected = [("subject", "alice"), ("status", "403")];
        let mut pairs = query(&filter).unwrap();
        pairs.sort();
        let mut expected = expected.map(|(k, v)| (k.to_owned(), v.to_owned()));
        expected.sort();
        assert_eq!(pairs, expected);
    }

    #[test]
    fn times_are_distances_or_instants() {
        let now = output::now().0;
        let hour_ago = point_in_time("1h").unwrap().0;
        assert!((now - hour_ago).abs_diff(3_600_000) < 10_000);
        assert_eq!(point_in_time("1970-01-01T00:01:00Z").unwrap().0, 60_000);
        assert!(point_in_time("yesterday").is_err());
    }
}
