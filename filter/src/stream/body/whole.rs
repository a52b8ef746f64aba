//! A request's body that is held before the verdict: masked in its place once all of it is there.
//!
//! It may be megabytes, so it is masked in steps: by the callback that brought its end, as far as
//! one may work, and then by ticks. Envoy keeps the body as it came meanwhile, behind Pause, and is
//! given what was made of it once, when all is made: a buffer that holds both would be over Envoy's
//! limit. Nothing has gone on before that, so a secret that is blocked is refused whole.
//!
//! What approvers are asked about is bound to a digest of the body, which is made in the same
//! steps.

use chaperone_engine::approval::BodyHash;
use chaperone_engine::masking::MaskedBody;

use super::seeing::{Seeing, Whole};
use super::{BodyWay, Room, Stage, Stop};
use crate::host::Host;

impl BodyWay {
    /// A request's whole body has come, and Envoy keeps it: it is to be [masked](Self::see) in its
    /// place, up to `limit` bytes once it is decoded. `hashed`: its digest is asked for.
    pub(in crate::stream) fn see_whole(&mut self, limit: usize, hashed: bool) {
        self.ended = true;
        let size = self.held().map_or(0, |held| held.bytes);
        self.stage = Stage::Whole;
        self.seeing = Some(Box::new(Seeing {
            size,
            limit,
            is_same: true,
            is_made: false,
            made: Vec::new(),
            recorded: MaskedBody::default(),
            hash: hashed.then(|| (BodyHash::default(), 0)),
        }));
    }

    /// Whether it is being masked in its place.
    pub(in crate::stream) const fn is_seen_whole(&self) -> bool {
        self.seeing.is_some()
    }

    /// Goes on with that, as far as there is work. Gives the body once all of it is masked.
    ///
    /// # Errors
    /// It must not go on.
    pub(in crate::stream) fn see(
        &mut self,
        host: &dyn Host,
        room: &mut Room<'_>,
    ) -> Result<Option<Whole>, Stop> {
        let Some(mut seeing) = self.seeing.take() else {
            return Ok(None);
        };
        self.make(host, &mut seeing, room)?;
        if let Some(stop) = self.is_blocked() {
            return Err(stop);
        }
        if !seeing.is_made || !seeing.hash(room) {
            self.seeing = Some(seeing);
            return Ok(None);
        }
        let Seeing {
            size,
            is_same,
            made,
            recorded,
            hash,
            ..
        } = *seeing;
        self.sent = made.len() as u64;
        if !is_same {
            match size {
                0 => host.append_body(self.direction, 0, &made),
                _ => host.replace_body(self.direction, size, &made),
            }
        }
        Ok(Some(Whole {
            bytes: made,
            sha256: hash.map(|(hash, _)| hash.sha256()),
            event: self.recording.chunk(self.direction, recorded),
        }))
    }

    /// Masks what is left of it, as far as there is work.
    fn make(
        &mut self,
        host: &dyn Host,
        seeing: &mut Seeing,
        room: &mut Room<'_>,
    ) -> Result<(), Stop> {
        if seeing.is_made {
            return Ok(());
        }
        let is_first = seeing.made.is_empty() && !self.pipe.has_rest();
        // Without a byte there was no callback that stopped, and Envoy has no buffer that may be
        // read.
        let buffer = match is_first && seeing.size > 0 {
            true => host.body(self.direction, seeing.size),
            false => Vec::new(),
        };
        if self.pipe.is_empty() {
            seeing.is_made = true;
            seeing.made = buffer;
            return Ok(());
        }
        if is_first && buffer.len() != seeing.size {
            return Err(Stop::Lost);
        }
        if self.decodes() {
            let most = seeing.limit.saturating_add(1);
            room.make_no_more_than(most.saturating_sub(seeing.made.len()));
        }
        // One byte more than is recorded, so that it is seen that there are more.
        let record = match self.recording.room() {
            0 => 0,
            room => room.saturating_add(1).saturating_sub(seeing.recorded.len()),
        };
        let out = self.pipe.push(&buffer, record, room);
        let mut out = out.map_err(Stop::Unreadable)?;
        let has_rest = self.pipe.has_rest();
        if !has_rest {
            let end = self.pipe.finish().map_err(Stop::Unreadable)?;
            out.append(end);
        }
        seeing.is_same &= out.unchanged || (is_first && !has_rest && *out.sent == *buffer);
        seeing.made.extend_from_slice(&out.sent);
        seeing.recorded.append(out.masked);
        seeing.is_made = !has_rest;
        let is_too_large = has_rest && !self.pipe.is_behind();
        if is_too_large || (self.decodes() && seeing.made.len() > seeing.limit) {
            return Err(Stop::TooLarge);
        }
        Ok(())
    }
}
