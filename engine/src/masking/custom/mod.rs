//! Detectors that a policy brings itself: from a regular expression as users write it to rules that the
//! scanner runs.

mod document;

pub use document::{Allow, AllowOn, CustomDetector};
