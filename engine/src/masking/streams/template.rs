//! An event that is the one before it but for its texts, as nearly all events of a model's answer
//! are, is read by comparing.
//!
//! What it promises: the same as reading the event anew, always. A [`Template`] is an event that
//! was read, with *slots* in it. An event whose bytes outside of the slots are the same, and that
//! has in each slot what may stand there, has the same JSON with other offsets; so it has the same
//! texts with the same identities. Slots are
//!
//! - pieces of texts that go on, under names of [`texts`](crate::upstreams::Dialect::texts): what
//!   they say decides nothing about the event;
//! - strings and numbers under [`varying`](crate::upstreams::Dialect::varying) names, which are no
//!   pieces.
//!
//! What is no piece of a text that goes on was searched when the template was made, and nothing was
//! found. That need not be done again as long as it is the same, or holds no anchor of a detector.
//!
//! Measured against reading each event with fewer passes: that takes four times as long, since
//! every token of the event is looked at to find out what has not changed.

use super::{
    known::known,
    protocols::{Delta, Deltas},
    tape::{Kind, Tape},
};
use crate::masking::{
    bodies::plan::Plan,
    formats::json::skip_string,
    search::prefilter::{MAX_ANCHOR, WINDOW},
    text::fold,
};
use crate::upstreams::Dialect;

/// Longest event that becomes a template: it is kept as long as the stream.
const MAX_TEMPLATE: usize = 1024;

/// Most slots of one.
const MAX_SLOTS: usize = 16;

/// Longest number in a slot; it fits 64 bits.
const MAX_DIGITS: usize = 18;

/// How far from a slot what is found in it may begin or end.
const REACH: usize = MAX_ANCHOR + WINDOW;

/// The last event that was read, if it can be compared with.
#[derive(Default)]
pub(super) struct Template {
    /// Empty if there is none.
    event: Vec<u8>,
    slots: Vec<Slot>,
    /// What identifies the texts of pieces.
    keys: Vec<u8>,
    /// Where its lines of data are.
    data: Vec<(usize, usize)>,
    /// No anchor stands in what is no piece.
    is_clean: bool,
    pub(super) dialect: Option<&'static Dialect>,
    /// What the last event that was compared says of its own.
    pub(super) sequence_number: Option<u64>,
}

/// A place that need not be the same.
struct Slot {
    /// Where it is in the template.
    from: usize,
    to: usize,
    what: What,
    /// Where it is in the event that was compared last.
    place: (usize, usize),
    /// The string there has escapes.
    escaped: bool,
}

#[derive(Clone, Copy)]
enum What {
    Piece(Delta),
    String,
    Number { is_sequence: bool },
}

/// What comparing an event has given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alike {
    /// How long the event is.
    pub(super) length: usize,
    /// What is no piece of a text that goes on is known to hold no secret. Else it has to be read.
    pub(super) is_own_known: bool,
}

/// A piece in an event that was compared.
pub(super) struct Piece<'a> {
    pub(super) delta: Delta,
    /// What identifies its text.
    pub(super) key: &'a [u8],
    /// Where its string stands in the event, without the quotes.
    pub(super) place: (usize, usize),
    pub(super) escaped: bool,
}

impl Template {
    /// Makes the event that was read into `tape` and `deltas` the one to compare with, if it can
    /// be. Nothing but its pieces may have had an effect, and nothing in the rest of it may be a
    /// secret; `is_clean` says that not even an anchor stands there. `data` is where its lines of
    /// data are.
    pub(super) fn set(
        &mut self,
        event: &[u8],
        tape: &Tape,
        deltas: &Deltas,
        data: impl Iterator<Item = (usize, usize)>,
        is_clean: bool,
    ) {
        self.event.clear();
        self.slots.clear();
        // A line feed may still follow a carriage return.
        if event.len() <= MAX_TEMPLATE
            && event.ends_with(b"\n")
            && self.cut(event, tape, deltas).is_some()
        {
            self.event.extend_from_slice(event);
            self.keys.clear();
            self.keys.extend_from_slice(deltas.keys());
            self.data.clear();
            self.data.extend(data);
            self.is_clean = is_clean;
            self.dialect = deltas.dialect;
        }
    }

    /// Forgets the event.
    pub(super) fn clear(&mut self) {
        self.event.clear();
    }

    /// Finds the slots. `None` if there is a piece that can be none.
    fn cut(&mut self, event: &[u8], tape: &Tape, deltas: &Deltas) -> Option<()> {
        let known = known();
        let mut pieces = deltas.pieces.iter().copied().peekable();
        let mut key: Option<&[u8]> = None;
        for (at, token) in (0..).zip(tape.tokens()) {
            let text = event.get(token.start as usize..token.end as usize)?;
            let name = key.take();
            let is_varying = name.is_some_and(|name| known.is_varying(name));
            let is_sequence = name.is_some_and(|name| known.is_sequence(name));
            let what = match token.kind {
                Kind::Key if token.escaped => return None,
                Kind::Key => {
                    key = Some(text);
                    continue;
                }
                Kind::Text => match pieces.next_if(|piece| piece.at == at) {
                    Some(piece) => {
                        name.filter(|name| known.is_text(name))?;
                        What::Piece(piece)
                    }
                    None if is_sequence => return None,
                    // An empty one is no piece where others would be.
                    None if is_varying && !token.escaped && !text.is_empty() => What::String,
                    None => continue,
                },
                Kind::Scalar if is_varying && number(text) == Some(text.len()) => {
                    What::Number { is_sequence }
                }
                Kind::Scalar if is_sequence => return None,
                _ => continue,
            };
            if self.slots.len() == MAX_SLOTS {
                return None;
            }
            self.slots.push(Slot {
                from: token.start as usize,
                to: token.end as usize,
                what,
                place: (0, 0),
                escaped: false,
            });
        }
        (pieces.next().is_none() && !deltas.pieces.is_empty()).then_some(())
    }

    /// Compares the event with which `bytes` begin. `None` if it has to be read anew.
    pub(super) fn compare(
        &mut self,
        plan: &Plan,
        bytes: &[u8],
        places: &mut Vec<usize>,
    ) -> Option<Alike> {
        if self.event.is_empty() {
            return None;
        }
        let (mut at, mut done) = (0_usize, 0_usize);
        self.sequence_number = None;
        for slot in &mut self.slots {
            at = same(self.event.get(done..slot.from)?, bytes, at)?;
            let rest = bytes.get(at..)?;
            let length = match slot.what {
                What::Number { is_sequence } => {
                    let length = number(rest)?;
                    if is_sequence {
                        self.sequence_number = digits(rest.get(..length)?);
                    }
                    length
                }
                _ => {
                    let (length, escaped) = skip_string(rest)?;
                    slot.escaped = escaped;
                    length
                }
            };
            let to = at.checked_add(length)?;
            slot.place = (at, to);
            (at, done) = (to, slot.to);
        }
        let length = same(self.event.get(done..)?, bytes, at)?;
        Some(Alike {
            length,
            is_own_known: self.own_is_known(plan, bytes.get(..length)?, places),
        })
    }

    /// The pieces of the event that was compared, in the order of their places.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        // What is empty is no piece.
        let filled = self.slots.iter().filter(|slot| slot.place.0 < slot.place.1);
        filled.filter_map(|slot| match slot.what {
            What::Piece(delta) => Some(Piece {
                delta,
                key: delta.key(&self.keys),
                place: slot.place,
                escaped: slot.escaped,
            }),
            _ => None,
        })
    }

    /// Where the lines of data of the event are that was compared.
    pub(super) fn data(&self) -> impl Iterator<Item = (usize, usize)> {
        // What follows a slot has moved as its end has.
        let moved = |at: usize| {
            let before = self.slots.iter().rfind(|slot| slot.to <= at);
            before.map_or(at, |slot| {
                at.saturating_sub(slot.to).saturating_add(slot.place.1)
            })
        };
        self.data
            .iter()
            .map(move |&(from, to)| (moved(from), moved(to)))
    }

    /// Whether what is no piece is the same as in the template, or else holds no secret.
    fn own_is_known(&self, plan: &Plan, event: &[u8], places: &mut Vec<usize>) -> bool {
        let mut own = self
            .slots
            .iter()
            .filter(|slot| !matches!(slot.what, What::Piece(_)));
        own.all(|slot| {
            let (from, to) = slot.place;
            let text = event.get(from..to).unwrap_or_default();
            if self.event.get(slot.from..slot.to) == Some(text) {
                return true;
            }
            if !self.is_clean || slot.escaped || fold::hides(text) {
                return false;
            }
            let around = from.saturating_sub(REACH);
            let near = event.get(around..to.saturating_add(REACH).min(event.len()));
            places.clear();
            for set in std::iter::once(&plan.acting).chain(&plan.reporting) {
                set.candidates(near.unwrap_or_default(), places);
            }
            let is_near = |&place: &usize| around.saturating_add(place) < to;
            !places.iter().any(is_near)
        })
    }
}

/// Whether `fixed` stands in `bytes` at `at`; gives where it ends.
#[inline]
fn same(fixed: &[u8], bytes: &[u8], at: usize) -> Option<usize> {
    let end = at.checked_add(fixed.len())?;
    let other = bytes.get(at..end)?;
    // By words: calling `memcmp` costs more, and in wasm it goes byte by byte.
    let ((a, rest_a), (b, rest_b)) = (fixed.as_chunks::<16>(), other.as_chunks::<16>());
    let differs = |a: &[u8; 16], b: &[u8; 16]| u128::from_ne_bytes(*a) ^ u128::from_ne_bytes(*b);
    let words = a.iter().zip(b).fold(0, |all, (a, b)| all | differs(a, b));
    let bytes = rest_a
        .iter()
        .zip(rest_b)
        .fold(0, |all, (a, b)| all | (a ^ b));
    (words == 0 && bytes == 0).then_some(end)
}

/// How long the whole number is with which `bytes` begin (RFC 8259 §6), without a sign.
fn number(bytes: &[u8]) -> Option<usize> {
    let length = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let is_whole = length == 1 || bytes.first() != Some(&b'0');
    (is_whole && (1..=MAX_DIGITS).contains(&length)).then_some(length)
}

fn digits(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
