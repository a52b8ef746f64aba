//! What masking changes: ranges of the raw stream and what stands there instead.
//!
//! Every format says what to change in these terms and nothing else is ever written, so what holds
//! no secret passes byte for byte in all of them.

use super::fault;
use crate::masking::offsets::{RawAt, Span};

/// One range of the raw stream that is replaced.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::masking) struct Edit {
    pub(in crate::masking) at: Span<RawAt>,
    /// What stands there instead; empty if it only goes.
    pub(in crate::masking) replacement: Vec<u8>,
}

impl Edit {
    /// Replaces what stands from `start` up to `end`.
    pub(in crate::masking) fn new(
        start: impl Into<RawAt>,
        end: impl Into<RawAt>,
        replacement: Vec<u8>,
    ) -> Self {
        let at = Span::new(start, end);
        Self { at, replacement }
    }
}

impl std::fmt::Debug for Edit {
    /// Without the replacement: when a secret is restored it is the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Edit({}..{})", self.at.from.get(), self.at.to.get())
    }
}

/// The edits that have not been made yet, in order of their places; they never overlap.
#[derive(Debug, Default)]
pub(in crate::masking) struct Edits {
    waiting: Vec<Edit>,
    /// The edits that were made, if they are kept.
    made: Option<Vec<Change>>,
}

/// A place where a body was changed: what stood there was a secret, or a part of one. See
/// [`Masker::keeping_changes`](crate::masking::Masker::keeping_changes).
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    /// Offset of the first byte in the body as it came.
    pub start: u64,
    /// Offset after the last byte.
    pub end: u64,
    /// What stands there now; empty for the later parts of a secret in several places.
    pub replacement: Vec<u8>,
}

impl std::fmt::Debug for Change {
    /// Without the replacement, as for edits.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Change({}..{})", self.start, self.end)
    }
}

impl Edits {
    /// Takes an edit of a place where there is none yet, nor was one made.
    pub(in crate::masking) fn add(&mut self, edit: Edit) {
        match self.waiting.last_mut() {
            // A secret that goes on: its later ranges only disappear.
            Some(last) if last.at.to == edit.at.from && edit.replacement.is_empty() => {
                last.at.to = edit.at.to;
            }
            Some(last) if last.at.to > edit.at.from => self.insert(edit),
            _ => self.waiting.push(edit),
        }
    }

    /// Takes an edit of a place before others.
    fn insert(&mut self, mut edit: Edit) {
        let mut at = self.first_from(edit.at.from);
        let before = at.checked_sub(1).and_then(|at| self.waiting.get(at));
        let mut around = before.into_iter().chain(self.waiting.get(at));
        if around.any(|other| other.at.meets(edit.at)) {
            fault::check(|| false, "an edit of a place where there is one");
            self.join(&mut edit);
            at = self.first_from(edit.at.from);
        }
        self.waiting.insert(at, edit);
    }

    /// The first edit of a place at or after this one.
    fn first_from(&self, place: RawAt) -> usize {
        self.waiting.partition_point(|edit| edit.at.from < place)
    }

    /// Takes out the edits that have a place in common with this one, which becomes one of all
    /// their places.
    fn join(&mut self, edit: &mut Edit) {
        let place = edit.at;
        let met = |other: &mut Edit| other.at.meets(place);
        for other in self.waiting.extract_if(.., met) {
            edit.at = edit.at.joined(other.at);
        }
    }

    /// Whether something between these raw offsets is to be changed.
    pub(in crate::masking) fn touch(&self, start: impl Into<RawAt>, end: impl Into<RawAt>) -> bool {
        let place = Span::new(start, end);
        let first = self
            .waiting
            .partition_point(|edit| edit.at.to <= place.from);
        let first = self.waiting.get(first);
        first.is_some_and(|edit| edit.at.from < place.to)
    }

    /// Takes an edit that makes those inside of its range needless.
    pub(in crate::masking) fn replace(&mut self, mut edit: Edit) {
        let place = edit.at;
        self.join(&mut edit);
        fault::check(
            || edit.at == place,
            "an edit that lies in another one's range, but for a part",
        );
        self.add(edit);
    }

    /// The same for many, in one pass over those that wait. Of these, too, some may lie in another
    /// one's range.
    pub(in crate::masking) fn replace_each(&mut self, mut edits: Vec<Edit>) {
        edits.sort_by_key(|edit| (edit.at.from, std::cmp::Reverse(edit.at.to)));
        edits.dedup_by(|later, first| later.at.to <= first.at.to);
        let mut edits = edits.into_iter().peekable();
        let mut all = Vec::with_capacity(self.waiting.len().saturating_add(edits.len()));
        for waiting in std::mem::take(&mut self.waiting) {
            while let Some(edit) = edits.next_if(|edit| edit.at.to <= waiting.at.from) {
                all.push(edit);
            }
            match edits.peek_mut() {
                Some(edit) if edit.at.meets(waiting.at) => {
                    let joined = edit.at.joined(waiting.at);
                    fault::check(
                        || edit.at == joined,
                        "an edit that lies in another one's range, but for a part",
                    );
                    edit.at = joined;
                }
                _ => all.push(waiting),
            }
        }
        all.extend(edits);
        self.waiting = all;
    }

    /// How many wait.
    pub(in crate::masking) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes an edit in place of all that wait.
    pub(in crate::masking) fn replace_all(&mut self, edit: Edit) {
        self.waiting.clear();
        self.waiting.push(edit);
    }

    /// Whether there is nothing to change.
    pub(in crate::masking) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The edits that wait, to [go back](Self::go_back) to them.
    pub(in crate::masking) fn waiting(&self) -> Vec<Edit> {
        self.waiting.clone()
    }

    /// Forgets the edits that were taken since these alone [waited](Self::waiting). None of them
    /// was made.
    pub(in crate::masking) fn go_back(&mut self, waiting: Vec<Edit>) {
        self.waiting = waiting;
    }

    /// Keeps the edits that are made from now on.
    pub(in crate::masking) fn keep_made(&mut self) {
        self.made.get_or_insert_default();
    }

    /// The edits that were made and kept.
    pub(in crate::masking) fn made(&self) -> &[Change] {
        self.made.as_deref().unwrap_or_default()
    }

    /// How far bytes can leave that are decided up to `decided`: an edit is made whole or not yet.
    pub(in crate::masking) fn can_leave(&self, decided: RawAt) -> RawAt {
        self.waiting
            .iter()
            .find(|edit| edit.at.from < decided && edit.at.to > decided)
            .map_or(decided, |edit| edit.at.from)
    }

    /// Copies `bytes`, which begin at the raw offset `from`, up to the raw offset `to` into `out`,
    /// with the edits made that lie there. No edit goes on after `to`: see
    /// [`can_leave`](Self::can_leave).
    pub(in crate::masking) fn apply(
        &mut self,
        bytes: &[u8],
        from: RawAt,
        to: RawAt,
        out: &mut Vec<u8>,
    ) {
        // What is not at hand cannot pass.
        let slice = |start: RawAt, end: RawAt| {
            let range = start.index(from)..end.index(from);
            bytes.get(range).unwrap_or_default()
        };
        let mut at = from;
        let made = self.waiting.partition_point(|edit| edit.at.to <= to);
        for edit in self.waiting.drain(..made) {
            fault::check(|| edit.at.from >= at, "an edit of bytes that have left");
            out.extend_from_slice(slice(at, edit.at.from.max(at)));
            out.extend_from_slice(&edit.replacement);
            at = edit.at.to.max(at);
            if let Some(made) = &mut self.made {
                made.push(Change {
                    start: edit.at.from.get(),
                    end: edit.at.to.get(),
                    replacement: edit.replacement,
                });
            }
        }
        match self.waiting.first_mut() {
            Some(edit) if edit.at.from < to => {
                fault::check(|| false, "an edit is to be made in parts");
                // What it leaves out goes on later.
                out.extend_from_slice(slice(at, edit.at.from.max(at)));
                out.append(&mut edit.replacement);
                edit.at.from = to;
            }
            _ => out.extend_from_slice(slice(at, to)),
        }
    }
}
