//! What happens to a text that cannot wait any longer.

use super::Channel;
use crate::masking::{
    bodies::{
        desk::Desk,
        mark::{Mark, What},
    },
    offsets::{Span, TextAt, Window},
    search::set::DetectorSet,
    text::runaway::Runaway,
};

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
        let end = self.base.after(self.held.len());
        self.drop_until(end.minus(1), self.base, marks);
    }

    /// Decides the leftmost undecided place now, with what is known of it: for formats that cannot
    /// wait for more. Places after it may stay undecided.
    pub(in crate::masking) fn force(
        &mut self,
        set: &DetectorSet,
        desk: &mut Desk<'_>,
        marks: &mut Vec<Mark>,
    ) {
        const NO_RULE: &str = "what is undecided belongs to no rule";
        let bytes = std::mem::take(&mut self.held);
        let on = Window {
            bytes: &bytes,
            base: self.base,
        };
        let end = on.place(bytes.len());
        let read = match (self.open.take(), self.runaway.take()) {
            (Some(open), _) => {
                let (start, read) = (on.place(open.at), on.place(open.read));
                let secret = bytes.get(open.at..open.read).unwrap_or_default();
                let runaway = open.into_runaway(set, on, None);
                match runaway
                    .as_ref()
                    .and_then(|runaway| set.rule(runaway.rule()))
                {
                    Some(rule) => {
                        let from = start.max(self.marked).max(self.gone);
                        let place = Span::new(from, read);
                        self.mark(desk, &rule.detector, secret, false, place, marks);
                    }
                    None => desk.fault.cannot_be(NO_RULE),
                }
                if desk.plan.restores.is_none() {
                    self.runaway = runaway;
                }
                read
            }
            (None, Some(mut runaway)) if runaway.is_unnamed() => {
                runaway.take(on, end);
                self.give(set, desk, &mut runaway, on, end, marks);
                self.runaway = Some(runaway);
                end
            }
            (_, runaway) => {
                self.runaway = runaway;
                self.held = bytes;
                return;
            }
        };
        let Some((masked, rest)) = bytes.split_at_checked(on.at(read)) else {
            desk.fault.cannot_be("more was read than is held");
            return;
        };
        self.remember(set, masked);
        self.marked = read;
        self.base = read;
        self.starts.clear();
        self.held = rest.to_vec();
    }

    /// Drops what was not yet marked nor dropped up to this place of the text, from `from` on.
    pub(super) fn drop_until(&mut self, to: TextAt, from: TextAt, marks: &mut Vec<Mark>) {
        let start = from.max(self.marked).max(self.gone);
        if start < to {
            marks.push(Mark {
                place: Span::new(start, to),
                what: What::Dropped,
            });
            self.gone = to;
        }
    }

    /// Gives the replacement of a runaway that ended at `end`; at hand is what was not let go.
    pub(super) fn give(
        &mut self,
        set: &DetectorSet,
        desk: &mut Desk<'_>,
        runaway: &mut Runaway,
        on: Window<'_>,
        end: TextAt,
        marks: &mut Vec<Mark>,
    ) {
        let Some(fingerprint) = runaway.give() else {
            return;
        };
        let Some(rule) = set.rule(runaway.rule()) else {
            desk.fault.cannot_be("a secret of a rule that is none");
            return;
        };
        let from = self.gone.max(self.marked);
        let last = on.bytes.get(..on.at(end)).unwrap_or_default();
        let names = (rule.detector.name(), rule.detector.short_name());
        if let Some(what) = desk.judge_long(names, fingerprint, last) {
            marks.push(Mark {
                place: Span::new(from, end.max(from)),
                what,
            });
        }
    }
}
