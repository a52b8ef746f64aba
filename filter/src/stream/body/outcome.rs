//! What a body callback is about, and what came of it.

use chaperone_engine::audit::EventKind;
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::masking::DecodingError;

/// A body callback.
#[derive(Debug, Clone, Copy)]
pub(in crate::stream) struct Piece {
    /// Bytes in the buffer.
    pub(in crate::stream) size: usize,
    /// They are the last ones.
    pub(in crate::stream) end: bool,
    /// The verdict is pending, and does not wait for them.
    pub(in crate::stream) waiting: bool,
}

/// The outcome of one callback for a body.
#[derive(Debug)]
pub(in crate::stream) struct Passed {
    /// Why the body must not go on as it is.
    pub(in crate::stream) stop: Option<Stop>,
    /// For the record, if masking applies and there is room.
    pub(in crate::stream) event: Option<EventKind>,
    /// When [`BodyWay::let_go`](super::BodyWay::let_go) is to be asked.
    pub(in crate::stream) again: Option<Again>,
}

/// When something that waits is to be looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::stream) enum Again {
    /// In the next tick.
    Soon,
    /// When it has waited for as long as it may.
    Late,
}

/// What becomes of bytes that wait, once time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::stream) enum LetGo {
    /// Nothing waits.
    Nothing,
    /// Not now, and it is to be looked at in the next tick.
    Soon,
    /// Not before then.
    At(UnixMillis),
    /// The stream is to be resumed in this direction now.
    Now,
    /// The body must not go on.
    Stop(Stop),
}

/// Why a body must not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::stream) enum Stop {
    /// The host did not give the bytes that it said there are, and unseen bytes are unmasked bytes;
    /// or trailers came while undecided bytes had no buffer to go to.
    Lost,
    /// Its content encoding cannot be read on.
    Unreadable(DecodingError),
    /// It has a secret that policy blocks. Bytes that came together with the secret do not go on
    /// either.
    Blocked,
    /// The same in a response whose reader has been told in the body's own format: that still goes
    /// on, and the stream is to end once it has arrived.
    Told,
    /// It has to be seen whole, and decoded it is longer than may be kept.
    TooLarge,
    /// More would become of it at once than there is room for.
    Expanded,
}

impl Passed {
    pub(super) const ON: Self = Self {
        stop: None,
        event: None,
        again: None,
    };
}
