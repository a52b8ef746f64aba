//! `chaperone signing-key`: the key that policy is signed with, and its rotation.

use chaperone_api::{SigningKey, SigningKeys, SwitchRequest};

use super::context::Context;
use super::failure::Failure;
use super::output::{Output, Table, clean};

#[derive(Debug, clap::Subcommand)]
#[command(after_help = "A rotation, step by step:
  chaperone signing-key prepare            makes the next key and shows both
  (put both into `public_keys` of every filter, and wait until they have it)
  chaperone signing-key show               says which live nodes do not pin the next key yet
  chaperone signing-key switch KEY         signs with it, beginning with the policy in force
  (leave the old key out of every filter)")]
pub(crate) enum SigningKeyCommand {
    /// Show the key that signs, the next one, and which live nodes do not pin them
    Show,
    /// Make the next key; nothing is signed with it yet
    Prepare,
    /// Sign with the next key from now on; refused while live nodes do not pin it
    Switch {
        /// Id of the next key, as in `signing-key show`
        key: String,
        /// Switch although live nodes do not pin it: they refuse every bundle from then on, and
        /// have no policy after a restart
        #[arg(long)]
        allow_unpinned: bool,
    },
    /// Give the next key up
    Discard,
}

/// Runs `chaperone signing-key …`.
pub(crate) async fn run(command: SigningKeyCommand, context: &Context) -> Result<(), Failure> {
    let client = context.client()?;
    let keys: SigningKeys = match command {
        SigningKeyCommand::Show => client.get("/signing-keys", &[]).await?,
        SigningKeyCommand::Prepare => {
            client
                .post("/signing-keys/next", &serde_json::json!({}))
                .await?
        }
        SigningKeyCommand::Switch {
            key,
            allow_unpinned,
        } => {
            let request = SwitchRequest {
                key,
                allow_unpinned,
            };
            client.post("/signing-keys/switch", &request).await?
        }
        SigningKeyCommand::Discard => {
            client.delete("/signing-keys/next").await?;
            client.get("/signing-keys", &[]).await?
        }
    };
    show(&keys, context.output)
}

fn show(keys: &SigningKeys, out: Output) -> Result<(), Failure> {
    if !out.is_text() {
        return Ok(out.json(keys)?);
    }
    let mut table = Table::new(["STATE", "KEY", "PUBLIC KEY", "NOT PINNED BY"]);
    let mut row = |state: &str, key: &SigningKey| {
        let nodes = key.unpinned_by.len();
        let nodes = match nodes {
            0 => "-".to_owned(),
            _ => format!("{nodes} live node(s)"),
        };
        table.row([state, &key.id, &key.public_key, &nodes]);
    };
    row("signs", &keys.current);
    if let Some(next) = &keys.next {
        row("next", next);
    }
    out.line(table.to_string())?;
    for (state, key) in [
        ("the key that signs", Some(&keys.current)),
        ("the next key", keys.next.as_ref()),
    ] {
        for node in key.iter().flat_map(|key| &key.unpinned_by) {
            let (name, boot) = (clean(&node.name), clean(&node.boot));
            out.line(format!("{name} ({boot}) does not pin {state}."))?;
        }
    }
    Ok(())
}
