//! One body on its way: what is held of it, what was found in it, and what is changed.
//!
//! A [`Masker`] is the way in. [`plan`] says what it has to do; `desk`, `edit` and `placeholder`
//! are what the texts of a body share; `content`, `encoding` and `decoding` say how its bytes are
//! to be read. `budget` bounds the work of one call, `findings` counts, `restore` remembers secrets
//! for the answer, `keys` knows names that mean a secret. `fault` is for states that cannot be:
//! then a body is masked whole.

mod body;
mod budget;
pub(in crate::masking) mod content;
mod decoding;
pub(in crate::masking) mod desk;
pub(in crate::masking) mod edit;
mod encoding;
mod endings;
pub(in crate::masking) mod fault;
pub(in crate::masking) mod findings;
pub(in crate::masking) mod keys;
pub(in crate::masking) mod mark;
mod masker;
pub(in crate::masking) mod placeholder;
pub(in crate::masking) mod plan;
pub(in crate::masking) mod restore;

pub use body::{AsMasked, MaskedBody, MaskedChunk};
pub use budget::Budget;
pub use content::Content;
pub use decoding::{Decoder, DecodingError, FREE, MAX_RATIO};
pub use edit::Change;
pub use encoding::Encoding;
pub use findings::{Finding, Findings, Fingerprint, FingerprintKey, MAX_FINGERPRINTS};
pub use keys::KeyNames;
pub use masker::{Blocked, Masker};
pub use placeholder::MAX_KEEP;
pub use restore::{MAX_REMEMBERED, Secrets};
