//! Approvals.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use async_trait::async_trait;
use chaperone_engine::approval::{
    Answer, ApprovalState, Approver, Binding, Change, Standing, take_question,
};
use chaperone_engine::audit::{Body, RecordId};
use chaperone_engine::base::time::UnixMillis;

use super::{Memory, duplicate};
use crate::access::Identity;
use crate::approvals::store::{
    Answered, ApprovalQuery, Asked, Asking, Given, Store, StoredApproval,
};
use crate::store::{PageKey, Result};

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    approvals: BTreeMap<String, (Binding, StoredApproval)>,
    /// The question of a record, and whether it was let through.
    records: BTreeMap<RecordId, (String, bool)>,
}

impl State {
    /// The answers that records were told: the question of each, and whether it was let through.
    pub(super) fn told(&self) -> Vec<(String, String, bool)> {
        let told = self.records.iter();
        told.map(|(record, (id, granted))| (record.0.clone(), id.clone(), *granted))
            .collect()
    }

    /// How many records have asked.
    fn records(&self, approval: &str) -> u64 {
        self.records
            .values()
            .filter(|(id, _)| id == approval)
            .count() as u64
    }

    /// The answer that the record is told; changes the state as that answer does.
    fn ask(&mut self, asking: &Asking, now: UnixMillis) -> Asked {
        let record = &asking.question.record;
        if let Some((id, granted)) = self.records.get(record).cloned()
            && let Some((_, stored)) = self.approvals.get(&id)
            && let Some(told) = stored.approval.tell_again(record, granted, now)
        {
            return self.settle(&id, record, told);
        }
        let same = self
            .approvals
            .values()
            .filter(|(binding, _)| *binding == asking.binding);
        let mut same: Vec<&StoredApproval> = same.map(|(_, stored)| stored).collect();
        same.sort_by_key(|stored| Reverse((stored.approval.asked_at, &stored.id)));
        if let Some((place, told)) = take_question(same.iter().map(|stored| &stored.approval), now)
        {
            let id = same[place].id.clone();
            return self.settle(&id, record, told);
        }
        let pending =
            |stored: &&StoredApproval| stored.approval.state_at(now) == ApprovalState::Pending;
        let pending = self
            .approvals
            .values()
            .map(|(_, stored)| stored)
            .filter(pending);
        let subject = &asking.question.principal.subject;
        let (mut of_subject, mut in_all) = (0, 0);
        for stored in pending {
            in_all += 1;
            of_subject += u64::from(stored.approval.subject == *subject);
        }
        if !asking.limits.have_room(of_subject, in_all) {
            return Asked::too_many(now);
        }
        let id = asking.new_id.clone();
        let opened = StoredApproval::open(id.clone(), asking.question.clone(), now);
        let asked = opened.opened();
        self.approvals
            .insert(id.clone(), (asking.binding.clone(), opened));
        self.records.insert(record.clone(), (id, false));
        asked
    }

    fn settle(
        &mut self,
        id: &str,
        record: &RecordId,
        told: chaperone_engine::approval::Told,
    ) -> Asked {
        let granted = told.standing == Standing::Granted;
        self.records
            .insert(record.clone(), (id.to_owned(), granted));
        let (_, stored) = self.approvals.get_mut(id).unwrap();
        if told.change != Change::None {
            stored.approval.apply(told.change, record);
        }
        stored.told(told)
    }
}

#[async_trait]
impl Store for Memory {
    async fn ask(&self, asking: &Asking, now: UnixMillis) -> Result<Asked> {
        self.write(|state| {
            let approvals = &mut state.approvals;
            let taken = approvals.approvals.contains_key(&asking.new_id);
            let asked = approvals.ask(asking, now);
            let opened = asked.changed && asked.answer.answer == Standing::Pending;
            if taken && opened {
                return Err(duplicate("the id of a question"));
            }
            Ok(asked)
        })
        .await
    }

    async fn answer(
        &self,
        id: &str,
        by: &Identity,
        answer: Answer,
        comment: Option<&str>,
        now: UnixMillis,
    ) -> Result<Answered> {
        self.write(|state| {
            let Some((_, stored)) = state.approvals.approvals.get_mut(id) else {
                return Ok(Answered::Unknown);
            };
            let approver = Approver {
                subject: &by.subject,
                groups: &by.groups,
            };
            let after = match stored.approval.answer(answer, approver, now) {
                Ok(after) => after,
                Err(conflict) => return Ok(Answered::Refused(conflict)),
            };
            stored.answers.push(Given {
                by: by.subject.clone(),
                answer,
                comment: comment.map(str::to_owned),
                at: now,
            });
            stored.decided_at = (after != ApprovalState::Pending).then_some(now);
            Ok(Answered::Done)
        })
        .await
    }

    async fn expire(&self, now: UnixMillis) -> Result<Vec<String>> {
        self.write(|state| {
            let mut expired = Vec::new();
            for (id, (_, stored)) in &mut state.approvals.approvals {
                let approval = &mut stored.approval;
                approval.correct_clock(now);
                if approval.state != ApprovalState::Expired
                    && approval.state_at(now) == ApprovalState::Expired
                {
                    approval.state = ApprovalState::Expired;
                    expired.push(id.clone());
                }
            }
            Ok(expired)
        })
        .await
    }

    async fn states(
        &self,
        ids: &[String],
        now: UnixMillis,
    ) -> Result<Vec<(String, ApprovalState)>> {
        let state = self.read().await;
        let states = ids.iter().map(|id| {
            let known = state.approvals.approvals.get(id);
            let state = known.map_or(ApprovalState::Expired, |(_, stored)| {
                stored.approval.state_at(now)
            });
            (id.clone(), state)
        });
        Ok(states.collect())
    }

    async fn show(&self, id: &str) -> Result<Option<(StoredApproval, u64)>> {
        let state = self.read().await;
        let found = state.approvals.approvals.get(id);
        Ok(found.map(|(_, stored)| (stored.clone(), state.approvals.records(id))))
    }

    async fn search(
        &self,
        query: &ApprovalQuery,
        after: Option<&PageKey>,
        limit: u32,
        now: UnixMillis,
    ) -> Result<Vec<(StoredApproval, u64)>> {
        let state = self.read().await;
        let equal = |wanted: &Option<String>, is: &String| wanted.as_ref().is_none_or(|w| w == is);
        let key = |stored: &StoredApproval| (stored.approval.asked_at.0, stored.id.clone());
        let mut found: Vec<StoredApproval> = state
            .approvals
            .approvals
            .values()
            .map(|(_, stored)| stored)
            .filter(|stored| {
                query
                    .state
                    .is_none_or(|state| stored.approval.state_at(now) == state)
                    && equal(&query.subject, &stored.question.principal.subject)
                    && equal(&query.connection, &stored.question.connection)
                    && equal(&query.rule, &stored.question.rule)
                    && after.is_none_or(|after| key(stored) < *after)
            })
            .cloned()
            .collect();
        for stored in &mut found {
            if let Some(body) = &mut stored.question.body {
                body.content = Body::Text(String::new());
            }
        }
        found.sort_by_key(|stored| Reverse(key(stored)));
        found.truncate(limit as usize);
        let found = found.into_iter().map(|stored| {
            let records = state.approvals.records(&stored.id);
            (stored, records)
        });
        Ok(found.collect())
    }

    async fn pending(&self, now: UnixMillis) -> Result<u64> {
        let state = self.read().await;
        let pending = state
            .approvals
            .approvals
            .values()
            .filter(|(_, stored)| stored.approval.state_at(now) == ApprovalState::Pending);
        Ok(pending.count() as u64)
    }
}
