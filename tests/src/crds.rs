//! What a Kubernetes API server says to a manifest before anything runs, without a cluster: whether
//! the fields exist and hold what their custom resource definition lets them hold.
//!
//! The definitions are restated in `tests/crds/`, whose heads name their sources. Only the fields
//! that the shipped manifests use are there, and any other is a fault: a misspelt field is dropped
//! by some API servers without a word, and a protection that it was to give is missing then.

use std::collections::BTreeMap;

use regex_automata::hybrid::regex::Regex;
use serde_json::{Map, Value};

use crate::places;

/// The schemas of `spec`, by `apiVersion` and `kind`.
#[derive(Debug)]
pub struct Definitions(BTreeMap<String, Value>);

impl Definitions {
    /// Those in `tests/crds/`.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    pub fn restated() -> Self {
        let folder = places::repository().join("tests/crds");
        let mut all = BTreeMap::new();
        for entry in std::fs::read_dir(folder).expect("tests/crds is there") {
            let path = entry.expect("a folder can be listed").path();
            let text = std::fs::read_to_string(&path).expect("a schema can be read");
            let schemas: BTreeMap<String, Value> =
                serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            all.extend(schemas);
        }
        Self(all)
    }

    /// Everything that is wrong with a manifest, each with its place.
    #[must_use]
    pub fn faults(&self, manifest: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        let text = |key: &str| manifest[key].as_str().unwrap_or_default();
        let kind = format!("{} {}", text("apiVersion"), text("kind"));
        let Some(schema) = self.0.get(&kind) else {
            return vec![format!("`{kind}` is not in tests/crds")];
        };
        for key in manifest.as_object().into_iter().flat_map(Map::keys) {
            if !["apiVersion", "kind", "metadata", "spec"].contains(&key.as_str()) {
                faults.push(format!("{key}: unknown field"));
            }
        }
        for key in manifest["metadata"]
            .as_object()
            .into_iter()
            .flat_map(Map::keys)
        {
            if !["name", "namespace", "labels", "annotations"].contains(&key.as_str()) {
                faults.push(format!("metadata.{key}: unknown field"));
            }
        }
        if !manifest["metadata"]["name"].is_string() {
            faults.push("metadata.name is missing".to_owned());
        }
        check("spec", &manifest["spec"], schema, &mut faults);
        faults
    }
}

/// # Panics
/// When the schema says something that nothing here understands: it would be ignored otherwise.
fn check(place: &str, value: &Value, schema: &Value, faults: &mut Vec<String>) {
    let keywords = schema.as_object().expect("a schema is a map");
    let mut wrong = |message: String| faults.push(format!("{place}: {message}"));
    for (keyword, wanted) in keywords {
        match keyword.as_str() {
            "type" if !is_a(value, wanted) => wrong(format!("expected {wanted}, found {value}")),
            "enum" if !wanted.as_array().is_some_and(|list| list.contains(value)) => {
                wrong(format!("expected one of {wanted}, found {value}"));
            }
            "pattern" if !matches(wanted, value) => {
                wrong(format!("expected {wanted}, found {value}"));
            }
            "minLength" | "minimum" | "minItems" if measure(value) < wanted.as_f64() => {
                wrong(format!("expected {keyword} {wanted}, found {value}"));
            }
            "maxLength" | "maximum" | "maxItems" | "maxProperties"
                if measure(value) > wanted.as_f64() =>
            {
                wrong(format!("expected {keyword} {wanted}, found {value}"));
            }
            "required" => {
                for name in wanted
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                {
                    if value.get(name).is_none() {
                        wrong(format!("`{name}` is missing"));
                    }
                }
            }
            "type" | "enum" | "pattern" | "minLength" | "minimum" | "minItems" | "maxLength"
            | "maximum" | "maxItems" | "maxProperties" | "properties" | "items" | "values"
            | "free" => {}
            _ => panic!("{place}: the keyword `{keyword}` of the schema is not understood"),
        }
    }
    match value {
        Value::Object(members)
            if keywords.contains_key("free") || keywords.contains_key("values") =>
        {
            for (name, member) in members {
                if let Some(schema) = keywords.get("values") {
                    check(&format!("{place}.{name}"), member, schema, faults);
                }
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let place = format!("{place}.{name}");
                match keywords.get("properties").and_then(|known| known.get(name)) {
                    Some(schema) => check(&place, member, schema, faults),
                    None => faults.push(format!("{place}: unknown field")),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let schema = keywords
                    .get("items")
                    .expect("the schema of a list has `items`");
                check(&format!("{place}[{index}]"), item, schema, faults);
            }
        }
        _ => {}
    }
}

fn is_a(value: &Value, kind: &Value) -> bool {
    match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        _ => panic!("the type {kind} of a schema is not understood"),
    }
}

fn matches(pattern: &Value, value: &Value) -> bool {
    let pattern = pattern.as_str().expect("a pattern is text");
    let regex = Regex::new(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
    let text = value.as_str().unwrap_or_default();
    regex.is_match(&mut regex.create_cache(), text)
}

/// What bounds are about: a number, or how long something is.
#[allow(clippy::cast_precision_loss, reason = "no manifest is that long")]
fn measure(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => Some(text.chars().count() as f64),
        Value::Array(items) => Some(items.len() as f64),
        Value::Object(members) => Some(members.len() as f64),
        _ => None,
    }
}
