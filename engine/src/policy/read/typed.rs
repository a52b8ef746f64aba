//! From the tree into types, with errors that know their place.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};

use super::tree::{Key, TreeNode, Value, twice};
use crate::policy::error::{Place, PolicyError, Position};
use crate::policy::place::PathStep;
use crate::policy::wording::{choices, near_miss, shorten, suggest};

impl TreeNode {
    fn unexpected(&self) -> Unexpected<'_> {
        match &self.value {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Unsigned(value) => Unexpected::Unsigned(*value),
            Value::Signed(value) => Unexpected::Signed(*value),
            Value::Float(value) => Unexpected::Float(*value),
            Value::Text(value) => Unexpected::Str(value),
            Value::List(_) => Unexpected::Seq,
            Value::Map(_) => Unexpected::Map,
        }
    }
}

/// A fault found while reading a tree; its steps are gathered on the way out, innermost first.
#[derive(Debug, Default)]
pub(super) struct ReadError {
    steps: Vec<PathStep>,
    position: Option<Position>,
    message: String,
    #[cfg_attr(
        not(feature = "authoring"),
        expect(dead_code, reason = "a filter stops at the first fault of an item")
    )]
    kind: FaultKind,
}

/// What a [`ReadError`] is about, for whoever goes on reading behind it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum FaultKind {
    /// The value at the error's place.
    #[default]
    Value,
    /// The key at the error's place; the known one that was probably meant.
    UnknownKey(Option<&'static str>),
    /// A key that the map at the error's place does not have.
    MissingKey(&'static str),
}

impl ReadError {
    /// What it is about.
    #[cfg(feature = "authoring")]
    pub(super) fn kind(&self) -> &FaultKind {
        &self.kind
    }

    /// Its steps from the value that was read, outermost first.
    #[cfg(feature = "authoring")]
    pub(super) fn steps(&self) -> Vec<PathStep> {
        self.steps.iter().rev().cloned().collect()
    }

    fn at(mut self, step: PathStep, position: Option<Position>) -> Self {
        self.steps.push(step);
        self.position = self.position.or(position);
        self
    }

    /// The fault as it is reported, for a value that stands at `place`.
    pub(super) fn below(mut self, place: &Place, position: Option<Position>) -> PolicyError {
        self.steps.reverse();
        let mut path = place.clone();
        path.0.append(&mut self.steps);
        PolicyError {
            path,
            position: self.position.or(position),
            message: self.message,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

fn found(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Unit | Unexpected::Option => "nothing".into(),
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("the number {value}"),
        Unexpected::Signed(value) => format!("the number {value}"),
        Unexpected::Float(value) => format!("the number {value}"),
        Unexpected::Str(value) => format!("{:?}", shorten(value)),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map | Unexpected::StructVariant => "a map".into(),
        other => other.to_string(),
    }
}

const BOOLEAN: &str = "`true` or `false`";

/// The words of Rust's types in the words of documents.
fn wanted(expected: &dyn Expected) -> String {
    let words = expected.to_string();
    match words.as_str() {
        "a string" | "a borrowed string" | "string or map" => "text".into(),
        "a sequence" => "a list".into(),
        "a boolean" => BOOLEAN.into(),
        "u32" | "u64" | "usize" => "a whole number".into(),
        "u8" => "a whole number from 0 to 255".into(),
        "u16" => "a whole number from 0 to 65535".into(),
        "f32" | "f64" => "a number".into(),
        other if other.starts_with("struct ") => "a map".into(),
        other if other.starts_with("variant identifier") || other.starts_with("enum ") => {
            "text".into()
        }
        _ => words,
    }
}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            message: message.to_string(),
            ..Self::default()
        }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let wanted = wanted(expected);
        let scalar = matches!(
            unexpected,
            Unexpected::Bool(_)
                | Unexpected::Unsigned(_)
                | Unexpected::Signed(_)
                | Unexpected::Float(_)
        );
        let hint = match unexpected {
            _ if wanted == "text" && scalar => ": put it in quotes",
            Unexpected::Str("yes" | "on" | "Yes" | "On") if wanted == BOOLEAN => {
                ": this is text in YAML 1.2; write `true`"
            }
            Unexpected::Str("no" | "off" | "No" | "Off") if wanted == BOOLEAN => {
                ": this is text in YAML 1.2; write `false`"
            }
            _ => "",
        };
        Self::custom(format_args!(
            "expected {wanted}, found {}{hint}",
            found(unexpected)
        ))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!(
            "expected {}, found {}",
            wanted(expected),
            found(unexpected)
        ))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::custom(format_args!(
            "expected {}, found {length} entries",
            wanted(expected)
        ))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let listed = choices(expected.iter().copied());
        let hint = match near_miss(variant, expected.iter().copied()) {
            Some(name) => format!("; did you mean `{name}`?"),
            None => String::new(),
        };
        Self::custom(format_args!(
            "expected {listed}, found {:?}{hint}",
            shorten(variant)
        ))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self {
            kind: FaultKind::UnknownKey(meant(field, expected)),
            ..Self::custom(unknown_key(field, expected))
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self {
            kind: FaultKind::MissingKey(field),
            ..Self::custom(format_args!("the key `{field}` is missing"))
        }
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::custom(twice(field))
    }
}

/// The known key that an unknown one was probably meant to be.
fn meant<'a>(key: &str, expected: &[&'a str]) -> Option<&'a str> {
    if key == "true" {
        return expected.iter().copied().find(|known| *known == "on");
    }
    near_miss(key, expected.iter().copied())
}

/// Keys that a later version of the format will have get an answer of their own: whoever writes
/// `when` must not believe that it is in force.
pub(super) fn unknown_key(key: &str, expected: &[&str]) -> String {
    let (rule, document) = (
        expected.contains(&"effect") && expected.contains(&"match"),
        expected.contains(&"rules"),
    );
    match key {
        "when" if rule => "conditions (`when`) are not supported yet: \
                           say it with `match`, or leave the rule out"
            .into(),
        "mode" if rule || document => "modes (`mode: shadow`) are not supported yet: \
                                       every rule is enforced"
            .into(),
        // Programs that read YAML 1.1 (PyYAML, many charts) take the key `on` for the value `true`,
        // and write it so.
        "true" if expected.contains(&"on") => {
            "unknown key `true`; did you mean `on`? A program that reads YAML 1.1 \
                                               has made `true` of it: write it as `\"on\"` there"
                .into()
        }
        _ => format!("unknown key `{}`{}", shorten(key), suggest(key, expected)),
    }
}

impl<'de> Deserializer<'de> for &'de TreeNode {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Unsigned(value) => visitor.visit_u64(*value),
            Value::Signed(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(value) => visitor.visit_borrowed_str(value),
            Value::List(items) => visitor.visit_seq(Items {
                items: items.iter(),
                index: 0,
            }),
            Value::Map(entries) => visitor.visit_map(Entries {
                entries: entries.iter(),
                value: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.value {
            // `groups:` with the list forgotten must not mean "any group".
            Value::Null => Err(de::Error::custom(
                "expected a value, found nothing: leave the key out if it is not needed",
            )),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.value {
            // Derived visitors also take a list, field by field; a document must name its fields.
            Value::List(_) => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match &self.value {
            Value::Text(name) => visitor.visit_enum(name.as_str().into_deserializer()),
            _ => Err(de::Error::custom(format_args!(
                "expected {}, found {}",
                choices(names.iter().copied()),
                found(self.unexpected())
            ))),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'de> {
    items: std::slice::Iter<'de, TreeNode>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        let Some(node) = self.items.next() else {
            return Ok(None);
        };
        let index = self.index;
        self.index = index.saturating_add(1);
        seed.deserialize(node)
            .map(Some)
            .map_err(|e| e.at(PathStep::Index(index), node.position))
    }
}

struct Entries<'de> {
    entries: std::slice::Iter<'de, (Key, TreeNode)>,
    value: Option<(&'de Key, &'de TreeNode)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        let Some((key, node)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some((key, node));
        let name: de::value::BorrowedStrDeserializer<'de, ReadError> =
            de::value::BorrowedStrDeserializer::new(&key.name);
        seed.deserialize(name)
            .map(Some)
            .map_err(|e| e.at(PathStep::Key(key.name.clone()), key.position))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ReadError> {
        // serde's contract: called once after each key.
        let (key, node) = self.value.take().ok_or_else(ReadError::default)?;
        let position = match node.value {
            Value::Map(_) | Value::List(_) | Value::Null => key.position,
            _ => node.position,
        };
        seed.deserialize(node)
            .map_err(|e| e.at(PathStep::Key(key.name.clone()), position))
    }
}
