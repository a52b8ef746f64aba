//! Reading lists and maps so that a slip of the pen does not widen a rule.
//!
//! `groups: []` could mean "nobody" or "anybody". It is refused, whichever format it comes in.

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer, Error};

const EMPTY: &str = "expected at least one entry: leave the key out to match anything";

pub(super) fn non_empty_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list = Vec::deserialize(deserializer)?;
    if list.is_empty() {
        Err(D::Error::custom(EMPTY))
    } else {
        Ok(list)
    }
}

pub(super) fn some_non_empty_list<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    non_empty_list(deserializer).map(Some)
}

pub(super) fn non_empty_map<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let map = BTreeMap::deserialize(deserializer)?;
    if map.is_empty() {
        Err(D::Error::custom(EMPTY))
    } else {
        Ok(map)
    }
}
