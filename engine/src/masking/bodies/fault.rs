//! States that cannot be, in which masking does not know any more which bytes are secret.
//!
//! Nearly every look-up here has a case that cannot occur: a range that must lie in the bytes at
//! hand, a rule's number that came from the same set. No panic may stand there, since the engine
//! runs in a proxy. But what stands there must not be "nothing to mask" either, or a mistake in
//! this code is a leak that nobody sees.
//!
//! So such a place says [`cannot_be`](Fault::cannot_be). Where debug assertions are on, in tests
//! and under fuzzing, that is a panic. Elsewhere it is noted, and the [`Masker`](super::Masker)
//! asks after each chunk: once something is noted, all that has not left and all that still comes
//! of the body is masked, and counted as [`NAME`]. Nothing else can be done: if it is not known
//! where a secret stands, it is not known where it ends either.
//!
//! Where a place can be made safe by itself (edits that overlap become one, an attempt stays open
//! until the cap masks it), it is, and only [`check`]s.

/// What is counted in the findings of a body that was masked because of a fault, and the name in
/// its placeholder.
pub(in crate::masking) const NAME: &str = "chaperone/fault";
pub(in crate::masking) const SHORT_NAME: &str = "fault";

/// Whether something came about that cannot be.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking) struct Fault(bool);

impl Fault {
    /// This cannot be, and decides whether bytes are masked.
    #[cold]
    #[inline(never)]
    pub(in crate::masking) fn cannot_be(&mut self, what: &str) {
        #[cfg(test)]
        let is_expected = testing::EXPECTED.with(std::cell::Cell::get);
        #[cfg(not(test))]
        let is_expected = false;
        debug_assert!(is_expected, "this cannot be: {what}");
        self.0 = true;
    }

    /// The same, if `holds` does not hold. Gives whether it does.
    #[inline]
    pub(in crate::masking) fn unless(&mut self, holds: bool, what: &str) -> bool {
        if !holds {
            self.cannot_be(what);
        }
        holds
    }

    /// Whether something was noted.
    pub(in crate::masking) fn is_noted(self) -> bool {
        self.0
    }

    /// Takes over what was noted elsewhere.
    pub(in crate::masking) fn join(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Asserts what cannot be otherwise, at a place that is safe by itself. Nothing is done where debug
/// assertions are off.
#[inline]
pub(in crate::masking) fn check(holds: impl FnOnce() -> bool, what: &str) {
    if cfg!(debug_assertions) && !holds() {
        Fault::default().cannot_be(what);
    }
}

/// The door through which tests come into states that cannot be.
#[cfg(test)]
pub(in crate::masking) mod testing {
    use std::cell::Cell;

    thread_local! {
        pub(super) static EXPECTED: Cell<bool> = const { Cell::new(false) };
    }

    /// Runs `test` as if debug assertions of faults were off.
    pub(in crate::masking) fn as_released<T>(test: impl FnOnce() -> T) -> T {
        EXPECTED.with(|expected| expected.set(true));
        let given = test();
        EXPECTED.with(|expected| expected.set(false));
        given
    }
}
