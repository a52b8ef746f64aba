//! The HTTP interfaces of the control plane.

pub mod types;
