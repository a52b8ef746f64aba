//! `chaperone nodes`: which workers enforce what, and whether their events are complete.

use chaperone_api::{Node, Page};

use super::args::PageArgs;
use super::client::Client;
use super::context::Context;
use super::failure::Failure;
use super::output::{Table, distance, more, now};

#[derive(Debug, clap::Args)]
pub(crate) struct NodesArgs {
    /// Also all that have ended, as far back as there are any
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    list: PageArgs,
}

/// Runs `chaperone nodes`.
pub(crate) async fn run(args: &NodesArgs, context: &Context) -> Result<(), Failure> {
    let mut query = args.list.query();
    if args.all {
        query.push(("all".to_owned(), "true".to_owned()));
    }
    let page: Page<Node> = context.client()?.get("/nodes", &query).await?;
    let out = context.output;
    if !out.is_text() {
        return Ok(out.json(&page)?);
    }
    let now = now();
    let mut table = Table::new([
        "NODE", "BOOT", "FILTER", "READS", "STATE", "ENFORCES", "EVENTS", "MISSING", "DROPPED",
        "SEEN", "REFUSED",
    ]);
    for node in page.items.iter().filter(|node| args.all || !node.closed) {
        let enforced = node
            .enforced
            .map_or_else(|| "-".to_owned(), |serial| serial.to_string());
        let missing: u64 = node
            .gaps
            .iter()
            .map(|gap| gap.last.saturating_sub(gap.first).saturating_add(1))
            .sum();
        table.row([
            &node.name,
            short(&node.boot),
            node.filter_version.as_deref().unwrap_or("-"),
            &node.reads.to_string(),
            state(node),
            &enforced,
            &node.events.to_string(),
            &missing.to_string(),
            &node.dropped.to_string(),
            &distance(node.last_seen_at, now),
            node.refused.as_deref().unwrap_or_default(),
        ]);
    }
    if table.is_empty() {
        return Ok(out.line(
            "No node has reported. Does Envoy reach the control plane, and has it the node token?",
        )?);
    }
    out.line(table.to_string())?;
    Ok(more(out, page.next_cursor.as_deref())?)
}

/// Every node that the control plane lists.
pub(crate) async fn all_nodes(client: &Client) -> Result<Vec<Node>, Failure> {
    let mut nodes = Vec::new();
    let mut query = vec![("limit".to_owned(), "500".to_owned())];
    loop {
        let page: Page<Node> = client.get("/nodes", &query).await?;
        nodes.extend(page.items);
        let Some(cursor) = page.next_cursor else {
            return Ok(nodes);
        };
        query.truncate(1);
        query.push(("cursor".to_owned(), cursor));
    }
}

fn state(node: &Node) -> &'static str {
    match (node.closed, node.stale, node.enforced) {
        (true, _, _) => "closed",
        (false, true, _) => "silent",
        (false, false, None) => "no policy",
        (false, false, Some(_)) => "live",
    }
}

/// The beginning of a boot id, enough to tell lives apart.
fn short(boot: &str) -> &str {
    boot.get(..8).unwrap_or(boot)
}
