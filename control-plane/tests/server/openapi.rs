//! What the OpenAPI document promises is what the control plane does. Nothing here is a list of
//! calls: the tests walk through the document, so a new call is held to it without a word.

use serde_json::{Map, Value, json};

use crate::kit::{self, Answer, Server};

/// One call of the document.
struct Operation {
    method: String,
    path: String,
    parameters: Vec<Value>,
    body: Option<Value>,
    body_required: bool,
}

struct Document(Value);

impl Document {
    async fn of(server: &Server) -> Self {
        Self(server.call("GET", "/openapi.json", None, None).await.ok())
    }

    fn operations(&self) -> Vec<Operation> {
        let paths = self.0["paths"].as_object().unwrap();
        let operations = paths.iter().flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods.map(move |(method, operation)| {
                let body = &operation["requestBody"];
                Operation {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    parameters: operation["parameters"]
                        .as_array()
                        .cloned()
                        .unwrap_or_default(),
                    body: body["content"]["application/json"].get("schema").cloned(),
                    body_required: body["required"] == true,
                }
            })
        });
        operations.collect()
    }

    /// The schema itself, where another one is only referred to.
    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.rsplit('/').next().unwrap();
            return self.resolve(&self.0["components"]["schemas"][name]);
        }
        let alternatives = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
        match alternatives.and_then(|all| all.iter().find(|one| one["type"] != "null")) {
            Some(one) => self.resolve(one),
            None => schema,
        }
    }

    /// A value that the schema allows, as small as can be.
    fn sample(&self, schema: &Value) -> Value {
        let schema = self.resolve(schema);
        if let Some(word) = schema["enum"].as_array().and_then(|words| words.first()) {
            return word.clone();
        }
        match kind(schema) {
            "string" => match schema["pattern"].as_str() {
                Some(pattern) => fitting(pattern),
                None => "x".into(),
            },
            "integer" => schema["minimum"].as_u64().unwrap_or(0).into(),
            "boolean" => false.into(),
            "array" => {
                let least = schema["minItems"].as_u64().unwrap_or(0);
                (0..least).map(|_| self.sample(&schema["items"])).collect()
            }
            "object" => {
                let required = schema["required"].as_array().cloned().unwrap_or_default();
                let members = required.iter().map(|name| {
                    let name = name.as_str().unwrap().to_owned();
                    let value = self.sample(&schema["properties"][&name]);
                    (name, value)
                });
                members.collect::<Map<String, Value>>().into()
            }
            other => panic!("{other:?} in {schema}"),
        }
    }

    /// Every schema that stands in this one, with the place where its value stands.
    fn places(&self, schema: &Value, place: &str) -> Vec<(String, Value)> {
        let schema = self.resolve(schema);
        let mut places = vec![(place.to_owned(), schema.clone())];
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            places.extend(self.places(member, &format!("{place}/{name}")));
        }
        if let Some(items) = schema.get("items") {
            places.extend(self.places(items, &format!("{place}/0")));
        }
        places
    }
}

/// A text that one of the document's patterns allows.
fn fitting(pattern: &str) -> Value {
    match pattern {
        "^[0-9a-f]{32}$" => "0".repeat(32).into(),
        "^(current|[0-9]+)$" => "1".into(),
        "^[0-9]+[smhd]$" => "1m".into(),
        "^(once|[0-9]+[smhd])$" => "once".into(),
        other => panic!("say here which text fits {other}"),
    }
}

fn kind(schema: &Value) -> &str {
    match &schema["type"] {
        Value::Array(kinds) => kinds
            .iter()
            .find(|kind| *kind != "null")
            .unwrap()
            .as_str()
            .unwrap(),
        kind => kind.as_str().unwrap_or(""),
    }
}

/// Values at the bounds of a schema, and the same just beyond them.
fn at_and_beyond(schema: &Value) -> Vec<(Value, Value)> {
    let mut pairs = Vec::new();
    let text = |length: u64| Value::from("x".repeat(usize::try_from(length).unwrap()));
    if let Some(words) = schema["enum"].as_array() {
        for word in words.iter().filter(|word| !word.is_null()) {
            pairs.push((word.clone(), json!("another word")));
        }
    }
    if let Some(most) = schema["maxLength"].as_u64() {
        pairs.push((text(most), text(most + 1)));
    }
    if let Some(least) = schema["minLength"].as_u64() {
        pairs.push((text(least), text(least - 1)));
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        let fits = fitting(pattern);
        let more = format!("{}z", fits.as_str().unwrap());
        pairs.push((fits, more.into()));
    }
    if let Some(least) = schema["minimum"].as_i64() {
        pairs.push((least.into(), (least - 1).into()));
    }
    if let Some(most) = schema["maximum"].as_u64() {
        pairs.push((most.into(), (most + 1).into()));
    }
    let list = |count: u64| (0..count).map(|_| json!("x")).collect::<Value>();
    if let Some(most) = schema["maxItems"].as_u64() {
        pairs.push((list(most), list(most + 1)));
    }
    if let Some(least) = schema["minItems"].as_u64() {
        pairs.push((list(least), list(least - 1)));
    }
    pairs
}

fn shown(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

async fn call(server: &Server, operation: &Operation, path: &str, body: Option<&Value>) -> Answer {
    let token = match operation.path.starts_with("/node/") {
        true => &server.node,
        false => &server.admin,
    };
    let body = body.map(Value::to_string);
    server
        .call(&operation.method, path, Some(token), body)
        .await
}

/// Whether it was said that the call itself is not understood.
fn is_not_understood(answer: &Answer) -> bool {
    answer.status == 400
}

fn concrete(path: &str) -> String {
    path.replace("{version}", "1").replace("{id}", "x")
}

/// Streams do not end by themselves.
fn streams(operation: &Operation) -> bool {
    operation.method == "GET"
        && (operation.path.ends_with("/tail") || operation.path.ends_with("/watch"))
}

#[tokio::test]
async fn a_parameter_is_taken_at_each_bound_that_the_document_names_and_refused_beyond() {
    let (server, _temp) = kit::start().await;
    let document = Document::of(&server).await;
    let mut tried = 0;
    for operation in document.operations() {
        for parameter in &operation.parameters {
            let name = parameter["name"].as_str().unwrap();
            for (at, beyond) in at_and_beyond(&parameter["schema"]) {
                let path = |value: &Value| {
                    let value = shown(value).replace(' ', "%20");
                    match parameter["in"].as_str().unwrap() {
                        "path" => Some(operation.path.replace(&format!("{{{name}}}"), &value)),
                        "query" => Some(format!("{}?{name}={value}", concrete(&operation.path))),
                        // `Last-Event-ID`, which a stream of its own tests.
                        _ => None,
                    }
                };
                let (Some(at), Some(beyond)) = (path(&at), path(&beyond)) else {
                    continue;
                };
                let refused = call(&server, &operation, &beyond, None).await;
                assert!(
                    matches!(refused.status, 400 | 404),
                    "{beyond}: {}",
                    refused.text
                );
                tried += 1;
                if !streams(&operation) {
                    let taken = call(&server, &operation, &at, None).await;
                    assert!(!is_not_understood(&taken), "{at}: {}", taken.text);
                }
            }
        }
    }
    assert!(tried > 30, "{tried}");
}

#[tokio::test]
async fn a_body_is_taken_at_each_bound_that_the_document_names_and_refused_beyond() {
    let (server, _temp) = kit::start().await;
    let document = Document::of(&server).await;
    let mut tried = 0;
    for operation in document.operations() {
        let Some(schema) = &operation.body else {
            continue;
        };
        let path = concrete(&operation.path);
        let with = |place: &str, value: Value| {
            let mut body = document.sample(schema);
            let mut at = &mut body;
            let mut schema = document.resolve(schema);
            for step in place.split('/').skip(1) {
                if at.is_array() {
                    schema = document.resolve(&schema["items"]);
                    *at = json!([document.sample(schema)]);
                    at = &mut at[0];
                } else {
                    schema = document.resolve(&schema["properties"][step]);
                    if at.get(step).is_none() {
                        at[step] = document.sample(schema);
                    }
                    at = &mut at[step];
                }
            }
            *at = value;
            body
        };
        for (place, schema) in document.places(schema, "") {
            if operation.path == "/node/v1/events" && place.starts_with("/events/") {
                // Of a newer filter's events nothing has to be known: they are stored as they come.
                continue;
            }
            for (at, beyond) in at_and_beyond(&schema) {
                let (at, beyond) = (with(&place, at), with(&place, beyond));
                let refused = call(&server, &operation, &path, Some(&beyond)).await;
                let taken = call(&server, &operation, &path, Some(&at)).await;
                let what = format!("{} {path} {place}", operation.method);
                assert!(
                    matches!(refused.status, 400 | 422),
                    "{what}: {}",
                    refused.text
                );
                assert_ne!(refused.text, taken.text, "{what}");
                let other_reason =
                    place != "/record" && taken.text.contains("not a record of this node");
                assert!(
                    !is_not_understood(&taken) || other_reason,
                    "{what}: {}",
                    taken.text
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 20, "{tried}");
}

#[tokio::test]
async fn a_body_and_a_member_that_have_to_be_there_are_asked_for_and_the_others_are_not() {
    let (server, _temp) = kit::start().await;
    let document = Document::of(&server).await;
    let mut bodies = 0;
    for operation in document.operations() {
        let Some(schema) = &operation.body else {
            continue;
        };
        bodies += 1;
        let path = concrete(&operation.path);
        let without = call(&server, &operation, &path, None).await;
        let what = format!("{path}: {}", without.text);
        assert_eq!(
            is_not_understood(&without),
            operation.body_required,
            "{what}"
        );
        let whole = document.sample(schema);
        let required = document.resolve(schema)["required"].as_array().cloned();
        for name in required.unwrap_or_default() {
            let mut less = whole.clone();
            less.as_object_mut().unwrap().remove(name.as_str().unwrap());
            let refused = call(&server, &operation, &path, Some(&less)).await;
            refused.problem(400, "invalid_body");
        }
    }
    assert!(bodies >= 10, "{bodies}");
}

#[tokio::test]
async fn a_closed_set_of_words_is_an_enum_and_every_bound_in_words_is_one_in_the_schema() {
    let (server, _temp) = kit::start().await;
    let document = Document::of(&server).await;
    let mut strings = Vec::new();
    for (name, schema) in document.0["components"]["schemas"].as_object().unwrap() {
        gather(schema, name, &mut strings);
    }
    for operation in document.operations() {
        for parameter in &operation.parameters {
            let mut schema = parameter["schema"].clone();
            schema["description"] = parameter["description"].clone();
            let place = format!("{}?{}", operation.path, parameter["name"]);
            strings.push((place, schema));
        }
    }
    assert!(strings.len() > 100, "{}", strings.len());
    for (place, schema) in strings {
        let words = schema.get("enum").or(schema.get("anyOf"));
        let description = schema["description"].as_str().unwrap_or_default();
        assert!(
            words.is_some() || schema.get("pattern").is_some() || !lists_words(description),
            "{place} has a closed set of words and no enum: {description}"
        );
        // Numbers in words would go on saying what is no longer true.
        let bounded = ["minimum", "maximum", "maxLength", "maxItems"];
        let says = description.contains("characters") || description.contains("at most");
        assert!(
            !says || bounded.iter().any(|name| schema.get(name).is_some()),
            "{place} has a bound in words alone: {description}"
        );
    }
}

fn gather(schema: &Value, place: &str, strings: &mut Vec<(String, Value)>) {
    if matches!(kind(schema), "string" | "integer") || schema.get("anyOf").is_some() {
        strings.push((place.to_owned(), schema.clone()));
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        gather(member, &format!("{place}.{name}"), strings);
    }
    for all in ["allOf", "oneOf"] {
        for one in schema[all].as_array().into_iter().flatten() {
            gather(one, place, strings);
        }
    }
    if let Some(items) = schema.get("items") {
        gather(items, &format!("{place}[]"), strings);
    }
}

/// Whether a description is a list of words: `one`, `two` or `three`.
fn lists_words(description: &str) -> bool {
    let parts: Vec<&str> = description.split('`').collect();
    let is_word =
        |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let joined = parts.windows(3).filter(|window| {
        is_word(&window[0])
            && is_word(&window[2])
            && matches!(window[1].trim(), "," | "or" | ", or")
    });
    joined.count() > 0
}
