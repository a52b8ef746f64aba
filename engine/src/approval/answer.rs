//! Which answers of humans count.

use serde::{Deserialize, Serialize};

use super::question::{Approval, ApprovalState};
use crate::base::time::UnixMillis;

/// An approver's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Yes.
    Approve,
    /// No.
    Deny,
}

impl Answer {
    /// All answers.
    pub const ALL: &'static [Self] = &[Self::Approve, Self::Deny];
}

/// The group that stands for all groups: whoever is in it may answer every question.
pub const EVERY_GROUP: &str = "*";

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approver<'a> {
    /// The approver's own subject.
    pub subject: &'a str,
    /// The groups that the approver is in; [`EVERY_GROUP`] among them for all.
    pub groups: &'a [String],
}

/// Why an answer does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// The approval is decided or expired already: HTTP 409.
    NotPending(ApprovalState),
    /// Nobody approves their own request: HTTP 403.
    OwnRequest,
    /// The approver is in none of the rule's groups: HTTP 403.
    NotAnApprover {
        /// The groups that may answer.
        wanted: Vec<String>,
    },
    /// The approver has answered this one already: HTTP 409.
    AlreadyAnswered,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotPending(state) => {
                write!(
                    f,
                    "This approval is {} already; a decision is final.",
                    state.as_str()
                )
            }
            Self::OwnRequest => f.write_str(
                "Nobody approves their own request; ask somebody else in the approving groups.",
            ),
            Self::NotAnApprover { wanted } => write!(
                f,
                "Only members of these groups may answer: {}.",
                wanted.join(", ")
            ),
            Self::AlreadyAnswered => f.write_str("You have answered this approval already."),
        }
    }
}

impl std::error::Error for Conflict {}

impl Approval {
    /// Applies one answer and returns the state after it.
    ///
    /// # Errors
    /// [`Conflict`], and nothing has changed.
    pub fn answer(
        &mut self,
        answer: Answer,
        approver: Approver<'_>,
        now: UnixMillis,
    ) -> Result<ApprovalState, Conflict> {
        let state = self.state_at(now);
        if state != ApprovalState::Pending {
            return Err(Conflict::NotPending(state));
        }
        if !approver
            .groups
            .iter()
            .any(|group| group == EVERY_GROUP || self.terms.by.contains(group))
        {
            return Err(Conflict::NotAnApprover {
                wanted: self.terms.by.clone(),
            });
        }
        if answer == Answer::Approve && approver.subject == self.subject {
            return Err(Conflict::OwnRequest);
        }
        match answer {
            Answer::Deny => self.state = ApprovalState::Denied,
            Answer::Approve => {
                if self.approved_by.iter().any(|by| by == approver.subject) {
                    return Err(Conflict::AlreadyAnswered);
                }
                self.approved_by.push(approver.subject.to_owned());
                if self.approved_by.len() as u64 >= u64::from(self.terms.count) {
                    self.state = ApprovalState::Approved;
                    self.approved_at = Some(now);
                }
            }
        }
        Ok(self.state)
    }
}
