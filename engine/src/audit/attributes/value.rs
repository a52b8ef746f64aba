//! Values of attributes, in the few shapes that every store has.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{AttributeShape, RecordState};
use crate::base::time::UnixMillis;
use crate::policy::Effect;

/// The value of one attribute, as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue<'a> {
    /// For [`AttributeShape::Text`].
    Text(Cow<'a, str>),
    /// For [`AttributeShape::Number`].
    Number(u64),
    /// For [`AttributeShape::List`] and [`AttributeShape::Object`].
    Json(String),
}

impl AttributeValue<'_> {
    /// The same, held by nobody else.
    pub fn into_owned(self) -> AttributeValue<'static> {
        match self {
            Self::Text(text) => AttributeValue::Text(Cow::Owned(text.into_owned())),
            Self::Number(number) => AttributeValue::Number(number),
            Self::Json(json) => AttributeValue::Json(json),
        }
    }
}

/// A stored value does not have its attribute's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable {
    /// The attribute.
    pub attribute: &'static str,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the attribute {} has a value of another shape",
            self.attribute
        )
    }
}

impl std::error::Error for Unreadable {}

/// A type that an attribute may have. Its default says nothing: an event that says nothing of an
/// attribute leaves it as it is.
pub trait AttributeType: Sized + Default + PartialEq {
    /// The shape of its values.
    const SHAPE: AttributeShape;

    /// The value; `None` for the default.
    fn value(&self) -> Option<AttributeValue<'_>>;

    /// The way back of [`AttributeType::value`]; `None` when the value has another shape.
    fn from_value(value: AttributeValue<'static>) -> Option<Self>;

    /// Puts this in place of `before`, unless it says nothing.
    fn over(self, before: &mut Self) {
        if self != Self::default() {
            *before = self;
        }
    }
}

impl AttributeType for String {
    const SHAPE: AttributeShape = AttributeShape::Text;

    fn value(&self) -> Option<AttributeValue<'_>> {
        (!self.is_empty()).then_some(AttributeValue::Text(Cow::Borrowed(self)))
    }

    fn from_value(value: AttributeValue<'static>) -> Option<Self> {
        match value {
            AttributeValue::Text(text) => Some(text.into_owned()),
            _ => None,
        }
    }
}

impl AttributeType for Option<String> {
    const SHAPE: AttributeShape = AttributeShape::Text;

    fn value(&self) -> Option<AttributeValue<'_>> {
        self.as_deref()
            .map(|text| AttributeValue::Text(text.into()))
    }

    fn from_value(value: AttributeValue<'static>) -> Option<Self> {
        String::from_value(value).map(Some)
    }
}

macro_rules! numbers {
    ($($type:ty: |$to:ident| $number:expr, |$from:ident| $back:expr;)+) => {$(
        impl AttributeType for Option<$type> {
            const SHAPE: AttributeShape = AttributeShape::Number;

            fn value(&self) -> Option<AttributeValue<'_>> {
                self.map(|$to| AttributeValue::Number($number))
            }

            fn from_value(value: AttributeValue<'static>) -> Option<Self> {
                match value {
                    AttributeValue::Number($from) => $back.map(Some),
                    _ => None,
                }
            }
        }
    )+};
}

numbers! {
    u64: |number| number, |number| Some(number);
    u16: |number| u64::from(number), |number| u16::try_from(number).ok();
    UnixMillis: |at| at.0, |number| Some(UnixMillis(number));
}

/// Enums that serde knows by their names.
macro_rules! names {
    ($($type:ty),+) => {$(
        impl AttributeType for Option<$type> {
            const SHAPE: AttributeShape = AttributeShape::Text;

            fn value(&self) -> Option<AttributeValue<'_>> {
                self.map(|named| AttributeValue::Text(Cow::Borrowed(named.as_str())))
            }

            fn from_value(value: AttributeValue<'static>) -> Option<Self> {
                let name = String::from_value(value)?;
                serde_json::from_value(serde_json::Value::String(name)).ok().map(Some)
            }
        }
    )+};
}

names!(Effect, RecordState);

/// Collections, as JSON.
macro_rules! collections {
    ($($type:ty: $shape:ident),+) => {$(
        impl AttributeType for $type {
            const SHAPE: AttributeShape = AttributeShape::$shape;

            fn value(&self) -> Option<AttributeValue<'_>> {
                // Neither can fail: the keys are strings, and the values strings and numbers.
                let json = (!self.is_empty()).then(|| serde_json::to_string(self).ok());
                json.flatten().map(AttributeValue::Json)
            }

            fn from_value(value: AttributeValue<'static>) -> Option<Self> {
                match value {
                    AttributeValue::Json(json) => serde_json::from_str(&json).ok(),
                    _ => None,
                }
            }
        }
    )+};
}

collections! {
    Vec<String>: List,
    BTreeMap<String, String>: Object,
    BTreeMap<String, u64>: Object
}
