//! What must not leave in a body? Detectors and the streaming masker.
//!
//! # Promises
//!
//! 1. *Chunk invariance*: for every way of cutting the bytes, the output is what masking the whole
//!    gives. A body that is blocked ends at the same byte, and the same was found in it: what is
//!    decided when it is read up to the byte that decides the secret, and not one further.
//! 2. *No leak*: no byte of a secret leaves, not even its first ones, before the secret is decided.
//! 3. *Nothing else changes*: what holds no secret passes byte for byte.
//! 4. *Bounded*: a text holds less than [`MAX_HELD`] bytes; with its escapes, less than 64 KiB of
//!    the raw stream. A stream of events or records holds up to 32 KiB of the event that has not
//!    ended, and up to 256 KiB of whole events. Log probabilities hold up to 256 KiB. At a cap the
//!    possible secret is masked.
//! 5. *Closed*: what cannot be read is refused by the caller: an encoding ([`Encoding::of`],
//!    [`DecodingError`]), a character set ([`Content::is_readable`]).
//!
//! # What is a secret
//!
//! Everything here is a statement about the whole text; chunks do not occur in it, which is why
//! promise 1 holds.
//!
//! - A rule (one form of one detector) *starts* at every place where its anchor stands as it
//!   should, with an allowed boundary before it; if the rule has a context (`AccountKey=`), at
//!   every place where the context ends; if its match begins with a run (the local part of an
//!   address), where the whole run begins. Starts depend on the raw text only, also inside of what
//!   another rule masks. The beginning of the text is a boundary.
//! - At a start the rule's pattern is matched, anchored; the *longest* match counts, and if the
//!   rule has a tail, the longest after which the tail matches (or the first, if the rule says so).
//!   What the rule asks beyond its pattern is asked once, of this match. There are two exceptions,
//!   which bound the work of text made for it. A match of more than 512 bytes is not asked about if
//!   64 matches of the rule with the same end were refused: it is a secret. Nor is a match of a
//!   custom detector, where asking has cost too much in the text before it. All rules that start at
//!   the same place compete: the longest secret wins, among equals the first in the
//!   [`catalogue()`].
//! - Starts are decided from left to right. A match inside of a secret already found is part of it.
//!   One that begins in the last 512 bytes of it and goes on after its end is a secret too, of
//!   which the rest is masked: patterns are lenient at the end, and take in the beginning of a
//!   token that follows without a gap.
//! - A match that is still open after [`MAX_HELD`] bytes is taken for a secret, whether or not it
//!   would have matched. It ends where its longest match ends, if no more than some 128 bytes were
//!   read since, or else before the first byte that cannot belong to it. Its replacement stands at
//!   its end, and its fingerprint is that of all of it. The same holds where a format cannot wait
//!   for more raw bytes: the text is held still, so that what is found does not depend on it.
//!   Where even that cannot wait (too many texts of a stream at once, an event too long to wait
//!   for, a body that is restored), what was read so far is masked with the fingerprint of that
//!   part.
//! - What has begun like a JSON Web Token and has no dot among its first 256 bytes is none if it is
//!   not JSON, or has no registered name of a header (`detectors::doubt`).
//! - The end of the text decides what is open: a match that is complete is a secret, all else
//!   passes.
//!
//! # How
//!
//! ```text
//! raw bytes ─► Masker: holds raw bytes, makes edits                   (bodies)
//!               └ Format: finds the texts in the raw bytes            (formats, streams)
//!                   ├ Tap: one decoded text; maps it to raw bytes     (text)
//!                   │   └ Channel: decides which ranges are secrets   (text)
//!                   │       ├ DetectorSet: where a secret could begin (search)
//!                   │       └ Attempt: one rule at one place          (text, search::automaton)
//!                   └ Whole: a value that is secret because of its key (formats::whole)
//! ```
//!
//! | folder | is about |
//! |---|---|
//! | `bodies` | one body on its way: what is held, found and changed; how its bytes are encoded |
//! | `formats` | where the texts of a body are, one module for each format |
//! | `streams` | the same for server-sent events and records, whose texts go on over events |
//! | `text` | one decoded text: which ranges of it are secrets, and where they stand in the body |
//! | `search` | detectors made ready, and the pass that finds where a secret could begin |
//! | `detectors` | what a secret is: the catalogue, and the detectors of a policy |
//! | `offsets` | how bytes are counted: in a body, in a text, at hand |
//!
//! Beside a body's texts stands the *desk*, which all of them share: the plan, what was found, and
//! the edits that wait. It alone says what becomes of a secret; `placeholder` writes what then
//! stands there, and reads it.
//!
//! `docs/extending/` has a page each for a detector, a format, the deltas of a protocol and an
//! action.
//!
//! A [`Masker`] is one body in one direction. Its format says, for every chunk, which ranges of the
//! *raw* stream are to be replaced and how far the stream is decided; the masker alone holds,
//! copies and splices. So what holds no secret passes byte for byte in every format, nothing is
//! ever serialised again, and a secret that is spread over many events is an edit in each of them.
//!
//! Discovery finds starts in one pass over each text, at memory speed; decision runs the few
//! automata that a start calls for, and carries their states on. A text holds bytes only from its
//! leftmost undecided start on; a format also holds what it cannot read yet: half an escape, a
//! value that is masked whole, an event that has not ended. A context (`AccountKey=`) is not secret
//! and is not held.
//!
//! The alternative, decoding into a document and writing it anew, was not taken: it changes what it
//! does not mean to (numbers, escapes, order, unknown fields), and it holds documents.
//!
//! # Words
//!
//! Words that several folders use. The parts of a rule (anchor, lead, left, context, tail, must)
//! are drawn at the head of `detectors::rule`; `search`, `streams` and `detectors::custom` have
//! lists of their own words.
//!
//! | word | is |
//! |---|---|
//! | raw | as it stands in the body, before anything is decoded; raw offsets count from the beginning of the body |
//! | text | decoded bytes that detectors read as one; its offsets count from the beginning of the text |
//! | span | a part of a text in which secrets can stand, such as a string of a JSON document |
//! | seam | an offset at which a span begins or ends. A secret crosses none; the name that leads to it may stand in another span |
//! | piece | a run of a text, and the raw bytes that it was read from |
//! | break | a place at which a word may begin because an escape was read through |
//! | boundary | a place at which a secret may begin as at the beginning of a text |
//! | start | a place of a text at which a rule may find a secret |
//! | attempt | one rule that reads on from a start |
//! | open | of a place: an attempt there can still find a secret, or a longer one |
//! | decided | of a place: no attempt there can |
//! | undecided, held | of bytes: the leftmost open place stands at or before them, so they wait |
//! | waypoint | a place at every 32 bytes of a text. Attempts that are in the same state there become one |
//! | mark | a range of a text that is a secret, and what becomes of it |
//! | edit | a raw range that is replaced |
//! | runaway | a secret that is longer than a text holds: its bytes leave emptied as they come, and its replacement stands at its end |
//! | let go | raw bytes leave emptied, because they cannot wait; their text is held still, so the secret is found as a whole |
//! | force | to decide a place as a secret before its end has come |
//! | give | to write the replacement of a runaway |
//! | judge | to ask the desk what becomes of a secret: it counts it and writes its replacement |
//! | finding | a secret that was found, as it is counted; a *find* is what matched, before a check has decided about it |
//! | refuted, refused | of an attempt: it cannot become a secret any more; of a find: a check says that it is none |
//! | whole | of a value: a secret because of its key or its place, whatever it looks like (`formats::whole`) |
//! | quiet | of a part of JSON: no secret begins in it, and no key in it makes its value one (`formats::json::quiet`) |
//! | record | a line of JSON, or an element of an array, that is read as the data of an event is; no record of the trail |
//! | channel | in `text` the state of one text; in `streams` a text that goes on over events |
//! | dialect | how a family of upstreams writes its answers; see `upstreams` |
//! | work | counted steps; see [`Budget`] |

mod bodies;
mod detectors;
mod formats;
mod offsets;
mod search;
mod streams;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use bodies::keys::MAX_NAME as MAX_KEY_NAME;
pub use bodies::{
    AsMasked, Blocked, Budget, Change, Content, Decoder, DecodingError, Encoding, FREE, Finding,
    Findings, Fingerprint, FingerprintKey, KeyNames, MAX_FINGERPRINTS, MAX_KEEP, MAX_RATIO,
    MAX_REMEMBERED, MaskedBody, MaskedChunk, Masker, Secrets,
    plan::{Action, Plan, Treatment},
};
pub(crate) use detectors::custom::Planning;
#[cfg(feature = "authoring")]
pub use detectors::custom::{UnusableAllow, check_allow, check_custom};
pub use detectors::{
    catalogue::catalogue,
    custom::{Allow, AllowOn, CustomDetector, MAX_CUSTOM_DETECTORS, compile_custom},
    detector::{Detector, DetectorError, Severity, chooses},
};
#[cfg(test)]
pub(crate) use search::automaton::compiled;
pub(crate) use search::set::Compiling;
pub use search::set::DetectorSet;
pub use text::channel::MAX_HELD;

/// No body holds as many raw bytes, whatever its format: 256 KiB of whole events that wait, 32 KiB
/// of the one that has not ended, and 1 KiB to spare.
pub const MAX_RAW_HELD: usize = 289 * 1024;

use std::sync::Arc;

/// Masks a body that is there as a whole.
pub fn mask_whole(
    plan: &Arc<Plan>,
    key: &FingerprintKey,
    content: &Content,
    bytes: &[u8],
) -> (MaskedBody, Findings) {
    let mut masker = Masker::new(Arc::clone(plan), key.clone(), content);
    let mut body = masker.push(bytes).into_body();
    body.append(masker.finish());
    (body, masker.findings().clone())
}

/// Bytes of a body that are masked before it is asked whether enough are.
const PART: usize = 4 * 1024;

/// Masks the beginning of a body that is there as a whole: so much of it that more than `wanted`
/// bytes become of it, and no more. Gives whether that is all.
pub fn mask_beginning(
    plan: &Arc<Plan>,
    key: &FingerprintKey,
    content: &Content,
    bytes: &[u8],
    wanted: usize,
) -> (MaskedBody, bool) {
    let mut masker = Masker::new(Arc::clone(plan), key.clone(), content);
    let mut body = MaskedBody::default();
    for part in bytes.chunks(PART) {
        body.append(masker.push(part));
        if body.len() > wanted {
            return (body, false);
        }
    }
    body.append(masker.finish());
    (body, true)
}

/// Masks a text that is there as a whole: a URL, a path, a header's value.
pub fn mask_text(plan: &Arc<Plan>, key: &FingerprintKey, text: &str) -> (String, Findings) {
    let (body, findings) = mask_whole(plan, key, &Content::text(), text.as_bytes());
    let text = String::from_utf8(body.into_bytes())
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    (text, findings)
}
