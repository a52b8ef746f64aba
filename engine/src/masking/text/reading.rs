//! What the readers of a text ask of the bytes at hand, and the places in it at which they are
//! compared.

use crate::masking::{offsets::Window, search::automaton::Look};
use std::borrow::Cow;

/// How far apart the places are at which attempts compare their states, in bytes. A power of two;
/// attempts that are younger, such as those of most secrets, never do.
pub(in crate::masking) const WAYPOINT: usize = 32;
/// In how many states rules with the same anchor may come by at one place so that each is
/// remembered; what counts on being in more is refused at publish (`cost`), because each attempt
/// would read on.
pub(in crate::masking) const MAX_STATES: usize = 640;

impl Window<'_> {
    /// What stands before `at`.
    pub(super) fn look(self, at: usize) -> Look {
        let behind = at.checked_sub(1).and_then(|at| self.bytes.get(at));
        behind.map_or(Look::Text, |&byte| Look::behind(byte))
    }

    /// How many bytes it is from `at` to the next waypoint.
    pub(super) fn to_waypoint(self, at: usize) -> usize {
        let past = self.place(at).get() & (WAYPOINT as u64).wrapping_sub(1);
        WAYPOINT.saturating_sub(usize::try_from(past).unwrap_or(0))
    }

    /// Whether `at` is a waypoint.
    pub(super) fn is_waypoint(self, at: usize) -> bool {
        self.to_waypoint(at) == WAYPOINT
    }
}

/// The last `n` bytes of two texts that follow each other.
pub(super) fn last<'a>(earlier: &[u8], text: &'a [u8], n: usize) -> Cow<'a, [u8]> {
    let missing = n.saturating_sub(text.len());
    if missing == 0 || earlier.is_empty() {
        let skip = text.len().saturating_sub(n);
        return Cow::Borrowed(text.get(skip..).unwrap_or_default());
    }
    let skip = earlier.len().saturating_sub(missing);
    Cow::Owned([earlier.get(skip..).unwrap_or_default(), text].concat())
}
