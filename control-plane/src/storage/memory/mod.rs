//! Everything in memory: the model that the database is compared with.
//!
//! It is written to be read, not to be fast: a transaction works on a copy of everything, and puts
//! it in place when it has succeeded. One file per service, as for SQLite.

mod access;
mod administration;
mod approvals;
mod nodes;
mod policies;
mod trail;

use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard};

use super::faults::Faults;
use crate::store::{Result, StoreError};

/// The data, shared by its clones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    state: Arc<Mutex<State>>,
    faults: Arc<Faults>,
}

#[derive(Debug, Clone, Default)]
struct State {
    access: access::State,
    administration: administration::State,
    approvals: approvals::State,
    nodes: nodes::State,
    policies: policies::State,
    trail: trail::State,
}

/// The error of a database for a second row of the same key.
fn duplicate(key: &str) -> StoreError {
    StoreError::failed(std::io::Error::other(format!("{key} is there already")))
}

/// A number as a database keeps it, whose integers are signed: one beyond them is the largest of
/// them.
fn kept(number: u64) -> u64 {
    number.min(i64::MAX as u64)
}

impl Memory {
    /// One transaction: when `change` returns an error, nothing has changed.
    async fn write<T>(&self, change: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        self.step().await?;
        let mut state = self.state.lock().await;
        let mut next = state.clone();
        let answer = change(&mut next)?;
        self.step().await?;
        *state = next;
        Ok(answer)
    }

    async fn read(&self) -> MutexGuard<'_, State> {
        self.state.lock().await
    }

    async fn step(&self) -> Result<()> {
        if self.faults.step().await {
            return Err(StoreError::failed(std::io::Error::other(
                "as a test wants it",
            )));
        }
        Ok(())
    }

    /// The answers that records were told, for tests.
    pub(super) async fn told_of_tests(&self) -> Vec<(String, String, bool)> {
        self.read().await.approvals.told()
    }

    /// Tests interrupt transactions with it.
    pub(super) fn faults_of_tests(&self) -> &Arc<Faults> {
        &self.faults
    }
}
