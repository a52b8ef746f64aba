//! Who administered the control plane, and who read the bodies of others: a log that only grows.
//!
//! [`Administration`] is the service. An act that changes the database is written in the
//! transaction of the change, so neither is ever there without the other. Every other act is
//! written before it happens: whoever cannot be named in the log reads no body, and changes no key.
//!
//! Policy versions and answers to approvals are not here. They name who made them themselves.

pub(crate) mod store;

use std::sync::Arc;

pub(crate) use self::store::{Act, Entry, Noted};
use crate::access::May;
use crate::access::permission::ReadAdministration;
use crate::store::Result;
use store::Store;

/// The log of administration.
#[derive(Debug, Clone)]
pub(crate) struct Administration {
    store: Arc<dyn Store>,
}

impl Administration {
    /// The log of a store.
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Writes an entry about an act that has no transaction of its own.
    ///
    /// # Errors
    /// When the database fails: the act must not happen then.
    pub(crate) async fn note(&self, entry: &Entry) -> Result<()> {
        self.store.note(entry).await
    }

    /// Entries, newest first, with numbers below `before`.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn list(
        &self,
        _may: &May<ReadAdministration>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Noted>> {
        self.store.entries(before, limit).await
    }
}
