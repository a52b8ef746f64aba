//! The texts that go on over events, and the events that wait for them.

use crate::masking::{
    bodies::{desk::Desk, edit::Edit},
    formats::json::JsonText,
    text::tap::{Escaping, Piece},
};
use std::collections::VecDeque;

/// Most texts that are followed at once. One more, and the one that has been quiet the longest is
/// given up: what is undecided in it is masked, and its next piece begins a new text.
const MAX_TEXTS: usize = 256;

/// Most bytes of whole events that wait. Beyond, the leftmost undecided place is masked, whatever
/// it is.
///
/// It bounds memory, and is not meant to be reached: what may be a secret is bounded as a text, by
/// [`MAX_HELD`](crate::masking::MAX_HELD), and what only begins like one is refuted after
/// [`DOUBTED`](crate::masking::detectors::doubt::DOUBTED) characters. So many, of which each comes
/// in an event of its own, are 90 KB of OpenAI's largest events (350 bytes), 35 KB of Anthropic's.
pub(super) const MAX_WAITING: u64 = 256 * 1024;

/// Bytes of a text that are gathered before they are read: beyond, nothing is gained.
const MOST_GATHERED: usize = 4096;

/// What it costs to look whether something is masked beside what is tied to it, and to put an edit
/// in its place; see [`Budget`](crate::masking::Budget).
const TIED: u64 = 16;
const EDITED: u64 = 4;

#[derive(Debug, Clone, Default)]
pub(super) struct Channels {
    open: Vec<Open>,
    /// Counts pieces, to know which text was quiet.
    clock: u64,
    /// Raw offsets of events that wait, in order; only those that hold a piece of a text.
    waiting: VecDeque<u64>,
    /// The current event holds such a piece.
    is_fed: bool,
    /// In the order of where they stand.
    ties: VecDeque<Tie>,
    gathered: Gathered,
}

/// Pieces of one text that have come one after another and are read at once: reading costs the same
/// for a word as for a hundred bytes.
#[derive(Clone, Default)]
struct Gathered {
    /// Of [`Channels::open`].
    of: usize,
    text: Vec<u8>,
    pieces: Vec<Piece>,
    /// Raw offset of the first event that may wait while they are read.
    first: Option<u64>,
}

impl std::fmt::Debug for Gathered {
    /// Without what it holds: it may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gathered").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
struct Open {
    key: Box<[u8]>,
    text: JsonText,
    used: u64,
}

/// What goes with a text: if something in `of` is masked, `range` is replaced too.
#[derive(Debug, Clone)]
pub(super) struct Tie {
    pub(super) of: (u64, u64),
    pub(super) range: (u64, u64),
    pub(super) replacement: &'static [u8],
}

impl Channels {
    /// Reads the next piece of a text. `perhaps`: it may also be a text of its own.
    pub(super) fn push(
        &mut self,
        desk: &mut Desk<'_>,
        key: &[u8],
        escaping: Escaping,
        perhaps: bool,
        text: &[u8],
        pieces: &[Piece],
    ) {
        self.read_gathered(desk);
        self.is_fed = true;
        self.clock = self.clock.saturating_add(1);
        let clock = self.clock;
        let at = match self.open.iter().position(|open| *open.key == *key) {
            Some(at) => at,
            None => {
                self.make_room(desk);
                self.open.push(Open {
                    key: key.into(),
                    text: JsonText::new(escaping),
                    used: clock,
                });
                self.open.len().saturating_sub(1)
            }
        };
        if let Some(open) = self.open.get_mut(at) {
            open.used = clock;
            if perhaps {
                open.text.boundary(desk);
            }
            open.text.push(desk, text, pieces);
        }
    }

    /// The same, but it may be read later, together with the pieces of the same text that come
    /// next: at last when [`read_gathered`](Self::read_gathered) is called.
    ///
    /// What is found is the same, since it does not depend on how a text is cut. Only a body that
    /// ends at a secret must see it before it reads on.
    pub(super) fn gather(
        &mut self,
        desk: &mut Desk<'_>,
        key: &[u8],
        escaping: Escaping,
        perhaps: bool,
        text: &[u8],
        pieces: &[Piece],
    ) {
        let is_same = |open: &Open| *open.key == *key;
        let gathered = &self.gathered;
        let goes_on = !gathered.text.is_empty() && self.open.get(gathered.of).is_some_and(is_same);
        if !goes_on {
            self.read_gathered(desk);
        }
        let known = match goes_on {
            true => Some(self.gathered.of),
            false => self.open.iter().position(is_same),
        };
        let Some(of) = known.filter(|_| !perhaps && !desk.plan.blocks()) else {
            self.push(desk, key, escaping, perhaps, text, pieces);
            return;
        };
        if !goes_on {
            self.gathered.of = of;
            self.gathered.first = self.waits_from();
        }
        self.is_fed = true;
        self.clock = self.clock.saturating_add(1);
        if let Some(open) = self.open.get_mut(of) {
            open.used = self.clock;
        }
        self.gathered.text.extend_from_slice(text);
        self.gathered.pieces.extend_from_slice(pieces);
    }

    /// Reads what is gathered.
    pub(super) fn read_gathered(&mut self, desk: &mut Desk<'_>) {
        let Gathered {
            of, text, pieces, ..
        } = &mut self.gathered;
        if text.is_empty() {
            return;
        }
        if let Some(open) = self.open.get_mut(*of) {
            open.text.push(desk, text, pieces);
        }
        text.clear();
        text.shrink_to(512);
        pieces.clear();
        pieces.shrink_to(32);
        self.forget_decided();
    }

    /// Ends the texts whose identity begins so.
    pub(super) fn end(&mut self, desk: &mut Desk<'_>, key: &[u8]) {
        self.read_gathered(desk);
        self.open.retain_mut(|open| {
            let ends = open.key.starts_with(key);
            if ends {
                open.text.finish(desk);
            }
            !ends
        });
    }

    /// Decides everything now: what is undecided is masked.
    pub(super) fn force(&mut self, desk: &mut Desk<'_>) {
        self.read_gathered(desk);
        for open in &mut self.open {
            open.give_up(desk);
        }
    }

    /// Says that the event from `start` to `end` was read. If too much waits, the leftmost places
    /// are masked.
    pub(super) fn event(&mut self, desk: &mut Desk<'_>, start: u64, end: u64) {
        if std::mem::take(&mut self.is_fed) {
            self.waiting.push_back(start);
        }
        if !self.gathered.text.is_empty() {
            // Nothing that is undecided begins before this event, whatever is gathered says.
            let first = *self.gathered.first.get_or_insert(start);
            let is_full = self.gathered.text.len() > MOST_GATHERED;
            if end.saturating_sub(first) <= MAX_WAITING && !is_full {
                return;
            }
            self.read_gathered(desk);
        }
        // Where a stream is to be ended is still asked for.
        while desk.blocked.is_none()
            && let Some(first) = self.forget_decided()
            && end.saturating_sub(first) > MAX_WAITING
            && self.force_leftmost(desk)
        {}
    }

    /// Forgets the events that wait no longer. Gives where the first one stands that does.
    fn forget_decided(&mut self) -> Option<u64> {
        let Some(first) = self.waits_from() else {
            self.waiting.clear();
            self.waiting.shrink_to(16);
            return None;
        };
        while self.waiting.front().is_some_and(|&start| start < first) {
            self.waiting.pop_front();
        }
        Some(first)
    }

    /// Remembers what goes with a text until that is decided.
    pub(super) fn tie(&mut self, tie: Tie) {
        // Nearly always the last; an object may say so behind others that stand in it.
        let at = self.ties.partition_point(|other| other.of.0 <= tie.of.0);
        self.ties.insert(at, tie);
    }

    /// Raw offset of the first event that waits.
    pub(super) fn waits_from(&self) -> Option<u64> {
        self.event_at(self.undecided()?)
    }

    /// The waiting event in which the raw offset `at` lies.
    pub(super) fn event_at(&self, at: u64) -> Option<u64> {
        let next = self.waiting.partition_point(|&start| start <= at);
        self.waiting.get(next.checked_sub(1)?).copied()
    }

    /// Does what is tied to texts before the raw offset `to`, which are decided.
    pub(super) fn settle(&mut self, desk: &mut Desk<'_>, to: u64) {
        let due = self.ties.partition_point(|tie| tie.of.0 < to);
        if due == 0 {
            return;
        }
        let mut edits = Vec::new();
        for tie in self.ties.drain(..due) {
            if desk.edits.touch(tie.of.0, tie.of.1) {
                let replacement = tie.replacement.to_vec();
                edits.push(Edit::new(tie.range.0, tie.range.1, replacement));
            }
        }
        let mut work = (due as u64).saturating_mul(TIED);
        if !edits.is_empty() {
            let waiting = desk.edits.len().saturating_add(edits.len()) as u64;
            work = work.saturating_add(waiting.saturating_mul(EDITED));
            desk.edits.replace_each(edits);
        }
        desk.worked(work);
        self.ties.shrink_to(16);
    }

    /// Masks the leftmost undecided place. `false` if that decided nothing.
    fn force_leftmost(&mut self, desk: &mut Desk<'_>) -> bool {
        let leftmost = self
            .open
            .iter_mut()
            .filter_map(|open| Some((open.text.undecided()?, open)))
            .min_by_key(|(at, _)| *at);
        leftmost.is_some_and(|(_, open)| open.text.let_go(desk) || open.text.force(desk))
    }

    fn undecided(&self) -> Option<u64> {
        self.open
            .iter()
            .filter_map(|open| open.text.undecided())
            .min()
    }

    fn make_room(&mut self, desk: &mut Desk<'_>) {
        if self.open.len() < MAX_TEXTS {
            return;
        }
        let quiet = (0..).zip(&self.open).min_by_key(|(_, open)| open.used);
        if let Some((at, _)) = quiet {
            self.open.swap_remove(at).give_up(desk);
        }
    }
}

impl Open {
    /// Masks what is undecided.
    fn give_up(&mut self, desk: &mut Desk<'_>) {
        while self.text.undecided().is_some() && self.text.force(desk) {}
    }
}
