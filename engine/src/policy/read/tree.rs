//! A document as a tree that remembers where each value stood.
//!
//! YAML and JSON both become this tree, so that both are read by the same code with the same
//! refusals: a key twice, a key nobody knows, a value left empty.

use std::collections::BTreeSet;

use crate::policy::error::{Faults, Place, PolicyError, Position};
use crate::policy::place::PathStep;
use crate::policy::wording::shorten;

/// How deep lists and maps may nest. A policy needs eight levels.
pub(super) const MAX_DEPTH: u8 = 64;

/// A value and where it stood. Two are equal that say the same, wherever they stand.
#[derive(Debug, Clone)]
pub(super) struct TreeNode {
    pub(super) value: Value,
    pub(super) position: Option<Position>,
}

/// A value, whichever of YAML and JSON it stood in.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<TreeNode>),
    /// In the order of the document. A key may stand there twice: see [`TreeNode::repeated_keys`].
    Map(Vec<(Key, TreeNode)>),
}

/// A key and where it stood.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) position: Option<Position>,
}

impl Value {
    /// One spelling for one number, whichever the format chose.
    pub(super) fn integer(value: i64) -> Self {
        u64::try_from(value).map_or(Self::Signed(value), Self::Unsigned)
    }
}

// === impl TreeNode ===

impl PartialEq for TreeNode {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl TreeNode {
    /// Where `place` stands in the text; where its closest ancestor does, if it was left out.
    pub(super) fn locate(&self, place: &Place) -> Option<Position> {
        let mut node = self;
        let mut position = None;
        for step in &place.0 {
            let next = match (step, &node.value) {
                (PathStep::Key(name), Value::Map(entries)) => {
                    entries
                        .iter()
                        .find(|(key, _)| key.name == *name)
                        .map(|(key, value)| {
                            // The key, not the value, of what spans several lines: that is where
                            // one looks.
                            let many = matches!(value.value, Value::Map(_) | Value::List(_));
                            (value, if many { key.position } else { value.position })
                        })
                }
                (PathStep::Index(index), Value::List(items)) => {
                    items.get(*index).map(|item| (item, item.position))
                }
                _ => None,
            };
            let Some((child, at)) = next else { break };
            node = child;
            position = at;
        }
        position
    }

    /// The text that stands at `place`, as it was written.
    #[cfg(feature = "authoring")]
    pub(super) fn text_at(&self, place: &Place) -> Option<&str> {
        let mut node = self;
        for step in &place.0 {
            node = match (step, &node.value) {
                (PathStep::Key(name), Value::Map(entries)) => {
                    let (_, value) = entries.iter().find(|(key, _)| key.name == *name)?;
                    value
                }
                (PathStep::Index(index), Value::List(items)) => items.get(*index)?,
                _ => return None,
            };
        }
        match &node.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Reports every key that stands twice in one map. Parsers disagree about which of the two
    /// counts. A reviewer could then read one value while the other runs.
    pub(super) fn repeated_keys(&self, faults: &mut Faults) {
        self.repeated_keys_below(&mut Place::default(), faults);
    }

    fn repeated_keys_below(&self, place: &mut Place, faults: &mut Faults) {
        match &self.value {
            Value::Map(entries) => {
                let mut seen = BTreeSet::new();
                for (key, node) in entries {
                    place.0.push(PathStep::Key(key.name.clone()));
                    if !seen.insert(key.name.as_str()) {
                        faults.unread_mut().doubtful(place.clone());
                        faults.push(PolicyError {
                            path: place.clone(),
                            position: key.position,
                            message: twice(&key.name),
                        });
                    }
                    node.repeated_keys_below(place, faults);
                    place.0.pop();
                }
            }
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    place.0.push(PathStep::Index(index));
                    item.repeated_keys_below(place, faults);
                    place.0.pop();
                }
            }
            _ => {}
        }
    }
}

impl TreeNode {
    /// The same with the first value of each key that stands twice, so that the rest can be looked
    /// at.
    pub(super) fn without_repeated_keys(&self) -> Self {
        let value = match &self.value {
            Value::Map(entries) => {
                let mut seen = BTreeSet::new();
                let first = entries
                    .iter()
                    .filter(|(key, _)| seen.insert(key.name.as_str()));
                Value::Map(
                    first
                        .map(|(key, node)| (key.clone(), node.without_repeated_keys()))
                        .collect(),
                )
            }
            Value::List(items) => {
                Value::List(items.iter().map(Self::without_repeated_keys).collect())
            }
            other => other.clone(),
        };
        Self {
            value,
            position: self.position,
        }
    }
}

/// The message for a key that stands twice in one map.
pub(super) fn twice(key: &str) -> String {
    format!("the key `{}` appears twice", shorten(key))
}
