//! What a format is.

use crate::masking::bodies::desk::Desk;

/// Reads one body.
pub(in crate::masking) trait Format: Send + Sync {
    /// Reads the next bytes, which begin at the raw offset `from`. Gives the raw offset up to which
    /// everything is decided: all edits before it are on the desk. It never goes back.
    fn push(&mut self, desk: &mut Desk<'_>, chunk: &[u8], from: u64) -> u64;

    /// The same body, read as far. Where a body ends at a secret it is read again from a copy, up
    /// to the byte that decides it.
    fn copy(&self) -> Box<dyn Format>;

    /// Whether it reads no further than to the secret at which the body ends, wherever the next
    /// `bytes` bytes are cut: then nobody needs a [copy](Self::copy).
    fn stops(&self, bytes: usize) -> bool {
        let _ = bytes;
        false
    }

    /// The body ended at the raw offset `end`: everything is decided.
    fn finish(&mut self, desk: &mut Desk<'_>, end: u64);

    /// Where the body can end if it has to end before the raw offset `at` (a secret that is
    /// blocked): there, or at the beginning of the event that it stands in.
    fn cut(&self, at: u64) -> u64 {
        at
    }

    /// How the format itself tells its reader that the body ends here with an error; nothing if it
    /// cannot.
    fn ending(&self, message: &str) -> Option<Vec<u8>> {
        let _ = message;
        None
    }
}
