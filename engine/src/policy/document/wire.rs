//! Reading lists and maps so that a slip of the pen does not widen a rule.
//!
//! `groups: []` could mean "nobody" or "anybody". It is refused, whichever format it comes in.

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer, Error};

const EMPTY: &str = "expected at least one entry: leave the key out to match anything";
const EMPTY_AND_REQUIRED: &str = "expected at least one entry";

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

/// For a list that may not be left out, or where leaving it out would mean nothing rather than
/// anything.
pub(super) fn required_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list = Vec::deserialize(deserializer)?;
    if list.is_empty() {
        Err(D::Error::custom(EMPTY_AND_REQUIRED))
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
