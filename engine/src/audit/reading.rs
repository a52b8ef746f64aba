//! Events as they are read: also those of a node that is newer than the reader.
//!
//! A control plane that refused an event for its kind would refuse the batch around it for ever,
//! because the node sends the batch again until it is acknowledged; with `on_audit_full: block`
//! that ends in an outage. So an event whose kind cannot be read is still an event: it has its
//! number, its record and its time, and the rest of it is kept as it came.
//!
//! Of the rest nothing is built: a number that no type holds, half of a surrogate pair, or a value
//! nested too deep for a parser would otherwise make a batch unreadable that a node has to get rid
//! of.
//!
//! Weighed: a variant of [`EventKind`](super::EventKind) for what is not known, which the filter
//! would then be able to make; and an untagged last variant, by which serde reads each event twice.
//! This type is made by reading alone, and costs known events nothing.

use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::event::{Event, RecordId};
use crate::base::time::UnixMillis;

/// An event that a node has sent.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every event is a known one; boxing it would cost an allocation per event"
)]
#[derive(Debug, Clone, PartialEq)]
pub enum ReadEvent {
    /// One that this version could have sent, too.
    Known(Event),
    /// One of a later version.
    Unknown(UnknownEvent),
}

/// An event of a later version: a stage that this version does not know, or a known one with
/// something in it that cannot be read, e.g. another effect. Whoever wants to know what else it
/// says looks at the text that it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct UnknownEvent {
    /// Position in the node's sequence, from 1, without gaps.
    pub seq: u64,
    /// The record that this is a step of.
    pub record: RecordId,
    /// When the step happened, by the node's clock.
    pub at: UnixMillis,
    /// The stage's name as it came.
    pub stage: String,
}

impl UnknownEvent {
    /// The names of its members.
    pub const MEMBERS: [&'static str; 4] = ["seq", "record", "at", "stage"];
}

/// Written by hand for the sake of names: serde's own reader decodes the name of each member, also
/// of one that it skips, and fails at half of a surrogate pair.
impl<'de> Deserialize<'de> for UnknownEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = UnknownEvent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UnknownEvent, A::Error> {
                let (mut seq, mut record, mut at, mut stage) = (None, None, None, None);
                while let Some(Name(name)) = map.next_key()? {
                    match name {
                        Some("seq") => once(&mut seq, "seq", map.next_value()?)?,
                        Some("record") => once(&mut record, "record", map.next_value()?)?,
                        Some("at") => once(&mut at, "at", map.next_value()?)?,
                        Some("stage") => once(&mut stage, "stage", map.next_value()?)?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(UnknownEvent {
                    seq: seq.ok_or_else(|| A::Error::missing_field("seq"))?,
                    record: record.ok_or_else(|| A::Error::missing_field("record"))?,
                    at: at.ok_or_else(|| A::Error::missing_field("at"))?,
                    stage: stage.ok_or_else(|| A::Error::missing_field("stage"))?,
                })
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// Keeps the value of a member that may come once.
fn once<T, E: serde::de::Error>(
    place: &mut Option<T>,
    name: &'static str,
    value: T,
) -> Result<(), E> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(name)),
    }
}

/// The name of a member, if it is one of [`UnknownEvent::MEMBERS`].
struct Name(Option<&'static str>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_bytes<E>(self, name: &[u8]) -> Result<Name, E> {
                let mut known = UnknownEvent::MEMBERS.into_iter();
                Ok(Name(known.find(|known| known.as_bytes() == name)))
            }
        }

        // As bytes, which need not be text.
        deserializer.deserialize_bytes(Bytes)
    }
}

impl ReadEvent {
    /// Reads one event.
    ///
    /// # Errors
    /// When it has no readable number, record, time or stage, with serde's words.
    pub fn read(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
            .map(Self::Known)
            .or_else(|_| serde_json::from_str(json).map(Self::Unknown))
    }

    /// Position in the node's sequence, from 1, without gaps.
    pub const fn seq(&self) -> u64 {
        match self {
            Self::Known(event) => event.seq,
            Self::Unknown(event) => event.seq,
        }
    }

    /// The record that this is a step of.
    pub const fn record(&self) -> &RecordId {
        match self {
            Self::Known(event) => &event.record,
            Self::Unknown(event) => &event.record,
        }
    }

    /// When the step happened, by the node's clock.
    pub const fn at(&self) -> UnixMillis {
        match self {
            Self::Known(event) => event.at,
            Self::Unknown(event) => event.at,
        }
    }

    /// The stage's name as it came.
    pub fn stage(&self) -> &str {
        match self {
            Self::Known(event) => event.kind.stage(),
            Self::Unknown(event) => &event.stage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::EventKind;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn with(stage_and_more: &str) -> String {
        format!("{{\"seq\":4,\"record\":\"b-1\",\"at\":9,{stage_and_more}}}")
    }

    #[test]
    fn what_this_version_writes_is_known() {
        let read = ReadEvent::read(&with("\"stage\":\"forwarded\"")).unwrap();
        let ReadEvent::Known(event) = &read else {
            panic!("{read:?}")
        };
        assert_eq!(event.kind, EventKind::Forwarded {});
        assert_eq!((read.seq(), read.stage()), (4, "forwarded"));
    }

    #[test]
    fn a_member_more_does_not_make_a_stage_unknown() {
        let read = ReadEvent::read(&with("\"stage\":\"forwarded\",\"attempt\":2")).unwrap();
        assert!(matches!(read, ReadEvent::Known(_)), "{read:?}");
    }

    #[test]
    fn what_a_later_version_writes_keeps_its_number_record_time_and_stage() {
        for (more, stage) in [
            ("\"stage\":\"scanned\",\"by\":[\"x\"]", "scanned"),
            ("\"stage\":\"scanned\"", "scanned"),
            (
                "\"stage\":\"decided\",\"effect\":\"shadow\",\"reason\":\"r\"",
                "decided",
            ),
            (
                "\"stage\":\"chunk\",\"direction\":\"sideways\",\"body\":{\"text\":\"\"}",
                "chunk",
            ),
            (
                "\"stage\":\"chunk\",\"direction\":\"request\",\"body\":{\"hex\":\"00\"}",
                "chunk",
            ),
            ("\"stage\":\"aborted\",\"cause\":\"weather\"", "aborted"),
            ("\"stage\":\"completed\",\"status\":70000", "completed"),
        ] {
            let json = with(more);
            let read = ReadEvent::read(&json).unwrap();
            assert!(matches!(read, ReadEvent::Unknown(_)), "{read:?}");
            assert_eq!(
                (
                    read.seq(),
                    read.record().0.as_str(),
                    read.at(),
                    read.stage()
                ),
                (4, "b-1", UnixMillis(9), stage)
            );
        }
    }

    #[test]
    fn nothing_that_is_not_understood_has_to_be_a_value_of_this_version() {
        let deep = format!("\"x\":{}{}", "[".repeat(200), "]".repeat(200));
        let deepest = format!("\"x\":{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for more in [
            r#""x":1e999"#,
            r#""x":-1e999"#,
            r#""x":123456789012345678901234567890"#,
            r#""x":"\ud800""#,
            r#""\udc00":1"#,
            r#""x":{"y":[{"\ud800":1e999}]}"#,
            r#""x":1,"x":2"#,
            &deep,
            &deepest,
        ] {
            for stage in ["scanned", "forwarded", "completed"] {
                let json = with(&format!("\"stage\":\"{stage}\",{more}"));
                let read = ReadEvent::read(&json).unwrap();
                assert_eq!((read.seq(), read.stage()), (4, stage));
                assert_eq!(
                    (read.record().0.as_str(), read.at()),
                    ("b-1", UnixMillis(9))
                );
            }
        }
    }

    #[test]
    fn without_number_record_time_or_stage_it_is_no_event() {
        for json in [
            "{}",
            "[]",
            "{\"record\":\"b-1\",\"at\":9,\"stage\":\"scanned\"}",
            "{\"seq\":-1,\"record\":\"b-1\",\"at\":9,\"stage\":\"scanned\"}",
            "{\"seq\":4,\"record\":1,\"at\":9,\"stage\":\"scanned\"}",
            "{\"seq\":4,\"record\":\"b-1\",\"at\":\"now\",\"stage\":\"scanned\"}",
            "{\"seq\":4,\"record\":\"b-1\",\"at\":9}",
            "{\"seq\":4,\"record\":\"b-1\",\"at\":9,\"stage\":7}",
            r#"{"seq":1e999,"record":"b-1","at":9,"stage":"scanned"}"#,
            r#"{"seq":4,"record":"b-1","at":9,"stage":"scanned","x":1e}"#,
            r#"{"seq":4,"record":"b-1","at":9,"stage":"scanned","x":[}"#,
            "{\"seq\":4,\"seq\":5,\"record\":\"b-1\",\"at\":9,\"stage\":\"scanned\"}",
        ] {
            assert!(ReadEvent::read(json).is_err(), "{json}");
        }
    }
}
