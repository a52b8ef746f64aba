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

mod sink;
#[cfg(test)]
pub(super) mod tests;
mod window;

pub(crate) use sink::{Containers, Skimming, Skims};

use super::{MAX_SCALAR, NotJson, Quoted, State, Tokenizer};
use crate::base::lanes::WINDOW;
use window::{BEHIND, ESCAPES, Open, Read, window_at};

/// So many bytes are read in the ordinary way where no window can be skimmed, and twice as many
/// each time that none can after that.
const STEP: usize = WINDOW;
/// Most bytes of such a step.
const LONGEST_STEP: usize = 4096;

/// Most containers that are open in what is skimmed: each has a bit in a word, and there is one bit
/// above them.
const MOST_OPEN: u8 = 62;

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
