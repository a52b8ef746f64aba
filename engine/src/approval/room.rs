//! How many questions may be open: people answer a few an hour, and scripts ask thousands a minute.
//!
//! Whoever looks for their question among thousands of somebody else's does not find it, so each
//! subject has a limit below that of all.

/// How many questions may wait for an answer at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingLimits {
    /// Of one subject, whatever the issuer: approvers know people by it.
    pub of_subject: u64,
    /// Of all subjects.
    pub in_all: u64,
}

impl PendingLimits {
    /// Whether one more may be opened beside those that are open.
    pub const fn have_room(self, of_subject: u64, in_all: u64) -> bool {
        of_subject < self.of_subject && in_all < self.in_all
    }
}

impl Default for PendingLimits {
    fn default() -> Self {
        Self {
            of_subject: 50,
            in_all: 1_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn either_limit_refuses_and_zero_refuses_all() {
        let limits = PendingLimits {
            of_subject: 2,
            in_all: 3,
        };
        assert!(limits.have_room(1, 2));
        assert!(!limits.have_room(2, 2));
        assert!(!limits.have_room(0, 3));
        let none = PendingLimits {
            of_subject: 0,
            in_all: 3,
        };
        assert!(!none.have_room(0, 0));
    }
}
