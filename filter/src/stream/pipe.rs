//! The stations of a body on its way: decoding, masking and, for answers, restoring.
//!
//! ```text
//! bytes ─► Decoder ─► Masker ─┬─► Masker that restores ─► sent on
//!                             └─► masked once more, and recorded
//! ```
//!
//! Restored bytes hold secrets again: they go to the agent that sent these secrets, and never into
//! the record.
//!
//! Decoding and restoring make much of little, and masking may take long for a text that is dense
//! in what may be a secret. So all of them take what there is room for, and only as much as the
//! work may be that is done at once (`room`). The bytes that are left stay here, those that came
//! and those that were decoded, and are taken up first when the pipe is asked again.

use std::borrow::Cow;

use chaperone_engine::masking::{
    AsMasked, Blocked, Budget, Decoder, DecodingError, Findings, MaskedBody, Masker, Secrets,
};

use super::rest::Rest;
use super::room::{FREE, Room};
use crate::node::Work;

/// Most bytes that restoring may make of one step.
const RESTORED_AT_ONCE: usize = 512 * 1024;
/// Least bytes that a placeholder has.
const PLACEHOLDER: usize = 16;
/// Most bytes that are taken from the rest at once.
const STEP: usize = 64 * 1024;
/// How many bytes become of one by masking, and by decoding, before anything is known of them.
const UNKNOWN_MASKED: u64 = 4;
const UNKNOWN_DECODED: u64 = 16;
/// Units for each byte from which on a body is dense: clean ones have one or two.
const DENSE: u64 = 6;
/// What a decoded byte costs, in the units of [`Budget`].
const DECODED: u64 = 3;

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
    /// Encoded bytes that were not taken.
    encoded: Rest,
    /// The decoder has not given all that it can make of what it has taken.
    owes: bool,
    /// Bytes that were not masked, decoded if they came encoded.
    plain: Rest,
    /// The last call stopped because of the work, not because of room.
    is_behind: bool,
    /// How many bytes have come.
    came: u64,
    /// How many were decoded of those that were taken.
    decoded: u64,
    /// How many were made of them.
    made: u64,
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
        self.owes || !self.encoded.is_empty() || !self.plain.is_empty()
    }

    /// How many.
    pub(super) fn rest(&self) -> usize {
        self.encoded.len().saturating_add(self.plain.len())
    }

    /// How many of them are encoded, and may become many more.
    pub(super) fn encoded(&self) -> usize {
        self.encoded.len()
    }

    /// Whether there are such bytes because taking them was more work than may be done at once, so
    /// that time alone helps.
    pub(super) fn is_behind(&self) -> bool {
        self.is_behind && self.has_rest()
    }

    /// Whether what has come was much more work than reading it.
    pub(super) fn is_dense(&self) -> bool {
        self.work() > self.came.saturating_mul(DENSE)
    }

    /// Drops what was not taken.
    pub(super) fn drop_rest(&mut self) {
        self.encoded.clear();
        self.plain.clear();
        self.owes = false;
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

    /// The body broke off. Gives what is still to be recorded of what has gone on.
    pub(super) fn end_record(&mut self) -> MaskedBody {
        let masker = self.masker.as_mut();
        masker.map(Masker::end_record).unwrap_or_default()
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

    /// Takes the next bytes, as far as there is room for what becomes of them and the work goes on
    /// that may be done at once. `record`: how many of them are to be recorded as well; if more
    /// come, so that it is seen, a few more.
    ///
    /// # Errors
    /// They cannot be decoded; the body must not go on.
    pub(super) fn push<'a>(
        &mut self,
        bytes: &'a [u8],
        record: usize,
        room: &mut Room<'_>,
    ) -> Result<Out<'a>, DecodingError> {
        self.is_behind = false;
        self.came = self.came.saturating_add(bytes.len() as u64);
        if self.decoder.is_none()
            && !self.has_rest()
            && (self.restorer.is_none() || bytes.len() <= self.slice)
        {
            return Ok(self.at_once(bytes, (record > 0).then_some(record), room));
        }
        room.came(bytes.len(), self.credit);
        match &self.decoder {
            Some(_) => self.encoded.push(bytes),
            None => self.plain.push(bytes),
        }
        let mut out = Out::default();
        loop {
            let made = out.sent.len();
            let has_room = room.has(made);
            let becomes = made.saturating_add(self.becomes(self.plain.len(), made));
            if !has_room || room.is_done(self.rest(), becomes) {
                self.is_behind = has_room;
                break;
            }
            let record = left_to_record(record, out.masked.len());
            if !self.step(record, &mut out, room.work())? {
                break;
            }
        }
        self.made = self.made.saturating_add(out.sent.len() as u64);
        self.credit = room.credit(out.sent.len());
        Ok(out)
    }

    /// Masks bytes before which none waits, as far as the work goes; the others wait then.
    fn at_once<'a>(
        &mut self,
        bytes: &'a [u8],
        record: Option<usize>,
        room: &mut Room<'_>,
    ) -> Out<'a> {
        let mut out = Out {
            unchanged: true,
            ..Out::default()
        };
        let mut rest = bytes;
        loop {
            let made = out.sent.len();
            let becomes = made.saturating_add(self.becomes(rest.len(), made));
            if room.is_done(rest.len(), becomes) {
                break;
            }
            let record = record.and_then(|most| left_to_record(most, out.masked.len()));
            let (next, taken) = self.mask(rest, record, room.work());
            let (piece, later) = rest.split_at_checked(taken).unwrap_or((rest, &[]));
            // Whatever goes on as it is, is the beginning of `bytes`, and is not copied.
            if out.unchanged && next.passes(piece) {
                let so_far = bytes.len().saturating_sub(later.len());
                out.sent = Cow::Borrowed(bytes.get(..so_far).unwrap_or(bytes));
                out.masked.append(next.masked);
            } else {
                out.append(next);
                out.unchanged = false;
            }
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        if !rest.is_empty() {
            self.plain.push(rest);
            self.is_behind = true;
            out.unchanged = false;
        }
        self.made = self.made.saturating_add(out.sent.len() as u64);
        out
    }

    /// How many bytes will become of those that were not taken.
    pub(super) fn will_become(&self) -> usize {
        self.becomes(self.plain.len(), 0)
    }

    /// How many bytes become of those that were not taken, with something to spare, if they go on
    /// as those before. `plain`: how many of them were not masked; `making`: what was made in this
    /// call.
    fn becomes(&self, plain: usize, making: usize) -> usize {
        let (plain, encoded) = (plain as u64, self.encoded.len() as u64);
        let of = |count: u64, made: u64, taken: u64, unknown: u64| {
            let grown = count.saturating_mul(made).checked_div(taken);
            grown.unwrap_or_else(|| count.saturating_mul(unknown))
        };
        let decoded = match self.decoder {
            Some(_) => self.decoded,
            None => self.came,
        };
        let read = self.came.saturating_sub(encoded);
        let more = plain.saturating_add(of(encoded, decoded, read, UNKNOWN_DECODED));
        let made = self.made.saturating_add(making as u64);
        let made = of(more, made, decoded.saturating_sub(plain), UNKNOWN_MASKED);
        usize::try_from(made.saturating_add(made / 4)).unwrap_or(usize::MAX)
    }

    /// Takes a little of the rest. `false` if there is nothing more in it.
    fn step(
        &mut self,
        record: Option<usize>,
        out: &mut Out<'_>,
        work: &mut Work<'_>,
    ) -> Result<bool, DecodingError> {
        // Nothing goes on behind what is blocked; decoded it must be, to know whether it is whole.
        if self.blocked().is_some() {
            self.plain.clear();
        }
        if !self.plain.is_empty() {
            let most = match self.restorer {
                Some(_) => self.slice.max(1),
                None => STEP,
            };
            let mut plain = std::mem::take(&mut self.plain);
            let slice = plain.front(most);
            let (masked, taken) = self.mask(slice, record, work);
            out.append(masked);
            plain.take(taken);
            self.plain = plain;
            return Ok(true);
        }
        let Some(decoder) = &mut self.decoder else {
            return Ok(false);
        };
        let mut input = self.encoded.front(STEP);
        let before = input.len();
        let piece = decoder.piece(&mut input)?;
        let taken = before.saturating_sub(input.len());
        let is_more = piece.is_some();
        if let Some(piece) = piece {
            work.spend((piece.len() as u64).saturating_mul(DECODED));
            self.decoded = self.decoded.saturating_add(piece.len() as u64);
            self.plain.push(piece);
        }
        self.encoded.take(taken);
        self.owes = is_more;
        Ok(is_more || !self.encoded.is_empty())
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
        let (masked, recorded) = match &mut self.masker {
            Some(masker) => {
                let masked = masker.finish();
                let recorded = masker.recorded(&masked);
                (masked, recorded)
            }
            None => Default::default(),
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
            masked: recorded,
        })
    }

    /// Masks bytes as far as the work goes that may be done; gives what comes out, and how many
    /// were taken.
    fn mask<'a>(
        &mut self,
        bytes: &'a [u8],
        record: Option<usize>,
        work: &mut Work<'_>,
    ) -> (Out<'a>, usize) {
        let before = self.work();
        let (out, taken) = self.mask_within(bytes, record, work.piece());
        // A call without bytes counts, too, so that one cannot be repeated for ever.
        work.spend(self.work().saturating_sub(before).max(1));
        (out, taken)
    }

    /// What the maskers have done so far.
    fn work(&self) -> u64 {
        let work = |masker: &Option<Masker>| masker.as_ref().map_or(0, Masker::work);
        work(&self.masker).saturating_add(work(&self.restorer))
    }

    fn mask_within<'a>(
        &mut self,
        bytes: &'a [u8],
        record: Option<usize>,
        mut work: Budget,
    ) -> (Out<'a>, usize) {
        let Some(masker) = &mut self.masker else {
            return match &mut self.restorer {
                Some(restorer) => {
                    let (chunk, taken) = restorer.push_within(bytes, &mut work);
                    let out = Out {
                        unchanged: chunk.is_unchanged(),
                        sent: chunk.into_bytes(),
                        masked: MaskedBody::default(),
                    };
                    (out, taken)
                }
                None => {
                    let out = Out {
                        sent: Cow::Borrowed(bytes),
                        unchanged: true,
                        masked: MaskedBody::default(),
                    };
                    (out, bytes.len())
                }
            };
        };
        masker.record(record);
        let (chunk, taken) = masker.push_within(bytes, &mut work);
        let unchanged = chunk.is_unchanged();
        let masked = match record {
            Some(_) => masker.recorded(&chunk),
            None => MaskedBody::default(),
        };
        let Some(restorer) = &mut self.restorer else {
            let out = Out {
                sent: chunk.into_bytes(),
                unchanged,
                masked,
            };
            return (out, taken);
        };
        let restored = restorer.push(chunk.masked());
        let unchanged = unchanged && restored.is_unchanged();
        let mut sent = restored.into_body();
        if masker.blocked().is_some() {
            // The body ends here: what restoring would wait for does not come.
            sent.append(restorer.finish());
        }
        let out = Out {
            sent: Cow::Owned(sent.into_bytes()),
            unchanged,
            masked,
        };
        (out, taken)
    }
}

/// How many bytes more are to be recorded where so many were made; `None`: it is seen that there
/// are more.
fn left_to_record(most: usize, made: usize) -> Option<usize> {
    most.checked_sub(made).filter(|_| most > 0)
}

impl Out<'_> {
    /// Whether this is what was made of `piece`, and that passes as it is.
    fn passes(&self, piece: &[u8]) -> bool {
        self.unchanged || matches!(self.sent, Cow::Borrowed(sent) if sent.len() == piece.len())
    }

    /// Adds the bytes that came out next.
    pub(super) fn append(&mut self, next: Out<'_>) {
        if !next.sent.is_empty() {
            self.sent.to_mut().extend_from_slice(&next.sent);
            self.unchanged = false;
        }
        self.masked.append(next.masked);
    }
}
