//! Values that are secrets whatever they look like: because of their key, or of where they stand.

use crate::masking::{
    bodies::{
        desk::Desk, edit::Edit, fault, findings::Taking, mark::What, placeholder, plan::Action,
    },
    offsets::{RawAt, Span},
    text::{
        channel::MAX_HELD,
        tap::{Escaping, Piece},
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD};

/// How much of a long value is held: what a replacement may show of it, and more. A multiple of 4.
const MAX_KEPT: usize = 128;

/// One value, masked whole.
#[derive(Clone)]
pub(super) struct Whole {
    /// The full name that it is counted under.
    name: String,
    escaping: Escaping,
    /// The value so far, or what the fingerprint was not taken of, until its replacement is given.
    value: Vec<u8>,
    /// Fingerprints of what came before `value`, if it is too long to be held.
    long: Option<Box<Long>>,
    /// Where it stands, but for what was let go.
    ranges: Vec<Span<RawAt>>,
    given: bool,
    passes: bool,
}

/// A value too long to be held.
#[derive(Clone)]
struct Long {
    /// Of the value as it stands there.
    written: Taking,
    /// Of what it encodes; `None` if it encodes nothing.
    meant: Option<Taking>,
}

impl Long {
    /// Reads on; all parts but the last have four characters for each three bytes.
    fn update(&mut self, part: &[u8]) {
        self.written.update(part);
        if let Some(meant) = &mut self.meant {
            match BASE64_STANDARD.decode(part) {
                Ok(bytes) => meant.update(&bytes),
                Err(_) => self.meant = None,
            }
        }
    }
}

impl Whole {
    /// A value counted under `name`, such as `keys/password`.
    pub(super) fn new(desk: &Desk<'_>, name: String, escaping: Escaping) -> Self {
        Self {
            passes: desk.plan.treatment(&name).action == Action::Report,
            name,
            escaping,
            value: Vec::new(),
            long: None,
            ranges: Vec::new(),
            given: false,
        }
    }

    /// Whether the value is only counted, so that others have to look at it too.
    pub(super) fn passes(&self) -> bool {
        self.passes
    }

    /// Reads a part of the value: what it means, and where it stands.
    pub(super) fn push(&mut self, desk: &mut Desk<'_>, text: &[u8], raw: u64, raw_len: u64) {
        let from = RawAt::new(raw);
        let range = Span::new(from, from.plus(raw_len));
        if self.given {
            if !range.is_empty() && !self.passes {
                drop_range(desk, range);
            }
            return;
        }
        self.add(range);
        let mut rest = text;
        while !rest.is_empty() {
            let room = MAX_HELD.saturating_sub(self.value.len());
            let (some, later) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            self.value.extend_from_slice(some);
            rest = later;
            if self.value.len() >= MAX_HELD {
                self.take(desk);
                self.let_go(desk);
            }
        }
    }

    /// Reads a part of the value that stands in several places.
    pub(super) fn push_pieces(&mut self, desk: &mut Desk<'_>, text: &[u8], pieces: &[Piece]) {
        let mut rest = text;
        for piece in pieces {
            let length = usize::try_from(piece.len).unwrap_or(0);
            let (part, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            self.push(desk, part, piece.raw.get(), u64::from(piece.raw_len));
            rest = after;
        }
        desk.fault.unless(
            rest.is_empty(),
            "a value stands where no raw bytes are known",
        );
    }

    /// Takes the fingerprint of what came so far, but for its last bytes, and holds these alone.
    fn take(&mut self, desk: &Desk<'_>) {
        let long = self.long.get_or_insert_with(|| {
            let is_encoded = self.escaping == Escaping::Base64;
            Box::new(Long {
                written: desk.key.taking(),
                meant: is_encoded.then(|| desk.key.taking()),
            })
        });
        let length = self.value.len().saturating_sub(MAX_KEPT);
        let rest = self.value.split_off(length);
        long.update(&self.value);
        self.value = rest;
    }

    /// Lets what came so far go, but for its last byte: there the replacement stands, with the
    /// fingerprint of all of it.
    pub(super) fn let_go(&mut self, desk: &mut Desk<'_>) {
        if self.given || self.passes {
            return;
        }
        let Some(Span { from, to }) = self.ranges.pop() else {
            return;
        };
        for range in self.ranges.drain(..) {
            drop_range(desk, range);
        }
        let last = to.minus(1).max(from);
        if from < last {
            drop_range(desk, Span::new(from, last));
        }
        self.ranges.push(Span::new(last, to));
    }

    /// Masks what came so far, and what still comes.
    pub(super) fn force(&mut self, desk: &mut Desk<'_>) {
        if !self.given {
            self.give(desk);
        }
    }

    /// The value ended.
    pub(super) fn finish(&mut self, desk: &mut Desk<'_>) {
        if !self.given && !self.value.is_empty() {
            self.give(desk);
        }
    }

    /// Raw offset of its first byte, if it is not decided.
    pub(super) fn undecided(&self) -> Option<u64> {
        match self.passes || self.given {
            true => None,
            false => self.ranges.first().map(|range| range.from.get()),
        }
    }

    /// The secret itself: the same one has the same fingerprint wherever it stands.
    fn meaning(&mut self) -> Vec<u8> {
        let value = std::mem::take(&mut self.value);
        match self.escaping {
            Escaping::Base64 => BASE64_STANDARD.decode(whole(&value)).unwrap_or(value),
            _ => value,
        }
    }

    /// What becomes of it; `None` if it passes.
    fn judge(&mut self, desk: &mut Desk<'_>) -> Option<What> {
        let meant = match self.long {
            Some(_) => Vec::new(),
            None => self.meaning(),
        };
        let short = self.name.split_once('/').map_or("key", |(_, short)| short);
        let Some(mut long) = self.long.take() else {
            let value = meant;
            // What masking has put there, here or before, stays.
            if placeholder::read(&value).is_some_and(|found| desk.plan.may_have_written(found)) {
                return None;
            }
            return desk.judge_named(&self.name, short, &value, false);
        };
        let value = std::mem::take(&mut self.value);
        // What is cut off in the middle of four characters does not encode so many bytes more.
        match long.meant.is_some() {
            true => {
                long.update(whole(&value));
                long.written
                    .update(value.get(whole(&value).len()..).unwrap_or_default());
            }
            false => long.update(&value),
        }
        let fingerprint = long.meant.unwrap_or(long.written).fingerprint();
        desk.judge_long((&self.name, short), fingerprint, &value)
    }

    fn add(&mut self, range: Span<RawAt>) {
        fault::check(
            || self.ranges.last().is_none_or(|last| last.to <= range.from),
            "parts of a value are not in order",
        );
        match self.ranges.last_mut() {
            Some(last) if last.to == range.from => last.to = range.to,
            _ => self.ranges.push(range),
        }
    }

    fn give(&mut self, desk: &mut Desk<'_>) {
        self.given = true;
        let only_reports = std::mem::replace(&mut desk.only_reports, self.passes);
        let what = self.judge(desk);
        desk.only_reports = only_reports;
        let ranges = std::mem::take(&mut self.ranges);
        let mut replacement = match what {
            Some(What::Replaced(text)) => {
                let length = ranges.iter().map(|range| range.length());
                self.escaping
                    .write(&text, length.fold(0, u64::saturating_add))
            }
            Some(What::Blocked) => {
                if let (Some(block), Some(first)) = (&mut desk.blocked, ranges.first()) {
                    block.stands(first.from);
                }
                return;
            }
            Some(What::Dropped) | None => return,
        };
        for at in ranges {
            let replacement = std::mem::take(&mut replacement);
            desk.edits.add(Edit { at, replacement });
        }
    }
}

/// As much of a text in base64 as stands for whole bytes.
fn whole(value: &[u8]) -> &[u8] {
    let length = value.len().saturating_sub(value.len() % 4);
    value.get(..length).unwrap_or_default()
}

fn drop_range(desk: &mut Desk<'_>, at: Span<RawAt>) {
    let replacement = Vec::new();
    desk.edits.add(Edit { at, replacement });
}
