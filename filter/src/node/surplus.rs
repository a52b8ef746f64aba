//! How much more than they are the bodies of a worker may become.
//!
//! 280 KB of gzip become 60 MB, and forty such bodies became 2.9 GB in Envoy. A body may always
//! become a few times what it is ([`room`](crate::stream)); whatever goes beyond is taken from
//! here, where all streams of the worker share it. It comes back with time, since nothing tells
//! when Envoy has sent it on: all of it in [`REFILL_MS`].
//!
//! No stream may take more in one callback than it leaves to all others, so one alone does not shut
//! them out.

use chaperone_engine::base::time::UnixMillis;

/// Milliseconds until all that was taken has come back.
const REFILL_MS: u64 = 4_000;

/// Most encoded bytes that a body may leave behind as they came, because there was no room for what
/// becomes of them.
pub const MAX_REST: usize = 1024 * 1024;

/// The surplus of one worker.
#[derive(Debug)]
pub(super) struct Surplus {
    used: u64,
    at: UnixMillis,
    rests: usize,
}

impl Surplus {
    /// A surplus of which nothing was taken.
    pub(super) const fn new() -> Self {
        Self {
            used: 0,
            at: UnixMillis(0),
            rests: 0,
        }
    }

    /// Takes `bytes` of `capacity` for a callback that has `taken` so many already.
    pub(super) fn take(
        &mut self,
        now: UnixMillis,
        capacity: usize,
        bytes: usize,
        taken: usize,
    ) -> bool {
        let (capacity, bytes) = (capacity as u64, bytes as u64);
        let back = now.since(self.at).min(REFILL_MS).saturating_mul(capacity);
        if let Some(back) = back.checked_div(REFILL_MS).filter(|back| *back > 0) {
            self.used = self.used.saturating_sub(back);
            self.at = now;
        }
        let used = self.used.saturating_add(bytes);
        let mine = (taken as u64).saturating_add(bytes);
        if mine > capacity.saturating_sub(used) {
            return false;
        }
        self.used = used;
        true
    }

    /// A stream keeps `now` bytes, and kept `before`. Whether it may, and all streams together: one
    /// alone gets half.
    pub(super) fn keep(&mut self, before: usize, now: usize, capacity: usize) -> bool {
        self.rests = self.rests.saturating_sub(before).saturating_add(now);
        now <= before || (self.rests <= capacity && now <= capacity / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: usize = 1 << 20;
    const STEP: usize = 1 << 10;

    /// What one callback gets at this time.
    fn gets(surplus: &mut Surplus, at: u64) -> usize {
        let mut taken = 0;
        while surplus.take(UnixMillis(at), CAPACITY, STEP, taken) {
            taken += STEP;
        }
        taken
    }

    #[test]
    fn one_callback_gets_half_and_many_at_once_get_no_more_than_all() {
        let mut surplus = Surplus::new();
        assert_eq!(gets(&mut surplus, 1_000_000), CAPACITY / 2);
        assert_eq!(gets(&mut surplus, 1_000_000), CAPACITY / 4);
        let rest: usize = (0..100).map(|_| gets(&mut surplus, 1_000_000)).sum();
        assert!(rest <= CAPACITY / 4, "{rest}");
        assert_eq!(gets(&mut surplus, 1_000_000), 0);
    }

    #[test]
    fn it_comes_back_with_time_however_often_it_is_asked() {
        let mut surplus = Surplus::new();
        while gets(&mut surplus, 1_000_000) > 0 {}
        for ms in 0..REFILL_MS / 2 {
            assert!(!surplus.take(UnixMillis(1_000_000 + ms), CAPACITY, CAPACITY, 0));
        }
        let half = gets(&mut surplus, 1_000_000 + REFILL_MS / 2);
        assert!(half.abs_diff(CAPACITY / 4) < 16 * STEP, "{half}");
        assert_eq!(gets(&mut surplus, 1_000_000 + 3 * REFILL_MS), CAPACITY / 2);
        // A clock that goes back gives nothing.
        assert!(gets(&mut surplus, 0) <= CAPACITY / 4);
    }

    #[test]
    fn what_streams_leave_as_it_came_is_bounded_for_all_together() {
        let mut surplus = Surplus::new();
        assert!(!surplus.keep(0, CAPACITY / 2 + 1, CAPACITY), "one alone");
        assert!(surplus.keep(CAPACITY / 2 + 1, CAPACITY / 2, CAPACITY));
        assert!(surplus.keep(0, CAPACITY / 2, CAPACITY));
        assert!(!surplus.keep(0, 1, CAPACITY));
        assert!(surplus.keep(1, 0, CAPACITY), "less is always well");
        assert!(surplus.keep(CAPACITY / 2, 0, CAPACITY));
        assert!(surplus.keep(0, 1, CAPACITY));
    }
}
