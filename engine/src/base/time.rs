//! Instants and durations as the engine sees them.
//!
//! The engine has no clock: whoever calls it passes the time in, so that tests and replay decide
//! what "now" is.

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC, without leap seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

/// How far ahead of the clock an instant may lie that was read from the clock before, in
/// milliseconds. Clocks are set by a little all the time. An instant further ahead was read from a
/// clock that was wrong.
pub const CLOCK_SLACK_MS: u64 = 60_000;

impl UnixMillis {
    /// Whether this instant, which was read from the clock before, can be believed at `now`.
    pub const fn is_past(self, now: Self) -> bool {
        self.since(now) <= CLOCK_SLACK_MS
    }

    /// Whole seconds since the epoch, rounded down: the unit of JWT's `NumericDate` (RFC 7519 §2).
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// This instant plus `millis`, or the last representable instant.
    pub const fn saturating_add(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this instant, 0 if `earlier` is later (clocks step back).
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
