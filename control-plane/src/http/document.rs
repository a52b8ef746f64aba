//! The OpenAPI document: what the types of Rust say, and what they do not.
//!
//! Routes and the shapes of bodies come from the handlers and the wire types. Those types do not
//! know how long a name may be, or which words a member can have: that is known where it is
//! checked. The table below takes each bound and each set of words from there, so that the document
//! cannot say anything else. A test sends values beyond each bound to a real control plane.
//!
//! Weighed against it: bounds as attributes of the wire types. Those take literal numbers alone, so
//! every bound would be written twice.

use chaperone_api::{DEFAULT_LIMIT, MAX_LIMIT, ProblemCode};
use chaperone_engine::approval::{Answer, ApprovalState, Standing};
use chaperone_engine::audit::{AbortCause, EventKind, RecordState};
use chaperone_engine::link::{MAX_NODE_NAME, MAX_WAIT_MS};
use chaperone_engine::policy::{Effect, MAX_DOCUMENT_BYTES};
use chaperone_engine::upstreams::Protocol;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::management::filter_config::PROFILES;
use super::node;
use crate::access::MAX_NAME_CHARACTERS;
use crate::administration::Act;
use crate::comment::MAX_CHARACTERS as MAX_COMMENT_CHARACTERS;
use crate::nodes::MAX_REPORTED_VERSION;

/// What is known of a value beyond its type.
enum Fact {
    /// One of these words.
    OneOf(Vec<Value>),
    /// One of these words, or one that another version knows.
    OneOfAtLeast(Vec<Value>),
    /// Text of so many characters.
    Characters(usize, usize),
    /// Text of this form.
    Pattern(String),
    /// A number within these.
    Numbers(u64, Option<u64>),
    /// A list of so many entries.
    Entries(u64, Option<u64>),
    /// More is taken, and counts as so much: a sentence about it.
    Besides(String),
}

use Fact::{Besides, Characters, Entries, Numbers, OneOf, OneOfAtLeast, Pattern};

/// Members of schemas, as `Schema.member`, or `Schema.member[]` for the entries of a list.
fn members() -> Vec<(&'static str, Fact)> {
    let name = || Characters(1, MAX_NAME_CHARACTERS);
    let comment = || Characters(0, MAX_COMMENT_CHARACTERS);
    let states = || OneOf(words(ApprovalState::ALL));
    let version = || Numbers(0, Some(MAX_REPORTED_VERSION));
    let waits = || Besides(format!("Nobody waits longer than {MAX_WAIT_MS}."));
    // How a rule may ask for approval is known to the policy's own schema.
    let policy = json!(chaperone_engine::policy::schema());
    let duration = || Pattern(pattern(&policy, "Duration"));
    vec![
        (
            "AdministrativeAct.act",
            OneOfAtLeast(words(Act::ALL.map(Act::as_str))),
        ),
        ("Approval.state", states()),
        ("ApprovalAnswer.answer", OneOf(words(Answer::ALL))),
        ("ApproveRequest.comment", comment()),
        ("ApproveTerms.by", Entries(least_approvers(&policy), None)),
        ("ApproveTerms.hold", duration()),
        ("ApproveTerms.expires", duration()),
        ("ApproveTerms.grant", Pattern(pattern(&policy, "Grant"))),
        ("AskAnswer.answer", OneOf(words(Standing::ALL))),
        ("Connection.protocol", OneOf(words(Protocol::ALL))),
        ("DenyRequest.reason", Characters(1, MAX_COMMENT_CHARACTERS)),
        ("Event.seq", Numbers(1, None)),
        ("Event.stage", OneOfAtLeast(words(EventKind::STAGES))),
        ("FilterConfig.profile", OneOf(words(PROFILES))),
        ("NewToken.name", name()),
        ("NewToken.subject", name()),
        ("NewToken.groups[]", name()),
        ("NewToken.ttl_seconds", Numbers(1, None)),
        ("NodeId.name", Characters(1, MAX_NODE_NAME)),
        ("NodeId.boot", Pattern("^[0-9a-f]{32}$".to_owned())),
        ("EnforcedSerial.policy_version", version()),
        (
            "Problem.code",
            OneOf(words(ProblemCode::ALL.iter().map(|code| code.as_str()))),
        ),
        ("PublishRequest.document", Characters(0, MAX_DOCUMENT_BYTES)),
        ("PublishRequest.comment", comment()),
        ("Record.effect", OneOf(words(Effect::ALL))),
        ("Record.abort_cause", OneOf(words(AbortCause::ALL))),
        ("Record.state", OneOf(words(RecordState::ALL))),
        ("RollbackRequest.comment", comment()),
        (
            "PolicyRequest.unknown_keys",
            Besides(format!(
                "Of more than {} the first count.",
                node::policy::MAX_UNKNOWN_KEYS
            )),
        ),
        ("PolicyRequest.wait_ms", waits()),
        ("WatchRequest.wait_ms", waits()),
        (
            "WatchRequest.approvals",
            Entries(0, Some(node::approvals::MAX_WATCHED as u64)),
        ),
        ("Watched.state", states()),
    ]
}

/// Parameters, by the path of their calls and their name.
fn parameters() -> Vec<(&'static str, &'static str, Fact)> {
    let states = || OneOf(words(ApprovalState::ALL));
    let mut all = vec![
        ("/api/v1/approvals", "state", states()),
        ("/api/v1/approvals/watch", "state", states()),
        ("/api/v1/filter-config", "profile", OneOf(words(PROFILES))),
        (
            "/api/v1/policies/{version}",
            "version",
            Pattern("^(current|[0-9]+)$".to_owned()),
        ),
        (
            "/api/v1/policies/{version}/rollback",
            "version",
            Numbers(1, None),
        ),
    ];
    for path in ["/api/v1/records", "/api/v1/records/tail"] {
        all.push((path, "effect", OneOf(words(Effect::ALL))));
        all.push((path, "state", OneOf(words(RecordState::ALL))));
        all.push((path, "status", Numbers(0, Some(u64::from(u16::MAX)))));
    }
    all
}

/// The form of a text of the policy's language.
fn pattern(policy: &Value, name: &str) -> String {
    let pattern = policy["$defs"][name]["pattern"].as_str();
    pattern.unwrap_or_default().to_owned()
}

fn least_approvers(policy: &Value) -> u64 {
    let by = &policy["$defs"]["ApproveTerms"]["properties"]["by"];
    by["minItems"].as_u64().unwrap_or_default()
}

/// The words, as they stand in JSON.
fn words<T: Serialize>(all: impl IntoIterator<Item = T>) -> Vec<Value> {
    all.into_iter().map(|word| json!(word)).collect()
}

/// The document of these declarations, with all that is known.
pub(super) fn complete(declared: &utoipa::openapi::OpenApi) -> Value {
    // Declarations are plain data.
    let mut document = serde_json::to_value(declared).unwrap_or_default();
    refer_in_pages(&mut document);
    for (place, fact) in members() {
        let schema = member(&mut document, place);
        debug_assert!(schema.is_some(), "no {place} in the document");
        if let Some(schema) = schema {
            apply(schema, fact);
        }
    }
    for (path, name, fact) in parameters() {
        let schema = parameter(&mut document, path, name);
        debug_assert!(schema.is_some(), "no {name} of {path} in the document");
        if let Some(schema) = schema {
            apply(schema, fact);
        }
    }
    for schema in limits(&mut document) {
        apply(schema, Numbers(1, Some(u64::from(MAX_LIMIT))));
        schema.insert("default".to_owned(), DEFAULT_LIMIT.into());
    }
    document
}

/// A page of a list has a copy of the schema of its entries, which would have to be completed, too.
fn refer_in_pages(document: &mut Value) {
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else {
        return;
    };
    for (name, schema) in schemas {
        if let Some(entry) = name.strip_prefix("Page_") {
            schema["properties"]["items"]["items"] = reference(entry);
        }
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn member<'a>(document: &'a mut Value, place: &str) -> Option<&'a mut Map<String, Value>> {
    let (schema, place) = place.split_once('.')?;
    let mut schema = document["components"]["schemas"].get_mut(schema)?;
    for step in place.split('.') {
        let (name, entries) = match step.strip_suffix("[]") {
            Some(name) => (name, true),
            None => (step, false),
        };
        schema = schema.get_mut("properties")?.get_mut(name)?;
        if entries {
            schema = schema.get_mut("items")?;
        }
    }
    schema.as_object_mut()
}

fn parameter<'a>(
    document: &'a mut Value,
    path: &str,
    name: &str,
) -> Option<&'a mut Map<String, Value>> {
    let operations = document["paths"].get_mut(path)?.as_object_mut()?;
    let mut parameters = operations
        .values_mut()
        .filter_map(|operation| operation.get_mut("parameters")?.as_array_mut())
        .flatten();
    let parameter = parameters.find(|parameter| parameter["name"] == name)?;
    parameter.get_mut("schema")?.as_object_mut()
}

/// The parameter `limit` of every list.
fn limits(document: &mut Value) -> Vec<&mut Map<String, Value>> {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    let operations = paths.filter_map(|(_, item)| item.as_object_mut());
    operations
        .flat_map(Map::values_mut)
        .filter_map(|operation| operation.get_mut("parameters")?.as_array_mut())
        .flatten()
        .filter(|parameter| parameter["name"] == "limit")
        .filter_map(|parameter| parameter.get_mut("schema")?.as_object_mut())
        .collect()
}

fn apply(schema: &mut Map<String, Value>, fact: Fact) {
    match fact {
        Fact::OneOf(mut words) => {
            if schema.get("type").is_some_and(Value::is_array) {
                words.push(Value::Null);
            }
            schema.insert("enum".to_owned(), words.into());
        }
        Fact::OneOfAtLeast(words) => {
            let known = json!({ "type": "string", "enum": words });
            schema.insert("anyOf".to_owned(), json!([known, { "type": "string" }]));
        }
        Fact::Characters(least, most) => {
            if least > 0 {
                schema.insert("minLength".to_owned(), least.into());
            }
            schema.insert("maxLength".to_owned(), most.into());
        }
        Fact::Pattern(pattern) => {
            schema.insert("pattern".to_owned(), pattern.into());
        }
        Fact::Numbers(least, most) => {
            schema.insert("minimum".to_owned(), least.into());
            if let Some(most) = most {
                schema.insert("maximum".to_owned(), most.into());
            }
        }
        Fact::Besides(sentence) => {
            let said = schema.get("description").and_then(Value::as_str);
            let description = format!("{} {sentence}", said.unwrap_or_default());
            schema.insert("description".to_owned(), description.into());
        }
        Fact::Entries(least, most) => {
            if least > 0 {
                schema.insert("minItems".to_owned(), least.into());
            }
            if let Some(most) = most {
                schema.insert("maxItems".to_owned(), most.into());
            }
        }
    }
}
