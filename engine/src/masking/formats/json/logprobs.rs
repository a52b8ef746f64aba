//! Log probabilities in an answer that is there as one document: they repeat its text token by
//! token.
//!
//! What is masked in the text must not stand in them. Which of the two comes first differs among
//! servers, and neither may wait for the other, so nothing is compared: the tokens of one list are
//! a text of their own, in which the same secret is found as in the text that they repeat. What
//! else an element says of a token that is masked, its bytes as numbers and what might have stood
//! there, goes with it. [`LOG_PROBABILITIES`] says where all of this stands, and what the API has
//! there for nothing.
//!
//! An element waits until its token is decided, but no more than [`MAX_WAITING`] bytes do.

use super::JsonText;
use crate::masking::{
    bodies::{desk::Desk, edit::Edit},
    offsets::RawAt,
    text::tap::{Escaping, Piece},
};
use crate::upstreams::LOG_PROBABILITIES;
use std::collections::VecDeque;

/// Most raw bytes from the first element that is undecided on. Beyond, its token is masked,
/// whatever it is. An element has 60 bytes, or 1.2 KB with twenty alternatives.
const MAX_WAITING: u64 = 256 * 1024;

/// The value of one member that holds log probabilities.
#[derive(Clone)]
pub(super) struct LogProbs {
    /// The tokens of the list that is being read.
    text: JsonText,
    /// Containers that are open.
    depth: u8,
    /// How many were when the value had begun.
    region: u8,
    list: Option<List>,
    /// The last key of the value, or of an element.
    key: Key,
    /// What `tokens` held: nothing yet, nothing that is masked, or something.
    tokens: Option<bool>,
    /// The element that is being read.
    current: Option<Element>,
    /// Those before it of which the token is undecided.
    waiting: VecDeque<Element>,
    drops: Vec<Removal>,
    /// Raw offset of the token that is being read.
    token: Option<u64>,
}

/// A list of tokens.
#[derive(Clone, Copy)]
struct List {
    /// Containers that are open in it.
    depth: u8,
    /// Its strings are tokens; else its objects have them.
    of_strings: bool,
}

#[derive(Clone, Copy)]
enum Key {
    Token,
    Tokens,
    /// What replaces its value with a masked token: in the token's element, and beside `tokens`.
    Tied {
        of_token: Option<&'static [u8]>,
        of_tokens: Option<&'static [u8]>,
    },
}

/// What says one token.
#[derive(Clone)]
struct Element {
    start: u64,
    /// Where the token stands.
    token: Option<(u64, u64)>,
    is_masked: Option<bool>,
    ties: Vec<Removal>,
}

/// A value that goes, if its token does.
#[derive(Clone)]
struct Removal {
    /// Raw offset of its first byte that is not replaced yet.
    start: u64,
    /// Not known while it is being read.
    end: Option<u64>,
    replacement: &'static [u8],
}

impl LogProbs {
    pub(super) fn new() -> Self {
        Self {
            text: JsonText::new(Escaping::Json { nested: 0 }),
            depth: 0,
            region: 1,
            list: None,
            key: Key::OTHER,
            tokens: None,
            current: None,
            waiting: VecDeque::new(),
            drops: Vec::new(),
            token: None,
        }
    }

    /// A value begins, with `depth` containers open then.
    pub(super) fn begin(&mut self, depth: u8, is_list: bool) {
        self.depth = depth;
        self.region = depth;
        self.list = is_list.then_some(List {
            depth,
            of_strings: false,
        });
        self.key = Key::OTHER;
        self.tokens = None;
    }

    /// Whether a value is being read.
    pub(super) fn is_open(&self) -> bool {
        self.depth >= self.region
    }

    /// Reads a whole key.
    pub(super) fn key(&mut self, key: &[u8]) {
        if self.depth == self.region || self.in_element() {
            self.key = Key::of(key);
        }
    }

    /// Reads structure at the raw offset `raw`, after which `depth` containers are open.
    pub(super) fn structure(&mut self, desk: &mut Desk<'_>, byte: u8, raw: u64, depth: u8) {
        match byte {
            b'{' | b'[' if self.depth >= self.region => self.opens(byte, raw),
            b'}' | b']' => {
                self.depth = depth;
                self.closes(desk, raw);
            }
            _ => {}
        }
        self.depth = depth;
    }

    /// Whether the string value that begins at the raw offset `raw` is a token.
    pub(super) fn begins(&mut self, desk: &mut Desk<'_>, raw: u64) -> bool {
        let of_strings = self.list.is_some_and(|list| list.of_strings);
        let is_token = match of_strings {
            true => self.list.is_some_and(|list| list.depth == self.depth),
            false => self.in_element() && matches!(self.key, Key::Token),
        };
        if is_token {
            self.bound(desk, raw);
            self.token = Some(raw);
            if of_strings {
                self.current = Some(Element::at(raw));
            }
        }
        is_token
    }

    /// Reads a part of a token.
    pub(super) fn take(&mut self, desk: &mut Desk<'_>, text: &[u8], pieces: &[Piece]) {
        self.text.push(desk, text, pieces);
    }

    /// The token ended before the raw offset `raw`.
    pub(super) fn ends(&mut self, desk: &mut Desk<'_>, raw: u64) {
        let start = self.token.take().unwrap_or(raw);
        if let Some(current) = &mut self.current {
            // A member may be there twice.
            let start = current.token.map_or(start, |(first, _)| first);
            current.token = Some((start, raw));
        }
        if self.list.is_some_and(|list| list.of_strings) {
            self.waiting.extend(self.current.take());
        }
        self.judge(desk);
    }

    /// Does what is decided. The document was read up to the raw offset `read`, and its other texts
    /// are decided up to `to`.
    pub(super) fn settle(&mut self, desk: &mut Desk<'_>, read: u64, to: u64) {
        if self.token.is_none() {
            self.bound(desk, read);
        }
        self.drops.retain_mut(|drop| {
            let end = drop.end.unwrap_or(to).min(to);
            if drop.start < end {
                let replacement = std::mem::take(&mut drop.replacement).to_vec();
                desk.edits.replace(Edit::new(drop.start, end, replacement));
                drop.start = end;
            }
            drop.end.is_none_or(|end| drop.start < end)
        });
    }

    /// What is read ended, or is no JSON from the raw offset `raw` on.
    pub(super) fn finish(&mut self, desk: &mut Desk<'_>, raw: u64) {
        if self.token.is_some() {
            self.ends(desk, raw);
        }
        self.end_list(desk, raw);
        if let Some(current) = self.current.take() {
            self.waiting.push_back(current);
        }
        self.waiting.clear();
        for drop in &mut self.drops {
            drop.end.get_or_insert(raw);
        }
        self.depth = self.region.saturating_sub(1);
    }

    /// Raw offset of the first byte that is not decided; `None` if all are.
    pub(super) fn undecided(&self) -> Option<u64> {
        let dropped = self.drops.iter().map(|drop| drop.start).min();
        let text = self.text.undecided();
        dropped.into_iter().chain(self.waits()).chain(text).min()
    }

    /// Raw offset of the first element that waits.
    fn waits(&self) -> Option<u64> {
        let current = self.current.as_ref();
        let current = current.filter(|element| element.is_masked.is_none());
        self.waiting
            .front()
            .or(current)
            .map(|element| element.start)
    }

    fn in_element(&self) -> bool {
        self.list
            .is_some_and(|list| !list.of_strings && self.depth == list.depth.saturating_add(1))
    }

    fn opens(&mut self, byte: u8, raw: u64) {
        if let Some(list) = self.list {
            if byte == b'{' && self.depth == list.depth && !list.of_strings {
                self.current = Some(Element::at(raw));
                self.key = Key::OTHER;
            } else if self.in_element() {
                self.begins_tie(raw);
            }
            return;
        }
        if self.depth != self.region {
            return;
        }
        match (self.key, byte) {
            // What might have stood there, for each token. Before the tokens nobody knows whether
            // it may pass.
            (
                Key::Tied {
                    of_tokens: Some(_), ..
                },
                _,
            ) if self.tokens == Some(false) => {}
            (
                Key::Tied {
                    of_tokens: Some(nothing),
                    ..
                },
                _,
            ) => self.drops.push(Removal::at(raw, nothing)),
            (key, b'[') => {
                let of_strings = matches!(key, Key::Tokens);
                self.list = Some(List {
                    depth: self.depth.saturating_add(1),
                    of_strings,
                });
                if of_strings {
                    self.tokens.get_or_insert(false);
                }
            }
            _ => {}
        }
    }

    /// A value begins that may go with its token.
    fn begins_tie(&mut self, raw: u64) {
        let Key::Tied {
            of_token: Some(nothing),
            ..
        } = self.key
        else {
            return;
        };
        let tie = Removal::at(raw, nothing);
        match &mut self.current {
            Some(Element {
                is_masked: Some(true),
                ..
            }) => self.drops.push(tie),
            Some(
                element @ Element {
                    is_masked: None, ..
                },
            ) => element.ties.push(tie),
            _ => {}
        }
    }

    /// A container closed; `self.depth` is what is open now.
    fn closes(&mut self, desk: &mut Desk<'_>, raw: u64) {
        let end = raw.saturating_add(1);
        let Some(list) = self.list else {
            if self.depth == self.region {
                close(&mut self.drops, end);
            }
            if self.depth < self.region {
                self.finish(desk, end);
            }
            return;
        };
        if self.in_element() {
            if let Some(element) = &mut self.current {
                close(&mut element.ties, end);
            }
            close(&mut self.drops, end);
        } else if self.depth == list.depth && !list.of_strings {
            self.abandon(raw);
            if let Some(element) = self.current.take()
                && element.is_masked.is_none()
                && element.token.is_some()
            {
                self.waiting.push_back(element);
            }
        } else if self.depth < list.depth {
            self.end_list(desk, raw);
            if self.depth < self.region {
                self.finish(desk, end);
            }
        }
    }

    fn end_list(&mut self, desk: &mut Desk<'_>, raw: u64) {
        if self.list.take().is_some() {
            self.bound(desk, raw);
            self.text.finish(desk);
            self.judge(desk);
            self.key = Key::OTHER;
        }
    }

    /// Decides so much that no more than the cap waits before the raw offset `at`, where a token or
    /// the end of the list stands, or something before them: so it does not depend on where chunks
    /// end.
    fn bound(&mut self, desk: &mut Desk<'_>, at: u64) {
        self.abandon(at);
        while let Some(undecided) = self.text.undecided() {
            let from = self.waits().unwrap_or(undecided).min(undecided);
            if at.saturating_sub(from) <= MAX_WAITING
                || !self.text.let_go(desk) && !self.text.force(desk)
            {
                break;
            }
            self.judge(desk);
        }
    }

    /// An element that is so long before it says its token does not wait for it.
    fn abandon(&mut self, at: u64) {
        if let Some(element) = &mut self.current
            && element.token.is_none()
            && element.is_masked.is_none()
            && at.saturating_sub(element.start) > MAX_WAITING
        {
            element.is_masked = Some(true);
            self.drops.append(&mut element.ties);
        }
    }

    /// Looks what became of the tokens that are decided.
    fn judge(&mut self, desk: &mut Desk<'_>) {
        let undecided = self.text.undecided().unwrap_or(u64::MAX);
        let mut judge = |element: &mut Element| {
            let Some((start, end)) = element.token.filter(|(_, end)| *end <= undecided) else {
                return false;
            };
            if element.is_masked.is_none() {
                let is_masked = desk.edits.touch(start, end);
                // What else it says of the token may stand before it.
                if let Some(block) = &mut desk.blocked
                    && block.is_in(start, end)
                {
                    block.stands(RawAt::new(element.start));
                }
                element.is_masked = Some(is_masked);
                let ties = std::mem::take(&mut element.ties);
                if is_masked {
                    self.drops.extend(ties);
                    self.tokens = self.tokens.map(|_| true);
                }
            }
            true
        };
        while self.waiting.front_mut().is_some_and(&mut judge) {
            self.waiting.pop_front();
        }
        if let (Some(current), true) = (&mut self.current, self.waiting.is_empty()) {
            judge(current);
        }
        self.waiting.shrink_to(8);
    }
}

/// Says where a value ends, if the last one goes on.
fn close(drops: &mut [Removal], end: u64) {
    if let Some(drop) = drops.last_mut() {
        drop.end.get_or_insert(end);
    }
}

impl Key {
    /// One that means nothing.
    const OTHER: Self = Self::Tied {
        of_token: None,
        of_tokens: None,
    };

    fn of(key: &[u8]) -> Self {
        let nothing = |tied: &'static [(&'static [u8], &'static [u8])]| {
            let found = tied.iter().find(|(name, _)| *name == key);
            found.map(|(_, nothing)| *nothing)
        };
        let known = &LOG_PROBABILITIES;
        if key == known.token {
            Self::Token
        } else if key == known.tokens {
            Self::Tokens
        } else {
            Self::Tied {
                of_token: nothing(known.of_token),
                of_tokens: nothing(known.of_tokens),
            }
        }
    }
}

impl Element {
    fn at(start: u64) -> Self {
        Self {
            start,
            token: None,
            is_masked: None,
            ties: Vec::new(),
        }
    }
}

impl Removal {
    fn at(start: u64, replacement: &'static [u8]) -> Self {
        Self {
            start,
            end: None,
            replacement,
        }
    }
}
