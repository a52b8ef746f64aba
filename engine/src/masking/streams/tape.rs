//! The JSON of one event, flat: where its values, keys and strings stand.
//!
//! An event is small and there as a whole, so it is read twice: an index may stand after the delta
//! that it belongs to.

use crate::masking::{
    formats::json::{Sink, Tokenizer, decode},
    text::tap::Piece,
};
use std::borrow::Cow;

/// One thing in the JSON of an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// A string with escapes: it says something else than what stands there.
    pub(super) escaped: bool,
    /// Raw offsets from the beginning of the event; of strings without their quotes.
    pub(super) start: u32,
    pub(super) end: u32,
    /// Of what opens a container: the token that closes it. Of a key: the object that has it.
    link: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    Close,
    Key,
    Text,
    Scalar,
}

/// What was read of one event. Kept from event to event for its memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Tape {
    tokens: Vec<Token>,
    /// Raw offset of the event.
    base: u64,
    /// Containers that are open.
    open: Vec<u32>,
}

/// Room for the decoded text of a string, kept for its memory.
#[derive(Clone, Default)]
pub(super) struct Room {
    text: Vec<u8>,
    pieces: Vec<Piece>,
}

/// What a tape keeps for the next event, in elements.
const KEPT: usize = 128;

impl Room {
    /// What a string says that stands at the raw offset `start`, and where.
    pub(super) fn string<'a>(
        &'a mut self,
        raw: &'a [u8],
        start: u64,
        escaped: bool,
    ) -> (&'a [u8], &'a [Piece]) {
        self.text.clear();
        self.text.shrink_to(KEPT);
        self.pieces.clear();
        self.pieces.shrink_to(KEPT);
        if !escaped {
            self.pieces.push(Piece::plain(start, raw.len()));
            return (raw, &self.pieces);
        }
        decode(raw, start, &mut self.text, &mut self.pieces);
        (&self.text, &self.pieces)
    }
}

impl Tape {
    /// Reads the JSON that stands in these parts of the event at the raw offset `base`. `false` if
    /// it is none, or not whole.
    pub(super) fn read<'a>(
        &mut self,
        base: u64,
        parts: impl Iterator<Item = (u64, &'a [u8])>,
    ) -> bool {
        self.tokens.clear();
        self.tokens.shrink_to(KEPT);
        self.open.clear();
        self.open.shrink_to(KEPT);
        self.base = base;
        let mut tokenizer = Tokenizer::new();
        for (raw, part) in parts {
            // A line's end is white space; no string goes on after it (RFC 8259 §7).
            if tokenizer.in_string() || tokenizer.read(part, raw, self).is_err() {
                return false;
            }
        }
        tokenizer.depth() == 0 && !tokenizer.in_string() && !self.tokens.is_empty()
    }

    /// What a string says, and where it stands in the stream.
    pub(super) fn text<'a>(
        &self,
        event: &'a [u8],
        at: usize,
        room: &'a mut Room,
    ) -> (&'a [u8], &'a [Piece]) {
        let Some(&token) = self.tokens.get(at) else {
            return (&[], &[]);
        };
        let start = self.base.saturating_add(u64::from(token.start));
        room.string(raw(event, token), start, token.escaped)
    }

    /// What a string or a scalar says; nothing for a container.
    pub(super) fn says<'a>(&self, event: &'a [u8], at: usize) -> Cow<'a, [u8]> {
        match self.tokens.get(at) {
            Some(token) if token.escaped => {
                let mut room = Room::default();
                self.text(event, at, &mut room);
                Cow::Owned(room.text)
            }
            Some(&token) if matches!(token.kind, Kind::Text | Kind::Key | Kind::Scalar) => {
                Cow::Borrowed(raw(event, token))
            }
            _ => Cow::Borrowed(&[]),
        }
    }

    pub(super) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    pub(super) fn kind(&self, at: usize) -> Option<Kind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    pub(super) fn is_empty(&self, at: usize) -> bool {
        self.tokens
            .get(at)
            .is_none_or(|token| token.start == token.end)
    }

    /// Where a token stands, from the beginning of the event.
    pub(super) fn offsets(&self, at: usize) -> (usize, usize) {
        self.tokens
            .get(at)
            .map_or((0, 0), |token| (token.start as usize, token.end as usize))
    }

    /// Where a value stands in the stream, with all that is in it.
    pub(super) fn range(&self, at: usize) -> (u64, u64) {
        let first = self.tokens.get(at).map_or(0, |token| token.start);
        let last = self.tokens.get(self.after(at).saturating_sub(1));
        (
            self.base.saturating_add(u64::from(first)),
            self.base
                .saturating_add(last.map_or(0, |token| u64::from(token.end))),
        )
    }

    /// The token after the value that begins here.
    pub(super) fn after(&self, at: usize) -> usize {
        let last = match self.tokens.get(at) {
            Some(token) if matches!(token.kind, Kind::Object | Kind::Array) => {
                (token.link as usize).max(at)
            }
            _ => at,
        };
        last.saturating_add(1)
    }

    /// The members of the object that begins here: where its keys and their values are.
    pub(super) fn members(&self, at: usize) -> impl Iterator<Item = (usize, usize)> {
        let mut next = at.saturating_add(1);
        std::iter::from_fn(move || {
            let key = next;
            (self.kind(key)? == Kind::Key).then_some(())?;
            let value = key.saturating_add(1);
            next = self.after(value);
            Some((key, value))
        })
    }

    /// The elements of the array that begins here.
    pub(super) fn elements(&self, at: usize) -> impl Iterator<Item = usize> {
        let mut next = at.saturating_add(1);
        std::iter::from_fn(move || {
            let element = next;
            (self.kind(element)? != Kind::Close).then_some(())?;
            next = self.after(element);
            Some(element)
        })
    }

    /// The members of this name: the object, and the key.
    pub(super) fn named<'a>(
        &'a self,
        event: &'a [u8],
        name: &'a [u8],
    ) -> impl Iterator<Item = (usize, usize)> {
        let is_named = move |token: &Token| {
            token.kind == Kind::Key
                && (token.end.saturating_sub(token.start) as usize == name.len() || token.escaped)
        };
        (0..)
            .zip(&self.tokens)
            .filter(move |&(at, token)| is_named(token) && *self.says(event, at) == *name)
            .map(|(at, token)| (token.link as usize, at))
    }

    /// The values that stand one after another in the event; one, as a rule.
    pub(super) fn roots(&self) -> impl Iterator<Item = usize> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let root = next;
            self.kind(root)?;
            next = self.after(root);
            Some(root)
        })
    }

    fn add(&mut self, kind: Kind, raw: u64, len: u32) {
        let start = u32::try_from(raw.saturating_sub(self.base)).unwrap_or(u32::MAX);
        self.tokens.push(Token {
            kind,
            escaped: false,
            start,
            end: start.saturating_add(len),
            link: 0,
        });
    }
}

fn raw(event: &[u8], token: Token) -> &[u8] {
    event
        .get(token.start as usize..token.end as usize)
        .unwrap_or_default()
}

impl Sink for Tape {
    #[inline]
    fn structure(&mut self, byte: u8, raw: u64) {
        let next = u32::try_from(self.tokens.len()).unwrap_or(u32::MAX);
        let kind = match byte {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'}' | b']' => Kind::Close,
            _ => return,
        };
        if kind == Kind::Close {
            let opened = self.open.pop().unwrap_or(u32::MAX);
            if let Some(token) = self.tokens.get_mut(opened as usize) {
                token.link = next;
            }
        } else {
            self.open.push(next);
        }
        self.add(kind, raw, 1);
    }

    #[inline]
    fn string_start(&mut self, is_key: bool, raw: u64) {
        let kind = if is_key { Kind::Key } else { Kind::Text };
        self.add(kind, raw.saturating_add(1), 0);
        if let (true, Some(&object), Some(token)) =
            (is_key, self.open.last(), self.tokens.last_mut())
        {
            token.link = object;
        }
    }

    fn unit(&mut self, _text: &[u8], _raw: u64, _raw_len: u32) {
        if let Some(token) = self.tokens.last_mut() {
            token.escaped = true;
        }
    }

    #[inline]
    fn string_end(&mut self, raw: u64) {
        let end = u32::try_from(raw.saturating_sub(self.base)).unwrap_or(u32::MAX);
        if let Some(token) = self.tokens.last_mut() {
            token.end = end;
        }
    }

    #[inline]
    fn scalar(&mut self, text: &[u8], raw: u64) {
        let start = u32::try_from(raw.saturating_sub(self.base)).unwrap_or(u32::MAX);
        let len = u32::try_from(text.len()).unwrap_or(0);
        match self.tokens.last_mut() {
            Some(token) if token.kind == Kind::Scalar && token.end == start => {
                token.end = start.saturating_add(len);
            }
            _ => self.add(Kind::Scalar, raw, len),
        }
    }
}
