//! The stations of a body on its way: decoding, masking and, for answers, restoring.
//!
//! ```text
//! bytes ─► Decoder ─► Masker ─┬─► Masker that restores ─► sent on
//!                             └─► recorded
//! ```
//!
//! Restored bytes hold secrets again: they go to the agent that sent these secrets, and never into
//! the record.
//!
//! Decoding and restoring make much of little. They take what there is room for (`room`), step by
//! step; the bytes that are left stay here as they came, and are taken up with the next ones.

use std::borrow::Cow;

use chaperone_engine::masking::{
    AsMasked, Blocked, Decoder, DecodingError, Findings, MaskedBody, Masker, Secrets,
};

use super::room::{FREE, Room};

/// Most bytes that restoring may make of one step.
const RESTORED_AT_ONCE: usize = 512 * 1024;
/// Least bytes that a placeholder has.
const PLACEHOLDER: usize = 16;

/// The stations that there are; without any, bytes pass as they are and nothing is recorded of
/// them.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    /// Bytes that may be made beyond a few times what comes.
    credit: usize,
    decoder: Option<Decoder>,
    masker: Option<Masker>,
    restorer: Option<Masker>,
    /// Bytes that restoring takes at once.
    slice: usize,
    /// What was not taken, since there was no room. Empty if the decoder has taken all, but not
    /// given all.
    rest: Option<Vec<u8>>,
}

/// The bytes that came out.
#[derive(Debug, Default)]
pub(super) struct Out<'a> {
    /// Those that go on now.
    pub(super) sent: Cow<'a, [u8]>,
    /// The bytes that went in go on as they are.
    pub(super) unchanged: bool,
    /// The same for the record; empty where masking does not apply.
    pub(super) masked: MaskedBody,
}

impl Pipe {
    /// A pipe that masks, or does nothing.
    pub(super) fn masking(decoder: Option<Decoder>, masker: Option<Masker>) -> Self {
        Self {
            decoder,
            masker,
            credit: FREE,
            ..Self::default()
        }
    }

    /// The same pipe, which restores secrets as well, of at most `longest` bytes.
    pub(super) fn restoring(self, restorer: Masker, longest: usize) -> Self {
        let placeholders = RESTORED_AT_ONCE.checked_div(longest).unwrap_or(1).max(1);
        Self {
            restorer: Some(restorer),
            slice: placeholders.saturating_mul(PLACEHOLDER),
            ..self
        }
    }

    /// Whether it decodes.
    pub(super) fn decodes(&self) -> bool {
        self.decoder.is_some()
    }

    /// Whether there are bytes that were not taken.
    pub(super) fn has_rest(&self) -> bool {
        self.rest.is_some()
    }

    /// How many.
    pub(super) fn rest(&self) -> usize {
        self.rest.as_ref().map_or(0, Vec::len)
    }

    /// Whether bytes pass as they are.
    pub(super) fn is_empty(&self) -> bool {
        self.masker.is_none() && self.restorer.is_none()
    }

    /// Bytes that wait because they may be (part of) a secret or of a placeholder.
    pub(super) fn held(&self) -> usize {
        let held = |masker: &Option<Masker>| masker.as_ref().map_or(0, Masker::held);
        held(&self.masker).saturating_add(held(&self.restorer))
    }

    /// The secret at which the body ended.
    pub(super) fn blocked(&self) -> Option<&Blocked> {
        self.masker.as_ref().and_then(Masker::blocked)
    }

    /// The findings.
    pub(super) fn findings(&self) -> Option<&Findings> {
        self.masker.as_ref().map(Masker::findings)
    }

    /// The secrets that were masked, to be restored.
    pub(super) fn secrets(&self) -> Option<&Secrets> {
        self.masker.as_ref().map(Masker::secrets)
    }

    /// Takes the next bytes, as far as there is room for what becomes of them. `record`: how many
    /// of them are to be recorded as well; if more come, so that it is seen, a few more.
    ///
    /// # Errors
    /// They cannot be decoded; the body must not go on.
    pub(super) fn push<'a>(
        &mut self,
        bytes: &'a [u8],
        record: usize,
        room: &mut Room<'_>,
    ) -> Result<Out<'a>, DecodingError> {
        let at_once = self.decoder.is_none() && self.rest.is_none();
        if at_once && (self.restorer.is_none() || bytes.len() <= self.slice) {
            return Ok(self.mask(bytes, record > 0));
        }
        room.came(bytes.len(), self.credit);
        let before = self.rest.take().unwrap_or_default();
        let joined;
        let mut input = if before.is_empty() {
            bytes
        } else {
            joined = [before.as_slice(), bytes].concat();
            joined.as_slice()
        };
        let mut out = Out::default();
        loop {
            if !room.has(out.sent.len()) {
                self.rest = Some(input.to_vec());
                break;
            }
            let record = record > 0 && out.masked.len() <= record;
            if !self.step(&mut input, record, &mut out)? {
                break;
            }
        }
        self.credit = room.credit(out.sent.len());
        Ok(out)
    }

    /// Takes a little of `input`. `false` if there is nothing more in it.
    fn step(
        &mut self,
        input: &mut &[u8],
        record: bool,
        out: &mut Out<'_>,
    ) -> Result<bool, DecodingError> {
        let Some(mut decoder) = self.decoder.take() else {
            let (slice, rest) = input.split_at_checked(self.slice).unwrap_or((*input, &[]));
            *input = rest;
            out.append(self.mask(slice, record));
            return Ok(!rest.is_empty());
        };
        let piece = decoder.piece(input)?;
        let is_more = piece.is_some();
        // Nothing goes on behind what is blocked; decoded it must be, to know whether it is whole.
        if let Some(piece) = piece.filter(|_| self.blocked().is_none()) {
            let slice = if self.restorer.is_some() {
                self.slice
            } else {
                piece.len()
            };
            for slice in piece.chunks(slice.max(1)) {
                out.append(self.mask(slice, record));
            }
        }
        self.decoder = Some(decoder);
        Ok(is_more)
    }

    /// The body ended, and all of it was taken.
    ///
    /// # Errors
    /// It ended too early.
    pub(super) fn finish(&mut self) -> Result<Out<'static>, DecodingError> {
        if let Some(decoder) = &self.decoder {
            decoder.finish()?;
        }
        if self.blocked().is_some() {
            return Ok(Out::default());
        }
        let masked = match &mut self.masker {
            Some(masker) => masker.finish(),
            None => MaskedBody::default(),
        };
        let sent = match &mut self.restorer {
            Some(restorer) => {
                let mut restored = restorer.push(masked.as_bytes()).into_body();
                restored.append(restorer.finish());
                restored.into_bytes()
            }
            None => masked.as_bytes().to_vec(),
        };
        Ok(Out {
            sent: Cow::Owned(sent),
            unchanged: false,
            masked,
        })
    }

    fn mask<'a>(&mut self, bytes: &'a [u8], record: bool) -> Out<'a> {
        let Some(masker) = &mut self.masker else {
            return match &mut self.restorer {
                Some(restorer) => {
                    let chunk = restorer.push(bytes);
                    Out {
                        unchanged: chunk.is_unchanged(),
                        sent: chunk.into_bytes(),
                        masked: MaskedBody::default(),
                    }
                }
                None => Out {
                    sent: Cow::Borrowed(bytes),
                    unchanged: true,
                    masked: MaskedBody::default(),
                },
            };
        };
        let chunk = masker.push(bytes);
        let unchanged = chunk.is_unchanged();
        let masked = if record {
            let mut masked = MaskedBody::default();
            masked.append(&chunk);
            masked
        } else {
            MaskedBody::default()
        };
        let Some(restorer) = &mut self.restorer else {
            return Out {
                sent: chunk.into_bytes(),
                unchanged,
                masked,
            };
        };
        let restored = restorer.push(chunk.masked());
        let unchanged = unchanged && restored.is_unchanged();
        let mut sent = restored.into_body();
        if masker.blocked().is_some() {
            // The body ends here: what restoring would wait for does not come.
            sent.append(restorer.finish());
        }
        Out {
            sent: Cow::Owned(sent.into_bytes()),
            unchanged,
            masked,
        }
    }
}

impl Out<'_> {
    /// Adds the bytes that came out next.
    pub(super) fn append(&mut self, next: Out<'_>) {
        if !next.sent.is_empty() {
            self.sent.to_mut().extend_from_slice(&next.sent);
            self.unchanged = false;
        }
        self.masked.append(next.masked);
    }
}
