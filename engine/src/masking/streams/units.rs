//! Bodies that come in units, events or records: each is read when it has ended, and some wait.
//!
//! A unit leaves with its last byte, unless a text is undecided: then all units wait from the first
//! on that holds an undecided byte. A unit that has not ended waits, too, up to [`MAX_UNIT`]; a
//! longer one is read as it comes, and each of its strings is a text of its own.
//!
//! Where a unit ends, what it is and how a long one is read is its [`Framing`]'s to say.

use super::{
    channels::Channels,
    reader::{MAX_UNIT, Passed, Reader},
};
use crate::masking::{bodies::desk::Desk, formats::Format};

/// What tells one kind of units from another.
pub(super) trait Framing: Clone + Send + Sync + 'static {
    /// Reads a unit that is too long to wait for its end.
    type Long: Long;

    /// How many bytes between units come next.
    fn between(&mut self, bytes: &[u8]) -> usize;

    /// Where the unit ends to which `bytes` belong, which come next.
    fn end(&mut self, bytes: &[u8]) -> End;

    /// Reads a unit that is there as a whole, at the raw offset `base`. `false` if it is none.
    fn read(
        &self,
        reader: &mut Reader,
        desk: &mut Desk<'_>,
        unit: &[u8],
        base: u64,
        channels: &mut Channels,
    ) -> bool;

    /// Whether what ends as a unit may turn out to be none.
    fn may_be_none(&self) -> bool;

    /// What reads a long unit that begins at the raw offset `start`.
    fn long(&self, desk: &mut Desk<'_>, start: u64) -> Self::Long;

    /// How the body tells its reader that it ends here with an error; nothing if it cannot.
    fn ending(&self, reader: &Reader, message: &str) -> Option<Vec<u8>>;
}

/// Reads one long unit as it comes.
pub(super) trait Long: Clone + Send + Sync + 'static {
    /// Reads the next bytes of the unit, which begin at the raw offset `raw`.
    fn push(&mut self, desk: &mut Desk<'_>, bytes: &[u8], raw: u64);

    /// Whether what was read can be all of the unit.
    fn is_over(&self) -> bool;

    /// The unit ended at the raw offset `end`.
    fn finish(&mut self, desk: &mut Desk<'_>, end: u64);

    /// Raw offset of the first byte that is not decided.
    fn undecided(&self) -> Option<u64>;
}

/// Where a unit ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// After so many bytes.
    After(usize),
    /// All bytes belong to it, and it goes on.
    Later,
    /// It is no unit, nor is what follows.
    NoUnit,
}

/// A body of units.
#[derive(Clone)]
pub(super) struct Units<F: Framing> {
    framing: F,
    /// The beginning of a unit that has not ended.
    begun: Vec<u8>,
    /// Raw offset of the unit that has not ended, or else of the next byte.
    start: u64,
    reader: Reader,
    channels: Channels,
    long: Option<Box<F::Long>>,
    /// What reads a long unit reads the rest of the body.
    for_good: bool,
    /// A part of a unit has left, so no other can follow.
    is_torn: bool,
}

impl<F: Framing> Units<F> {
    pub(super) fn of(framing: F, reader: Reader) -> Self {
        Self {
            framing,
            begun: Vec::new(),
            start: 0,
            reader,
            channels: Channels::default(),
            long: None,
            for_good: false,
            is_torn: false,
        }
    }

    /// Reads the units with which `bytes` begin, from the raw offset `self.start` on, that are like
    /// one of the last. Gives their length.
    fn alike(&mut self, desk: &mut Desk<'_>, bytes: &[u8]) -> Option<usize> {
        let start = self.start;
        let Passed { length, last } = self.reader.alike(desk, bytes, start, &mut self.channels)?;
        // Of a unit at which the body ends nothing leaves.
        let read = match desk.blocked {
            Some(_) => last,
            None => length,
        };
        self.start = start.saturating_add(read as u64);
        Some(length)
    }

    /// Reads a unit that is there as a whole, from the raw offset `self.start` on. `false` if it is
    /// none.
    fn whole(&mut self, desk: &mut Desk<'_>, unit: &[u8]) -> bool {
        let (reader, channels) = (&mut self.reader, &mut self.channels);
        let is_unit = self.framing.read(reader, desk, unit, self.start, channels);
        if is_unit {
            let end = self.start.saturating_add(unit.len() as u64);
            channels.event(desk, self.start, end);
        }
        is_unit
    }

    /// Reads the unit that ends with `new`; what of it came before has begun. What turns out to be
    /// none is read as it comes.
    fn ended(&mut self, desk: &mut Desk<'_>, new: &[u8]) {
        if self.begun.is_empty() {
            if !self.whole(desk, new) {
                self.begun.extend_from_slice(new);
                self.as_it_comes(desk, true);
            }
            return;
        }
        self.begun.extend_from_slice(new);
        let mut unit = std::mem::take(&mut self.begun);
        if self.alike(desk, &unit).is_some() || self.whole(desk, &unit) {
            unit.clear();
            unit.shrink_to(4096);
            self.begun = unit;
        } else {
            self.begun = unit;
            self.as_it_comes(desk, true);
        }
    }

    /// Reads what has begun, and what comes next of it, as it comes; `for_good`: to the end of the
    /// body.
    fn as_it_comes(&mut self, desk: &mut Desk<'_>, for_good: bool) {
        // Nothing can wait for it: more than the cap would.
        self.channels.force(desk);
        let mut long = Box::new(self.framing.long(desk, self.start));
        long.push(desk, &std::mem::take(&mut self.begun), self.start);
        self.long = Some(long);
        self.for_good |= for_good;
    }

    /// Says that the long unit was read up to the raw offset `at`; it `ends` there.
    fn long_was_read(&mut self, desk: &mut Desk<'_>, at: u64, ends: bool) {
        let Some(long) = &mut self.long else { return };
        if ends && !self.for_good && long.is_over() {
            long.finish(desk, at);
            self.long = None;
        } else {
            self.for_good |= ends;
        }
        self.is_torn |= blocked_from(desk, self.start);
    }

    /// How far everything is decided, if `at` is how far the body was read.
    fn decided(&mut self, desk: &mut Desk<'_>, at: u64) -> u64 {
        self.channels.read_gathered(desk);
        let read = match &self.long {
            Some(long) => long.undecided().unwrap_or(at),
            None if self.is_torn => at,
            None => self.start,
        };
        let decided = self.channels.waits_from().map_or(read, |at| at.min(read));
        self.channels.settle(desk, decided);
        decided
    }
}

impl<F: Framing> Format for Units<F> {
    fn copy(&self) -> Box<dyn Format> {
        Box::new(self.clone())
    }

    /// A unit that is whole is the last that is read; what is too long, or none, is read as it
    /// comes, with all that follows in a chunk.
    fn stops(&self, bytes: usize) -> bool {
        let is_whole = self.begun.len().saturating_add(bytes) <= MAX_UNIT;
        is_whole && self.long.is_none() && !self.framing.may_be_none()
    }

    fn push(&mut self, desk: &mut Desk<'_>, chunk: &[u8], from: u64) -> u64 {
        let mut rest = chunk;
        let mut at = from;
        // A block ends the body at the first unit that tells of it, wherever the chunk ends.
        while !rest.is_empty() && desk.blocked.is_none() {
            if self.begun.is_empty() && self.long.is_none() {
                self.start = at;
                let between = self.framing.between(rest);
                let passed = match between {
                    0 => self.alike(desk, rest),
                    _ => Some(between),
                };
                if let Some(passed) = passed {
                    rest = rest.get(passed..).unwrap_or_default();
                    at = at.saturating_add(passed as u64);
                    if between > 0 {
                        self.start = at;
                    }
                    continue;
                }
            }
            let end = match self.for_good {
                true => End::Later,
                false => self.framing.end(rest),
            };
            let (length, ends) = match end {
                End::After(length) => (length, true),
                End::Later => (rest.len(), false),
                End::NoUnit => {
                    self.as_it_comes(desk, true);
                    (rest.len(), false)
                }
            };
            let (new, later) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            let end = at.saturating_add(new.len() as u64);
            if self.long.is_none() && self.begun.len().saturating_add(new.len()) > MAX_UNIT {
                self.as_it_comes(desk, false);
            }
            if let Some(long) = &mut self.long {
                long.push(desk, new, at);
            } else if ends {
                self.ended(desk, new);
            } else {
                self.begun.extend_from_slice(new);
            }
            self.long_was_read(desk, end, ends);
            rest = later;
            at = end;
            if ends && self.long.is_none() && desk.blocked.is_none() {
                self.start = at;
            }
        }
        self.decided(desk, at)
    }

    fn finish(&mut self, desk: &mut Desk<'_>, end: u64) {
        // Readers drop an event without its blank line, but not all do.
        if self.long.is_none() && !self.begun.is_empty() {
            let unit = std::mem::take(&mut self.begun);
            if !self.whole(desk, &unit) {
                self.begun = unit;
                self.as_it_comes(desk, true);
            }
        }
        if let Some(mut long) = self.long.take() {
            long.finish(desk, end);
            self.is_torn |= blocked_from(desk, self.start);
        }
        self.channels.end(desk, &[]);
        self.channels.settle(desk, end);
    }

    fn cut(&self, at: u64) -> u64 {
        if self.is_torn {
            at
        } else if at >= self.start {
            self.start
        } else {
            self.channels.event_at(at).unwrap_or(at)
        }
    }

    fn ending(&self, message: &str) -> Option<Vec<u8>> {
        match self.is_torn {
            true => None,
            false => self.framing.ending(&self.reader, message),
        }
    }
}

/// Whether the body has to end at or after this raw offset.
fn blocked_from(desk: &Desk<'_>, start: u64) -> bool {
    let at = desk.blocked.as_ref().and_then(|block| block.at);
    at.is_some_and(|at| at.get() >= start)
}
