//! Approvals: what nodes ask, and what people answer.
//!
//! [`Approvals`] is the service. Nodes make two calls. [`Approvals::ask`] says how a record stands;
//! [`Approvals::decided`] says which questions are over.
//!
//! A node that watches questions waits for [`Approvals::subscribe_as_node`]. People who follow them
//! wait for [`Approvals::subscribe`].

pub(crate) mod store;

use std::sync::Arc;
use std::time::Duration;

use chaperone_engine::approval::{
    Answer, ApprovalState, Binding, Conflict, PendingLimits, Standing,
};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::link::{AskAnswer, AskRequest};
use tokio::sync::broadcast;

use self::store::{Answered, Asking, Store};
pub(crate) use self::store::{ApprovalQuery, Given, Question, StoredApproval};
use crate::access::May;
use crate::access::permission::{ActAsNode, AnswerApprovals, ReadApprovals};
use crate::administration::{Act, Administration};
use crate::comment::Comment;
use crate::metrics::{Metrics, OutcomeLabel};
use crate::nodes::owns;
use crate::store::{PageKey, Result, StoreError};
use crate::{clock, random};

/// How often approvals are looked through for those that ran out. Whoever waits for one is not told
/// later than this; whether it still counts is decided by the clock, not by this.
const EXPIRY_TICK: Duration = Duration::from_millis(500);

/// Open questions that [`Approvals::open`] lists, at most.
const OPEN: u32 = 500;

/// The questions, and who wants to know of them.
#[derive(Debug)]
pub(crate) struct Approvals {
    store: Arc<dyn Store>,
    administration: Administration,
    metrics: Arc<Metrics>,
    limits: PendingLimits,
    /// Ids of approvals whose state has changed.
    changed: broadcast::Sender<String>,
}

/// One approval at one instant.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ApprovalNow {
    pub(crate) stored: StoredApproval,
    /// The state, with what time has done to it.
    pub(crate) state: ApprovalState,
    /// How many records have asked.
    pub(crate) records: u64,
}

impl ApprovalNow {
    fn of((stored, records): (StoredApproval, u64), now: UnixMillis) -> Self {
        Self {
            state: stored.approval.state_at(now),
            stored,
            records,
        }
    }

    /// Whether a query asks for it.
    pub(crate) fn matches(&self, query: &ApprovalQuery) -> bool {
        let ApprovalQuery {
            state,
            subject,
            connection,
            rule,
        } = query;
        let equal = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        state.is_none_or(|state| state == self.state)
            && equal(subject, &self.stored.question.principal.subject)
            && equal(connection, &self.stored.question.connection)
            && equal(rule, &self.stored.question.rule)
    }
}

/// Why a record was not told how it stands.
#[derive(Debug)]
pub(crate) enum AskError {
    /// The record is none of the life of the node that asks: it could spend the grant of another.
    ForeignRecord,
    /// The operating system gave no randomness for an id.
    Randomness(std::io::Error),
    /// Nothing has changed.
    Store(StoreError),
}

/// Why an answer does not count.
#[derive(Debug)]
pub(crate) enum AnswerError {
    /// A denial without a reason: the agent has to be told one.
    NoReason,
    /// There is no such approval.
    Unknown,
    /// The approval's rules do not allow it.
    Refused(Conflict),
    /// Nothing has changed.
    Store(StoreError),
}

impl From<StoreError> for AskError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<StoreError> for AnswerError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Approvals {
    /// Those of a store, of which so many may be open.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        administration: Administration,
        metrics: Arc<Metrics>,
        limits: PendingLimits,
    ) -> Self {
        Self {
            store,
            administration,
            metrics,
            limits,
            changed: broadcast::Sender::new(1024),
        }
    }

    /// May this request pass? Asking again with the same record never spends a second grant.
    ///
    /// # Errors
    /// [`AskError`]; no question was opened and no grant spent.
    pub(crate) async fn ask(
        &self,
        _may: &May<ActAsNode>,
        ask: AskRequest,
    ) -> std::result::Result<AskAnswer, AskError> {
        if !owns(&ask.node, &ask.record) {
            return Err(AskError::ForeignRecord);
        }
        let binding = Binding::of(&ask.digest, &ask.rule, &ask.terms).map_err(StoreError::from)?;
        let asking = Asking {
            new_id: random::id("ap").map_err(AskError::Randomness)?,
            binding,
            question: Question {
                principal: ask.principal,
                connection: ask.connection,
                operation: ask.operation,
                request: ask.request,
                content_type: ask.content_type,
                body: ask.body,
                rule: ask.rule,
                reason: ask.reason,
                terms: ask.terms,
                policy_version: ask.policy_version,
                digest: ask.digest,
                node: ask.node.name,
                record: ask.record,
            },
            limits: self.limits,
        };
        let asked = self.store.ask(&asking, clock::now()).await?;
        let outcome = match asked.answer.answer {
            Standing::Pending => "pending",
            Standing::Granted => "granted",
            Standing::Denied => "denied",
            Standing::Expired => "expired",
            Standing::TooManyPending => "too_many_pending",
        };
        let label = OutcomeLabel { outcome };
        self.metrics.asks.get_or_create(&label).inc();
        if asked.changed {
            self.announce(asked.answer.approval.clone());
        }
        Ok(asked.answer)
    }

    /// Of these approvals, those that are no longer pending; unknown ones count as expired.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn decided(
        &self,
        _may: &May<ActAsNode>,
        ids: &[String],
    ) -> Result<Vec<(String, ApprovalState)>> {
        let mut states = self.store.states(ids, clock::now()).await?;
        states.retain(|(_, state)| *state != ApprovalState::Pending);
        Ok(states)
    }

    /// Applies a person's answer and returns the approval after it. `words` are a comment, or the
    /// reason of a denial, which the agent is told.
    ///
    /// # Errors
    /// [`AnswerError`], and nothing has changed.
    pub(crate) async fn answer(
        &self,
        may: &May<AnswerApprovals>,
        id: &str,
        answer: Answer,
        words: Option<Comment>,
    ) -> std::result::Result<ApprovalNow, AnswerError> {
        if answer == Answer::Deny && words.is_none() {
            return Err(AnswerError::NoReason);
        }
        let by = may.caller().identity();
        let answered = self
            .store
            .answer(
                id,
                by,
                answer,
                words.as_ref().map(Comment::as_str),
                clock::now(),
            )
            .await?;
        let count = |outcome| {
            let label = OutcomeLabel { outcome };
            self.metrics.answers.get_or_create(&label).inc();
        };
        match answered {
            Answered::Done => {
                count(match answer {
                    Answer::Approve => "approve",
                    Answer::Deny => "deny",
                });
                tracing::info!(
                    approval = id,
                    by = by.subject,
                    ?answer,
                    "an approval was answered"
                );
                self.announce(id.to_owned());
                let found = self.look(id).await?;
                found.ok_or(AnswerError::Unknown)
            }
            Answered::Unknown => Err(AnswerError::Unknown),
            Answered::Refused(conflict) => {
                count("refused");
                Err(AnswerError::Refused(conflict))
            }
        }
    }

    /// One approval with the beginning of its body, if it is there. The log says who has read it.
    ///
    /// # Errors
    /// When the database fails, also when the reading could not be written down.
    pub(crate) async fn read(
        &self,
        may: &May<ReadApprovals>,
        id: &str,
    ) -> Result<Option<ApprovalNow>> {
        let found = self.look(id).await?;
        if found.is_some() {
            let entry = may.caller().does(Act::ApprovalRead, id);
            self.administration.note(&entry).await?;
        }
        Ok(found)
    }

    /// One approval, if it is there: for lists, which leave its body out.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn show(
        &self,
        _may: &May<ReadApprovals>,
        id: &str,
    ) -> Result<Option<ApprovalNow>> {
        self.look(id).await
    }

    /// Approvals, newest first, beginning after `after`; without their bodies.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn list(
        &self,
        _may: &May<ReadApprovals>,
        query: &ApprovalQuery,
        after: Option<&PageKey>,
        limit: u32,
    ) -> Result<Vec<ApprovalNow>> {
        let now = clock::now();
        let found = self.store.search(query, after, limit, now).await?;
        Ok(found
            .into_iter()
            .map(|one| ApprovalNow::of(one, now))
            .collect())
    }

    /// Of the approvals that a query asks for, those that are open, the oldest first: where
    /// somebody who watches begins; without their bodies. Subscribe before, so that none is missed
    /// in between.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn open(
        &self,
        may: &May<ReadApprovals>,
        query: &ApprovalQuery,
    ) -> Result<Vec<ApprovalNow>> {
        let pending = Some(ApprovalState::Pending);
        if query.state.is_some() && query.state != pending {
            return Ok(Vec::new());
        }
        let open = ApprovalQuery {
            state: pending,
            ..query.clone()
        };
        let mut open = self.list(may, &open, None, OPEN).await?;
        open.reverse();
        Ok(open)
    }

    /// Ids of approvals as they change: when one is asked, answered, spent or runs out.
    pub(crate) fn subscribe(&self, _may: &May<ReadApprovals>) -> broadcast::Receiver<String> {
        self.changed.subscribe()
    }

    /// The same for nodes, whose calls wait until one of theirs is decided.
    pub(crate) fn subscribe_as_node(&self, _may: &May<ActAsNode>) -> broadcast::Receiver<String> {
        self.changed.subscribe()
    }

    /// How many questions are open.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn pending(&self) -> Result<u64> {
        self.store.pending(clock::now()).await
    }

    /// Marks what has run out, again and again, and tells those who watch.
    pub(crate) async fn expire(&self) {
        let mut tick = tokio::time::interval(EXPIRY_TICK);
        loop {
            tick.tick().await;
            match self.store.expire(clock::now()).await {
                Ok(ids) => {
                    self.metrics.expired.inc_by(ids.len() as u64);
                    for id in ids {
                        self.announce(id);
                    }
                }
                Err(error) => tracing::error!(%error, "approvals could not be expired"),
            }
        }
    }

    async fn look(&self, id: &str) -> Result<Option<ApprovalNow>> {
        let now = clock::now();
        let found = self.store.show(id).await?;
        Ok(found.map(|one| ApprovalNow::of(one, now)))
    }

    fn announce(&self, id: String) {
        // Nobody listening is not an error.
        drop(self.changed.send(id));
    }
}
