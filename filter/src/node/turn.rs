//! How much work the bodies of a worker may do between two ticks, and in one.
//!
//! A body that is too much work for one callback is worked on in ticks. They share the work of one
//! callback, so that nobody on the worker waits longer for many of them than for one. Those that
//! come too late for a tick are first in the next.
//!
//! Envoy calls for every frame that it has read, and may have read dozens, of one body or of many.
//! So the callbacks between two ticks share what goes beyond reading their bytes once: a body that
//! comes in many pieces must not get more work done at once than one that comes in one.

use super::work::Work;
use crate::host::Host;

/// The most work of a callback, in the units of [`Budget`](chaperone_engine::masking::Budget),
/// beyond reading its bytes once.
const CALLBACK: u64 = 400_000;
/// After so many microseconds a callback begins no further piece of work.
const CALLBACK_US: u64 = 800;
/// Once callbacks have done so much, the next tick is an early one, so that others may go on.
const EARLY: u64 = 100_000;
/// The work of one tick.
const TICK: u64 = 600_000;
/// After so many microseconds a tick begins no further piece of work.
const TICK_US: u64 = 1_100;
/// The least that a stream gets, so that not all of it goes into changing from one to the next.
const LEAST: u64 = 75_000;

/// The work of a worker between two ticks, and in one.
#[derive(Debug)]
pub(super) struct Turn {
    /// What callbacks may do until the next tick.
    callbacks: u64,
    left: u64,
    waiting: u64,
    /// When the work of this tick began, once it has.
    began: Option<u64>,
}

impl Turn {
    pub(super) const fn new() -> Self {
        Self {
            callbacks: CALLBACK,
            left: 0,
            waiting: 0,
            began: None,
        }
    }

    /// A tick begins, in which so many streams may ask.
    pub(super) const fn begin(&mut self, waiting: usize) {
        *self = Self {
            callbacks: CALLBACK,
            left: TICK,
            waiting: waiting as u64,
            began: None,
        };
    }

    /// It ends: how many microseconds its work took, if there was any.
    pub(super) fn end(&mut self, host: &dyn Host) -> Option<u64> {
        self.left = 0;
        let began = self.began.take()?;
        Some(host.micros().saturating_sub(began))
    }

    /// What the next stream may do in this tick; nothing: it has to wait for the next.
    pub(super) fn next<'a>(&mut self, host: &'a dyn Host) -> Option<Work<'a>> {
        let share = self.left.checked_div(self.waiting.max(1)).unwrap_or(0);
        self.waiting = self.waiting.saturating_sub(1);
        if self.left == 0 {
            return None;
        }
        let now = host.micros();
        let until = self.began.get_or_insert(now).saturating_add(TICK_US);
        if now >= until {
            self.left = 0;
            return None;
        }
        Some(Work::until(host, share.max(LEAST), until))
    }

    /// A stream has done so much in this tick.
    pub(super) const fn worked(&mut self, units: u64) {
        self.left = self.left.saturating_sub(units);
    }

    /// Whether callbacks have done all that they may until the next tick, beyond reading.
    pub(super) const fn is_spent(&self) -> bool {
        self.callbacks == 0
    }

    /// What a callback may do that has so many bytes, and began at this time if that is known.
    pub(super) fn callback<'a>(
        &self,
        host: &'a dyn Host,
        bytes: usize,
        began: Option<u64>,
    ) -> Work<'a> {
        let began = began.unwrap_or_else(|| match bytes {
            0 => 0,
            _ => host.micros(),
        });
        // Reading its bytes is always well: whoever brings nothing dense is not held up by others.
        let units = self.callbacks.saturating_add(bytes as u64);
        Work::until(host, units, began.saturating_add(CALLBACK_US))
    }

    /// A callback has done so much with so many bytes. Whether the next tick is to be an early one.
    pub(super) const fn called(&mut self, units: u64, bytes: usize) -> bool {
        let beyond = units.saturating_sub(bytes as u64);
        self.callbacks = self.callbacks.saturating_sub(beyond);
        CALLBACK.saturating_sub(self.callbacks) >= EARLY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeHost;

    /// What the next stream may do in a tick.
    fn next(turn: &mut Turn, host: &FakeHost) -> Option<u64> {
        let mut work = turn.next(host)?;
        let mut units = 0;
        while !work.is_over() {
            let piece = work.piece().left();
            units += piece;
            work.spend(piece);
        }
        Some(units)
    }

    #[test]
    fn streams_share_a_tick_and_those_beyond_it_wait_for_the_next() {
        let host = FakeHost::default();
        let mut turn = Turn::new();
        assert_eq!(next(&mut turn, &host), None, "no tick has begun");
        turn.begin(1);
        assert_eq!(next(&mut turn, &host), Some(TICK));
        turn.begin(4);
        for _ in 0..4 {
            let share = next(&mut turn, &host).unwrap();
            assert_eq!(share, TICK / 4);
            turn.worked(share);
        }
        turn.begin(100);
        let mut served = 0;
        while let Some(share) = next(&mut turn, &host) {
            turn.worked(share);
            served += 1;
        }
        assert_eq!(served, TICK / LEAST);
        // One that has little to do leaves the rest to the others.
        turn.begin(2);
        next(&mut turn, &host);
        turn.worked(1);
        assert_eq!(next(&mut turn, &host), Some(TICK - 1));
        // Whatever is left of the work, the time of a tick is that of a callback.
        turn.begin(2);
        next(&mut turn, &host);
        host.now.set(host.now.get() + 2);
        assert_eq!(next(&mut turn, &host), None);
        assert_eq!(turn.end(&host), Some(2_000));
        assert_eq!(turn.end(&host), None);
    }

    #[test]
    fn callbacks_share_what_is_more_than_reading_until_the_next_tick() {
        let host = FakeHost::default();
        let mut turn = Turn::new();
        let units = |turn: &Turn, bytes| {
            let mut work = turn.callback(&host, bytes, None);
            let mut units = 0;
            while !work.is_over() {
                units += work.piece().left();
                work.spend(work.piece().left());
            }
            units
        };
        assert_eq!(units(&turn, 1_000), CALLBACK + 1_000);
        assert!(!turn.called(1_000, 1_000), "they were only read");
        assert_eq!(units(&turn, 1_000), CALLBACK + 1_000);
        assert!(!turn.called(EARLY - 1, 0));
        assert!(turn.called(1, 0));
        assert!(!turn.is_spent());
        turn.called(u64::MAX, 0);
        assert!(turn.is_spent());
        assert_eq!(units(&turn, 1_000), 1_000);
        turn.begin(0);
        assert_eq!(units(&turn, 0), CALLBACK);
    }
}
