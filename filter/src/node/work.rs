//! How much work one callback may do: so many units, counted by the engine, and so much time.
//!
//! Units alone would not do. They are about two to four nanoseconds in V8, but not for every text
//! and every detector, nor on every machine; and the host may be slow. Time alone would not do
//! either: reading the clock is a call of the host, and tests need the same outcome each time. So
//! the clock is read between pieces of work, which are as long as [`PIECE`] units.

use chaperone_engine::masking::Budget;

use crate::host::Host;

/// The work between two looks at the clock: a quarter of a millisecond, and half of one for the
/// texts whose units are the longest.
const PIECE: u64 = 128 * 1024;

/// The work that one callback may still do.
pub struct Work<'a> {
    left: u64,
    done: u64,
    /// The time until which it may go on, by [`Host::micros`].
    clock: Option<(&'a dyn Host, u64)>,
}

impl<'a> Work<'a> {
    /// So many units, and no piece is begun after `until`.
    pub fn until(host: &'a dyn Host, units: u64, until: u64) -> Self {
        Self {
            left: units,
            done: 0,
            clock: Some((host, until)),
        }
    }

    /// None: all that comes waits.
    pub const fn none() -> Self {
        Self {
            left: 0,
            done: 0,
            clock: None,
        }
    }

    /// As much as there is to do.
    pub const fn endless() -> Self {
        Self {
            left: u64::MAX,
            done: 0,
            clock: None,
        }
    }

    /// Whether no more may be done. Reads the clock, once something was done.
    pub fn is_over(&mut self) -> bool {
        if let Some((host, until)) = self.clock
            && self.left > 0
            && self.done > 0
            && host.micros() >= until
        {
            self.left = 0;
        }
        self.left == 0
    }

    /// The next piece of it; all of it where nothing bounds the time.
    pub const fn piece(&self) -> Budget {
        match self.left {
            u64::MAX => Budget::ENDLESS,
            left if left < PIECE => Budget::of(left),
            _ => Budget::of(PIECE),
        }
    }

    /// So many units were done.
    pub const fn spend(&mut self, units: u64) {
        self.done = self.done.saturating_add(units);
        if self.left != u64::MAX {
            self.left = self.left.saturating_sub(units);
        }
    }

    /// One more piece, whatever was done and however long it took.
    pub const fn more(&mut self) {
        self.left = PIECE;
        self.clock = None;
    }

    /// The units that were done.
    pub const fn done(&self) -> u64 {
        self.done
    }
}

impl std::fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work")
            .field("left", &self.left)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeHost;

    #[test]
    fn it_ends_with_its_units_or_with_its_time_whichever_comes_first() {
        let host = FakeHost::default();
        let now = host.micros();
        let mut work = Work::until(&host, 3 * PIECE, now + 1);
        assert!(!work.is_over());
        assert_eq!(work.piece(), Budget::of(PIECE));
        work.spend(2 * PIECE + 1);
        assert_eq!(work.piece(), Budget::of(PIECE - 1));
        work.spend(PIECE);
        assert!(work.is_over());
        assert_eq!(work.done(), 3 * PIECE + 1);

        let mut work = Work::until(&host, 3 * PIECE, now);
        assert!(!work.is_over(), "something is always done");
        work.spend(1);
        assert!(work.is_over());
        assert_eq!(work.piece(), Budget::of(0));
    }
}
