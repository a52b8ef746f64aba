//! Where a body stands.

/// Where a body stands; see the table of the module above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Flowing,
    Awaited,
    Placed {
        /// Masked bytes at the front of Envoy's buffer.
        bytes: usize,
        /// The response's headers wait with them.
        with_headers: bool,
        /// The callback that placed them ran inside of a resume, and none came since. If trailers
        /// come now, they must stop: were they to go on, Envoy would lose the whole body (seen on
        /// 1.36 and 1.40).
        in_resume: bool,
    },
    Held(HeldBody),
    Whole,
    /// The next body callback comes from within a resume of headers and body together.
    Resumed,
    Slowed,
    Regained,
    /// Its end has come, and what is left of it is worked on. Envoy keeps the bytes that were made
    /// so far.
    Ending {
        /// The response's headers wait with them.
        with_headers: bool,
        /// How many bytes more Envoy can keep.
        room: usize,
    },
    Cut,
    Stopped {
        /// The response's headers have not left, so that they can be answered instead.
        before_headers: bool,
    },
}

impl Stage {
    /// The response's headers wait for the body.
    pub(super) const fn holds_headers(self) -> bool {
        matches!(
            self,
            Self::Awaited
                | Self::Placed {
                    with_headers: true,
                    ..
                }
                | Self::Ending {
                    with_headers: true,
                    ..
                }
                | Self::Stopped {
                    before_headers: true
                }
        )
    }

    /// Trailers that come now may have been waiting behind a body callback that paused inside of a
    /// resume.
    pub(super) const fn is_in_resume(self) -> bool {
        matches!(
            self,
            Self::Placed {
                in_resume: true,
                ..
            }
        )
    }

    /// Bytes at the front of Envoy's buffer that are masked already.
    pub(super) const fn placed(self) -> usize {
        match self {
            Self::Placed { bytes, .. } => bytes,
            _ => 0,
        }
    }
}

/// The body of a request that Envoy keeps for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::stream) struct HeldBody {
    /// How much there is.
    pub(in crate::stream) bytes: usize,
}
