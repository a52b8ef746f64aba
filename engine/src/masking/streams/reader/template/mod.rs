//! An event that is one of the last but for its texts, as nearly all events of a model's answer
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
//! found. Where it has changed since then, [`own`] says whether that makes a difference, and
//! [`windows`] says it of many events at once.
//!
//! Measured against reading each event with fewer passes: that takes four times as long, since
//! every token of the event is looked at to find out what has not changed.

pub(super) mod known;
mod own;
mod windows;

use crate::masking::{
    formats::json::skip_string,
    streams::{
        deltas::{Delta, Deltas, known::known},
        tape::{Kind, Tape},
    },
};
use crate::upstreams::Dialect;

/// Longest event that becomes a template: it is kept as long as the stream.
const MAX_TEMPLATE: usize = 1024;

/// Most slots of one.
const MAX_SLOTS: usize = 16;

/// Longest number in a slot; it fits 64 bits.
const MAX_DIGITS: usize = 18;

/// An event that was read and that later ones are compared with; one of a few.
#[derive(Clone, Default)]
pub(super) struct Template {
    /// Empty if there is none.
    event: Vec<u8>,
    slots: Vec<Slot>,
    /// How long an event is that has nothing in its slots.
    least: usize,
    /// What identifies the texts of pieces.
    keys: Vec<u8>,
    /// Where its lines of data are.
    data: Vec<(usize, usize)>,
    /// No key in it can make its value a secret.
    is_plain: bool,
    pub(super) dialect: Option<&'static Dialect>,
}

/// A place that need not be the same.
#[derive(Clone)]
struct Slot {
    /// Where it is in the template.
    from: usize,
    to: usize,
    what: What,
}

impl Slot {
    /// It is no piece of a text that goes on.
    fn is_own(&self) -> bool {
        !matches!(self.what, What::Piece(_))
    }
}

/// Where a slot is in an event that was compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    from: u32,
    to: u32,
    /// The string there has escapes.
    escaped: bool,
}

impl At {
    fn range(self) -> (usize, usize) {
        (self.from as usize, self.to as usize)
    }

    /// What stands there.
    fn says(self, event: &[u8]) -> &[u8] {
        let (from, to) = self.range();
        event.get(from..to).unwrap_or_default()
    }
}

#[derive(Clone, Copy)]
enum What {
    Piece(Delta),
    String,
    Number { is_sequence: bool },
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
    /// Makes the event that was read into `tape` and `deltas` the one to compare with, and says
    /// whether it can be. Nothing but its pieces may have had an effect, and nothing in the rest of
    /// it may be a secret; `is_plain` says that no key in it can make its value one. `data` is
    /// where its lines of data are.
    pub(super) fn set(
        &mut self,
        event: &[u8],
        tape: &Tape,
        deltas: &Deltas,
        data: impl Iterator<Item = (usize, usize)>,
        is_plain: bool,
    ) -> bool {
        self.event.clear();
        self.slots.clear();
        let can_be = event.len() <= MAX_TEMPLATE && self.cut(event, tape, deltas).is_some();
        if can_be {
            self.event.extend_from_slice(event);
            self.keys.clear();
            self.keys.extend_from_slice(deltas.keys());
            self.data.clear();
            self.data.extend(data);
            self.is_plain = is_plain;
            let slots = self
                .slots
                .iter()
                .map(|slot| slot.to.saturating_sub(slot.from));
            self.least = event.len().saturating_sub(slots.sum());
            self.dialect = deltas.dialect;
        }
        can_be
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
            });
        }
        (pieces.next().is_none() && !deltas.pieces.is_empty()).then_some(())
    }

    /// How many slots it has.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Compares the event with which `bytes` begin. Gives its length, and appends where its slots
    /// are. `None` if it has to be read anew.
    pub(super) fn compare(&self, bytes: &[u8], places: &mut Vec<At>) -> Option<usize> {
        if self.event.is_empty() || bytes.len() < self.least {
            return None;
        }
        let known = places.len();
        let length = self.find_slots(bytes, places);
        if length.is_none() {
            places.truncate(known);
        }
        length
    }

    fn find_slots(&self, bytes: &[u8], places: &mut Vec<At>) -> Option<usize> {
        let (mut at, mut done) = (0_usize, 0_usize);
        for slot in &self.slots {
            at = same(self.event.get(done..slot.from)?, bytes, at)?;
            let rest = bytes.get(at..)?;
            let (length, escaped) = match slot.what {
                What::Number { .. } => (number(rest)?, false),
                _ => skip_string(rest)?,
            };
            let to = at.checked_add(length)?;
            places.push(At {
                from: u32::try_from(at).ok()?,
                to: u32::try_from(to).ok()?,
                escaped,
            });
            (at, done) = (to, slot.to);
        }
        same(self.event.get(done..)?, bytes, at)
    }

    /// The pieces of an event whose slots are at these places, in their order.
    pub(super) fn pieces<'a>(&'a self, places: &'a [At]) -> impl Iterator<Item = Piece<'a>> {
        // What is empty is no piece.
        let filled = self.slots.iter().zip(places);
        let filled = filled.filter(|(_, at)| at.from < at.to);
        filled.filter_map(|(slot, at)| match slot.what {
            What::Piece(delta) => Some(Piece {
                delta,
                key: delta.key(&self.keys),
                place: at.range(),
                escaped: at.escaped,
            }),
            _ => None,
        })
    }

    /// Where the lines of data are of an event whose slots are at these places.
    pub(super) fn data<'a>(&'a self, places: &'a [At]) -> impl Iterator<Item = (usize, usize)> {
        // What follows a slot has moved as its end has.
        let moved = move |at: usize| {
            let mut slots = self.slots.iter().zip(places);
            let before = slots.rfind(|(slot, _)| slot.to <= at);
            before.map_or(at, |(slot, place)| {
                at.saturating_sub(slot.to).saturating_add(place.range().1)
            })
        };
        self.data
            .iter()
            .map(move |&(from, to)| (moved(from), moved(to)))
    }

    /// Whether its events have a number among those of the response.
    pub(super) fn has_sequence(&self) -> bool {
        let mut slots = self.slots.iter();
        slots.any(|slot| matches!(slot.what, What::Number { is_sequence: true }))
    }

    /// The number of such an event among those of the response.
    pub(super) fn sequence_number(&self, event: &[u8], places: &[At]) -> Option<u64> {
        let mut slots = self.slots.iter().zip(places);
        let is_sequence = |(slot, _): &(&Slot, &At)| match slot.what {
            What::Number { is_sequence } => is_sequence,
            _ => false,
        };
        let (_, at) = slots.rfind(is_sequence)?;
        std::str::from_utf8(at.says(event)).ok()?.parse().ok()
    }

    /// Whether something that is no piece of a text that goes on differs from the template.
    pub(super) fn own_differs(&self, event: &[u8], places: &[At]) -> bool {
        self.differing(event, places).next().is_some()
    }

    /// The slots of which that is so, with their numbers.
    fn differing<'a>(
        &'a self,
        event: &'a [u8],
        places: &'a [At],
    ) -> impl Iterator<Item = (usize, At)> {
        let slots = (0..).zip(self.slots.iter().zip(places));
        let differ = slots.filter(|(_, (slot, at))| {
            slot.is_own() && self.event.get(slot.from..slot.to) != Some(at.says(event))
        });
        differ.map(|(number, (_, at))| (number, *at))
    }
}

/// Whether `fixed` stands in `bytes` at `at`; gives where it ends.
#[inline]
fn same(fixed: &[u8], bytes: &[u8], at: usize) -> Option<usize> {
    let end = at.checked_add(fixed.len())?;
    let other = bytes.get(at..end)?;
    // By words: calling `memcmp` costs more, and in wasm it goes byte by byte.
    let differs = |a: &[u8; 16], b: &[u8; 16]| u128::from_ne_bytes(*a) ^ u128::from_ne_bytes(*b);
    let Some((last, other_last)) = fixed.last_chunk().zip(other.last_chunk()) else {
        let bytes = fixed.iter().zip(other);
        return (bytes.fold(0, |all, (a, b)| all | (a ^ b)) == 0).then_some(end);
    };
    let (words, _) = fixed.as_chunks::<16>();
    let (others, _) = other.as_chunks::<16>();
    // The last word may overlap the one before it.
    let words = words.iter().zip(others);
    let all = words.fold(differs(last, other_last), |all, (a, b)| all | differs(a, b));
    (all == 0).then_some(end)
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
