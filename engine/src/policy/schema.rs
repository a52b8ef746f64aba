//! The JSON Schema of the document, for editors and for checks outside of Chaperone.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::document::Policy;

/// The JSON Schema (2020-12) of a policy document.
///
/// It describes the shape. What a schema cannot say (unique names, references, overlapping hosts) is
/// checked by [`validate`](super::validate) alone.
pub fn schema() -> Value {
    let schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Policy>();
    let mut schema = schema.to_value();
    if let Value::Object(root) = &mut schema {
        root.insert("title".into(), "Chaperone policy".into());
    }
    schema
}
