//! One decoded text: decides which of the discovered places are secrets, and remembers what is not
//! decided yet. The semantics are those of the [module](super).

mod caps;
mod past;

use super::{
    attempt::Attempt,
    known::Known,
    reading::{Reading, last},
    runaway::{Course, Runaway},
};
use crate::masking::{
    bodies::{desk::Desk, findings::Taking},
    detectors::{detector::Detector, rule::Found},
    search::{
        discovery::{Carried, Start},
        set::DetectorSet,
    },
};
use std::{borrow::Cow, fmt, iter::Peekable};

/// Most bytes of one text that wait for a decision. A secret that is still undecided after so many
/// bytes is masked, with all that belongs to it. Most real secrets are shorter: an RSA key of 4096
/// bits has 3.2 KB in PEM.
pub const MAX_HELD: usize = 8192;

/// The state of one decoded text. Small while nothing is undecided.
pub(in crate::masking) struct Channel {
    trail: Carried,
    /// The text from the first undecided byte on; empty if there is none.
    held: Vec<u8>,
    /// Offset in the text of the first byte that is held, or else of the next byte.
    base: u64,
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
    /// Offset in the text up to which secrets were marked; what is held may begin before it.
    marked: u64,
    /// Offset in the text up to which bytes were let go that are held still, to see what they are.
    gone: u64,
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

/// A range of a text that is a secret, in offsets from the text's beginning. Ranges come in order.
pub(in crate::masking) struct Mark {
    pub(in crate::masking) start: u64,
    pub(in crate::masking) end: u64,
    pub(in crate::masking) what: What,
}

/// What becomes of a [`Mark`].
pub(in crate::masking) enum What {
    /// This stands there instead.
    Replaced(Vec<u8>),
    /// It belongs to the secret before it, whose replacement stands for both.
    Dropped,
    /// The body ends before it.
    Blocked,
}

/// The leftmost place that is not decided.
struct Open {
    at: usize,
    /// Every attempt that is open has read up to here.
    read: usize,
    attempts: Vec<Attempt>,
    /// The rule that gives it its name if bytes of it were let go and it turns out to be none.
    name: Option<u16>,
}

impl Channel {
    /// A text at its beginning.
    pub(in crate::masking) fn new() -> Self {
        Self {
            trail: Carried::new(),
            held: Vec::new(),
            base: 0,
            starts: Vec::new(),
            open: None,
            runaway: None,
            known: Known::default(),
            before: Vec::new(),
            outside: false,
            marked: 0,
            gone: 0,
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
        self.trail.breaks.extend_from_slice(breaks);
        let work = set.discover(text, self.held.len(), &mut self.trail, &mut self.starts);
        desk.worked(work);
        self.trail.breaks.clear();
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
            self.base = self.base.saturating_add(text.len() as u64);
        } else {
            let keep = self.resolve(set, desk, (text, false), spans, marks);
            self.held
                .extend_from_slice(text.get(keep..).unwrap_or_default());
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
        self.trail = Carried::new();
        self.starts.clear();
        self.open = None;
        self.runaway = None;
        self.known = Known::default();
        self.before.clear();
        self.outside = false;
        self.marked = 0;
        self.gone = 0;
        self.held = bytes;
        self.base = 0;
    }

    /// Says that a secret may begin at the next byte whatever stood before it.
    pub(in crate::masking) fn boundary(&mut self) {
        self.trail.boundary();
    }

    /// Offset in the text of the first byte that is not decided; `None` if all are.
    pub(in crate::masking) fn undecided(&self) -> Option<u64> {
        (!self.held.is_empty()).then_some(self.base.max(self.gone))
    }

    /// Where in the text a byte at hand stands.
    fn place(&self, at: usize) -> u64 {
        self.base.saturating_add(at as u64)
    }

    /// Decides what can be decided about `bytes`: what was held, then what is new. Gives from where
    /// on they are held.
    fn resolve(
        &mut self,
        set: &DetectorSet,
        desk: &mut Desk<'_>,
        (bytes, ended): (&[u8], bool),
        mut spans: Spans<'_>,
        marks: &mut Vec<Mark>,
    ) -> usize {
        // Everything before `done` is decided, and no secret begins before `floor`.
        let offset = self.marked.saturating_sub(self.base);
        let mut done = usize::try_from(offset).unwrap_or(0);
        let mut floor = 0;
        let mut starts = std::mem::take(&mut self.starts);
        let mut queue = starts.iter().copied().peekable();
        let keep = loop {
            if let Some(mut runaway) = self.runaway.take() {
                let span = spans.end(done).map_or(done, |end| end.min(bytes.len()));
                let known = bytes.get(..span).unwrap_or_default();
                let ended = ended || span < bytes.len();
                let course = runaway.read(set, (known, self.base), ended);
                let (Course::Runs(gone) | Course::Ends(gone, _)) = course;
                runaway.take((bytes, self.base), gone);
                self.drop_until(gone, self.place(done), marks);
                if let Course::Ends(_, end) = course {
                    runaway.take((bytes, self.base), end);
                    desk.worked(runaway.take_work());
                    self.give(set, desk, &mut runaway, bytes, end, marks);
                    done = self.at(end.max(gone).max(self.gone));
                    floor = done;
                } else {
                    desk.worked(runaway.take_work());
                    self.runaway = Some(runaway);
                    done = self.at(gone);
                    // What began inside it is part of it.
                    while queue.next_if(|start| start.at < done).is_some() {}
                    break done;
                }
            }
            let Some(mut open) = self.open.take().or_else(|| {
                let from = floor.max(done.saturating_sub(OVERLAP));
                next_open(&mut queue, from, set, self.base)
            }) else {
                break bytes.len();
            };
            let at = open.at;
            let Some(end) = spans.end(at) else { continue };
            let (bytes, ended) = match bytes.get(..end) {
                Some(span) => (span, true),
                None => (bytes, ended),
            };
            let on = Reading {
                bytes,
                base: self.base,
            };
            self.known.tails.forget_before(on.place(at));
            let verdict = open.read_on(set, on, &mut self.known, ended);
            desk.fault.join(self.known.fault);
            let work = open.attempts.iter_mut().map(Attempt::take_work);
            desk.worked(work.fold(PLACE, u64::saturating_add));
            if let Verdict::Undecided = verdict {
                if open.read.saturating_sub(at) < MAX_HELD {
                    self.open = Some(open);
                    break at;
                }
                // The cap: masked whatever it turns out to be.
                let (place, taking) = ((self.place(at), self.place(open.read)), desk.key.taking());
                self.runaway = open.into_runaway(set, place, Some(taking));
                let is_followed = self.runaway.is_some();
                desk.fault
                    .unless(is_followed, "what is undecided belongs to no rule");
                self.gone = self.gone.max(self.place(at.max(done)));
                continue;
            }
            for attempt in &open.attempts {
                attempt.teach(set, &mut self.known, self.base);
            }
            let text = (self.before.as_slice(), bytes, self.base);
            let gone = self.at(self.gone);
            let (found, asked) = open.secret(set, &mut self.known, text);
            desk.fault.join(self.known.fault);
            desk.worked(asked);
            match found {
                Some((end, detector)) if end > done => {
                    let secret = bytes.get(at..end).unwrap_or_default();
                    let confirmed = detector.confirm.is_some_and(|confirm| confirm(secret));
                    let from = at.max(done).max(gone);
                    let place = (self.place(from), self.place(end.max(from)));
                    self.mark(desk, detector, secret, confirmed, place, marks);
                    done = end.max(gone);
                }
                // Nothing that would have been masked, had all of it been there still.
                _ if gone > done => {
                    let name = open.name.and_then(|rule| set.rule(rule));
                    if let Some(rule) = name {
                        let secret = bytes.get(at..gone).unwrap_or_default();
                        let place = (self.gone, self.gone);
                        self.mark(desk, &rule.detector, secret, false, place, marks);
                    }
                    done = gone;
                }
                _ => {}
            }
        };
        // Positions become offsets in what is held from now on.
        let left = queue.len();
        starts.drain(..starts.len().saturating_sub(left));
        for start in &mut starts {
            desk.fault
                .unless(start.at >= keep, "a place is undecided that is not held");
            start.at = start.at.saturating_sub(keep);
        }
        starts.shrink_to(64);
        self.starts = starts;
        if let Some(open) = &mut self.open {
            open.rebase(keep);
        }
        desk.fault
            .unless(keep <= bytes.len(), "more is decided than there is");
        self.remember(set, bytes.get(..keep).unwrap_or_default());
        self.marked = self.base.saturating_add(done as u64);
        self.base = self.base.saturating_add(keep as u64);
        let held = keep < bytes.len();
        self.known.forget_before(self.base, held);
        keep
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

    /// Offset in the bytes at hand of a place in the text; 0 if it lies before them.
    fn at(&self, place: u64) -> usize {
        usize::try_from(place.saturating_sub(self.base)).unwrap_or(usize::MAX)
    }

    fn mark(
        &self,
        desk: &mut Desk<'_>,
        detector: &Detector,
        secret: &[u8],
        confirmed: bool,
        (start, end): (u64, u64),
        marks: &mut Vec<Mark>,
    ) {
        if let Some(what) = desk.judge(detector, secret, confirmed) {
            marks.push(Mark { start, end, what });
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

/// The next place at or after `from`, with all rules that start there.
fn next_open(
    queue: &mut Peekable<impl Iterator<Item = Start>>,
    from: usize,
    set: &DetectorSet,
    base: u64,
) -> Option<Open> {
    while queue.next_if(|start| start.at < from).is_some() {}
    let at = queue.peek()?.at;
    let mut attempts = Vec::with_capacity(1);
    while let Some(start) = queue.next_if(|start| start.at == at) {
        attempts.push(Attempt::new(set, start, base));
    }
    Some(Open {
        at,
        read: at,
        attempts,
        name: None,
    })
}

/// Whether a place is decided.
enum Verdict {
    Decided,
    Undecided,
}

impl Open {
    /// Reads on until nothing longer can come, or the bytes or the cap are reached.
    fn read_on(
        &mut self,
        set: &DetectorSet,
        on: Reading<'_>,
        known: &mut Known,
        ended: bool,
    ) -> Verdict {
        let bytes = on.bytes;
        known.tails.tidy();
        let to = bytes.len().min(self.at.saturating_add(MAX_HELD));
        let mut undecided = false;
        for attempt in &mut self.attempts {
            attempt.read_in_doubt(set, on, known, (self.at, self.read), to);
            undecided |= attempt.is_open();
        }
        self.read = to;
        if !undecided {
            return Verdict::Decided;
        }
        if ended && to == bytes.len() {
            for attempt in &mut self.attempts {
                attempt.finish(set, on, known, to);
            }
            return Verdict::Decided;
        }
        Verdict::Undecided
    }

    /// The longest secret found here, by its end; among equals the first detector's. The text is
    /// what is remembered of it, the bytes at hand, and where these begin. Also what asking cost.
    fn secret<'s>(
        &self,
        set: &'s DetectorSet,
        known: &mut Known,
        (before, bytes, base): (&[u8], &[u8], u64),
    ) -> (Option<(usize, &'s Detector)>, u64) {
        let mut best: Option<(usize, &Detector)> = None;
        let mut asked = 0_u64;
        for attempt in &self.attempts {
            let Some(matched) = attempt.matched() else {
                continue;
            };
            let is_there = matched <= bytes.len();
            known
                .fault
                .unless(is_there, "a match ends after the bytes at hand");
            let Some(rule) = set.rule(attempt.rule()) else {
                known.fault.cannot_be("a match of a rule that is none");
                continue;
            };
            let end = matched.saturating_sub(rule.after);
            // Nothing, if all that matched is what stands after a secret.
            let secret = bytes.get(self.at..end).unwrap_or_default();
            if secret.is_empty() || best.is_some_and(|(longest, _)| end <= longest) {
                continue;
            }
            let range = (
                base.saturating_add(self.at as u64),
                base.saturating_add(end as u64),
            );
            let holds = rule.must.as_ref().is_none_or(|must| {
                if !known.ask(range, secret.len(), attempt.rule(), must) {
                    return true;
                }
                asked = asked.saturating_add(must.cost(secret.len()));
                let seen = bytes.get(..self.at).unwrap_or_default();
                let before = last(before, seen, must.lookback());
                must.holds(&Found {
                    secret,
                    before: &before,
                })
            });
            if holds {
                best = Some((end, &rule.detector));
            } else {
                known.refused(range, secret.len(), attempt.rule());
            }
        }
        (best, asked)
    }

    /// The first rule that has matched, or else the first that may.
    fn name(&self, set: &DetectorSet) -> Option<u16> {
        let open = self.attempts.iter().filter(|attempt| attempt.is_open());
        let name = open.min_by_key(|attempt| {
            // What a rule demands beyond its pattern was not asked: a rule that demands nothing
            // gives the name.
            let demands = set
                .rule(attempt.rule())
                .is_some_and(|rule| rule.must.is_some());
            (demands, attempt.matched().is_none(), attempt.rule())
        })?;
        Some(name.rule())
    }

    /// Takes it for a secret that stands at this place of the text so far.
    fn into_runaway(
        self,
        set: &DetectorSet,
        place: (u64, u64),
        taking: Option<Taking>,
    ) -> Option<Runaway> {
        let rule = self.name(set)?;
        let open = self.attempts.iter();
        let threads = open.filter_map(|attempt| Some((attempt.rule(), attempt.state()?)));
        let matched = self.attempts.iter().filter_map(|attempt| {
            let after = set.rule(attempt.rule()).map_or(0, |rule| rule.after);
            let end = attempt.matched()?.saturating_sub(after);
            Some(place.0.saturating_add(end.saturating_sub(self.at) as u64))
        });
        Some(Runaway::new(
            rule,
            threads.collect(),
            place,
            matched.max(),
            taking,
        ))
    }

    fn rebase(&mut self, by: usize) {
        self.at = self.at.saturating_sub(by);
        self.read = self.read.saturating_sub(by);
        for attempt in &mut self.attempts {
            attempt.rebase(by);
        }
    }
}

/// Offsets before `at`, and those from it on, counted from there.
fn divide(offsets: &[usize], at: usize) -> (Vec<usize>, Vec<usize>) {
    let (here, later) = offsets.split_at(offsets.partition_point(|&offset| offset < at));
    let later = later.iter().map(|offset| offset.saturating_sub(at));
    (here.to_vec(), later.collect())
}
