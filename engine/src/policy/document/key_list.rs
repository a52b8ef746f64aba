//! The keys of a masking rule, as they stand in the document.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::masking::KeyNames;

const EXPECTED: &str = "a list of keys, as in `[password, client_secret]`, or `default`";

/// KeyListVisitor whose values are secrets: `default`, or a list of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyList {
    /// The names of [`KeyNames::common`].
    Default,
    /// These names. Compared without case and without `-`, `_`, `.` and spaces.
    Names(Vec<String>),
}

impl KeyList {
    /// The names as they are compared.
    pub fn names(&self) -> KeyNames {
        match self {
            Self::Default => KeyNames::common(),
            Self::Names(names) => KeyNames::of(names),
        }
    }
}

impl Serialize for KeyList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Default => serializer.serialize_str("default"),
            Self::Names(names) => names.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for KeyList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeyListVisitor)
    }
}

struct KeyListVisitor;

impl<'de> Visitor<'de> for KeyListVisitor {
    type Value = KeyList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<KeyList, E> {
        match text {
            "default" => Ok(KeyList::Default),
            _ => Err(E::custom(format_args!(
                "expected {EXPECTED}, found {:?}",
                crate::policy::wording::shorten(text)
            ))),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<KeyList, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = access.next_element()? {
            names.push(name);
        }
        match names.as_slice() {
            [] => Err(A::Error::custom(
                "expected at least one key: leave `keys` out for none",
            )),
            _ => Ok(KeyList::Names(names)),
        }
    }
}

#[cfg(feature = "authoring")]
impl schemars::JsonSchema for KeyList {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "KeyList".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "`default` for the usual names of secrets, or a list of names. Compared without case and without `-`, `_`, `.` and spaces.",
            "anyOf": [
                { "const": "default" },
                { "type": "array", "minItems": 1, "items": { "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9._ -]+$" } }
            ],
            "examples": ["default", ["password", "client_secret"]],
        })
    }
}
