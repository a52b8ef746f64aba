//! Policy versions and the bundles made of them. Both are only ever added.

use async_trait::async_trait;
use chaperone_engine::bundle::Serial;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::row::instant;
use super::{Database, from_sql, to_sql};
use crate::policies::store::{Added, Store, StoredBundle, StoredVersion, Version};
use crate::store::Result;

const SELECT: &str = "SELECT *, version = (SELECT max(version) FROM policy_versions) AS current \
                      FROM policy_versions";

#[async_trait]
impl Store for Database {
    async fn version(&self, number: Option<u64>) -> Result<Option<StoredVersion>> {
        let mut query = sqlx::QueryBuilder::new(SELECT);
        match number {
            Some(number) => query.push(" WHERE version = ").push_bind(to_sql(number)),
            None => query.push(" ORDER BY version DESC LIMIT 1"),
        };
        let row = query.build().fetch_optional(self.read()).await?;
        row.map(|row| {
            Ok(StoredVersion {
                version: version(&row)?,
                document: row.try_get("document")?,
                policy: row.try_get("policy")?,
            })
        })
        .transpose()
    }

    async fn versions(&self, before: Option<u64>, limit: u32) -> Result<Vec<Version>> {
        let mut query = sqlx::QueryBuilder::new(SELECT);
        query
            .push(" WHERE version < ")
            .push_bind(before.map_or(i64::MAX, to_sql))
            .push(" ORDER BY version DESC LIMIT ")
            .push_bind(limit);
        let rows = query.build().fetch_all(self.read()).await?;
        rows.iter().map(version).collect()
    }

    async fn latest_bundle(&self) -> Result<Option<StoredBundle>> {
        let row = sqlx::query(
            "SELECT * FROM bundles ORDER BY policy_version DESC, keys_revision DESC LIMIT 1",
        )
        .fetch_optional(self.read())
        .await?;
        row.map(|row| {
            Ok(StoredBundle {
                serial: Serial {
                    policy_version: from_sql(row.try_get("policy_version")?),
                    keys_revision: from_sql(row.try_get("keys_revision")?),
                },
                digest: row.try_get("digest")?,
                envelope: row.try_get("envelope")?,
                issued_at: instant(&row, "issued_at")?,
            })
        })
        .transpose()
    }

    async fn add_version(
        &self,
        stored: &StoredVersion,
        bundle: &StoredBundle,
        on: Option<&str>,
    ) -> Result<Added> {
        let mut transaction = self.write().await?;
        if let Some(current) = overtaken(transaction.step().await?, on).await? {
            transaction.rollback().await?;
            return Ok(Added::Overtaken { current });
        }
        let version = &stored.version;
        sqlx::query(
            "INSERT INTO policy_versions (version, digest, document, policy, bundle_digest, \
             published_at, published_by, comment, rollback_of) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(to_sql(version.version))
        .bind(&version.digest)
        .bind(&stored.document)
        .bind(&stored.policy)
        .bind(&version.bundle_digest)
        .bind(to_sql(version.published_at.0))
        .bind(&version.published_by)
        .bind(version.comment.as_deref())
        .bind(version.rollback_of.map(to_sql))
        .execute(transaction.step().await?)
        .await?;
        insert_bundle(transaction.step().await?, bundle).await?;
        transaction.commit().await?;
        Ok(Added::Done)
    }

    async fn add_bundle(&self, bundle: &StoredBundle, on: &str) -> Result<Added> {
        let mut transaction = self.write().await?;
        if let Some(current) = overtaken(transaction.step().await?, Some(on)).await? {
            transaction.rollback().await?;
            return Ok(Added::Overtaken { current });
        }
        insert_bundle(transaction.step().await?, bundle).await?;
        transaction.commit().await?;
        Ok(Added::Done)
    }
}

/// The version in force, if the bundle in force is not the one with the digest `on`.
async fn overtaken(connection: &mut SqliteConnection, on: Option<&str>) -> Result<Option<u64>> {
    let latest: Option<(i64, String)> = sqlx::query_as(
        "SELECT policy_version, digest FROM bundles \
         ORDER BY policy_version DESC, keys_revision DESC LIMIT 1",
    )
    .fetch_optional(connection)
    .await?;
    let (current, digest) = latest.unzip();
    Ok((digest.as_deref() != on).then(|| current.map_or(0, from_sql)))
}

async fn insert_bundle(connection: &mut SqliteConnection, bundle: &StoredBundle) -> Result<()> {
    sqlx::query(
        "INSERT INTO bundles (policy_version, keys_revision, digest, envelope, issued_at) \
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(to_sql(bundle.serial.policy_version))
    .bind(to_sql(bundle.serial.keys_revision))
    .bind(&bundle.digest)
    .bind(&bundle.envelope)
    .bind(to_sql(bundle.issued_at.0))
    .execute(connection)
    .await?;
    Ok(())
}

fn version(row: &SqliteRow) -> Result<Version> {
    Ok(Version {
        version: from_sql(row.try_get("version")?),
        digest: row.try_get("digest")?,
        bundle_digest: row.try_get("bundle_digest")?,
        published_at: instant(row, "published_at")?,
        published_by: row.try_get("published_by")?,
        comment: row.try_get("comment")?,
        rollback_of: row.try_get::<Option<i64>, _>("rollback_of")?.map(from_sql),
        current: row.try_get("current")?,
    })
}
