//! What is kept of approvals, and the transactions on it.
//!
//! Which question a record gets and which answers count is [`chaperone_engine::approval`]'s to say.
//! A store loads the questions that may matter, asks the engine, and writes the outcome down, all
//! in one transaction: of two records that want the same one-time grant, one gets it.

use async_trait::async_trait;
use chaperone_engine::approval::{
    Answer, Approval, ApprovalState, Binding, Change, Conflict, PendingLimits, RequestDigest,
    Standing, Told,
};
use chaperone_engine::audit::{RecordId, RequestLine};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::identity::Principal;
use chaperone_engine::link::{AskAnswer, BodyPreview};
use chaperone_engine::policy::ApproveTerms;
use chaperone_engine::upstreams::Operation;
use serde::{Deserialize, Serialize};

use crate::access::Identity;
use crate::store::{PageKey, Result};

/// What approvers are shown: set once, when the question is opened. Stored as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) principal: Principal,
    /// Connection by name.
    pub(crate) connection: String,
    pub(crate) operation: Operation,
    /// The request, masked.
    pub(crate) request: RequestLine,
    pub(crate) content_type: Option<String>,
    /// The beginning of the masked body; absent where the gate does not see it. In lists its
    /// content is empty.
    pub(crate) body: Option<BodyPreview>,
    pub(crate) rule: String,
    pub(crate) reason: String,
    pub(crate) terms: ApproveTerms,
    pub(crate) policy_version: u64,
    pub(crate) digest: RequestDigest,
    /// Name of the node that asked first.
    pub(crate) node: String,
    /// The record that asked first.
    pub(crate) record: RecordId,
}

/// A record wants to pass.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asking {
    /// The id of the question that is opened, if one is.
    pub(crate) new_id: String,
    /// Which questions are about the same.
    pub(crate) binding: Binding,
    /// The question that is opened, if one is. Its record is the one that wants to pass.
    pub(crate) question: Question,
    /// How many questions may be open beside it, if one is opened.
    pub(crate) limits: PendingLimits,
}

/// What asking did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) answer: AskAnswer,
    /// A question was opened or a grant was spent: whoever watches wants to know.
    pub(crate) changed: bool,
}

impl Asked {
    /// No question was opened: too many are.
    pub(crate) fn too_many(now: UnixMillis) -> Self {
        Self {
            answer: AskAnswer {
                approval: String::new(),
                answer: Standing::TooManyPending,
                by: None,
                comment: None,
                expires_at: now,
            },
            changed: false,
        }
    }
}

/// What one person has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// The person's subject.
    pub(crate) by: String,
    pub(crate) answer: Answer,
    /// Their words.
    pub(crate) comment: Option<String>,
    pub(crate) at: UnixMillis,
}

/// What answering did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answered {
    /// The answer counts.
    Done,
    /// It does not, and nothing has changed.
    Refused(Conflict),
    /// There is no such approval.
    Unknown,
}

/// A question with all that has happened to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredApproval {
    pub(crate) id: String,
    pub(crate) question: Question,
    pub(crate) approval: Approval,
    /// In order.
    pub(crate) answers: Vec<Given>,
    pub(crate) decided_at: Option<UnixMillis>,
}

impl StoredApproval {
    /// A question that nobody has answered.
    pub(crate) fn open(id: String, question: Question, now: UnixMillis) -> Self {
        let subject = question.principal.subject.clone();
        Self {
            id,
            approval: Approval::open(subject, question.terms.clone(), now),
            question,
            answers: Vec::new(),
            decided_at: None,
        }
    }

    /// How the node is answered that has asked.
    pub(crate) fn told(&self, told: Told) -> Asked {
        // The last answer decides, but a yes is that of all who gave theirs.
        let decisive = match told.standing {
            Standing::Granted => Some(Answer::Approve),
            Standing::Denied => Some(Answer::Deny),
            Standing::Pending | Standing::Expired | Standing::TooManyPending => None,
        };
        let mut given = self
            .answers
            .iter()
            .filter(|given| Some(given.answer) == decisive);
        let by: Vec<&str> = given.clone().map(|given| given.by.as_str()).collect();
        let last = given.next_back();
        Asked {
            answer: AskAnswer {
                approval: self.id.clone(),
                answer: told.standing,
                by: last.map(|_| by.join(", ")),
                comment: last.and_then(|given| given.comment.clone()),
                expires_at: self.approval.expires_at(),
            },
            changed: told.change == Change::Spend,
        }
    }

    /// How the node is answered whose record has opened this question.
    pub(crate) fn opened(&self) -> Asked {
        Asked {
            answer: AskAnswer {
                approval: self.id.clone(),
                answer: Standing::Pending,
                by: None,
                comment: None,
                expires_at: self.approval.expires_at(),
            },
            changed: true,
        }
    }
}

/// Which approvals: all that is asked for must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ApprovalQuery {
    /// Its state, with what time has done to it.
    pub(crate) state: Option<ApprovalState>,
    /// Who asks.
    pub(crate) subject: Option<String>,
    /// Connection by name.
    pub(crate) connection: Option<String>,
    pub(crate) rule: Option<String>,
}

/// Keeps questions, their answers, and which record was told what.
#[async_trait]
pub(crate) trait Store: std::fmt::Debug + Send + Sync {
    /// Tells a record how it stands, spends the one-time grant that lets it pass, or opens a
    /// question, if there is room for one.
    async fn ask(&self, asking: &Asking, now: UnixMillis) -> Result<Asked>;

    /// Applies a person's answer.
    async fn answer(
        &self,
        id: &str,
        by: &Identity,
        answer: Answer,
        comment: Option<&str>,
        now: UnixMillis,
    ) -> Result<Answered>;

    /// Marks what has run out and returns the ids, in order.
    async fn expire(&self, now: UnixMillis) -> Result<Vec<String>>;

    /// Where these stand, in the order of the ids; unknown ones as expired.
    async fn states(&self, ids: &[String], now: UnixMillis)
    -> Result<Vec<(String, ApprovalState)>>;

    /// One approval, and how many records have asked.
    async fn show(&self, id: &str) -> Result<Option<(StoredApproval, u64)>>;

    /// Approvals, newest first, beginning after the question with this instant and id; each with
    /// how many records have asked. Without bodies, which together would be megabytes.
    async fn search(
        &self,
        query: &ApprovalQuery,
        after: Option<&PageKey>,
        limit: u32,
        now: UnixMillis,
    ) -> Result<Vec<(StoredApproval, u64)>>;

    /// How many questions are open.
    async fn pending(&self, now: UnixMillis) -> Result<u64>;
}
