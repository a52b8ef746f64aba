//! A document as a tree that remembers where each value stood.
//!
//! YAML and JSON both become this tree, so that both are read by the same code with the same
//! refusals: a key twice, a key nobody knows, a value left empty.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, Visitor,
};

use super::error::{
    Faults, Place, PolicyError, Position, Step, choices, near_miss, shorten, suggest,
};

/// A value and where it stood. Two are equal that say the same, wherever they stand.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) position: Option<Position>,
}

/// What YAML and JSON have in common.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the document. A key may stand there twice: see [`Node::repeated_keys`].
    Map(Vec<(Key, Node)>),
}

/// A key and where it stood.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) position: Option<Position>,
}

// === impl Node ===

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Node {
    /// Where `place` stands in the text; where its closest ancestor does, if it was left out.
    pub(super) fn locate(&self, place: &Place) -> Option<Position> {
        let mut node = self;
        let mut position = None;
        for step in &place.0 {
            let next = match (step, &node.value) {
                (Step::Key(name), Value::Map(entries)) => {
                    entries
                        .iter()
                        .find(|(key, _)| key.name == *name)
                        .map(|(key, value)| {
                            // The key, not the value, of what spans several lines: that is where one looks.
                            let many = matches!(value.value, Value::Map(_) | Value::List(_));
                            (value, if many { key.position } else { value.position })
                        })
                }
                (Step::Index(index), Value::List(items)) => {
                    items.get(*index).map(|item| (item, item.position))
                }
                _ => None,
            };
            let Some((child, at)) = next else { break };
            node = child;
            position = at;
        }
        position
    }

    /// Reports every key that stands twice in one map. Parsers disagree about which of the two counts;
    /// what a reviewer reads must be what runs.
    pub(super) fn repeated_keys(&self, faults: &mut Faults) {
        self.repeated_keys_below(&mut Place::default(), faults);
    }

    fn repeated_keys_below(&self, place: &mut Place, faults: &mut Faults) {
        match &self.value {
            Value::Map(entries) => {
                let mut seen = BTreeSet::new();
                for (key, node) in entries {
                    place.0.push(Step::Key(key.name.clone()));
                    if !seen.insert(key.name.as_str()) {
                        faults.push(PolicyError {
                            path: place.clone(),
                            position: key.position,
                            message: twice(&key.name),
                        });
                    }
                    node.repeated_keys_below(place, faults);
                    place.0.pop();
                }
            }
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    place.0.push(Step::Index(index));
                    item.repeated_keys_below(place, faults);
                    place.0.pop();
                }
            }
            _ => {}
        }
    }

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

// === reading into types ===

/// A fault found while reading a tree; its steps are gathered on the way out, innermost first.
#[derive(Debug, Default)]
pub(super) struct ReadError {
    steps: Vec<Step>,
    position: Option<Position>,
    message: String,
}

impl ReadError {
    fn at(mut self, step: Step, position: Option<Position>) -> Self {
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

/// The words of Rust's types in the words of documents.
fn wanted(expected: &dyn Expected) -> String {
    let words = expected.to_string();
    match words.as_str() {
        "a string" | "a borrowed string" | "string or map" => "text".into(),
        "a sequence" => "a list".into(),
        "a boolean" => "`true` or `false`".into(),
        "u32" | "u64" | "usize" => "a whole number".into(),
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
        let hint = if wanted == "text" && scalar {
            ": put it in quotes"
        } else {
            ""
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
        Self::custom(unknown_key(field, expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format_args!("the key `{field}` is missing"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::custom(twice(field))
    }
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
        _ => format!("unknown key `{}`{}", shorten(key), suggest(key, expected)),
    }
}

fn twice(key: &str) -> String {
    format!("the key `{}` appears twice", shorten(key))
}

impl<'de> Deserializer<'de> for &'de Node {
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
    items: std::slice::Iter<'de, Node>,
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
            .map_err(|e| e.at(Step::Index(index), node.position))
    }
}

struct Entries<'de> {
    entries: std::slice::Iter<'de, (Key, Node)>,
    value: Option<(&'de Key, &'de Node)>,
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
            .map_err(|e| e.at(Step::Key(key.name.clone()), key.position))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ReadError> {
        // serde's contract: called once after each key.
        let (key, node) = self.value.take().ok_or_else(ReadError::default)?;
        let position = match node.value {
            Value::Map(_) | Value::List(_) | Value::Null => key.position,
            _ => node.position,
        };
        seed.deserialize(node)
            .map_err(|e| e.at(Step::Key(key.name.clone()), position))
    }
}

// === reading text into the tree ===

/// How a format reads a node: with its position or without.
trait Format: Sized {
    fn node<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error>;
    fn key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error>;
}

struct Tree<F>(Node, PhantomData<F>);
struct TreeKey<F>(Key, PhantomData<F>);

impl<'de, F: Format> Deserialize<'de> for Tree<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        F::node(deserializer).map(|node| Self(node, PhantomData))
    }
}

impl<'de, F: Format> Deserialize<'de> for TreeKey<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        F::key(deserializer).map(|key| Self(key, PhantomData))
    }
}

struct ValueOf<F>(Value, PhantomData<F>);

impl<'de, F: Format> Deserialize<'de> for ValueOf<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = ValueVisitor::<F>(PhantomData);
        deserializer
            .deserialize_any(visitor)
            .map(|value| Self(value, PhantomData))
    }
}

struct ValueVisitor<F>(PhantomData<F>);

impl<'de, F: Format> Visitor<'de> for ValueVisitor<F> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        // One spelling for one number, whichever the format chose.
        Ok(u64::try_from(value).map_or(Value::Signed(value), Value::Unsigned))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Tree(node, _)) = access.next_element::<Tree<F>>()? {
            items.push(node);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(TreeKey(key, _)) = access.next_key::<TreeKey<F>>()? {
            let Tree(node, _) = access.next_value::<Tree<F>>()?;
            entries.push((key, node));
        }
        Ok(Value::Map(entries))
    }
}

struct Json;

impl Format for Json {
    fn node<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        let ValueOf(value, _) = ValueOf::<Self>::deserialize(deserializer)?;
        Ok(Node {
            value,
            position: None,
        })
    }

    fn key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        String::deserialize(deserializer).map(|name| Key {
            name,
            position: None,
        })
    }
}

/// Reads JSON. Nesting is bounded by `serde_json` (128 levels).
pub(super) fn from_json(bytes: &[u8]) -> Result<Node, serde_json::Error> {
    serde_json::from_slice::<Tree<Json>>(bytes).map(|tree| tree.0)
}

#[cfg(feature = "authoring")]
pub(super) mod yaml {
    use serde::de::{Deserialize, Deserializer};
    use serde_saphyr::budget::BudgetBreach;
    use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
    use serde_saphyr::{Location, Spanned};

    use super::{Format, Key, Node, Tree, ValueOf};
    use crate::policy::error::{Place, PolicyErrors, Position};

    struct Yaml;

    fn position(location: Location) -> Option<Position> {
        let (line, column) = (location.line(), location.column());
        (line > 0).then_some(Position { line, column })
    }

    impl Format for Yaml {
        fn node<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
            let spanned = Spanned::<ValueOf<Self>>::deserialize(deserializer)?;
            Ok(Node {
                position: position(spanned.referenced),
                value: spanned.value.0,
            })
        }

        fn key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
            let spanned = Spanned::<String>::deserialize(deserializer)?;
            Ok(Key {
                position: position(spanned.referenced),
                name: spanned.value,
            })
        }
    }

    /// Reads one YAML document.
    pub(in crate::policy) fn read(text: &str) -> Result<Node, PolicyErrors> {
        let options = serde_saphyr::options! {
            // Aliases multiply: ten lines can stand for gigabytes ("billion laughs").
            alias_limits: serde_saphyr::alias_limits! {
                max_total_replayed_events: 100_000,
                max_replay_stack_depth: 16,
            },
            budget: serde_saphyr::budget! {
                max_depth: 64,
                max_nodes: 250_000,
                max_events: 1_000_000,
                max_anchors: 1_000,
                max_documents: 1,
            },
            // Found by us, in the tree, where their paths are known.
            duplicate_keys: DuplicateKeyPolicy::PassThrough,
            // `<<` overrides from afar; a reviewer should see the whole rule in one place.
            merge_keys: MergeKeyPolicy::Error,
            // YAML 1.2: `on`, `off`, `yes` and `no` are text.
            strict_booleans: true,
            reject_unsupported_tags: true,
            with_snippet: false,
        };
        serde_saphyr::from_str_with_options::<Tree<Yaml>>(text, options)
            .map(|tree| tree.0)
            .map_err(|error| {
                let error = error.without_snippet();
                let position = error.location().and_then(position);
                PolicyErrors::one(Place::default(), position, describe(error))
            })
    }

    fn describe(error: &serde_saphyr::Error) -> String {
        use serde_saphyr::Error;
        match error {
            Error::MergeKeyNotAllowed { .. } => {
                "merge keys (`<<`) are not supported: write out what they stand for".into()
            }
            Error::MultipleDocuments { .. }
            | Error::Budget {
                breach: BudgetBreach::Documents { .. },
                ..
            } => "expected one document, found a second one after `---`".into(),
            other => {
                // The parser repeats the position at the end of its sentence.
                let words = other.to_string();
                let sentence = words.split(" at line ").next().unwrap_or_default();
                if sentence.starts_with("alias replay") {
                    return "aliases (`*name`) stand for more than a policy may hold".into();
                }
                format!("not valid YAML: {sentence}")
            }
        }
    }
}
