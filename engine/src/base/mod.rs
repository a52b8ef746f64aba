//! Forms that several modules write or read the same way: instants, digests, percent-encoding, JSON
//! without duplicate members; and comparisons of many bytes at once. Nothing here decides, and
//! nothing here uses another module.

pub mod digest;
pub(crate) mod json;
pub(crate) mod lanes;
pub(crate) mod percent;
pub mod time;
