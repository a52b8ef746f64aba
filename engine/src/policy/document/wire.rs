//! Reading lists and maps so that a slip of the pen does not widen a rule.
//!
//! `groups: []` could mean "nobody" or "anybody"; a map with the same key twice keeps one of the two
//! without a word in plain serde. Both are refused, whichever format they come in.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

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
    let map = unique_map(deserializer)?;
    if map.is_empty() {
        Err(D::Error::custom(EMPTY))
    } else {
        Ok(map)
    }
}

pub(super) fn unique_map<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_map(UniqueMap(PhantomData))
}

struct UniqueMap<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for UniqueMap<T> {
    type Value = BTreeMap<String, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = access.next_key::<String>()? {
            match map.entry(key) {
                Entry::Vacant(slot) => slot.insert(access.next_value()?),
                Entry::Occupied(slot) => {
                    return Err(A::Error::custom(format_args!(
                        "the key {:?} appears twice",
                        slot.key()
                    )));
                }
            };
        }
        Ok(map)
    }
}
