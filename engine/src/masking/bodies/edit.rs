//! What masking changes: ranges of the raw stream and what stands there instead.
//!
//! Every format says what to change in these terms and nothing else is ever written, so what holds
//! no secret passes byte for byte in all of them.

use super::fault;

/// One range of the raw stream that is replaced.
#[derive(PartialEq, Eq)]
pub(in crate::masking) struct Edit {
    /// Offset of the first byte, from the beginning of the stream.
    pub(in crate::masking) start: u64,
    /// Offset after the last byte.
    pub(in crate::masking) end: u64,
    /// What stands there instead; empty if it only goes.
    pub(in crate::masking) replacement: Vec<u8>,
}

impl std::fmt::Debug for Edit {
    /// Without the replacement: when a secret is restored it is the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Edit({}..{})", self.start, self.end)
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
            Some(last) if last.end == edit.start && edit.replacement.is_empty() => {
                last.end = edit.end;
            }
            Some(last) if last.end > edit.start => self.insert(edit),
            _ => self.waiting.push(edit),
        }
    }

    /// Takes an edit of a place before others.
    fn insert(&mut self, mut edit: Edit) {
        let at = self
            .waiting
            .partition_point(|other| other.start < edit.start);
        let before = at.checked_sub(1).and_then(|at| self.waiting.get(at));
        let after = self.waiting.get(at);
        if before.is_some_and(|other| other.end > edit.start)
            || after.is_some_and(|other| other.start < edit.end)
        {
            fault::check(|| false, "an edit of a place where there is one");
            self.join(&mut edit);
        }
        let at = self
            .waiting
            .partition_point(|other| other.start < edit.start);
        self.waiting.insert(at, edit);
    }

    /// Takes out the edits that have a place in common with this one, which becomes one of all
    /// their places.
    fn join(&mut self, edit: &mut Edit) {
        let (start, end) = (edit.start, edit.end);
        for other in self
            .waiting
            .extract_if(.., |other| other.end > start && other.start < end)
        {
            edit.start = edit.start.min(other.start);
            edit.end = edit.end.max(other.end);
        }
    }

    /// Whether something between these raw offsets is to be changed.
    pub(in crate::masking) fn touch(&self, start: u64, end: u64) -> bool {
        let first = self.waiting.partition_point(|edit| edit.end <= start);
        self.waiting.get(first).is_some_and(|edit| edit.start < end)
    }

    /// Takes an edit that makes those inside of its range needless.
    pub(in crate::masking) fn replace(&mut self, mut edit: Edit) {
        let (start, end) = (edit.start, edit.end);
        self.join(&mut edit);
        fault::check(
            || (edit.start, edit.end) == (start, end),
            "an edit that lies in another one's range, but for a part",
        );
        self.add(edit);
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

    /// Keeps the edits that are made from now on.
    pub(in crate::masking) fn keep_made(&mut self) {
        self.made.get_or_insert_default();
    }

    /// The edits that were made and kept.
    pub(in crate::masking) fn made(&self) -> &[Change] {
        self.made.as_deref().unwrap_or_default()
    }

    /// How far bytes can leave that are decided up to `decided`: an edit is made whole or not yet.
    pub(in crate::masking) fn can_leave(&self, decided: u64) -> u64 {
        self.waiting
            .iter()
            .find(|edit| edit.start < decided && edit.end > decided)
            .map_or(decided, |edit| edit.start)
    }

    /// Copies `bytes`, which begin at the raw offset `from`, up to the raw offset `to` into `out`,
    /// with the edits made that lie there. No edit goes on after `to`: see
    /// [`can_leave`](Self::can_leave).
    pub(in crate::masking) fn apply(
        &mut self,
        bytes: &[u8],
        from: u64,
        to: u64,
        out: &mut Vec<u8>,
    ) {
        let slice = |start: u64, end: u64| {
            let start = usize::try_from(start.saturating_sub(from)).unwrap_or(usize::MAX);
            let end = usize::try_from(end.saturating_sub(from)).unwrap_or(usize::MAX);
            bytes.get(start..end).unwrap_or_default()
        };
        let mut at = from;
        let made = self.waiting.partition_point(|edit| edit.end <= to);
        for edit in self.waiting.drain(..made) {
            fault::check(|| edit.start >= at, "an edit of bytes that have left");
            out.extend_from_slice(slice(at, edit.start.max(at)));
            out.extend_from_slice(&edit.replacement);
            at = edit.end.max(at);
            if let Some(made) = &mut self.made {
                made.push(Change {
                    start: edit.start,
                    end: edit.end,
                    replacement: edit.replacement,
                });
            }
        }
        match self.waiting.first_mut() {
            Some(edit) if edit.start < to => {
                fault::check(|| false, "an edit is to be made in parts");
                // What it leaves out goes on later.
                out.extend_from_slice(slice(at, edit.start.max(at)));
                out.append(&mut edit.replacement);
                edit.start = to;
            }
            _ => out.extend_from_slice(slice(at, to)),
        }
    }
}
