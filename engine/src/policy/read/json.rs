//! From JSON to the tree.

use std::collections::BTreeSet;

use super::tree::{Key, TreeNode, Value, twice};
use crate::base::json::{self, Build, JsonError, JsonStep};
use crate::policy::error::{Place, PolicyErrors, Position};
use crate::policy::place::PathStep;

/// Reads one document in JSON. Of keys that stand there twice, the first is reported.
pub(super) fn read(bytes: &[u8], depth: u8) -> Result<TreeNode, PolicyErrors> {
    json::read(bytes, depth).map_err(|error| match error {
        JsonError::Malformed { line, column, why } => {
            let position = Position {
                line: line as u64,
                column: column as u64,
            };
            let message = format!("not valid JSON: {why}");
            PolicyErrors::one(Place::default(), Some(position), message)
        }
        JsonError::TooDeep => {
            let message = format!("expected lists and maps in at most {depth} levels");
            PolicyErrors::one(Place::default(), None, message)
        }
        JsonError::Duplicate { path } => {
            let key = match path.last() {
                Some(JsonStep::Member(name)) => twice(name),
                _ => twice(""),
            };
            let steps = path.into_iter().map(|step| match step {
                JsonStep::Member(name) => PathStep::Key(name),
                JsonStep::Index(index) => PathStep::Index(index),
            });
            PolicyErrors::one(Place(steps.collect()), None, key)
        }
    })
}

/// The entries of a map, with their names once more to look them up.
#[derive(Default)]
pub(super) struct Members {
    entries: Vec<(Key, TreeNode)>,
    names: BTreeSet<String>,
}

impl Build for TreeNode {
    type Members = Members;

    fn null() -> Self {
        Value::Null.into()
    }

    fn boolean(value: bool) -> Self {
        Value::Bool(value).into()
    }

    fn unsigned(value: u64) -> Self {
        Value::Unsigned(value).into()
    }

    fn signed(value: i64) -> Self {
        Value::integer(value).into()
    }

    fn float(value: f64) -> Self {
        Value::Float(value).into()
    }

    fn text(value: &str) -> Self {
        Value::Text(value.to_owned()).into()
    }

    fn array(values: Vec<Self>) -> Self {
        Value::List(values).into()
    }

    fn has(members: &Members, name: &str) -> bool {
        members.names.contains(name)
    }

    fn add(members: &mut Members, name: String, value: Self) {
        members.names.insert(name.clone());
        let position = None;
        members.entries.push((Key { name, position }, value));
    }

    fn object(members: Members) -> Self {
        Value::Map(members.entries).into()
    }
}

impl From<Value> for TreeNode {
    /// JSON's reader knows no positions.
    fn from(value: Value) -> Self {
        Self {
            value,
            position: None,
        }
    }
}
