//! What the events of a record say about it, attribute by attribute.
//!
//! [`record_attributes!`](crate::record_attributes) is the table. It stands in the engine because
//! an attribute begins as a member of an event, and because everybody who needs it may look down to
//! the engine: the wire types, the stores and the command line. Whoever needs members of a struct
//! expands the table with a macro of its own; whoever only walks over attributes, as a store does
//! with its columns, takes [`ATTRIBUTES`] and [`AttributeValue`]s.
//! `docs/extending/record-attribute.md` says how to add one.

mod table;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::{Event, EventKind};
use crate::base::time::UnixMillis;
use crate::policy::Effect;

pub use value::{AttributeType, AttributeValue, Unreadable};

/// How far a record has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordState {
    /// The stream goes on, or its last events have not arrived.
    Open,
    /// It ended as HTTP says it should.
    Completed,
    /// It ended early.
    Aborted,
    /// It stands for many refused requests, which have none of their own.
    Aggregated,
}

impl RecordState {
    /// All states.
    pub const ALL: &'static [Self] =
        &[Self::Open, Self::Completed, Self::Aborted, Self::Aggregated];

    /// As in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Completed => "completed",
            Self::Aborted => "aborted",
            Self::Aggregated => "aggregated",
        }
    }
}

/// What is known of one attribute without a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// Its name, as in the record's JSON. A store calls its column so.
    pub name: &'static str,
    /// The shape of its values.
    pub shape: AttributeShape,
    /// Whether a search for text looks at it.
    pub text: bool,
}

/// The shape of an attribute's values. A store chooses the type of a column by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeShape {
    /// Text.
    Text,
    /// A whole number, an instant or a duration.
    Number,
    /// A list of texts, as JSON. A search asks whether the list holds a text.
    List,
    /// An object, as JSON. No search asks for it.
    Object,
}

macro_rules! define {
    ($(
        $name:ident {
            $(
                kept $type:ty $(as $schema:ty)?, $doc:tt $(, $text:ident)?;
                from $($step:pat => $said:expr),+;
            )?
            $(asked $asked:ident: $wanted:ty $(as $wanted_schema:ty)?, $question:tt;)?
            $(shown $label:literal $(in $unit:ident)?;)?
        }
    )*) => {
        /// The attributes of a record, as far as its events have said them. What no event has said
        /// has its type's default.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct RecordAttributes {
            $($(#[doc = $doc] pub $name: $type,)?)*
        }

        /// All attributes, in the order of the record's JSON.
        pub const ATTRIBUTES: &[Attribute] = &[
            $($(Attribute {
                name: stringify!($name),
                shape: <$type as AttributeType>::SHAPE,
                text: define!(@text $($text)?),
            },)?)*
        ];

        impl RecordAttributes {
            /// Adds what one event says. Later news wins, silence changes nothing.
            pub fn add(&mut self, event: &Event) {
                use EventKind::*;
                $($({
                    let said: $type = match (event.at, &event.kind) {
                        $($step => $said,)+
                        _ => Default::default(),
                    };
                    said.over(&mut self.$name);
                })?)*
            }

            /// Adds what `later` says. Later news wins, silence changes nothing.
            pub fn merge(&mut self, later: Self) {
                $($(<$type as AttributeType>::over(later.$name, &mut self.$name);)?)*
            }

            /// Their values, in the order of [`ATTRIBUTES`]; `None` where no event has said it.
            pub fn values(&self) -> [Option<AttributeValue<'_>>; ATTRIBUTES.len()] {
                [$($(<$type as AttributeType>::value(&self.$name),)?)*]
            }

            /// Makes them of values that `value` finds for each attribute, in the order of
            /// [`ATTRIBUTES`].
            ///
            /// # Errors
            /// What `value` returns, or [`Unreadable`] when a value has another shape.
            pub fn read<E: From<Unreadable>>(
                mut value: impl FnMut(&'static Attribute) -> Result<Option<AttributeValue<'static>>, E>,
            ) -> Result<Self, E> {
                let mut all = Self::default();
                let mut attributes = ATTRIBUTES.iter();
                $($(if let Some(attribute) = attributes.next()
                    && let Some(found) = value(attribute)?
                {
                    all.$name = <$type as AttributeType>::from_value(found)
                        .ok_or(Unreadable { attribute: attribute.name })?;
                })?)*
                Ok(all)
            }
        }
    };
    (@text text) => { true };
    (@text) => { false };
}

crate::record_attributes!(define);
