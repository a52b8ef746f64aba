//! Values that are secrets whatever they look like: because of their key, or of where they stand.

use crate::masking::{
    bodies::{desk::Desk, edit::Edit, placeholder, plan::Action},
    text::{
        channel::{MAX_HELD, What},
        tap::{Escaping, Piece},
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD};

/// One value, masked whole.
pub(super) struct Whole {
    /// The full name that it is counted under.
    name: String,
    escaping: Escaping,
    /// The value so far, until its replacement is given.
    value: Vec<u8>,
    /// Where it stands.
    ranges: Vec<(u64, u64)>,
    given: bool,
    passes: bool,
}

impl Whole {
    /// A value counted under `name`, such as `keys/password`.
    pub(super) fn new(desk: &Desk<'_>, name: String, escaping: Escaping) -> Self {
        Self {
            passes: desk.plan.treatment(&name).action == Action::Report,
            name,
            escaping,
            value: Vec::new(),
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
        let end = raw.saturating_add(raw_len);
        let mut rest = text;
        let mut at = raw;
        if !self.given {
            let room = MAX_HELD.saturating_sub(self.value.len());
            // A part of an escape cannot be left over: then all of it counts.
            let room = if raw_len == text.len() as u64 {
                room
            } else {
                text.len()
            };
            let (known, beyond) = text.split_at_checked(room).unwrap_or((text, &[]));
            self.value.extend_from_slice(known);
            let until = end.saturating_sub(beyond.len() as u64);
            self.add(at, until);
            (rest, at) = (beyond, until);
            if self.value.len() >= MAX_HELD {
                self.give(desk);
            }
        }
        // Raw bytes may mean nothing by themselves: the second half of an escape.
        let is_left = !rest.is_empty() || text.is_empty() && raw_len > 0;
        if self.given && is_left && at < end && !self.passes {
            desk.edits.add(Edit {
                start: at,
                end,
                replacement: Vec::new(),
            });
        }
    }

    /// Reads a part of the value that stands in several places.
    pub(super) fn push_pieces(&mut self, desk: &mut Desk<'_>, text: &[u8], pieces: &[Piece]) {
        let mut rest = text;
        for piece in pieces {
            let length = usize::try_from(piece.len).unwrap_or(0);
            let (part, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            self.push(desk, part, piece.raw, u64::from(piece.raw_len));
            rest = after;
        }
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
            false => self.ranges.first().map(|(start, _)| *start),
        }
    }

    /// The secret itself: the same one has the same fingerprint wherever it stands.
    fn meaning(&mut self) -> Vec<u8> {
        let value = std::mem::take(&mut self.value);
        match self.escaping {
            Escaping::Base64 => {
                let whole = value.len().saturating_sub(value.len() % 4);
                let text = value.get(..whole).unwrap_or_default();
                BASE64_STANDARD.decode(text).unwrap_or(value)
            }
            _ => value,
        }
    }

    fn add(&mut self, start: u64, end: u64) {
        match self.ranges.last_mut() {
            Some(last) if last.1 == start => last.1 = end,
            _ => self.ranges.push((start, end)),
        }
    }

    fn give(&mut self, desk: &mut Desk<'_>) {
        self.given = true;
        let value = self.meaning();
        // What masking has put there, here or before, stays.
        if placeholder::read(&value).is_some_and(|found| found.is_known(desk.plan)) {
            return;
        }
        let short = self.name.split_once('/').map_or("key", |(_, short)| short);
        let only_reports = std::mem::replace(&mut desk.only_reports, self.passes);
        let what = desk.judge_named(&self.name, short, &value, false);
        desk.only_reports = only_reports;
        let ranges = std::mem::take(&mut self.ranges);
        let mut replacement = match what {
            Some(What::Replaced(text)) => {
                let length = ranges.iter().map(|(start, end)| end.saturating_sub(*start));
                self.escaping
                    .write(&text, length.fold(0, u64::saturating_add))
            }
            Some(What::Blocked) => {
                if let (Some(block), Some(&(start, _))) = (&mut desk.blocked, ranges.first()) {
                    block.at = Some(block.at.unwrap_or(start).min(start));
                }
                return;
            }
            Some(What::Dropped) | None => return,
        };
        for (start, end) in ranges {
            desk.edits.add(Edit {
                start,
                end,
                replacement: std::mem::take(&mut replacement),
            });
        }
    }
}
