//! What exactly does a human approve?
//!
//! An approval binds to a [`RequestDigest`]: SHA-256 over subject, agent, connection, method,
//! host, path, query and body. What is approved is that request and no other; the same request
//! sent again has the same digest, so identical requests share one pending question and a ticket
//! finds its answer.
//!
//! ```text
//! pending ──approve──► approved ──(once: spent by one record)──► spent
//!    │  └──deny──────► denied
//!    └──silence──────► expired
//! ```
//! A decision is final: from any state but `pending` a second one is a [`Conflict`].

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::base::time::UnixMillis;
use crate::policy::{ApproveTerms, Grant};

/// SHA-256 over the parts that an approval binds to, as 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestDigest(String);

impl RequestDigest {
    /// The digest as hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is known of the body when the digest is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyBinding<'a> {
    /// The whole body, possibly empty, by its SHA-256.
    Whole([u8; 32]),
    /// The body cannot be seen before the verdict (the "headers" hold profile). The digest is then
    /// bound to this one stream by its record id: a later request with another body can never
    /// match it.
    Unseen {
        /// The record of the one stream that the approval is good for.
        record: &'a str,
    },
}

/// The parts of a request that an approval binds to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundRequest<'a> {
    /// Issuer of the subject: the same `sub` of another issuer is another person.
    pub issuer: &'a str,
    /// Verified subject.
    pub subject: &'a str,
    /// Verified agent, if the token names one.
    pub agent: Option<&'a str>,
    /// Connection name.
    pub connection: &'a str,
    /// Method as sent.
    pub method: &'a str,
    /// Host, lower case, without port.
    pub host: &'a str,
    /// Path exactly as it goes upstream, without query.
    pub path: &'a str,
    /// Query exactly as it goes upstream; `None` differs from empty.
    pub query: Option<&'a str>,
    /// `content-type` as it goes upstream: the same bytes mean another thing under another type.
    pub content_type: Option<&'a [u8]>,
    /// `content-encoding` as it goes upstream, every line of it: as with the type, it says what the bytes mean.
    pub content_encoding: Option<&'a [u8]>,
    /// The body.
    pub body: BodyBinding<'a>,
}

impl BoundRequest<'_> {
    /// The digest. Every part goes in with its length before it, so no two different requests can
    /// be spelled as the same bytes by moving text from one part into the next.
    pub fn digest(&self) -> RequestDigest {
        let mut hash = Sha256::new();
        hash.update(b"chaperone/approval/v1\0");
        let mut part = |bytes: Option<&[u8]>| match bytes {
            Some(bytes) => {
                hash.update([1]);
                hash.update((bytes.len() as u64).to_be_bytes());
                hash.update(bytes);
            }
            None => hash.update([0]),
        };
        part(Some(self.issuer.as_bytes()));
        part(Some(self.subject.as_bytes()));
        part(self.agent.map(str::as_bytes));
        part(Some(self.connection.as_bytes()));
        part(Some(self.method.as_bytes()));
        part(Some(self.host.as_bytes()));
        part(Some(self.path.as_bytes()));
        part(self.query.map(str::as_bytes));
        part(self.content_type);
        part(self.content_encoding);
        match self.body {
            BodyBinding::Whole(sha256) => {
                part(Some(b"whole"));
                part(Some(&sha256));
            }
            BodyBinding::Unseen { record } => {
                part(Some(b"unseen"));
                part(Some(record.as_bytes()));
            }
        }
        RequestDigest(crate::base::digest::hex(&hash.finalize()))
    }
}

/// SHA-256 of a body, for [`BodyBinding::Whole`].
pub fn body_sha256(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

/// Where an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
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

impl State {
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

/// An approver's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Yes.
    Approve,
    /// No.
    Deny,
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approver<'a> {
    /// The approver's own subject.
    pub subject: &'a str,
    /// The groups that the approver is in.
    pub groups: &'a [String],
}

/// Why an answer does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// The approval is decided or expired already: HTTP 409.
    NotPending(State),
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

/// One question, as far as its rules go; who stores it is not this module's concern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Where it stands; read it through [`Approval::state_at`], which knows about time.
    pub state: State,
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

    /// The state at `now`: silence expires and denies.
    pub fn state_at(&self, now: UnixMillis) -> State {
        match self.state {
            State::Pending if now >= self.expires_at() => State::Expired,
            State::Approved if self.grant_ends_at().is_some_and(|end| now >= end) => State::Expired,
            state => state,
        }
    }

    /// Applies one answer and returns the state after it.
    ///
    /// # Errors
    /// [`Conflict`], and nothing has changed.
    pub fn answer(
        &mut self,
        answer: Answer,
        approver: Approver<'_>,
        now: UnixMillis,
    ) -> Result<State, Conflict> {
        let state = self.state_at(now);
        if state != State::Pending {
            return Err(Conflict::NotPending(state));
        }
        if !approver
            .groups
            .iter()
            .any(|group| self.terms.by.contains(group))
        {
            return Err(Conflict::NotAnApprover {
                wanted: self.terms.by.clone(),
            });
        }
        if answer == Answer::Approve && approver.subject == self.subject {
            return Err(Conflict::OwnRequest);
        }
        match answer {
            Answer::Deny => self.state = State::Denied,
            Answer::Approve => {
                if self.approved_by.iter().any(|by| by == approver.subject) {
                    return Err(Conflict::AlreadyAnswered);
                }
                self.approved_by.push(approver.subject.to_owned());
                if self.approved_by.len() as u64 >= u64::from(self.terms.count) {
                    self.state = State::Approved;
                    self.approved_at = Some(now);
                }
            }
        }
        Ok(self.state)
    }
}
