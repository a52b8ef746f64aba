//! A JSON document in a string of another document: the arguments of a tool, what a tool answers, a
//! log line.
//!
//! The text of such a string is read like any other text. What this adds is what keys say: the
//! value of a key that names a secret is masked whole, and so are the values of a Kubernetes
//! Secret. The string's decoded text comes in parts as it is read, and goes through a tokenizer of
//! its own; nothing is copied but half an escape.

use super::{
    NotJson, Sink, Tokenizer,
    keys::{self, Keys},
};
use crate::masking::{
    bodies::{desk::Desk, plan::Plan},
    text::tap::Piece,
};

/// Most strings that a document whose keys count is in.
pub(super) const MAX_NESTED: u8 = 3;

/// Where text goes that was taken for a value and turned out to be none.
pub(super) trait Rest {
    /// Puts it where the text is that comes next.
    fn insert(&mut self, text: &[u8], pieces: &[Piece]);
}

/// The document in one string.
#[derive(Clone)]
pub(super) struct Inner {
    tokenizer: Tokenizer,
    keys: Keys,
    /// What was read so far, in bytes of the string's text.
    at: u64,
    /// Half an escape of this document, and where it stands.
    cut: Vec<u8>,
    cut_pieces: Vec<Piece>,
    /// It stands in a value that nobody else reads.
    cut_taken: bool,
    is_broken: bool,
}

/// What is known at one place of a document, to go back to it.
pub(super) struct Saved {
    tokenizer: Tokenizer,
    keys: keys::Saved,
    at: u64,
    is_broken: bool,
}

/// Whether a text that begins so may be a document whose keys count; `None`: it is blank so far.
pub(in crate::masking) fn begins(text: &[u8]) -> Option<bool> {
    let first = text
        .iter()
        .find(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'))?;
    Some(matches!(first, b'{' | b'['))
}

impl Inner {
    /// A document in so many strings.
    pub(super) fn new(nested: u8) -> Self {
        Self {
            tokenizer: Tokenizer::new(),
            keys: Keys::nested(nested),
            at: 0,
            cut: Vec::new(),
            cut_pieces: Vec::new(),
            cut_taken: false,
            is_broken: false,
        }
    }

    /// Whether what was read is no document; nothing more is to be read then.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Whether no value is open.
    pub(super) fn is_between(&self) -> bool {
        self.tokenizer.depth() == 0 && !self.tokenizer.in_string()
    }

    /// Reads the next part of the string: bytes that stand for themselves, which hold no quote and
    /// no escape, or one escape. Gives whether nobody else is to read it.
    pub(super) fn push(
        &mut self,
        desk: &mut Desk<'_>,
        rest: &mut dyn Rest,
        text: &[u8],
        pieces: &[Piece],
    ) -> bool {
        if self.is_broken {
            return false;
        }
        let was_cut = !self.cut.is_empty();
        let mut reader = Reader {
            depth: self.tokenizer.depth(),
            keys: &mut self.keys,
            desk,
            rest,
            at: self.at,
            text,
            pieces,
            cut: &self.cut,
            cut_pieces: &self.cut_pieces,
            cut_taken: self.cut_taken,
            taken: false,
        };
        let read = self.tokenizer.read(text, self.at, &mut reader);
        let mut taken = reader.taken;
        self.at = self.at.saturating_add(text.len() as u64);
        if let Err(NotJson { .. }) = read {
            self.is_broken = true;
            return false;
        }
        let pending = self.tokenizer.pending();
        match pending.filter(|_| self.tokenizer.in_string()) {
            Some(pending) => {
                if !was_cut {
                    self.cut_taken = self.keys.takes();
                }
                self.cut.extend_from_slice(text);
                self.cut_pieces.extend_from_slice(pieces);
                self.keep_from(pending);
                taken |= self.cut_taken;
            }
            None if was_cut => self.forget_cut(),
            None => {}
        }
        taken
    }

    /// The string ended. The next one is another document.
    pub(super) fn finish(&mut self, desk: &mut Desk<'_>, rest: &mut dyn Rest) {
        if !self.is_broken {
            let mut reader = Reader {
                depth: self.tokenizer.depth(),
                keys: &mut self.keys,
                desk,
                rest,
                at: self.at,
                text: &[],
                pieces: &[],
                cut: &self.cut,
                cut_pieces: &self.cut_pieces,
                cut_taken: self.cut_taken,
                taken: false,
            };
            self.tokenizer.finish(&mut reader);
            self.keys.finish(desk, rest);
        }
        self.reset();
    }

    /// Another document begins.
    pub(super) fn reset(&mut self) {
        self.forget_cut();
        self.tokenizer = Tokenizer::new();
        self.keys.reset();
        self.at = 0;
        self.is_broken = false;
    }

    /// Whether nothing in it is more than text so far.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_broken || self.cut.is_empty() && self.keys.is_quiet()
    }

    /// Reads the next part of the string, while all is [quiet](Self::is_quiet). Gives whether
    /// something in it is more than text.
    pub(super) fn quiet_push(&mut self, plan: &Plan, text: &[u8]) -> bool {
        if self.is_broken {
            return false;
        }
        let (tokenizer, keys) = (&mut self.tokenizer, &mut self.keys);
        let (is_broken, is_stopped) = keys::read_inner(tokenizer, keys, plan, text, self.at);
        self.is_broken = is_broken;
        self.at = self.at.saturating_add(text.len() as u64);
        is_stopped
    }

    /// Whether half an escape was read, which the other way of reading would have kept.
    pub(super) fn is_cut(&self) -> bool {
        !self.is_broken
            && (self.tokenizer.in_string() && self.tokenizer.pending().is_some()
                || self.keys.is_cut())
    }

    pub(super) fn save(&self) -> Saved {
        Saved {
            tokenizer: self.tokenizer.clone(),
            keys: self.keys.save(),
            at: self.at,
            is_broken: self.is_broken,
        }
    }

    pub(super) fn restore(&mut self, saved: Saved) {
        self.tokenizer = saved.tokenizer;
        self.keys.restore(saved.keys);
        self.at = saved.at;
        self.is_broken = saved.is_broken;
    }

    /// Lets what is undecided go, all but its last bytes, if it is a value.
    pub(super) fn let_go(&mut self, desk: &mut Desk<'_>) {
        self.keys.let_go(desk);
    }

    /// Masks what is undecided, whatever it is.
    pub(super) fn force(&mut self, desk: &mut Desk<'_>) {
        if self.cut_taken && !self.cut.is_empty() {
            for piece in &mut self.cut_pieces {
                self.keys.take_raw(desk, piece.raw.get(), piece.raw_len);
                // It is masked: nothing of it is left for what it may turn out to be.
                piece.raw_len = 0;
            }
        }
        self.keys.force(desk);
    }

    /// Raw offset of the first byte that is not decided; `None` if all are.
    pub(super) fn undecided(&self) -> Option<u64> {
        let cut = self.cut_pieces.iter().find(|piece| piece.raw_len > 0);
        let cut = cut.filter(|_| self.cut_taken);
        let value = self.keys.undecided();
        let cut = cut.map(|piece| piece.raw.get());
        value.into_iter().chain(cut).min()
    }

    /// Whether what comes next is read by nobody else.
    pub(super) fn takes(&self) -> bool {
        !self.is_broken && self.tokenizer.in_string() && self.keys.takes()
    }

    /// Masks raw bytes with the value that they stand in.
    pub(super) fn take_raw(&mut self, desk: &mut Desk<'_>, raw: u64, raw_len: u32) {
        self.keys.take_raw(desk, raw, raw_len);
    }

    /// Keeps of half an escape what stands at or after this place of the text.
    fn keep_from(&mut self, place: u64) {
        let begins = self.at.saturating_sub(self.cut.len() as u64);
        let gone = usize::try_from(place.saturating_sub(begins)).unwrap_or(0);
        if gone == 0 {
            return;
        }
        let (mut pieces, mut text) = (Vec::new(), Vec::new());
        let end = begins.saturating_add(self.cut.len() as u64);
        slice(
            begins,
            &self.cut_pieces,
            (place, end.saturating_sub(place)),
            &mut pieces,
        );
        text.extend_from_slice(self.cut.get(gone..).unwrap_or_default());
        (self.cut, self.cut_pieces) = (text, pieces);
    }

    fn forget_cut(&mut self) {
        self.cut.clear();
        self.cut_pieces.clear();
        self.cut_taken = false;
    }
}

/// Where `length` bytes of a text stand, from the offset `at` on; `pieces` begin at the offset
/// `begins`.
fn slice(begins: u64, pieces: &[Piece], (at, length): (u64, u64), out: &mut Vec<Piece>) {
    let to = at.saturating_add(length);
    let mut start = begins;
    for &piece in pieces {
        let end = start.saturating_add(u64::from(piece.len));
        let (from, until) = (start.max(at), end.min(to));
        if from < until {
            out.push(if piece.len == piece.raw_len {
                let len = usize::try_from(until.saturating_sub(from)).unwrap_or(0);
                Piece::plain(piece.raw.plus(from.saturating_sub(start)), len)
            } else {
                piece
            });
        } else if piece.len == 0 && at < start && start <= to {
            out.push(piece);
        }
        start = end;
    }
}

/// Reads one part.
struct Reader<'a, 'd> {
    keys: &'a mut Keys,
    desk: &'a mut Desk<'d>,
    rest: &'a mut dyn Rest,
    /// Open containers.
    depth: u8,
    /// Where the part begins in the string's text.
    at: u64,
    text: &'a [u8],
    pieces: &'a [Piece],
    cut: &'a [u8],
    cut_pieces: &'a [Piece],
    cut_taken: bool,
    taken: bool,
}

impl Reader<'_, '_> {
    fn part(&mut self, text: &[u8], at: u64, length: u64) {
        if at >= self.at && length == self.text.len() as u64 {
            self.taken |= self.keys.take(self.desk, self.rest, text, self.pieces);
            return;
        }
        let begins = self.at.saturating_sub(self.cut.len() as u64);
        let mut pieces = Vec::with_capacity(2);
        slice(begins, self.cut_pieces, (at, length), &mut pieces);
        slice(self.at, self.pieces, (at, length), &mut pieces);
        if text.len() as u64 != length || pieces.len() > 1 {
            // One escape: its first piece means all of it.
            for (n, piece) in pieces.iter_mut().enumerate() {
                piece.len = match n {
                    0 => u32::try_from(text.len()).unwrap_or(0),
                    _ => 0,
                };
            }
        }
        let taken = self.keys.take(self.desk, self.rest, text, &pieces);
        if !taken && self.taken {
            // A value took the beginning of this part and no more of it. Nobody else is to read the
            // part, so what is left of it would be lost.
            self.rest.insert(text, &pieces);
            return;
        }
        self.taken |= taken;
        if !taken && self.cut_taken && at < self.at {
            // What was kept from others is theirs after all.
            let from = usize::try_from(at.saturating_sub(begins)).unwrap_or(0);
            let to = usize::try_from(
                at.saturating_add(length)
                    .min(self.at)
                    .saturating_sub(begins),
            );
            let cut = self.cut.get(from..to.unwrap_or(0));
            self.desk
                .fault
                .unless(cut.is_some(), "half an escape is longer than what was kept");
            let cut = cut.unwrap_or_default();
            let mut pieces = Vec::with_capacity(1);
            slice(begins, self.cut_pieces, (at, cut.len() as u64), &mut pieces);
            self.rest.insert(cut, &pieces);
        }
    }
}

impl Sink for Reader<'_, '_> {
    fn structure(&mut self, byte: u8, raw: u64) {
        match byte {
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.keys.structure(self.desk, byte, raw, self.depth);
    }

    fn string_start(&mut self, is_key: bool, raw: u64) {
        self.keys.string_start(self.desk, is_key, raw);
    }

    fn plain(&mut self, text: &[u8], raw: u64) {
        self.part(text, raw, text.len() as u64);
    }

    fn unit(&mut self, text: &[u8], raw: u64, raw_len: u32) {
        self.part(text, raw, u64::from(raw_len));
    }

    fn string_end(&mut self, raw: u64) {
        self.keys.string_end(self.desk, self.rest, raw, self.depth);
    }
}
