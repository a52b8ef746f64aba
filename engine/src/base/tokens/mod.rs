//! Reads JSON (RFC 8259) as it comes, cut anywhere, and says where its strings are.
//!
//! What it promises: the same calls for every cutting (but for `plain` and `scalar`, which come in
//! parts), raw offsets for all, constant memory, and an error at the first byte that is not JSON.
//! Several values may follow each other, on lines (NDJSON), with record separators (RFC 7464) or as
//! they are. Inside of strings it is lenient: raw control characters and unknown escapes stand for
//! themselves, since some readers take them.
//!
//! Strings and blanks are not read byte by byte: quotes and backslashes are found for 64 bytes at
//! once ([`Marks`]), and what stands between them is passed over. What the slow way says, byte by
//! byte, is what this one is tested against (`reference`). Who need not be told all is told less,
//! in less time ([`Skimming`]).
//!
//! No parser that one can depend on does this: they want the document whole, or forget where in the
//! bytes a string stood, or stop for good at the first fault.

pub(crate) mod escape;
mod marks;
#[cfg(test)]
mod reference;
mod skim;
mod skip;
#[cfg(test)]
mod tests;

pub(crate) use skim::{Containers, Skimming, Skims};
pub(crate) use skip::skip_string;

use escape::Escape;
use marks::{Marks, blank};

/// Deepest nesting that is read as JSON.
pub(crate) const MAX_DEPTH: u8 = 128;

/// Longest number or literal that is read as one; longer ones are no JSON.
pub(crate) const MAX_SCALAR: u8 = 64;

/// Where a [`Tokenizer`] says what it reads. `raw` is an offset from the beginning of the stream.
pub(crate) trait Sink {
    /// One of `{ } [ ] , :`.
    fn structure(&mut self, byte: u8, raw: u64) {
        let _ = (byte, raw);
    }

    /// A string begins; `raw` is that of its opening quote.
    fn string_start(&mut self, is_key: bool, raw: u64) {
        let _ = (is_key, raw);
    }

    /// A part of a string that stands in the raw bytes as it is.
    fn plain(&mut self, text: &[u8], raw: u64) {
        let _ = (text, raw);
    }

    /// An escape: what it means, and the `raw_len` bytes where it stands. A lone surrogate means
    /// U+FFFD.
    fn unit(&mut self, text: &[u8], raw: u64, raw_len: u32) {
        let _ = (text, raw, raw_len);
    }

    /// The string ends; `raw` is that of its closing quote.
    fn string_end(&mut self, raw: u64) {
        let _ = raw;
    }

    /// A part of a number, or of `true`, `false` or `null`.
    fn scalar(&mut self, text: &[u8], raw: u64) {
        let _ = (text, raw);
    }
}

/// What the bytes so far leave open.
#[derive(Debug, Clone)]
pub(crate) struct Tokenizer {
    state: State,
    /// One bit for each open container: 1 for an object.
    containers: u128,
    depth: u8,
    /// Where the number or literal that goes on began, and its length.
    scalar: (u64, u8),
    /// The beginning of an escape that was cut, where it stands, and its length.
    cut: [u8; escape::LONGEST],
    cut_at: u64,
    cut_len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The stream begins; so many bytes of a byte order mark were read.
    Beginning(u8),
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    AfterValue,
    Inside(Quoted),
    Number(Number),
    Literal(&'static [u8]),
}

/// Which string goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quoted {
    Key,
    Value,
}

/// Where in a number (RFC 8259 §6) we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    Sign,
    Power,
}

/// The bytes are not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotJson {
    /// Raw offset from which on they are not; the beginning of a number or literal that is none.
    pub(crate) raw: u64,
}

const MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

impl Tokenizer {
    /// At the beginning of a stream.
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Beginning(0),
            containers: 0,
            depth: 0,
            scalar: (0, 0),
            cut: [0; escape::LONGEST],
            cut_at: 0,
            cut_len: 0,
        }
    }

    /// Reads the next bytes, which stand at the raw offset `raw`. They need not follow the last
    /// ones in the stream, but must do so in the text.
    ///
    /// # Errors
    /// The first place that is not JSON. Nothing after it was read, and nothing more can be.
    #[inline]
    pub(crate) fn read(
        &mut self,
        bytes: &[u8],
        raw: u64,
        sink: &mut impl Sink,
    ) -> Result<(), NotJson> {
        let (mut bytes, mut raw) = (bytes, raw);
        while self.cut_len > 0 && !bytes.is_empty() {
            (bytes, raw) = self.complete(bytes, raw, sink);
        }
        let mut marks = Marks::new(bytes);
        let mut at = 0_usize;
        loop {
            if let State::Inside(quoted) = self.state {
                let Some(after) = self.string(&mut marks, at, raw, sink) else {
                    return Ok(());
                };
                at = after;
                self.state = match quoted {
                    Quoted::Key => State::Colon,
                    Quoted::Value => self.after_value(),
                };
            }
            let Some(&byte) = bytes.get(at) else {
                return Ok(());
            };
            let place = raw.wrapping_add(at as u64);
            // What nearly all of JSON consists of comes first, a branch of its own for each place
            // in the grammar, so that the processor learns what follows there; all else, faults
            // too, is for `byte`.
            let length = match self.state {
                State::Colon if byte == b':' => {
                    sink.structure(byte, place);
                    self.state = State::Value;
                    if bytes.get(at.wrapping_add(1)) == Some(&b'"') {
                        sink.string_start(false, place.wrapping_add(1));
                        self.state = State::Inside(Quoted::Value);
                        2
                    } else {
                        1
                    }
                }
                State::Value | State::ValueOrEnd if byte == b'"' => {
                    sink.string_start(false, place);
                    self.state = State::Inside(Quoted::Value);
                    1
                }
                State::Key | State::KeyOrEnd if byte == b'"' => {
                    sink.string_start(true, place);
                    self.state = State::Inside(Quoted::Key);
                    1
                }
                State::AfterValue if byte == b',' => {
                    sink.structure(byte, place);
                    let is_object = self.containers & 1 == 1;
                    self.state = if is_object { State::Key } else { State::Value };
                    if bytes.get(at.wrapping_add(1)) == Some(&b'"') {
                        sink.string_start(is_object, place.wrapping_add(1));
                        self.state = State::Inside(if is_object {
                            Quoted::Key
                        } else {
                            Quoted::Value
                        });
                        2
                    } else {
                        1
                    }
                }
                State::Number(_) | State::Literal(_) => {
                    match self.scalar_run(bytes.get(at..).unwrap_or_default(), place, sink) {
                        0 if self.in_scalar() => {
                            self.scalar_byte(byte, place, sink)?;
                            1
                        }
                        length => length,
                    }
                }
                _ if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') => blank(bytes, at),
                _ => {
                    self.byte(byte, place, sink)?;
                    1
                }
            };
            at = at.wrapping_add(length);
        }
    }

    /// The text ended: a cut escape stands for itself.
    pub(crate) fn finish(&mut self, sink: &mut impl Sink) {
        // A part without bytes would be told as one at the place of the escape before.
        if self.cut_len > 0 {
            let cut = self.cut;
            sink.plain(cut.get(..self.cut_len).unwrap_or_default(), self.cut_at);
            self.cut_len = 0;
        }
    }

    /// Raw offset of an escape, a number or a literal that the last bytes cut; nothing is known of
    /// it yet.
    pub(crate) fn pending(&self) -> Option<u64> {
        if self.cut_len > 0 {
            Some(self.cut_at)
        } else {
            self.in_scalar().then_some(self.scalar.0)
        }
    }

    /// Whether the next byte is in a string.
    pub(crate) fn in_string(&self) -> bool {
        matches!(self.state, State::Inside(_))
    }

    /// How many containers are open; 0 between values.
    pub(crate) fn depth(&self) -> u8 {
        self.depth
    }

    /// Whether the bytes so far are whole values.
    pub(crate) fn is_whole(&self) -> bool {
        let is_whole = match self.state {
            State::Number(number) => number.is_complete(),
            State::Literal(rest) => rest.is_empty(),
            State::Inside(_) => false,
            _ => true,
        };
        is_whole && self.depth == 0 && self.cut_len == 0
    }

    fn in_scalar(&self) -> bool {
        matches!(self.state, State::Number(_) | State::Literal(_))
    }

    fn after_value(&self) -> State {
        if self.depth == 0 {
            State::Value
        } else {
            State::AfterValue
        }
    }

    /// Reads a string on from the offset `from`; the bytes begin at the raw offset `raw`. Gives
    /// where it ended.
    #[inline]
    fn string(
        &mut self,
        marks: &mut Marks<'_>,
        from: usize,
        raw: u64,
        sink: &mut impl Sink,
    ) -> Option<usize> {
        let mut at = from;
        loop {
            let found = marks.next(at);
            let place = raw.wrapping_add(found as u64);
            if found > at {
                let plain = marks.bytes.get(at..found).unwrap_or_default();
                sink.plain(plain, raw.wrapping_add(at as u64));
            }
            let special = marks.bytes.get(found..).unwrap_or_default();
            let skip = match special.first() {
                None => return None,
                Some(b'"') => {
                    sink.string_end(place);
                    return Some(found.wrapping_add(1));
                }
                Some(_) => match escape::read(special) {
                    Escape::Means { text, len, raw } => {
                        let text = text.get(..len).unwrap_or_default();
                        sink.unit(text, place, u32::try_from(raw).unwrap_or(0));
                        raw
                    }
                    Escape::Nothing { raw } => {
                        sink.plain(special.get(..raw).unwrap_or_default(), place);
                        raw
                    }
                    Escape::Cut => {
                        self.cut_at = place;
                        self.cut_len = special.len().min(escape::LONGEST);
                        for (to, from) in self.cut.iter_mut().zip(special) {
                            *to = *from;
                        }
                        return None;
                    }
                },
            };
            at = found.wrapping_add(skip);
        }
    }

    /// Reads a cut escape on, by a byte. Gives what is still to be read.
    fn complete<'a>(&mut self, rest: &'a [u8], at: u64, sink: &mut impl Sink) -> (&'a [u8], u64) {
        let known = self.cut_len;
        let mut bytes = self.cut;
        let mut len = known;
        let mut taken = 0_usize;
        for (to, from) in bytes.iter_mut().skip(known).zip(rest) {
            *to = *from;
            len = len.saturating_add(1);
            taken = taken.saturating_add(1);
        }
        let whole = bytes.get(..len).unwrap_or_default();
        let used = match escape::read(whole) {
            Escape::Means { text, len, raw } => {
                let text = text.get(..len).unwrap_or_default();
                sink.unit(text, self.cut_at, u32::try_from(raw).unwrap_or(0));
                raw
            }
            Escape::Nothing { raw } => {
                sink.plain(whole.get(..raw).unwrap_or_default(), self.cut_at);
                raw
            }
            Escape::Cut => {
                self.cut = bytes;
                self.cut_len = len;
                return (&[], at.saturating_add(taken as u64));
            }
        };
        if used < known {
            // Half of a pair that none followed: what was read of the other half comes again.
            let again = self.cut;
            self.cut_len = known.saturating_sub(used);
            self.cut_at = self.cut_at.saturating_add(used as u64);
            for (to, from) in self.cut.iter_mut().zip(again.iter().skip(used)) {
                *to = *from;
            }
            return (rest, at);
        }
        self.cut_len = 0;
        let used = used.saturating_sub(known);
        let rest = rest.get(used..).unwrap_or_default();
        (rest, at.saturating_add(used as u64))
    }

    /// Reads a byte outside of strings.
    #[inline]
    fn byte(&mut self, byte: u8, raw: u64, sink: &mut impl Sink) -> Result<(), NotJson> {
        if let State::Number(_) | State::Literal(_) = self.state {
            return self.scalar_byte(byte, raw, sink);
        }
        let is_object = self.containers & 1 == 1;
        self.state = match (byte, self.state) {
            (b'"', State::Value | State::ValueOrEnd | State::Beginning(0)) => {
                sink.string_start(false, raw);
                State::Inside(Quoted::Value)
            }
            (b'"', State::Key | State::KeyOrEnd) => {
                sink.string_start(true, raw);
                State::Inside(Quoted::Key)
            }
            (b':', State::Colon) => {
                sink.structure(byte, raw);
                State::Value
            }
            (b',', State::AfterValue) => {
                sink.structure(byte, raw);
                if is_object { State::Key } else { State::Value }
            }
            (b'{' | b'[', State::Value | State::ValueOrEnd | State::Beginning(0))
                if self.depth < MAX_DEPTH =>
            {
                sink.structure(byte, raw);
                self.depth = self.depth.saturating_add(1);
                self.containers = (self.containers << 1) | u128::from(byte == b'{');
                match byte {
                    b'{' => State::KeyOrEnd,
                    _ => State::ValueOrEnd,
                }
            }
            (b'}', State::AfterValue | State::KeyOrEnd) if is_object => self.close(byte, raw, sink),
            (b']', State::AfterValue | State::ValueOrEnd) if !is_object => {
                self.close(byte, raw, sink)
            }
            (_, State::Beginning(n)) if MARK.get(usize::from(n)) == Some(&byte) => match n {
                0 | 1 => State::Beginning(n.saturating_add(1)),
                _ => State::Value,
            },
            // Records (RFC 7464 §2.2).
            (0x1E, State::Value | State::Beginning(0)) if self.depth == 0 => State::Value,
            (_, State::Value | State::ValueOrEnd | State::Beginning(0)) => {
                let state = match byte {
                    b'-' => State::Number(Number::Minus),
                    b'0' => State::Number(Number::Zero),
                    b'1'..=b'9' => State::Number(Number::Integer),
                    b't' => State::Literal(b"rue"),
                    b'f' => State::Literal(b"alse"),
                    b'n' => State::Literal(b"ull"),
                    _ => return Err(NotJson { raw }),
                };
                self.scalar = (raw, 1);
                sink.scalar(&[byte], raw);
                state
            }
            _ => return Err(NotJson { raw }),
        };
        Ok(())
    }

    fn close(&mut self, byte: u8, raw: u64, sink: &mut impl Sink) -> State {
        sink.structure(byte, raw);
        self.depth = self.depth.saturating_sub(1);
        self.containers >>= 1;
        self.after_value()
    }

    /// Reads a number or a literal on, up to a byte that does not belong to it, and ends it where a
    /// `,`, `]` or `}` does. Gives how many bytes that are. What else may end it, and what is a
    /// fault, is for [`scalar_byte`](Self::scalar_byte).
    #[inline]
    fn scalar_run(&mut self, bytes: &[u8], raw: u64, sink: &mut impl Sink) -> usize {
        let mut length = 0_usize;
        let is_complete = match self.state {
            State::Number(mut number) => {
                let room = usize::from(MAX_SCALAR.saturating_sub(self.scalar.1));
                for byte in bytes.iter().take(room) {
                    let Some(next) = number.next(*byte) else {
                        break;
                    };
                    number = next;
                    length = length.wrapping_add(1);
                }
                self.state = State::Number(number);
                number.is_complete()
            }
            State::Literal(rest) if bytes.starts_with(rest) => {
                length = rest.len();
                self.state = State::Literal(&[]);
                true
            }
            _ => false,
        };
        if length > 0 {
            let more = u8::try_from(length).unwrap_or(u8::MAX);
            self.scalar.1 = self.scalar.1.saturating_add(more);
            sink.scalar(bytes.get(..length).unwrap_or_default(), raw);
        }
        if is_complete && matches!(bytes.get(length), Some(b',' | b']' | b'}')) {
            self.state = self.after_value();
        }
        length
    }

    /// Reads a byte in, or right after, a number or a literal.
    fn scalar_byte(&mut self, byte: u8, raw: u64, sink: &mut impl Sink) -> Result<(), NotJson> {
        let broken = NotJson { raw: self.scalar.0 };
        let goes_on = match self.state {
            State::Number(number) => number.next(byte).map(State::Number),
            State::Literal([first, rest @ ..]) if *first == byte => Some(State::Literal(rest)),
            _ => None,
        };
        if let Some(state) = goes_on {
            self.scalar.1 = self.scalar.1.saturating_add(1);
            if self.scalar.1 > MAX_SCALAR {
                return Err(broken);
            }
            self.state = state;
            sink.scalar(&[byte], raw);
            return Ok(());
        }
        let complete = match self.state {
            State::Number(number) => number.is_complete(),
            State::Literal(rest) => rest.is_empty(),
            _ => false,
        };
        // Letters and digits right after it make it something else, such as `123-45-6789` or
        // `nullable`.
        let ends = matches!(
            byte,
            b' ' | b'\n' | b'\r' | b'\t' | b',' | b']' | b'}' | 0x1E
        ) || self.depth == 0 && matches!(byte, b'{' | b'[' | b'"');
        if !complete || !ends {
            return Err(broken);
        }
        self.state = self.after_value();
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => Ok(()),
            _ => self.byte(byte, raw, sink),
        }
    }
}

impl Number {
    fn next(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Self::Integer,
            (Self::Zero | Self::Integer, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::Sign,
            (Self::Exponent | Self::Sign | Self::Power, b'0'..=b'9') => Self::Power,
            _ => return None,
        })
    }

    fn is_complete(self) -> bool {
        matches!(
            self,
            Self::Zero | Self::Integer | Self::Fraction | Self::Power
        )
    }
}
