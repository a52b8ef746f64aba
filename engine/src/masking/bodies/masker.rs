//! One body on its way: holds what is not decided, and makes the edits that its format asks for.

use super::{
    body::{AsMasked, MaskedBody, MaskedChunk},
    budget::{Budget, Slices},
    content::Content,
    desk::{Block, Desk},
    edit::{Change, Edit, Edits},
    fault::{self, Fault},
    findings::{Findings, Fingerprint, FingerprintKey},
    placeholder,
    plan::Plan,
    restore::Secrets,
};
use crate::masking::{
    formats::{self, Format},
    offsets::RawAt,
};
use std::{fmt, sync::Arc};

/// Masks one body as it comes.
///
/// Dropping a masker drops what it holds: a stream that breaks off must not call
/// [`finish`](Self::finish).
pub struct Masker {
    plan: Arc<Plan>,
    key: FingerprintKey,
    format: Box<dyn Format>,
    /// Raw bytes from `left` on.
    held: Vec<u8>,
    /// How many raw bytes have left, or were replaced.
    left: RawAt,
    edits: Edits,
    findings: Findings,
    secrets: Secrets,
    block: Option<Block>,
    blocked: Option<Blocked>,
    fault: Fault,
    /// Because of a fault all that comes is masked, and its replacement was given.
    rest_is_masked: bool,
    /// What was done so far.
    work: u64,
    /// How much of a chunk is taken at once, where a budget bounds it.
    slices: Slices,
    /// Makes the copy that is recorded, if that is not what leaves.
    recorder: Option<Box<Recorder>>,
}

/// A secret at which a body ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The full name of its detector.
    pub detector: String,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// Whether the body was ended with its format's own error; if not, whoever reads it must be
    /// told by breaking the stream off.
    pub told: bool,
}

impl Masker {
    /// A masker for one body, at its beginning.
    pub fn new(plan: Arc<Plan>, key: FingerprintKey, content: &Content) -> Self {
        let recording = plan.recording.clone();
        let recorder = recording.map(|plan| Recorder {
            masker: Self::new(plan, key.clone(), content),
            wanted: None,
            made: MaskedBody::default(),
        });
        Self {
            recorder: recorder.map(Box::new),
            plan,
            key,
            format: formats::open(content),
            held: Vec::new(),
            left: RawAt::START,
            edits: Edits::default(),
            findings: Findings::default(),
            secrets: Secrets::default(),
            block: None,
            blocked: None,
            fault: Fault::default(),
            rest_is_masked: false,
            work: 0,
            slices: Slices::FIRST,
        }
    }

    /// A masker of this format, for tests of what formats must not do.
    #[cfg(test)]
    pub(in crate::masking) fn of_format(
        plan: Arc<Plan>,
        key: FingerprintKey,
        format: Box<dyn Format>,
    ) -> Self {
        let mut masker = Self::new(plan, key, &Content::text());
        masker.format = format;
        masker
    }

    /// Keeps every change that is made, for [`changes`](Self::changes). It takes memory for each
    /// secret.
    #[must_use]
    pub fn keeping_changes(mut self) -> Self {
        self.edits.keep_made();
        self
    }

    /// Where the bytes that have left were changed, in order, if changes are
    /// [kept](Self::keeping_changes).
    pub fn changes(&self) -> &[Change] {
        self.edits.made()
    }

    /// Takes the next bytes of the body and gives what can leave. It neither copies nor allocates
    /// while nothing is held and nothing is masked.
    pub fn push<'a>(&mut self, chunk: &'a [u8]) -> MaskedChunk<'a> {
        let leaves = self.mask(chunk);
        self.copy(leaves.as_bytes(), false);
        leaves
    }

    fn mask<'a>(&mut self, chunk: &'a [u8]) -> MaskedChunk<'a> {
        if self.blocked.is_some() {
            return MaskedChunk::owned(Vec::new());
        }
        if self.fault.is_noted() {
            return MaskedChunk::owned(self.mask_rest(chunk));
        }
        let before = self.before(chunk.len());
        let decided = self.read_next(chunk);
        match before {
            Some(before) if self.is_to_end() => {
                self.go_back(before);
                MaskedChunk::owned(self.up_to_block(chunk))
            }
            _ => self.pass(chunk, decided),
        }
    }

    /// Reads the next bytes. Gives the raw offset up to which everything is decided.
    fn read_next(&mut self, chunk: &[u8]) -> RawAt {
        let from = self.left.after(self.held.len());
        let end = from.after(chunk.len());
        self.work = self.work.saturating_add(chunk.len() as u64);
        let decided = self.read(|format, desk| format.push(desk, chunk, from.get()));
        let decided = RawAt::new(decided);
        self.fault.unless(
            (self.left..=end).contains(&decided),
            "a body is decided up to a place before what has left, or after its end",
        );
        decided
    }

    /// Gives what can leave once `chunk` was read, of a body that is decided up to `decided`.
    fn pass<'a>(&mut self, chunk: &'a [u8], decided: RawAt) -> MaskedChunk<'a> {
        let from = self.left.after(self.held.len());
        let end = from.after(chunk.len());
        if let Some(block) = self.block.take() {
            self.held.extend_from_slice(chunk);
            return MaskedChunk::owned(self.end_at(block, decided));
        }
        if self.fault.is_noted() {
            return MaskedChunk::owned(self.mask_rest(chunk));
        }
        let to = self.edits.can_leave(decided).clamp(self.left, end);
        if self.held.is_empty() && self.edits.is_empty() {
            self.left = to;
            let (leaves, stays) = chunk
                .split_at_checked(to.index(from))
                .unwrap_or((&[], chunk));
            self.held.extend_from_slice(stays);
            return match stays {
                [] => MaskedChunk::unchanged(leaves),
                _ => MaskedChunk::beginning(leaves),
            };
        }
        let mut out = Vec::new();
        if self.held.is_empty() {
            self.edits.apply(chunk, from, to, &mut out);
            self.held
                .extend_from_slice(chunk.get(to.index(from)..).unwrap_or_default());
            self.left = to;
        } else {
            self.held.extend_from_slice(chunk);
            self.leave(to, &mut out);
        }
        MaskedChunk::owned(out)
    }

    /// The same as far as `budget` goes: gives what can leave, and how many bytes of `chunk` were
    /// taken. The caller keeps the others, and brings them again before any later ones. What leaves
    /// in all does not depend on budgets, since it does not depend on how a body is cut. Nothing is
    /// taken if the budget is spent; else at least something is, and the budget may be overdrawn by
    /// the work that one slice can cause.
    pub fn push_within<'a>(
        &mut self,
        chunk: &'a [u8],
        budget: &mut Budget,
    ) -> (MaskedChunk<'a>, usize) {
        let mut taken = 0_usize;
        let mut out: Option<Vec<u8>> = None;
        loop {
            let rest = chunk.get(taken..).unwrap_or_default();
            if budget.is_spent() || (rest.is_empty() && taken > 0) {
                break;
            }
            let slice = rest.get(..self.slices.next()).unwrap_or(rest);
            let before = self.work;
            let masked = self.push(slice);
            self.account(slice.len(), before, budget);
            if slice.len() == chunk.len() {
                // The common case: nothing is put together.
                return (masked, slice.len());
            }
            match &mut out {
                // What passed so far lies in the chunk as it is.
                None if masked.is_unchanged() => {}
                None => {
                    let mut begun = chunk.get(..taken).unwrap_or_default().to_vec();
                    begun.extend_from_slice(masked.as_bytes());
                    out = Some(begun);
                }
                Some(out) => out.extend_from_slice(masked.as_bytes()),
            }
            taken = taken.saturating_add(slice.len());
        }
        let masked = match out {
            Some(out) => MaskedChunk::owned(out),
            None if taken == chunk.len() => MaskedChunk::unchanged(chunk),
            None => MaskedChunk::beginning(chunk.get(..taken).unwrap_or_default()),
        };
        (masked, taken)
    }

    /// Of what leaves from now on so many bytes are to be [recorded](Self::recorded); `None`: none
    /// any more.
    pub fn record(&mut self, wanted: Option<usize>) {
        if let Some(recorder) = &mut self.recorder {
            recorder.wanted = wanted;
        }
    }

    /// The copy for the record of `leaves`, which [`push`](Self::push) or [`finish`](Self::finish)
    /// has just given, as far as it was [wanted](Self::record). What is only reported, and what no
    /// rule looks for, does not stand in it ([`Plan::recording`]). What may be such a secret comes
    /// later, with what leaves next.
    pub fn recorded(&mut self, leaves: &impl AsMasked) -> MaskedBody {
        match &mut self.recorder {
            Some(recorder) => std::mem::take(&mut recorder.made),
            None => {
                let mut body = MaskedBody::default();
                body.append(leaves);
                body
            }
        }
    }

    /// The body broke off: nothing leaves any more, what is held least of all. Gives the rest of
    /// the copy for the record of what had left, as [`recorded`](Self::recorded) does: what waited
    /// in it was only undecided there.
    pub fn end_record(&mut self) -> MaskedBody {
        match &mut self.recorder {
            Some(recorder) => {
                recorder.push(&[], true);
                std::mem::take(&mut recorder.made)
            }
            None => MaskedBody::default(),
        }
    }

    fn copy(&mut self, leaves: &[u8], ended: bool) {
        if let Some(recorder) = &mut self.recorder {
            let work = recorder.push(leaves, ended || self.blocked.is_some());
            self.work = self.work.saturating_add(work);
        }
    }

    /// What was done so far, in the units of [`Budget`].
    pub fn work(&self) -> u64 {
        self.work
    }

    /// Takes from the budget what a slice cost, and chooses how long the next one may be.
    fn account(&mut self, length: usize, before: u64, budget: &mut Budget) {
        let work = self.work.saturating_sub(before);
        budget.spend(work);
        self.slices.took(length, work);
    }

    /// Ends the body and gives what was held: masked if the end makes it a secret, as it is if not.
    pub fn finish(&mut self) -> MaskedBody {
        let leaves = self.end();
        self.copy(leaves.as_bytes(), true);
        leaves
    }

    fn end(&mut self) -> MaskedBody {
        if self.blocked.is_some() {
            return MaskedBody::default();
        }
        let end = self.left.after(self.held.len());
        if !self.fault.is_noted() {
            self.read(|format, desk| format.finish(desk, end.get()));
        }
        if let Some(block) = self.block.take() {
            return MaskedBody::from_masked(self.end_at(block, end));
        }
        if self.fault.is_noted() {
            return MaskedBody::from_masked(self.mask_rest(&[]));
        }
        let mut out = Vec::new();
        self.leave(end, &mut out);
        MaskedBody::from_masked(out)
    }

    /// Raw bytes held back now. 0 unless the last bytes may be (part of) a secret, or what they
    /// mean is not known yet: half an escape, an event that has not ended.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// What the copy that is [recorded](Self::recorded) holds back now, as much as a body may. It
    /// has left, and is kept here a second time.
    pub fn held_for_record(&self) -> usize {
        let recorder = self.recorder.as_ref();
        recorder.map_or(0, |recorder| recorder.masker.held())
    }

    /// What was found so far.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// The secret at which the body ended, if a detector found one that the plan blocks. No byte of
    /// it has left, and nothing leaves after it.
    pub fn blocked(&self) -> Option<&Blocked> {
        self.blocked.as_ref()
    }

    /// What was masked so far, if the plan [remembers](Plan::remembering) it.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    fn read<T>(&mut self, read: impl FnOnce(&mut dyn Format, &mut Desk<'_>) -> T) -> T {
        let mut desk = Desk {
            plan: &self.plan,
            key: &self.key,
            findings: &mut self.findings,
            edits: &mut self.edits,
            secrets: &mut self.secrets,
            blocked: &mut self.block,
            fault: &mut self.fault,
            only_reports: false,
            judged: 0,
            work: 0,
            marks: Vec::new(),
        };
        let read = read(&mut *self.format, &mut desk);
        self.work = self.work.saturating_add(desk.work);
        read
    }

    /// Lets the held bytes up to `to` go into `out`, edited.
    fn leave(&mut self, to: RawAt, out: &mut Vec<u8>) {
        self.edits.apply(&self.held, self.left, to, out);
        let leaves = to.index(self.left).min(self.held.len());
        self.held.drain(..leaves);
        self.left = to;
        if self.held.is_empty() {
            self.held = Vec::new();
        }
    }

    /// What reading so many bytes changes, if they may end the body before a secret.
    fn before(&self, bytes: usize) -> Option<Before> {
        let may_end = self.plan.blocks() && bytes > 1 && !self.format.stops(bytes);
        may_end.then(|| Before {
            format: self.format.copy(),
            findings: self.findings.clone(),
            waiting: self.edits.waiting(),
        })
    }

    /// Whether a secret was found that ends the body, and nothing that cannot be.
    fn is_to_end(&self) -> bool {
        self.block.is_some() && !self.fault.is_noted()
    }

    /// Takes back what was read since. What was remembered stays: it can only be restored where its
    /// placeholder stands, which did not leave.
    fn go_back(&mut self, before: Before) {
        self.format = before.format;
        self.findings = before.findings;
        self.edits.go_back(before.waiting);
        self.block = None;
    }

    /// Reads `chunk`, in which the body ends at a secret, up to the byte that decides it and no
    /// further, so that neither how much leaves before the secret nor what was found depends on how
    /// much came with it: other texts would be decided by what stands behind.
    fn up_to_block(&mut self, chunk: &[u8]) -> Vec<u8> {
        let (mut out, mut rest) = (Vec::new(), chunk);
        while let Some((first, later)) = rest.split_at_checked(rest.len() / 2)
            && !first.is_empty()
            && self.blocked.is_none()
            && !self.fault.is_noted()
        {
            let before = self.before(usize::MAX);
            let decided = self.read_next(first);
            match before {
                Some(before) if self.is_to_end() => {
                    self.go_back(before);
                    rest = first;
                }
                _ => {
                    out.extend_from_slice(self.pass(first, decided).as_bytes());
                    rest = later;
                }
            }
        }
        out.extend_from_slice(self.mask(rest).as_bytes());
        let is_blocked = self.blocked.is_some() || self.fault.is_noted();
        if !is_blocked {
            self.fault
                .cannot_be("a body ends at a secret that is none when it is read again");
            out.extend(self.mask_rest(&[]));
        }
        out
    }

    /// Masks all that is held, and `chunk`, which comes next: see [`fault`]. Gives what leaves.
    fn mask_rest(&mut self, chunk: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(chunk);
        let mut replacement = Vec::new();
        if !std::mem::replace(&mut self.rest_is_masked, true) {
            let fingerprint = self.key.fingerprint(&self.held);
            self.findings.add(fault::NAME, fingerprint, false);
            replacement = placeholder::write(fault::SHORT_NAME, &fingerprint, None);
        }
        let end = self.left.after(self.held.len());
        self.edits
            .replace_all(Edit::new(self.left, end, replacement));
        let mut out = Vec::new();
        self.leave(end, &mut out);
        out
    }

    /// Ends the body before a secret: gives what could leave before it, and the format's own error.
    fn end_at(&mut self, block: Block, decided: RawAt) -> Vec<u8> {
        let at = self.format.cut(block.at.unwrap_or(self.left).get());
        let at = RawAt::new(at);
        let to = match self.fault.is_noted() {
            true => self.left,
            false => self.edits.can_leave(decided.min(at)).max(self.left),
        };
        let mut out = Vec::new();
        self.leave(to, &mut out);
        self.held = Vec::new();
        self.edits = Edits::default();
        let message = format!(
            "A secret ({}) was found in this body, and policy does not let it pass.",
            block.detector
        );
        let ending = self.format.ending(&message);
        self.blocked = Some(Blocked {
            detector: block.detector,
            fingerprint: block.fingerprint,
            told: ending.is_some(),
        });
        out.extend(ending.into_iter().flatten());
        out
    }
}

/// What was known of a body before some bytes were read.
struct Before {
    format: Box<dyn Format>,
    findings: Findings,
    waiting: Vec<Edit>,
}

/// Makes the copy of a body that is recorded: what leaves is masked once more.
///
/// It is made while the body is, a slice at a time, and counts in the same [`Budget`]: a copy that
/// is made later would be another body to be masked in steps.
struct Recorder {
    masker: Masker,
    /// How many bytes are still wanted; nothing is read before that is said.
    wanted: Option<usize>,
    made: MaskedBody,
}

/// Bytes of what leaves that are read before it is asked again whether more is wanted.
const PART: usize = 4 * 1024;

impl Recorder {
    /// Reads what leaves next. One step more is made than is wanted, so that it is seen that there
    /// is more. Gives what it took, in the units of [`Budget`].
    fn push(&mut self, leaves: &[u8], ended: bool) -> u64 {
        if self.wanted.is_none_or(|wanted| self.made.len() > wanted) {
            return 0;
        }
        let before = self.masker.work();
        // An event that was held long may let much go at once.
        for part in leaves.chunks(PART) {
            if self.wanted.is_some_and(|wanted| self.made.len() <= wanted) {
                self.made.append(self.masker.push(part));
            }
        }
        if ended {
            self.made.append(self.masker.finish());
            self.wanted = None;
        }
        self.masker.work().saturating_sub(before)
    }
}

impl fmt::Debug for Masker {
    /// Without the bytes it holds: they may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masker")
            .field("held", &self.held.len())
            .field("findings", &self.findings)
            .finish_non_exhaustive()
    }
}
