//! `chaperone policy`: from a file on somebody's disk to what every node enforces.

mod local;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use chaperone_api::{
    Node, Page, PublishRequest, Published, RollbackRequest, Version, VersionDetail,
};

use self::local::ExplainArgs;
use super::args::PageArgs;
use super::client::{Client, segment};
use super::context::Context;
use super::document::read_document;
use super::failure::Failure;
use super::nodes::all_nodes;
use super::output::{Output, Table, clean, instant, more};

/// How often `--wait` looks. Nodes long-poll, so they report within a fraction of this.
const WAIT_STEP: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check that a document can be published, without a control plane
    #[command(after_help = "Example:
  chaperone policy validate policy.yaml")]
    Validate {
        /// The documents, YAML or JSON; - is standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Run the tests that stand in a document, without a control plane
    #[command(after_help = "Example:
  chaperone policy test policy.yaml")]
    Test {
        /// The documents, YAML or JSON; - is standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Say what a document decides about one request, and why, rule by rule
    Explain(ExplainArgs),
    /// Publish a document as the next version
    #[command(after_help = "Examples:
  chaperone policy publish policy.yaml --comment 'let platform read prod'
  chaperone policy publish policy.yaml --wait --expect-current 7")]
    Publish(PublishArgs),
    /// List versions, the newest first
    List(PageArgs),
    /// Print the document of a version as it was written
    Show {
        /// Number of the version, or `current`
        #[arg(default_value = "current")]
        version: String,
    },
    /// Publish the content of an earlier version under a new number
    #[command(after_help = "Example:
  chaperone policy rollback 6 --wait --comment 'version 7 locks out CI'")]
    Rollback(RollbackArgs),
    /// Print the JSON Schema of the document, for editors
    #[command(after_help = "Example:
  chaperone policy schema > chaperone-policy.schema.json")]
    Schema,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PublishArgs {
    /// The document, YAML or JSON; - is standard input
    file: PathBuf,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RollbackArgs {
    /// Number of the version to bring back
    version: u64,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
struct ChangeArgs {
    /// Why, for the list of versions
    #[arg(long)]
    comment: Option<String>,
    /// Only if this is still the current version (0: none yet), so as not to undo somebody else's
    /// work
    #[arg(long, value_name = "VERSION")]
    expect_current: Option<u64>,
    /// Also where live nodes are too old to read the document; they refuse it and go on with the
    /// version that they enforce
    #[arg(long)]
    allow_unreadable: bool,
    /// Wait until every live node enforces it; exit code 1 when that takes too long. With
    /// --allow-unreadable, not for nodes that cannot read it
    #[arg(long)]
    wait: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "30s", requires = "wait")]
    wait_timeout: Duration,
}

/// Runs `chaperone policy …`.
pub(crate) async fn run(command: PolicyCommand, context: &Context) -> Result<(), Failure> {
    let out = context.output;
    match command {
        PolicyCommand::Validate { files } => local::validate(&files, out),
        PolicyCommand::Test { files } => local::test(&files, out),
        PolicyCommand::Explain(args) => local::explain(&args, out),
        PolicyCommand::Schema => local::schema(out),
        PolicyCommand::Publish(args) => publish(args, context).await,
        PolicyCommand::Rollback(args) => rollback(args, context).await,
        PolicyCommand::List(args) => list(&args, &context.client()?, out).await,
        PolicyCommand::Show { version } => show(&version, &context.client()?, out).await,
    }
}

async fn publish(args: PublishArgs, context: &Context) -> Result<(), Failure> {
    let request = PublishRequest {
        document: read_document(&args.file)?,
        comment: args.change.comment.clone(),
        expected_current: args.change.expect_current,
        allow_unreadable: args.change.allow_unreadable,
    };
    let client = context.client()?;
    let published = client.post("/policies", &request).await?;
    report(&published, &args.change, &client, context.output).await
}

async fn rollback(args: RollbackArgs, context: &Context) -> Result<(), Failure> {
    let request = RollbackRequest {
        comment: args.change.comment.clone(),
        expected_current: args.change.expect_current,
        allow_unreadable: args.change.allow_unreadable,
    };
    let client = context.client()?;
    let path = format!("/policies/{}/rollback", args.version);
    let published = client.post(&path, &request).await?;
    report(&published, &args.change, &client, context.output).await
}

async fn report(
    published: &Published,
    change: &ChangeArgs,
    client: &Client,
    out: Output,
) -> Result<(), Failure> {
    let version = &published.version;
    if out.is_text() {
        for warning in &published.warnings {
            out.line(format!("warning: {warning}"))?;
        }
        out.line(match (published.unchanged, version.rollback_of) {
            (true, _) => format!("Version {} is this document already.", version.version),
            (false, Some(old)) => {
                format!(
                    "Published version {} with the content of version {old}.",
                    version.version
                )
            }
            (false, None) => format!("Published version {}.", version.version),
        })?;
    }
    let mut nodes = None;
    if change.wait {
        // Nodes that the author was told of stay behind; all others are waited for.
        let needs = change.allow_unreadable.then_some(published.needs_revision);
        let waited = wait_enforced(client, version.version, needs, change.wait_timeout).await?;
        if out.is_text() {
            out.line(waited.to_string())?;
        }
        nodes = Some(waited);
    }
    if !out.is_text() {
        let mut json = serde_json::to_value(published).map_err(std::io::Error::other)?;
        if let Some(nodes) = nodes {
            json["enforced_by_nodes"] = nodes.enforcing.into();
            json["silent_nodes"] = nodes.silent.len().into();
        }
        out.json(&json)?;
    }
    Ok(())
}

/// The live nodes that need not be waited for any more.
#[derive(Debug, PartialEq)]
struct Waited {
    /// How many enforce the version.
    enforcing: usize,
    /// How many stay behind because they cannot read it.
    behind: usize,
    /// Those that were waited for until they went silent, each with what it enforced then. Perhaps
    /// they have ended; perhaps they are only cut off, and serve on by what they have.
    silent: Vec<String>,
}

impl fmt::Display for Waited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.enforcing, self.behind) {
            (0, 0) if self.silent.is_empty() => f.write_str("No node is connected."),
            (0, 0) => f.write_str("No live node is left."),
            (0, _) => f.write_str("No live node can read it."),
            (1, 0) => f.write_str("The one live node enforces it."),
            (n, 0) => write!(f, "All {n} live nodes enforce it."),
            (1, _) => f.write_str("The one live node that can read it enforces it."),
            (n, _) => write!(f, "All {n} live nodes that can read it enforce it."),
        }?;
        if !self.silent.is_empty() {
            f.write_str(
                "\nwarning: these nodes went silent before they enforced it. If they go on, they go on with \
                 what they had until they reach the control plane again:",
            )?;
        }
        self.silent
            .iter()
            .try_for_each(|node| write!(f, "\n  {node}"))
    }
}

/// A node and what it enforces, on one line.
fn line_of(node: &Node) -> String {
    let now = node.enforced;
    let now = now.map_or("no policy".to_owned(), |serial| serial.to_string());
    let why = node.refused.as_ref().map(|why| format!(", refused: {why}"));
    let why = why.unwrap_or_default();
    format!("{} ({}): {now}{why}", clean(&node.name), node.boot)
}

/// The live nodes that `version` has to be waited for; or, when there are none, how many enforce
/// it. With `needs`, nodes that read less than that revision are not waited for. `waited_for` has
/// the boot ids of those that were found to lag before; what is found now is added.
fn lagging(
    nodes: Vec<Node>,
    version: u64,
    needs: Option<u32>,
    waited_for: &mut BTreeSet<String>,
) -> Result<Waited, Vec<Node>> {
    let (enforcing, others): (Vec<Node>, Vec<Node>) =
        nodes.into_iter().filter(|n| !n.closed).partition(|node| {
            node.enforced
                .is_some_and(|serial| serial.policy_version >= version)
        });
    let enforcing = enforcing.into_iter().filter(|n| !n.stale).count();
    let (silent, others): (Vec<Node>, Vec<Node>) = others.into_iter().partition(|n| n.stale);
    let (behind, lagging): (Vec<Node>, Vec<Node>) = others
        .into_iter()
        .partition(|node| needs.is_some_and(|needs| node.reads < needs));
    if !lagging.is_empty() {
        waited_for.extend(lagging.iter().map(|node| node.boot.clone()));
        return Err(lagging);
    }
    let silent = silent.iter().filter(|node| waited_for.contains(&node.boot));
    Ok(Waited {
        enforcing,
        behind: behind.len(),
        silent: silent.map(line_of).collect(),
    })
}

/// Waits until every live node enforces `version`, or a later one; with `needs`, every one that
/// reads this revision of the policy language.
///
/// # Errors
/// After `timeout`, naming the nodes that lag and why, as far as they say.
async fn wait_enforced(
    client: &Client,
    version: u64,
    needs: Option<u32>,
    timeout: Duration,
) -> Result<Waited, Failure> {
    let deadline = Instant::now() + timeout;
    let mut waited_for = BTreeSet::new();
    loop {
        let nodes = all_nodes(client).await?;
        let lagging = match lagging(nodes, version, needs, &mut waited_for) {
            Ok(waited) => return Ok(waited),
            Err(lagging) => lagging,
        };
        if Instant::now() >= deadline {
            let mut message = format!(
                "Version {version} is published, but after {} these nodes do not enforce it:",
                humantime::format_duration(timeout)
            );
            for node in lagging {
                message.push_str(&format!("\n  {}", line_of(&node)));
            }
            return Err(Failure::failed(message)
                .next("They keep what they have until they get it; look at `chaperone nodes` and at Envoy's log."));
        }
        tokio::time::sleep(WAIT_STEP).await;
    }
}

async fn list(args: &PageArgs, client: &Client, out: Output) -> Result<(), Failure> {
    let page: Page<Version> = client.get("/policies", &args.query()).await?;
    if !out.is_text() {
        return Ok(out.json(&page)?);
    }
    if page.items.is_empty() {
        return Ok(out.line("Nothing has been published; nodes answer 503 until it is.")?);
    }
    let mut table = Table::new(["VERSION", "PUBLISHED", "BY", "DIGEST", "COMMENT"]);
    for version in &page.items {
        let mark = if version.current { " *" } else { "" };
        let comment = match (&version.comment, version.rollback_of) {
            (Some(comment), Some(old)) => format!("(as {old}) {comment}"),
            (None, Some(old)) => format!("(as {old})"),
            (comment, None) => comment.clone().unwrap_or_default(),
        };
        table.row([
            &format!("{}{mark}", version.version),
            &instant(version.published_at),
            &version.published_by,
            version.digest.get(..12).unwrap_or(&version.digest),
            &comment,
        ]);
    }
    out.line(table.to_string())?;
    Ok(more(out, page.next_cursor.as_deref())?)
}

async fn show(version: &str, client: &Client, out: Output) -> Result<(), Failure> {
    let detail: VersionDetail = client
        .get(&format!("/policies/{}", segment(version)), &[])
        .await?;
    if out.is_text() {
        // Into a file byte for byte, on a terminal without what it would obey.
        if std::io::IsTerminal::is_terminal(&std::io::stdout()) {
            Ok(out.line(detail.document.trim_end())?)
        } else {
            Ok(out.raw(&detail.document)?)
        }
    } else {
        Ok(out.json(&detail)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(reads: u32, enforces: u64) -> Node {
        serde_json::from_value(serde_json::json!({
            "name": "envoy-1", "boot": "b", "reads": reads,
            "enforced": { "policy_version": enforces, "keys_revision": 0 },
            "first_seen_at": 1, "last_seen_at": 2, "stale": false, "closed": false,
            "acknowledged": 0, "events": 0, "dropped": 0, "gaps": [],
        }))
        .unwrap()
    }

    #[test]
    fn nodes_that_may_stay_behind_are_not_waited_for() {
        let nodes = || vec![node(1, 3), node(2, 4)];
        let waited = lagging(nodes(), 4, Some(2), &mut BTreeSet::new()).unwrap();
        assert_eq!(
            waited.to_string(),
            "The one live node that can read it enforces it."
        );
        // Without the flag the author knows of none, and waits for all.
        assert_eq!(
            lagging(nodes(), 4, None, &mut BTreeSet::new()).unwrap_err(),
            [node(1, 3)]
        );
        // One that can read it has to enforce it.
        let lags = lagging(
            vec![node(1, 3), node(2, 3)],
            4,
            Some(2),
            &mut BTreeSet::new(),
        );
        assert_eq!(lags.unwrap_err(), [node(2, 3)]);
        // An older control plane does not say what the version needs.
        assert_eq!(
            lagging(nodes(), 4, Some(0), &mut BTreeSet::new()).unwrap_err(),
            [node(1, 3)]
        );
    }

    #[test]
    fn a_node_that_goes_silent_while_it_is_waited_for_is_named() {
        let mut waited_for = BTreeSet::new();
        let lags = lagging(vec![node(1, 3)], 4, None, &mut waited_for);
        assert_eq!(lags.unwrap_err().len(), 1);
        let mut silent = node(1, 3);
        silent.stale = true;
        let waited = lagging(vec![silent.clone()], 4, None, &mut waited_for).unwrap();
        let said = waited.to_string();
        assert!(
            said.starts_with("No live node is left.\nwarning: "),
            "{said}"
        );
        assert!(said.ends_with("  envoy-1 (b): 3.0"), "{said}");
        // One that was silent before is nobody's news.
        let waited = lagging(vec![silent], 4, None, &mut BTreeSet::new()).unwrap();
        assert_eq!(waited.to_string(), "No node is connected.");
    }

    #[test]
    fn a_node_that_enforces_what_it_said_it_cannot_read_enforces_it() {
        let waited = lagging(vec![node(1, 4)], 4, Some(2), &mut BTreeSet::new()).unwrap();
        assert_eq!((waited.enforcing, waited.behind), (1, 0));
    }
}
