//! Reads JSON in which nothing is masked, and finds out that nothing is.
//!
//! Nearly all of a body holds no secret and no key whose value is one. So a part of it is read
//! without noting where its strings are, and what it says is searched at once. Where a secret may
//! begin depends on the text alone; where strings end only matters once one does. If none begins,
//! and no key wants its value, the part is done. Else it is read again in the way that notes all
//! ([`Reader`](super::Reader)), which goes on until nothing is undecided. Both ways say the same of
//! a quiet part, so which one read it is never seen in what leaves. Short chunks are always read in
//! the noting way: tests compare with that.
//!
//! A part that is not quiet says up to where it is. So the bytes before are read quietly once more,
//! and few are noted. Where more and more parts are not quiet they become shorter, since each is
//! read in vain; and where even short ones are not, all is noted for a while.
//!
//! The alternatives: searching the raw bytes does not see through escapes (`\u0067hp_`), and most
//! of what tools send has escapes. Going back only as far as an anchor stands, and not where a
//! secret begins: words like `token` stand in every few kilobytes of ordinary text.

use super::{
    Json, Tokenizer,
    keys::{self, Keys},
};
use crate::base::tokens::{
    Containers, Skimming, Skims,
    escape::{self, Escape},
};
use crate::masking::{
    bodies::{desk::Desk, fault, plan::Plan},
    formats::transcript::append,
};

/// Raw bytes that are read before what they say is searched: so few that they stay in the
/// processor's cache.
const PART: usize = 16 * 1024;

/// Fewer are not worth it.
const LEAST: usize = 256;

/// Where even so few bytes are not quiet, all is noted for a while: secrets stand close together,
/// and reading all twice costs more than it saves.
const SHORTEST_PART: usize = 2 * 1024;

/// How many bytes are read quietly at once. A part that is not quiet was read in vain, so parts
/// become short at once where one was not, and long again as slowly as places that are not quiet
/// come seldom.
#[derive(Clone)]
pub(super) struct Parts {
    length: usize,
    /// How many of this length were quiet since it was chosen.
    quiet: u8,
}

/// So many parts of one length are quiet before they become longer.
const ENOUGH: u8 = 4;

impl Parts {
    pub(super) const fn new() -> Self {
        Self {
            length: PART,
            quiet: 0,
        }
    }

    fn passed(&mut self) {
        self.quiet = self.quiet.saturating_add(1);
        if self.quiet >= ENOUGH {
            self.length = self.length.saturating_mul(2).min(PART);
            self.quiet = 0;
        }
    }

    fn failed(&mut self) {
        self.length = (self.length / 4).max(SHORTEST_PART);
        self.quiet = 0;
    }
}

/// So many are read in the other way before it is asked again whether something is undecided, and
/// twice as many each time that it still is: base64 is full of what one of hundreds of detectors
/// waits for, and short steps cost more than they save.
pub(super) const STEP: usize = 256;

/// How often a part is read again up to where it is quiet.
const TRIES: usize = 2;

/// A part ends at most so many bytes before it could, so that nothing is cut.
const END: usize = 64;

/// Most bytes by which a place is moved that stands inside of a number or an escape.
const MOST_MOVED: usize = 80;

/// What a part of a document says: its bytes, but for escapes, which are what they mean.
pub(super) struct Decoded<'a> {
    bytes: &'a [u8],
    /// Raw offset of the bytes.
    from: u64,
    text: Vec<u8>,
    /// Where in the bytes what is not copied begins.
    rest: usize,
}

impl<'a> Decoded<'a> {
    pub(super) fn new(mut room: Vec<u8>, bytes: &'a [u8], from: u64) -> Self {
        room.clear();
        Self {
            bytes,
            from,
            text: room,
            rest: 0,
        }
    }

    #[inline]
    fn offset(&self, raw: u64) -> usize {
        usize::try_from(raw.saturating_sub(self.from)).unwrap_or(usize::MAX)
    }

    /// Where in the text this raw offset is, which is not before any that was told.
    #[inline]
    fn place(&self, raw: u64) -> usize {
        let more = self.offset(raw).saturating_sub(self.rest);
        self.text.len().saturating_add(more)
    }

    /// `raw_len` bytes at `raw` stand for `means`.
    #[inline]
    fn unit(&mut self, means: &[u8], raw: u64, raw_len: u32) {
        self.copy_to(self.offset(raw));
        match means {
            [byte] => self.text.push(*byte),
            _ => self.text.extend_from_slice(means),
        }
        self.rest = self.offset(raw.saturating_add(u64::from(raw_len)));
    }

    /// Escapes begin at these places, counted from the raw offset `raw`, none of them before one
    /// that was told. Gives where the last one ends.
    ///
    /// The same as [`unit`](Self::unit) for each, with hardly anything in it that the processor
    /// would have to guess: how far the next one is, and which.
    fn escapes(&mut self, raw: u64, places: &[u32]) -> usize {
        let base = self.offset(raw);
        let Some(last) = places.last() else {
            return 0;
        };
        // No escape means more bytes than it has. What is copied comes in blocks.
        let more = base.wrapping_add(*last as usize).saturating_sub(self.rest);
        let mut to = self.text.len();
        let room = more.wrapping_add(const { COPIED.wrapping_mul(2) });
        self.text.resize(to.wrapping_add(room), 0);
        let (text, bytes, mut rest) = (self.text.as_mut_slice(), self.bytes, self.rest);
        for place in places {
            let at = base.wrapping_add(*place as usize);
            let Some(length) = at.checked_sub(rest) else {
                // The second half of a pair was read with the first one.
                continue;
            };
            copy(text, to, bytes, rest, length);
            to = to.wrapping_add(length);
            let kind = bytes.get(at.wrapping_add(1)).copied().unwrap_or(0);
            let simple = escape::simple(kind);
            if simple != 0 {
                if let Some(slot) = text.get_mut(to) {
                    *slot = simple;
                }
                to = to.wrapping_add(1);
                rest = at.wrapping_add(2);
            } else {
                // What is no escape is copied with what comes next.
                rest = at;
                if let Escape::Means {
                    text: means,
                    len,
                    raw,
                } = escape::read(bytes.get(at..).unwrap_or_default())
                {
                    if let Some(slot) = text.get_mut(to..).and_then(|to| to.first_chunk_mut()) {
                        *slot = means;
                    }
                    to = to.wrapping_add(len);
                    rest = at.wrapping_add(raw);
                }
            }
        }
        self.text.truncate(to);
        self.rest = rest;
        rest.saturating_sub(base)
    }

    /// All of the text up to this offset in the bytes.
    fn up_to(&mut self, end: usize) -> &[u8] {
        if self.rest == 0 {
            // More is never passed than was looked at.
            return self.bytes.get(..end).unwrap_or(self.bytes);
        }
        self.copy_to(end);
        &self.text
    }

    #[inline]
    fn copy_to(&mut self, to: usize) {
        let plain = self.bytes.get(self.rest..).unwrap_or_default();
        let length = to.saturating_sub(self.rest).min(plain.len());
        append(&mut self.text, plain, length);
        self.rest = to.max(self.rest);
    }

    /// The text from one place of it up to a raw offset.
    #[inline]
    fn slice(&mut self, start: usize, raw: u64) -> &[u8] {
        if let Some(plain) = start.checked_sub(self.text.len()) {
            let start = self.rest.saturating_add(plain);
            let text = self.bytes.get(start..self.offset(raw));
            fault::check(|| text.is_some(), "a string ends after its part");
            return text.unwrap_or_default();
        }
        self.copy_to(self.offset(raw));
        self.text.get(start..).unwrap_or_default()
    }
}

/// So many bytes are copied where there are fewer: what stands between two escapes, mostly.
const COPIED: usize = 48;

/// Copies `length` bytes from one offset to another, and perhaps some more behind them.
#[inline(always)]
fn copy(to: &mut [u8], to_at: usize, from: &[u8], from_at: usize, length: usize) {
    let to = to.get_mut(to_at..).unwrap_or_default();
    let from = from.get(from_at..).unwrap_or_default();
    match (to.first_chunk_mut::<COPIED>(), from.first_chunk()) {
        (Some(to), Some(from)) if length <= COPIED => *to = *from,
        _ => {
            if let (Some(to), Some(from)) = (to.get_mut(..length), from.get(..length)) {
                to.copy_from_slice(from);
            }
        }
    }
}

/// Reads a part of a document.
pub(super) struct Quiet<'k, 'a> {
    keys: &'k mut Keys,
    plan: &'k Plan,
    text: Decoded<'a>,
    /// Where in the text the part of the open string begins that nobody has read yet.
    start: usize,
    /// Where something begins that is more than text.
    stopped: Option<u64>,
}

impl<'k, 'a> Quiet<'k, 'a> {
    pub(super) fn new(keys: &'k mut Keys, plan: &'k Plan, text: Decoded<'a>) -> Self {
        Self {
            keys,
            plan,
            text,
            start: 0,
            stopped: None,
        }
    }

    /// Lets the open string be read up to this raw offset.
    pub(super) fn suspend(&mut self, raw: u64) {
        if self.stopped.is_none() && self.keys.is_read() {
            let (plan, start) = (self.plan, self.start);
            let text = self.text.slice(start, raw);
            let length = text.len();
            let is_more = self.keys.quiet_part(plan, text);
            self.start = start.saturating_add(length);
            self.stop(is_more, raw.saturating_sub(length as u64));
        }
    }

    /// Whether something was read that is more than text.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// What was read up to this raw offset is more than text, or is not.
    #[inline]
    fn stop(&mut self, is_more: bool, raw: u64) {
        if is_more && self.stopped.is_none() {
            self.stopped = Some(raw);
        }
    }
}

impl super::Sink for Quiet<'_, '_> {
    #[inline]
    fn structure(&mut self, byte: u8, raw: u64) {
        let is_more = self.keys.quiet_structure(self.plan, byte);
        self.stop(is_more, raw);
    }

    #[inline]
    fn string_start(&mut self, is_key: bool, raw: u64) {
        let is_more = self.keys.quiet_start(self.plan, is_key);
        self.stop(is_more, raw);
        self.start = self.text.place(raw.saturating_add(1));
    }

    #[inline]
    fn plain(&mut self, text: &[u8], raw: u64) {
        if self.keys.is_blank() && self.keys.quiet_begins(text) {
            self.start = self.text.place(raw);
        }
    }

    #[inline]
    fn unit(&mut self, text: &[u8], raw: u64, raw_len: u32) {
        if self.keys.is_blank() && self.keys.quiet_begins(text) {
            self.start = self.text.place(raw);
        }
        self.text.unit(text, raw, raw_len);
    }

    #[inline]
    fn string_end(&mut self, raw: u64) {
        let (plan, start) = (self.plan, self.start);
        let text = match self.keys.is_read() {
            true => self.text.slice(start, raw),
            false => &[],
        };
        let length = text.len() as u64;
        let is_more = self.keys.quiet_end(plan, text);
        self.stop(is_more, raw.saturating_sub(length));
    }
}

impl Skimming for Quiet<'_, '_> {
    fn skims(&self) -> Option<Skims> {
        self.keys.skims(self.plan)
    }

    #[inline(always)]
    fn may_interest(&self, last: u8, before: u8) -> u32 {
        self.plan.endings.may_be(last, before)
    }

    fn interests(&self, name: &[u8]) -> bool {
        self.keys.interests(self.plan, name)
    }

    #[inline]
    fn escapes(&mut self, _: &[u8], raw: u64, from: usize, places: &[u32]) -> usize {
        self.text.escapes(raw, places).max(from)
    }

    fn skimmed(&mut self, containers: Containers) {
        self.keys.skimmed(self.plan, containers);
    }
}

/// Where reading was, to go back to it.
struct Saved {
    tokenizer: Tokenizer,
    keys: keys::Saved,
}

impl Json {
    /// Passes what it can of a chunk, from its beginning, in which nothing is masked. Gives how
    /// many bytes these are, and up to where bytes are to be read in the other way.
    pub(super) fn pass_quiet(
        &mut self,
        desk: &mut Desk<'_>,
        chunk: &[u8],
        from: u64,
    ) -> (usize, usize) {
        let mut done = 0_usize;
        loop {
            let rest = chunk.get(done..).unwrap_or_default();
            if rest.len() < LEAST {
                return (done, chunk.len());
            }
            if !self.is_quiet() {
                let step = self.noted.clamp(STEP, PART);
                self.noted = self.noted.saturating_add(step);
                return (done, done.saturating_add(end_of(rest, step)));
            }
            self.noted = 0;
            let at = from.saturating_add(done as u64);
            let (passed, is_all) = self.pass_some(desk, rest, at, self.parts.length);
            done = done.saturating_add(passed);
            if is_all {
                self.parts.passed();
                continue;
            }
            let is_dense = passed < SHORTEST_PART && self.parts.length == SHORTEST_PART;
            self.parts.failed();
            let noted = if is_dense { PART } else { STEP };
            let rest = rest.get(passed..).unwrap_or_default();
            return (done, done.saturating_add(end_of(rest, noted)));
        }
    }

    /// Passes a part of so many bytes, or as much of it as is quiet. Gives how many bytes it
    /// passed, and whether that is all.
    fn pass_some(
        &mut self,
        desk: &mut Desk<'_>,
        rest: &[u8],
        at: u64,
        part: usize,
    ) -> (usize, bool) {
        let mut end = end_of(rest, part);
        let whole = end;
        for _ in 0..=TRIES {
            match self.pass_part(desk, rest, at, end) {
                Ok(passed) => return (passed, end == whole),
                Err(quiet) => end = end_of(rest, quiet.min(end)),
            }
            if end < LEAST {
                break;
            }
        }
        (0, false)
    }

    /// Whether nothing is undecided, nor anything known that makes more of what comes next.
    fn is_quiet(&self) -> bool {
        let pending = self.tokenizer.pending();
        self.tap.is_idle() && self.keys.is_quiet() && self.carry.is_empty() && pending.is_none()
    }

    /// Passes the part that ends at `end`, or a little later, and gives its length.
    ///
    /// # Errors
    /// Something in it is to be read in the other way; nothing before this offset is. All is as
    /// before.
    fn pass_part(
        &mut self,
        desk: &mut Desk<'_>,
        rest: &[u8],
        at: u64,
        end: usize,
    ) -> Result<usize, usize> {
        let before = Saved {
            tokenizer: self.tokenizer.clone(),
            keys: self.keys.save(),
        };
        let bytes = rest.get(..end.saturating_add(MOST_MOVED)).unwrap_or(rest);
        let text = Decoded::new(self.buffers.take_text(), bytes, at);
        let mut quiet = Quiet::new(&mut self.keys, desk.plan, text);
        let read = read_to(&mut self.tokenizer, &mut quiet, at, end);
        let stopped = quiet.stopped.map(|raw| quiet.text.offset(raw));
        let mut text = quiet.text;
        let passed = match (read, stopped) {
            (_, Some(stopped)) => Err(stopped),
            // Somewhere before there is a fault. It is rare, and need not be known better.
            (None, None) => Err(0),
            (Some(end), None) => {
                let outside = self.tokenizer.depth() > 0 && !self.tokenizer.in_string();
                // As many bytes stand for the text up to there, or more.
                self.tap.pass(desk, text.up_to(end), outside).map(|()| end)
            }
        };
        self.buffers.give_text(text.text);
        if passed.is_ok() {
            return passed;
        }
        self.tokenizer = before.tokenizer;
        self.keys.restore(before.keys);
        passed
    }
}

/// Where a part of at most so many bytes ends: behind a byte that hardly any secret goes on after,
/// if there is one near. What is cut has to wait, and waiting text is read in the other way.
fn end_of(bytes: &[u8], most: usize) -> usize {
    let bytes = bytes.get(..most).unwrap_or(bytes);
    let last = bytes
        .get(bytes.len().saturating_sub(END)..)
        .unwrap_or(bytes);
    let after = |ends: fn(&u8) -> bool| last.iter().rev().position(ends);
    let left = after(|byte| matches!(byte, b',' | b'}' | b')' | b';'))
        .or_else(|| after(|byte| matches!(byte, b' ' | b'"')));
    bytes.len().saturating_sub(left.unwrap_or(0))
}

/// Reads the first bytes of a part, so many or a few more, so that nothing is cut at their end.
/// Gives how many. `None` if there is no such place, or if it is not JSON.
fn read_to(
    tokenizer: &mut Tokenizer,
    quiet: &mut Quiet<'_, '_>,
    at: u64,
    to: usize,
) -> Option<usize> {
    let part = quiet.text.bytes;
    let mut from = 0;
    let mut to = to.min(part.len());
    loop {
        let bytes = part.get(from..to)?;
        let raw = at.saturating_add(from as u64);
        tokenizer.read_skimming(bytes, raw, quiet).ok()?;
        let is_cut = tokenizer.pending().is_some()
            || !tokenizer.in_string() && bytes.ends_with(super::OPENING);
        if !is_cut {
            quiet.suspend(at.saturating_add(to as u64));
            if !quiet.keys.is_cut() {
                return Some(to);
            }
        }
        from = to;
        to = to.saturating_add(1);
    }
}
