//! Bytes that went through a masker. Only they may be recorded.

use std::{borrow::Cow, fmt};

/// A body, or a part of one, that a masker gave. Nothing else makes one (but the empty one), so
/// what takes a `MaskedBody` cannot be given a secret by mistake.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MaskedBody(Vec<u8>);

impl MaskedBody {
    pub(in crate::masking) fn from_masked(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The masked bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The masked bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Appends what left next in the same stream.
    pub fn append(&mut self, next: impl AsMasked) {
        self.0.extend_from_slice(next.masked());
    }

    /// Cuts to at most `len` bytes, for records with a limit. A cut body is as masked as a whole
    /// one.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }
}

impl fmt::Debug for MaskedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MaskedBody({} bytes)", self.0.len())
    }
}

/// What [`Masker::push`](crate::masking::Masker::push) gave: masked bytes, borrowed from the chunk
/// where possible.
pub struct MaskedChunk<'a> {
    bytes: Cow<'a, [u8]>,
    unchanged: bool,
}

impl<'a> MaskedChunk<'a> {
    /// The chunk as it is.
    pub(in crate::masking) fn unchanged(bytes: &'a [u8]) -> Self {
        Self {
            bytes: Cow::Borrowed(bytes),
            unchanged: true,
        }
    }

    /// The beginning of the chunk; the rest is held.
    pub(in crate::masking) fn beginning(bytes: &'a [u8]) -> Self {
        Self {
            bytes: Cow::Borrowed(bytes),
            unchanged: false,
        }
    }

    pub(in crate::masking) fn owned(bytes: Vec<u8>) -> Self {
        Self {
            bytes: Cow::Owned(bytes),
            unchanged: false,
        }
    }

    /// The chunk that was pushed may pass as it is, with nothing before it: no need to replace it
    /// in a proxy's buffer.
    pub fn is_unchanged(&self) -> bool {
        self.unchanged
    }

    /// What leaves now.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether nothing leaves now.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes, to be sent on.
    pub fn into_bytes(self) -> Cow<'a, [u8]> {
        self.bytes
    }

    /// As a body to record; copies if the bytes are still the chunk's.
    pub fn into_body(self) -> MaskedBody {
        MaskedBody(self.bytes.into_owned())
    }
}

impl fmt::Debug for MaskedChunk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskedChunk")
            .field("len", &self.bytes.len())
            .field("unchanged", &self.unchanged)
            .finish()
    }
}

mod sealed {
    /// Keeps [`AsMasked`](crate::masking::AsMasked) to this module's types.
    pub trait Sealed {}
    impl Sealed for super::MaskedBody {}
    impl Sealed for super::MaskedChunk<'_> {}
    impl<T: Sealed> Sealed for &T {}
}

/// Bytes that came out of a masker: a [`MaskedBody`] or a [`MaskedChunk`].
pub trait AsMasked: sealed::Sealed {
    /// The masked bytes.
    fn masked(&self) -> &[u8];
}

impl AsMasked for MaskedBody {
    fn masked(&self) -> &[u8] {
        &self.0
    }
}

impl AsMasked for MaskedChunk<'_> {
    fn masked(&self) -> &[u8] {
        &self.bytes
    }
}

impl<T: AsMasked> AsMasked for &T {
    fn masked(&self) -> &[u8] {
        T::masked(self)
    }
}
