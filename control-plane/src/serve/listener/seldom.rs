//! Lines of log that a peer can cause, said now and then.

use std::time::{Duration, Instant};

/// Between two lines of one kind.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// When something was said last, and how often it was not said since.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    said: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// Whether it is time to say it; if so, how often it happened unsaid.
    pub(super) fn due(&mut self) -> Option<u64> {
        let now = Instant::now();
        let recently = |said: Instant| now.saturating_duration_since(said) < SAY_AGAIN;
        if self.said.is_some_and(recently) {
            self.unsaid += 1;
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_not_said_again_at_once() {
        let mut seldom = Seldom::default();
        assert_eq!(seldom.due(), Some(0));
        assert_eq!((seldom.due(), seldom.due()), (None, None));
        seldom.said = Instant::now().checked_sub(SAY_AGAIN);
        assert_eq!(seldom.due(), Some(2));
    }
}
