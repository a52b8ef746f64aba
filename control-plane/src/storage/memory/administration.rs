//! The log of administration.

use async_trait::async_trait;

use super::Memory;
use crate::administration::store::{Entry, Noted, Store};
use crate::store::Result;

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    entries: Vec<Noted>,
}

impl State {
    pub(super) fn note(&mut self, entry: &Entry) {
        let number = self.entries.last().map_or(0, |last| last.number) + 1;
        self.entries.push(Noted {
            number,
            entry: entry.clone(),
        });
    }
}

#[async_trait]
impl Store for Memory {
    async fn note(&self, entry: &Entry) -> Result<()> {
        self.write(|state| {
            state.administration.note(entry);
            Ok(())
        })
        .await
    }

    async fn entries(&self, before: Option<u64>, limit: u32) -> Result<Vec<Noted>> {
        let state = self.read().await;
        let found = state.administration.entries.iter().rev();
        let found = found.filter(|noted| before.is_none_or(|before| noted.number < before));
        Ok(found.take(limit as usize).cloned().collect())
    }
}
