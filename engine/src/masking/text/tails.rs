//! Whether what must follow a secret stands at a place of a text.
//!
//! That does not depend on the secret: it is a statement about the tail's pattern and about the
//! bytes from the place on. So it is found out once for each place, however many attempts have an
//! end there. And two readers of one tail that are in the same state at the same place see the same
//! from there on, so at every waypoint they become one. A byte is then read for a tail as often as
//! the tail has states that differ there, and for the ends since the last waypoint.
//!
//! A pattern that reads far (`[a-z]*!`) would otherwise be read from every end of every attempt:
//! tens of thousands of steps for each byte of text made for it.

use super::reading::{MAX_STATES, WAYPOINT};
use crate::masking::{
    bodies::fault,
    offsets::{TextAt, Window},
    search::{automaton::State, compile::Tail},
};
use std::collections::{BTreeMap, VecDeque};

/// In how many places of a text it is remembered what is known of tails, before all of it is
/// forgotten: 4 bytes each, 1 MiB. A text holds 8 KiB, so 32 tails that are asked for at each of
/// its bytes. `cost` allows half as many to be looked for at the same characters.
const MAX_ASKED: usize = 1 << 18;
/// Most states that are remembered at waypoints: 256 of these in what a text holds, and
/// [`MAX_STATES`] at each. 8 bytes each.
const MAX_MET: usize = 256 * MAX_STATES;
/// How many readers there may be before those that ended are removed.
const ROOM: usize = 1 << 12;
/// What it costs to find what is known of a place; see [`Budget`](crate::masking::Budget).
const ASKED: u64 = 8;

/// Whether a tail stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It does. That is known once the byte at this offset in the text was read.
    Stands(TextAt),
    /// It does not.
    Fails,
    /// That is not decided by the bytes at hand. Places with the same number have the same answer.
    Waits(u32),
}

/// The same, as it is remembered of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Note(u32);

impl Note {
    const UNKNOWN: Self = Self(u32::MAX);
    const FAILS: Self = Self(u32::MAX - 1);
    /// Set where the tail stands; the other bits say how far behind the place that is known.
    const STANDS: u32 = 1 << 31;

    /// What is remembered of `place`.
    fn of(answer: Answer, place: TextAt) -> Self {
        match answer {
            Answer::Fails => Self::FAILS,
            Answer::Waits(reader) => Self(reader),
            Answer::Stands(at) => match u32::try_from(at.since(place)) {
                Ok(far) if far < Self::STANDS / 2 => Self(Self::STANDS | far),
                _ => Self::UNKNOWN,
            },
        }
    }

    fn read(self, place: TextAt) -> Option<Answer> {
        match self {
            Self::UNKNOWN => None,
            Self::FAILS => Some(Answer::Fails),
            Self(far) if far & Self::STANDS != 0 => {
                let far = u64::from(far & !Self::STANDS);
                Some(Answer::Stands(place.plus(far)))
            }
            Self(reader) => Some(Answer::Waits(reader)),
        }
    }
}

/// Reads a tail on from where it is not decided.
#[derive(Debug, Clone, Copy)]
enum Reader {
    /// All before `at` is read.
    Reads {
        state: State,
        at: TextAt,
    },
    Ended(Answer),
}

/// The places at which one tail was asked for.
#[derive(Clone, Default)]
struct Asked {
    /// Where in the text the first note is.
    from: TextAt,
    notes: VecDeque<Note>,
}

impl Asked {
    fn get(&self, place: TextAt) -> Note {
        let note = match place >= self.from {
            true => self.notes.get(place.index(self.from)),
            false => None,
        };
        note.copied().unwrap_or(Note::UNKNOWN)
    }

    fn set(&mut self, place: TextAt, note: Note) {
        if self.notes.is_empty() {
            self.from = place;
        }
        while place < self.from {
            self.notes.push_front(Note::UNKNOWN);
            self.from = self.from.minus(1);
        }
        let at = place.index(self.from);
        if at >= self.notes.len() {
            self.notes.resize(at.saturating_add(1), Note::UNKNOWN);
        }
        if let Some(known) = self.notes.get_mut(at) {
            *known = note;
        }
    }

    fn forget_before(&mut self, place: TextAt) {
        let gone = place.index(self.from);
        self.notes.drain(..gone.min(self.notes.len()));
        self.from = self.from.max(place);
    }
}

/// A tail, a state of it, and what a reader in this state has found, or which one goes on there.
type Entry = ((u16, State), Note);

/// What one text knows of tails. All of it could be found out again: what is forgotten costs work
/// and nothing else.
#[derive(Clone, Default)]
pub(in crate::masking) struct Tails {
    /// By the tail's number.
    asked: BTreeMap<u16, Asked>,
    /// By waypoint: where readers came by, sorted.
    met: BTreeMap<TextAt, Vec<Entry>>,
    /// How many `met` has.
    count: usize,
    readers: Vec<Reader>,
    /// How many readers there may be before those that ended are removed, if more than [`ROOM`].
    room: usize,
    /// What lies before this is forgotten.
    from: TextAt,
}

impl Tails {
    /// Whether `tail` stands at `end`, as far as the bytes before `to` say. Every call must give at
    /// least as many bytes as those before it.
    pub(super) fn ask(
        &mut self,
        tail: &Tail,
        on: Window<'_>,
        end: usize,
        to: usize,
        work: &mut u64,
    ) -> Answer {
        *work = work.saturating_add(ASKED);
        let place = on.place(end);
        let known = self.asked.get(&tail.number).map(|asked| asked.get(place));
        let known = known.and_then(|note| note.read(place));
        let answer = match known {
            Some(Answer::Waits(reader)) => self.wait(tail, on, reader, to, work),
            Some(answer) => return answer,
            None => {
                let begun = tail.automaton.start(on.look(end));
                let answer = begun.map_or(Answer::Fails, |state| {
                    self.read(tail, on, (state, end), to, None, work)
                });
                match answer {
                    Answer::Waits(reader) => self.wait(tail, on, reader, to, work),
                    answer => answer,
                }
            }
        };
        if known != Some(answer) {
            let asked = self.asked.entry(tail.number).or_default();
            asked.set(place, Note::of(answer, place));
        }
        answer
    }

    /// In which state a reader is.
    pub(super) fn state(&self, number: u32) -> Option<State> {
        match self.reader(number)? {
            Reader::Reads { state, .. } => Some(state),
            Reader::Ended(_) => None,
        }
    }

    fn reader(&self, number: u32) -> Option<Reader> {
        let at = usize::try_from(number).ok()?;
        self.readers.get(at).copied()
    }

    fn set_reader(&mut self, number: u32, reader: Reader) {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        if let Some(old) = self.readers.get_mut(at) {
            *old = reader;
        }
    }

    fn new_reader(&mut self, state: State, at: TextAt) -> u32 {
        let number = u32::try_from(self.readers.len()).unwrap_or(u32::MAX);
        self.readers.push(Reader::Reads { state, at });
        number
    }

    /// Lets a reader go on to `to`, or the one that it has become.
    fn wait(
        &mut self,
        tail: &Tail,
        on: Window<'_>,
        first: u32,
        to: usize,
        work: &mut u64,
    ) -> Answer {
        let mut number = first;
        let answer = loop {
            match self.reader(number) {
                Some(Reader::Reads { state, at }) if on.at(at) < to => {
                    let from = (state, on.at(at));
                    match self.read(tail, on, from, to, Some(number), work) {
                        Answer::Waits(other) if other != number => number = other,
                        answer => break answer,
                    }
                }
                Some(Reader::Ended(Answer::Waits(other))) => number = other,
                Some(Reader::Ended(answer)) => break answer,
                Some(Reader::Reads { .. }) => break Answer::Waits(number),
                None => {
                    // It waits until the cap masks it.
                    fault::check(|| false, "a place waits for a reader that is none");
                    return Answer::Waits(number);
                }
            }
            *work = work.saturating_add(1);
        };
        // The way from one to the next is gone once.
        let mut number = first;
        while let Some(Reader::Ended(Answer::Waits(other))) = self.reader(number) {
            self.set_reader(number, Reader::Ended(answer));
            number = other;
        }
        answer
    }

    /// Reads on from `at` in `state`, as reader `own` if it is one. Another reader's number means
    /// that it has become that one, which may not have read as far.
    fn read(
        &mut self,
        tail: &Tail,
        on: Window<'_>,
        (mut state, mut at): (State, usize),
        to: usize,
        mut own: Option<u32>,
        work: &mut u64,
    ) -> Answer {
        let answer = 'read: loop {
            if at >= to {
                break None;
            }
            let stop = at.saturating_add(on.to_waypoint(at)).min(to);
            let new = on.bytes.get(at..stop).unwrap_or_default();
            for (place, &byte) in on.place(at).on().zip(new) {
                *work = work.saturating_add(1);
                let step = tail.automaton.step(state, byte);
                if step.matched_before {
                    break 'read Some(Answer::Stands(place));
                }
                let Some(next) = step.next else {
                    break 'read Some(Answer::Fails);
                };
                state = next;
            }
            at = stop;
            if !on.is_waypoint(at) {
                continue;
            }
            *work = work.saturating_add(ASKED);
            let place = on.place(at);
            let key = (tail.number, state);
            let met = self.met.get(&place).map(Vec::as_slice).unwrap_or_default();
            match met.binary_search_by_key(&key, |&(key, _)| key) {
                Ok(i) => match met.get(i).and_then(|&(_, note)| note.read(place)) {
                    Some(answer) => break Some(answer),
                    None => continue,
                },
                Err(i) if self.count < MAX_MET => {
                    let number = own.unwrap_or_else(|| self.new_reader(state, place));
                    own = Some(number);
                    let met = self.met.entry(place).or_default();
                    met.insert(i, (key, Note(number)));
                    self.count = self.count.saturating_add(1);
                }
                Err(_) => {}
            }
        };
        match (answer, own) {
            (Some(answer), Some(own)) => {
                self.set_reader(own, Reader::Ended(answer));
                answer
            }
            (Some(answer), None) => answer,
            (None, Some(own)) => {
                let at = on.place(at);
                self.set_reader(own, Reader::Reads { state, at });
                Answer::Waits(own)
            }
            (None, None) => Answer::Waits(self.new_reader(state, on.place(at))),
        }
    }

    /// Nothing before `place` is asked for any more. For every new place at which a secret may
    /// begin.
    pub(super) fn forget_before(&mut self, place: TextAt) {
        // The work is worth it only now and then.
        if place.since(self.from) < WAYPOINT as u64 {
            return;
        }
        self.from = place;
        while let Some(first) = self.met.first_entry().filter(|e| *e.key() < place) {
            self.count = self.count.saturating_sub(first.get().len());
            first.remove();
        }
        self.asked.retain(|_, asked| {
            asked.forget_before(place);
            !asked.notes.is_empty()
        });
        let asked = self.asked.values().map(|asked| asked.notes.len());
        let asked = asked.fold(0, usize::saturating_add);
        if (self.asked.is_empty() && self.met.is_empty()) || asked > MAX_ASKED {
            *self = Self {
                from: place,
                ..Self::default()
            };
        }
    }

    /// Removes readers that ended, if they are many. Numbers of readers become others.
    pub(super) fn tidy(&mut self) {
        if self.readers.len() <= self.room.max(ROOM) {
            return;
        }
        let old = std::mem::take(&mut self.readers);
        let mut renew = Renew {
            numbers: vec![None; old.len()],
            old: &old,
            new: Vec::new(),
        };
        for asked in self.asked.values_mut() {
            for (place, note) in asked.from.on().zip(&mut asked.notes) {
                *note = renew.note(*note, place);
            }
        }
        for (&place, met) in &mut self.met {
            for (_, note) in met {
                *note = renew.note(*note, place);
            }
        }
        self.readers = renew.new;
        self.room = self.readers.len().saturating_mul(2);
    }
}

/// Gives numbers anew to readers that go on.
struct Renew<'a> {
    old: &'a [Reader],
    numbers: Vec<Option<u32>>,
    new: Vec<Reader>,
}

impl Renew<'_> {
    fn note(&mut self, note: Note, place: TextAt) -> Note {
        let Some(Answer::Waits(mut number)) = note.read(place) else {
            return note;
        };
        loop {
            let at = usize::try_from(number).unwrap_or(usize::MAX);
            let (Some(&reader), Some(known)) = (self.old.get(at), self.numbers.get_mut(at)) else {
                return Note::UNKNOWN;
            };
            match reader {
                Reader::Ended(Answer::Waits(other)) => number = other,
                Reader::Ended(answer) => return Note::of(answer, place),
                Reader::Reads { .. } => {
                    let number = known.unwrap_or_else(|| {
                        self.new.push(reader);
                        u32::try_from(self.new.len().saturating_sub(1)).unwrap_or(u32::MAX)
                    });
                    *known = Some(number);
                    return Note::of(Answer::Waits(number), place);
                }
            }
        }
    }
}
