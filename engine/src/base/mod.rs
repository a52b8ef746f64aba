//! Forms that several modules write or read the same way: instants, digests, percent-encoding, JSON
//! without duplicate members, and JSON as it streams; and comparisons of many bytes at once.
//! Nothing here decides, and nothing here uses another module.

pub mod digest;
pub(crate) mod json;
pub(crate) mod lanes;
pub mod members;
pub(crate) mod percent;
pub mod time;
pub(crate) mod tokens;
