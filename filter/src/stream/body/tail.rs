//! Where undecided bytes wait, and how many may.

use crate::host::Direction;

/// For a body that will end in trailers: half of Envoy's default
/// `per_connection_buffer_limit_bytes`.
const TRAILERS_EXPECTED: Tail = Tail::InBuffer {
    max: TRAILERS_EXPECTED_BYTES,
};
pub(super) const TRAILERS_EXPECTED_BYTES: usize = 512 * 1024;
/// For a body that could.
const TRAILERS_POSSIBLE: Tail = Tail::InBuffer {
    max: TRAILERS_POSSIBLE_BYTES,
};
/// Also the most that waits together with the headers of a response.
pub(super) const TRAILERS_POSSIBLE_BYTES: usize = 64 * 1024;

/// Where undecided bytes wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::stream) enum Tail {
    /// No trailers are expected.
    InMemory,
    /// Trailers may come. At most so many bytes wait with the tail.
    InBuffer { max: usize },
}

impl Tail {
    pub(in crate::stream) const fn of(direction: Direction, announces_trailers: bool) -> Self {
        match direction {
            _ if announces_trailers => TRAILERS_EXPECTED,
            Direction::Request => TRAILERS_POSSIBLE,
            Direction::Response => Self::InMemory,
        }
    }
}
