//! Interrupting a transaction at a step of one's choice.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// How a transaction is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// The database fails at the step.
    Fails,
    /// The caller goes away just before the step.
    Dropped,
    /// The caller goes away while the database works on the step.
    DroppedInFlight,
}

/// A store asks it before every step of a write transaction, the beginning and the end included.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    plan: Mutex<Option<Plan>>,
    reached: Notify,
}

#[derive(Debug)]
struct Plan {
    how: Interruption,
    /// Steps that are let through first.
    before: usize,
}

impl Faults {
    /// Interrupts the transaction that comes next after `before` of its steps, once.
    pub(super) fn plan(&self, how: Interruption, before: usize) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(Plan { how, before });
    }

    /// Forgets the plan; whether it was still to come.
    pub(super) fn withdraw(&self) -> bool {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        plan.take().is_some()
    }

    /// Waits until the step at which the caller goes away.
    pub(super) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// A step is about to be made. Returns whether it must fail; does not return when the caller is
    /// to go away before it.
    pub(crate) async fn step(&self) -> bool {
        let how = {
            let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
            match plan.as_mut() {
                None => return false,
                Some(plan) if plan.before > 0 => {
                    plan.before -= 1;
                    return false;
                }
                Some(_) => plan.take().map(|plan| plan.how),
            }
        };
        match how {
            None => false,
            Some(Interruption::Fails) => true,
            Some(Interruption::DroppedInFlight) => {
                self.reached.notify_one();
                false
            }
            Some(Interruption::Dropped) => {
                self.reached.notify_one();
                std::future::pending().await
            }
        }
    }
}
