//! The trail: taking events, and reading records.
//!
//! The columns of `records` are the [`ATTRIBUTES`] and the five that make a row what it is. A new
//! attribute needs a migration that adds its column, of the type that `column_type` names.

use std::collections::HashMap;
use std::sync::LazyLock;

use async_trait::async_trait;
use chaperone_engine::audit::{
    ATTRIBUTES, Attribute, AttributeShape, AttributeValue, BootId, RecordAttributes, RecordState,
};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::link::NodeId;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

use super::row::{instant, named};
use super::write::Write;
use super::{Database, from_sql, nodes, to_sql};
use crate::nodes::store::NodeRow;
use crate::store::{PageKey, Result, StoreError};
use crate::trail::fold::{EventRow, Group, Patch};
use crate::trail::sequence::{Range, Sequence};
use crate::trail::store::{IncomingBatch, Missing, Record, RecordQuery, Store, StoredEvent, Taken};

/// Rows per INSERT statement: SQLite's per-statement work is shared by that many events.
const ROWS: usize = 50;

/// Columns of `records` that are no attributes.
const FRAME: [&str; 5] = ["id", "node", "state", "received_at", "position"];

#[async_trait]
impl Store for Database {
    async fn take(&self, batches: Vec<IncomingBatch>, now: UnixMillis) -> Result<Taken> {
        let mut transaction = self.write().await?;
        let taken = take(&mut transaction, batches, now).await?;
        transaction.commit().await?;
        Ok(taken)
    }

    async fn search(
        &self,
        query: &RecordQuery,
        after: Option<&PageKey>,
        limit: u32,
    ) -> Result<Vec<Record>> {
        let mut sql = select(query);
        if let Some((at, id)) = after {
            sql.push(" AND (received_at, records.id) < (")
                .push_bind(to_sql(*at))
                .push(", ")
                .push_bind(id)
                .push(")");
        }
        sql.push(" ORDER BY received_at DESC, records.id DESC LIMIT ")
            .push_bind(limit);
        let rows = sql.build().fetch_all(self.read()).await?;
        rows.iter().map(record).collect()
    }

    async fn changed_after(
        &self,
        query: &RecordQuery,
        position: u64,
        limit: u32,
    ) -> Result<Vec<Record>> {
        let mut sql = select(query);
        sql.push(" AND position > ")
            .push_bind(to_sql(position))
            .push(" ORDER BY position LIMIT ")
            .push_bind(limit);
        let rows = sql.build().fetch_all(self.read()).await?;
        rows.iter().map(record).collect()
    }

    async fn position(&self) -> Result<u64> {
        let position = sqlx::query_scalar("SELECT position FROM trail")
            .fetch_one(self.read())
            .await?;
        Ok(from_sql(position))
    }

    async fn show(&self, id: &str) -> Result<Option<(Record, Vec<StoredEvent>)>> {
        let mut sql = select(&RecordQuery::default());
        sql.push(" AND records.id = ").push_bind(id);
        // One transaction: between two of them a record's end may be stored, which would then stand
        // beside a record that is open.
        let mut transaction = self.read().begin().await?;
        let row = sql.build().fetch_optional(&mut *transaction).await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let events =
            sqlx::query("SELECT stored_at, json FROM events WHERE record = ? ORDER BY node, seq")
                .bind(id)
                .fetch_all(&mut *transaction)
                .await?;
        let events = events.iter().map(|row| {
            Ok(StoredEvent {
                stored_at: instant(row, "stored_at")?,
                json: row.try_get("json")?,
            })
        });
        Ok(Some((record(&row)?, events.collect::<Result<_>>()?)))
    }
}

async fn take(
    transaction: &mut Write,
    batches: Vec<IncomingBatch>,
    now: UnixMillis,
) -> Result<Taken> {
    let mut taken = Taken::default();
    let mut group = Group::default();
    // A node's batches may wait side by side: the second one goes on where the first one ended.
    let mut lives: HashMap<BootId, (NodeRow, Sequence)> = HashMap::new();
    for batch in batches {
        let life = match lives.get_mut(&batch.node.boot) {
            Some(life) => life,
            None => {
                let loaded = load(transaction, &batch.node, now).await?;
                lives.entry(batch.node.boot.clone()).or_insert(loaded)
            }
        };
        let (row, sequence) = (life.0, &mut life.1);
        let before = sequence.gaps().to_vec();
        let new = group.take(row, sequence, batch.events);
        if sequence.gaps() != before {
            store_gaps(transaction, row, sequence).await?;
            taken.missing.push(Missing {
                node: batch.node.clone(),
                events: sequence.missing(),
            });
        }
        let totals = nodes::BatchTotals {
            acknowledged: sequence.acknowledged(),
            stored: new.events,
            dropped: batch.dropped,
            closed: batch.closing,
        };
        nodes::batch_stored(transaction.step().await?, row, &totals, now).await?;
        taken.stored += new.events;
        taken.unknown.extend(new.unknown(&batch.node));
        taken.acknowledged.push(sequence.acknowledged());
    }
    insert(transaction, group.rows(), now).await?;
    taken.position = advance(transaction, group.patches().len()).await?;
    let first = taken.position - group.patches().len() as u64 + 1;
    for (position, (id, node, patch)) in (first..).zip(group.patches()) {
        merge(transaction.step().await?, id, *node, patch, position).await?;
    }
    Ok(taken)
}

/// Moves the trail's position on by this many changes; returns where it stands then.
async fn advance(transaction: &mut Write, changes: usize) -> Result<u64> {
    let position =
        sqlx::query_scalar("UPDATE trail SET position = position + ? RETURNING position")
            .bind(to_sql(changes as u64))
            .fetch_one(transaction.step().await?)
            .await?;
    Ok(from_sql(position))
}

async fn load(
    transaction: &mut Write,
    node: &NodeId,
    now: UnixMillis,
) -> Result<(NodeRow, Sequence)> {
    let (row, acknowledged) = nodes::ensure(transaction.step().await?, node, now).await?;
    let gaps = sqlx::query("SELECT first, last FROM gaps WHERE node = ? ORDER BY first")
        .bind(row)
        .fetch_all(transaction.step().await?)
        .await?;
    let gaps = gaps
        .iter()
        .map(|gap| {
            Ok(Range {
                first: from_sql(gap.try_get("first")?),
                last: from_sql(gap.try_get("last")?),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok((row, Sequence::new(acknowledged, gaps)))
}

async fn store_gaps(transaction: &mut Write, node: NodeRow, sequence: &Sequence) -> Result<()> {
    sqlx::query("DELETE FROM gaps WHERE node = ?")
        .bind(node)
        .execute(transaction.step().await?)
        .await?;
    for gap in sequence.gaps() {
        sqlx::query("INSERT INTO gaps (node, first, last) VALUES (?, ?, ?)")
            .bind(node)
            .bind(to_sql(gap.first))
            .bind(to_sql(gap.last))
            .execute(transaction.step().await?)
            .await?;
    }
    Ok(())
}

static INSERT_MANY: LazyLock<String> = LazyLock::new(|| {
    let rows = vec!["(?, ?, ?, ?, ?)"; ROWS].join(", ");
    format!("INSERT INTO events (node, seq, record, stored_at, json) VALUES {rows}")
});
const INSERT_ONE: &str =
    "INSERT INTO events (node, seq, record, stored_at, json) VALUES (?, ?, ?, ?, ?)";

async fn insert(transaction: &mut Write, rows: &[EventRow], now: UnixMillis) -> Result<()> {
    let mut chunks = rows.chunks_exact(ROWS);
    let whole = chunks.by_ref().map(|chunk| (INSERT_MANY.as_str(), chunk));
    let whole: Vec<_> = whole.collect();
    let single = chunks
        .remainder()
        .chunks(1)
        .map(|chunk| (INSERT_ONE, chunk));
    for (statement, chunk) in whole.into_iter().chain(single) {
        let mut query = sqlx::query(statement);
        for row in chunk {
            query = query
                .bind(row.node)
                .bind(to_sql(row.seq))
                .bind(row.record.as_str())
                .bind(to_sql(now.0))
                .bind(&*row.json);
        }
        query.execute(transaction.step().await?).await?;
    }
    Ok(())
}

/// All columns of `records`, as SQL names them: some attributes are called like keywords.
fn columns() -> Vec<String> {
    let attributes = ATTRIBUTES.iter().map(|attribute| attribute.name);
    FRAME
        .into_iter()
        .chain(attributes)
        .map(|name| format!("\"{name}\""))
        .collect()
}

/// Later news wins, silence changes nothing, an end is never taken back.
static UPSERT: LazyLock<String> = LazyLock::new(|| {
    let columns = columns();
    let places = vec!["?"; columns.len()].join(", ");
    let news: Vec<String> = columns
        .iter()
        .skip(FRAME.len())
        .map(|column| format!(", {column} = coalesce(excluded.{column}, records.{column})"))
        .collect();
    format!(
        "INSERT INTO records ({}) VALUES ({places}) ON CONFLICT (id) DO UPDATE SET \
         state = CASE excluded.state WHEN 'open' THEN records.state ELSE excluded.state END, \
         received_at = min(records.received_at, excluded.received_at), \
         position = excluded.position{}",
        columns.join(", "),
        news.concat()
    )
});

/// Merges one patch into the record `id` of the node with the row id `node`, as the change
/// `position`.
async fn merge(
    connection: &mut SqliteConnection,
    id: &str,
    node: NodeRow,
    patch: &Patch,
    position: u64,
) -> Result<()> {
    let mut query = sqlx::query(UPSERT.as_str())
        .bind(id)
        .bind(node)
        .bind(patch.state.as_str())
        .bind(to_sql(patch.received_at.0))
        .bind(to_sql(position));
    for value in patch.attributes.values() {
        query = match value {
            None => query.bind(None::<i64>),
            Some(AttributeValue::Text(text)) => query.bind(text),
            Some(AttributeValue::Number(number)) => query.bind(to_sql(number)),
            Some(AttributeValue::Json(json)) => query.bind(json),
        };
    }
    query.execute(connection).await?;
    Ok(())
}

/// Records and the node that they belong to, as far as they are asked for.
fn select(query: &RecordQuery) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::<Sqlite>::new(
        "SELECT records.*, nodes.name AS node_name, nodes.boot AS node_boot \
         FROM records JOIN nodes ON nodes.id = records.node WHERE 1 = 1",
    );
    let RecordQuery {
        attributes,
        state,
        node,
        since,
        until,
        text,
    } = query;
    for (attribute, value) in attributes {
        push_condition(&mut sql, attribute, value);
    }
    if let Some(state) = state {
        sql.push(" AND state = ").push_bind(state.as_str());
    }
    if let Some(node) = node {
        sql.push(" AND nodes.name = ").push_bind(node.clone());
    }
    if let Some(since) = since {
        sql.push(" AND received_at >= ").push_bind(to_sql(since.0));
    }
    if let Some(until) = until {
        sql.push(" AND received_at < ").push_bind(to_sql(until.0));
    }
    if let Some(text) = text {
        sql.push(" AND (0");
        for attribute in ATTRIBUTES.iter().filter(|attribute| attribute.text) {
            // instr, not LIKE: the text is not a pattern.
            sql.push(" OR instr(lower(");
            push_column(&mut sql, attribute);
            sql.push("), ")
                .push_bind(text.to_ascii_lowercase())
                .push(") > 0");
        }
        sql.push(")");
    }
    sql
}

fn push_column(sql: &mut QueryBuilder<Sqlite>, attribute: &Attribute) {
    sql.push("records.\"").push(attribute.name).push("\"");
}

fn push_condition(
    sql: &mut QueryBuilder<Sqlite>,
    attribute: &Attribute,
    value: &AttributeValue<'static>,
) {
    let holds = attribute.shape == AttributeShape::List;
    if holds {
        sql.push(" AND EXISTS (SELECT 1 FROM json_each(");
        push_column(sql, attribute);
        sql.push(") WHERE value = ");
    } else {
        sql.push(" AND ");
        push_column(sql, attribute);
        sql.push(" = ");
    }
    match value.clone() {
        AttributeValue::Text(text) => sql.push_bind(text),
        AttributeValue::Number(number) => sql.push_bind(to_sql(number)),
        AttributeValue::Json(json) => sql.push_bind(json),
    };
    if holds {
        sql.push(")");
    }
}

fn record(row: &SqliteRow) -> Result<Record> {
    Ok(Record {
        id: row.try_get("id")?,
        node: row.try_get("node_name")?,
        boot: row.try_get("node_boot")?,
        state: named(row, "state")?.unwrap_or(RecordState::Open),
        received_at: instant(row, "received_at")?,
        position: from_sql(row.try_get("position")?),
        attributes: RecordAttributes::read::<StoreError>(|attribute| {
            let name = attribute.name;
            Ok(match attribute.shape {
                AttributeShape::Text => row
                    .try_get::<Option<String>, _>(name)?
                    .map(|text| AttributeValue::Text(text.into())),
                AttributeShape::Number => row
                    .try_get::<Option<i64>, _>(name)?
                    .map(|number| AttributeValue::Number(from_sql(number))),
                AttributeShape::List | AttributeShape::Object => row
                    .try_get::<Option<String>, _>(name)?
                    .map(AttributeValue::Json),
            })
        })?,
    })
}

/// The type of an attribute's column, as a migration has to spell it. For Postgres it will be TEXT,
/// BIGINT and JSONB.
#[cfg(test)]
const fn column_type(shape: AttributeShape) -> &'static str {
    match shape {
        AttributeShape::Text | AttributeShape::List | AttributeShape::Object => "TEXT",
        AttributeShape::Number => "INTEGER",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[tokio::test]
    async fn the_columns_that_the_migrations_make_are_the_attributes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("chaperone.db");
        std::fs::File::create(&file).unwrap();
        let database = Database::open(&file).await.unwrap();
        let rows = sqlx::query("SELECT name, type FROM pragma_table_info('records')")
            .fetch_all(database.read())
            .await
            .unwrap();
        let made: BTreeMap<String, String> = rows
            .iter()
            .map(|row| (row.get("name"), row.get("type")))
            .filter(|(name, _): &(String, String)| !FRAME.contains(&name.as_str()))
            .collect();
        let wanted: BTreeMap<String, String> = ATTRIBUTES
            .iter()
            .map(|attribute| {
                let kind = column_type(attribute.shape);
                (attribute.name.to_owned(), kind.to_owned())
            })
            .collect();
        assert_eq!(
            made, wanted,
            "left: the columns of `records`; right: the table of attributes. A new attribute needs \
             a migration that adds its column."
        );
    }
}
