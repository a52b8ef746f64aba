//! What must not leave in a body? Detectors and the streaming masker.
//!
//! # Promises
//!
//! 1. *Chunk invariance*: for every way of cutting the bytes, the output is what masking the whole gives.
//! 2. *No leak*: no byte of a secret leaves, not even its first ones, before the secret is decided.
//! 3. *Nothing else changes*: what holds no secret passes byte for byte.
//! 4. *Bounded*: a stream holds less than [`MAX_HELD`] bytes; at the cap the possible secret is masked.
//! 5. *Closed*: an encoding that cannot be read ([`readable_encoding`]) is refused by the caller.
//!
//! # What is a secret
//!
//! Everything here is a statement about the whole text; chunks do not occur in it, which is why promise 1 holds.
//!
//! - A rule (one shape of one detector) *starts* at every place where its anchor stands as it should, with an
//!   allowed boundary before it; if the rule has a context (`AccountKey=`), at every place where the context ends.
//!   Starts depend on the raw text only, also inside of what another rule masks. The beginning of the text is a
//!   boundary.
//! - At a start the rule's pattern is matched, anchored; the *longest* match counts. All rules that start at the
//!   same place compete: the longest secret wins, among equals the first in the [`catalogue()`].
//! - Starts are decided from left to right. A start inside of a secret already found is void; the text
//!   goes on after the secret's last byte. So secrets never overlap, and of two nested ones the outer is masked.
//! - A match that is still open after [`MAX_HELD`] bytes is taken for a secret, whether or not it would have matched. It ends
//!   before the first byte that cannot belong to it.
//! - The end of the text decides what is open: a match that is complete is a secret, all else passes.
//!
//! # How
//!
//! Discovery (`set`) finds starts in one pass over each chunk, at memory speed (`prefilter`); decision (`masker`) runs
//! the few automata (`automaton`) that a start calls for, and carries their states to the next chunk. Bytes are held only
//! from the leftmost undecided start on. A context is not secret and is not held.
//!
//! Formats (JSON, SSE, …) belong above: they give each decoded channel a [`Masker`] of its own; maskers
//! share one [`DetectorSet`] and are small while they hold nothing.

mod automaton;
mod body;
mod catalogue;
mod checksum;
mod custom;
mod detector;
mod encoding;
mod findings;
mod masker;
mod prefilter;
mod set;
#[cfg(test)]
mod tests;

pub use body::{AsMasked, MaskedBody, MaskedChunk};
pub use catalogue::catalogue;
pub use custom::{Allow, AllowOn, CustomDetector};
pub use detector::{Detector, DetectorError, Severity};
pub use encoding::readable_encoding;
pub use findings::{Finding, Findings, Fingerprint, FingerprintKey, MAX_FINGERPRINTS};
pub use masker::{MAX_HELD, Masker};
pub use set::DetectorSet;

use std::sync::Arc;

/// Masks bytes that are there as a whole.
pub fn mask_whole(
    set: &Arc<DetectorSet>,
    key: &FingerprintKey,
    bytes: &[u8],
) -> (MaskedBody, Findings) {
    let mut masker = Masker::new(Arc::clone(set), key.clone());
    let mut body = masker.push(bytes).into_body();
    body.append(masker.finish());
    (body, masker.findings().clone())
}

/// Masks a text that is there as a whole: a URL, a path, a header's value.
pub fn mask_text(set: &Arc<DetectorSet>, key: &FingerprintKey, text: &str) -> (String, Findings) {
    let (body, findings) = mask_whole(set, key, text.as_bytes());
    let text = String::from_utf8(body.into_bytes())
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    (text, findings)
}
