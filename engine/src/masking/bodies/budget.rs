//! How much work one call may do.
//!
//! The engine knows no clock, so it counts. One unit is about what a step of an automaton takes:
//! two to four nanoseconds in V8, and half of one where clean text is only read. A byte that is
//! only read counts as one, a byte counts once more for each attempt that reads it, and a finding
//! as much as its fingerprint costs.
//!
//! What is counted is known when it is done. So a chunk is taken in slices, and between two of them
//! the budget is asked. Slices are long while there is little to do, since each costs something by
//! itself, and short where a text is dense: [`Slices`].

/// Work that may still be done. See [`Masker::push_within`](super::Masker::push_within).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget(u64);

impl Budget {
    /// As much as there is to do.
    pub const ENDLESS: Self = Self(u64::MAX);

    /// So many units.
    pub const fn of(units: u64) -> Self {
        Self(units)
    }

    /// Whether nothing is left.
    pub const fn is_spent(self) -> bool {
        self.0 == 0
    }

    /// What is left.
    pub const fn left(self) -> u64 {
        self.0
    }

    /// Takes from it what was done; never more than there is.
    pub const fn spend(&mut self, units: u64) {
        if self.0 != u64::MAX {
            self.0 = self.0.saturating_sub(units);
        }
    }
}

/// How long the first slice of a body is, and how long slices may become. The densest texts take
/// 150 ns for each byte in V8, so that one slice of them behind clean text is more than a
/// millisecond. In slices of 8 KiB clean text is read nine tenths as fast as in one piece.
const FIRST_SLICE: usize = 4 << 10;
const MOST_SLICE: usize = 8 << 10;
/// Shorter slices cost more by themselves than they divide.
const LEAST_SLICE: usize = 256;
/// What a slice may cost: a quarter of a millisecond.
const SLICE_WORK: u64 = 100_000;
/// So many times as much may cost a slice that is like the densest one before.
const AGAIN: u64 = 2;

/// How much of a chunk is taken at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slices {
    next: usize,
    most: usize,
}

impl Slices {
    /// Before anything is known of a body.
    pub(super) const FIRST: Self = Self {
        next: FIRST_SLICE,
        most: MOST_SLICE,
    };

    /// How long the next one may be.
    pub(super) const fn next(self) -> usize {
        self.next
    }

    /// One of `length` bytes was so much `work`. The next one may be as long as costs
    /// [`SLICE_WORK`] if the text goes on like this, and at most twice as long as before. A body
    /// that was dense once may be so again behind any amount of clean text, so later ones cost
    /// little more than that even then.
    pub(super) fn took(&mut self, length: usize, work: u64) {
        let bytes_of = |allowed: u64| {
            allowed
                .saturating_mul(length as u64)
                .checked_div(work)
                .and_then(|bytes| usize::try_from(bytes).ok())
                .unwrap_or(MOST_SLICE)
        };
        // A short one may have decided much that came before it, and says nothing.
        if work >= SLICE_WORK && length >= LEAST_SLICE {
            let again = bytes_of(SLICE_WORK.saturating_mul(AGAIN));
            self.most = self.most.min(again).max(LEAST_SLICE);
        }
        self.next = bytes_of(SLICE_WORK)
            .min(self.next.saturating_mul(2))
            .clamp(LEAST_SLICE, self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn slices_grow_slowly_where_little_is_to_do_and_shrink_at_once_where_much_is() {
        let clean = |slices: &mut Slices| {
            let length = slices.next();
            slices.took(length, length as u64);
            slices.next()
        };
        let mut slices = Slices::FIRST;
        assert_eq!(clean(&mut slices), 2 * FIRST_SLICE);
        while clean(&mut slices) < MOST_SLICE {}
        assert_eq!(clean(&mut slices), MOST_SLICE);
        slices.took(MOST_SLICE, 200 * MOST_SLICE as u64);
        assert_eq!(slices.next(), 500, "at 200 for each byte");
        // It may become as dense again.
        for _ in 0..10 {
            clean(&mut slices);
        }
        assert_eq!(slices.next(), 1000);
        slices.took(1000, u64::MAX);
        assert_eq!(slices.next(), LEAST_SLICE);
        // An empty chunk says nothing.
        let mut slices = Slices::FIRST;
        slices.took(0, 0);
        assert_eq!(slices.next(), 2 * FIRST_SLICE);
    }

    #[test]
    fn a_budget_is_spent_once_and_one_without_end_never() {
        let mut budget = Budget::of(5);
        budget.spend(3);
        assert_eq!(budget.left(), 2);
        budget.spend(3);
        assert!(budget.is_spent());
        let mut endless = Budget::ENDLESS;
        endless.spend(u64::MAX);
        assert!(!endless.is_spent());
    }
}
