//! Reads events that are like one of the last few: as many of a chunk as there are, at once.
//!
//! Comparing says where in each its pieces stand, and what else has changed. Then all that has
//! changed is searched in one pass, and the pieces of a text that come one after another in one
//! more ([`Channels::gather`]). What is found is the same as if each event had been read alone: an
//! event in which something may stand is looked at on its own, in its turn.

use super::{
    Data, MAX_UNIT, Reader, escaping,
    run::{Passed, Run},
    template::At,
};
use crate::masking::{
    bodies::desk::Desk,
    streams::{channels::Channels, sse::lines},
};

/// Raw bytes of events that are read at once: so few that they stay in the processor's cache.
const MOST: usize = 16 * 1024;

impl Reader {
    /// Reads the events with which `bytes` begin, at the raw offset `base`, that are like one of
    /// those that were [read](Self::read) last.
    pub(in crate::masking::streams) fn alike(
        &mut self,
        desk: &mut Desk<'_>,
        bytes: &[u8],
        base: u64,
        channels: &mut Channels,
    ) -> Option<Passed> {
        let mut run = std::mem::take(&mut self.run);
        self.compare(desk, bytes, &mut run);
        for (_, known) in self.templates.iter_mut() {
            known.search(desk.plan, &mut run.doubtful);
        }
        let passed = self.pass(desk, bytes, base, channels, &run);
        run.clear();
        self.run = run;
        passed
    }

    /// Finds the events.
    fn compare(&mut self, desk: &mut Desk<'_>, bytes: &[u8], run: &mut Run) {
        let mut from = 0_usize;
        while from < MOST
            && let Some(rest) = bytes.get(from..)
            && let known = run.places.len()
            && let Some((like, length)) = self.templates.compare(rest, &mut run.places)
            && length <= MAX_UNIT
        {
            let event = rest.get(..length).unwrap_or_default();
            let places = run.places.get(known..).unwrap_or_default();
            debug_assert!(
                self.agrees(desk, like, event, places),
                "an event is not like the last"
            );
            let number = run.ends.len();
            if let Some((template, known)) = self.templates.get_mut(like)
                && template.own_differs(event, places)
                && !known.gather(desk, template, (number, event, places))
            {
                run.doubtful.push(number);
            }
            from = from.saturating_add(length);
            run.ends.push(from);
            run.like.push(like);
        }
    }

    /// Reads them, up to one that holds a secret at which the body has to end.
    fn pass(
        &mut self,
        desk: &mut Desk<'_>,
        bytes: &[u8],
        base: u64,
        channels: &mut Channels,
        run: &Run,
    ) -> Option<Passed> {
        let mut passed = None;
        let (mut from, mut doubtful) = (0_usize, run.doubtful.iter().peekable());
        let is_alone = run.ends.len() == 1;
        let mut rest = &*run.places;
        for (number, (&to, &like)) in run.ends.iter().zip(&run.like).enumerate() {
            let template = self.templates.get(like)?;
            let (places, later) = rest.split_at_checked(template.slots())?;
            rest = later;
            let event = bytes.get(from..to).unwrap_or_default();
            let start = base.saturating_add(from as u64);
            for piece in template.pieces(places) {
                let raw = event.get(piece.place.0..piece.place.1).unwrap_or_default();
                let at = start.saturating_add(piece.place.0 as u64);
                let (text, pieces) = self.room.string(raw, at, piece.escaped);
                let (key, delta) = (piece.key, piece.delta);
                let (escaping, perhaps) = (escaping(delta), delta.perhaps);
                match is_alone {
                    true => channels.push(desk, key, escaping, perhaps, text, pieces),
                    false => channels.gather(desk, key, escaping, perhaps, text, pieces),
                }
            }
            let is_doubtful = doubtful.next_if(|&&doubtful| doubtful == number).is_some();
            if is_doubtful
                && let Some((template, known)) = self.templates.get_mut(like)
                && !known.holds_none(desk, template, event, places)
            {
                channels.read_gathered(desk);
                let lines = template.data(places);
                let lines = lines.map(|(from, to)| (start.saturating_add(from as u64), from, to));
                self.data.clear();
                self.data.extend(lines);
                let pieces = template.pieces(places).map(|piece| piece.place);
                let pieces: Vec<_> = pieces.collect();
                self.own(desk, event, &pieces);
            }
            channels.event(desk, start, base.saturating_add(to as u64));
            passed = Some(Passed {
                length: to,
                last: from,
            });
            if desk.blocked.is_some() {
                break;
            }
            from = to;
        }
        if let Some(Passed { length, .. }) = passed {
            self.tell(bytes, length, run);
        }
        passed
    }

    /// Says what the events of a run up to `to` say of themselves.
    fn tell(&mut self, bytes: &[u8], to: usize, run: &Run) {
        let (mut from, mut rest) = (0_usize, &*run.places);
        for (&end, &like) in run
            .ends
            .iter()
            .zip(&run.like)
            .take_while(|(end, _)| **end <= to)
        {
            let Some(template) = self.templates.get(like) else {
                return;
            };
            let (places, later) = rest
                .split_at_checked(template.slots())
                .unwrap_or((rest, &[]));
            let event = bytes.get(from..end).unwrap_or_default();
            if template.has_sequence() {
                let number = template.sequence_number(event, places);
                self.deltas.sequence_number = number.or(self.deltas.sequence_number);
            }
            self.deltas.dialect = template.dialect;
            self.dialect = template.dialect.or(self.dialect);
            (from, rest) = (end, later);
        }
        self.deltas.answers = None;
    }

    /// Whether reading an event gives what comparing it with the template has given.
    fn agrees(&self, desk: &Desk<'_>, like: usize, event: &[u8], places: &[At]) -> bool {
        let Some(template) = self.templates.get(like) else {
            return false;
        };
        let mut fresh = Self::new(self.records, None);
        fresh.deltas = self.deltas.clone();
        match self.records {
            None => drop(fresh.lines(event, 1)),
            Some(_) => fresh.data.push((1, 0, event.len())),
        }
        if fresh.data(event, 1) != Data::Json {
            return false;
        }
        fresh.read_deltas(desk, event);
        let deltas = &fresh.deltas;
        let read = deltas.pieces.iter().map(|&delta| {
            let place = fresh.tape.offsets(delta.at);
            let key = delta.key(deltas.keys());
            (key, place, delta.is_json, delta.perhaps)
        });
        let compared = template.pieces(places).map(|piece| {
            let delta = piece.delta;
            (piece.key, piece.place, delta.is_json, delta.perhaps)
        });
        let number = template.sequence_number(event, places);
        let number = number.or(self.deltas.sequence_number);
        read.eq(compared)
            && (deltas.sequence_number.is_none() || deltas.sequence_number == number)
            && !deltas.end_some()
            && deltas.answers.is_none()
            && deltas.dialect.map(|dialect| dialect.name)
                == template.dialect.map(|dialect| dialect.name)
            && (self.records.is_some() || lines::Ends::default().find(event) == Some(event.len()))
    }
}
