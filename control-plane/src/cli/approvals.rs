//! `chaperone approvals`: requests that wait for a human.

use std::io::IsTerminal as _;

use chaperone_api::{
    Approval, ApprovalFilter, ApprovalState, ApproveRequest, BodyShown, DenyRequest, Page,
};
use chaperone_engine::audit::Body;

use super::args::PageArgs;
use super::client::{Client, query, segment};
use super::context::Context;
use super::failure::Failure;
use super::output::{Fields, Output, Table, confirmed, distance, instant, more, now};
use super::server_events::missed;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum ApprovalsCommand {
    /// List requests, those that wait unless told otherwise
    #[command(after_help = "Examples:
  chaperone approvals list
  chaperone approvals list --state all --subject alice")]
    List(ListArgs),
    /// Show one request: who, what, where, its masked body and the rule
    Show {
        /// Id of the approval
        id: String,
    },
    /// Say yes
    ///
    /// Where the body could not be shown as a whole, it asks once more, or wants --unseen where
    /// there is nobody to ask: what the gate did not show goes upstream with the rest.
    #[command(after_help = "Example:
  chaperone approvals approve ap-7k3m9qxw2rtz4a5b --comment 'agreed with the team'")]
    Approve {
        /// Id of the approval
        id: String,
        /// A word for the trail
        #[arg(long)]
        comment: Option<String>,
        /// Say yes also to what the body holds beyond what `approvals show` shows
        #[arg(long)]
        unseen: bool,
    },
    /// Say no; the agent is told why
    #[command(after_help = "Example:
  chaperone approvals deny ap-7k3m9qxw2rtz4a5b --reason 'not during the release'")]
    Deny {
        /// Id of the approval
        id: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Print requests as they come and as they are decided, until interrupted
    Watch,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Where they stand
    #[arg(long, value_enum, default_value_t = StateArg::Pending)]
    state: StateArg,
    /// Who asks
    #[arg(long)]
    subject: Option<String>,
    /// Connection by name
    #[arg(long)]
    connection: Option<String>,
    /// The rule that wants a human
    #[arg(long)]
    rule: Option<String>,
    #[command(flatten)]
    list: PageArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum StateArg {
    Pending,
    Approved,
    Denied,
    Expired,
    Spent,
    All,
}

impl StateArg {
    const fn state(self) -> Option<ApprovalState> {
        match self {
            Self::Pending => Some(ApprovalState::Pending),
            Self::Approved => Some(ApprovalState::Approved),
            Self::Denied => Some(ApprovalState::Denied),
            Self::Expired => Some(ApprovalState::Expired),
            Self::Spent => Some(ApprovalState::Spent),
            Self::All => None,
        }
    }
}

/// Runs `chaperone approvals …`.
pub(crate) async fn run(command: ApprovalsCommand, context: &Context) -> Result<(), Failure> {
    let client = context.client()?;
    let out = context.output;
    match command {
        ApprovalsCommand::List(args) => list(args, &client, out).await,
        ApprovalsCommand::Show { id } => {
            let approval: Approval = client.get(&path(&id, ""), &[]).await?;
            if out.is_text() {
                Ok(out.line(details(&approval))?)
            } else {
                Ok(out.json(&approval)?)
            }
        }
        ApprovalsCommand::Approve {
            id,
            comment,
            unseen,
        } => {
            if !unseen {
                let asked: Approval = client.get(&path(&id, ""), &[]).await?;
                second_word(&asked)?;
            }
            let approval: Approval = client
                .post(&path(&id, "/approve"), &ApproveRequest { comment })
                .await?;
            answered(&approval, out)
        }
        ApprovalsCommand::Deny { id, reason } => {
            let approval: Approval = client
                .post(&path(&id, "/deny"), &DenyRequest { reason })
                .await?;
            answered(&approval, out)
        }
        ApprovalsCommand::Watch => watch(&client, out).await,
    }
}

/// What the approver of this request does not see of its body.
fn not_shown(approval: &Approval) -> Option<String> {
    match approval.body_shown {
        BodyShown::Whole => None,
        BodyShown::Nothing => Some(
            "nothing of its body can be shown: it is encoded, or the gate decides on headers alone"
                .to_owned(),
        ),
        BodyShown::Beginning => {
            let total = approval.body.as_ref().and_then(|body| body.total_bytes);
            let total = total.map(|bytes| format!(" of {bytes} bytes"));
            let total = total.unwrap_or_default();
            Some(format!(
                "only the beginning of its body{total} can be shown"
            ))
        }
    }
}

/// Asks for a second word where a part of the request is not shown. Who could be asked to approve
/// what they have not seen would be led to: an agent chooses how long a body is.
fn second_word(approval: &Approval) -> Result<(), Failure> {
    let waits = approval.state == ApprovalState::Pending;
    let Some(not_shown) = not_shown(approval).filter(|_| waits) else {
        return Ok(());
    };
    let id = &approval.id;
    if !std::io::stdin().is_terminal() {
        return Err(Failure::failed(format!("{id} was not approved: {not_shown}.")).next(
            "Look at `chaperone approvals show`, and add --unseen to approve it with what is not shown.",
        ));
    }
    if confirmed(&format!("{id}: {not_shown}. Approve it all the same?"))? {
        Ok(())
    } else {
        Err(Failure::failed(format!("{id} was not approved.")))
    }
}

fn path(id: &str, action: &str) -> String {
    format!("/approvals/{}{action}", segment(id))
}

async fn list(args: ListArgs, client: &Client, out: Output) -> Result<(), Failure> {
    let filter = ApprovalFilter {
        state: args.state.state(),
        subject: args.subject,
        connection: args.connection,
        rule: args.rule,
    };
    let mut parameters = query(&filter)?;
    parameters.extend(args.list.query());
    let page: Page<Approval> = client.get("/approvals", &parameters).await?;
    if !out.is_text() {
        return Ok(out.json(&page)?);
    }
    if page.items.is_empty() {
        return Ok(out.line(match args.state {
            StateArg::Pending => "Nothing waits for an answer.",
            _ => "There are none.",
        })?);
    }
    let now = now();
    let mut table = Table::new([
        "ID",
        "STATE",
        "ASKED",
        "EXPIRES",
        "SUBJECT",
        "CONNECTION",
        "RULE",
        "BODY SHOWN",
        "OPERATION",
    ]);
    for approval in &page.items {
        table.row([
            &approval.id,
            approval.state.as_str(),
            &distance(approval.asked_at, now),
            &distance(approval.expires_at, now),
            &approval.principal.subject,
            &approval.connection,
            &approval.rule,
            approval.body_shown.as_str(),
            &approval.operation.action,
        ]);
    }
    out.line(table.to_string())?;
    Ok(more(out, page.next_cursor.as_deref())?)
}

fn answered(approval: &Approval, out: Output) -> Result<(), Failure> {
    if !out.is_text() {
        return Ok(out.json(approval)?);
    }
    let yes = approval
        .answers
        .iter()
        .filter(|answer| answer.answer == chaperone_engine::approval::Answer::Approve)
        .count();
    Ok(out.line(match approval.state {
        ApprovalState::Pending => {
            format!(
                "{}: your yes is counted; {yes} of {} are needed.",
                approval.id, approval.terms.count
            )
        }
        state => format!("{}: {}.", approval.id, state.as_str()),
    })?)
}

async fn watch(client: &Client, out: Output) -> Result<(), Failure> {
    let mut stream = client.stream("/approvals/watch", &[]).await?;
    if out.is_text() {
        out.line("Watching; answer with `chaperone approvals approve ID` or `chaperone approvals deny ID --reason …`. Ctrl-C ends.")?;
    }
    while let Some(event) = stream.next().await? {
        if missed(&event) {
            continue;
        }
        // Kinds that this version does not know are for later ones.
        let Ok(approval) = serde_json::from_str::<Approval>(&event.data) else {
            continue;
        };
        if out.is_text() {
            out.line(line(&approval))?;
        } else {
            out.json_line(&approval)?;
        }
    }
    Err(Failure::unreachable("The control plane ended the stream.")
        .next("Start the command again to go on."))
}

fn line(approval: &Approval) -> String {
    let state = approval.state.as_str();
    let by = approval
        .answers
        .last()
        .map(|a| format!(" by {}", a.by))
        .unwrap_or_default();
    let request = &approval.request;
    let not_shown = not_shown(approval).filter(|_| approval.state == ApprovalState::Pending);
    let not_shown = not_shown
        .map(|text| format!("; {text}"))
        .unwrap_or_default();
    format!(
        "{}  {state}{by}  {} on {}: {}  ({} {}{}, rule {}{not_shown})",
        approval.id,
        approval.principal.subject,
        approval.connection,
        approval.operation.action,
        request.method,
        request.host,
        request.path,
        approval.rule,
    )
    .replace('\n', "\\n")
}

fn details(approval: &Approval) -> String {
    let mut fields = Fields::default();
    let principal = &approval.principal;
    let request = &approval.request;
    fields.add("Approval", &approval.id);
    fields.add("State", approval.state.as_str());
    fields.add(
        "Subject",
        format!("{} ({})", principal.subject, principal.issuer),
    );
    fields.add("Groups", principal.groups.join(", "));
    fields.maybe("Agent", principal.agent.as_ref());
    fields.maybe("Session", principal.session.as_ref());
    fields.add("Connection", &approval.connection);
    fields.add("Operation", &approval.operation.action);
    for (name, value) in &approval.operation.attributes {
        fields.add("", format!("{name}: {value}"));
    }
    let query = request
        .query
        .as_ref()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    fields.add(
        "Request",
        format!("{} {}{}{query}", request.method, request.host, request.path),
    );
    fields.maybe("Content type", approval.content_type.as_ref());
    fields.add("Rule", format!("{}: {}", approval.rule, approval.reason));
    fields.add(
        "Approvers",
        format!(
            "{} of {}",
            approval.terms.count,
            approval.terms.by.join(", ")
        ),
    );
    fields.add("Policy version", approval.policy_version.to_string());
    fields.add(
        "Asked",
        format!(
            "{} by {} request(s)",
            instant(approval.asked_at),
            approval.records
        ),
    );
    fields.add("Expires", instant(approval.expires_at));
    fields.maybe("Grant ends", approval.grant_ends_at.map(instant));
    fields.maybe("Spent by", approval.spent_by.as_ref());
    fields.add("Record", &approval.record);
    for answer in &approval.answers {
        let verb = match answer.answer {
            chaperone_engine::approval::Answer::Approve => "approved",
            chaperone_engine::approval::Answer::Deny => "denied",
        };
        let comment = answer
            .comment
            .as_ref()
            .map(|c| format!(": {c}"))
            .unwrap_or_default();
        fields.add(
            "Answer",
            format!("{} {verb} at {}{comment}", answer.by, instant(answer.at)),
        );
    }
    let mut text = fields.to_string();
    match &approval.body {
        None => text.push_str(
            "\n\nThe body cannot be shown: it is encoded, or the hold profile is \"headers\".",
        ),
        Some(preview) if preview.total_bytes == Some(0) => text.push_str("\n\nNo body."),
        Some(preview) => {
            let (kind, content) = match &preview.content {
                Body::Text(text) => ("masked", text),
                Body::Base64(text) => ("masked, base64", text),
            };
            let total = preview
                .total_bytes
                .map(|n| format!(", {n} bytes"))
                .unwrap_or_default();
            let cut = if preview.truncated {
                ", the beginning"
            } else {
                ""
            };
            text.push_str(&format!("\n\nBody ({kind}{total}{cut}):\n{content}"));
        }
    }
    text
}
