//! JSON where a second member of the same name is an error, at any depth.
//!
//! RFC 8259 §4 leaves open which of two equal members counts. Two parsers that choose differently
//! are an attack: one checks the first `sub`, the other acts on the second; a reviewer reads the
//! first `effect`, the gate enforces the second.
//!
//! There is one reader. It builds whatever implements [`Build`]: a [`serde_json::Value`], a tree of
//! its caller's own, or nothing ([`check`]).

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Why a document was refused. Names of members and the words of `why` are the document's: whoever
/// may not repeat them, because the document can be a secret, looks at the kind of the error alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JsonError {
    /// Not JSON, not UTF-8, or something after the end.
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The byte in it, from 1; 0 where the line is empty.
        column: usize,
        /// The words of the parser, without the position.
        why: String,
    },
    /// Objects and arrays nest deeper than the caller allows.
    TooDeep,
    /// Two members of one object have the same name.
    Duplicate {
        /// The way to the second of the two, from the outside in.
        path: Vec<JsonStep>,
    },
}

/// One step of a way into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JsonStep {
    /// Into the member of this name.
    Member(String),
    /// To the value at this place of an array, from 0.
    Index(usize),
}

/// A type that the reader can build from a document, from the inside out.
pub(crate) trait Build: Sized {
    /// An object whose end has not been seen yet.
    type Members: Default;

    fn null() -> Self;
    fn boolean(value: bool) -> Self;
    fn unsigned(value: u64) -> Self;
    fn signed(value: i64) -> Self;
    fn float(value: f64) -> Self;
    fn text(value: &str) -> Self;
    fn array(values: Vec<Self>) -> Self;
    /// Whether a member of that name is there already.
    fn has(members: &Self::Members, name: &str) -> bool;
    fn add(members: &mut Self::Members, name: String, value: Self);
    fn object(members: Self::Members) -> Self;
}

/// Reads one document whose arrays and objects nest at most `depth` levels deep. The bound holds
/// while reading, before anything is built; `serde_json` itself stops at 127 levels.
pub(crate) fn read<B: Build>(bytes: &[u8], depth: u8) -> Result<B, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let mut fault = None;
    let seed = Strict {
        depth,
        fault: &mut fault,
        builds: PhantomData,
    };
    let value = seed.deserialize(&mut reader);
    match fault {
        Some(Fault::Deep) => Err(JsonError::TooDeep),
        Some(Fault::Duplicate(mut path)) => {
            path.reverse();
            Err(JsonError::Duplicate { path })
        }
        None => value
            .and_then(|value| reader.end().map(|()| value))
            .map_err(|error| JsonError::malformed(&error)),
    }
}

/// Reads one JSON object, as [`read`] does. Another value is [`JsonError::Malformed`].
pub(crate) fn read_object(bytes: &[u8], depth: u8) -> Result<Map<String, Value>, JsonError> {
    match read(bytes, depth)? {
        Value::Object(members) => Ok(members),
        _ => Err(JsonError::Malformed {
            line: 1,
            column: 1,
            why: "expected an object".to_owned(),
        }),
    }
}

/// Whether a document can be read, for callers that read it into types of their own by `serde`: a
/// map of `serde`'s keeps the last of two equal members and says nothing.
pub(crate) fn check(bytes: &[u8], depth: u8) -> Result<(), JsonError> {
    read::<Nothing>(bytes, depth).map(|Nothing| ())
}

// === impl JsonError ===

impl JsonError {
    fn malformed(error: &serde_json::Error) -> Self {
        // The parser repeats the position at the end of its sentence.
        let words = error.to_string();
        let why = words.split(" at line ").next().unwrap_or_default();
        Self::Malformed {
            line: error.line(),
            column: error.column(),
            why: why.to_owned(),
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { line, column, why } => {
                write!(f, "{why} at line {line} column {column}")
            }
            Self::TooDeep => f.write_str("arrays and objects nest too deeply"),
            Self::Duplicate { path } => {
                f.write_str("two members have the same name, at `")?;
                for step in path {
                    match step {
                        JsonStep::Member(name) => write!(f, "/{name}")?,
                        JsonStep::Index(index) => write!(f, "/{index}")?,
                    }
                }
                f.write_str("`")
            }
        }
    }
}

impl std::error::Error for JsonError {}

// === the reader ===

/// Faults for which `serde_json`'s errors have no room.
enum Fault {
    Deep,
    /// The steps, from the inside out.
    Duplicate(Vec<JsonStep>),
}

struct Strict<'a, B> {
    depth: u8,
    fault: &'a mut Option<Fault>,
    builds: PhantomData<B>,
}

impl<B> Strict<'_, B> {
    fn deeper<E: serde::de::Error>(&mut self) -> Result<Strict<'_, B>, E> {
        let Some(depth) = self.depth.checked_sub(1) else {
            *self.fault = Some(Fault::Deep);
            return Err(E::custom("nested too deeply"));
        };
        Ok(Strict {
            depth,
            fault: self.fault,
            builds: PhantomData,
        })
    }

    /// The error on its way out of a value that `step` leads to.
    fn passing<E>(&mut self, error: E, step: impl FnOnce() -> JsonStep) -> E {
        if let Some(Fault::Duplicate(path)) = self.fault {
            path.push(step());
        }
        error
    }
}

impl<'de, B: Build> DeserializeSeed<'de> for Strict<'_, B> {
    type Value = B;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<B, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, B: Build> Visitor<'de> for Strict<'_, B> {
    type Value = B;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<B, E> {
        Ok(B::null())
    }

    fn visit_bool<E>(self, value: bool) -> Result<B, E> {
        Ok(B::boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<B, E> {
        Ok(B::signed(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<B, E> {
        Ok(B::unsigned(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<B, E> {
        Ok(B::float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<B, E> {
        Ok(B::text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<B, A::Error> {
        let mut values = Vec::new();
        loop {
            let next = seq.next_element_seed(self.deeper()?);
            match next.map_err(|e| self.passing(e, || JsonStep::Index(values.len())))? {
                Some(value) => values.push(value),
                None => return Ok(B::array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<B, A::Error> {
        let mut members = B::Members::default();
        while let Some(name) = map.next_key::<String>()? {
            if B::has(&members, &name) {
                *self.fault = Some(Fault::Duplicate(vec![JsonStep::Member(name)]));
                return Err(A::Error::custom("duplicate member"));
            }
            let value = map.next_value_seed(self.deeper()?);
            let value = value.map_err(|e| self.passing(e, || JsonStep::Member(name.clone())))?;
            B::add(&mut members, name, value);
        }
        Ok(B::object(members))
    }
}

// === types that can be built ===

impl Build for Value {
    type Members = Map<String, Self>;

    fn null() -> Self {
        Self::Null
    }

    fn boolean(value: bool) -> Self {
        Self::Bool(value)
    }

    fn unsigned(value: u64) -> Self {
        value.into()
    }

    fn signed(value: i64) -> Self {
        value.into()
    }

    fn float(value: f64) -> Self {
        value.into()
    }

    fn text(value: &str) -> Self {
        Self::String(value.to_owned())
    }

    fn array(values: Vec<Self>) -> Self {
        Self::Array(values)
    }

    fn has(members: &Self::Members, name: &str) -> bool {
        members.contains_key(name)
    }

    fn add(members: &mut Self::Members, name: String, value: Self) {
        members.insert(name, value);
    }

    fn object(members: Self::Members) -> Self {
        Self::Object(members)
    }
}

/// A document that is only looked at.
struct Nothing;

impl Build for Nothing {
    type Members = BTreeSet<String>;

    fn null() -> Self {
        Self
    }

    fn boolean(_: bool) -> Self {
        Self
    }

    fn unsigned(_: u64) -> Self {
        Self
    }

    fn signed(_: i64) -> Self {
        Self
    }

    fn float(_: f64) -> Self {
        Self
    }

    fn text(_: &str) -> Self {
        Self
    }

    fn array(_: Vec<Self>) -> Self {
        Self
    }

    fn has(members: &Self::Members, name: &str) -> bool {
        members.contains(name)
    }

    fn add(members: &mut Self::Members, name: String, Self: Self) {
        members.insert(name);
    }

    fn object(_: Self::Members) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn refused(text: &str) -> JsonError {
        let error = read::<Value>(text.as_bytes(), 16).unwrap_err();
        assert_eq!(check(text.as_bytes(), 16), Err(error.clone()), "{text}");
        error
    }

    #[test]
    fn the_second_of_two_equal_members_is_named_with_the_way_to_it() {
        for (text, path) in [
            (r#"{"a":1,"a":1}"#, "/a"),
            (r#"{"a":1,"\u0061":2}"#, "/a"),
            (r#"{"a":[{},{"b":{"c":1,"d":2,"c":3}}]}"#, "/a/1/b/c"),
            (r#"[[0,{"x":1,"x":2}]]"#, "/0/1/x"),
            // Whatever is wrong after it.
            (r#"{"a":1,"a":"#, "/a"),
        ] {
            let error = refused(text).to_string();
            let expected = format!("two members have the same name, at `{path}`");
            assert_eq!(error, expected, "{text}");
        }
        for text in [
            r#"{"a":{"a":1}}"#,
            r#"[{"a":1},{"a":1}]"#,
            r#"{"a":1,"A":1}"#,
        ] {
            assert_eq!(check(text.as_bytes(), 16), Ok(()), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded_by_the_caller() {
        for depth in [1_u8, 2, 16, 64] {
            let levels = usize::from(depth);
            let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            assert_eq!(check(deep.as_bytes(), depth), Ok(()), "{depth}");
            let deeper = format!(r#"{{"a":{deep}}}"#);
            let refused = check(deeper.as_bytes(), depth);
            assert_eq!(refused, Err(JsonError::TooDeep), "{depth}");
        }
    }

    #[test]
    fn only_one_whole_document_is_read() {
        for text in ["", "{", "{} {}", "nul", "\"\u{1}\"", "01", "{\"a\" 1}"] {
            assert!(
                matches!(refused(text), JsonError::Malformed { line: 1, .. }),
                "{text}"
            );
        }
        assert!(matches!(
            read::<Value>(b"\"\xff\"", 16),
            Err(JsonError::Malformed { .. })
        ));
    }

    #[test]
    fn an_object_is_wanted_where_it_is_said() {
        assert!(read_object(br#"{"a":1}"#, 16).is_ok());
        for text in ["[]", "1", "null", "\"{}\""] {
            assert!(read_object(text.as_bytes(), 16).is_err(), "{text}");
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    mod properties {
        use super::*;
        use proptest::prelude::*;

        fn document() -> impl Strategy<Value = Value> {
            let leaf = prop_oneof![
                Just(Value::Null),
                any::<bool>().prop_map(Value::from),
                any::<i64>().prop_map(Value::from),
                any::<u64>().prop_map(Value::from),
                (-1e9..1e9).prop_map(Value::from),
                any::<String>().prop_map(Value::from),
            ];
            leaf.prop_recursive(4, 40, 5, |inner| {
                prop_oneof![
                    proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                    proptest::collection::btree_map("[a-c]{0,2}", inner, 0..5)
                        .prop_map(|members| Value::Object(members.into_iter().collect())),
                ]
            })
        }

        proptest! {
            #[test]
            fn a_document_without_repetition_is_read_as_serde_reads_it(document in document()) {
                let bytes = serde_json::to_vec(&document).unwrap();
                let expected: Value = serde_json::from_slice(&bytes).unwrap();
                prop_assert_eq!(read::<Value>(&bytes, 16), Ok(expected));
                prop_assert_eq!(check(&bytes, 16), Ok(()));
            }

            #[test]
            fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, depth: u8) {
                let read = read::<Value>(&bytes, depth);
                prop_assert_eq!(check(&bytes, depth), read.map(drop));
            }
        }
    }
}
