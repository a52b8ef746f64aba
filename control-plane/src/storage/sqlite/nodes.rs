//! Nodes: what each life of a filter's VM has reported.

use std::collections::HashMap;

use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::bundle::Serial;
use chaperone_engine::link::{NodeId, PolicyRequest};
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

use super::row::instant;
use super::{Database, from_sql, to_sql};
use crate::store::Result;

/// What a batch changed about its node.
#[derive(Debug)]
pub(super) struct Totals {
    pub(super) acknowledged: u64,
    pub(super) stored: u64,
    pub(super) dropped: u64,
    pub(super) closed: bool,
}

/// The node's row, made when it is new.
pub(super) async fn ensure(
    connection: &mut SqliteConnection,
    node: &NodeId,
    now: UnixMillis,
) -> Result<i64> {
    Ok(sqlx::query_scalar(
        "INSERT INTO nodes (boot, name, first_seen_at, last_seen_at) VALUES (?1, ?2, ?3, ?3) \
         ON CONFLICT (boot) DO UPDATE SET last_seen_at = max(last_seen_at, excluded.last_seen_at) \
         RETURNING id",
    )
    .bind(node.boot.as_str())
    .bind(&node.name)
    .bind(to_sql(now.0))
    .fetch_one(connection)
    .await?)
}

pub(super) async fn batch_stored(
    connection: &mut SqliteConnection,
    row: i64,
    totals: &Totals,
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

impl Database {
    /// Notes what a node says of itself when it asks for policy.
    pub(crate) async fn node_reported(
        &self,
        request: &PolicyRequest,
        now: UnixMillis,
    ) -> Result<()> {
        let mut transaction = self.write().await?;
        let row = ensure(&mut transaction, &request.node, now).await?;
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
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The highest policy version that any node has reported to enforce.
    pub(crate) async fn highest_enforced(&self) -> Result<u64> {
        let highest: Option<i64> = sqlx::query_scalar("SELECT max(enforced_version) FROM nodes")
            .fetch_one(self.read())
            .await?;
        Ok(highest.map_or(0, from_sql))
    }

    /// Nodes that were heard of since `since` and read less of the policy language than `revision`.
    pub(crate) async fn nodes_behind(
        &self,
        revision: u32,
        since: UnixMillis,
    ) -> Result<Vec<chaperone_api::NodeBehind>> {
        let rows = sqlx::query(
            "SELECT name, boot, reads FROM nodes WHERE closed = 0 AND last_seen_at >= ? AND reads < ? \
             ORDER BY name, boot",
        )
        .bind(to_sql(since.0))
        .bind(revision)
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(chaperone_api::NodeBehind {
                    name: row.try_get("name")?,
                    boot: row.try_get("boot")?,
                    reads: row.try_get("reads")?,
                })
            })
            .collect()
    }

    /// Nodes, the newest life first; `before` is the row id that the page before ended with.
    pub(crate) async fn nodes(
        &self,
        before: Option<i64>,
        limit: u32,
        stale_before: UnixMillis,
    ) -> Result<Vec<(i64, chaperone_api::Node)>> {
        let rows = sqlx::query("SELECT * FROM nodes WHERE id < ? ORDER BY id DESC LIMIT ?")
            .bind(before.unwrap_or(i64::MAX))
            .bind(limit)
            .fetch_all(self.read())
            .await?;
        let mut nodes = Vec::with_capacity(rows.len());
        for row in &rows {
            let enforced: Option<(i64, i64)> = row
                .try_get::<Option<i64>, _>("enforced_version")?
                .zip(row.try_get::<Option<i64>, _>("enforced_keys")?);
            let last_seen_at = instant(row, "last_seen_at")?;
            let closed: bool = row.try_get("closed")?;
            let node = chaperone_api::Node {
                name: row.try_get("name")?,
                boot: row.try_get("boot")?,
                filter_version: row.try_get("filter_version")?,
                reads: row.try_get("reads")?,
                enforced: enforced.map(|(version, keys)| {
                    Serial {
                        policy_version: from_sql(version),
                        keys_revision: from_sql(keys),
                    }
                    .into()
                }),
                refused: row.try_get("refused")?,
                first_seen_at: instant(row, "first_seen_at")?,
                last_seen_at,
                stale: !closed && last_seen_at < stale_before,
                closed,
                acknowledged: from_sql(row.try_get("acknowledged")?),
                events: from_sql(row.try_get("events")?),
                dropped: from_sql(row.try_get("dropped")?),
                gaps: Vec::new(),
            };
            nodes.push((row.try_get("id")?, node));
        }
        let mut gaps = self.gaps(nodes.iter().map(|(id, _)| *id)).await?;
        for (id, node) in &mut nodes {
            node.gaps = gaps.remove(id).unwrap_or_default();
        }
        Ok(nodes)
    }

    async fn gaps(
        &self,
        nodes: impl Iterator<Item = i64>,
    ) -> Result<HashMap<i64, Vec<chaperone_api::Gap>>> {
        let ids: Vec<i64> = nodes.collect();
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT node, first, last FROM gaps WHERE node IN (SELECT value FROM json_each(",
        );
        query
            .push_bind(serde_json::to_string(&ids)?)
            .push(")) ORDER BY node, first");
        let mut gaps: HashMap<i64, Vec<chaperone_api::Gap>> = HashMap::new();
        for row in query.build().fetch_all(self.read()).await? {
            gaps.entry(row.try_get("node")?)
                .or_default()
                .push(chaperone_api::Gap {
                    first: from_sql(row.try_get("first")?),
                    last: from_sql(row.try_get("last")?),
                });
        }
        Ok(gaps)
    }

    /// Nodes that were heard of since `since`, and events missing in all.
    pub(crate) async fn node_totals(&self, since: UnixMillis) -> Result<(u64, u64)> {
        let live: i64 =
            sqlx::query_scalar("SELECT count(*) FROM nodes WHERE closed = 0 AND last_seen_at >= ?")
                .bind(to_sql(since.0))
                .fetch_one(self.read())
                .await?;
        let missing: i64 =
            sqlx::query_scalar("SELECT coalesce(sum(last - first + 1), 0) FROM gaps")
                .fetch_one(self.read())
                .await?;
        Ok((from_sql(live), from_sql(missing)))
    }
}
