//! What happens to a text that cannot wait any longer.

use super::{Channel, Mark, What};
use crate::masking::{bodies::desk::Desk, search::set::DetectorSet, text::runaway::Runaway};

impl Channel {
    /// Lets go of what is undecided, whatever it turns out to be, all but the last byte: for
    /// formats whose raw bytes outgrow their own cap while one text waits. The text itself is held
    /// still, so that its replacement is that of the whole secret; it stands at what was not let
    /// go.
    pub(in crate::masking) fn let_go(
        &mut self,
        set: &DetectorSet,
        desk: &Desk<'_>,
        marks: &mut Vec<Mark>,
    ) {
        // What is restored has to be there as a whole.
        if desk.plan.restores.is_some() {
            return;
        }
        match (&mut self.open, &self.runaway) {
            (Some(open), _) => open.name = open.name.or_else(|| open.name(set)),
            (None, Some(runaway)) if runaway.is_unnamed() => {}
            _ => return,
        }
        let end = self.base.saturating_add(self.held.len() as u64);
        self.drop_until(end.saturating_sub(1), self.base, marks);
    }

    /// Decides the leftmost undecided place now, with what is known of it: for formats that cannot
    /// wait for more. Places after it may stay undecided.
    pub(in crate::masking) fn force(
        &mut self,
        set: &DetectorSet,
        desk: &mut Desk<'_>,
        marks: &mut Vec<Mark>,
    ) {
        let bytes = std::mem::take(&mut self.held);
        let end = self.base.saturating_add(bytes.len() as u64);
        let read = match (self.open.take(), self.runaway.take()) {
            (Some(open), _) => {
                let (start, read) = (self.place(open.at), self.place(open.read));
                let secret = bytes.get(open.at..open.read).unwrap_or_default();
                if let Some(runaway) = open.into_runaway(set, (start, read), None) {
                    if let Some(rule) = set.rule(runaway.rule()) {
                        let from = start.max(self.marked).max(self.gone);
                        self.mark(desk, &rule.detector, secret, false, (from, read), marks);
                    }
                    if desk.plan.restores.is_none() {
                        self.runaway = Some(runaway);
                    }
                }
                read
            }
            (None, Some(mut runaway)) if runaway.is_unnamed() => {
                runaway.take((&bytes, self.base), end);
                self.give(set, desk, &mut runaway, &bytes, end, marks);
                self.runaway = Some(runaway);
                end
            }
            (_, runaway) => {
                self.runaway = runaway;
                self.held = bytes;
                return;
            }
        };
        let done = usize::try_from(read.saturating_sub(self.base)).unwrap_or(0);
        self.remember(set, bytes.get(..done).unwrap_or_default());
        self.marked = read;
        self.base = read;
        self.starts.clear();
        self.held = bytes.get(done..).unwrap_or_default().to_vec();
    }

    /// Drops what was not yet marked nor dropped up to this place of the text, from `from` on.
    pub(super) fn drop_until(&mut self, to: u64, from: u64, marks: &mut Vec<Mark>) {
        let start = from.max(self.marked).max(self.gone);
        if start < to {
            marks.push(Mark {
                start,
                end: to,
                what: What::Dropped,
            });
            self.gone = to;
        }
    }

    /// Gives the replacement of a runaway that ended at `end`; `bytes` hold what was not let go.
    pub(super) fn give(
        &mut self,
        set: &DetectorSet,
        desk: &mut Desk<'_>,
        runaway: &mut Runaway,
        bytes: &[u8],
        end: u64,
        marks: &mut Vec<Mark>,
    ) {
        let (Some(fingerprint), Some(rule)) = (runaway.give(), set.rule(runaway.rule())) else {
            return;
        };
        let from = self.gone.max(self.marked);
        let last = bytes.get(..self.at(end)).unwrap_or_default();
        let names = (rule.detector.name(), rule.detector.short_name());
        if let Some(what) = desk.judge_long(names, fingerprint, last) {
            marks.push(Mark {
                start: from,
                end: end.max(from),
                what,
            });
        }
    }
}
