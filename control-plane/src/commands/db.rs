//! `chaperone db`: what is done by hand to the database of a data directory.

use std::path::PathBuf;

use chaperone::serve::ServeError;
use chaperone::serve::upkeep::{self, Checked};
use serde_json::json;

use crate::cli::failure::Failure;
use crate::cli::output::{Output, Table, instant};

/// What is done to a database.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum DbCommand {
    /// Look through a whole database for damage, also while the control plane runs
    #[command(
        after_help = "It only reads, and takes as long as reading all of the database takes. While it runs the control
plane cannot fold its log into the database, so chaperone.db-wal grows by what is stored meanwhile.
It exits with 1 when there is damage.

Example:
  chaperone db check --data-dir /var/lib/chaperone"
    )]
    Check(Place),
    /// Go on without a database that was lost, while the control plane is stopped
    #[command(
        after_help = "The next start makes a new database: no policy, no records, and of the tokens those in node.token
and admin.token. What stands in place of the lost database is kept under another name. It is written
into the history of the new database, which `chaperone db check` prints.

Example:
  chaperone db begin-anew --data-dir /var/lib/chaperone"
    )]
    BeginAnew(Place),
    /// Take the database that is there, a restored backup, while the control plane is stopped
    #[command(
        after_help = "Grants that were used since the backup was made are unused in it, so all questions and grants that
are open in it end. Tokens that were revoked since are live again: look at `chaperone token list`.
It is written into the history of the database, which `chaperone db check` prints.

Example:
  rm -f /var/lib/chaperone/chaperone.db-wal /var/lib/chaperone/chaperone.db-shm
  cp backup.db /var/lib/chaperone/chaperone.db
  chaperone db restored --data-dir /var/lib/chaperone"
    )]
    Restored(Place),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// Where keys, tokens and the database are
    #[arg(
        long,
        value_name = "DIR",
        env = "CHAPERONE_DATA_DIR",
        hide_env_values = true
    )]
    data_dir: PathBuf,
}

/// Runs `chaperone db`.
///
/// # Errors
/// When the database is damaged, or the data directory cannot be used.
pub(crate) async fn run(command: DbCommand, out: Output) -> Result<(), Failure> {
    match command {
        DbCommand::Check(place) => {
            let checked = upkeep::check(&place.data_dir).await.map_err(refused)?;
            print(&checked, out)?;
            if checked.damage.is_empty() {
                return Ok(());
            }
            let file = checked.file.display();
            Err(Failure::failed(format!("The database {file} is damaged.")).next(
                "Stop the control plane, remove chaperone.db-wal and chaperone.db-shm, put a backup in \
                 the place of chaperone.db and run `chaperone db restored`. Without a backup, \
                 `sqlite3 chaperone.db .recover` may save a part.",
            ))
        }
        DbCommand::BeginAnew(place) => {
            let aside = upkeep::begin_anew(&place.data_dir).await.map_err(refused)?;
            if !out.is_text() {
                return Ok(out.json(&json!({ "begun": true, "kept": aside }))?);
            }
            if let Some(aside) = aside {
                let aside = aside.display();
                out.line(format!("The database that was there is kept as {aside}."))?;
            }
            Ok(out.line(
                "A new database was made. Start the control plane, and publish the policy.",
            )?)
        }
        DbCommand::Restored(place) => {
            let detail = upkeep::restored(&place.data_dir).await.map_err(refused)?;
            if !out.is_text() {
                return Ok(out.json(&json!({ "restored": true, "detail": detail }))?);
            }
            Ok(out.line(format!(
                "Restored: {detail}.\nAll questions and grants that were open have ended. After the \
                 start, look for tokens that were revoked since (`chaperone token list`) and whether \
                 the policy is the one that you want (`chaperone policy list`)."
            ))?)
        }
    }
}

fn print(checked: &Checked, out: Output) -> Result<(), Failure> {
    if !out.is_text() {
        let history = checked
            .history
            .iter()
            .map(|entry| json!({ "at": entry.at, "event": entry.event, "detail": entry.detail }));
        return Ok(out.json(&json!({
            "file": checked.file,
            "damage": checked.damage,
            "history": history.collect::<Vec<_>>(),
        }))?);
    }
    let mut table = Table::new(["AT", "HISTORY", "DETAIL"]);
    for entry in &checked.history {
        table.row([&instant(entry.at), &entry.event, &entry.detail]);
    }
    if !table.is_empty() {
        out.line(format!("{table}\n"))?;
    }
    for line in &checked.damage {
        out.line(line)?;
    }
    if checked.damage.is_empty() {
        out.line(format!("No damage in {}.", checked.file.display()))?;
    }
    Ok(())
}

fn refused(error: ServeError) -> Failure {
    Failure::failed(sentence(&error.to_string()))
}

/// Words as a sentence.
fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars).chain(['.']).collect()
}
