//! What a secret is: the detectors that are built in, and those of a policy.
//!
//! Both are written as [rules](rule). The [`catalogue`] has the built-in ones, with what
//! [`checksum`] knows of their last bytes; [`custom`] makes rules of regular expressions, and
//! `cost` bounds, when a policy is published, what text made for them can cost.

pub(in crate::masking) mod catalogue;
pub(in crate::masking) mod checksum;
#[cfg(feature = "authoring")]
pub(in crate::masking) mod cost;
pub(in crate::masking) mod custom;
pub(in crate::masking) mod detector;
pub(in crate::masking) mod doubt;
pub(in crate::masking) mod random;
pub(in crate::masking) mod rule;
