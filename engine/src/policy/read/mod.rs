//! From text to a [`Policy`], with as many errors at once as can be told apart.

mod json;
#[cfg(feature = "authoring")]
mod mend;
mod tree;
mod typed;
#[cfg(feature = "authoring")]
mod yaml;

use serde::de::DeserializeOwned;

use self::tree::{MAX_DEPTH, TreeNode, Value};
use self::typed::unknown_key;
use super::check;
use super::document::{ApiVersion, Policy};
use super::error::{Faults, Place, PolicyError, PolicyErrors};
#[cfg(feature = "authoring")]
use super::review;
use super::wording::near_miss;
#[cfg(feature = "authoring")]
use crate::masking::{Allow, CustomDetector};

/// Largest document, in bytes. Thousands of rules fit. The bound limits the cost of reading.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;

#[cfg(feature = "authoring")]
const DETECTORS_KEYS: [&str; 2] = ["detectors", "detectors_allow"];

/// A document of which more was not read is one of another kind. Nothing is gained by looking at
/// the rest.
const MAX_UNREAD: usize = 500;

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

/// A document as somebody wrote it, read: the policy, and what is not wrong with it but probably
/// not meant.
#[cfg(feature = "authoring")]
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The policy.
    pub policy: Policy,
    /// In the order of the document.
    pub warnings: Vec<PolicyError>,
}

/// Reads, [validates](super::validate()) and reviews a policy in YAML or JSON that somebody has
/// written.
///
/// # Errors
/// Everything that is wrong, with path and, for YAML, line and column.
#[cfg(feature = "authoring")]
pub fn parse(text: &str) -> Result<Policy, PolicyErrors> {
    parse_draft(text, None).map(|draft| draft.policy)
}

/// As [`parse`], with the warnings. `before` is a policy that has passed: where its detectors are
/// the same, they are not compiled again to see whether they can be, which takes longest by far.
///
/// # Errors
/// As [`parse`].
#[cfg(feature = "authoring")]
pub fn parse_draft(text: &str, before: Option<&Policy>) -> Result<Draft, PolicyErrors> {
    draft(text, review::Strictness::New, before)
}

/// As [`parse_draft`], for a document that was in force before. What a later version has learnt to
/// refuse in a new document is a warning here: whoever has to go back needs the policy that worked.
///
/// # Errors
/// What no gate could enforce.
#[cfg(feature = "authoring")]
pub fn parse_published(text: &str, before: Option<&Policy>) -> Result<Draft, PolicyErrors> {
    draft(text, review::Strictness::Published, before)
}

#[cfg(feature = "authoring")]
fn draft(
    text: &str,
    strictness: review::Strictness,
    before: Option<&Policy>,
) -> Result<Draft, PolicyErrors> {
    check_size(text.len())?;
    let mut faults = Faults::default();
    let node = prepared(tree(text)?, &KEYS, &mut faults);
    let mut warnings = Faults::default();
    let policy = read(&node, faults, |policy, faults| {
        let found = review::review(policy, &|place| node.text_at(place), faults);
        if strictness == review::Strictness::New {
            faults.append(found.errors);
        } else {
            warnings.append(found.errors);
        }
        warnings.append(found.warnings);
        let passed = before.is_some_and(|before| {
            before.detectors == policy.detectors && before.detectors_allow == policy.detectors_allow
        });
        if !passed {
            check::compile_detectors(&policy.detectors, &policy.detectors_allow, faults);
        }
    });
    let warnings = warnings.into_list(|place| node.locate(place));
    match policy {
        Ok(policy) => Ok(Draft { policy, warnings }),
        Err(errors) => Err(errors.with_warnings(warnings)),
    }
}

/// Detectors in a file of their own: the keys `detectors` and `detectors_allow` of a policy, and no
/// others.
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
    let mut faults = Faults::default();
    let node = prepared(tree(text)?, &DETECTORS_KEYS, &mut faults);
    let Value::Map(_) = &node.value else {
        let message = "expected a map with the key `detectors`, as in a policy";
        return Err(PolicyErrors::one(Place::default(), node.position, message));
    };
    let file = DetectorsFile {
        detectors: list(&node, "detectors", true, &mut faults),
        detectors_allow: list(&node, "detectors_allow", false, &mut faults),
    };
    if faults.unread().len() <= MAX_UNREAD {
        check::check_detector_names(&file.detectors, &mut faults);
        check::compile_detectors(&file.detectors, &file.detectors_allow, &mut faults);
    }
    faults.finish(|place| node.locate(place))?;
    Ok(file)
}

/// JSON is nearly YAML, and YAML's reader knows positions. But the two can read one text
/// differently. A text that is JSON is then taken as JSON, because the filter will read it so.
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
/// As [`parse`], with paths only. Whether custom detectors can be compiled is left to whoever
/// compiles them.
pub fn parse_json(bytes: &[u8]) -> Result<Policy, PolicyErrors> {
    check_size(bytes.len())?;
    // Whoever makes a gate of it compiles the detectors anyway.
    let mut faults = Faults::default();
    let node = prepared(json::read(bytes, MAX_DEPTH)?, &KEYS, &mut faults);
    read(&node, faults, |_, _| {})
}

fn check_size(bytes: usize) -> Result<(), PolicyErrors> {
    if bytes <= MAX_DOCUMENT_BYTES {
        return Ok(());
    }
    let message =
        format!("expected a document of at most {MAX_DOCUMENT_BYTES} bytes, found {bytes}");
    Err(PolicyErrors::one(Place::default(), None, message))
}

/// The document with each key once and keys under the names that they were probably meant to have,
/// with a fault for each key that was another one. So what stands below them is looked at, too.
fn prepared(mut node: TreeNode, known: &'static [&'static str], faults: &mut Faults) -> TreeNode {
    node.repeated_keys(faults);
    if !faults.is_empty() {
        node = node.without_repeated_keys();
    }
    let Value::Map(entries) = &mut node.value else {
        return node;
    };
    let mut names: Vec<String> = entries.iter().map(|(key, _)| key.name.clone()).collect();
    let mut may_be_any = false;
    for (key, value) in entries.iter_mut() {
        if known.contains(&key.name.as_str()) {
            continue;
        }
        let place = Place::default().key(&key.name);
        faults.push(PolicyError {
            path: place.clone(),
            position: key.position,
            message: unknown_key(&key.name, known),
        });
        faults.unread_mut().made_up(place);
        let meant = near_miss(&key.name, known.iter().copied());
        match meant.filter(|meant| !names.iter().any(|name| name == meant)) {
            Some(meant) => {
                meant.clone_into(&mut key.name);
                names.push(meant.to_owned());
            }
            None => may_be_any |= matches!(value.value, Value::List(_)),
        }
    }
    for name in known {
        if may_be_any && !names.iter().any(|there| there == name) {
            faults.unread_mut().doubtful(Place::default().key(name));
        }
    }
    node
}

/// `behind` finds what else is wrong with a policy. It runs, as the checks do, whatever was found
/// before: whoever mends one mistake must not learn of the next one only then. The faults that it
/// is given tell what of the policy was not read.
fn read(
    node: &TreeNode,
    mut faults: Faults,
    behind: impl FnOnce(&Policy, &mut Faults),
) -> Result<Policy, PolicyErrors> {
    let policy = read_policy(node, &mut faults);
    if let Some(policy) = &policy
        && faults.unread().len() <= MAX_UNREAD
    {
        check::check(policy, &mut faults);
        behind(policy, &mut faults);
    }
    faults.finish(|place| node.locate(place))?;
    policy.ok_or_else(|| PolicyErrors::one(Place::default(), None, "the document cannot be read"))
}

/// Item by item rather than through `Policy`'s own `Deserialize`, which stops at the first fault.
/// With a fault, something that the types take stands in its place, if there is anything.
fn read_policy(node: &TreeNode, faults: &mut Faults) -> Option<Policy> {
    let Value::Map(_) = &node.value else {
        faults.push(PolicyError {
            path: Place::default(),
            position: node.position,
            message: "expected a map that begins with `apiVersion: chaperone/v1`".into(),
        });
        return None;
    };
    let api_version = match find(node, "apiVersion") {
        None => missing("apiVersion", faults),
        Some(version) => read_at(version, &Place::default().key("apiVersion"), faults),
    };
    Some(Policy {
        api_version: api_version.unwrap_or(ApiVersion::V1),
        issuers: list(node, "issuers", true, faults),
        connections: list(node, "connections", true, faults),
        rules: list(node, "rules", true, faults),
        detectors: list(node, "detectors", false, faults),
        detectors_allow: list(node, "detectors_allow", false, faults),
        masking: list(node, "masking", false, faults),
        tests: list(node, "tests", false, faults),
    })
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
    faults.certainly(Place::default(), format!("the key `{key}` is missing"));
    None
}

fn list<T: DeserializeOwned>(
    root: &TreeNode,
    key: &str,
    required: bool,
    faults: &mut Faults,
) -> Vec<T> {
    let place = Place::default().key(key);
    let items = match find(root, key).map(|node| &node.value) {
        Some(Value::List(items)) => items,
        None if !required => return Vec::new(),
        found => {
            if found.is_none() {
                missing::<T>(key, faults);
            } else {
                faults.certainly(place.clone(), "expected a list; write `[]` for none");
            }
            faults.unread_mut().made_up(place);
            return Vec::new();
        }
    };
    let read: Vec<Option<T>> = items
        .iter()
        .enumerate()
        .map(|(index, item)| read_at(item, &place.index(index), faults))
        .collect();
    if read.iter().any(Option::is_none) {
        // Those behind a missing one would be called by a wrong number.
        faults.unread_mut().made_up(place);
    }
    read.into_iter().flatten().collect()
}

/// `None` only with a fault. With one, there may be an item in which something else stands in its
/// place, so that places of later checks are right.
#[cfg(feature = "authoring")]
fn read_at<T: DeserializeOwned>(node: &TreeNode, place: &Place, faults: &mut Faults) -> Option<T> {
    match T::deserialize(node) {
        Ok(value) => Some(value),
        Err(error) => {
            let mended = mend::read_on::<T>(node, error);
            for fault in mended.faults {
                faults.push(fault.below(place, node.position));
            }
            for within in mended.places {
                faults.unread_mut().made_up(place.followed_by(&within));
            }
            mended.item
        }
    }
}

#[cfg(not(feature = "authoring"))]
fn read_at<T: DeserializeOwned>(node: &TreeNode, place: &Place, faults: &mut Faults) -> Option<T> {
    match T::deserialize(node) {
        Ok(value) => Some(value),
        Err(error) => {
            faults.push(error.below(place, node.position));
            None
        }
    }
}
