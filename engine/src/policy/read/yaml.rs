//! From YAML to the tree.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Location, Spanned};

use super::tree::{Key, MAX_DEPTH, TreeNode, Value};
use crate::policy::error::{Place, PolicyErrors, Position};

fn position(location: Location) -> Option<Position> {
    let (line, column) = (location.line(), location.column());
    (line > 0).then_some(Position { line, column })
}

struct Tree(TreeNode);
struct TreeKey(Key);
struct ValueOf(Value);
struct ValueVisitor;

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<ValueOf>::deserialize(deserializer)?;
        Ok(Self(TreeNode {
            position: position(spanned.referenced),
            value: spanned.value.0,
        }))
    }
}

impl<'de> Deserialize<'de> for TreeKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self(Key {
            position: position(spanned.referenced),
            name: spanned.value,
        }))
    }
}

impl<'de> Deserialize<'de> for ValueOf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(Self)
    }
}

impl<'de> Visitor<'de> for ValueVisitor {
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
        Ok(Value::integer(value))
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
        while let Some(Tree(node)) = access.next_element()? {
            items.push(node);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(TreeKey(key)) = access.next_key()? {
            let Tree(node) = access.next_value()?;
            entries.push((key, node));
        }
        Ok(Value::Map(entries))
    }
}

/// Reads one YAML document.
pub(super) fn read(text: &str) -> Result<TreeNode, PolicyErrors> {
    let options = serde_saphyr::options! {
        // Aliases multiply: ten lines can stand for gigabytes ("billion laughs").
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 16,
        },
        budget: serde_saphyr::budget! {
            max_depth: usize::from(MAX_DEPTH),
            max_nodes: 250_000,
            max_events: 1_000_000,
            max_anchors: 1_000,
            max_documents: 1,
        },
        // Found by us, in the tree, where their paths are known.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // `<<` overrides from afar; a reviewer should see the whole rule in one place.
        merge_keys: MergeKeyPolicy::Error,
        // YAML 1.2: `on`, `off`, `yes` and `no` are text.
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Tree>(text, options)
        .map(|tree| tree.0)
        .map_err(|error| {
            let error = error.without_snippet();
            let position = error.location().and_then(position);
            PolicyErrors::one(Place::default(), position, describe(error))
        })
}

fn describe(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    match error {
        Error::MergeKeyNotAllowed { .. } => {
            "merge keys (`<<`) are not supported: write out what they stand for".into()
        }
        Error::MultipleDocuments { .. }
        | Error::Budget {
            breach: BudgetBreach::Documents { .. },
            ..
        } => "expected one document, found a second one after `---`".into(),
        other => {
            // The parser repeats the position at the end of its sentence.
            let words = other.to_string();
            let sentence = words.split(" at line ").next().unwrap_or_default();
            if sentence.starts_with("alias replay") {
                return "aliases (`*name`) stand for more than a policy may hold".into();
            }
            format!("not valid YAML: {sentence}")
        }
    }
}
