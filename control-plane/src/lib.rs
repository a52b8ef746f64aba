//! The control plane: policy versions, approvals, the trail, and the interfaces to them.
//!
//! | module | what it is for |
//! |---|---|
//! | [`api`] | the HTTP interfaces: management and data plane |

pub mod api;
