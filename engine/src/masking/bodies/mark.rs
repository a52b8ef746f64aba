//! What becomes of the secrets that are found in a text.

use crate::masking::offsets::{Span, TextAt};

/// A place in a text that is a secret. Marks come in order.
pub(in crate::masking) struct Mark {
    pub(in crate::masking) place: Span<TextAt>,
    pub(in crate::masking) what: What,
}

/// What becomes of a [`Mark`].
pub(in crate::masking) enum What {
    /// This stands there instead.
    Replaced(Vec<u8>),
    /// It belongs to the secret before it, whose replacement stands for both.
    Dropped,
    /// The body ends before it.
    Blocked,
}
