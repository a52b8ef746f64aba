//! The streaming masker: decides which of the discovered places are secrets, and holds what is not
//! decided. The semantics are those of the [module](super).

use super::{
    automaton::State,
    body::{MaskedBody, MaskedChunk},
    detector::Detector,
    findings::{Findings, FingerprintKey, Fingerprinting},
    set::{DetectorSet, Start, Trail},
};
use std::{fmt, io::Write as _, iter::Peekable, sync::Arc};

/// Most bytes that a stream holds back. A secret that is still undecided after so many bytes is masked, with all
/// that belongs to it. Real secrets are shorter: an RSA key of 4096 bits has 3.2 KB in PEM.
pub const MAX_HELD: usize = 8192;

/// Masks one stream of bytes as it comes.
///
/// Dropping a masker drops what it holds: a stream that breaks off must not call [`finish`](Self::finish).
pub struct Masker {
    set: Arc<DetectorSet>,
    key: FingerprintKey,
    trail: Trail,
    /// Held bytes: from where `open` begins to the end of what was pushed; otherwise empty.
    held: Vec<u8>,
    /// Places in `held` (offsets, sorted) that come after the open one.
    starts: Vec<Start>,
    open: Option<Open>,
    runaway: Option<Runaway>,
    findings: Findings,
}

/// The leftmost place that is not decided.
struct Open {
    at: usize,
    /// Every thread that is alive has read up to here.
    read: usize,
    threads: Vec<Thread>,
}

/// One rule tried at one place.
struct Thread {
    rule: u16,
    /// `None` when no longer match can come.
    state: Option<State>,
    /// Where the longest match so far ends.
    matched: Option<usize>,
}

/// A secret longer than [`MAX_HELD`]: its bytes are dropped as they come, until it ends.
struct Runaway {
    detector: &'static Detector,
    threads: Vec<(u16, State)>,
    fingerprinting: Fingerprinting,
}

/// What became of the bytes given to [`Masker::resolve`].
struct Resolved {
    /// What leaves, if it is not just the beginning of the bytes.
    text: Option<Vec<u8>>,
    /// All bytes from here on are held.
    keep: usize,
}

impl Masker {
    /// A masker for one stream, at its beginning.
    pub fn new(set: Arc<DetectorSet>, key: FingerprintKey) -> Self {
        Self {
            set,
            key,
            trail: Trail::new(),
            held: Vec::new(),
            starts: Vec::new(),
            open: None,
            runaway: None,
            findings: Findings::default(),
        }
    }

    /// Takes the next bytes of the stream and gives what can leave. It neither copies nor allocates
    /// while nothing is held and nothing is masked.
    pub fn push<'a>(&mut self, chunk: &'a [u8]) -> MaskedChunk<'a> {
        self.set
            .discover(chunk, self.held.len(), &mut self.trail, &mut self.starts);
        if !self.held.is_empty() {
            let mut bytes = std::mem::take(&mut self.held);
            bytes.extend_from_slice(chunk);
            let Resolved { text, keep } = self.resolve(&bytes, false);
            let text = text.unwrap_or_else(|| bytes.get(..keep).unwrap_or_default().to_vec());
            bytes.drain(..keep.min(bytes.len()));
            bytes.shrink_to(MAX_HELD / 4);
            self.held = bytes;
            return MaskedChunk::owned(text);
        }
        if self.starts.is_empty() && self.runaway.is_none() {
            return MaskedChunk::unchanged(chunk);
        }
        let Resolved { text, keep } = self.resolve(chunk, false);
        let (leaves, held) = chunk.split_at_checked(keep).unwrap_or((chunk, &[]));
        self.held.extend_from_slice(held);
        match text {
            Some(text) => MaskedChunk::owned(text),
            None if held.is_empty() => MaskedChunk::unchanged(leaves),
            None => MaskedChunk::beginning(leaves),
        }
    }

    /// Ends the stream and gives what was held: masked if the end makes it a secret, as it is if not.
    /// The masker is then as new, but for its findings.
    pub fn finish(&mut self) -> MaskedBody {
        let bytes = std::mem::take(&mut self.held);
        let Resolved { text, .. } = self.resolve(&bytes, true);
        self.trail = Trail::new();
        self.starts.clear();
        MaskedBody::from_masked(text.unwrap_or(bytes))
    }

    /// Bytes held back, less than [`MAX_HELD`]. 0 unless the stream's last bytes may be a secret.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// What was masked so far.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Decides what can be decided about `bytes`: what was held, then what is new.
    fn resolve(&mut self, bytes: &[u8], ended: bool) -> Resolved {
        let mut text: Option<Vec<u8>> = None;
        // Everything before `done` has left or was masked.
        let mut done = 0;
        let mut starts = std::mem::take(&mut self.starts);
        let mut queue = starts.iter().copied().peekable();
        let keep = loop {
            if let Some(runaway) = self.runaway.take() {
                done = self.run_away(runaway, bytes, done, ended, &mut text);
                if self.runaway.is_some() {
                    // What began inside it is part of it.
                    while queue.next().is_some() {}
                    break bytes.len();
                }
            }
            let Some(mut open) = self
                .open
                .take()
                .or_else(|| next_open(&mut queue, done, &self.set))
            else {
                break bytes.len();
            };
            let at = open.at;
            if let Verdict::Undecided = open.read_on(&self.set, bytes, ended) {
                if open.read.saturating_sub(at) < MAX_HELD {
                    self.open = Some(open);
                    break at;
                }
                // The cap: masked whatever it turns out to be.
                let text = text.get_or_insert_default();
                text.extend_from_slice(bytes.get(done..at).unwrap_or_default());
                done = open.read;
                let mut fingerprinting = self.key.begin();
                fingerprinting.update(bytes.get(at..done).unwrap_or_default());
                self.runaway = open.into_runaway(&self.set, fingerprinting);
                continue;
            }
            if let Some((end, detector)) = open.secret(&self.set, bytes) {
                let text = text.get_or_insert_default();
                text.extend_from_slice(bytes.get(done..at).unwrap_or_default());
                let secret = bytes.get(at..end).unwrap_or_default();
                let mut fingerprinting = self.key.begin();
                fingerprinting.update(secret);
                let confirmed = detector.confirm.is_some_and(|confirm| confirm(secret));
                self.replace(detector, fingerprinting, confirmed, text);
                done = end;
            }
        };
        if let Some(text) = &mut text {
            text.extend_from_slice(bytes.get(done..keep).unwrap_or_default());
        }
        // Positions become offsets in what is held from now on.
        let left = queue.len();
        starts.drain(..starts.len().saturating_sub(left));
        for start in &mut starts {
            start.at = start.at.saturating_sub(keep);
        }
        starts.shrink_to(64);
        self.starts = starts;
        if let Some(open) = &mut self.open {
            open.rebase(keep);
        }
        Resolved { text, keep }
    }

    /// Drops the bytes from `from` on that belong to a runaway secret; gives where it ended.
    fn run_away(
        &mut self,
        mut runaway: Runaway,
        bytes: &[u8],
        from: usize,
        ended: bool,
        text: &mut Option<Vec<u8>>,
    ) -> usize {
        let mut end = from;
        for (at, &byte) in bytes.iter().enumerate().skip(from) {
            let set = &self.set;
            runaway.threads.retain_mut(|(rule, state)| {
                let next = set
                    .rule(*rule)
                    .and_then(|r| r.secret.step(*state, byte).next);
                *state = next.unwrap_or(*state);
                next.is_some()
            });
            if runaway.threads.is_empty() {
                break;
            }
            end = at.saturating_add(1);
        }
        runaway
            .fingerprinting
            .update(bytes.get(from..end).unwrap_or_default());
        let text = text.get_or_insert_default();
        if runaway.threads.is_empty() || ended {
            self.replace(runaway.detector, runaway.fingerprinting, false, text);
        } else {
            self.runaway = Some(runaway);
        }
        end
    }

    fn replace(
        &mut self,
        detector: &'static Detector,
        secret: Fingerprinting,
        confirmed: bool,
        text: &mut Vec<u8>,
    ) {
        let fingerprint = secret.finish();
        // Writing into a vector cannot fail.
        let _ = write!(text, "[masked:{}:{fingerprint}]", detector.short_name());
        self.findings.add(detector, fingerprint, confirmed);
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

/// The next place at or after `done`, with all rules that start there.
fn next_open(
    queue: &mut Peekable<impl Iterator<Item = Start>>,
    done: usize,
    set: &DetectorSet,
) -> Option<Open> {
    while queue.next_if(|start| start.at < done).is_some() {}
    let at = queue.peek()?.at;
    let mut threads = Vec::with_capacity(1);
    while let Some(start) = queue.next_if(|start| start.at == at) {
        threads.push(Thread {
            rule: start.rule,
            state: set.rule(start.rule).map(|rule| rule.secret.start()),
            matched: None,
        });
    }
    Some(Open {
        at,
        read: at,
        threads,
    })
}

/// Whether a place is decided.
enum Verdict {
    Decided,
    Undecided,
}

impl Open {
    /// Reads on until nothing longer can come, or the bytes or the cap are reached.
    fn read_on(&mut self, set: &DetectorSet, bytes: &[u8], ended: bool) -> Verdict {
        let to = bytes.len().min(self.at.saturating_add(MAX_HELD));
        let new = bytes.get(self.read..to).unwrap_or_default();
        let mut undecided = false;
        for thread in &mut self.threads {
            let Some(rule) = set.rule(thread.rule) else {
                thread.state = None;
                continue;
            };
            let mut state = thread.state;
            for (at, &byte) in (self.read..).zip(new) {
                let Some(current) = state else { break };
                let step = rule.secret.step(current, byte);
                if step.matched_before {
                    thread.matched = Some(at);
                }
                state = step.next;
            }
            thread.state = state;
            undecided |= state.is_some();
        }
        self.read = to;
        if !undecided {
            return Verdict::Decided;
        }
        if ended && to == bytes.len() {
            for thread in &mut self.threads {
                if let (Some(state), Some(rule)) = (thread.state, set.rule(thread.rule))
                    && rule.secret.matches_at_end(state)
                {
                    thread.matched = Some(to);
                }
            }
            return Verdict::Decided;
        }
        Verdict::Undecided
    }

    /// The longest secret found here, by its end; among equals the first detector's.
    fn secret(&self, set: &DetectorSet, bytes: &[u8]) -> Option<(usize, &'static Detector)> {
        let mut best: Option<(usize, &'static Detector)> = None;
        for thread in &self.threads {
            let (Some(matched), Some(rule)) = (thread.matched, set.rule(thread.rule)) else {
                continue;
            };
            let end = matched.saturating_sub(rule.after);
            let secret = bytes.get(self.at..end).unwrap_or_default();
            if secret.is_empty() || rule.must.is_some_and(|must| !must(secret)) {
                continue;
            }
            if best.is_none_or(|(longest, _)| end > longest) {
                best = Some((end, rule.detector));
            }
        }
        best
    }

    /// Named after the first rule that has matched, or else the first that may.
    fn into_runaway(self, set: &DetectorSet, fingerprinting: Fingerprinting) -> Option<Runaway> {
        let name = self
            .threads
            .iter()
            .filter(|t| t.state.is_some())
            .min_by_key(|t| (t.matched.is_none(), t.rule))?;
        Some(Runaway {
            detector: set.rule(name.rule)?.detector,
            threads: self
                .threads
                .iter()
                .filter_map(|t| Some((t.rule, t.state?)))
                .collect(),
            fingerprinting,
        })
    }

    fn rebase(&mut self, by: usize) {
        self.at = self.at.saturating_sub(by);
        self.read = self.read.saturating_sub(by);
        for thread in &mut self.threads {
            thread.matched = thread.matched.map(|end| end.saturating_sub(by));
        }
    }
}
