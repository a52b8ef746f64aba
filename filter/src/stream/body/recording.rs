//! How much of a body is recorded.

use chaperone_engine::audit::{Body, EventKind};
use chaperone_engine::masking::MaskedBody;

use crate::host::Direction;

/// How much of a body may still be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recording {
    /// So many bytes.
    UpTo(usize),
    /// The record says that it was cut.
    Truncated,
}

impl Recording {
    pub(super) const fn room(self) -> usize {
        match self {
            Self::UpTo(bytes) => bytes,
            Self::Truncated => 0,
        }
    }

    /// The event that records a piece, and less room for the next.
    pub(super) fn chunk(
        &mut self,
        direction: Direction,
        mut body: MaskedBody,
    ) -> Option<EventKind> {
        let Self::UpTo(left) = *self else {
            return None;
        };
        if body.is_empty() {
            return None;
        }
        let truncated = body.len() > left;
        body.truncate(left);
        *self = if truncated {
            Self::Truncated
        } else {
            Self::UpTo(left.saturating_sub(body.len()))
        };
        Some(EventKind::Chunk {
            direction,
            body: Body::new(&body),
            truncated,
        })
    }
}
