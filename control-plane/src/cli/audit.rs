//! `chaperone audit`: the trail.
//!
//! The arguments of a search and the lines of `audit show` are made of the engine's table of
//! attributes ([`chaperone_engine::record_attributes`]).

use std::collections::BTreeMap;
use std::time::Duration;

use chaperone_api::{
    AdministrativeAct, Page, Record, RecordDetail, RecordFilter, RecordState, StoredEvent,
};
use chaperone_engine::audit::{Aggregated, Body, EventKind, ReadEvent, RequestLine, UnknownEvent};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::policy::{Direction, Effect};

use super::args::{EffectArg, PageArgs, point_in_time};
use super::client::{Client, query, segment};
use super::context::Context;
use super::failure::{Exit, Failure};
use super::output::{Fields, Output, Table, instant, more, warning};
use super::server_events::{ServerEvent, ServerEvents};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum AuditCommand {
    /// Find records; all that is given must hold
    #[command(after_help = "Examples:
  chaperone audit search --subject alice --since 1h
  chaperone audit search --effect deny --connection arm --output json
  chaperone audit search --text listKeys
  chaperone audit search --after 0 --limit 500 --output json

--since and --until compare the time of a request, so a search that is repeated with them misses events that
arrive late. With --after, records come in the order in which their changes were stored: whoever goes on after
the last position misses nothing.")]
    Search {
        #[command(flatten)]
        filter: FilterArgs,
        #[command(flatten)]
        list: PageArgs,
    },
    /// Show one record with all its steps
    #[command(after_help = "Example:
  chaperone audit show 44521f674e1307184bfb99aa8d86d9c2-2 --bodies")]
    Show {
        /// Id of the record: `record` in the agent's answer
        id: String,
        /// Also print the recorded bodies, masked
        #[arg(long)]
        bodies: bool,
    },
    /// List who administered the control plane, and who read bodies
    ///
    /// Tokens that were made and revoked, records and approvals that were read with their bodies,
    /// keys that were fetched on demand. Policy versions and answers to approvals name who made
    /// them themselves.
    Admin(PageArgs),
    /// Print records as they happen, until interrupted
    ///
    /// A control plane that restarts is waited for, and nothing is missed. With --after it begins
    /// with what was stored since that position.
    #[command(after_help = "Examples:
  chaperone audit tail --connection arm --effect deny
  chaperone audit tail --after 18230 --output json")]
    Tail {
        #[command(flatten)]
        filter: FilterArgs,
    },
}

macro_rules! define {
    ($(
        $name:ident {
            $(
                kept $type:ty $(as $schema:ty)?, $doc:tt $(, $text:ident)?;
                from $($step:pat => $said:expr),+;
            )?
            $(asked $asked:ident: $wanted:ty $(as $wanted_schema:ty)?, $question:tt;)?
            $(shown $label:literal $(in $unit:ident)?;)?
        }
    )*) => {
        #[derive(Debug, clap::Args)]
        pub(crate) struct FilterArgs {
            $($(
                #[doc = $question]
                #[arg(long)]
                $asked: Option<<$wanted as Asked>::Argument>,
            )?)*
            /// Received since: 15m ago, or 2026-01-31T12:00:00Z
            #[arg(long, value_parser = point_in_time, value_name = "TIME")]
            since: Option<UnixMillis>,
            /// Received before, as --since
            #[arg(long, value_parser = point_in_time, value_name = "TIME")]
            until: Option<UnixMillis>,
            /// Changed after this position, oldest change first: 0, or the last `position` of an
            /// earlier output
            #[arg(long, value_name = "POSITION")]
            after: Option<u64>,
            /// Text in operation, host, path or reason
            #[arg(long)]
            text: Option<String>,
        }

        impl From<FilterArgs> for RecordFilter {
            fn from(args: FilterArgs) -> Self {
                Self {
                    $($($asked: args.$asked.map(<$wanted as Asked>::value),)?)*
                    since: args.since.map(|at| at.0),
                    until: args.until.map(|at| at.0),
                    after: args.after,
                    q: args.text,
                }
            }
        }

        /// A line for each attribute that has one, in the table's order.
        fn attributes(fields: &mut Fields, record: &Record) {
            $($(lines!(fields, record, $name, $label $(, $unit)?);)?)*
        }
    };
}

/// What `chaperone audit show` says of one attribute: itself, unless it belongs with another one.
macro_rules! lines {
    ($fields:ident, $record:ident, subject, $label:literal) => {
        let issuer = $record.issuer.as_deref().unwrap_or_default();
        let subject = $record.subject.as_ref();
        $fields.maybe(
            $label,
            subject.map(|subject| format!("{subject} ({issuer})")),
        );
    };
    ($fields:ident, $record:ident, operation, $label:literal) => {
        $fields.maybe($label, $record.operation.as_ref());
        for (name, value) in &$record.attributes {
            $fields.add("", format!("{name}: {value}"));
        }
    };
    ($fields:ident, $record:ident, method, $label:literal) => {
        $fields.add($label, request($record));
    };
    ($fields:ident, $record:ident, effect, $label:literal) => {
        $fields.add($label, verdict($record));
    };
    ($fields:ident, $record:ident, $name:ident, $label:literal, milliseconds) => {
        $fields.maybe($label, $record.$name.map(milliseconds));
    };
    ($fields:ident, $record:ident, $name:ident, $label:literal, bytes) => {
        $fields.maybe($label, $record.$name.map(|bytes| format!("{bytes} bytes")));
    };
    ($fields:ident, $record:ident, $name:ident, $label:literal) => {
        for line in $record.$name.lines() {
            $fields.add($label, line);
        }
    };
}

chaperone_engine::record_attributes!(define);

/// A value that a search can ask for, as an argument.
trait Asked {
    type Argument: Clone + Send + Sync + 'static;
    fn value(argument: Self::Argument) -> Self;
}

macro_rules! asked_as_it_is {
    ($($type:ty),+) => {$(
        impl Asked for $type {
            type Argument = Self;
            fn value(argument: Self) -> Self {
                argument
            }
        }
    )+};
}

asked_as_it_is!(String, u16, u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum StateArg {
    Open,
    Completed,
    Aborted,
    Aggregated,
}

impl Asked for Effect {
    type Argument = EffectArg;
    fn value(argument: EffectArg) -> Self {
        argument.effect()
    }
}

impl Asked for RecordState {
    type Argument = StateArg;
    fn value(argument: StateArg) -> Self {
        match argument {
            StateArg::Open => Self::Open,
            StateArg::Completed => Self::Completed,
            StateArg::Aborted => Self::Aborted,
            StateArg::Aggregated => Self::Aggregated,
        }
    }
}

/// How a value reads: a line, several, or none where it is not known.
trait Lines {
    fn lines(&self) -> Vec<String>;
}

macro_rules! one_line_if_known {
    ($($type:ty),+) => {$(
        impl Lines for Option<$type> {
            fn lines(&self) -> Vec<String> {
                self.iter().map(ToString::to_string).collect()
            }
        }
    )+};
}

one_line_if_known!(String, u16, u64);

impl Lines for Vec<String> {
    fn lines(&self) -> Vec<String> {
        (!self.is_empty())
            .then(|| self.join(", "))
            .into_iter()
            .collect()
    }
}

impl Lines for BTreeMap<String, u64> {
    fn lines(&self) -> Vec<String> {
        self.iter()
            .map(|(name, count)| format!("{count} × {name}"))
            .collect()
    }
}

/// Runs `chaperone audit …`.
pub(crate) async fn run(command: AuditCommand, context: &Context) -> Result<(), Failure> {
    let client = context.client()?;
    let out = context.output;
    match command {
        AuditCommand::Search { filter, list } => search(filter.into(), &list, &client, out).await,
        AuditCommand::Show { id, bodies } => {
            let detail: RecordDetail = client
                .get(&format!("/records/{}", segment(&id)), &[])
                .await?;
            if out.is_text() {
                Ok(out.line(details(&detail, bodies))?)
            } else {
                Ok(out.json(&detail)?)
            }
        }
        AuditCommand::Admin(list) => administration(&list, &client, out).await,
        AuditCommand::Tail { filter } => tail(filter.into(), &client, out).await,
    }
}

async fn search(
    filter: RecordFilter,
    list: &PageArgs,
    client: &Client,
    out: Output,
) -> Result<(), Failure> {
    let mut parameters = query(&filter)?;
    parameters.extend(list.query());
    let page: Page<Record> = client.get("/records", &parameters).await?;
    if !out.is_text() {
        return Ok(out.json(&page)?);
    }
    if page.items.is_empty() {
        return Ok(out.line("No record matches.")?);
    }
    let mut table = Table::new([
        "RECORD",
        "RECEIVED",
        "SUBJECT",
        "CONNECTION",
        "VERDICT",
        "RULE",
        "STATUS",
        "OPERATION",
    ]);
    for record in &page.items {
        table.row([
            &record.id,
            &instant(record.received_at),
            record.subject.as_deref().unwrap_or("-"),
            record.connection.as_deref().unwrap_or("-"),
            &verdict(record),
            record.rule.as_deref().unwrap_or("-"),
            &record
                .status
                .map_or_else(|| "-".to_owned(), |status| status.to_string()),
            &what(record),
        ]);
    }
    out.line(table.to_string())?;
    if let (Some(_), Some(last)) = (filter.after, page.items.last()) {
        return Ok(out.line(format!("\nGo on with --after {}", last.position))?);
    }
    Ok(more(out, page.next_cursor.as_deref())?)
}

async fn administration(list: &PageArgs, client: &Client, out: Output) -> Result<(), Failure> {
    let page: Page<AdministrativeAct> = client.get("/administration", &list.query()).await?;
    if !out.is_text() {
        return Ok(out.json(&page)?);
    }
    let mut table = Table::new(["NUMBER", "AT", "BY", "ACT", "OBJECT", "DETAILS"]);
    for act in &page.items {
        let details = act.details.iter();
        let details: Vec<String> = details
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        table.row([
            &act.number.to_string(),
            &instant(act.at),
            &act.by,
            &act.act,
            &act.object,
            &details.join("; "),
        ]);
    }
    out.line(table.to_string())?;
    Ok(more(out, page.next_cursor.as_deref())?)
}

/// Follows the trail until it is interrupted. A control plane that goes away is waited for, and
/// what was stored meanwhile comes then.
async fn tail(mut filter: RecordFilter, client: &Client, out: Output) -> Result<(), Failure> {
    let mut stream = client.stream(TAIL, &query(&filter)?).await?;
    loop {
        match stream.next().await {
            Ok(Some(event)) => {
                if let Some(position) = followed(&event, out)? {
                    filter.after = Some(position);
                }
            }
            Ok(None) => stream = again(&filter, client, "It ended the stream.").await?,
            Err(why) => stream = again(&filter, client, &why.message).await?,
        }
    }
}

const TAIL: &str = "/records/tail";

/// Prints a record that has changed; returns the position up to which all was printed.
fn followed(event: &ServerEvent, out: Output) -> Result<Option<u64>, Failure> {
    if event.kind == "position" {
        return Ok(event.data.parse().ok());
    }
    // Kinds that this version does not know are for later ones.
    let Ok(record) = serde_json::from_str::<Record>(&event.data) else {
        return Ok(None);
    };
    let position = Some(record.position);
    if !out.is_text() {
        out.json_line(&record)?;
        return Ok(position);
    }
    // A record comes at each step; a person wants to see it held, and how it ended.
    if record.state == RecordState::Open && record.approval.is_none() {
        return Ok(position);
    }
    let line = format!(
        "{}  {}  {}  {}  {}  {}  {}",
        instant(record.received_at),
        record.id,
        record.subject.as_deref().unwrap_or("-"),
        record.connection.as_deref().unwrap_or("-"),
        verdict(&record),
        record
            .status
            .map_or_else(|| record.state.as_str().to_owned(), |s| s.to_string()),
        what(&record),
    );
    out.line(line.replace('\n', "\\n"))?;
    Ok(position)
}

/// Opens the stream again where it was cut off, as soon as the control plane is there.
async fn again(filter: &RecordFilter, client: &Client, why: &str) -> Result<ServerEvents, Failure> {
    let parameters = query(filter)?;
    warning(&format!(
        "The control plane is gone: {why} Waiting for it; nothing will be missed."
    ));
    let mut pause = Duration::from_millis(200);
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
        match client.stream(TAIL, &parameters).await {
            Ok(stream) => {
                warning("The control plane is there again.");
                return Ok(stream);
            }
            Err(failure) if failure.exit == Exit::Unreachable => {}
            // It answers, and refuses: waiting would change nothing.
            Err(failure) => {
                let Some(after) = filter.after else {
                    return Err(failure);
                };
                return Err(failure.next(format!("Go on later with --after {after}.")));
            }
        }
    }
}

fn verdict(record: &Record) -> String {
    match (record.effect, &record.code) {
        (Some(effect), Some(code)) => format!("{effect} ({code})"),
        (Some(effect), None) => effect.to_string(),
        (None, _) => "-".to_owned(),
    }
}

fn what(record: &Record) -> String {
    match (&record.operation, record.requests) {
        (_, Some(requests)) => format!("{requests} refused requests, first {}", request(record)),
        (Some(operation), _) => operation.clone(),
        (None, _) => format!("{} {}{}", record.method, record.host, record.path),
    }
}

fn request(record: &Record) -> String {
    let query = record
        .query
        .as_ref()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    format!("{} {}{}{query}", record.method, record.host, record.path)
}

fn details(detail: &RecordDetail, bodies: bool) -> String {
    let record = &detail.record;
    let mut fields = Fields::default();
    fields.add("Record", &record.id);
    fields.add("State", record.state.as_str());
    fields.add("Received", instant(record.received_at));
    attributes(&mut fields, record);
    fields.add("Node", format!("{} ({})", record.node, record.boot));
    let mut text = format!("{fields}\n\nSteps:");
    for (event, json) in events(detail) {
        let after = event.at().since(record.received_at);
        text.push_str(&format!(
            "\n{:>8}  #{:<6} {}",
            milliseconds(after),
            event.seq(),
            step(&event, json)
        ));
    }
    if bodies {
        for (direction, title) in [
            (Direction::Request, "Request"),
            (Direction::Response, "Response"),
        ] {
            text.push_str(&body(detail, direction, title));
        }
    }
    text
}

fn milliseconds(ms: u64) -> String {
    format!("{ms} ms")
}

/// The events as far as this version knows them, with the text of each. What is none at all is left
/// out; the control plane stores no such thing.
fn events(detail: &RecordDetail) -> impl Iterator<Item = (ReadEvent, &str)> {
    let read = |stored: &StoredEvent| stored.read().ok();
    let events = detail.events.iter();
    events.filter_map(move |stored| Some((read(stored)?, stored.event.get())))
}

/// All that an event of a later version says beside that which every event says. What cannot be
/// parsed is shown as it came.
fn members(json: &str) -> String {
    let parsed = serde_json::from_str::<BTreeMap<String, serde_json::Value>>(json);
    let Ok(mut members) = parsed else {
        return json.to_owned();
    };
    members.retain(|name, _| !UnknownEvent::MEMBERS.contains(&name.as_str()));
    serde_json::to_string(&members).unwrap_or_default()
}

fn step(event: &ReadEvent, json: &str) -> String {
    let stage = event.stage();
    let known = match event {
        ReadEvent::Known(event) => &event.kind,
        ReadEvent::Unknown(_) => {
            let members = members(json);
            return format!("{stage} (not known to this version) {members}").replace('\n', "\\n");
        }
    };
    let more = match known {
        EventKind::Held { approval, rule } => format!("for {approval}, rule {rule}"),
        EventKind::Decided { effect, rule, .. } => {
            let rule = rule
                .as_ref()
                .map(|rule| format!(" by rule {rule}"))
                .unwrap_or_default();
            format!("{effect}{rule}")
        }
        EventKind::ResponseStarted { status } => status.to_string(),
        EventKind::Chunk {
            direction,
            body,
            truncated,
        } => {
            let (Body::Text(content) | Body::Base64(content)) = body;
            let direction = match direction {
                Direction::Request => "request",
                Direction::Response => "response",
            };
            let cut = if *truncated {
                ", the rest is not recorded"
            } else {
                ""
            };
            format!("{direction}, {} characters{cut}", content.chars().count())
        }
        EventKind::Completed { status, .. } => status.to_string(),
        EventKind::Aggregated(many) => aggregated(many),
        EventKind::Aborted { .. } | EventKind::Received { .. } | EventKind::Forwarded {} => {
            String::new()
        }
    };
    format!("{stage} {more}").trim_end().replace('\n', "\\n")
}

/// Refused requests that were recorded together: how many, when, and examples of them.
fn aggregated(many: &Aggregated) -> String {
    let mut text = format!(
        "{} requests, {} to {}, {}",
        many.requests,
        instant(many.first),
        instant(many.last),
        many.code.as_deref().unwrap_or("answered by Envoy"),
    );
    for example in &many.examples {
        let RequestLine {
            method, host, path, ..
        } = &example.request;
        let agent = example.user_agent.as_deref().unwrap_or("no user agent");
        text.push_str(&format!("; e.g. {method} {host}{path} ({agent})"));
    }
    text
}

fn body(detail: &RecordDetail, wanted: Direction, title: &str) -> String {
    let mut text = String::new();
    for (event, _) in events(detail) {
        if let ReadEvent::Known(event) = event
            && let EventKind::Chunk {
                direction, body, ..
            } = event.kind
            && direction == wanted
        {
            match body {
                Body::Text(content) => text.push_str(&content),
                Body::Base64(content) => text.push_str(&format!("[base64:{content}]")),
            }
        }
    }
    if text.is_empty() {
        text
    } else {
        format!("\n\n{title} body (masked):\n{text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_a_kind_that_is_not_known_is_shown_by_its_own_name_with_what_it_says() {
        let shown = |json| step(&ReadEvent::read(json).unwrap(), json);
        let scanned =
            r#"{"seq":4,"record":"b-1","at":9,"stage":"scanned","by":["x"],"verdict":"a\nb"}"#;
        assert_eq!(
            shown(scanned),
            r#"scanned (not known to this version) {"by":["x"],"verdict":"a\nb"}"#
        );
        let shadow = r#"{"seq":4,"record":"b-1","at":9,"stage":"decided","effect":"shadow"}"#;
        assert_eq!(
            shown(shadow),
            r#"decided (not known to this version) {"effect":"shadow"}"#
        );
        let beyond = r#"{"seq":4,"record":"b-1","at":9,"stage":"scanned","x":1e999}"#;
        assert_eq!(
            shown(beyond),
            format!("scanned (not known to this version) {beyond}")
        );
        let known = r#"{"seq":4,"record":"b-1","at":9,"stage":"response_started","status":200}"#;
        assert_eq!(shown(known), "response_started 200");
    }
}
