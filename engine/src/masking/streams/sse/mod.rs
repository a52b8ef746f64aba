//! Server-sent events (WHATWG HTML §9.2).
//!
//! [`lines`] says where an event ends, [`long`] reads one that is too long to wait for its end, and
//! [`ending`] writes the one that says that the stream ended with an error.

mod ending;
pub(super) mod lines;
mod long;

use super::{
    channels::Channels,
    reader::Reader,
    units::{End, Framing},
};
use crate::masking::bodies::desk::Desk;
use lines::Ends;
use long::LongEvent;

/// Where events end.
#[derive(Clone, Default)]
pub(super) struct Events {
    ends: Ends,
}

impl Framing for Events {
    type Long = LongEvent;

    fn between(&mut self, bytes: &[u8]) -> usize {
        usize::from(self.ends.skips(bytes))
    }

    fn end(&mut self, bytes: &[u8]) -> End {
        self.ends.find(bytes).map_or(End::Later, End::After)
    }

    fn read(
        &self,
        reader: &mut Reader,
        desk: &mut Desk<'_>,
        event: &[u8],
        base: u64,
        channels: &mut Channels,
    ) -> bool {
        reader.read(desk, event, base, channels);
        true
    }

    fn may_be_none(&self) -> bool {
        false
    }

    fn long(&self, _: &mut Desk<'_>, _: u64) -> LongEvent {
        LongEvent::new()
    }

    fn ending(&self, reader: &Reader, message: &str) -> Option<Vec<u8>> {
        let deltas = &reader.deltas;
        let answers = deltas.answers.as_deref();
        ending::ending(reader.dialect, deltas.sequence_number, answers, message)
    }
}
