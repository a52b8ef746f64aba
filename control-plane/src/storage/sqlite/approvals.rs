//! Approvals: asking and answering, each in one transaction.

use std::collections::HashMap;

use async_trait::async_trait;
use chaperone_engine::approval::{
    Answer, Approval, ApprovalState, Approver, Change, Standing, Told, take_question,
};
use chaperone_engine::audit::RecordId;
use chaperone_engine::base::time::{CLOCK_SLACK_MS, UnixMillis};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

use super::row::{instant, named};
use super::write::Write;
use super::{Database, from_sql, to_sql};
use crate::access::Identity;
use crate::approvals::store::{
    Answered, ApprovalQuery, Asked, Asking, Given, Question, Store, StoredApproval,
};
use crate::store::{PageKey, Result, StoreError};

#[async_trait]
impl Store for Database {
    async fn ask(&self, asking: &Asking, now: UnixMillis) -> Result<Asked> {
        let mut transaction = self.write().await?;
        let asked = ask(&mut transaction, asking, now).await?;
        transaction.commit().await?;
        Ok(asked)
    }

    async fn answer(
        &self,
        id: &str,
        by: &Identity,
        answer: Answer,
        comment: Option<&str>,
        now: UnixMillis,
    ) -> Result<Answered> {
        let mut transaction = self.write().await?;
        let Some(mut stored) = load(transaction.step().await?, id).await? else {
            transaction.rollback().await?;
            return Ok(Answered::Unknown);
        };
        let approver = Approver {
            subject: &by.subject,
            groups: &by.groups,
        };
        let state = match stored.approval.answer(answer, approver, now) {
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
        .bind(&by.subject)
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

    async fn expire(&self, now: UnixMillis) -> Result<Vec<String>> {
        const DUE: &str = "(state = 'pending' AND expires_at <= ?1) \
                           OR (state = 'approved' AND grant_ends_at <= ?1)";
        // Looking first, on a reader: mostly there is nothing to do, and the writer has other work.
        let mut look = QueryBuilder::<Sqlite>::new("SELECT 1 FROM approvals WHERE ");
        look.push(DUE).push(" OR ").push(AHEAD).push(" LIMIT 1");
        let due = look.build().bind(to_sql(now.0)).bind(clock_ahead(now));
        if due.fetch_optional(self.read()).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut transaction = self.write().await?;
        let corrected = correct_clock(&mut transaction, now).await?;
        let mut update =
            QueryBuilder::<Sqlite>::new("UPDATE approvals SET state = 'expired' WHERE ");
        update.push(DUE).push(" RETURNING id");
        let rows = update
            .build()
            .bind(to_sql(now.0))
            .fetch_all(transaction.step().await?)
            .await?;
        transaction.commit().await?;
        if corrected > 0 {
            tracing::warn!(
                corrected,
                "the clock was set back: open questions and grants run from now"
            );
        }
        let ids = rows.iter().map(|row| Ok(row.try_get("id")?));
        let mut ids = ids.collect::<Result<Vec<String>>>()?;
        ids.sort();
        Ok(ids)
    }

    async fn states(
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
        let mut known = HashMap::new();
        for row in &rows {
            let state: ApprovalState = named(row, "state_now")?.unwrap_or(ApprovalState::Expired);
            known.insert(row.try_get::<String, _>("id")?, state);
        }
        let states = ids.iter().map(|id| {
            let state = known.get(id).copied().unwrap_or(ApprovalState::Expired);
            (id.clone(), state)
        });
        Ok(states.collect())
    }

    async fn show(&self, id: &str) -> Result<Option<(StoredApproval, u64)>> {
        // One transaction, so that nobody answers between question, answers and records.
        let mut transaction = self.read().begin().await?;
        match load(&mut transaction, id).await? {
            Some(stored) => Ok(Some(with_records(&mut transaction, stored).await?)),
            None => Ok(None),
        }
    }

    async fn search(
        &self,
        query: &ApprovalQuery,
        after: Option<&PageKey>,
        limit: u32,
        now: UnixMillis,
    ) -> Result<Vec<(StoredApproval, u64)>> {
        let mut sql =
            QueryBuilder::<Sqlite>::new(format!("SELECT {LISTED} FROM approvals WHERE 1 = 1"));
        if let Some(state) = query.state {
            sql.push(" AND ");
            push_state_at(&mut sql, now);
            sql.push(" = ").push_bind(state.as_str());
        }
        let equal = [
            (" AND subject = ", &query.subject),
            (" AND connection = ", &query.connection),
            (" AND rule = ", &query.rule),
        ];
        for (condition, value) in equal {
            if let Some(value) = value {
                sql.push(condition).push_bind(value);
            }
        }
        if let Some((at, id)) = after {
            sql.push(" AND (asked_at, id) < (")
                .push_bind(to_sql(*at))
                .push(", ")
                .push_bind(id)
                .push(")");
        }
        sql.push(" ORDER BY asked_at DESC, id DESC LIMIT ")
            .push_bind(limit);
        // One transaction, as in `show`.
        let mut transaction = self.read().begin().await?;
        let rows = sql.build().fetch_all(&mut *transaction).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let stored = stored(&mut transaction, row).await?;
            found.push(with_records(&mut transaction, stored).await?);
        }
        Ok(found)
    }

    async fn pending(&self, now: UnixMillis) -> Result<u64> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM approvals WHERE state = 'pending' AND expires_at > ?",
        )
        .bind(to_sql(now.0))
        .fetch_one(self.read())
        .await?;
        Ok(from_sql(count))
    }
}

/// The columns that [`stored`] reads, but for the content of the question's body. Where there is no
/// content, none is put in.
const LISTED: &str = "id, state, json_replace(question, '$.body.content', json('{\"text\":\"\"}')) \
                      AS question, asked_at, approved_at, decided_at, spent_by, denial_told";

/// The rows that [`Approval::correct_clock`] would change; the second parameter is [`clock_ahead`].
const AHEAD: &str = "(state IN ('pending', 'approved') \
                     AND max(asked_at, coalesce(approved_at, 0)) > ?2)";

/// No instant that was read from the clock before lies beyond.
fn clock_ahead(now: UnixMillis) -> i64 {
    to_sql(now.saturating_add(CLOCK_SLACK_MS).0)
}

/// Takes back instants that were read from a clock that ran ahead, and says of how many questions.
async fn correct_clock(transaction: &mut Write, now: UnixMillis) -> Result<usize> {
    // Parameters have numbers, so the first one is there although nothing uses it.
    let mut ahead = QueryBuilder::<Sqlite>::new("SELECT * FROM approvals WHERE ");
    let rows = ahead
        .push(AHEAD)
        .build()
        .bind(to_sql(now.0))
        .bind(clock_ahead(now))
        .fetch_all(transaction.step().await?)
        .await?;
    for row in &rows {
        let mut stored = stored(transaction.step().await?, row).await?;
        let approval = &mut stored.approval;
        approval.correct_clock(now);
        sqlx::query(
            "UPDATE approvals SET asked_at = ?, expires_at = ?, approved_at = ?, grant_ends_at = ? \
             WHERE id = ?",
        )
        .bind(to_sql(approval.asked_at.0))
        .bind(to_sql(approval.expires_at().0))
        .bind(approval.approved_at.map(|at| to_sql(at.0)))
        .bind(approval.grant_ends_at().map(|at| to_sql(at.0)))
        .bind(&stored.id)
        .execute(transaction.step().await?)
        .await?;
    }
    Ok(rows.len())
}

/// The state at this instant, as [`Approval::state_at`] says it.
fn push_state_at(query: &mut QueryBuilder<Sqlite>, now: UnixMillis) {
    query
        .push("CASE WHEN state = 'pending' AND expires_at <= ")
        .push_bind(to_sql(now.0))
        .push(" THEN 'expired' WHEN state = 'approved' AND grant_ends_at <= ")
        .push_bind(to_sql(now.0))
        .push(" THEN 'expired' ELSE state END");
}

async fn ask(transaction: &mut Write, asking: &Asking, now: UnixMillis) -> Result<Asked> {
    let record = &asking.question.record;
    let before = sqlx::query("SELECT approval, granted FROM approval_records WHERE record = ?")
        .bind(&record.0)
        .fetch_optional(transaction.step().await?)
        .await?;
    if let Some(row) = before {
        let id: String = row.try_get("approval")?;
        let granted: bool = row.try_get("granted")?;
        if let Some(stored) = load(transaction.step().await?, &id).await?
            && let Some(told) = stored.approval.tell_again(record, granted, now)
        {
            return settle(transaction, &stored, record, told).await;
        }
    }
    let rows = sqlx::query(
        "SELECT * FROM approvals WHERE binding = ? AND state IN ('approved', 'pending', 'denied') \
         AND denial_told = 0 ORDER BY asked_at DESC, id DESC",
    )
    .bind(asking.binding.as_str())
    .fetch_all(transaction.step().await?)
    .await?;
    let mut candidates = Vec::with_capacity(rows.len());
    for row in &rows {
        candidates.push(stored(transaction.step().await?, row).await?);
    }
    let questions = candidates.iter().map(|stored| &stored.approval);
    if let Some((place, told)) = take_question(questions, now) {
        return settle(transaction, &candidates[place], record, told).await;
    }
    open(transaction, asking, now).await
}

/// Writes down the answer that the record was told, and gives it.
async fn settle(
    transaction: &mut Write,
    stored: &StoredApproval,
    record: &RecordId,
    told: Told,
) -> Result<Asked> {
    let granted = told.standing == Standing::Granted;
    bind_record(transaction.step().await?, record, &stored.id, granted).await?;
    match told.change {
        Change::None => {}
        Change::Spend => {
            sqlx::query("UPDATE approvals SET state = 'spent', spent_by = ? WHERE id = ?")
                .bind(&record.0)
                .bind(&stored.id)
                .execute(transaction.step().await?)
                .await?;
        }
        Change::DenialTold => {
            sqlx::query("UPDATE approvals SET denial_told = 1 WHERE id = ?")
                .bind(&stored.id)
                .execute(transaction.step().await?)
                .await?;
        }
    }
    Ok(stored.told(told))
}

async fn open(transaction: &mut Write, asking: &Asking, now: UnixMillis) -> Result<Asked> {
    let counts = sqlx::query(
        "SELECT count(*) AS in_all, coalesce(sum(subject = ?), 0) AS of_subject FROM approvals \
         WHERE state = 'pending' AND expires_at > ?",
    )
    .bind(&asking.question.principal.subject)
    .bind(to_sql(now.0))
    .fetch_one(transaction.step().await?)
    .await?;
    let count = |column| -> Result<u64> { Ok(from_sql(counts.try_get(column)?)) };
    if !asking
        .limits
        .have_room(count("of_subject")?, count("in_all")?)
    {
        return Ok(Asked::too_many(now));
    }
    let opened = StoredApproval::open(asking.new_id.clone(), asking.question.clone(), now);
    let question = &opened.question;
    sqlx::query(
        "INSERT INTO approvals (id, state, binding, question, subject, connection, rule, \
         asked_at, expires_at) VALUES (?, 'pending', ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&opened.id)
    .bind(asking.binding.as_str())
    .bind(serde_json::to_string(question)?)
    .bind(&question.principal.subject)
    .bind(&question.connection)
    .bind(&question.rule)
    .bind(to_sql(now.0))
    .bind(to_sql(opened.approval.expires_at().0))
    .execute(transaction.step().await?)
    .await?;
    bind_record(
        transaction.step().await?,
        &question.record,
        &opened.id,
        false,
    )
    .await?;
    Ok(opened.opened())
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

async fn load(connection: &mut SqliteConnection, id: &str) -> Result<Option<StoredApproval>> {
    let row = sqlx::query("SELECT * FROM approvals WHERE id = ?")
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    match row {
        Some(row) => Ok(Some(stored(connection, &row).await?)),
        None => Ok(None),
    }
}

async fn stored(connection: &mut SqliteConnection, row: &SqliteRow) -> Result<StoredApproval> {
    let id: String = row.try_get("id")?;
    let answers =
        sqlx::query("SELECT * FROM approval_answers WHERE approval = ? ORDER BY position")
            .bind(&id)
            .fetch_all(connection)
            .await?
            .iter()
            .map(|row| {
                Ok(Given {
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
            .filter(|given| given.answer == Answer::Approve)
            .map(|given| given.by.clone())
            .collect(),
        spent_by: row.try_get::<Option<String>, _>("spent_by")?.map(RecordId),
        denial_told: row.try_get("denial_told")?,
    };
    Ok(StoredApproval {
        id,
        question,
        approval,
        answers,
        decided_at: optional("decided_at")?,
    })
}

/// With how many records have asked.
async fn with_records(
    connection: &mut SqliteConnection,
    stored: StoredApproval,
) -> Result<(StoredApproval, u64)> {
    let records: i64 =
        sqlx::query_scalar("SELECT count(*) FROM approval_records WHERE approval = ?")
            .bind(&stored.id)
            .fetch_one(connection)
            .await?;
    Ok((stored, from_sql(records)))
}
