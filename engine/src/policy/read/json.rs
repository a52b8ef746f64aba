//! From text to the tree: what YAML and JSON have in common, and JSON.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::tree::{Key, TreeNode, Value};

/// How a format reads a node: with its position or without.
pub(super) trait Format: Sized {
    fn node<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TreeNode, D::Error>;
    fn key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error>;
}

pub(super) struct Tree<F>(pub(super) TreeNode, PhantomData<F>);
struct TreeKey<F>(Key, PhantomData<F>);

impl<'de, F: Format> Deserialize<'de> for Tree<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        F::node(deserializer).map(|node| Self(node, PhantomData))
    }
}

impl<'de, F: Format> Deserialize<'de> for TreeKey<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        F::key(deserializer).map(|key| Self(key, PhantomData))
    }
}

pub(super) struct ValueOf<F>(pub(super) Value, PhantomData<F>);

impl<'de, F: Format> Deserialize<'de> for ValueOf<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = ValueVisitor::<F>(PhantomData);
        deserializer
            .deserialize_any(visitor)
            .map(|value| Self(value, PhantomData))
    }
}

struct ValueVisitor<F>(PhantomData<F>);

impl<'de, F: Format> Visitor<'de> for ValueVisitor<F> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        // One spelling for one number, whichever the format chose.
        Ok(u64::try_from(value).map_or(Value::Signed(value), Value::Unsigned))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Tree(node, _)) = access.next_element::<Tree<F>>()? {
            items.push(node);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(TreeKey(key, _)) = access.next_key::<TreeKey<F>>()? {
            let Tree(node, _) = access.next_value::<Tree<F>>()?;
            entries.push((key, node));
        }
        Ok(Value::Map(entries))
    }
}

struct Json;

impl Format for Json {
    fn node<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TreeNode, D::Error> {
        let ValueOf(value, _) = ValueOf::<Self>::deserialize(deserializer)?;
        Ok(TreeNode {
            value,
            position: None,
        })
    }

    fn key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        String::deserialize(deserializer).map(|name| Key {
            name,
            position: None,
        })
    }
}

/// Reads JSON. Nesting is bounded by `serde_json` (128 levels).
pub(super) fn from_json(bytes: &[u8]) -> Result<TreeNode, serde_json::Error> {
    serde_json::from_slice::<Tree<Json>>(bytes).map(|tree| tree.0)
}
