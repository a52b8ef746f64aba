//! Reads through what hides a secret from a reader of bytes but not from a reader of text.
//!
//! Escapes of other languages in a text (`\u005f`, `\x5f`, `\/`, `%5F`, `&#95;`), as tool calls,
//! URLs and HTML have them, and characters without width between those of a secret. Each becomes
//! the character that it means, for finding only: raw bytes are changed where a secret is, as
//! always.
//!
//! Only what means a character that tokens consist of, or one without width, is read through. What
//! parts words stays as it is (`\n`, `&quot;`, `%40`): patterns and
//! [`Left`](crate::masking::detectors::rule::Left) know it, and in `user:pass%40word@host` it must
//! not end the password. A word may begin right after anything that is read through (*softly*): it
//! may as well stand for itself.
//!
//! What hides nothing costs one pass that looks for six bytes.

use super::{
    meaning::{Found, Meaning, is_unreserved, means},
    piece::Piece,
    references,
};
use crate::base::lanes::{WIDE, Wanted};
use crate::masking::{bodies::fault, offsets::RawAt};

/// What is carried from push to push.
#[derive(Clone, Default)]
pub(in crate::masking) struct Fold {
    /// The beginning of what may be an escape, cut by the end of the last push.
    carry: Vec<u8>,
    carried: Vec<Piece>,
    /// A word may begin at the next byte, softly.
    soft: bool,
    /// What was folded last.
    pub(in crate::masking) text: Vec<u8>,
    pub(in crate::masking) pieces: Vec<Piece>,
    pub(in crate::masking) seams: Vec<usize>,
    /// Offsets in `text` at which a word may begin softly.
    pub(in crate::masking) breaks: Vec<usize>,
}

impl std::fmt::Debug for Fold {
    /// Without what it holds: it may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fold").finish_non_exhaustive()
    }
}

/// Whether something in `text`, a text of its own, does not stand for itself.
pub(in crate::masking) fn hides(text: &[u8]) -> bool {
    first_hidden(text).is_some()
}

/// The offset in `text`, a text of its own, of the first thing that does not stand for itself.
pub(in crate::masking) fn first_hidden(text: &[u8]) -> Option<usize> {
    first_found(text, &[])
}

/// Most backslashes that belong to an escape: JSON in JSON doubles them. More stand for themselves
/// before it.
const MAX_BACKSLASHES: usize = 16;

impl Fold {
    /// Whether nothing is carried.
    pub(in crate::masking) fn is_idle(&self) -> bool {
        self.carry.is_empty() && !self.soft
    }

    /// Whether `text` stands for itself, so that it need not be [read](Self::read).
    #[inline]
    pub(in crate::masking) fn is_plain(&self, text: &[u8]) -> bool {
        self.is_idle() && next(text, 0).is_none()
    }

    /// Reads the next bytes of a text into `self.text` and what belongs to it. If there is nothing
    /// to fold they stay as they are and the answer is `false`.
    pub(in crate::masking) fn read(
        &mut self,
        text: &[u8],
        pieces: &[Piece],
        seams: &[usize],
        ended: bool,
    ) -> bool {
        let first = first_found(text, seams);
        if self.carry.is_empty() && !self.soft && first.is_none() {
            return false;
        }
        self.clear();
        // What is carried stands at the beginning, too.
        if std::mem::take(&mut self.soft) {
            self.breaks.push(0);
        }
        if self.carry.is_empty() {
            self.copy(text, pieces, seams, ended);
        } else {
            let mut whole = std::mem::take(&mut self.carry);
            let mut places = std::mem::take(&mut self.carried);
            let known = whole.len();
            whole.extend_from_slice(text);
            places.extend_from_slice(pieces);
            let seams: Vec<usize> = seams.iter().map(|at| at.saturating_add(known)).collect();
            self.copy(&whole, &places, &seams, ended);
        }
        true
    }

    /// Where what is carried stands.
    pub(in crate::masking) fn undecided(&self) -> Option<RawAt> {
        self.carried.first().map(|piece| piece.raw)
    }

    fn clear(&mut self) {
        self.text.clear();
        self.pieces.clear();
        self.seams.clear();
        self.breaks.clear();
    }

    fn copy(&mut self, text: &[u8], pieces: &[Piece], seams: &[usize], ended: bool) {
        let mut seams = seams.iter().copied().peekable();
        let mut source = Source {
            text,
            pieces,
            begun: 0,
            done: 0,
        };
        let mut from = 0;
        while let Some(at) = next(text, from) {
            while let Some(seam) = seams.next_if(|seam| *seam <= at) {
                source.copy_to(seam, self);
                self.seams.push(self.text.len());
            }
            let end = seams.peek().copied().unwrap_or(text.len());
            let is_end = ended || seams.peek().is_some();
            match found(text.get(at..end).unwrap_or_default(), is_end) {
                Found::Means(length, meaning) => {
                    source.copy_to(at, self);
                    from = at.saturating_add(length);
                    source.unit(from, meaning, self);
                    // A slash that is escaped is nothing unusual.
                    if meaning != Meaning::of(b'/') {
                        self.breaks.push(self.text.len());
                    }
                }
                Found::Cut if seams.peek().is_none() && !ended => {
                    source.copy_to(at, self);
                    let mut rest = Self::default();
                    source.copy_to(text.len(), &mut rest);
                    // Where it stands is asked for until it is decided.
                    fault::check(|| !rest.pieces.is_empty(), "what is carried stands nowhere");
                    self.carry = rest.text;
                    self.carried = rest.pieces;
                    break;
                }
                Found::Nothing | Found::Cut => {
                    from = at.saturating_add(skipped(text.get(at..end).unwrap_or_default()));
                }
            }
        }
        if self.carry.is_empty() {
            for seam in seams {
                source.copy_to(seam, self);
                self.seams.push(self.text.len());
            }
            source.copy_to(text.len(), self);
        }
        if self.breaks.last() == Some(&self.text.len()) && !self.text.is_empty() {
            self.breaks.pop();
            self.soft = true;
        } else if self.text.is_empty() && !self.breaks.is_empty() {
            self.breaks.clear();
            self.soft = true;
        }
    }
}

/// What is copied from.
struct Source<'a> {
    text: &'a [u8],
    /// Those that are not done.
    pieces: &'a [Piece],
    /// Offset of the first of them.
    begun: usize,
    done: usize,
}

impl Source<'_> {
    /// The next piece, as far as it reaches up to the offset `to`.
    fn next_piece(&mut self, to: usize) -> Option<Piece> {
        let (&piece, later) = self.pieces.split_first()?;
        let length = usize::try_from(piece.len).unwrap_or(usize::MAX);
        let end = self.begun.saturating_add(length);
        if self.done >= to && length > 0 {
            return None;
        }
        let upto = end.min(to);
        let into = self.done.saturating_sub(self.begun) as u64;
        let len = u32::try_from(upto.saturating_sub(self.done)).unwrap_or(0);
        let part = if piece.is_plain() {
            Piece {
                len,
                raw: piece.raw.plus(into),
                raw_len: len,
            }
        } else if into == 0 {
            Piece { len, ..piece }
        } else {
            Piece {
                len,
                raw: piece.raw_span().to,
                raw_len: 0,
            }
        };
        self.done = upto;
        if upto == end {
            self.pieces = later;
            self.begun = end;
        }
        Some(part)
    }

    /// Copies up to the offset `to`.
    fn copy_to(&mut self, to: usize, out: &mut Fold) {
        let text = self.text.get(self.done..to).unwrap_or_default();
        out.text.extend_from_slice(text);
        while self.done < to
            && let Some(piece) = self.next_piece(to)
        {
            out.pieces.push(piece);
        }
        self.done = self.done.max(to);
    }

    /// Writes what the bytes up to `to` mean. Where they are not together in the raw bytes, the
    /// later ones mean nothing: what stands between them is not theirs.
    fn unit(&mut self, to: usize, meaning: Meaning, out: &mut Fold) {
        let mut len = u32::from(meaning.len());
        out.text.extend_from_slice(meaning.as_bytes());
        let mut whole: Option<Piece> = None;
        while self.done < to
            && let Some(part) = self.next_piece(to)
        {
            match &mut whole {
                Some(unit) if unit.raw_span().to == part.raw => {
                    unit.raw_len = unit.raw_len.saturating_add(part.raw_len);
                }
                _ => {
                    out.pieces.extend(whole.take());
                    whole = Some(Piece {
                        len: std::mem::take(&mut len),
                        ..part
                    });
                }
            }
        }
        out.pieces.extend(whole);
    }
}

/// The next byte at or after `from` that may begin something.
///
/// One pass for all of them: two searches, each for three bytes, read a text that has many of one
/// kind and none of the other over and over.
#[inline]
fn next(text: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let (blocks, _) = rest.as_chunks();
    let clean = blocks
        .iter()
        .take_while(|block| !BEGINNINGS.any_in(block))
        .count();
    let clean = clean.saturating_mul(WIDE);
    let begins = |&byte: &u8| BEGINS.get(usize::from(byte)).is_some_and(|begins| *begins);
    let at = rest.get(clean..)?.iter().position(begins)?;
    Some(from.saturating_add(clean).saturating_add(at))
}

/// The bytes that something to fold may begin with.
const FIRST_BYTES: [u8; 6] = [b'\\', b'%', b'&', 0xE2, 0xEF, 0xC2];

static BEGINNINGS: Wanted<6> = Wanted::new(FIRST_BYTES);

/// The same for each byte: one look-up is less than six comparisons where bytes are asked singly.
static BEGINS: [bool; 256] = {
    let mut table = [false; 256];
    let mut rest: &[u8] = &FIRST_BYTES;
    while let [byte, more @ ..] = rest {
        if let Some(slot) = table.split_at_mut(*byte as usize).1.first_mut() {
            *slot = true;
        }
        rest = more;
    }
    table
};

/// The first place where there is something to fold, or the beginning of it.
fn first_found(text: &[u8], seams: &[usize]) -> Option<usize> {
    let mut from = 0;
    let mut seams = seams.iter().copied().peekable();
    while let Some(at) = next(text, from) {
        while seams.next_if(|seam| *seam <= at).is_some() {}
        let end = seams.peek().copied();
        let rest = text.get(at..end.unwrap_or(text.len())).unwrap_or_default();
        match found(rest, end.is_some()) {
            Found::Means(..) => return Some(at),
            Found::Cut if end.is_none() => return Some(at),
            _ => {}
        }
        from = at.saturating_add(skipped(rest));
    }
    None
}

/// How many bytes stand for themselves where nothing was found: of a run of backslashes all, but of
/// a longer one than counts its beginning only. So what its end escapes does not depend on where a
/// chunk cuts it.
fn skipped(bytes: &[u8]) -> usize {
    let run = bytes.iter().take_while(|b| **b == b'\\').count();
    match run.saturating_sub(MAX_BACKSLASHES) {
        0 => run.max(1),
        longer => longer,
    }
}

/// What stands there; `is_end`: nothing comes behind these bytes.
fn found(bytes: &[u8], is_end: bool) -> Found {
    match bytes {
        [b'\\', ..] => backslash(bytes),
        [b'%', rest @ ..] => percent(rest),
        [b'&', rest @ ..] => references::read(rest, is_end),
        [0xE2, 0x80, 0x8B..=0x8F, ..]
        | [0xE2, 0x81, 0xA0..=0xA4, ..]
        | [0xEF, 0xBB, 0xBF, ..]
        | [0xEF, 0xB8, 0x80..=0x8F, ..] => Found::Means(3, Meaning::NOTHING),
        [0xC2, 0xAD, ..] => Found::Means(2, Meaning::NOTHING),
        [0xE2 | 0xEF | 0xC2] | [0xE2, 0x80 | 0x81] | [0xEF, 0xBB | 0xB8] => Found::Cut,
        _ => Found::Nothing,
    }
}

/// The number in the first `count` hexadecimal digits; `None` in `Ok` if it is cut.
fn hex(digits: &[u8], count: usize) -> Result<Option<u32>, ()> {
    let mut number = 0;
    for &digit in digits.iter().take(count) {
        let digit = char::from(digit).to_digit(16).ok_or(())?;
        number = (number << 4) | digit;
    }
    Ok((digits.len() >= count).then_some(number))
}

/// `\u0041`, `\x41`, `\/`, with any number of backslashes.
fn backslash(bytes: &[u8]) -> Found {
    let run = bytes.iter().take_while(|b| **b == b'\\').count();
    if run > MAX_BACKSLASHES {
        return Found::Nothing;
    }
    let after = bytes.get(run..).unwrap_or_default();
    let (count, digits) = match after {
        [] => return Found::Cut,
        [b'/', ..] => return Found::Means(run.saturating_add(1), Meaning::of(b'/')),
        [b'u', digits @ ..] => (4, digits),
        [b'x', digits @ ..] => (2, digits),
        _ => return Found::Nothing,
    };
    match hex(digits, count) {
        Ok(Some(number)) => means(number, run.saturating_add(1).saturating_add(count)),
        Ok(None) => Found::Cut,
        Err(()) => Found::Nothing,
    }
}

/// `%41`, also `%2541`.
fn percent(rest: &[u8]) -> Found {
    let mut digits = rest;
    let mut length = 1_usize;
    for _ in 0..3 {
        match digits {
            [b'2', b'5', after @ ..] if !after.is_empty() => match hex(after, 2) {
                Ok(None) => return Found::Cut,
                Ok(Some(_)) => {
                    digits = after;
                    length = length.saturating_add(2);
                }
                Err(()) => break,
            },
            [b'2', b'5'] => return Found::Cut,
            _ => break,
        }
    }
    match hex(digits, 2).map(|number| number.map(u8::try_from)) {
        // Others are encoded for a reason: `pass%40word@host` is a password with an `@` in it.
        Ok(Some(Ok(byte))) if is_unreserved(byte) => {
            Found::Means(length.saturating_add(2), Meaning::of(byte))
        }
        Ok(None) => Found::Cut,
        _ => Found::Nothing,
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Text in which much may begin something to fold and little does.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let bytes = prop_oneof![
            30 => proptest::sample::select(b"abc ".to_vec()),
            1 => proptest::sample::select(vec![b'\\', b'%', b'&', 0xE2, 0xEF, 0xC2]),
        ];
        proptest::collection::vec(bytes, 0..300)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn every_byte_that_may_begin_something_is_found(text in text()) {
            let mut found = Vec::new();
            let mut from = 0;
            while let Some(at) = next(&text, from) {
                found.push(at);
                from = at + 1;
            }
            let expected: Vec<usize> =
                (0..text.len()).filter(|&at| matches!(text[at], b'\\' | b'%' | b'&' | 0xE2 | 0xEF | 0xC2)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn text_full_of_what_may_begin_something_is_read_once() {
        // Lines of tables, an E2 every third byte: read from each of them to the end this would
        // take minutes.
        let text = "─".repeat(4 << 20);
        assert_eq!(first_found(text.as_bytes(), &[]), None);
    }
}
