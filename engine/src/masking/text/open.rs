//! One place at which a secret may begin: all rules that start there compete.

use super::{attempt::Attempt, known::Known, reading::last, runaway::Runaway};
use crate::masking::{
    bodies::findings::Taking,
    detectors::{detector::Detector, rule::Found},
    offsets::{Span, Window},
    search::{discovery::Start, set::DetectorSet},
};
use std::iter::Peekable;

/// Most bytes of one text that wait for a decision. A secret that is still undecided after so many
/// bytes is masked, with all that belongs to it. Most real secrets are shorter: an RSA key of 4096
/// bits has 3.2 KB in PEM.
pub const MAX_HELD: usize = 8192;

/// The leftmost place that is not decided.
#[derive(Clone)]
pub(super) struct Open {
    pub(super) at: usize,
    /// Every attempt that is open has read up to here.
    pub(super) read: usize,
    pub(super) attempts: Vec<Attempt>,
    /// The rule that gives it its name if bytes of it were let go and it turns out to be none.
    pub(super) name: Option<u16>,
}

/// Whether a place is decided.
pub(super) enum Verdict {
    Decided,
    Undecided,
}

impl Open {
    /// The place of the next of these starts, with all rules that start there.
    pub(super) fn next(
        queue: &mut Peekable<impl Iterator<Item = Start>>,
        set: &DetectorSet,
        on: Window<'_>,
    ) -> Option<Self> {
        let at = queue.peek()?.at;
        let mut attempts = Vec::with_capacity(1);
        while let Some(start) = queue.next_if(|start| start.at == at) {
            attempts.push(Attempt::new(set, start, on.place(at)));
        }
        Some(Self {
            at,
            read: at,
            attempts,
            name: None,
        })
    }

    /// Reads on until nothing longer can come, or the bytes or the cap are reached.
    pub(super) fn read_on(
        &mut self,
        set: &DetectorSet,
        on: Window<'_>,
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

    /// The longest secret found here, by its end; among equals the first detector's. `earlier` is
    /// what stands before the bytes at hand. Also what asking cost.
    pub(super) fn secret<'s>(
        &self,
        set: &'s DetectorSet,
        known: &mut Known,
        on: Window<'_>,
        earlier: &[u8],
    ) -> (Option<(usize, &'s Detector)>, u64) {
        let bytes = on.bytes;
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
            let find = Span::new(on.place(self.at), on.place(end));
            let holds = rule.must.as_ref().is_none_or(|check| {
                if !known.ask(find, secret.len(), attempt.rule(), check) {
                    return true;
                }
                asked = asked.saturating_add(check.cost(secret.len()));
                let seen = bytes.get(..self.at).unwrap_or_default();
                let before = last(earlier, seen, check.lookback());
                check.holds(&Found {
                    secret,
                    before: &before,
                })
            });
            if holds {
                best = Some((end, &rule.detector));
            } else {
                known.refused(find, secret.len(), attempt.rule());
            }
        }
        (best, asked)
    }

    /// The first rule that has matched, or else the first that may.
    pub(super) fn name(&self, set: &DetectorSet) -> Option<u16> {
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

    /// Takes what was read of it for a secret, which may go on.
    pub(super) fn into_runaway(
        self,
        set: &DetectorSet,
        on: Window<'_>,
        taking: Option<Taking>,
    ) -> Option<Runaway> {
        let rule = self.name(set)?;
        let open = self.attempts.iter();
        let threads = open.filter_map(|attempt| Some((attempt.rule(), attempt.state()?)));
        let matched = self.attempts.iter().filter_map(|attempt| {
            let after = set.rule(attempt.rule()).map_or(0, |rule| rule.after);
            let end = attempt.matched()?.saturating_sub(after);
            Some(on.place(end.max(self.at)))
        });
        Some(Runaway::new(
            rule,
            threads.collect(),
            Span::new(on.place(self.at), on.place(self.read)),
            matched.max(),
            taking,
        ))
    }

    pub(super) fn rebase(&mut self, by: usize) {
        self.at = self.at.saturating_sub(by);
        self.read = self.read.saturating_sub(by);
        for attempt in &mut self.attempts {
            attempt.rebase(by);
        }
    }
}
