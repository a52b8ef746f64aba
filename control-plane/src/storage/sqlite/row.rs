//! Reading columns into the services' types.

use chaperone_engine::base::time::UnixMillis;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::from_sql;
use crate::store::{Result, StoreError};

/// An instant that is never absent.
pub(super) fn instant(row: &SqliteRow, column: &str) -> Result<UnixMillis> {
    Ok(UnixMillis(from_sql(row.try_get(column)?)))
}

/// A value that serde knows by a name.
pub(super) fn named<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<Option<T>> {
    row.try_get::<Option<String>, _>(column)?
        .map(|name| {
            serde_json::from_value(serde_json::Value::String(name))
                .map_err(|error| StoreError::Corrupt(format!("{column}: {error}")))
        })
        .transpose()
}

/// A JSON column; its default when it is NULL.
pub(super) fn json_or_default<T: DeserializeOwned + Default>(
    row: &SqliteRow,
    column: &str,
) -> Result<T> {
    match row.try_get::<Option<&str>, _>(column)? {
        Some(text) => Ok(serde_json::from_str(text)?),
        None => Ok(T::default()),
    }
}
