//! `chaperone token`: API tokens.

use std::path::PathBuf;

use chaperone_api::{CreatedToken, NewToken, Page, Role, Token};

use super::args::PageArgs;
use super::client::segment;
use super::context::Context;
use super::failure::Failure;
use super::files::create_private;
use super::output::{Table, instant, more};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token; its secret is shown this once
    #[command(after_help = "Examples:
  chaperone token create --name ci --role policy --ttl 90d --write-to ci.token
  chaperone token create --name bob --role approver --groups sre")]
    Create(CreateArgs),
    /// List tokens, without their secrets; revoked ones as well
    List(PageArgs),
    /// Revoke a token; it stops working at once
    Revoke {
        /// Id of the token, as in `token list`
        id: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// What it is for
    #[arg(long)]
    name: String,
    /// What it may do: admin, policy, approver, auditor or node
    #[arg(long)]
    role: Role,
    /// Who acts when it is used [default: the name]
    #[arg(long)]
    subject: Option<String>,
    /// Groups of the subject; an approver answers for these
    #[arg(long, value_delimiter = ',', value_name = "GROUP,…")]
    groups: Vec<String>,
    /// How long it works, as in 12h or 90d [default: until it is revoked]
    #[arg(long, value_parser = humantime::parse_duration, value_name = "DURATION")]
    ttl: Option<std::time::Duration>,
    /// Write the secret to this new file, readable by you alone, instead of printing it
    #[arg(long, value_name = "FILE")]
    write_to: Option<PathBuf>,
}

/// Runs `chaperone token …`.
pub(crate) async fn run(command: TokenCommand, context: &Context) -> Result<(), Failure> {
    match command {
        TokenCommand::Create(args) => create(args, context).await,
        TokenCommand::List(args) => list(&args, context).await,
        TokenCommand::Revoke { id } => {
            context
                .client()?
                .delete(&format!("/tokens/{}", segment(&id)))
                .await?;
            if context.output.is_text() {
                context.output.line(format!("Revoked {id}."))?;
            }
            Ok(())
        }
    }
}

async fn create(args: CreateArgs, context: &Context) -> Result<(), Failure> {
    let request = NewToken {
        name: args.name,
        subject: args.subject,
        groups: args.groups,
        role: args.role,
        ttl_seconds: args.ttl.map(|ttl| ttl.as_secs()),
    };
    let client = context.client()?;
    let created: CreatedToken = client.post("/tokens", &request).await?;
    let token = &created.token;
    let out = context.output;
    if let Some(file) = &args.write_to {
        if let Err(e) = create_private(file, format!("{}\n", created.secret).as_bytes()) {
            // A secret that nobody has must not stay valid.
            client
                .delete(&format!("/tokens/{}", segment(&token.id)))
                .await?;
            return Err(
                Failure::failed(format!("Cannot write {}: {e}.", file.display()))
                    .next("The token was revoked again; name a file that does not exist yet."),
            );
        }
        return if out.is_text() {
            Ok(out.line(format!(
                "Made {} for {}; its secret is in {}.",
                token.id,
                token.subject,
                file.display()
            ))?)
        } else {
            Ok(out.json(token)?)
        };
    }
    if out.is_text() {
        out.line(format!(
            "Made {} for {} with role {}. It is shown this once:",
            token.id, token.subject, token.role
        ))?;
        Ok(out.line(&created.secret)?)
    } else {
        Ok(out.json(&created)?)
    }
}

async fn list(args: &PageArgs, context: &Context) -> Result<(), Failure> {
    let page: Page<Token> = context.client()?.get("/tokens", &args.query()).await?;
    let out = context.output;
    if !out.is_text() {
        return Ok(out.json(&page)?);
    }
    let mut table = Table::new(["ID", "NAME", "ROLE", "SUBJECT", "GROUPS", "CREATED", "ENDS"]);
    for token in &page.items {
        table.row([
            &token.id,
            &token.name,
            token.role.as_str(),
            &token.subject,
            &token.groups.join(","),
            &instant(token.created_at),
            &match (token.revoked_at, token.expires_at) {
                (Some(at), _) => format!("revoked {}", instant(at)),
                (None, Some(at)) => instant(at),
                (None, None) => "never".to_owned(),
            },
        ]);
    }
    out.line(table.to_string())?;
    Ok(more(out, page.next_cursor.as_deref())?)
}
