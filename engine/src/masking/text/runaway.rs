//! A secret that is longer than a text holds: its bytes go as they come, and where it ends stands
//! its replacement, with the fingerprint of all of it.
//!
//! # How it ends
//!
//! As any secret does: where its longest match ends. If that lies more than [`KEPT`] bytes back, or
//! if nothing has matched, it ends before the first byte that cannot belong to it.
//!
//! # Where its replacement stands
//!
//! At its end, because only there the fingerprint is known. So the last bytes of it are held, at
//! least [`KEPT`] and fewer than twice as many: there is room for the replacement where a format
//! counts bytes. How many depends on how long the secret is so far, not on how it came: chunks do
//! not change where the replacement stands.
//!
//! The alternative was a fingerprint of the first bytes only. It would have to be of no more than
//! what each format can wait for, and two keys of one kind begin alike.

use crate::masking::{
    bodies::{
        desk::HASHED,
        fault,
        findings::{Fingerprint, Taking},
    },
    offsets::{Span, TextAt, Window},
    search::{automaton::State, set::DetectorSet},
};

/// Fewest bytes of a runaway that are held.
const KEPT: u64 = 128;
/// What a byte costs each thread, beside that it is read.
const STEP: u64 = 2;

/// See the [module](self).
#[derive(Clone)]
pub(super) struct Runaway {
    /// The rule that gives it its name.
    rule: u16,
    /// The rules that it may belong to, and their states.
    threads: Vec<(u16, State)>,
    /// Where it began.
    start: TextAt,
    /// Up to which byte it was read.
    read: TextAt,
    /// Where its longest match ends.
    matched: Option<TextAt>,
    /// The fingerprint of what was let go; `None` if the replacement was given before its end.
    taking: Option<Taking>,
    /// Up to which byte the fingerprint was taken.
    taken: TextAt,
    /// What was done since this was last asked; see [`Budget`](crate::masking::Budget).
    work: u64,
}

/// Where a runaway is when all bytes at hand are read.
pub(super) enum Course {
    /// It goes on; what stands before this place is let go.
    Runs(TextAt),
    /// It has ended. What stands before the first place is let go; the rest is held still, up to
    /// the end, which may lie before that place.
    Ends(TextAt, TextAt),
}

impl Runaway {
    /// A secret that was read so far.
    pub(super) fn new(
        rule: u16,
        threads: Vec<(u16, State)>,
        read: Span<TextAt>,
        matched: Option<TextAt>,
        taking: Option<Taking>,
    ) -> Self {
        Self {
            rule,
            threads,
            start: read.from,
            read: read.to,
            matched,
            taking,
            taken: read.from,
            work: 0,
        }
    }

    /// The rule that gives it its name.
    pub(super) fn rule(&self) -> u16 {
        self.rule
    }

    /// Whether its replacement is still to be given.
    pub(super) fn is_unnamed(&self) -> bool {
        self.taking.is_some()
    }

    /// The work that was done since this was last asked.
    pub(super) fn take_work(&mut self) -> u64 {
        std::mem::take(&mut self.work)
    }

    /// Reads the bytes at hand. If they are the last ones, `ended`.
    pub(super) fn read(&mut self, set: &DetectorSet, on: Window<'_>, ended: bool) -> Course {
        fault::check(|| self.read >= on.base, "what is to be read is not held");
        for &byte in on.bytes.get(on.at(self.read)..).unwrap_or_default() {
            let (read, matched) = (self.read, &mut self.matched);
            let steps = (self.threads.len() as u64).saturating_mul(STEP);
            self.work = self.work.saturating_add(steps);
            self.threads.retain_mut(|(rule, state)| {
                let Some(rule) = set.rule(*rule) else {
                    // Then it never ends: all that comes is masked.
                    fault::check(|| false, "a secret of a rule that is none");
                    return true;
                };
                let step = rule.secret.step(*state, byte);
                if step.matched_before {
                    let end = read.minus(rule.after as u64);
                    *matched = (*matched).max(Some(end));
                }
                *state = step.next.unwrap_or(*state);
                step.next.is_some()
            });
            if self.threads.is_empty() {
                return self.ends();
            }
            self.read = read.plus(1);
        }
        if !ended {
            return Course::Runs(self.gone());
        }
        for (rule, state) in &self.threads {
            let rule = set.rule(*rule);
            if let Some(rule) = rule.filter(|rule| rule.secret.matches_at_end(*state)) {
                let end = self.read.minus(rule.after as u64);
                self.matched = self.matched.max(Some(end));
            }
        }
        self.ends()
    }

    fn ends(&self) -> Course {
        let gone = self.gone();
        let end = self.matched.filter(|end| *end >= gone);
        Course::Ends(gone, end.unwrap_or(self.read))
    }

    /// Up to where its bytes are let go.
    fn gone(&self) -> TextAt {
        if !self.is_unnamed() {
            return self.read;
        }
        let length = self.read.since(self.start).saturating_sub(KEPT);
        let whole = length.checked_div(KEPT).unwrap_or(0).saturating_mul(KEPT);
        self.start.plus(whole)
    }

    /// Takes the fingerprint of what stands before `to`; at hand is all that it was not taken of.
    pub(super) fn take(&mut self, on: Window<'_>, to: TextAt) {
        if let Some(taking) = &mut self.taking {
            // Nothing, if it was taken of more already.
            let new = on.bytes.get(on.at(self.taken)..on.at(to));
            let new = new.unwrap_or_default();
            taking.update(new);
            let hashed = (new.len() as u64).saturating_mul(HASHED);
            self.work = self.work.saturating_add(hashed);
            self.taken = self.taken.max(to);
        }
    }

    /// The fingerprint of what it was taken of. The replacement is given with it.
    pub(super) fn give(&mut self) -> Option<Fingerprint> {
        Some(self.taking.take()?.fingerprint())
    }
}
