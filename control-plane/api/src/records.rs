//! The trail: records and their events.
//!
//! A record's attributes are not named here: its members, with their documentation, and the
//! parameters of a search are made of the engine's table
//! ([`chaperone_engine::record_attributes`]).

use std::collections::BTreeMap;

use chaperone_engine::audit::{
    ATTRIBUTES, Attribute, AttributeType as _, AttributeValue, ReadEvent, RecordAttributes,
};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::policy::Effect;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use crate::schema;

/// How far a record has come.
pub type RecordState = chaperone_engine::audit::RecordState;

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
        /// One request with its response, summed up from its events.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
        pub struct Record {
            /// The record's id, as the agent was told.
            pub id: String,
            /// Name of the node.
            pub node: String,
            /// The life of the node's VM.
            pub boot: String,
            /// How far it has come.
            #[schema(value_type = String)]
            pub state: RecordState,
            /// When the request arrived, by the node's clock.
            #[schema(value_type = u64)]
            pub received_at: UnixMillis,
            /// Where its last change stands in the order of storing: what `after` takes. No two
            /// records have the same, and each change gives a higher one.
            #[serde(default)]
            pub position: u64,
            $($(
                #[doc = $doc]
                #[serde(default, skip_serializing_if = "says_nothing")]
                $(#[schema(value_type = $schema)])?
                pub $name: $type,
            )?)*
        }

        impl Record {
            /// A record of its parts.
            pub fn new(
                id: String,
                node: String,
                boot: String,
                state: RecordState,
                received_at: UnixMillis,
                position: u64,
                attributes: RecordAttributes,
            ) -> Self {
                Self {
                    id,
                    node,
                    boot,
                    state,
                    received_at,
                    position,
                    $($($name: <$type>::from(attributes.$name),)?)*
                }
            }
        }

        /// Which records. All that is given must hold; values are compared exactly unless said
        /// otherwise.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
        #[into_params(parameter_in = Query)]
        #[serde(deny_unknown_fields)]
        pub struct RecordFilter {
            $($(
                #[doc = $question]
                #[serde(default, skip_serializing_if = "Option::is_none")]
                $(#[param(value_type = $wanted_schema)])?
                pub $asked: Option<$wanted>,
            )?)*
            /// Received at this instant or later: milliseconds since the Unix epoch.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub since: Option<u64>,
            /// Received before this instant: milliseconds since the Unix epoch.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub until: Option<u64>,
            /// Changed after this position, in the order of these changes: 0 for all, and then the
            /// `position` of the last record that was read.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub after: Option<u64>,
            /// Text that operation, host, path or reason contain, ignoring ASCII case.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub q: Option<String>,
        }

        impl RecordFilter {
            /// What it asks of attributes: each with the value that it must have or, if it is a
            /// list, hold.
            pub fn attributes(&self) -> Vec<(&'static Attribute, AttributeValue<'static>)> {
                let asked = [$($((stringify!($name), self.$asked.value()),)?)*];
                asked
                    .into_iter()
                    .filter_map(|(name, value)| {
                        let attribute = ATTRIBUTES.iter().find(|known| known.name == name)?;
                        Some((attribute, value?.into_owned()))
                    })
                    .collect()
            }
        }
    };
}

chaperone_engine::record_attributes!(define);

/// Whether a member is left out.
fn says_nothing<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// One record with all its events in the order of their numbers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RecordDetail {
    /// The record.
    #[serde(flatten)]
    pub record: Record,
    /// Its events.
    pub events: Vec<StoredEvent>,
}

/// One event and when it arrived.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StoredEvent {
    /// When the control plane had it durable, by its own clock.
    #[schema(value_type = u64)]
    pub stored_at: UnixMillis,
    /// The event as the node sent it, to the last byte: also members and stages that this version
    /// does not know.
    #[schema(value_type = schema::Event)]
    pub event: Box<RawValue>,
}

impl StoredEvent {
    /// What the event says, as far as this version knows.
    ///
    /// # Errors
    /// When it is no event, with serde's words.
    pub fn read(&self) -> Result<ReadEvent, serde_json::Error> {
        ReadEvent::read(self.event.get())
    }
}
