//! The trail.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chaperone_engine::audit::{
    ATTRIBUTES, AttributeShape, AttributeValue, RecordAttributes, RecordState, Unreadable,
};
use chaperone_engine::base::time::UnixMillis;

use super::{Memory, kept};
use crate::nodes::store::NodeRow;
use crate::store::{PageKey, Result};
use crate::trail::fold::{Group, Patch};
use crate::trail::store::{IncomingBatch, Missing, Record, RecordQuery, Store, StoredEvent, Taken};

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    records: BTreeMap<String, Record>,
    events: BTreeMap<(NodeRow, u64), Event>,
    position: u64,
}

#[derive(Debug, Clone)]
struct Event {
    record: String,
    stored_at: UnixMillis,
    json: Box<str>,
}

#[async_trait]
impl Store for Memory {
    async fn take(&self, batches: Vec<IncomingBatch>, now: UnixMillis) -> Result<Taken> {
        self.write(move |state| {
            let mut taken = Taken::default();
            let mut group = Group::default();
            for batch in batches {
                let (id, row) = state.nodes.ensure(&batch.node, now);
                let before = row.sequence.gaps().to_vec();
                let new = group.take(id, &mut row.sequence, batch.events);
                if row.sequence.gaps() != before {
                    taken.missing.push(Missing {
                        node: batch.node.clone(),
                        events: row.sequence.missing(),
                    });
                }
                row.events += new.events;
                row.dropped = row.dropped.max(kept(batch.dropped));
                row.closed = batch.closing;
                taken.stored += new.events;
                taken.unknown.extend(new.unknown(&batch.node));
                taken.acknowledged.push(row.sequence.acknowledged());
            }
            for row in group.rows() {
                let event = Event {
                    record: row.record.clone(),
                    stored_at: now,
                    json: row.json.clone(),
                };
                state.trail.events.insert((row.node, row.seq), event);
            }
            for (id, node, patch) in group.patches() {
                let patch = as_kept(patch);
                state.trail.position += 1;
                let position = state.trail.position;
                match state.trail.records.get_mut(id) {
                    Some(record) => {
                        merge(record, patch);
                        record.position = position;
                    }
                    None => {
                        let node = &state.nodes.rows[node].node;
                        let record = Record {
                            id: id.clone(),
                            node: node.name.clone(),
                            boot: node.boot.as_str().to_owned(),
                            state: patch.state,
                            received_at: patch.received_at,
                            position,
                            attributes: patch.attributes,
                        };
                        state.trail.records.insert(id.clone(), record);
                    }
                }
            }
            taken.position = state.trail.position;
            Ok(taken)
        })
        .await
    }

    async fn search(
        &self,
        query: &RecordQuery,
        after: Option<&PageKey>,
        limit: u32,
    ) -> Result<Vec<Record>> {
        let state = self.read().await;
        let mut found: Vec<_> = state
            .trail
            .records
            .values()
            .filter(|record| matches(query, record))
            .filter(|record| {
                after.is_none_or(|(at, id)| (record.received_at.0, &record.id) < (*at, id))
            })
            .cloned()
            .collect();
        found.sort_by(|a, b| (b.received_at, &b.id).cmp(&(a.received_at, &a.id)));
        found.truncate(limit as usize);
        Ok(found)
    }

    async fn changed_after(
        &self,
        query: &RecordQuery,
        position: u64,
        limit: u32,
    ) -> Result<Vec<Record>> {
        let state = self.read().await;
        let mut found: Vec<_> = state
            .trail
            .records
            .values()
            .filter(|record| record.position > position && matches(query, record))
            .cloned()
            .collect();
        found.sort_by_key(|record| record.position);
        found.truncate(limit as usize);
        Ok(found)
    }

    async fn position(&self) -> Result<u64> {
        Ok(self.read().await.trail.position)
    }

    async fn show(&self, id: &str) -> Result<Option<(Record, Vec<StoredEvent>)>> {
        let state = self.read().await;
        let Some(record) = state.trail.records.get(id) else {
            return Ok(None);
        };
        let events = state
            .trail
            .events
            .values()
            .filter(|event| event.record == id);
        let events = events.map(|event| StoredEvent {
            stored_at: event.stored_at,
            json: event.json.to_string(),
        });
        Ok(Some((record.clone(), events.collect())))
    }
}

/// A patch with its numbers as a database keeps them.
fn as_kept(patch: &Patch) -> Patch {
    let mut values = patch.attributes.values().into_iter();
    let attributes = RecordAttributes::read::<Unreadable>(|_| {
        let value = values.next().flatten();
        Ok(value.map(|value| match value.into_owned() {
            AttributeValue::Number(number) => AttributeValue::Number(kept(number)),
            value => value,
        }))
    });
    Patch {
        state: patch.state,
        received_at: UnixMillis(kept(patch.received_at.0)),
        attributes: attributes.unwrap(),
    }
}

fn merge(record: &mut Record, patch: Patch) {
    if patch.state != RecordState::Open {
        record.state = patch.state;
    }
    record.received_at = record.received_at.min(patch.received_at);
    record.attributes.merge(patch.attributes);
}

fn matches(query: &RecordQuery, record: &Record) -> bool {
    let RecordQuery {
        attributes,
        state,
        node,
        since,
        until,
        text,
    } = query;
    let values = record.attributes.values();
    let value = |name: &str| {
        let place = ATTRIBUTES
            .iter()
            .position(|attribute| attribute.name == name)?;
        values[place].as_ref()
    };
    let holds = |list: &AttributeValue<'_>, wanted: &AttributeValue<'_>| match (list, wanted) {
        (AttributeValue::Json(list), AttributeValue::Text(wanted)) => {
            let list: Vec<String> = serde_json::from_str(list).unwrap();
            list.contains(&wanted.to_string())
        }
        _ => false,
    };
    attributes.iter().all(|(attribute, wanted)| {
        value(attribute.name).is_some_and(|value| match (attribute.shape, wanted) {
            (AttributeShape::List, wanted) => holds(value, wanted),
            (_, AttributeValue::Number(wanted)) => *value == AttributeValue::Number(kept(*wanted)),
            (_, wanted) => value == wanted,
        })
    }) && state.is_none_or(|state| record.state == state)
        && node.as_ref().is_none_or(|node| record.node == *node)
        && since.is_none_or(|since| record.received_at.0 >= kept(since.0))
        && until.is_none_or(|until| record.received_at.0 < kept(until.0))
        && text.as_ref().is_none_or(|text| {
            let text = text.to_ascii_lowercase();
            ATTRIBUTES
                .iter()
                .zip(&values)
                .any(|(attribute, value)| match value {
                    Some(AttributeValue::Text(value)) if attribute.text => {
                        value.to_ascii_lowercase().contains(&text)
                    }
                    _ => false,
                })
        })
}
