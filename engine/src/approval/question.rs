//! A question, and how time changes its state.

use serde::{Deserialize, Serialize};

use crate::audit::RecordId;
use crate::base::time::UnixMillis;
use crate::policy::{ApproveTerms, Grant};

/// Where an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// Nobody has decided.
    Pending,
    /// Enough approvers said yes, and the grant can still be used.
    Approved,
    /// Somebody said no.
    Denied,
    /// Nobody answered in time, or the grant's window is over.
    Expired,
    /// The one-time grant has been used.
    Spent,
}

impl ApprovalState {
    /// All states.
    pub const ALL: &'static [Self] = &[
        Self::Pending,
        Self::Approved,
        Self::Denied,
        Self::Expired,
        Self::Spent,
    ];

    /// The state's name, as in the serialised form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Spent => "spent",
        }
    }
}

/// One question, as far as its rules go: who may answer it, and what it gives. The request that
/// approvers are shown is kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Where it stands; read it through [`Approval::state_at`], which knows about time.
    pub state: ApprovalState,
    /// Subject of the request that is asked about.
    pub subject: String,
    /// The rule's terms.
    pub terms: ApproveTerms,
    /// When the question was asked.
    pub asked_at: UnixMillis,
    /// When the last needed yes came.
    pub approved_at: Option<UnixMillis>,
    /// Subjects that have said yes so far.
    pub approved_by: Vec<String>,
    /// The record that used the one-time grant.
    pub spent_by: Option<RecordId>,
    /// Whether a record has been told of the denial. A ticket finds its denial once; the next
    /// request opens a question of its own.
    pub denial_told: bool,
}

impl Approval {
    /// When silence becomes a denial: `expires` after the question.
    pub fn expires_at(&self) -> UnixMillis {
        self.asked_at.saturating_add(self.terms.expires.as_millis())
    }

    /// When an approved grant ends: a window runs from the approval; a one-time grant must be
    /// spent before the question itself would have expired.
    pub fn grant_ends_at(&self) -> Option<UnixMillis> {
        let approved = self.approved_at?;
        Some(match self.terms.grant {
            Grant::Once => self.expires_at(),
            Grant::Window(length) => approved.saturating_add(length.as_millis()),
        })
    }

    /// Takes back what was read from a clock that ran ahead, or the question would stay open, and
    /// its grant good, until the clock is there again. Both then run from `now`: each lasts as long
    /// as its terms say, counted from the later reading. `true` when something had to be taken
    /// back.
    pub fn correct_clock(&mut self, now: UnixMillis) -> bool {
        if !matches!(self.state, ApprovalState::Pending | ApprovalState::Approved) {
            return false;
        }
        let mut corrected = false;
        for at in std::iter::once(&mut self.asked_at).chain(&mut self.approved_at) {
            if !at.is_past(now) {
                *at = now;
                corrected = true;
            }
        }
        corrected
    }

    /// The state at `now`: silence expires and denies.
    pub fn state_at(&self, now: UnixMillis) -> ApprovalState {
        match self.state {
            ApprovalState::Pending if now >= self.expires_at() => ApprovalState::Expired,
            ApprovalState::Approved if self.grant_ends_at().is_some_and(|end| now >= end) => {
                ApprovalState::Expired
            }
            state => state,
        }
    }
}
