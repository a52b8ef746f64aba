//! The wall clock, in the engine's unit.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chaperone_engine::base::time::UnixMillis;

/// Now. A clock before 1970 reads as 1970.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// An instant in RFC 3339, UTC, to the second.
pub(crate) fn rfc3339(at: UnixMillis) -> String {
    /// The last second that RFC 3339 can write.
    const END: u64 = 253_402_300_799_000;
    let time = UNIX_EPOCH + Duration::from_millis(at.0.min(END));
    humantime::format_rfc3339_seconds(time).to_string()
}
