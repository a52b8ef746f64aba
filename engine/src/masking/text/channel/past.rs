//! Going past text in which no secret begins, without being told where its spans are.

use super::Channel;
use crate::masking::search::{discovery::Carried, set::DetectorSet};

impl Channel {
    /// Whether nothing is undecided.
    pub(in crate::masking) fn is_idle(&self) -> bool {
        self.held.is_empty()
            && self.starts.is_empty()
            && self.open.is_none()
            && self.runaway.is_none()
    }

    /// What is carried past a text, of bounded length, that comes next while the channel is
    /// [idle](Self::is_idle). What that took is added to `work`.
    ///
    /// # Errors
    /// The offset in the text of the first place at which a secret may begin.
    pub(in crate::masking) fn carried_past(
        &self,
        set: &DetectorSet,
        text: &[u8],
        work: &mut u64,
    ) -> Result<Carried, usize> {
        let (mut carried, mut starts) = (self.carried.clone(), Vec::new());
        let read = set.discover(text, 0, &mut carried, &mut starts);
        *work = work.saturating_add(read);
        match starts.first() {
            None => Ok(carried),
            Some(start) => Err(start.at),
        }
    }

    /// Goes [past](Self::carried_past) this text, as if it had been pushed with the seams that it
    /// has: without a start they change nothing. What comes next stands `outside` of spans or not.
    pub(in crate::masking) fn go_past(
        &mut self,
        set: &DetectorSet,
        text: &[u8],
        carried: Carried,
        outside: bool,
    ) {
        debug_assert!(self.is_idle());
        self.carried = carried;
        self.remember(set, text);
        self.base = self.base.after(text.len());
        self.outside = outside;
    }
}
