//! Reads JSON of which nobody wants to be told all, 64 bytes at once.
//!
//! Little of a clean document interests its reader: some keys, the escapes, and how deep it is. For
//! each window of 64 bytes a word is made that says where the quotes stand, one for the commas, and
//! so on, with a bit for each byte. All else is arithmetic on these words, as in simdjson (Langdale
//! and Lemire, "Parsing Gigabytes of JSON per Second", VLDB Journal 28, 2019). But that visits each
//! token afterwards; here nearly nothing is. What costs most in short strings is not how much is
//! done for each but that the processor cannot guess what comes next.
//!
//! What is unusual is not read here at all. The bytes before it are, and
//! [`read`](Tokenizer::read) does the rest: one place knows what a fault is and where it stands.
//!
//! The alternatives: visiting brackets, keys and numbers in loops of their own costs as much as the
//! tokenizer does, since nobody can guess how often each goes round. Leaving the grammar unchecked
//! while nothing is masked is not possible: a document that breaks becomes plain text from there
//! on, in which secrets may span what was structure.

#[cfg(test)]
pub(super) mod tests;
mod window;

use super::escape::{self, Escape};
use super::{MAX_SCALAR, NotJson, Quoted, Sink, State, Tokenizer};
use crate::base::lanes::WINDOW;
use window::{Open, Read};

/// Where a [`Tokenizer`] says what it skims: escapes as to a [`Sink`], each in the order of the
/// bytes, and after them all which containers are open.
pub(crate) trait Skimming: Sink {
    /// What matters about the strings that come next; `None` if one of them, or the one that is
    /// open, is of interest wherever it stands.
    fn skims(&self) -> Option<Skims>;

    /// Whether a key that ends with these two bytes may be one that [interests](Self::interests):
    /// 0 if not. If the key has but one, a quote stands before it.
    fn may_interest(&self, last: u8, before: u8) -> u32;

    /// Whether this key or its value is to be told in the calls of [`Sink`].
    fn interests(&self, name: &[u8]) -> bool;

    /// Tells of the escapes that begin at these `places` in `bytes`, which stand at the raw offset
    /// `raw`. Those before `from` were told. Gives where the last one ends.
    fn escapes(&mut self, bytes: &[u8], raw: u64, from: usize, places: &[u32]) -> usize {
        let mut end = from;
        for place in places {
            let at = *place as usize;
            // The second half of a pair was read with the first one.
            if at < end {
                continue;
            }
            if let Escape::Means {
                text,
                len,
                raw: raw_len,
            } = escape::read(bytes.get(at..).unwrap_or_default())
            {
                let text = text.get(..len).unwrap_or_default();
                self.unit(text, raw.wrapping_add(at as u64), raw_len as u32);
                end = at.wrapping_add(raw_len);
            }
        }
        end
    }

    /// These containers are open now.
    fn skimmed(&mut self, containers: Containers);
}

/// What matters to who is told what is skimmed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Skims {
    /// Whether it matters that a string, which is no key, begins with a blank, an escape or a
    /// bracket: such strings are told in the calls of [`Sink`].
    pub(crate) documents: bool,
    /// So many containers are known by more than their brackets: it matters whether one of them
    /// ends.
    pub(crate) known: u8,
}

/// Containers that are open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Containers {
    pub(crate) depth: u8,
    /// So many of them, the outermost ones, are those that were [known](Skims::known).
    pub(crate) known: u8,
    /// The lowest bit is that of the innermost one: 1 for an object.
    objects: u64,
}

impl Containers {
    /// Whether that at this depth is an array; that of the outermost is 0.
    pub(crate) fn is_array(self, depth: u8) -> bool {
        let within = self.depth.wrapping_sub(1).wrapping_sub(depth);
        self.objects.wrapping_shr(u32::from(within)) & 1 == 0
    }
}

/// Bytes that must follow a window, so that no escape that begins in it is cut.
const BEHIND: usize = escape::LONGEST;

/// So many bytes are read in the ordinary way where no window can be skimmed, and twice as many
/// each time that none can after that.
const STEP: usize = WINDOW;
/// Most bytes of such a step.
const LONGEST_STEP: usize = 4096;

/// Most containers that are open in what is skimmed: each has a bit in a word, and there is one bit
/// above them.
const MOST_OPEN: u8 = 62;

/// How many escapes are told at once.
const ESCAPES: usize = 2 * WINDOW;

impl Tokenizer {
    /// The same as [`read`](Self::read), for one who need not be told all.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub(crate) fn read_skimming(
        &mut self,
        bytes: &[u8],
        raw: u64,
        sink: &mut impl Skimming,
    ) -> Result<(), NotJson> {
        let (mut at, mut step) = (0_usize, STEP);
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let skimmed = self.skim(rest, raw.wrapping_add(at as u64), sink);
            at = at.wrapping_add(skimmed);
            step = if skimmed > 0 { STEP } else { step };
            let rest = bytes.get(at..).unwrap_or_default();
            let part = match rest.len() < const { WINDOW.wrapping_add(BEHIND) } {
                true => rest,
                false => rest.get(..step).unwrap_or(rest),
            };
            self.read(part, raw.wrapping_add(at as u64), sink)?;
            at = at.wrapping_add(part.len());
            if self.in_scalar() {
                // Skimming does not begin in a number.
                let rest = bytes.get(at..).unwrap_or_default();
                let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n');
                let longest = usize::from(MAX_SCALAR);
                let more = rest.iter().take(longest).position(ends);
                let more = more.map_or(longest, |end| end.wrapping_add(1));
                let part = rest.get(..more).unwrap_or(rest);
                self.read(part, raw.wrapping_add(at as u64), sink)?;
                at = at.wrapping_add(part.len());
            }
            step = step.wrapping_mul(2).min(LONGEST_STEP);
        }
        Ok(())
    }

    /// Reads as many windows as it can; gives how many bytes these are.
    #[inline(never)]
    fn skim(&mut self, bytes: &[u8], raw: u64, sink: &mut impl Skimming) -> usize {
        let (Some(mut open), Some(skims)) = (self.open(), sink.skims()) else {
            return 0;
        };
        let mut read = Read {
            bytes,
            at: 0,
            known: skims.known.max(1),
            documents: skims.documents,
            places: [0; ESCAPES],
            count: 0,
        };
        let mut end = 0;
        while let Some(window) = window_at(bytes, read.at) {
            let Some((next, length)) = read.window(window, open, sink) else {
                break;
            };
            open = next;
            read.at = read.at.wrapping_add(length);
            if read.count > const { ESCAPES.wrapping_sub(WINDOW) } {
                end = sink.escapes(bytes, raw, end, read.places());
                read.count = 0;
            }
        }
        if read.at == 0 {
            return 0;
        }
        end = sink.escapes(bytes, raw, end, read.places());
        self.close_with(&read, open, raw, sink);
        // An escape that the end of the last window cuts was read whole.
        end.max(read.at)
    }

    /// What is open, if all of it is what is skimmed.
    fn open(&self) -> Option<Open> {
        let open = Open::default();
        let mut open = match self.state {
            State::Inside(Quoted::Value) => Open {
                string: u64::MAX,
                ..open
            },
            State::KeyOrEnd => Open {
                key: 1,
                end: 1,
                ..open
            },
            State::Key => Open { key: 1, ..open },
            State::Value => Open { value: 1, ..open },
            State::ValueOrEnd => Open {
                value: 1,
                end: 1,
                ..open
            },
            State::AfterValue => Open { end: 1, ..open },
            State::Colon => open,
            State::Inside(Quoted::Key)
            | State::Beginning(_)
            | State::Number(_)
            | State::Literal(_) => return None,
        };
        if self.depth == 0 || self.depth > MOST_OPEN || self.cut_len > 0 {
            return None;
        }
        let highest = 1_u64.wrapping_shl(u32::from(self.depth));
        open.containers = highest | self.containers as u64 & highest.wrapping_sub(1);
        Some(open)
    }

    /// What was skimmed ends here.
    fn close_with(&mut self, read: &Read<'_>, open: Open, raw: u64, sink: &mut impl Skimming) {
        let depth = open.depth();
        let objects = open.containers & !1_u64.wrapping_shl(depth);
        self.depth = depth as u8;
        self.containers = u128::from(objects);
        sink.skimmed(Containers {
            depth: self.depth,
            known: read.known.min(self.depth),
            objects,
        });
        let is_in_key = open.in_key != 0;
        self.state = match (open.string != 0, open.key, open.value, open.end) {
            (true, ..) if is_in_key => State::Inside(Quoted::Key),
            (true, ..) => State::Inside(Quoted::Value),
            (_, 1, _, 1) => State::KeyOrEnd,
            (_, 1, ..) => State::Key,
            (_, _, 1, 1) => State::ValueOrEnd,
            (_, _, 1, _) => State::Value,
            (.., 1) => State::AfterValue,
            _ => State::Colon,
        };
        // A string of which more is to be known than where it ends.
        if is_in_key || open.begun != 0 {
            let before = read.bytes.get(..read.at).unwrap_or_default();
            // Nothing in it is escaped, so it begins with the last quote.
            let quote = before.iter().rposition(|byte| *byte == b'"').unwrap_or(0);
            sink.string_start(is_in_key, raw.wrapping_add(quote as u64));
            let content = quote.wrapping_add(1);
            let plain = before.get(content..).unwrap_or_default();
            if !plain.is_empty() {
                sink.plain(plain, raw.wrapping_add(content as u64));
            }
        }
    }
}

/// The window at `at`, if enough bytes follow it.
#[inline]
fn window_at(bytes: &[u8], at: usize) -> Option<&[u8; WINDOW]> {
    let rest = bytes.get(at..)?;
    let is_enough = rest.len() >= const { WINDOW.wrapping_add(BEHIND) };
    rest.first_chunk().filter(|_| is_enough)
}
