//! Who administered the control plane, and who read what it keeps of others: a log that only grows.
//!
//! [`Administration`] is the service. An act that changes something is written in the transaction that
//! changes it, so neither is ever there without the other. A reading is written before what was read is
//! handed out: who cannot be named in the log does not get it.
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

    /// Writes an entry about what no transaction of its own does.
    ///
    /// # Errors
    /// When the database fails: what the entry is about must not happen then.
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
