//! Passing over a string of which nothing is wanted but its end.

use super::escape::{self, Escape};

/// How long the rest of a string is, up to its closing quote, and whether an escape is in it.
/// `None` if it does not end, or if a control character is in it: those may have a meaning for what
/// the JSON stands in.
#[inline]
pub(crate) fn skip_string(bytes: &[u8]) -> Option<(usize, bool)> {
    let (mut at, mut escaped) = (0_usize, false);
    loop {
        let rest = bytes.get(at..)?;
        let found = quote_or_control(rest)?;
        let special = rest.get(found..)?;
        at = at.saturating_add(found);
        match special.first()? {
            b'"' => return Some((at, escaped)),
            b'\\' => {
                let raw = match escape::read(special) {
                    Escape::Means { raw, .. } => {
                        escaped = true;
                        raw
                    }
                    Escape::Nothing { raw } => raw,
                    Escape::Cut => return None,
                };
                at = at.saturating_add(raw);
            }
            _ => return None,
        }
    }
}

/// Where the first quote, backslash or control character stands.
#[inline]
fn quote_or_control(text: &[u8]) -> Option<usize> {
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    let (words, rest) = text.as_chunks::<8>();
    let mut at = 0_usize;
    for word in words {
        let word = u64::from_le_bytes(*word);
        // The same with a borrow from 0x20: a byte below it sets its high bit.
        let control = word.wrapping_sub(u64::from_ne_bytes([0x20; 8])) & !word & HIGH;
        let found = control | zero(word ^ QUOTES) | zero(word ^ BACKSLASHES);
        if found != 0 {
            let byte = found.trailing_zeros() >> 3;
            return Some(at.saturating_add(byte as usize));
        }
        at = at.saturating_add(8);
    }
    let found = rest.iter().position(is_special)?;
    Some(at.saturating_add(found))
}

const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
pub(super) const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
pub(super) const BACKSLASHES: u64 = u64::from_ne_bytes([b'\\'; 8]);

/// Sets the high bit of the first byte that is 0; those of bytes after it perhaps wrongly, those
/// before it never.
#[inline]
pub(super) const fn zero(word: u64) -> u64 {
    word.wrapping_sub(u64::from_ne_bytes([1; 8])) & !word & HIGH
}
