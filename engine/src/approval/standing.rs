//! Which question a record gets, and the answer of that question.
//!
//! 1. A record that has asked before stays with its question ([`Approval::tell_again`]): it was let
//!    through, or waits, or is told how the question ended. Only when another record has spent the
//!    one-time grant does it ask anew.
//! 2. A new record takes ([`take_question`]), in this order: a window that is open, a one-time
//!    grant that nobody has spent, the pending question of the same request, a denial that nobody
//!    has been told yet (the ticket's answer).
//! 3. Otherwise it opens a question ([`Approval::open`]), if there is room for one more
//!    ([`PendingLimits`](super::PendingLimits)).
//!
//! "The same request" is the same [`Binding`].

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::digest::RequestDigest;
use super::question::{Approval, ApprovalState};
use crate::audit::RecordId;
use crate::base::digest::sha256_hex;
use crate::base::time::UnixMillis;
use crate::policy::{ApproveTerms, Grant};

/// How an approval stands for one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Wait, or take a ticket.
    Pending,
    /// This record may pass; a one-time grant is now spent by it.
    Granted,
    /// A human said no.
    Denied,
    /// Nobody answered in time.
    Expired,
    /// As many questions wait for an answer as may, of this subject or of all: none was opened.
    TooManyPending,
}

impl Standing {
    /// All there are.
    pub const ALL: &'static [Self] = &[
        Self::Pending,
        Self::Granted,
        Self::Denied,
        Self::Expired,
        Self::TooManyPending,
    ];
}

/// The answer of a question to one record. Whoever stores questions writes `change` in the
/// transaction in which it answers, and notes that the record belongs to the question and whether
/// it was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a grant that is not written down as spent lets the next record through as well"]
pub struct Told {
    /// The answer.
    pub standing: Standing,
    /// The change of the question that comes with the answer.
    pub change: Change,
}

/// How an answer to a record changes the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// Not at all.
    None,
    /// The record spends the one-time grant: the state becomes [`ApprovalState::Spent`], by this
    /// record.
    Spend,
    /// The denial counts as told: no new record finds it any more.
    DenialTold,
}

/// The subject of a question: the digest of the request, the rule that asks, and the rule's terms.
/// Requests with the same binding share questions and grants.
///
/// Rule and terms belong to it, because a new policy version may be stricter about who may approve
/// or how long a window is. What was approved under the old terms is then not enough any more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Binding(String);

impl Binding {
    /// The binding of a request under a rule.
    ///
    /// # Errors
    /// When the terms cannot be written as JSON. No terms are known for which that happens.
    pub fn of(
        digest: &RequestDigest,
        rule: &str,
        terms: &ApproveTerms,
    ) -> Result<Self, serde_json::Error> {
        // A JSON list keeps the parts apart.
        let parts = serde_json::to_vec(&(digest.as_str(), rule, terms))?;
        Ok(Self(sha256_hex(parts)))
    }

    /// SHA-256 of the parts, as 64 lower-case hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The question that a new record takes, by its place among the candidates; `None` when the record
/// has to open one.
///
/// Candidates are questions with the record's own [`Binding`]. A store may leave out those that are
/// spent or expired, and denials that have been told: no record takes them. Among equals the one
/// that was asked last is taken.
pub fn take_question<'a>(
    candidates: impl IntoIterator<Item = &'a Approval>,
    now: UnixMillis,
) -> Option<(usize, Told)> {
    let candidates = candidates.into_iter().enumerate();
    let (_, place, told) = candidates
        .filter_map(|(place, candidate)| {
            let (preference, standing) = candidate.offer(now)?;
            let order = (preference, Reverse(candidate.asked_at));
            Some((order, place, candidate.tell(standing, now)))
        })
        .min_by_key(|(order, _, _)| *order)?;
    Some((place, told))
}

impl Approval {
    /// A question that nobody has answered.
    pub fn open(subject: String, terms: ApproveTerms, now: UnixMillis) -> Self {
        Self {
            state: ApprovalState::Pending,
            subject,
            terms,
            asked_at: now,
            approved_at: None,
            approved_by: Vec::new(),
            spent_by: None,
            denial_told: false,
        }
    }

    /// The answer to a record that this question has answered before; `let_through` says whether
    /// that answer was a grant. `None` when another record has spent the grant: the record asks
    /// anew.
    pub fn tell_again(
        &self,
        record: &RecordId,
        let_through: bool,
        now: UnixMillis,
    ) -> Option<Told> {
        let standing = match self.state_at(now) {
            // The agent may have missed the first answer. A window that has ended since takes
            // nothing back.
            _ if let_through => Standing::Granted,
            ApprovalState::Pending => Standing::Pending,
            ApprovalState::Approved => Standing::Granted,
            ApprovalState::Denied => Standing::Denied,
            ApprovalState::Expired => Standing::Expired,
            ApprovalState::Spent if self.spent_by.as_ref() == Some(record) => Standing::Granted,
            ApprovalState::Spent => return None,
        };
        Some(self.tell(standing, now))
    }

    /// Writes a change down.
    pub fn apply(&mut self, change: Change, record: &RecordId) {
        match change {
            Change::None => {}
            Change::Spend => {
                self.state = ApprovalState::Spent;
                self.spent_by = Some(record.clone());
            }
            Change::DenialTold => self.denial_told = true,
        }
    }

    /// How willingly a new record takes this question, the lowest first, and the answer that the
    /// record then gets; `None` when a new record does not take the question.
    fn offer(&self, now: UnixMillis) -> Option<(u8, Standing)> {
        match (self.state_at(now), self.terms.grant) {
            // A window costs nothing to use, so it goes before a grant that can be spent only once.
            (ApprovalState::Approved, Grant::Window(_)) => Some((0, Standing::Granted)),
            (ApprovalState::Approved, Grant::Once) => Some((1, Standing::Granted)),
            (ApprovalState::Pending, _) => Some((2, Standing::Pending)),
            (ApprovalState::Denied, _) if !self.denial_told && now < self.expires_at() => {
                Some((3, Standing::Denied))
            }
            (ApprovalState::Denied | ApprovalState::Expired | ApprovalState::Spent, _) => None,
        }
    }

    fn tell(&self, standing: Standing, now: UnixMillis) -> Told {
        let change = match standing {
            Standing::Granted
                if self.terms.grant == Grant::Once
                    && self.state_at(now) == ApprovalState::Approved =>
            {
                Change::Spend
            }
            Standing::Denied if !self.denial_told => Change::DenialTold,
            Standing::Granted
            | Standing::Denied
            | Standing::Pending
            | Standing::Expired
            | Standing::TooManyPending => Change::None,
        };
        Told { standing, change }
    }
}
