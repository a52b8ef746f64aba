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
    /// Which operations requests with one of these methods and paths have: a regular expression in
    /// lower case, so that a rule for an operation that no request has can be told to its author.
    /// May be wider than the truth, never narrower.
    #[cfg(feature = "authoring")]
    pub(super) operations: fn(&Requests<'_>) -> String,
    /// How its operations look, for whoever wrote one that looks otherwise.
    #[cfg(feature = "authoring")]
    pub(super) example: &'static str,
}

/// A set of requests, as far as a rule's other dimensions say.
#[cfg(feature = "authoring")]
#[derive(Debug, Default)]
pub struct Requests<'a> {
    /// Their methods; any when empty.
    pub methods: &'a [&'a str],
    /// A regular expression in lower case for their paths in normal form; any when absent.
    pub paths: Option<&'a str>,
}

#[cfg(feature = "authoring")]
impl Requests<'_> {
    /// Their methods as a regular expression in lower case.
    pub(super) fn method(&self) -> String {
        if self.methods.is_empty() {
            return "[a-z0-9._-]+".to_owned();
        }
        let methods = self.methods.iter();
        let escaped = methods.map(|method| method.to_ascii_lowercase().replace('.', "[.]"));
        format!("(?:{})", escaped.collect::<Vec<_>>().join("|"))
    }
}
