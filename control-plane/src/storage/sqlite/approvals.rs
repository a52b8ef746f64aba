//! Approvals: asking and answering, each in one transaction.
//!
//! What a human's answer means, and which question a record gets, is for [`chaperone_engine::approval`]
//! to say. This module loads the questions that may matter, and writes the outcome down.

use chaperone_api::{ApprovalAnswer, ApprovalFilter};
use chaperone_engine::approval::{
    Answer, Approval, ApprovalState, Approver, Binding, Change, Conflict, Standing, Told,
    take_question,
};
use chaperone_engine::audit::RecordId;
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::link::{AskAnswer, AskRequest};
use chaperone_engine::policy::ApproveTerms;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

use super::row::{instant, named};
use super::{Database, from_sql, to_sql};
use crate::access::Identity;
use crate::store::{Result, StoreError};

/// What approvers are shown: set once, when the question is opened.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Question {
    principal: chaperone_engine::identity::Principal,
    connection: String,
    operation: chaperone_engine::upstreams::Operation,
    request: chaperone_engine::audit::RequestLine,
    content_type: Option<String>,
    body: Option<chaperone_engine::link::BodyPreview>,
    rule: String,
    reason: String,
    terms: ApproveTerms,
    policy_version: u64,
    digest: String,
    node: String,
    record: String,
}

struct Stored {
    id: String,
    question: Question,
    approval: Approval,
    answers: Vec<ApprovalAnswer>,
    decided_at: Option<UnixMillis>,
}

/// What asking did.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) answer: AskAnswer,
    /// A question was opened or a grant was spent: whoever watches wants to know.
    pub(crate) changed: bool,
}

/// What answering did.
#[derive(Debug)]
pub(crate) enum Answered {
    /// The answer counts.
    Done,
    /// It does not, and nothing has changed.
    Refused(Conflict),
    /// There is no such approval.
    Unknown,
}

impl Database {
    /// Answers a record that wants to pass, spending a one-time grant if that is what lets it.
    pub(crate) async fn ask(
        &self,
        ask: &AskRequest,
        new_id: &str,
        now: UnixMillis,
    ) -> Result<Asked> {
        let mut transaction = self.write().await?;
        let asked = ask_in(transaction.step().await?, ask, new_id, now).await?;
        transaction.commit().await?;
        Ok(asked)
    }

    /// Applies a human's answer.
    pub(crate) async fn answer(
        &self,
        id: &str,
        answer: Answer,
        approver: &Identity,
        comment: Option<&str>,
        now: UnixMillis,
    ) -> Result<Answered> {
        let mut transaction = self.write().await?;
        let Some(mut stored) = load(transaction.step().await?, id).await? else {
            transaction.rollback().await?;
            return Ok(Answered::Unknown);
        };
        let by = Approver {
            subject: &approver.subject,
            groups: &approver.groups,
        };
        let state = match stored.approval.answer(answer, by, now) {
            Ok(state) => state,
            Err(conflict) => {
                transaction.rollback().await?;
                return Ok(Answered::Refused(conflict));
            }
        };
        sqlx::query(
            "INSERT INTO approval_answers (approval, position, by, answer, comment, at) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(id)
        .bind(to_sql(stored.answers.len() as u64))
        .bind(&approver.subject)
        .bind(match answer {
            Answer::Approve => "approve",
            Answer::Deny => "deny",
        })
        .bind(comment)
        .bind(to_sql(now.0))
        .execute(transaction.step().await?)
        .await?;
        sqlx::query(
            "UPDATE approvals SET state = ?, approved_at = ?, grant_ends_at = ?, decided_at = ? \
             WHERE id = ?",
        )
        .bind(state.as_str())
        .bind(stored.approval.approved_at.map(|at| to_sql(at.0)))
        .bind(stored.approval.grant_ends_at().map(|at| to_sql(at.0)))
        .bind((state != ApprovalState::Pending).then_some(to_sql(now.0)))
        .bind(id)
        .execute(transaction.step().await?)
        .await?;
        transaction.commit().await?;
        Ok(Answered::Done)
    }

    /// Marks what has run out and returns the ids.
    pub(crate) async fn expire_approvals(&self, now: UnixMillis) -> Result<Vec<String>> {
        const DUE: &str = "(state = 'pending' AND expires_at <= ?1) \
                           OR (state = 'approved' AND grant_ends_at <= ?1)";
        // Looking first, on a reader: mostly there is nothing to do, and the writer has other work.
        let mut look = QueryBuilder::<Sqlite>::new("SELECT 1 FROM approvals WHERE ");
        let due = look.push(DUE).push(" LIMIT 1").build().bind(to_sql(now.0));
        if due.fetch_optional(self.read()).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut transaction = self.write().await?;
        let mut update =
            QueryBuilder::<Sqlite>::new("UPDATE approvals SET state = 'expired' WHERE ");
        update.push(DUE).push(" RETURNING id");
        let rows = update
            .build()
            .bind(to_sql(now.0))
            .fetch_all(transaction.step().await?)
            .await?;
        transaction.commit().await?;
        rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
    }

    /// Where these stand now, unknown ones as expired.
    pub(crate) async fn approval_states(
        &self,
        ids: &[String],
        now: UnixMillis,
    ) -> Result<Vec<(String, ApprovalState)>> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT id, ");
        push_state_at(&mut query, now);
        query
            .push(" AS state_now FROM approvals WHERE id IN (SELECT value FROM json_each(")
            .push_bind(serde_json::to_string(ids)?)
            .push("))");
        let rows = query.build().fetch_all(self.read()).await?;
        let mut known = std::collections::HashMap::new();
        for row in &rows {
            let state: ApprovalState = named(row, "state_now")?.unwrap_or(ApprovalState::Expired);
            known.insert(row.try_get::<String, _>("id")?, state);
        }
        Ok(ids
            .iter()
            .map(|id| {
                (
                    id.clone(),
                    known.get(id).copied().unwrap_or(ApprovalState::Expired),
                )
            })
            .collect())
    }

    /// One approval as approvers see it.
    pub(crate) async fn approval(
        &self,
        id: &str,
        now: UnixMillis,
    ) -> Result<Option<chaperone_api::Approval>> {
        let mut connection = self.read().acquire().await?;
        match load(&mut connection, id).await? {
            Some(stored) => Ok(Some(view(&mut connection, stored, now).await?)),
            None => Ok(None),
        }
    }

    /// Approvals, newest first, beginning after the question with this instant and id.
    pub(crate) async fn approvals(
        &self,
        filter: &ApprovalFilter,
        after: Option<&(u64, String)>,
        limit: u32,
        now: UnixMillis,
    ) -> Result<Vec<chaperone_api::Approval>> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM approvals WHERE 1 = 1");
        if let Some(state) = filter.state {
            query.push(" AND ");
            push_state_at(&mut query, now);
            query.push(" = ").push_bind(state.as_str());
        }
        let equal = [
            (" AND subject = ", &filter.subject),
            (" AND connection = ", &filter.connection),
            (" AND rule = ", &filter.rule),
        ];
        for (condition, value) in equal {
            if let Some(value) = value {
                query.push(condition).push_bind(value);
            }
        }
        if let Some((at, id)) = after {
            query
                .push(" AND (asked_at, id) < (")
                .push_bind(to_sql(*at))
                .push(", ")
                .push_bind(id)
                .push(")");
        }
        query
            .push(" ORDER BY asked_at DESC, id DESC LIMIT ")
            .push_bind(limit);
        let mut connection = self.read().acquire().await?;
        let rows = query.build().fetch_all(&mut *connection).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let stored = stored(&mut connection, row).await?;
            found.push(view(&mut connection, stored, now).await?);
        }
        Ok(found)
    }

    /// How many questions are open.
    pub(crate) async fn pending_approvals(&self, now: UnixMillis) -> Result<u64> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM approvals WHERE state = 'pending' AND expires_at > ?",
        )
        .bind(to_sql(now.0))
        .fetch_one(self.read())
        .await?;
        Ok(from_sql(count))
    }
}

/// The state with what time has done to it, as [`Approval::state_at`] says it.
fn push_state_at(query: &mut QueryBuilder<Sqlite>, now: UnixMillis) {
    query
        .push("CASE WHEN state = 'pending' AND expires_at <= ")
        .push_bind(to_sql(now.0))
        .push(" THEN 'expired' WHEN state = 'approved' AND grant_ends_at <= ")
        .push_bind(to_sql(now.0))
        .push(" THEN 'expired' ELSE state END");
}

async fn ask_in(
    connection: &mut SqliteConnection,
    ask: &AskRequest,
    new_id: &str,
    now: UnixMillis,
) -> Result<Asked> {
    let record = &ask.record;
    let before = sqlx::query("SELECT approval, granted FROM approval_records WHERE record = ?")
        .bind(&record.0)
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(row) = before {
        let id: String = row.try_get("approval")?;
        let granted: bool = row.try_get("granted")?;
        if let Some(stored) = load(connection, &id).await?
            && let Some(told) = stored.approval.tell_again(record, granted, now)
        {
            return stored.settle(connection, record, told).await;
        }
    }
    let binding = Binding::of(&ask.digest, &ask.rule, &ask.terms)?;
    let rows = sqlx::query(
        "SELECT * FROM approvals WHERE binding = ? AND state IN ('approved', 'pending', 'denied') \
         AND denial_told = 0 ORDER BY asked_at DESC",
    )
    .bind(binding.as_str())
    .fetch_all(&mut *connection)
    .await?;
    let mut candidates = Vec::with_capacity(rows.len());
    for row in &rows {
        candidates.push(stored(connection, row).await?);
    }
    let questions = candidates.iter().map(|stored| &stored.approval);
    if let Some((place, told)) = take_question(questions, now) {
        return candidates
            .swap_remove(place)
            .settle(connection, record, told)
            .await;
    }
    open(connection, ask, &binding, new_id, now).await
}

impl Stored {
    /// Writes down what the record was told, and says so.
    async fn settle(
        self,
        connection: &mut SqliteConnection,
        record: &RecordId,
        told: Told,
    ) -> Result<Asked> {
        let standing = told.standing;
        bind_record(connection, record, &self.id, standing == Standing::Granted).await?;
        match told.change {
            Change::None => {}
            Change::Spend => {
                sqlx::query("UPDATE approvals SET state = 'spent', spent_by = ? WHERE id = ?")
                    .bind(&record.0)
                    .bind(&self.id)
                    .execute(&mut *connection)
                    .await?;
            }
            Change::DenialTold => {
                sqlx::query("UPDATE approvals SET denial_told = 1 WHERE id = ?")
                    .bind(&self.id)
                    .execute(&mut *connection)
                    .await?;
            }
        }
        let last = self.answers.into_iter().next_back();
        let decided = matches!(standing, Standing::Granted | Standing::Denied);
        let (by, comment) = match last {
            Some(answer) if decided => (Some(answer.by), answer.comment),
            _ => (None, None),
        };
        let expires_at = self.approval.expires_at();
        let answer = AskAnswer {
            approval: self.id,
            answer: standing,
            by,
            comment,
            expires_at,
        };
        Ok(Asked {
            answer,
            changed: told.change == Change::Spend,
        })
    }
}

async fn open(
    connection: &mut SqliteConnection,
    ask: &AskRequest,
    binding: &Binding,
    id: &str,
    now: UnixMillis,
) -> Result<Asked> {
    let subject = ask.principal.subject.clone();
    let approval = Approval::open(subject, ask.terms.clone(), now);
    let expires_at = approval.expires_at();
    let question = Question {
        principal: ask.principal.clone(),
        connection: ask.connection.clone(),
        operation: ask.operation.clone(),
        request: ask.request.clone(),
        content_type: ask.content_type.clone(),
        body: ask.body.clone(),
        rule: ask.rule.clone(),
        reason: ask.reason.clone(),
        terms: ask.terms.clone(),
        policy_version: ask.policy_version,
        digest: ask.digest.as_str().to_owned(),
        node: ask.node.name.clone(),
        record: ask.record.0.clone(),
    };
    sqlx::query(
        "INSERT INTO approvals (id, state, binding, question, subject, connection, rule, \
         asked_at, expires_at) VALUES (?, 'pending', ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(id)
    .bind(binding.as_str())
    .bind(serde_json::to_string(&question)?)
    .bind(&question.principal.subject)
    .bind(&question.connection)
    .bind(&question.rule)
    .bind(to_sql(now.0))
    .bind(to_sql(expires_at.0))
    .execute(&mut *connection)
    .await?;
    bind_record(connection, &ask.record, id, false).await?;
    let answer = AskAnswer {
        approval: id.to_owned(),
        answer: Standing::Pending,
        by: None,
        comment: None,
        expires_at,
    };
    Ok(Asked {
        answer,
        changed: true,
    })
}

async fn bind_record(
    connection: &mut SqliteConnection,
    record: &RecordId,
    approval: &str,
    granted: bool,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO approval_records (record, approval, granted) VALUES (?, ?, ?) \
         ON CONFLICT (record) DO UPDATE SET approval = excluded.approval, granted = excluded.granted",
    )
    .bind(&record.0)
    .bind(approval)
    .bind(granted)
    .execute(connection)
    .await?;
    Ok(())
}

async fn load(connection: &mut SqliteConnection, id: &str) -> Result<Option<Stored>> {
    let row = sqlx::query("SELECT * FROM approvals WHERE id = ?")
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    match row {
        Some(row) => Ok(Some(stored(connection, &row).await?)),
        None => Ok(None),
    }
}

async fn stored(connection: &mut SqliteConnection, row: &SqliteRow) -> Result<Stored> {
    let id: String = row.try_get("id")?;
    let answers =
        sqlx::query("SELECT * FROM approval_answers WHERE approval = ? ORDER BY position")
            .bind(&id)
            .fetch_all(connection)
            .await?
            .iter()
            .map(|row| {
                Ok(ApprovalAnswer {
                    by: row.try_get("by")?,
                    answer: named(row, "answer")?
                        .ok_or_else(|| StoreError::Corrupt("answer".to_owned()))?,
                    comment: row.try_get("comment")?,
                    at: instant(row, "at")?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
    let question: Question = serde_json::from_str(row.try_get("question")?)?;
    let optional = |column| -> Result<Option<UnixMillis>> {
        Ok(row
            .try_get::<Option<i64>, _>(column)?
            .map(|at| UnixMillis(from_sql(at))))
    };
    let approval = Approval {
        state: named(row, "state")?.ok_or_else(|| StoreError::Corrupt("state".to_owned()))?,
        subject: question.principal.subject.clone(),
        terms: question.terms.clone(),
        asked_at: instant(row, "asked_at")?,
        approved_at: optional("approved_at")?,
        approved_by: answers
            .iter()
            .filter(|answer| answer.answer == Answer::Approve)
            .map(|answer| answer.by.clone())
            .collect(),
        spent_by: row.try_get::<Option<String>, _>("spent_by")?.map(RecordId),
        denial_told: row.try_get("denial_told")?,
    };
    Ok(Stored {
        id,
        question,
        approval,
        answers,
        decided_at: optional("decided_at")?,
    })
}

async fn view(
    connection: &mut SqliteConnection,
    stored: Stored,
    now: UnixMillis,
) -> Result<chaperone_api::Approval> {
    let records: i64 =
        sqlx::query_scalar("SELECT count(*) FROM approval_records WHERE approval = ?")
            .bind(&stored.id)
            .fetch_one(connection)
            .await?;
    let Stored {
        id,
        question,
        approval,
        answers,
        decided_at,
    } = stored;
    Ok(chaperone_api::Approval {
        id,
        state: approval.state_at(now),
        principal: question.principal,
        connection: question.connection,
        operation: question.operation,
        request: question.request,
        content_type: question.content_type,
        body: question.body,
        rule: question.rule,
        reason: question.reason,
        policy_version: question.policy_version,
        digest: question.digest,
        node: question.node,
        record: question.record,
        records: from_sql(records),
        asked_at: approval.asked_at,
        expires_at: approval.expires_at(),
        decided_at,
        grant_ends_at: approval.grant_ends_at(),
        spent_by: approval.spent_by.map(|record| record.0),
        answers,
        terms: question.terms,
    })
}
