//! The description that each upstream gives of itself.

use super::operation::{Operation, OperationError};
use crate::request::RequestTarget;

/// All that is known of one upstream. Each has one of these in its own file.
pub(super) struct Upstream {
    /// The name that policies use, as the variant of [`Protocol`](super::Protocol) is written.
    pub(super) name: &'static str,
    /// Whether the upstream compares paths without case, so that patterns of rules must, too.
    pub(super) folds_paths: bool,
    /// Names the operation of a request whose method has been checked already.
    pub(super) describe:
        fn(method: &str, target: &RequestTarget) -> Result<Operation, OperationError>,
}
