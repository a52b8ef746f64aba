//! One decoded text in the raw stream: finds its secrets and says which raw bytes they are.
//!
//! A format decodes (escapes, percent, base64, the lines of an event) and gives a tap the text with
//! [`Piece`]s that say where it stood. What is found becomes edits of raw ranges: the first range
//! of a secret gets the replacement, the others become empty.

use super::{
    channel::{Channel, Seams, What},
    fold::{self, Fold},
};
use crate::masking::bodies::{desk::Desk, edit::Edit, fault, plan::Plan};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::collections::VecDeque;

/// A run of a text and the raw bytes that it was read from. If both have the same length they
/// correspond byte by byte; else the run is one unit (an escape) that is masked whole or not at
/// all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking) struct Piece {
    /// Bytes of text; may be 0 for raw bytes that mean nothing.
    pub(in crate::masking) len: u32,
    /// Raw offset of the first byte, from the beginning of the stream.
    pub(in crate::masking) raw: u64,
    /// Raw bytes.
    pub(in crate::masking) raw_len: u32,
}

impl Piece {
    /// Text that stands in the raw bytes as it is.
    pub(in crate::masking) fn plain(raw: u64, len: usize) -> Self {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        Self {
            len,
            raw,
            raw_len: len,
        }
    }

    /// Its raw bytes, if they do not stand for themselves.
    fn wide(&self) -> u64 {
        match self.len == self.raw_len {
            true => 0,
            false => u64::from(self.raw_len),
        }
    }
}

/// How a replacement is written where this text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking) enum Escaping {
    /// As it is.
    Plain,
    /// In a JSON string, inside of so many further JSON strings (RFC 8259 §7).
    Json { nested: u8 },
    /// In a line of `data` of an event stream: a line's end begins another such line (WHATWG HTML
    /// §9.2.6).
    EventData,
    /// Percent-encoded (application/x-www-form-urlencoded).
    Percent,
    /// In base64, alone (RFC 4648 §4).
    Base64,
    /// As it is, cut or filled up to the secret's own length, for formats that count bytes.
    SameLength,
}

/// Most raw bytes of one text that wait for a decision and do not stand for themselves: escapes are
/// longer than what they mean, and characters without width mean nothing, so the cap on the text
/// does not bound them. At this cap, too, the possible secret is masked.
const MAX_WIDE: u64 = 48 * 1024;

/// One text.
#[derive(Debug)]
pub(in crate::masking) struct Tap {
    acting: Channel,
    reporting: Option<Box<Channel>>,
    escaping: Escaping,
    /// Bytes of text read so far.
    read: u64,
    /// Where the text from the first undecided byte on stands; the offset is that of the run in the
    /// text.
    runs: VecDeque<(u64, Piece)>,
    /// Raw bytes of those that do not stand for themselves.
    wide: u64,
    /// Raw bytes before this offset were changed already.
    edited: u64,
    fold: Box<Fold>,
}

impl Tap {
    pub(in crate::masking) fn new(escaping: Escaping) -> Self {
        Self {
            acting: Channel::new(),
            reporting: None,
            escaping,
            read: 0,
            runs: VecDeque::new(),
            wide: 0,
            edited: 0,
            fold: Box::default(),
        }
    }

    /// Reads text that stands in the raw bytes as it is, from the raw offset `raw` on.
    pub(in crate::masking) fn push_plain(&mut self, desk: &mut Desk<'_>, text: &[u8], raw: u64) {
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
            let length = some.iter().map(|piece| u64::from(piece.len));
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
            self.read = self.read.saturating_add(text.len() as u64);
            desk.marks = marks;
            return;
        }
        // Escaped text has a piece for every few bytes, of which the end alone is undecided,
        // mostly.
        let decided = match marks.is_empty() {
            true => self.acting.undecided().unwrap_or(0),
            false => 0,
        };
        let end = self.read.saturating_add(text.len() as u64);
        for piece in pieces {
            let end = self.read.saturating_add(u64::from(piece.len));
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
    /// `outside` of spans or not. Gives whether it was read; if not, it is to be pushed.
    pub(in crate::masking) fn pass(
        &mut self,
        desk: &mut Desk<'_>,
        text: &[u8],
        outside: bool,
    ) -> bool {
        if fold::hides(text) {
            return false;
        }
        let (plan, mut work) = (desk.plan, 0);
        let passed = self.passes(plan, text, outside, &mut work);
        desk.worked(work);
        passed
    }

    fn passes(&mut self, plan: &Plan, text: &[u8], outside: bool, work: &mut u64) -> bool {
        let acting = &plan.acting;
        let Some(trail) = self.acting.carried_past(acting, text, work) else {
            return false;
        };
        if let Some(set) = &plan.reporting {
            let reporting = self
                .reporting
                .get_or_insert_with(|| Box::new(Channel::new()));
            let Some(trail) = reporting.carried_past(set, text, work) else {
                return false;
            };
            reporting.go_past(set, text, trail, outside);
        }
        self.acting.go_past(acting, text, trail, outside);
        self.read = self.read.saturating_add(text.len() as u64);
        true
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
        self.read = 0;
        self.forget();
        self.edited = 0;
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
    pub(in crate::masking) fn undecided(&self) -> Option<u64> {
        let held = self.undecided_text();
        held.into_iter().chain(self.fold.undecided()).min()
    }

    fn undecided_text(&self) -> Option<u64> {
        let at = self.acting.undecided()?;
        let (start, piece) = self.runs.front()?;
        let into = at.saturating_sub(*start);
        Some(if piece.len == piece.raw_len {
            piece.raw.saturating_add(into)
        } else {
            piece.raw
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
        self.read = at.saturating_add(u64::from(piece.len));
        if let Some((_, last)) = self.runs.back_mut() {
            let plain = last.len == last.raw_len && piece.len == piece.raw_len;
            let follows = last.raw.saturating_add(u64::from(last.raw_len)) == piece.raw;
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
            let is_known = self.is_known(mark.start, mark.end);
            desk.fault
                .unless(is_known, "a secret stands where no raw bytes are known");
            let mut ranges = self.raw_ranges(mark.start, mark.end);
            if ranges.is_empty() {
                // All of it was let go, or masked with what stands before it.
                let place = self.raw_at(mark.start).max(self.edited);
                ranges.push((place, place));
            }
            let mut first = match mark.what {
                What::Replaced(text) => text,
                What::Dropped => Vec::new(),
                What::Blocked => {
                    if let (Some(block), Some(&(start, _))) = (&mut desk.blocked, ranges.first()) {
                        block.at = Some(block.at.unwrap_or(start).min(start));
                    }
                    continue;
                }
            };
            let length = ranges.iter().fold(0, |sum: u64, (start, end)| {
                sum.saturating_add(end.saturating_sub(*start))
            });
            if self.escaping == Escaping::SameLength
                && desk.plan.restores.is_some()
                && first.len() as u64 != length
            {
                // A part of a secret, or one with something behind it, is neither the secret nor
                // its placeholder.
                continue;
            }
            first = self.escaping.write(&first, length);
            for (start, end) in ranges {
                self.edited = end;
                desk.edits.add(Edit {
                    start,
                    end,
                    replacement: std::mem::take(&mut first),
                });
            }
        }
        desk.marks = marks;
        match self.acting.undecided() {
            None => self.forget(),
            Some(at) => {
                while let Some((start, piece)) = self.runs.front()
                    && start.saturating_add(u64::from(piece.len)) <= at
                {
                    self.wide = self.wide.saturating_sub(piece.wide());
                    self.runs.pop_front();
                }
            }
        }
        self.runs.shrink_to(16);
        if let Some(at) = self.acting.undecided() {
            let is_known = self.is_known(at, self.read) && at < self.read;
            desk.fault.unless(
                is_known,
                "undecided text stands where no raw bytes are known",
            );
        }
    }

    /// Whether it is known where all of the text from `start` to `end` stands, if that is more than
    /// nothing.
    fn is_known(&self, start: u64, end: u64) -> bool {
        // Runs follow each other without gaps up to what was read.
        let begins = self.runs.front().is_some_and(|(at, _)| *at <= start);
        start >= end || begins && end <= self.read
    }

    /// Where this place of the text stands.
    fn raw_at(&self, place: u64) -> u64 {
        let after = |(at, piece): &(u64, Piece)| at.saturating_add(u64::from(piece.len)) <= place;
        let run = self.runs.get(self.runs.partition_point(after));
        match (run, self.runs.back()) {
            (Some((at, piece)), _) if piece.len == piece.raw_len => {
                piece.raw.saturating_add(place.saturating_sub(*at))
            }
            (Some((at, piece)), _) if place <= *at => piece.raw,
            (Some((_, piece)), _) | (None, Some((_, piece))) => {
                piece.raw.saturating_add(u64::from(piece.raw_len))
            }
            (None, None) => self.edited,
        }
    }

    /// The raw ranges of the text from `start` to `end`, in order, those that touch joined.
    fn raw_ranges(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let mut ranges: Vec<(u64, u64)> = Vec::with_capacity(1);
        let before = |(at, piece): &(u64, Piece)| at.saturating_add(u64::from(piece.len)) <= start;
        let skipped = self.runs.partition_point(before);
        for &(at, piece) in self.runs.iter().skip(skipped) {
            let to = at.saturating_add(u64::from(piece.len));
            if to <= start || piece.len == 0 && at <= start {
                continue;
            }
            if at >= end {
                break;
            }
            let whole = (
                piece.raw,
                piece.raw.saturating_add(u64::from(piece.raw_len)),
            );
            let (from, to) = if piece.len == piece.raw_len {
                (
                    piece.raw.saturating_add(start.saturating_sub(at)),
                    whole.1.saturating_sub(to.saturating_sub(end)),
                )
            } else {
                whole
            };
            let from = from.max(self.edited);
            match ranges.last_mut() {
                Some(last) if last.1 == from => last.1 = to.max(from),
                _ if from < to => ranges.push((from, to)),
                _ => {}
            }
        }
        ranges
    }
}

/// Whether `pieces` are those of `text`: as long, and in order.
fn covers(pieces: &[Piece], text: &[u8]) -> bool {
    let length = pieces.iter().map(|piece| u64::from(piece.len));
    let end = |piece: &Piece| piece.raw.saturating_add(piece.raw_len.into());
    length.sum::<u64>() == text.len() as u64 && pieces.iter().is_sorted_by(|a, b| end(a) <= b.raw)
}

impl Escaping {
    /// Writes a replacement for `length` raw bytes.
    pub(in crate::masking) fn write(self, text: &[u8], length: u64) -> Vec<u8> {
        match self {
            Self::Plain => text.to_vec(),
            Self::Json { nested } => {
                (0..=nested).fold(text.to_vec(), |text, _| json_escaped(&text))
            }
            Self::EventData => event_data(text),
            Self::Percent => percent_encoded(text),
            Self::Base64 => BASE64_STANDARD.encode(text).into_bytes(),
            Self::SameLength => {
                let length = usize::try_from(length).unwrap_or(0);
                let filled = text.iter().copied().chain(std::iter::repeat(b'*'));
                filled.take(length).collect()
            }
        }
    }
}

fn json_escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            0..0x20 => out.extend(format!("\\u{byte:04x}").bytes()),
            _ => out.push(byte),
        }
    }
    out
}

fn event_data(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        let (line, end) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(line);
        out.extend_from_slice(b"\ndata: ");
        let skip = if end.starts_with(b"\r\n") { 2 } else { 1 };
        rest = end.get(skip..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

fn percent_encoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => out.push(byte),
            _ => out.extend(format!("%{byte:02X}").bytes()),
        }
    }
    out
}
