//! The stations of a body on its way: decoding, masking and, for answers, restoring.
//!
//! ```text
//! bytes ─► Decoder ─► Masker ─┬─► Masker that restores ─► sent on
//!                             └─► recorded
//! ```
//!
//! Restored bytes hold secrets again: they go to the agent that sent these secrets, and never into the record.

use std::borrow::Cow;

use chaperone_engine::masking::{
    AsMasked, Blocked, Decoder, DecodingError, Findings, MaskedBody, Masker, Secrets,
};

/// Most bytes that one callback's bytes may become: Envoy lends us a mebibyte at most at once, and all that is
/// made of it stands in memory twice.
const MAX_AT_ONCE: usize = 64 * 1024 * 1024;

/// The stations that there are; without any, bytes pass as they are and nothing is recorded of them.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    pub(super) decoder: Option<Decoder>,
    pub(super) masker: Option<Masker>,
    pub(super) restorer: Option<Masker>,
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
    /// A pipe that only masks, or does nothing.
    pub(super) fn masking(masker: Option<Masker>) -> Self {
        Self {
            masker,
            ..Self::default()
        }
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

    /// Takes the next bytes. `record`: whether they are to be recorded as well.
    ///
    /// # Errors
    /// They cannot be decoded; the body must not go on.
    pub(super) fn push<'a>(
        &mut self,
        bytes: &'a [u8],
        record: bool,
    ) -> Result<Out<'a>, DecodingError> {
        let Some(mut decoder) = self.decoder.take() else {
            return Ok(self.mask(bytes, record));
        };
        let mut out = Out::default();
        let mut input = bytes;
        while let Some(piece) = decoder.piece(&mut input)? {
            if self.blocked().is_some() {
                // Nothing goes on behind it; decoded it must be, to know whether it is whole.
                continue;
            }
            out.append(self.mask(piece, record));
            if out.sent.len() > MAX_AT_ONCE {
                return Err(DecodingError::Bomb);
            }
        }
        self.decoder = Some(decoder);
        Ok(out)
    }

    /// The body ended.
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
