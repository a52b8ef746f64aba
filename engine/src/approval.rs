//! approval.
