//! Events as they are read: also those of a node that is newer than the reader.
//!
//! A control plane that refused an event for its kind would refuse the batch around it for ever,
//! because the node sends the batch again until it is acknowledged; with `on_audit_full: block`
//! that ends in an outage. So an event whose kind cannot be read is still an event: it has its
//! number, its record and its time, and the rest of it is kept as it came.
//!
//! Weighed: a variant of [`EventKind`](super::EventKind) for what is not known, which the filter
//! would then be able to make; and an untagged last variant, by which serde reads each event twice.
//! This type is made by reading alone, and costs known events nothing.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::event::{Event, RecordId};
use crate::base::time::UnixMillis;

/// An event that a node has sent.
// Pointers of 32 bits make the variants small enough for the lint.
#[cfg_attr(
    target_pointer_width = "64",
    expect(
        clippy::large_enum_variant,
        reason = "nearly every event is a known one; boxing it would cost an allocation per event"
    )
)]
#[derive(Debug, Clone, PartialEq)]
pub enum ReadEvent {
    /// One that this version could have sent, too.
    Known(Event),
    /// One of a later version.
    Unknown(UnknownEvent),
}

/// An event of a later version: a stage that this version does not know, or a known one with
/// something in it that cannot be read, e.g. another effect.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct UnknownEvent {
    /// Position in the node's sequence, from 1, without gaps.
    pub seq: u64,
    /// The record that this is a step of.
    pub record: RecordId,
    /// When the step happened, by the node's clock.
    pub at: UnixMillis,
    /// The stage's name as it came.
    pub stage: String,
    /// Everything else as it came.
    #[serde(flatten)]
    pub members: BTreeMap<String, Value>,
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
    fn what_a_later_version_writes_keeps_its_number_record_time_and_members() {
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
            let ReadEvent::Unknown(event) = &read else {
                panic!("{read:?}")
            };
            assert_eq!(
                (
                    read.seq(),
                    read.record().0.as_str(),
                    read.at(),
                    read.stage()
                ),
                (4, "b-1", UnixMillis(9), stage)
            );
            let mut whole: BTreeMap<String, Value> = serde_json::from_str(&json).unwrap();
            whole.retain(|name, _| !["seq", "record", "at", "stage"].contains(&name.as_str()));
            assert_eq!(event.members, whole);
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
            "{\"seq\":4,\"seq\":5,\"record\":\"b-1\",\"at\":9,\"stage\":\"scanned\"}",
        ] {
            assert!(ReadEvent::read(json).is_err(), "{json}");
        }
    }
}
