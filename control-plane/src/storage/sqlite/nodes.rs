//! Nodes: the reports of each life of a filter's VM.

use std::collections::HashMap;

use async_trait::async_trait;
use chaperone_engine::base::time::{CLOCK_SLACK_MS, UnixMillis};
use chaperone_engine::bundle::Serial;
use chaperone_engine::link::{NodeId, PolicyRequest};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

use super::row::instant;
use super::{Database, from_sql, to_sql};
use crate::nodes::store::{Gap, NodeLife, NodeRow, Store, Which};
use crate::store::Result;

/// A batch's changes of its node's row.
#[derive(Debug)]
pub(super) struct BatchTotals {
    pub(super) acknowledged: u64,
    pub(super) stored: u64,
    pub(super) dropped: u64,
    pub(super) closed: bool,
}

/// The node's row, made when it is new, and up to which number its events are stored.
pub(super) async fn ensure(
    connection: &mut SqliteConnection,
    node: &NodeId,
    now: UnixMillis,
) -> Result<(i64, u64)> {
    let row = sqlx::query(
        "INSERT INTO nodes (boot, name, first_seen_at, last_seen_at) VALUES (?1, ?2, ?3, ?3) \
         ON CONFLICT (boot) DO UPDATE SET last_seen_at = max(last_seen_at, excluded.last_seen_at) \
         RETURNING id, acknowledged",
    )
    .bind(node.boot.as_str())
    .bind(&node.name)
    .bind(to_sql(now.0))
    .fetch_one(connection)
    .await?;
    Ok((row.try_get("id")?, from_sql(row.try_get("acknowledged")?)))
}

pub(super) async fn batch_stored(
    connection: &mut SqliteConnection,
    row: i64,
    totals: &BatchTotals,
    now: UnixMillis,
) -> Result<()> {
    sqlx::query(
        "UPDATE nodes SET last_seen_at = max(last_seen_at, ?), acknowledged = ?, \
         events = events + ?, dropped = max(dropped, ?), closed = ? WHERE id = ?",
    )
    .bind(to_sql(now.0))
    .bind(to_sql(totals.acknowledged))
    .bind(to_sql(totals.stored))
    .bind(to_sql(totals.dropped))
    .bind(totals.closed)
    .bind(row)
    .execute(connection)
    .await?;
    Ok(())
}

#[async_trait]
impl Store for Database {
    async fn report(&self, request: &PolicyRequest, now: UnixMillis) -> Result<()> {
        let mut transaction = self.write().await?;
        let (row, _) = ensure(transaction.step().await?, &request.node, now).await?;
        sqlx::query(
            "UPDATE nodes SET filter_version = ?, enforced_version = ?, enforced_keys = ?, \
             refused = ?, reads = ? WHERE id = ?",
        )
        .bind(&request.filter_version)
        .bind(request.enforced.map(|serial| to_sql(serial.policy_version)))
        .bind(request.enforced.map(|serial| to_sql(serial.keys_revision)))
        .bind(request.refused.as_deref())
        .bind(request.reads)
        .bind(row)
        .execute(transaction.step().await?)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn highest_enforced(&self) -> Result<u64> {
        let highest: Option<i64> = sqlx::query_scalar("SELECT max(enforced_version) FROM nodes")
            .fetch_one(self.read())
            .await?;
        Ok(highest.map_or(0, from_sql))
    }

    async fn nodes(
        &self,
        which: &Which,
        before: Option<NodeRow>,
        limit: u32,
    ) -> Result<Vec<(NodeRow, NodeLife)>> {
        let mut transaction = self.read().begin().await?;
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM nodes WHERE id < ");
        query.push_bind(before.unwrap_or(i64::MAX));
        if let Which::Listed { boots, gaps_since } = which {
            query
                .push(" AND (boot IN (SELECT value FROM json_each(")
                .push_bind(serde_json::to_string(boots)?)
                .push(")) OR (last_seen_at >= ")
                .push_bind(to_sql(gaps_since.0))
                .push(" AND EXISTS (SELECT 1 FROM gaps WHERE gaps.node = nodes.id)))");
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(limit);
        let rows = query.build().fetch_all(&mut *transaction).await?;
        let mut nodes = rows
            .iter()
            .map(|row| Ok((row.try_get("id")?, life(row)?)))
            .collect::<Result<Vec<(NodeRow, NodeLife)>>>()?;
        let ids: Vec<NodeRow> = nodes.iter().map(|(id, _)| *id).collect();
        let mut gaps = gaps(&mut transaction, &ids).await?;
        for (id, node) in &mut nodes {
            node.gaps = gaps.remove(id).unwrap_or_default();
        }
        Ok(nodes)
    }

    async fn forget_idle(&self, before: UnixMillis, most: u32) -> Result<u64> {
        // A life with events, numbered or stored, has them in other tables, or has to explain their
        // absence.
        const IDLE: &str = "FROM nodes WHERE events = 0 AND acknowledged = 0 AND dropped = 0 \
             AND last_seen_at < ?1 AND NOT EXISTS (SELECT 1 FROM gaps WHERE gaps.node = nodes.id) \
             AND id IS NOT (SELECT id FROM nodes WHERE enforced_version IS NOT NULL \
                 ORDER BY enforced_version DESC, id DESC LIMIT 1) \
             ORDER BY last_seen_at DESC, id DESC LIMIT -1 OFFSET ?2";
        let before = to_sql(before.0);
        let mut look = QueryBuilder::<Sqlite>::new("SELECT 1 ");
        let idle = look.push(IDLE).build().bind(before).bind(most);
        if idle.fetch_optional(self.read()).await?.is_none() {
            return Ok(0);
        }
        let mut transaction = self.write().await?;
        let mut delete = QueryBuilder::<Sqlite>::new("DELETE FROM nodes WHERE id IN (SELECT id ");
        let deleted = delete
            .push(IDLE)
            .push(")")
            .build()
            .bind(before)
            .bind(most)
            .execute(transaction.step().await?)
            .await?;
        transaction.commit().await?;
        Ok(deleted.rows_affected())
    }

    async fn correct_clock(&self, now: UnixMillis) -> Result<()> {
        const AHEAD: &str = "last_seen_at > ?1";
        let limit = to_sql(now.saturating_add(CLOCK_SLACK_MS).0);
        let mut look = QueryBuilder::<Sqlite>::new("SELECT 1 FROM nodes WHERE ");
        let ahead = look.push(AHEAD).push(" LIMIT 1").build().bind(limit);
        if ahead.fetch_optional(self.read()).await?.is_none() {
            return Ok(());
        }
        let mut transaction = self.write().await?;
        let mut update = QueryBuilder::<Sqlite>::new(
            "UPDATE nodes SET last_seen_at = ?2, first_seen_at = min(first_seen_at, ?2) WHERE ",
        );
        update
            .push(AHEAD)
            .build()
            .bind(limit)
            .bind(to_sql(now.0))
            .execute(transaction.step().await?)
            .await?;
        transaction.commit().await
    }

    async fn missing_events(&self) -> Result<u64> {
        // `sum` fails above 2^63, which one node that numbers its events wildly reaches; `total` is
        // exact to 2^53, and a sum beyond the largest integer is cut to it.
        let missing: i64 =
            sqlx::query_scalar("SELECT CAST(total(last - first + 1) AS INTEGER) FROM gaps")
                .fetch_one(self.read())
                .await?;
        Ok(from_sql(missing))
    }
}

fn life(row: &SqliteRow) -> Result<NodeLife> {
    let enforced: Option<(i64, i64)> = row
        .try_get::<Option<i64>, _>("enforced_version")?
        .zip(row.try_get::<Option<i64>, _>("enforced_keys")?);
    Ok(NodeLife {
        name: row.try_get("name")?,
        boot: row.try_get("boot")?,
        filter_version: row.try_get("filter_version")?,
        reads: row.try_get("reads")?,
        enforced: enforced.map(|(version, keys)| Serial {
            policy_version: from_sql(version),
            keys_revision: from_sql(keys),
        }),
        refused: row.try_get("refused")?,
        first_seen_at: instant(row, "first_seen_at")?,
        last_seen_at: instant(row, "last_seen_at")?,
        closed: row.try_get("closed")?,
        acknowledged: from_sql(row.try_get("acknowledged")?),
        events: from_sql(row.try_get("events")?),
        dropped: from_sql(row.try_get("dropped")?),
        gaps: Vec::new(),
    })
}

async fn gaps(
    connection: &mut SqliteConnection,
    nodes: &[NodeRow],
) -> Result<HashMap<NodeRow, Vec<Gap>>> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT node, first, last FROM gaps WHERE node IN (SELECT value FROM json_each(",
    );
    query
        .push_bind(serde_json::to_string(nodes)?)
        .push(")) ORDER BY node, first");
    let mut gaps: HashMap<NodeRow, Vec<Gap>> = HashMap::new();
    for row in query.build().fetch_all(connection).await? {
        gaps.entry(row.try_get("node")?).or_default().push(Gap {
            first: from_sql(row.try_get("first")?),
            last: from_sql(row.try_get("last")?),
        });
    }
    Ok(gaps)
}
