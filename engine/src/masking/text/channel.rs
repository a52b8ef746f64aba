//! One decoded text: decides which of the discovered places are secrets, and remembers what is not
//! decided yet. The definition of a secret at the head of [`masking`](crate::masking) is carried
//! out here.

mod caps;
mod past;

use super::{
    attempt::Attempt,
    known::Known,
    open::{Open, Verdict},
    runaway::{Course, Runaway},
};
use crate::masking::{
    bodies::{desk::Desk, mark::Mark},
    detectors::detector::Detector,
    offsets::{Span, TextAt, Window},
    search::{
        discovery::{Carried, Start},
        set::DetectorSet,
    },
};
use std::{borrow::Cow, fmt};

pub use super::open::MAX_HELD;

/// The state of one decoded text. Small while nothing is undecided.
#[derive(Clone)]
pub(in crate::masking) struct Channel {
    /// What discovery goes on with at the next byte.
    carried: Carried,
    /// The text from the first undecided byte on; empty if there is none.
    held: Vec<u8>,
    /// Where in the text the first byte stands that is held, or else the next byte.
    base: TextAt,
    /// Places in `held` (offsets, sorted) that come after the open one.
    starts: Vec<Start>,
    open: Option<Open>,
    runaway: Option<Runaway>,
    /// What was learned about what is held.
    known: Known,
    /// The last bytes before `held`, as many as the set's checks want to see.
    before: Vec<u8>,
    /// The next byte stands where no secret can be.
    outside: bool,
    /// Up to where secrets were marked; what is held may begin before it.
    marked: TextAt,
    /// Up to where bytes were let go that are held still, to see what they are.
    gone: TextAt,
}

/// What deciding a place costs, beside the bytes that are read for it; see
/// [`Budget`](crate::masking::Budget).
const PLACE: u64 = 64;

/// Most bytes that are looked through before what was found in them is decided.
const PIECE: usize = 1 << 16;

/// How far before the end of a secret another one may begin and go on after it. A lenient end takes
/// in the beginning of a token that follows without a gap; the first part of a JWT is about as long
/// as that can be.
const OVERLAP: usize = 512;

/// Where in a text secrets can be: offsets in the bytes that are pushed with it, sorted, at which
/// by turns a span ends and the next one begins. Every text begins inside of a span; without seams
/// it is one. A secret never crosses a seam: it ends there as at the end of the text, and none
/// begins outside of spans. What leads to a secret may stand anywhere before it.
pub(in crate::masking) type Seams<'a> = &'a [usize];

impl Channel {
    /// A text at its beginning.
    pub(in crate::masking) fn new() -> Self {
        Self {
            carried: Carried::new(),
            held: Vec::new(),
            base: TextAt::START,
            starts: Vec::new(),
            open: None,
            runaway: None,
            known: Known::default(),
            before: Vec::new(),
            outside: false,
            marked: TextAt::START,
            gone: TextAt::START,
        }
    }

    /// Reads the next bytes of the text. At the offsets in `breaks` a word may begin whatever
    /// stands before. What is decided and is a secret goes to `marks`. It neither copies nor
    /// allocates while nothing is undecided and nothing is found.
    pub(in crate::masking) fn push(
        &mut self,
        set: &DetectorSet,
        desk: &mut Desk<'_>,
        text: &[u8],
        seams: Seams<'_>,
        breaks: &[usize],
        marks: &mut Vec<Mark>,
    ) {
        let (mut text, mut seams, mut breaks) = (text, Cow::Borrowed(seams), Cow::Borrowed(breaks));
        // What discovery notes about a text made for it grows with the chunk.
        while let Some((piece, rest)) = text.split_at_checked(PIECE)
            && !rest.is_empty()
        {
            let (here, later) = divide(&seams, PIECE);
            let (breaks_here, breaks_later) = divide(&breaks, PIECE);
            self.push_piece(set, desk, piece, &here, &breaks_here, marks);
            (text, seams, breaks) = (rest, later.into(), breaks_later.into());
        }
        self.push_piece(set, desk, text, &seams, &breaks, marks);
    }

    /// The same for a text of a bounded length.
    fn push_piece(
        &mut self,
        set: &DetectorSet,
        desk: &mut Desk<'_>,
        text: &[u8],
        seams: Seams<'_>,
        breaks: &[usize],
        marks: &mut Vec<Mark>,
    ) {
        let spans = Spans {
            seams,
            base: self.held.len(),
            outside: self.outside,
        };
        self.outside ^= seams.len() % 2 == 1;
        self.carried.breaks.extend_from_slice(breaks);
        let work = set.discover(text, self.held.len(), &mut self.carried, &mut self.starts);
        desk.worked(work);
        self.carried.breaks.clear();
        self.leave_out_done(set, desk);
        if !self.held.is_empty() {
            let mut bytes = std::mem::take(&mut self.held);
            bytes.extend_from_slice(text);
            let keep = self.resolve(set, desk, (&bytes, false), spans, marks);
            // No more than there are.
            bytes.drain(..keep.min(bytes.len()));
            bytes.shrink_to(MAX_HELD / 4);
            self.held = bytes;
        } else if self.starts.is_empty() && self.runaway.is_none() {
            self.remember(set, text);
            self.base = self.base.after(text.len());
        } else {
            let keep = self.resolve(set, desk, (text, false), spans, marks);
            self.held
                .extend_from_slice(text.get(keep..).unwrap_or_default());
        }
    }

    /// What was masked before, of which only replacements are left, takes no part: it would claim
    /// the bytes behind a replacement that is shorter than the secret was.
    fn leave_out_done(&mut self, set: &DetectorSet, desk: &Desk<'_>) {
        let done = &desk.plan.done;
        if !done.is_empty() {
            let is_done = |rule| {
                set.rule(rule)
                    .is_some_and(|rule| done.contains(rule.detector.name()))
            };
            self.starts.retain(|start| !is_done(start.rule));
        }
    }

    /// Ends the text: what was undecided is decided. The channel is then as new.
    pub(in crate::masking) fn finish(
        &mut self,
        set: &DetectorSet,
        desk: &mut Desk<'_>,
        marks: &mut Vec<Mark>,
    ) {
        let mut bytes = std::mem::take(&mut self.held);
        if !bytes.is_empty() || !self.starts.is_empty() || self.open.is_some() {
            let keep = self.resolve(set, desk, (&bytes, true), Spans::all(), marks);
            let is_decided = keep == bytes.len();
            desk.fault
                .unless(is_decided, "something is undecided at the end of a text");
        }
        bytes.clear();
        self.carried = Carried::new();
        self.starts.clear();
        self.open = None;
        self.runaway = None;
        self.known = Known::default();
        self.before.clear();
        self.outside = false;
        self.marked = TextAt::START;
        self.gone = TextAt::START;
        self.held = bytes;
        self.base = TextAt::START;
    }

    /// Says that a secret may begin at the next byte whatever stood before it.
    pub(in crate::masking) fn boundary(&mut self) {
        self.carried.boundary();
    }

    /// Where in the text the first byte stands that is not decided; `None` if all are.
    pub(in crate::masking) fn undecided(&self) -> Option<TextAt> {
        (!self.held.is_empty()).then_some(self.base.max(self.gone))
    }

    /// Decides what can be decided about `bytes`: what was held, then what is new. Gives from where
    /// on they are held.
    fn resolve(
        &mut self,
        set: &DetectorSet,
        desk: &mut Desk<'_>,
        (bytes, ended): (&[u8], bool),
        spans: Spans<'_>,
        marks: &mut Vec<Mark>,
    ) -> usize {
        let on = Window {
            bytes,
            base: self.base,
        };
        let mut round = Round {
            set,
            on,
            ended,
            spans,
            done: on.at(self.marked),
            floor: 0,
        };
        let mut starts = std::mem::take(&mut self.starts);
        let mut queue = starts.iter().copied().peekable();
        let keep = loop {
            if self.runaway.is_some() && self.follow(&mut round, desk, marks) {
                // What began inside it is part of it.
                while queue.next_if(|start| start.at < round.done).is_some() {}
                break round.done;
            }
            let open = self.open.take().or_else(|| {
                let from = round.floor.max(round.done.saturating_sub(OVERLAP));
                while queue.next_if(|start| start.at < from).is_some() {}
                Open::next(&mut queue, set, on)
            });
            let Some(open) = open else {
                break bytes.len();
            };
            if let Some(at) = self.decide(&mut round, desk, open, marks) {
                break at;
            }
        };
        let left = queue.len();
        starts.drain(..starts.len().saturating_sub(left));
        self.starts = starts;
        self.hold_from(keep, &round, desk);
        keep
    }

    /// Reads on in a secret that is longer than a text holds. Gives whether it goes on after the
    /// bytes at hand.
    fn follow(
        &mut self,
        round: &mut Round<'_>,
        desk: &mut Desk<'_>,
        marks: &mut Vec<Mark>,
    ) -> bool {
        let Some(mut runaway) = self.runaway.take() else {
            return false;
        };
        let (set, on, done) = (round.set, round.on, round.done);
        let end = round.spans.end(done).unwrap_or(done);
        let (known, ended) = match on.up_to(end) {
            Some(span) => (span, round.ended || end < on.bytes.len()),
            None => (on, round.ended),
        };
        let course = runaway.read(set, known, ended);
        let (Course::Runs(gone) | Course::Ends(gone, _)) = course;
        runaway.take(on, gone);
        self.drop_until(gone, on.place(done), marks);
        if let Course::Ends(_, end) = course {
            runaway.take(on, end);
            desk.worked(runaway.take_work());
            self.give(set, desk, &mut runaway, on, end, marks);
            round.done = on.at(end.max(gone).max(self.gone));
            round.floor = round.done;
            return false;
        }
        desk.worked(runaway.take_work());
        self.runaway = Some(runaway);
        round.done = on.at(gone);
        true
    }

    /// Decides whether a secret begins at a place. Gives the place if that is not decided by the
    /// bytes at hand.
    fn decide(
        &mut self,
        round: &mut Round<'_>,
        desk: &mut Desk<'_>,
        mut open: Open,
        marks: &mut Vec<Mark>,
    ) -> Option<usize> {
        let (set, at) = (round.set, open.at);
        let end = round.spans.end(at)?;
        let (on, ended) = match round.on.up_to(end) {
            Some(span) => (span, true),
            None => (round.on, round.ended),
        };
        self.known.tails.forget_before(on.place(at));
        let verdict = open.read_on(set, on, &mut self.known, ended);
        desk.fault.join(self.known.fault);
        let work = open.attempts.iter_mut().map(Attempt::take_work);
        desk.worked(work.fold(PLACE, u64::saturating_add));
        if let Verdict::Undecided = verdict {
            if open.read.saturating_sub(at) < MAX_HELD {
                self.open = Some(open);
                return Some(at);
            }
            // The cap: masked whatever it turns out to be.
            let gone = on.place(at.max(round.done));
            self.runaway = open.into_runaway(set, on, Some(desk.key.taking()));
            let is_followed = self.runaway.is_some();
            desk.fault
                .unless(is_followed, "what is undecided belongs to no rule");
            self.gone = self.gone.max(gone);
            return None;
        }
        for attempt in &open.attempts {
            attempt.teach(set, &mut self.known, on);
        }
        self.settle(round, on, desk, &open, marks);
        None
    }

    /// Marks the secret that begins at a place which is decided, if there is one.
    fn settle(
        &mut self,
        round: &mut Round<'_>,
        on: Window<'_>,
        desk: &mut Desk<'_>,
        open: &Open,
        marks: &mut Vec<Mark>,
    ) {
        let (set, at, done) = (round.set, open.at, round.done);
        let gone = on.at(self.gone);
        let (found, asked) = open.secret(set, &mut self.known, on, &self.before);
        desk.fault.join(self.known.fault);
        desk.worked(asked);
        match found {
            Some((end, detector)) if end > done => {
                let secret = on.bytes.get(at..end).unwrap_or_default();
                let confirmed = detector.confirm.is_some_and(|confirm| confirm(secret));
                let from = at.max(done).max(gone);
                let place = Span::new(on.place(from), on.place(end.max(from)));
                self.mark(desk, detector, secret, confirmed, place, marks);
                round.done = end.max(gone);
            }
            // Nothing that would have been masked, had all of it been there still.
            _ if gone > done => {
                let name = open.name.and_then(|rule| set.rule(rule));
                if let Some(rule) = name {
                    let secret = on.bytes.get(at..gone).unwrap_or_default();
                    let place = Span::new(self.gone, self.gone);
                    self.mark(desk, &rule.detector, secret, false, place, marks);
                }
                round.done = gone;
            }
            _ => {}
        }
    }

    /// Holds what stands at `keep` and after it: positions become offsets in that.
    fn hold_from(&mut self, keep: usize, round: &Round<'_>, desk: &mut Desk<'_>) {
        let on = round.on;
        for start in &mut self.starts {
            desk.fault
                .unless(start.at >= keep, "a place is undecided that is not held");
            start.at = start.at.saturating_sub(keep);
        }
        self.starts.shrink_to(64);
        if let Some(open) = &mut self.open {
            open.rebase(keep);
        }
        desk.fault
            .unless(keep <= on.bytes.len(), "more is decided than there is");
        self.remember(round.set, on.bytes.get(..keep).unwrap_or_default());
        self.marked = on.place(round.done);
        self.base = on.place(keep);
        self.known.forget_before(self.base, keep < on.bytes.len());
    }

    /// Notes the end of what is no longer held.
    fn remember(&mut self, set: &DetectorSet, text: &[u8]) {
        let n = set.lookback();
        let new = text.get(text.len().saturating_sub(n)..).unwrap_or(text);
        let room = n.saturating_sub(new.len());
        let gone = self.before.len().saturating_sub(room);
        self.before.drain(..gone);
        self.before.extend_from_slice(new);
    }

    fn mark(
        &self,
        desk: &mut Desk<'_>,
        detector: &Detector,
        secret: &[u8],
        confirmed: bool,
        place: Span<TextAt>,
        marks: &mut Vec<Mark>,
    ) {
        if let Some(what) = desk.judge(detector, secret, confirmed) {
            marks.push(Mark { place, what });
        }
    }
}

impl fmt::Debug for Channel {
    /// Without the bytes it holds: they may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}

/// The spans of the bytes that are being resolved; asked from left to right.
struct Spans<'a> {
    /// The seams that are not passed yet.
    seams: Seams<'a>,
    /// What is to be added to them.
    base: usize,
    outside: bool,
}

impl Spans<'_> {
    /// One span.
    fn all() -> Self {
        Self {
            seams: &[],
            base: 0,
            outside: false,
        }
    }

    /// Where the span ends in which `at` stands; `usize::MAX` if that is not known. `None` outside
    /// of spans.
    fn end(&mut self, at: usize) -> Option<usize> {
        while let Some((&seam, later)) = self.seams.split_first() {
            let seam = self.base.saturating_add(seam);
            if seam > at {
                return (!self.outside).then_some(seam);
            }
            self.outside = !self.outside;
            self.seams = later;
        }
        (!self.outside).then_some(usize::MAX)
    }
}

/// What is decided at once.
struct Round<'a> {
    set: &'a DetectorSet,
    on: Window<'a>,
    /// The text ends with the bytes at hand.
    ended: bool,
    spans: Spans<'a>,
    /// Everything before it is decided.
    done: usize,
    /// No secret begins before it.
    floor: usize,
}

/// Offsets before `at`, and those from it on, counted from there.
fn divide(offsets: &[usize], at: usize) -> (Vec<usize>, Vec<usize>) {
    let (here, later) = offsets.split_at(offsets.partition_point(|&offset| offset < at));
    let later = later.iter().map(|offset| offset.saturating_sub(at));
    (here.to_vec(), later.collect())
}
