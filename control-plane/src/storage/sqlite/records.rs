//! Record summaries: merging, search, reading.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chaperone_api::{Record, RecordFilter, RecordState, StoredEvent};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::policy::Effect;
use serde_json::value::RawValue;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

use super::record_fold::Patch;
use super::row::{instant, json_or_default, named};
use super::{Database, from_sql, to_sql};
use crate::store::Result;

const COLUMNS: [&str; 33] = [
    "id",
    "node",
    "state",
    "received_at",
    "ended_at",
    "issuer",
    "subject",
    "agent",
    "session",
    "\"groups\"",
    "connection",
    "operation",
    "attributes",
    "method",
    "host",
    "path",
    "query",
    "effect",
    "rule",
    "reason",
    "code",
    "approval",
    "approved_by",
    "policy_version",
    "request_id",
    "status",
    "abort_cause",
    "decided_ms",
    "first_byte_ms",
    "total_ms",
    "request_bytes",
    "response_bytes",
    "masked",
];

/// Later news wins, silence changes nothing, an end is never taken back.
static UPSERT: LazyLock<String> = LazyLock::new(|| {
    let columns = COLUMNS.join(", ");
    let places = vec!["?"; COLUMNS.len()].join(", ");
    let merged: Vec<String> = COLUMNS
        .iter()
        .skip(2)
        .map(|column| match *column {
            "state" => "state = CASE excluded.state WHEN 'open' THEN records.state \
                        ELSE excluded.state END"
                .to_owned(),
            "received_at" => {
                "received_at = min(records.received_at, excluded.received_at)".to_owned()
            }
            column => format!("{column} = coalesce(excluded.{column}, records.{column})"),
        })
        .collect();
    format!(
        "INSERT INTO records ({columns}) VALUES ({places}) ON CONFLICT (id) DO UPDATE SET {}",
        merged.join(", ")
    )
});

/// Merges one patch into the record `id` of the node with the row id `node`.
pub(super) async fn merge(
    connection: &mut SqliteConnection,
    id: &str,
    node: i64,
    patch: &Patch,
) -> Result<()> {
    let principal = patch.principal.as_ref();
    let timings = patch.timings.as_ref();
    let json = |map: Option<String>| map.filter(|text| text != "{}" && text != "[]");
    let groups = principal
        .map(|p| serde_json::to_string(&p.groups))
        .transpose()?;
    let attributes = json(Some(serde_json::to_string(&patch.attributes)?));
    let masked = timings
        .map(|t| serde_json::to_string(&t.masked))
        .transpose()?;
    sqlx::query(UPSERT.as_str())
        .bind(id)
        .bind(node)
        .bind(patch.state.unwrap_or(RecordState::Open).as_str())
        .bind(to_sql(patch.received_at.unwrap_or(UnixMillis(0)).0))
        .bind(patch.ended_at.map(|at| to_sql(at.0)))
        .bind(principal.map(|p| p.issuer.as_str()))
        .bind(principal.map(|p| p.subject.as_str()))
        .bind(principal.and_then(|p| p.agent.as_deref()))
        .bind(principal.and_then(|p| p.session.as_deref()))
        .bind(json(groups))
        .bind(patch.connection.as_deref())
        .bind(patch.operation.as_deref())
        .bind(attributes)
        .bind(patch.method.as_deref())
        .bind(patch.host.as_deref())
        .bind(patch.path.as_deref())
        .bind(patch.query.as_deref())
        .bind(patch.effect.map(Effect::as_str))
        .bind(patch.rule.as_deref())
        .bind(patch.reason.as_deref())
        .bind(patch.code.as_deref())
        .bind(patch.approval.as_deref())
        .bind(patch.approved_by.as_deref())
        .bind(patch.policy_version.map(to_sql))
        .bind(patch.request_id.as_deref())
        .bind(patch.status)
        .bind(patch.abort_cause)
        .bind(timings.map(|t| to_sql(t.decided_ms)))
        .bind(timings.and_then(|t| t.first_byte_ms).map(to_sql))
        .bind(timings.map(|t| to_sql(t.total_ms)))
        .bind(timings.map(|t| to_sql(t.request_bytes)))
        .bind(timings.map(|t| to_sql(t.response_bytes)))
        .bind(json(masked))
        .execute(connection)
        .await?;
    Ok(())
}

/// Records and the node that they belong to.
const SELECT: &str = "SELECT records.*, nodes.name AS node_name, nodes.boot AS node_boot \
                      FROM records JOIN nodes ON nodes.id = records.node WHERE 1 = 1";

/// Where a page of records ends: the last one's instant and id.
pub(crate) type RecordKey = (u64, String);

impl Database {
    /// Records that the filter lets through, newest first, beginning after `after`.
    pub(crate) async fn records(
        &self,
        filter: &RecordFilter,
        after: Option<&RecordKey>,
        limit: u32,
    ) -> Result<Vec<Record>> {
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        push_filter(&mut query, filter);
        if let Some((at, id)) = after {
            query
                .push(" AND (received_at, records.id) < (")
                .push_bind(to_sql(*at))
                .push(", ")
                .push_bind(id)
                .push(")");
        }
        query
            .push(" ORDER BY received_at DESC, records.id DESC LIMIT ")
            .push_bind(limit);
        let rows = query.build().fetch_all(self.read()).await?;
        rows.iter().map(record).collect()
    }

    /// Of these records, those that the filter lets through, oldest first.
    pub(crate) async fn changed_records(
        &self,
        filter: &RecordFilter,
        ids: &[String],
    ) -> Result<Vec<Record>> {
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        push_filter(&mut query, filter);
        query
            .push(" AND records.id IN (SELECT value FROM json_each(")
            .push_bind(serde_json::to_string(ids)?)
            .push(")) ORDER BY received_at, records.id");
        let rows = query.build().fetch_all(self.read()).await?;
        rows.iter().map(record).collect()
    }

    /// One record.
    pub(crate) async fn record(&self, id: &str) -> Result<Option<Record>> {
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        query.push(" AND records.id = ").push_bind(id);
        query
            .build()
            .fetch_optional(self.read())
            .await?
            .as_ref()
            .map(record)
            .transpose()
    }

    /// The events of one record, in the order of their numbers.
    pub(crate) async fn record_events(&self, id: &str) -> Result<Vec<StoredEvent>> {
        let rows =
            sqlx::query("SELECT stored_at, json FROM events WHERE record = ? ORDER BY node, seq")
                .bind(id)
                .fetch_all(self.read())
                .await?;
        rows.iter()
            .map(|row| {
                Ok(StoredEvent {
                    stored_at: instant(row, "stored_at")?,
                    event: RawValue::from_string(row.try_get("json")?)?,
                })
            })
            .collect()
    }
}

/// What the filter asks of a record.
fn push_filter(query: &mut QueryBuilder<Sqlite>, filter: &RecordFilter) {
    let equal: [(&str, Option<&str>); 11] = [
        ("subject", filter.subject.as_deref()),
        ("agent", filter.agent.as_deref()),
        ("session", filter.session.as_deref()),
        ("connection", filter.connection.as_deref()),
        ("method", filter.method.as_deref()),
        ("effect", filter.effect.map(Effect::as_str)),
        ("rule", filter.rule.as_deref()),
        ("code", filter.code.as_deref()),
        ("state", filter.state.map(RecordState::as_str)),
        ("approval", filter.approval.as_deref()),
        ("nodes.name", filter.node.as_deref()),
    ];
    for (column, value) in equal {
        if let Some(value) = value {
            query
                .push(" AND ")
                .push(column)
                .push(" = ")
                .push_bind(value);
        }
    }
    let numbers = [
        (" AND status = ", filter.status.map(u64::from)),
        (" AND policy_version = ", filter.policy_version),
        (" AND received_at >= ", filter.since),
        (" AND received_at < ", filter.until),
    ];
    for (condition, value) in numbers {
        if let Some(value) = value {
            query.push(condition).push_bind(to_sql(value));
        }
    }
    if let Some(group) = &filter.group {
        query
            .push(" AND EXISTS (SELECT 1 FROM json_each(records.\"groups\") WHERE value = ")
            .push_bind(group)
            .push(")");
    }
    if let Some(text) = &filter.q {
        query.push(" AND (0");
        for column in ["operation", "host", "path", "reason"] {
            // instr, not LIKE: the text is not a pattern.
            query
                .push(" OR instr(lower(")
                .push(column)
                .push("), ")
                .push_bind(text.to_ascii_lowercase())
                .push(") > 0");
        }
        query.push(")");
    }
}

fn record(row: &SqliteRow) -> Result<Record> {
    let number = |column| -> Result<Option<u64>> {
        Ok(row.try_get::<Option<i64>, _>(column)?.map(from_sql))
    };
    Ok(Record {
        id: row.try_get("id")?,
        node: row.try_get("node_name")?,
        boot: row.try_get("node_boot")?,
        state: named(row, "state")?.unwrap_or(RecordState::Open),
        received_at: instant(row, "received_at")?,
        ended_at: number("ended_at")?.map(UnixMillis),
        issuer: row.try_get("issuer")?,
        subject: row.try_get("subject")?,
        agent: row.try_get("agent")?,
        session: row.try_get("session")?,
        groups: json_or_default::<Vec<String>>(row, "groups")?,
        connection: row.try_get("connection")?,
        operation: row.try_get("operation")?,
        attributes: json_or_default::<BTreeMap<String, String>>(row, "attributes")?,
        method: row
            .try_get::<Option<String>, _>("method")?
            .unwrap_or_default(),
        host: row
            .try_get::<Option<String>, _>("host")?
            .unwrap_or_default(),
        path: row
            .try_get::<Option<String>, _>("path")?
            .unwrap_or_default(),
        query: row.try_get("query")?,
        effect: named(row, "effect")?,
        rule: row.try_get("rule")?,
        reason: row.try_get("reason")?,
        code: row.try_get("code")?,
        approval: row.try_get("approval")?,
        approved_by: row.try_get("approved_by")?,
        policy_version: number("policy_version")?,
        request_id: row.try_get("request_id")?,
        status: row.try_get("status")?,
        abort_cause: row.try_get("abort_cause")?,
        decided_ms: number("decided_ms")?,
        first_byte_ms: number("first_byte_ms")?,
        total_ms: number("total_ms")?,
        request_bytes: number("request_bytes")?,
        response_bytes: number("response_bytes")?,
        masked: json_or_default::<BTreeMap<String, u64>>(row, "masked")?,
    })
}
