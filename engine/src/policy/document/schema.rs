//! The JSON Schema of the document, for editors and for checks outside of Chaperone.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::policy::Policy;

/// The JSON Schema (2020-12) of a policy document.
///
/// It describes the shape. A schema cannot say that names are unique, that references lead
/// somewhere or that hosts do not overlap; that is checked by
/// [`validate`](crate::policy::validate()) alone.
pub fn schema() -> Value {
    let schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Policy>();
    let mut schema = schema.to_value();
    without_null(&mut schema);
    if let Value::Object(root) = &mut schema {
        root.insert("title".into(), "Chaperone policy".into());
    }
    schema
}

/// A document leaves optional keys out; `null` is refused. The generator describes every `Option`
/// as "or null", so that is taken out here.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(keys) => {
            keys.values_mut().for_each(without_null);
            if let Some(Value::Array(types)) = keys.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    keys.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(choices)) = keys.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    keys.remove("anyOf");
                    keys.extend(only);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}
