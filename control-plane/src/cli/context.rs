//! What every command gets.

use super::client::{Client, ServerArgs};
use super::failure::Failure;
use super::output::Output;

/// What every command gets.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where the control plane is, as flags and environment say.
    pub(crate) server: ServerArgs,
    /// Standard output in the format that was asked for.
    pub(crate) output: Output,
}

impl Context {
    /// The management API.
    ///
    /// # Errors
    /// When no server or token is named.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.server)
    }
}
