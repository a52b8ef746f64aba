//! The same reading byte by byte: what the fast one must say, and what it is compared with.

use super::escape::{self, Escape};
use super::skip::{BACKSLASHES, QUOTES, zero};
use super::{NotJson, Quoted, Sink, State, Tokenizer};

impl Tokenizer {
    /// See [`read`](Self::read).
    pub(super) fn read_slowly(
        &mut self,
        bytes: &[u8],
        raw: u64,
        sink: &mut impl Sink,
    ) -> Result<(), NotJson> {
        let mut rest = bytes;
        let mut at = raw;
        while self.cut_len > 0 && !rest.is_empty() {
            (rest, at) = self.complete(rest, at, sink);
        }
        loop {
            if let State::Inside(quoted) = self.state {
                let (after, after_at, ended) = self.string_slowly(rest, at, sink);
                (rest, at) = (after, after_at);
                if !ended {
                    return Ok(());
                }
                self.state = match quoted {
                    Quoted::Key => State::Colon,
                    Quoted::Value => self.after_value(),
                };
            }
            let Some((&byte, after)) = rest.split_first() else {
                return Ok(());
            };
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' if !self.in_scalar() => {}
                _ => self.byte(byte, at, sink)?,
            }
            rest = after;
            at = at.saturating_add(1);
        }
    }

    /// Reads a string on. Gives what comes after it, and whether it ended.
    fn string_slowly<'a>(
        &mut self,
        bytes: &'a [u8],
        raw: u64,
        sink: &mut impl Sink,
    ) -> (&'a [u8], u64, bool) {
        let mut rest = bytes;
        let mut at = raw;
        loop {
            let Some(found) = special(rest) else {
                if !rest.is_empty() {
                    sink.plain(rest, at);
                }
                return (&[], at.saturating_add(rest.len() as u64), false);
            };
            let (plain, special) = rest.split_at_checked(found).unwrap_or((rest, &[]));
            if !plain.is_empty() {
                sink.plain(plain, at);
            }
            at = at.saturating_add(found as u64);
            let skip = match special.first() {
                Some(b'"') => {
                    sink.string_end(at);
                    let after = special.get(1..).unwrap_or_default();
                    return (after, at.saturating_add(1), true);
                }
                _ => match escape::read(special) {
                    Escape::Means { text, len, raw } => {
                        let text = text.get(..len).unwrap_or_default();
                        sink.unit(text, at, u32::try_from(raw).unwrap_or(0));
                        raw
                    }
                    Escape::Nothing { raw } => {
                        sink.plain(special.get(..raw).unwrap_or_default(), at);
                        raw
                    }
                    Escape::Cut => {
                        self.cut_at = at;
                        self.cut_len = special.len().min(escape::LONGEST);
                        for (to, from) in self.cut.iter_mut().zip(special) {
                            *to = *from;
                        }
                        return (&[], at.saturating_add(special.len() as u64), false);
                    }
                },
            };
            rest = special.get(skip..).unwrap_or_default();
            at = at.saturating_add(skip as u64);
        }
    }
}

/// Where the first quote or backslash stands. Most strings are short: a call of the vector search
/// costs more than looking at a few words.
fn special(text: &[u8]) -> Option<usize> {
    let (words, _) = text.as_chunks::<8>();
    let mut at = 0_usize;
    for word in words.iter().take(4) {
        let word = u64::from_le_bytes(*word);
        let found = zero(word ^ QUOTES) | zero(word ^ BACKSLASHES);
        if found != 0 {
            let byte = found.trailing_zeros() >> 3;
            return Some(at.saturating_add(byte as usize));
        }
        at = at.saturating_add(8);
    }
    let rest = text.get(at..)?;
    memchr::memchr2(b'"', b'\\', rest).map(|found| found.saturating_add(at))
}
