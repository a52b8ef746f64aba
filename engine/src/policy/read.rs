//! From text to a [`Policy`], with as many errors at once as can be told apart.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::document::{ApiVersion, Policy};
use super::error::{Faults, Place, PolicyError, PolicyErrors, Position};
use super::node::{self, Node, Value, unknown_key};
use super::validate;

/// Largest document, in bytes. Thousands of rules fit; it bounds what reading one can cost.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;

const KEYS: [&str; 6] = [
    "apiVersion",
    "issuers",
    "connections",
    "rules",
    "masking",
    "tests",
];

/// Reads and [validates](super::validate()) a policy in YAML or JSON.
///
/// # Errors
/// Everything that is wrong, with path and, for YAML, line and column. At most one fault is reported
/// per issuer, connection, rule, masking rule and test until all of them can be read.
#[cfg(feature = "authoring")]
pub fn parse(text: &str) -> Result<Policy, PolicyErrors> {
    check_size(text.len())?;
    read(&tree(text)?)
}

/// JSON is nearly YAML, and YAML's reader knows positions. But where the two disagree about what a
/// text says, a text that is JSON says what JSON says: that is how the filter will read it.
#[cfg(feature = "authoring")]
fn tree(text: &str) -> Result<Node, PolicyErrors> {
    if !text.trim_start().starts_with('{') {
        return node::yaml::read(text);
    }
    let json = read_json(text.as_bytes());
    match (json, node::yaml::read(text)) {
        (Ok(json), Ok(yaml)) if json == yaml => Ok(yaml),
        (Ok(json), _) => Ok(json),
        (Err(_), Ok(yaml)) => Ok(yaml),
        (Err(error), Err(_)) => Err(error),
    }
}

/// Reads and [validates](super::validate()) a policy in JSON: the filter's way in.
///
/// # Errors
/// As [`parse`], with paths only.
pub fn parse_json(bytes: &[u8]) -> Result<Policy, PolicyErrors> {
    check_size(bytes.len())?;
    read(&read_json(bytes)?)
}

fn check_size(bytes: usize) -> Result<(), PolicyErrors> {
    if bytes <= MAX_DOCUMENT_BYTES {
        return Ok(());
    }
    let message =
        format!("expected a document of at most {MAX_DOCUMENT_BYTES} bytes, found {bytes}");
    Err(PolicyErrors::one(Place::default(), None, message))
}

fn read_json(bytes: &[u8]) -> Result<Node, PolicyErrors> {
    node::from_json(bytes).map_err(|error| json_error(&error))
}

fn json_error(error: &serde_json::Error) -> PolicyErrors {
    let (line, column) = (error.line() as u64, error.column() as u64);
    // Its text repeats the position at the end.
    let words = error.to_string();
    let sentence = words.split(" at line ").next().unwrap_or_default();
    let message = format!("not valid JSON: {sentence}");
    PolicyErrors::one(Place::default(), Some(Position { line, column }), message)
}

fn read(node: &Node) -> Result<Policy, PolicyErrors> {
    let mut faults = Faults::default();
    node.repeated_keys(&mut faults);
    // Whatever else is wrong depends on which of the two was meant.
    let policy = if faults.is_empty() {
        read_policy(node, &mut faults)
    } else {
        None
    };
    if faults.is_empty()
        && let Some(policy) = &policy
    {
        validate::check(policy, &mut faults);
    }
    faults.finish(|place| node.locate(place))?;
    policy.ok_or_else(|| PolicyErrors::one(Place::default(), None, "the document cannot be read"))
}

/// Item by item rather than through `Policy`'s own `Deserialize`, which stops at the first fault.
/// `None` only with a fault.
fn read_policy(node: &Node, faults: &mut Faults) -> Option<Policy> {
    let Value::Map(entries) = &node.value else {
        faults.push(PolicyError {
            path: Place::default(),
            position: node.position,
            message: "expected a map that begins with `apiVersion: chaperone/v1`".into(),
        });
        return None;
    };
    for (key, _) in entries {
        if !KEYS.contains(&key.name.as_str()) {
            faults.push(PolicyError {
                path: Place::default().key(&key.name),
                position: key.position,
                message: unknown_key(&key.name, &KEYS),
            });
        }
    }
    let api_version = match find(node, "apiVersion") {
        None => missing("apiVersion", faults),
        Some(version) => read_at(version, &Place::default().key("apiVersion"), faults),
    };
    let issuers = list(node, "issuers", true, faults);
    let connections = list(node, "connections", true, faults);
    let rules = list(node, "rules", true, faults);
    let masking = list(node, "masking", false, faults);
    let tests = list(node, "tests", false, faults);
    let api_version: ApiVersion = api_version?;
    Some(Policy {
        api_version,
        issuers,
        connections,
        rules,
        masking,
        tests,
    })
}

fn find<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| node),
        _ => None,
    }
}

fn missing<T>(key: &str, faults: &mut Faults) -> Option<T> {
    faults.at(Place::default(), format!("the key `{key}` is missing"));
    None
}

fn list<T: DeserializeOwned>(
    root: &Node,
    key: &str,
    required: bool,
    faults: &mut Faults,
) -> Vec<T> {
    let place = Place::default().key(key);
    match find(root, key).map(|node| &node.value) {
        None if required => missing(key, faults).unwrap_or_default(),
        None => Vec::new(),
        Some(Value::List(items)) => items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| read_at(item, &place.index(index), faults))
            .collect(),
        Some(_) => {
            faults.at(place, "expected a list; write `[]` for none");
            Vec::new()
        }
    }
}

fn read_at<'a, T: Deserialize<'a>>(
    node: &'a Node,
    place: &Place,
    faults: &mut Faults,
) -> Option<T> {
    match T::deserialize(node) {
        Ok(value) => Some(value),
        Err(error) => {
            faults.push(error.below(place, node.position));
            None
        }
    }
}
