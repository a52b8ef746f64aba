//! `chaperone dev`: a policy tried on one's own machine.
//!
//! One process runs the control plane and an issuer, and one child runs Envoy with a generated
//! configuration. Nothing is simulated: what passes here passes in production.
//!
//! | file | |
//! |---|---|
//! | [`args`] | the flags |
//! | [`plan`] | flags and policy checked against each other, before anything starts |
//! | [`find`] | where Envoy and the filter are |
//! | [`upstream`] | `NAME=URL` |
//! | [`issuer`] | tokens |
//! | [`control_plane`] | the control plane in this process |
//! | [`envoy_config`] | Envoy's configuration |
//! | [`capabilities`] | what the filter may do in Envoy |
//! | [`envoy`] | Envoy's process |
//! | [`ready`] | what is printed, and written for scripts, when all is up |
//! | [`run`](mod@run) | all of it together, in order up and down |

mod args;
mod capabilities;
mod control_plane;
mod envoy;
mod envoy_config;
mod find;
mod issuer;
mod plan;
mod ready;
mod run;
mod upstream;

#[cfg(test)]
mod tests;

pub(crate) use args::DevArgs;
pub(crate) use envoy::{CHILD_COMMAND, ChildArgs, become_child};

use self::args::{DevCommand, TokenArgs};
use self::issuer::{DevIssuer, TokenClaims};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::now;
use crate::cli::user_state::UserState;

/// Runs `chaperone dev …`.
pub(crate) async fn run(args: DevArgs, context: &Context) -> Result<(), Failure> {
    match args.command {
        Some(DevCommand::Token(args)) => token(args, context),
        None => run::run(args.run, context.output).await,
    }
}

fn token(args: TokenArgs, context: &Context) -> Result<(), Failure> {
    let state = UserState::locate()?;
    let issuer = DevIssuer::load_or_create(&state)?;
    if args.jwks {
        return Ok(context.output.json(&issuer.jwks())?);
    }
    let claims = TokenClaims {
        subject: args.subject,
        groups: args.groups,
        agent: args.agent,
        session: args.session,
        extra: args.claims.into_iter().collect(),
        ttl: args.ttl,
    };
    let token = issuer.token(&claims, now().as_secs());
    if context.output.is_text() {
        Ok(context.output.line(token)?)
    } else {
        Ok(context
            .output
            .json(&serde_json::json!({ "token": token }))?)
    }
}
