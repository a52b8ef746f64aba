//! From text to a [`Policy`], with as many errors at once as can be told apart.

mod json;
mod tree;
mod typed;
#[cfg(feature = "authoring")]
mod yaml;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use self::tree::{MAX_DEPTH, TreeNode, Value};
use self::typed::unknown_key;
use super::check;
use super::document::{ApiVersion, Policy};
use super::error::{Faults, Place, PolicyError, PolicyErrors};
#[cfg(feature = "authoring")]
use crate::masking::{Allow, CustomDetector};

/// Largest document, in bytes. Thousands of rules fit. The bound limits the cost of reading.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;

const KEYS: [&str; 8] = [
    "apiVersion",
    "issuers",
    "connections",
    "rules",
    "detectors",
    "detectors_allow",
    "masking",
    "tests",
];

/// Reads and [validates](super::validate()) a policy in YAML or JSON.
///
/// # Errors
/// Everything that is wrong, with path and, for YAML, line and column. At most one fault is reported
/// per issuer, connection, rule, detector, masking rule and test until all of them can be read.
#[cfg(feature = "authoring")]
pub fn parse(text: &str) -> Result<Policy, PolicyErrors> {
    check_size(text.len())?;
    read(&tree(text)?, |policy, faults| {
        check::compile_detectors(&policy.detectors, &policy.detectors_allow, faults);
    })
}

/// Detectors in a file of their own: the keys `detectors` and `detectors_allow` of a policy, and no others.
#[cfg(feature = "authoring")]
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DetectorsFile {
    /// As in a policy.
    pub detectors: Vec<CustomDetector>,
    /// As in a policy.
    pub detectors_allow: Vec<Allow>,
}

/// Reads detectors in YAML or JSON, and checks that they can be compiled.
///
/// # Errors
/// As [`parse`].
#[cfg(feature = "authoring")]
pub fn parse_detectors(text: &str) -> Result<DetectorsFile, PolicyErrors> {
    check_size(text.len())?;
    let node = tree(text)?;
    let mut faults = Faults::default();
    node.repeated_keys(&mut faults);
    let Value::Map(_) = &node.value else {
        let message = "expected a map with the key `detectors`, as in a policy";
        return Err(PolicyErrors::one(Place::default(), node.position, message));
    };
    only_keys(&node, &["detectors", "detectors_allow"], &mut faults);
    let file = DetectorsFile {
        detectors: list(&node, "detectors", true, &mut faults),
        detectors_allow: list(&node, "detectors_allow", false, &mut faults),
    };
    if faults.is_empty() {
        check::check_detector_names(&file.detectors, &mut faults);
        check::compile_detectors(&file.detectors, &file.detectors_allow, &mut faults);
    }
    faults.finish(|place| node.locate(place))?;
    Ok(file)
}

/// JSON is nearly YAML, and YAML's reader knows positions. But the two can read one text differently.
/// A text that is JSON is then taken as JSON, because the filter will read it so.
#[cfg(feature = "authoring")]
fn tree(text: &str) -> Result<TreeNode, PolicyErrors> {
    if !text.trim_start().starts_with('{') {
        return yaml::read(text);
    }
    let json = json::read(text.as_bytes(), MAX_DEPTH);
    match (json, yaml::read(text)) {
        (Ok(json), Ok(yaml)) if json == yaml => Ok(yaml),
        (Ok(json), _) => Ok(json),
        (Err(_), Ok(yaml)) => Ok(yaml),
        (Err(error), Err(_)) => Err(error),
    }
}

/// Reads and [validates](super::validate()) a policy in JSON: the filter's way in.
///
/// # Errors
/// As [`parse`], with paths only. Whether custom detectors can be compiled is left to whoever compiles them.
pub fn parse_json(bytes: &[u8]) -> Result<Policy, PolicyErrors> {
    check_size(bytes.len())?;
    // Whoever makes a gate of it compiles the detectors anyway.
    read(&json::read(bytes, MAX_DEPTH)?, |_, _| {})
}

fn check_size(bytes: usize) -> Result<(), PolicyErrors> {
    if bytes <= MAX_DOCUMENT_BYTES {
        return Ok(());
    }
    let message =
        format!("expected a document of at most {MAX_DOCUMENT_BYTES} bytes, found {bytes}");
    Err(PolicyErrors::one(Place::default(), None, message))
}

fn read(
    node: &TreeNode,
    compile: impl FnOnce(&Policy, &mut Faults),
) -> Result<Policy, PolicyErrors> {
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
        check::check(policy, &mut faults);
        if faults.is_empty() {
            compile(policy, &mut faults);
        }
    }
    faults.finish(|place| node.locate(place))?;
    policy.ok_or_else(|| PolicyErrors::one(Place::default(), None, "the document cannot be read"))
}

/// Item by item rather than through `Policy`'s own `Deserialize`, which stops at the first fault.
/// `None` only with a fault.
fn read_policy(node: &TreeNode, faults: &mut Faults) -> Option<Policy> {
    let Value::Map(_) = &node.value else {
        faults.push(PolicyError {
            path: Place::default(),
            position: node.position,
            message: "expected a map that begins with `apiVersion: chaperone/v1`".into(),
        });
        return None;
    };
    only_keys(node, &KEYS, faults);
    let api_version = match find(node, "apiVersion") {
        None => missing("apiVersion", faults),
        Some(version) => read_at(version, &Place::default().key("apiVersion"), faults),
    };
    let issuers = list(node, "issuers", true, faults);
    let connections = list(node, "connections", true, faults);
    let rules = list(node, "rules", true, faults);
    let detectors = list(node, "detectors", false, faults);
    let detectors_allow = list(node, "detectors_allow", false, faults);
    let masking = list(node, "masking", false, faults);
    let tests = list(node, "tests", false, faults);
    let api_version: ApiVersion = api_version?;
    Some(Policy {
        api_version,
        issuers,
        connections,
        rules,
        detectors,
        detectors_allow,
        masking,
        tests,
    })
}

fn only_keys(node: &TreeNode, known: &'static [&'static str], faults: &mut Faults) {
    let Value::Map(entries) = &node.value else {
        return;
    };
    for (key, _) in entries {
        if !known.contains(&key.name.as_str()) {
            faults.push(PolicyError {
                path: Place::default().key(&key.name),
                position: key.position,
                message: unknown_key(&key.name, known),
            });
        }
    }
}

fn find<'a>(node: &'a TreeNode, name: &str) -> Option<&'a TreeNode> {
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
    root: &TreeNode,
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
    node: &'a TreeNode,
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
