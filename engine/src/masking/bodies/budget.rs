//! How much work one call may do.
//!
//! The engine knows no clock, so it counts. One unit is about what a step of an automaton takes:
//! two to three nanoseconds in V8. A byte that is only read counts as one, a byte counts once more
//! for each attempt that reads it, and a finding as much as its fingerprint costs.
//!
//! What is counted is known when it is done. So a chunk is taken in slices, and between two of them
//! the budget is asked. Slices are long while there is little to do, since each costs something by
//! itself, and short where a text is dense: [`next_slice`].

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

/// How long slices are before anything is known of a body, and how long they may become. At 32 KiB
/// text without a secret is read as fast as in one piece, within some hundredths.
pub(super) const FIRST_SLICE: usize = 8 << 10;
const MOST_SLICE: usize = 32 << 10;
/// Shorter slices cost more by themselves than they divide.
const LEAST_SLICE: usize = 256;
/// What a slice may cost: a quarter of a millisecond.
const SLICE_WORK: u64 = 100_000;

/// How long the next slice may be, after one of `length` bytes (of at most `now`) that was so much
/// `work`: as long as costs [`SLICE_WORK`] if the text goes on like this, and at most twice as long
/// as before.
pub(super) fn next_slice(now: usize, length: usize, work: u64) -> usize {
    let by_work = SLICE_WORK
        .saturating_mul(length as u64)
        .checked_div(work)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .unwrap_or(MOST_SLICE);
    by_work
        .min(now.saturating_mul(2))
        .clamp(LEAST_SLICE, MOST_SLICE)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn slices_grow_slowly_where_little_is_to_do_and_shrink_at_once_where_much_is() {
        let clean = |now| next_slice(now, now, now as u64);
        assert_eq!(clean(FIRST_SLICE), 2 * FIRST_SLICE);
        assert_eq!(clean(MOST_SLICE), MOST_SLICE);
        let dense = next_slice(MOST_SLICE, MOST_SLICE, 200 * MOST_SLICE as u64);
        assert_eq!(dense, 500);
        assert_eq!(next_slice(dense, dense, u64::MAX), LEAST_SLICE);
        // An empty chunk says nothing.
        assert_eq!(next_slice(LEAST_SLICE, 0, 0), 2 * LEAST_SLICE);
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
