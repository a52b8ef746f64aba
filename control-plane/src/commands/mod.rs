//! Which commands there are: reads the arguments, starts the command, and reports how it ended.
//!
//! This stands on top of everything that a command may be: the server, [`dev`] and
//! [`cli`](crate::cli).

mod db;
mod serve;

#[cfg(test)]
mod reference;

use std::ffi::OsStr;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::Resettable;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::cli::client::ServerArgs;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Format, Output, clean};
use crate::cli::{approvals, audit, detectors, mask, nodes, policy, signing, token};
use crate::dev;

const EXIT_CODES: &str = "\
Exit codes:
  0  done, or the check passed
  1  a check failed, or the control plane refused
  2  the command line cannot be understood
  3  the control plane cannot be reached, or cannot do its work now
  4  a secret was found that may not pass (chaperone mask)

Examples:
  chaperone dev --policy policy.yaml --upstream models=https://api.example.com
  chaperone policy test policy.yaml
  chaperone policy publish policy.yaml --wait
  chaperone approvals watch
  chaperone audit search --subject alice --effect deny --since 1h
  chaperone mask --format auto < build.log";

/// How long threads that wait for files may take when all is done.
const LEAVE: Duration = Duration::from_secs(1);

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
    #[command(flatten)]
    server: ServerArgs,
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
    /// Look through the control plane's database, or say why it is another one
    #[command(subcommand)]
    Db(db::DbCommand),
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
    /// Show and rotate the key that policy is signed with
    #[command(subcommand)]
    SigningKey(signing::SigningKeyCommand),
    /// Make, list and revoke API tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Starts Envoy so that it ends when `chaperone dev` does; not for people.
    #[command(name = dev::CHILD_COMMAND, hide = true)]
    Child(dev::ChildArgs),
}

/// Parses the arguments, runs the command, reports how it ended.
pub(crate) fn main() -> ExitCode {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let matches = without_variables(Cli::command(), &is_empty).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let output = Output {
        format: cli.global.output,
    };
    let context = Context {
        server: cli.global.server,
        output,
    };
    match run(cli.command, &context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.reader_gone => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure, output);
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// Lets arguments not be read from the variables of the environment that `is_empty` names. A
/// template of a service sets all that there are; one without a value says that there is none.
fn without_variables(command: clap::Command, is_empty: &impl Fn(&OsStr) -> bool) -> clap::Command {
    command
        .mut_args(|arg| match arg.get_env() {
            Some(name) if is_empty(name) => arg.env(Resettable::Reset),
            _ => arg,
        })
        .mut_subcommands(|command| without_variables(command, is_empty))
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
    let ended = runtime.block_on(async {
        match command {
            Command::Serve(args) => serve::run(args).await,
            Command::Db(command) => db::run(command, context.output).await,
            Command::Dev(args) => dev::run(args, context).await,
            Command::Policy(command) => policy::run(command, context).await,
            Command::Approvals(command) => approvals::run(command, context).await,
            Command::Audit(command) => audit::run(command, context).await,
            Command::Nodes(args) => nodes::run(&args, context).await,
            Command::SigningKey(command) => signing::run(command, context).await,
            Command::Token(command) => token::run(command, context).await,
            Command::Child(_) | Command::Mask(_) | Command::Detectors(_) => Ok(()),
        }
    });
    // A thread may wait for a file system that does not answer. Dropping the runtime would wait for
    // it.
    runtime.shutdown_timeout(LEAVE);
    ended
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_without_a_value_is_one_that_is_not_set() {
        let with = |name: &str| {
            let is_empty = |empty: &OsStr| empty == name;
            let command = without_variables(Cli::command(), &is_empty);
            let serve = command.find_subcommand("serve").unwrap().clone();
            let variables = |command: &clap::Command| {
                let mut names = command.get_arguments().filter_map(clap::Arg::get_env);
                names.any(|found| found == name)
            };
            variables(&command) || variables(&serve)
        };
        assert!(!with("CHAPERONE_TLS_CERT") && !with("CHAPERONE_CA_FILE"));
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
