//! One decoded text in the raw stream: finds its secrets and says which raw bytes they are.
//!
//! A format decodes (escapes, percent, base64, the lines of an event) and gives a tap the text with
//! [`Piece`]s that say where it stood. What is found becomes edits of raw ranges: the first range
//! of a secret gets the replacement, the others become empty.

use super::{
    channel::{Channel, Seams},
    fold::{self, Fold},
    piece::covers,
};
use crate::masking::{
    bodies::{
        desk::Desk,
        edit::Edit,
        fault,
        mark::{Mark, What},
        plan::Plan,
    },
    offsets::{RawAt, Span, TextAt},
};
use std::collections::VecDeque;

pub(in crate::masking) use super::{escaping::Escaping, piece::Piece};

/// Most raw bytes of one text that wait for a decision and do not stand for themselves: escapes are
/// longer than what they mean, and characters without width mean nothing, so the cap on the text
/// does not bound them. At this cap, too, the possible secret is masked.
const MAX_WIDE: u64 = 48 * 1024;

/// One text.
#[derive(Debug, Clone)]
pub(in crate::masking) struct Tap {
    acting: Channel,
    reporting: Option<Box<Channel>>,
    escaping: Escaping,
    /// Up to where the text was read.
    read: TextAt,
    /// Where the text from the first undecided byte on stands: where in the text each run begins,
    /// and its piece.
    runs: VecDeque<(TextAt, Piece)>,
    /// Raw bytes of those that do not stand for themselves.
    wide: u64,
    /// Raw bytes before this offset were changed already.
    edited: RawAt,
    fold: Box<Fold>,
}

impl Tap {
    pub(in crate::masking) fn new(escaping: Escaping) -> Self {
        Self {
            acting: Channel::new(),
            reporting: None,
            escaping,
            read: TextAt::START,
            runs: VecDeque::new(),
            wide: 0,
            edited: RawAt::START,
            fold: Box::default(),
        }
    }

    /// Reads text that stands in the raw bytes as it is, from the raw offset `raw` on.
    pub(in crate::masking) fn push_plain(
        &mut self,
        desk: &mut Desk<'_>,
        text: &[u8],
        raw: impl Into<RawAt>,
    ) {
        self.push(desk, text, &[Piece::plain(raw, text.len())]);
    }

    /// Reads text; `pieces` cover it in order, and their raw bytes lie in order too.
    pub(in crate::masking) fn push(&mut self, desk: &mut Desk<'_>, text: &[u8], pieces: &[Piece]) {
        self.push_seamed(desk, text, pieces, &[]);
    }

    /// Reads text in which secrets stand between seams only.
    pub(in crate::masking) fn push_seamed(
        &mut self,
        desk: &mut Desk<'_>,
        text: &[u8],
        pieces: &[Piece],
        seams: Seams<'_>,
    ) {
        fault::check(
            || covers(pieces, text),
            "pieces are not those of their text",
        );
        fault::check(
            || seams.is_sorted() && seams.last().is_none_or(|seam| *seam <= text.len()),
            "seams are not those of their text",
        );
        if self.fold.is_plain(text) {
            self.read(desk, text, pieces, seams, &[]);
            return;
        }
        let mut fold = std::mem::take(&mut self.fold);
        if fold.read(text, pieces, seams, false) {
            self.read(desk, &fold.text, &fold.pieces, &fold.seams, &fold.breaks);
        } else {
            self.read(desk, text, pieces, seams, &[]);
        }
        self.fold = fold;
    }

    fn read(
        &mut self,
        desk: &mut Desk<'_>,
        text: &[u8],
        pieces: &[Piece],
        seams: Seams<'_>,
        breaks: &[usize],
    ) {
        let wide = pieces.iter().map(Piece::wide);
        if wide.fold(self.wide, u64::saturating_add) <= MAX_WIDE {
            self.read_on(desk, text, pieces, seams, breaks);
            return;
        }
        // Piece by piece, so that what the cap masks does not depend on how the text came.
        let (mut seams, mut breaks) = (seams, breaks);
        let (mut from, mut rest) = (0_usize, pieces);
        while let Some((first, _)) = rest.split_first() {
            let plain = rest.iter().take_while(|piece| piece.wide() == 0).count();
            let (some, later) = rest.split_at_checked(plain.max(1)).unwrap_or((rest, &[]));
            rest = later;
            if self.wide.saturating_add(first.wide()) > MAX_WIDE {
                self.let_go(desk);
            }
            if self.wide.saturating_add(first.wide()) > MAX_WIDE {
                self.force(desk);
            }
            let length = some.iter().map(Piece::length);
            let length = usize::try_from(length.fold(0, u64::saturating_add)).unwrap_or(0);
            let to = match rest {
                [] => text.len(),
                _ => from.saturating_add(length),
            };
            let Some(part) = text.get(from..to) else {
                desk.fault.cannot_be("pieces are longer than their text");
                return;
            };
            // A seam at the end of a part is also one at the beginning of the next; it counts once.
            let last = rest.is_empty();
            let own = |places: &mut &[usize]| {
                let n = places.partition_point(|at| *at < to || last);
                let (own, later) = places.split_at_checked(n).unwrap_or((places, &[]));
                *places = later;
                own.iter()
                    .map(|at| at.saturating_sub(from))
                    .collect::<Vec<_>>()
            };
            let (own_seams, own_breaks) = (own(&mut seams), own(&mut breaks));
            self.read_on(desk, part, some, &own_seams, &own_breaks);
            from = to;
        }
    }

    fn read_on(
        &mut self,
        desk: &mut Desk<'_>,
        text: &[u8],
        pieces: &[Piece],
        seams: Seams<'_>,
        breaks: &[usize],
    ) {
        self.report(desk, |channel, desk| {
            let Some(set) = &desk.plan.reporting else {
                return;
            };
            channel.push(set, desk, text, seams, breaks, &mut Vec::new());
        });
        let mut marks = std::mem::take(&mut desk.marks);
        let plan = desk.plan;
        self.acting
            .push(&plan.acting, desk, text, seams, breaks, &mut marks);
        if marks.is_empty() && self.acting.undecided().is_none() {
            self.forget();
            self.read = self.read.after(text.len());
            desk.marks = marks;
            return;
        }
        // Escaped text has a piece for every few bytes, of which the end alone is undecided,
        // mostly.
        let decided = match marks.is_empty() {
            true => self.acting.undecided().unwrap_or_default(),
            false => TextAt::START,
        };
        let end = self.read.after(text.len());
        for piece in pieces {
            let end = self.read.plus(piece.length());
            if end <= decided {
                self.read = end;
            } else {
                self.remember(*piece);
            }
        }
        let is_covered = self.read == end;
        desk.fault
            .unless(is_covered, "pieces are not as long as their text");
        desk.marks = marks;
        self.edit(desk);
    }

    /// Whether nothing is undecided.
    pub(in crate::masking) fn is_idle(&self) -> bool {
        let reporting = self.reporting.as_ref();
        self.acting.is_idle()
            && reporting.is_none_or(|reporting| reporting.is_idle())
            && self.fold.is_idle()
            && self.runs.is_empty()
    }

    /// Reads text of bounded length without being told where it stands and where spans end in it,
    /// while the tap is [idle](Self::is_idle), if no secret begins in it. What comes next stands
    /// `outside` of spans or not.
    ///
    /// # Errors
    /// Before this offset no secret begins. Nothing was read; it is to be pushed.
    pub(in crate::masking) fn pass(
        &mut self,
        desk: &mut Desk<'_>,
        text: &[u8],
        outside: bool,
    ) -> Result<(), usize> {
        if let Some(at) = fold::first_hidden(text) {
            return Err(at);
        }
        let (plan, mut work) = (desk.plan, 0);
        let passed = self.passes(plan, text, outside, &mut work);
        desk.worked(work);
        passed
    }

    fn passes(
        &mut self,
        plan: &Plan,
        text: &[u8],
        outside: bool,
        work: &mut u64,
    ) -> Result<(), usize> {
        let acting = &plan.acting;
        let carried = self.acting.carried_past(acting, text, work)?;
        if let Some(set) = &plan.reporting {
            let reporting = self
                .reporting
                .get_or_insert_with(|| Box::new(Channel::new()));
            let carried = reporting.carried_past(set, text, work)?;
            reporting.go_past(set, text, carried, outside);
        }
        self.acting.go_past(acting, text, carried, outside);
        self.read = self.read.after(text.len());
        Ok(())
    }

    /// Writes replacements in this way from now on.
    pub(in crate::masking) fn escape(&mut self, escaping: Escaping) {
        self.escaping = escaping;
    }

    /// Ends the text: what was undecided is decided. The tap is then as new.
    pub(in crate::masking) fn finish(&mut self, desk: &mut Desk<'_>) {
        let mut fold = std::mem::take(&mut self.fold);
        if fold.read(&[], &[], &[], true) {
            self.read(desk, &fold.text, &fold.pieces, &[], &fold.breaks);
        }
        let is_read = fold.undecided().is_none();
        desk.fault
            .unless(is_read, "half an escape goes on after the end of its text");
        self.report(desk, |channel, desk| {
            let Some(set) = &desk.plan.reporting else {
                return;
            };
            channel.finish(set, desk, &mut Vec::new());
        });
        let mut marks = std::mem::take(&mut desk.marks);
        let plan = desk.plan;
        self.acting.finish(&plan.acting, desk, &mut marks);
        desk.marks = marks;
        self.edit(desk);
        self.read = TextAt::START;
        self.forget();
        self.edited = RawAt::START;
    }

    /// Says that what comes next may also be a text of its own: a secret may begin there whatever
    /// stood before.
    pub(in crate::masking) fn boundary(&mut self) {
        self.acting.boundary();
        if let Some(reporting) = &mut self.reporting {
            reporting.boundary();
        }
    }

    /// Lets the raw bytes of what is undecided go, all but the last: it is masked, with the
    /// fingerprint of all of it. For formats whose raw bytes outgrow their cap. Gives whether there
    /// were any.
    pub(in crate::masking) fn let_go(&mut self, desk: &mut Desk<'_>) -> bool {
        let before = self.undecided();
        // What may be half an escape stands for itself from now on, and may refute what waits.
        let mut fold = std::mem::take(&mut self.fold);
        if fold.read(&[], &[], &[], true) {
            self.read(desk, &fold.text, &fold.pieces, &[], &fold.breaks);
        }
        if self.undecided() != before {
            return true;
        }
        let mut marks = std::mem::take(&mut desk.marks);
        let plan = desk.plan;
        self.acting.let_go(&plan.acting, desk, &mut marks);
        desk.marks = marks;
        self.edit(desk);
        self.undecided() != before
    }

    /// Decides the leftmost undecided place now: it is masked. For formats that cannot wait.
    pub(in crate::masking) fn force(&mut self, desk: &mut Desk<'_>) {
        // What may be half an escape stands for itself from now on.
        let mut fold = std::mem::take(&mut self.fold);
        if fold.read(&[], &[], &[], true) {
            self.read(desk, &fold.text, &fold.pieces, &[], &fold.breaks);
        }
        let mut marks = std::mem::take(&mut desk.marks);
        let plan = desk.plan;
        self.acting.force(&plan.acting, desk, &mut marks);
        desk.marks = marks;
        self.edit(desk);
    }

    /// Raw offset of the first byte that is not decided; `None` if all are.
    pub(in crate::masking) fn undecided(&self) -> Option<RawAt> {
        let held = self.undecided_text();
        held.into_iter().chain(self.fold.undecided()).min()
    }

    fn undecided_text(&self) -> Option<RawAt> {
        let at = self.acting.undecided()?;
        // There is one: see `edit`.
        let (start, piece) = self.runs.front()?;
        Some(match piece.is_plain() {
            true => piece.raw.plus(at.since(*start)),
            false => piece.raw,
        })
    }

    /// Lets the reporting detectors look, if there are any.
    fn report(&mut self, desk: &mut Desk<'_>, look: impl FnOnce(&mut Channel, &mut Desk<'_>)) {
        if desk.plan.reporting.is_some() {
            let channel = self
                .reporting
                .get_or_insert_with(|| Box::new(Channel::new()));
            desk.only_reports = true;
            look(channel, desk);
            desk.only_reports = false;
        }
    }

    fn forget(&mut self) {
        self.runs.clear();
        self.wide = 0;
    }

    fn remember(&mut self, piece: Piece) {
        let at = self.read;
        self.wide = self.wide.saturating_add(piece.wide());
        self.read = at.plus(piece.length());
        if let Some((from, last)) = self.runs.back_mut() {
            let plain = last.is_plain() && piece.is_plain();
            // Between them may lie text that was decided when it came, which is not here.
            let follows = from.plus(last.length()) == at && last.raw_span().to == piece.raw;
            if let (true, true, Some(len)) = (plain, follows, last.len.checked_add(piece.len)) {
                last.len = len;
                last.raw_len = len;
                return;
            }
        }
        self.runs.push_back((at, piece));
    }

    /// Turns the desk's marks into edits and forgets what is decided.
    fn edit(&mut self, desk: &mut Desk<'_>) {
        let mut marks = std::mem::take(&mut desk.marks);
        for mark in marks.drain(..) {
            self.change(desk, mark);
        }
        desk.marks = marks;
        match self.acting.undecided() {
            None => self.forget(),
            Some(at) => {
                while let Some((start, piece)) = self.runs.front()
                    && start.plus(piece.length()) <= at
                {
                    self.wide = self.wide.saturating_sub(piece.wide());
                    self.runs.pop_front();
                }
                let is_known = at < self.read && self.is_known(Span::new(at, self.read));
                desk.fault.unless(
                    is_known,
                    "undecided text stands where no raw bytes are known",
                );
            }
        }
        self.runs.shrink_to(16);
    }

    /// Turns a mark into edits.
    fn change(&mut self, desk: &mut Desk<'_>, mark: Mark) {
        desk.fault.unless(
            self.is_known(mark.place),
            "a secret stands where no raw bytes are known",
        );
        let mut ranges = self.raw_ranges(mark.place);
        if ranges.is_empty() {
            // All of it was let go, or masked with what stands before it.
            let place = self.raw_at(mark.place.from).max(self.edited);
            ranges.push(Span::new(place, place));
        }
        let text = match mark.what {
            What::Replaced(text) => text,
            What::Dropped => Vec::new(),
            What::Blocked => {
                if let (Some(block), Some(first)) = (&mut desk.blocked, ranges.first()) {
                    block.stands(first.from);
                }
                return;
            }
        };
        let length = ranges.iter().map(|range| range.length());
        let length = length.fold(0, u64::saturating_add);
        if self.escaping == Escaping::SameLength
            && desk.plan.restores.is_some()
            && text.len() as u64 != length
        {
            // A part of a secret, or one with something behind it, is neither the secret nor its
            // placeholder.
            return;
        }
        let mut replacement = self.escaping.write(&text, length);
        for range in ranges {
            self.edited = range.to;
            desk.edits.add(Edit {
                at: range,
                replacement: std::mem::take(&mut replacement),
            });
        }
    }

    /// Whether it is known where all of this text stands, if it is any.
    fn is_known(&self, text: Span<TextAt>) -> bool {
        // Runs follow each other without gaps up to what was read.
        let begins = self.runs.front().is_some_and(|(at, _)| *at <= text.from);
        text.is_empty() || begins && text.to <= self.read
    }

    /// Where this place of the text stands.
    fn raw_at(&self, place: TextAt) -> RawAt {
        let after = |(at, piece): &(TextAt, Piece)| at.plus(piece.length()) <= place;
        let run = self.runs.get(self.runs.partition_point(after));
        match (run, self.runs.back()) {
            (Some((at, piece)), _) if piece.is_plain() => piece.raw.plus(place.since(*at)),
            (Some((at, piece)), _) if place <= *at => piece.raw,
            (Some((_, piece)), _) | (None, Some((_, piece))) => piece.raw_span().to,
            (None, None) => self.edited,
        }
    }

    /// The raw ranges of a place in the text, in order, those that touch joined.
    fn raw_ranges(&self, text: Span<TextAt>) -> Vec<Span<RawAt>> {
        let mut ranges: Vec<Span<RawAt>> = Vec::with_capacity(1);
        let before = |(at, piece): &(TextAt, Piece)| at.plus(piece.length()) <= text.from;
        let skipped = self.runs.partition_point(before);
        for &(at, piece) in self.runs.iter().skip(skipped) {
            let to = at.plus(piece.length());
            if to <= text.from || piece.len == 0 && at <= text.from {
                continue;
            }
            if at >= text.to {
                break;
            }
            let mut raw = piece.raw_span();
            if piece.is_plain() {
                raw.from = raw.from.plus(text.from.since(at));
                raw.to = raw.to.minus(to.since(text.to));
            }
            raw.from = raw.from.max(self.edited);
            match ranges.last_mut() {
                Some(last) if last.to == raw.from => last.to = last.to.max(raw.to),
                _ if !raw.is_empty() => ranges.push(raw),
                _ => {}
            }
        }
        ranges
    }
}
