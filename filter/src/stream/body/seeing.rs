//! The state of a body that is looked through as a whole, and what it becomes.

use chaperone_engine::approval::BodyHash;
use chaperone_engine::audit::EventKind;
use chaperone_engine::masking::MaskedBody;

use crate::stream::room::Room;

/// Bytes of which the digest is taken at once.
const STEP: usize = 16 * 1024;
/// What it costs for each byte, in the units of [`Budget`](chaperone_engine::masking::Budget).
const HASHED: u64 = 6;

/// A body that is looked through as a whole, so far.
#[derive(Debug)]
pub(super) struct Seeing {
    /// Its bytes as Envoy keeps them.
    pub(super) size: usize,
    /// The most that may become of it by decoding.
    pub(super) limit: usize,
    /// All of it was taken, and nothing was changed so far.
    pub(super) is_same: bool,
    /// Nothing more becomes of it.
    pub(super) is_made: bool,
    pub(super) made: Vec<u8>,
    /// The copy for the record, as much as that has room for.
    pub(super) recorded: MaskedBody,
    pub(super) hash: Option<(BodyHash, usize)>,
}

/// A body that was looked through as a whole, as it goes on.
#[derive(Debug)]
pub(in crate::stream) struct Whole {
    pub(in crate::stream) bytes: Vec<u8>,
    /// Its digest, if that was asked for.
    pub(in crate::stream) sha256: Option<[u8; 32]>,
    /// The event that records it.
    pub(in crate::stream) event: Option<EventKind>,
}

impl Whole {
    /// A body without a byte.
    pub(in crate::stream) const fn empty() -> Self {
        Self {
            bytes: Vec::new(),
            sha256: None,
            event: None,
        }
    }
}

impl Seeing {
    /// How many bytes were made of it.
    pub(super) fn made(&self) -> usize {
        self.made.len()
    }

    /// Takes the digest of what was made, as far as the work goes.
    pub(super) fn hash(&mut self, room: &mut Room<'_>) -> bool {
        let Some((hash, done)) = &mut self.hash else {
            return true;
        };
        while let Some(rest) = self.made.get(*done..).filter(|rest| !rest.is_empty()) {
            if room.work().is_over() {
                return false;
            }
            let part = rest.get(..STEP).unwrap_or(rest);
            hash.update(part);
            *done = done.saturating_add(part.len());
            room.work()
                .spend((part.len() as u64).saturating_mul(HASHED));
        }
        true
    }
}
