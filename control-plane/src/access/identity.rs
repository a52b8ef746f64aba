//! Who acts.

/// A person or a program, as versions, approvals and logs name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Its name.
    pub(crate) subject: String,
    /// Its groups; `*` is a member of every group.
    pub(crate) groups: Vec<String>,
}
