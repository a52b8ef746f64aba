//! What is no piece of a text that goes on, in events that are alike: does it still hold no secret?
//!
//! It was read when the template was made, and no secret was found. An event that is alike differs
//! from that in slots: a number, a time, what hides how long a text is. Only what stands around
//! these can make a difference. So the state of discovery before each slot is kept with the
//! template. From that state discovery reads the slot's new text. If no secret may begin in it, and
//! the state behind it is the same as in the template, the rest of the event cannot differ.
//!
//! This holds whatever anchors the rest of the event has. The alternative, to look for anchors
//! around what has changed, takes an anchor that stands in every event for something new: `data:`,
//! `tokenCount`, the name of the member. Each event was then read anew, token by token, which is
//! five times as slow.

use super::{
    At, Slot, Template,
    windows::{Window, Windows},
};
use crate::masking::{
    bodies::{desk::Desk, plan::Plan},
    detectors::rule::BEHIND,
    formats::json::decode,
    search::{
        discovery::{Carried, Start},
        set::DetectorSet,
    },
    text::fold,
};

/// What is known of a template.
#[derive(Clone, Default)]
pub(in crate::masking::streams::reader) struct Own {
    state: State,
    places: Vec<Place>,
    /// How many events have been asked about.
    asked: usize,
    /// Where it is enough to look for anchors.
    windows: Finding,
}

/// Finds out for each slot where it is enough to look for anchors.
#[derive(Clone, Default)]
enum Finding {
    /// It would not pay, or cannot be said.
    #[default]
    Nothing,
    /// It is known of so many places.
    Some(Windows, usize),
    All(Windows),
}

/// After so many events it pays to find out where it is enough to look for anchors.
const OFTEN: usize = 32;

/// What that costs for each anchor; see [`Budget`](crate::masking::Budget).
const ASKED: u64 = 40;

/// Once so much was done of a chunk, it is found out with the next one: three templates can have
/// dozens of slots, and each is asked about every anchor.
const AT_ONCE: u64 = 50_000;

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Nobody has asked.
    #[default]
    Unasked,
    /// Its places are known.
    Known,
    /// What has changed can only be read.
    Read,
}

/// One slot, or several that stand close to each other, with what is around them.
#[derive(Clone)]
struct Place {
    /// The first slot and the last, by their numbers.
    first: usize,
    last: usize,
    /// How many bytes before the first and after the last are read with them.
    before: usize,
    after: usize,
    /// What discovery carries up to there and from there on; for each set. Behind the last place
    /// the text may end.
    entry: Vec<Carried>,
    exit: Option<Vec<Carried>>,
}

impl Own {
    /// Of a template that nobody has asked about.
    pub(in crate::masking::streams::reader) fn clear(&mut self) {
        self.state = State::Unasked;
        self.asked = 0;
        self.windows = Finding::Nothing;
    }

    /// Gathers what differs in an event that is alike, the `number`th of some, to be
    /// [searched](Self::search) with that of others. `false` if it has to be looked at on its own.
    pub(in crate::masking::streams::reader) fn gather(
        &mut self,
        desk: &mut Desk<'_>,
        template: &Template,
        (number, event, places): (usize, &[u8], &[At]),
    ) -> bool {
        self.asked = self.asked.saturating_add(1);
        if self.asked == OFTEN && self.is_known(desk, template) {
            self.windows = Finding::Some(Windows::default(), 0);
        }
        self.find_windows(desk, template);
        let Finding::All(windows) = &mut self.windows else {
            return false;
        };
        let mut differing = template.differing(event, places);
        differing.all(|(slot, at)| !at.escaped && windows.add(number, slot, event, at.range()))
    }

    /// Searches what was gathered, and appends the events, in order, that have to be looked at on
    /// their own.
    pub(in crate::masking::streams::reader) fn search(
        &mut self,
        plan: &Plan,
        found: &mut Vec<usize>,
    ) {
        if let Finding::All(windows) = &mut self.windows {
            windows.search(plan, found);
        }
    }

    /// Whether an event that is alike holds no secret, but for pieces of texts that go on. If that
    /// is not known it has to be read.
    pub(in crate::masking::streams::reader) fn holds_none(
        &mut self,
        desk: &mut Desk<'_>,
        template: &Template,
        event: &[u8],
        places: &[At],
    ) -> bool {
        let differs = |place: &Place| {
            let mut slots = template.differing(event, places);
            slots.any(|(number, _)| (place.first..=place.last).contains(&number))
        };
        self.is_known(desk, template)
            && self.places.iter().all(|place| {
                let at = places.get(place.first..=place.last).unwrap_or_default();
                !differs(place) || place.is_quiet(desk, at, event)
            })
    }

    /// Whether the places are known.
    fn is_known(&mut self, desk: &mut Desk<'_>, template: &Template) -> bool {
        if self.state == State::Unasked {
            let found = template.is_plain.then(|| self.find(desk, template));
            self.state = found.flatten().map_or(State::Read, |()| State::Known);
        }
        self.state == State::Known
    }

    /// Finds for each slot the window around it, as far as the work goes. Nothing if something that
    /// goes on reaches into one.
    fn find_windows(&mut self, desk: &mut Desk<'_>, template: &Template) {
        while let Finding::Some(windows, known) = &mut self.windows
            && desk.work < AT_ONCE
        {
            let (mut windows, known) = (std::mem::take(windows), *known);
            self.windows = match self.places.get(known) {
                None => Finding::All(windows),
                Some(place) => match place.window(desk, template) {
                    Some(window) => {
                        windows.insert(place.first, window);
                        Finding::Some(windows, known.saturating_add(1))
                    }
                    None => Finding::Nothing,
                },
            };
        }
    }

    /// Finds the places, in the template itself. `None` if it cannot be said of each what it leads
    /// to.
    fn find(&mut self, desk: &mut Desk<'_>, template: &Template) -> Option<()> {
        let &[(begin, end)] = &*template.data else {
            return None;
        };
        let (event, slots) = (&*template.event, &*template.slots);
        let mut reading = Reading {
            event,
            at: begin,
            carried: desk.plan.sets().map(|_| Carried::new()).collect(),
        };
        self.places.clear();
        for (number, slot) in slots.iter().enumerate() {
            if !slot.is_own() {
                continue;
            }
            let before = number.checked_sub(1).and_then(|before| slots.get(before));
            let from = split_before(event, before.map_or(begin, |slot| slot.to), slot.from);
            let next = slots.get(number.saturating_add(1));
            let to = split_after(event, slot.to, next.map_or(end, |slot| slot.from));
            match self.places.last_mut() {
                Some(last) if reading.at > from => {
                    last.last = number;
                    last.after = to.saturating_sub(slot.to);
                    // Read again, with what has joined it.
                    reading.at = slots.get(last.first)?.from.saturating_sub(last.before);
                    reading.carried.clone_from(&last.entry);
                }
                _ => {
                    reading.own_text(desk, slots, from)?;
                    self.places.push(Place {
                        first: number,
                        last: number,
                        before: slot.from.saturating_sub(from),
                        after: to.saturating_sub(slot.to),
                        entry: reading.carried.clone(),
                        exit: None,
                    });
                }
            }
            if event.get(from..to).is_none_or(|text| text.contains(&b'\\')) {
                return None;
            }
            reading.own_text(desk, slots, to)?;
            if let Some(last) = self.places.last_mut() {
                last.exit = (to < end).then(|| reading.carried.clone());
            }
        }
        reading.own_text(desk, slots, end)
    }
}

impl Place {
    /// The window around its slot. `None` if something that goes on reaches into it.
    fn window(&self, desk: &mut Desk<'_>, template: &Template) -> Option<Window> {
        let &[(begin, end)] = &*template.data else {
            return None;
        };
        if self.first != self.last {
            return None;
        }
        let slot = template.slots.get(self.first)?;
        let before = self.first.checked_sub(1);
        let before = before.and_then(|before| template.slots.get(before));
        let next = template.slots.get(self.first.saturating_add(1));
        let text = |from: usize, to: usize| template.event.get(from..to);
        let lead = text(slot.from.saturating_sub(self.before), slot.from)?;
        let left = text(before.map_or(begin, |before| before.to), slot.from)?;
        let right = text(slot.to, next.map_or(end, |next| next.from))?;
        let (plan, mut window) = (desk.plan, Window::default());
        for (set, entry) in plan.sets().zip(&self.entry) {
            // A context that goes on may end in the slot, wherever its anchor stands.
            let (mut carried, mut starts) = (entry.clone(), Vec::new());
            let work = set.discover(lead, 0, &mut carried, &mut starts);
            if carried.has_contexts() || !starts.is_empty() {
                return None;
            }
            let asked = (set.heads.len() as u64).saturating_mul(ASKED);
            desk.worked(work.saturating_add(asked));
            window.widen(set, (left, before.is_none()), (right, next.is_none()))?;
        }
        Some(window)
    }

    /// Whether no secret begins here, in an event whose slots are at these places, and what follows
    /// means what it does in the template.
    fn is_quiet(&self, desk: &mut Desk<'_>, places: &[At], event: &[u8]) -> bool {
        let (Some(first), Some(last)) = (places.first(), places.last()) else {
            return true;
        };
        let hides = |at: &At| at.escaped || fold::hides(at.says(event));
        if places.iter().any(hides) {
            return false;
        }
        let from = first.range().0.saturating_sub(self.before);
        let to = last.range().1.saturating_add(self.after);
        let text = event.get(from..to).unwrap_or_default();
        let plan = desk.plan;
        let mut carried = plan.sets().zip(&self.entry).enumerate();
        carried.all(|(number, (set, entry))| {
            let exit = self.exit.as_ref().map(|exit| exit.get(number));
            let now = past(desk, set, entry, text);
            now.is_some_and(|now| exit.is_none_or(|exit| exit == Some(&now)))
        })
    }
}

/// Discovery in the template.
struct Reading<'a> {
    event: &'a [u8],
    /// How far it has come.
    at: usize,
    /// What it carries; for each set.
    carried: Vec<Carried>,
}

impl Reading<'_> {
    /// Reads on up to an offset in the event, without the pieces of texts that go on. `None` if a
    /// secret may begin there.
    fn own_text(&mut self, desk: &mut Desk<'_>, slots: &[Slot], to: usize) -> Option<()> {
        let mut text = Vec::new();
        let mut at = self.at;
        let pieces = slots.iter().filter(|slot| !slot.is_own());
        for slot in pieces.filter(|slot| self.at <= slot.from && slot.to <= to) {
            self.decode(at, slot.from, &mut text);
            at = slot.to;
        }
        self.decode(at, to, &mut text);
        self.at = to;
        if fold::hides(&text) {
            return None;
        }
        let plan = desk.plan;
        for (set, carried) in plan.sets().zip(&mut self.carried) {
            *carried = past(desk, set, carried, &text)?;
        }
        Some(())
    }

    fn decode(&self, from: usize, to: usize, text: &mut Vec<u8>) {
        let bytes = self.event.get(from..to).unwrap_or_default();
        if bytes.contains(&b'\\') {
            // There are none outside of strings.
            decode(bytes, 0, text, &mut Vec::new());
        } else {
            text.extend_from_slice(bytes);
        }
    }
}

/// What is carried past this text; `None` if a secret may begin in it.
fn past(desk: &mut Desk<'_>, set: &DetectorSet, carried: &Carried, text: &[u8]) -> Option<Carried> {
    let (mut carried, mut starts) = (carried.clone(), Vec::<Start>::new());
    let work = set.discover(text, 0, &mut carried, &mut starts);
    desk.worked(work);
    starts.is_empty().then_some(carried)
}

/// Where reading what stands at `at` begins, not before `low`: behind the name of the member, where
/// no word is cut.
fn split_before(event: &[u8], low: usize, at: usize) -> usize {
    let before = event.get(low..at.saturating_sub(1)).unwrap_or_default();
    let quote = before.iter().rposition(|byte| *byte == b'"');
    low.saturating_add(quote.map_or(before.len(), |quote| quote.saturating_add(1)))
}

/// Where it ends, not behind `high`: where nothing that stands before `at` is seen any more, and no
/// word is cut.
fn split_after(event: &[u8], at: usize, high: usize) -> usize {
    let least = at.saturating_add(BEHIND).min(high);
    let after = event.get(least.saturating_sub(1)..high).unwrap_or_default();
    let ends = |byte: &u8| matches!(byte, b'"' | b':' | b',' | b'{' | b'}' | b'[' | b']');
    let cut = after.iter().position(ends);
    cut.map_or(high, |cut| least.saturating_add(cut))
}
