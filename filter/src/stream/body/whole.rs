//! A request's body that is held before the verdict: masked as one piece, in its place.

use chaperone_engine::audit::EventKind;

use super::{BodyWay, Room, Stage, Stop};
use crate::host::Host;

impl BodyWay {
    /// Masks a request's whole body, which Envoy keeps, in its place; up to `limit` bytes once it
    /// is decoded. Gives its bytes, and the event that records them.
    ///
    /// # Errors
    /// It must not go on.
    pub(in crate::stream) fn whole(
        &mut self,
        host: &dyn Host,
        limit: usize,
    ) -> Result<(Vec<u8>, Option<EventKind>), Stop> {
        let size = self.held().map_or(0, |held| held.bytes);
        self.mask_in_place(host, size, limit)
    }

    fn mask_in_place(
        &mut self,
        host: &dyn Host,
        size: usize,
        limit: usize,
    ) -> Result<(Vec<u8>, Option<EventKind>), Stop> {
        self.ended = true;
        self.stage = Stage::Whole;
        // Without a byte there was no callback that stopped, and Envoy has no buffer that may be
        // read.
        let buffer = if size == 0 {
            Vec::new()
        } else {
            host.body(self.direction, size)
        };
        self.sent = buffer.len() as u64;
        if self.pipe.is_empty() {
            return Ok((buffer, None));
        }
        if buffer.len() != size {
            return Err(Stop::Lost);
        }
        let decodes = self.decodes();
        let mut room = Room::most(limit);
        let out = self.through(&buffer, true, &mut room);
        let out = out.map_err(Stop::Unreadable)?;
        if let Some(stop) = self.is_blocked() {
            return Err(stop);
        }
        if self.pipe.has_rest() || (decodes && out.sent.len() > limit) {
            return Err(Stop::TooLarge);
        }
        let event = self.recording.chunk(self.direction, out.masked);
        self.sent = out.sent.len() as u64;
        if out.unchanged || *out.sent == *buffer {
            return Ok((buffer, event));
        }
        let masked = out.sent.into_owned();
        if size == 0 {
            host.append_body(self.direction, 0, &masked);
        } else {
            host.replace_body(self.direction, size, &masked);
        }
        Ok((masked, event))
    }
}
