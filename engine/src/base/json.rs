//! JSON where a second member of the same name is an error, at any depth.
//!
//! RFC 7519 §4 lets a parser take the last of two equal members. Two parsers that choose differently
//! are an attack: one checks the first `sub`, the other acts on the second.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// How deep objects and arrays may nest. Real tokens need three levels; a filter has 1 MiB of stack.
pub(crate) const MAX_DEPTH: u8 = 16;

/// Why a document was refused. Carries nothing of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonError {
    /// Not JSON, not UTF-8, something after the end, or nested too deeply.
    Malformed,
    /// Two members of one object have the same name.
    Duplicate,
}

/// Reads one JSON object. Nesting is bounded while reading, before anything is built.
pub(crate) fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let mut duplicate = false;
    let seed = Strict {
        depth: MAX_DEPTH,
        duplicate: &mut duplicate,
    };
    let value = seed.deserialize(&mut reader);
    if duplicate {
        return Err(JsonError::Duplicate);
    }
    match (value, reader.end()) {
        (Ok(Value::Object(members)), Ok(())) => Ok(members),
        _ => Err(JsonError::Malformed),
    }
}

struct Strict<'a> {
    depth: u8,
    duplicate: &'a mut bool,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(&mut self) -> Result<Strict<'_>, E> {
        let depth = self
            .depth
            .checked_sub(1)
            .ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Strict {
            depth,
            duplicate: self.duplicate,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(self.deeper()?)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.contains_key(&name) {
                *self.duplicate = true;
                return Err(A::Error::custom("duplicate member"));
            }
            let value = map.next_value_seed(self.deeper()?)?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}
