//! The duties of a store of the trail.

mod both;

use std::collections::BTreeMap;

use chaperone_engine::audit::{
    ATTRIBUTES, AbortCause, Aggregated, ApprovalOutcome, AttributeShape, AttributeValue, Event,
    EventKind, ReadEvent, RecordId, RecordState, RequestLine, Timings,
};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::identity::Principal;
use chaperone_engine::link::NodeId;
use chaperone_engine::policy::Effect;
use chaperone_engine::upstreams::Operation;

use super::{Bench, Tested, for_each_store, interrupted_everywhere};
pub(super) use crate::trail::store::Store as Trail;
use crate::trail::store::{IncomingBatch, RecordQuery, Store, StoredEvent, Taken};

for_each_store!(
    what_was_taken_is_read_back,
    a_batch_that_comes_again_is_stored_once,
    an_event_of_a_later_version_is_stored_as_it_came,
    batches_of_one_node_go_on_where_the_one_before_ended,
    numbers_that_never_came_are_missing_until_they_come,
    a_record_is_the_same_however_its_events_were_cut,
    every_attribute_can_be_asked_for,
    records_are_found_by_what_is_no_attribute,
    text_is_found_in_any_case_and_is_no_pattern,
    whoever_reads_on_in_the_order_of_changes_misses_nothing,
    pages_go_on_where_the_one_before_ended,
    two_writers_store_every_event_once,
    a_record_is_read_with_the_events_that_made_it,
    numbers_beyond_a_databases_are_its_largest,
    no_number_that_a_node_makes_up_is_too_large_to_add,
    many_refused_requests_are_one_record,
    taking_is_whole,
);

/// The attribute that only a record of many refused requests has.
const OF_MANY: &str = "requests";

/// A life of a node.
fn node(n: u64) -> NodeId {
    NodeId {
        name: format!("envoy-{n}"),
        boot: serde_json::from_value(format!("{n:032x}").into()).unwrap(),
    }
}

fn record_id(node: &NodeId, stream: u64) -> String {
    RecordId::new(&node.boot, stream).0
}

/// The `step`th event of a record in which every attribute is said.
fn event(node: &NodeId, stream: u64, seq: u64, step: u64) -> Event {
    let kind = match step {
        0 => EventKind::Received {
            request: RequestLine {
                method: "POST".to_owned(),
                host: "api.example.com".to_owned(),
                path: format!("/v1/Chat/{stream}"),
                query: Some("stream=100%".to_owned()),
            },
            principal: Some(Principal {
                issuer: "https://issuer.example.com".to_owned(),
                subject: format!("user-{stream}"),
                groups: vec!["dev".to_owned(), "ops".to_owned()],
                agent: Some("cli".to_owned()),
                session: Some("s-1".to_owned()),
            }),
            token_owner: None,
            source: Some("203.0.113.7".to_owned()),
            user_agent: Some("cli/1.0".to_owned()),
            connection: Some("models".to_owned()),
            operation: Some(Operation {
                action: "POST /v1/chat".to_owned(),
                attributes: BTreeMap::from([("model".to_owned(), "m".to_owned())]),
            }),
            policy_version: Some(3),
            request_id: Some("rq-1".to_owned()),
            taken: vec!["x-forwarded-for".to_owned(), "session_id".to_owned()],
        },
        1 => EventKind::Held {
            approval: "ap-1".to_owned(),
            rule: "ask".to_owned(),
        },
        2 => EventKind::Decided {
            effect: Effect::Allow,
            rule: None,
            reason: "Somebody said yes.".to_owned(),
            code: Some("approved".to_owned()),
            approval: Some(ApprovalOutcome {
                id: "ap-1".to_owned(),
                by: Some("bob".to_owned()),
            }),
        },
        3 => EventKind::ResponseStarted { status: 200 },
        _ => EventKind::Aborted {
            cause: AbortCause::Upstream,
            timings: Timings {
                decided_ms: 5,
                first_byte_ms: Some(7),
                total_ms: 9,
                request_bytes: 11,
                response_bytes: 13,
                masked: BTreeMap::from([("github-pat".to_owned(), 2)]),
                ..Timings::default()
            },
        },
    };
    Event {
        seq,
        record: RecordId::new(&node.boot, stream),
        at: UnixMillis(1000 + stream * 10 + step),
        kind,
    }
}

fn batch(node: &NodeId, events: Vec<Event>) -> IncomingBatch {
    let events = events.into_iter().map(|event| {
        let json = serde_json::to_string(&event).unwrap();
        (ReadEvent::Known(event), json.into())
    });
    IncomingBatch::new(node.clone(), 0, false, events.collect()).unwrap()
}

/// All five events of a record, numbered from `seq` on.
fn life(node: &NodeId, stream: u64, seq: u64) -> Vec<Event> {
    (0..5)
        .map(|step| event(node, stream, seq + step, step))
        .collect()
}

/// Stores one event of this life, with this number.
pub(super) async fn store_one(store: &impl Store, node: &NodeId, seq: u64) {
    take(store, vec![batch(node, vec![event(node, 1, seq, 0)])]).await;
}

async fn take(store: &impl Store, batches: Vec<IncomingBatch>) -> Taken {
    store.take(batches, UnixMillis(5000)).await.unwrap()
}

async fn after(store: &impl Store, position: u64) -> Vec<String> {
    let all = RecordQuery::default();
    let found = store.changed_after(&all, position, 100).await.unwrap();
    found.into_iter().map(|record| record.id).collect()
}

async fn ids(store: &impl Store, query: &RecordQuery) -> Vec<String> {
    let found = store.search(query, None, 100).await.unwrap();
    found.into_iter().map(|record| record.id).collect()
}

async fn what_was_taken_is_read_back<S: Tested + Store>(bench: Bench<S>) {
    let node = node(1);
    let events = life(&node, 1, 1);
    let taken = take(&bench.store, vec![batch(&node, events.clone())]).await;
    assert_eq!(taken.acknowledged, [5]);
    assert_eq!(taken.stored, 5);
    assert_eq!(taken.position, 1);
    assert_eq!(taken.missing, []);

    // Another control plane reads the same.
    let other = bench.another().await;
    let (record, stored) = other.show(&record_id(&node, 1)).await.unwrap().unwrap();
    assert_eq!(record.node, "envoy-1");
    assert_eq!(record.boot, node.boot.as_str());
    assert_eq!(record.state, RecordState::Aborted);
    assert_eq!(record.received_at, UnixMillis(1010));
    for (attribute, value) in ATTRIBUTES.iter().zip(record.attributes.values()) {
        assert!(
            value.is_some() || attribute.name == OF_MANY,
            "no event of this test says {}",
            attribute.name
        );
    }
    let stored_at = UnixMillis(5000);
    let events = events.into_iter().map(|event| StoredEvent {
        stored_at,
        json: serde_json::to_string(&event).unwrap(),
    });
    assert_eq!(stored, events.collect::<Vec<_>>());
    assert_eq!(other.show("none").await.unwrap(), None);
}

async fn a_batch_that_comes_again_is_stored_once<S: Tested + Store>(bench: Bench<S>) {
    let node = node(1);
    take(&bench.store, vec![batch(&node, life(&node, 1, 1))]).await;
    let again = take(&bench.store, vec![batch(&node, life(&node, 1, 1))]).await;
    assert_eq!(
        again,
        Taken {
            acknowledged: vec![5],
            position: 1,
            ..Taken::default()
        }
    );
    let (_, events) = bench
        .store
        .show(&record_id(&node, 1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(events.len(), 5);
}

async fn an_event_of_a_later_version_is_stored_as_it_came<S: Tested + Store>(bench: Bench<S>) {
    let node = node(1);
    let id = record_id(&node, 1);
    let said = [
        r#""stage":"scanned","by": ["x"]"#,
        r#""stage":"aborted","cause":"weather""#,
    ];
    let events = (1..).zip(said).map(|(seq, said)| {
        let json = format!(r#"{{"seq":{seq},"record":"{id}","at":{seq},{said}}}"#);
        (ReadEvent::read(&json).unwrap(), json.into())
    });
    let events: Vec<_> = events.collect();
    let later = IncomingBatch::new(node.clone(), 0, false, events.clone()).unwrap();
    let taken = take(&bench.store, vec![later.clone()]).await;
    assert_eq!((taken.stored, taken.unknown.len()), (2, 1));
    let unknown = &taken.unknown[0];
    assert_eq!((&unknown.node, unknown.events), (&node, 2));
    assert_eq!(unknown.stage, "scanned");
    let again = take(&bench.store, vec![later]).await;
    assert_eq!((again.stored, again.unknown), (0, vec![]));

    let (record, stored) = bench.store.show(&id).await.unwrap().unwrap();
    assert_eq!(record.state, RecordState::Aborted);
    assert_eq!(record.attributes.ended_at, Some(UnixMillis(2)));
    for ((_, json), stored) in events.iter().zip(&stored) {
        assert_eq!(stored.json, **json);
    }
}

async fn many_refused_requests_are_one_record<S: Tested + Store>(bench: Bench<S>) {
    let node = node(1);
    let many = Event {
        seq: 1,
        record: RecordId::new(&node.boot, 1),
        at: UnixMillis(20_000),
        kind: EventKind::Aggregated(Aggregated {
            requests: 17_000,
            first: UnixMillis(9_000),
            last: UnixMillis(19_000),
            code: Some("token_missing".to_owned()),
            status: 401,
            source: Some("203.0.113.7".to_owned()),
            token_owner: None,
            examples: Vec::new(),
        }),
    };
    take(&bench.store, vec![batch(&node, vec![many])]).await;
    take(&bench.store, vec![batch(&node, life(&node, 2, 2))]).await;
    let id = record_id(&node, 1);
    let (record, _) = bench.store.show(&id).await.unwrap().unwrap();
    assert_eq!(record.state, RecordState::Aggregated);
    assert_eq!(record.received_at, UnixMillis(9_000));
    assert_eq!(record.attributes.requests, Some(17_000));
    assert_eq!(record.attributes.ended_at, Some(UnixMillis(19_000)));
    let attribute = ATTRIBUTES.iter().find(|known| known.name == OF_MANY);
    let requests = (attribute.unwrap(), AttributeValue::Number(17_000));
    for query in [
        RecordQuery {
            state: Some(RecordState::Aggregated),
            ..RecordQuery::default()
        },
        RecordQuery {
            attributes: vec![requests],
            ..RecordQuery::default()
        },
    ] {
        assert_eq!(ids(&bench.store, &query).await, [id.as_str()]);
    }
}

async fn batches_of_one_node_go_on_where_the_one_before_ended<S: Tested + Store>(bench: Bench<S>) {
    let (one, two) = (node(1), node(2));
    let taken = take(
        &bench.store,
        vec![
            batch(&one, life(&one, 1, 1)),
            batch(&two, life(&two, 1, 1)),
            batch(&one, life(&one, 2, 6)),
            batch(&one, life(&one, 2, 6)),
        ],
    )
    .await;
    assert_eq!(taken.acknowledged, [5, 5, 10, 10]);
    assert_eq!(taken.stored, 15);
    assert_eq!(taken.position, 3);
    let changed = [(&one, 1), (&two, 1), (&one, 2)];
    let changed = changed.map(|(node, n)| record_id(node, n));
    assert_eq!(after(&bench.store, 0).await, changed);
}

async fn numbers_that_never_came_are_missing_until_they_come<S: Tested + Store>(bench: Bench<S>) {
    let node = node(1);
    let late = take(&bench.store, vec![batch(&node, life(&node, 2, 6))]).await;
    assert_eq!(late.acknowledged, [10]);
    assert_eq!(late.missing.len(), 1);
    assert_eq!((&late.missing[0].node, late.missing[0].events), (&node, 5));

    let other = bench.another().await;
    let some = take(&other, vec![batch(&node, life(&node, 1, 1)[1..3].to_vec())]).await;
    assert_eq!((some.acknowledged[0], some.stored), (10, 2));
    assert_eq!(some.missing[0].events, 3);

    let rest = take(&bench.store, vec![batch(&node, life(&node, 1, 1))]).await;
    assert_eq!(rest.stored, 3);
    assert_eq!(rest.missing[0].events, 0);
}

async fn a_record_is_the_same_however_its_events_were_cut<S: Tested + Store>(bench: Bench<S>) {
    let store = &bench.store;
    let whole = node(1);
    take(store, vec![batch(&whole, life(&whole, 1, 1))]).await;
    let (expected, _) = store.show(&record_id(&whole, 1)).await.unwrap().unwrap();
    for cut in 1..5 {
        let node = node(1 + cut as u64);
        let events = life(&node, 1, 1);
        take(store, vec![batch(&node, events[..cut].to_vec())]).await;
        take(store, vec![batch(&node, events[cut..].to_vec())]).await;
        let (record, _) = store.show(&record_id(&node, 1)).await.unwrap().unwrap();
        assert_eq!(
            record.attributes, expected.attributes,
            "cut before event {cut}"
        );
        assert_eq!(record.state, expected.state);
        assert_eq!(record.received_at, expected.received_at);
    }
}

async fn every_attribute_can_be_asked_for<S: Tested + Store>(bench: Bench<S>) {
    let node = node(1);
    take(&bench.store, vec![batch(&node, life(&node, 1, 1))]).await;
    let id = record_id(&node, 1);
    let (record, _) = bench.store.show(&id).await.unwrap().unwrap();
    for (attribute, value) in ATTRIBUTES.iter().zip(record.attributes.values()) {
        let (right, wrong) = match (attribute.shape, value) {
            (AttributeShape::Object, _) => continue,
            (AttributeShape::List, Some(AttributeValue::Json(list))) => {
                let list: Vec<String> = serde_json::from_str(&list).unwrap();
                let last = list.last().unwrap().clone();
                (
                    AttributeValue::Text(last.into()),
                    AttributeValue::Text("other".into()),
                )
            }
            (AttributeShape::Number, Some(value)) => (value, AttributeValue::Number(4_000_000)),
            (_, Some(value)) => (value, AttributeValue::Text("other".into())),
            (_, None) if attribute.name == OF_MANY => continue,
            (_, None) => panic!("no event of this test says {}", attribute.name),
        };
        for (value, found) in [(right, vec![id.clone()]), (wrong, vec![])] {
            let query = RecordQuery {
                attributes: vec![(attribute, value.clone().into_owned())],
                ..RecordQuery::default()
            };
            assert_eq!(
                ids(&bench.store, &query).await,
                found,
                "{} {value:?}",
                attribute.name
            );
            let changed = bench.store.changed_after(&query, 0, 100).await.unwrap();
            assert_eq!(changed.len(), found.len());
        }
    }
}

async fn records_are_found_by_what_is_no_attribute<S: Tested + Store>(bench: Bench<S>) {
    let (one, two) = (node(1), node(2));
    let open = life(&two, 2, 1)[..2].to_vec();
    take(
        &bench.store,
        vec![batch(&one, life(&one, 1, 1)), batch(&two, open)],
    )
    .await;
    let (first, second) = (record_id(&one, 1), record_id(&two, 2));
    let all = RecordQuery::default();
    let queries = [
        (all.clone(), vec![&second, &first]),
        (
            RecordQuery {
                node: Some("envoy-2".to_owned()),
                ..all.clone()
            },
            vec![&second],
        ),
        (
            RecordQuery {
                state: Some(RecordState::Open),
                ..all.clone()
            },
            vec![&second],
        ),
        (
            RecordQuery {
                state: Some(RecordState::Completed),
                ..all.clone()
            },
            vec![],
        ),
        (
            RecordQuery {
                since: Some(UnixMillis(1020)),
                ..all.clone()
            },
            vec![&second],
        ),
        (
            RecordQuery {
                until: Some(UnixMillis(1020)),
                ..all.clone()
            },
            vec![&first],
        ),
    ];
    for (query, expected) in queries {
        let found = ids(&bench.store, &query).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query:?}");
    }
}

/// Events that arrive late, and changes of old records, come after all that was read before.
async fn whoever_reads_on_in_the_order_of_changes_misses_nothing<S: Tested + Store>(
    bench: Bench<S>,
) {
    let (one, two) = (node(1), node(2));
    assert_eq!(bench.store.position().await.unwrap(), 0);
    let whole = life(&one, 1, 1);
    take(&bench.store, vec![batch(&one, whole[..2].to_vec())]).await;
    take(&bench.store, vec![batch(&two, life(&two, 1, 1))]).await;
    let (first, second) = (record_id(&one, 1), record_id(&two, 1));
    assert_eq!(
        after(&bench.store, 0).await,
        [first.clone(), second.clone()]
    );

    // Another control plane goes on with the same numbers.
    let other = bench.another().await;
    assert_eq!(other.position().await.unwrap(), 2);
    take(&other, vec![batch(&one, whole[2..].to_vec())]).await;
    assert_eq!(after(&bench.store, 2).await, std::slice::from_ref(&first));
    assert_eq!(after(&bench.store, 0).await, [second.clone(), first]);
    assert_eq!(bench.store.position().await.unwrap(), 3);

    let all = RecordQuery::default();
    let page = bench.store.changed_after(&all, 0, 1).await.unwrap();
    assert_eq!(
        page.iter().map(|record| &record.id).collect::<Vec<_>>(),
        [&second]
    );
    assert_eq!(page[0].position, 2);

    // The same events once more change nothing.
    take(&other, vec![batch(&two, life(&two, 1, 1))]).await;
    assert_eq!(after(&bench.store, 3).await, [] as [String; 0]);
}

async fn text_is_found_in_any_case_and_is_no_pattern<S: Tested + Store>(bench: Bench<S>) {
    let node = node(1);
    take(&bench.store, vec![batch(&node, life(&node, 1, 1))]).await;
    for (text, found) in [
        ("v1/chat/1", 1),
        ("CHAT", 1),
        ("api.example", 1),
        ("somebody said", 1),
        ("v1%chat", 0),
        ("v1_chat", 0),
        // In the query and in the subject, which a search for text does not look at.
        ("stream=", 0),
        ("user-1", 0),
    ] {
        let query = RecordQuery {
            text: Some(text.to_owned()),
            ..RecordQuery::default()
        };
        assert_eq!(ids(&bench.store, &query).await.len(), found, "{text}");
    }
}

async fn pages_go_on_where_the_one_before_ended<S: Tested + Store>(bench: Bench<S>) {
    // Of two nodes, so that several records have the same instant.
    for n in [1, 2] {
        let node = node(n);
        let events = (1..=5)
            .map(|stream| event(&node, stream, stream, 0))
            .collect();
        take(&bench.store, vec![batch(&node, events)]).await;
    }
    let all = RecordQuery::default();
    let expected = ids(&bench.store, &all).await;
    assert_eq!(expected.len(), 10);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = bench.store.search(&all, after.as_ref(), 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.received_at.0, last.id.clone()));
        seen.extend(page.into_iter().map(|record| record.id));
    }
    assert_eq!(seen, expected);
}

async fn two_writers_store_every_event_once<S: Tested + Store + 'static>(bench: Bench<S>) {
    let stores = [bench.store.clone(), bench.another().await];
    let writers = stores.into_iter().map(|store| {
        tokio::spawn(async move {
            let mut stored = 0;
            for stream in 0..10 {
                // Both send the events of both nodes, as a node does that got no answer.
                for n in [1, 2] {
                    let node = node(n);
                    let taken = take(
                        &store,
                        vec![batch(&node, life(&node, stream, stream * 5 + 1))],
                    );
                    stored += taken.await.stored;
                }
            }
            stored
        })
    });
    let mut stored = 0;
    for writer in writers.collect::<Vec<_>>() {
        stored += writer.await.unwrap();
    }
    assert_eq!(stored, 100);
    for n in [1, 2] {
        let node = node(n);
        for stream in 0..10 {
            let id = record_id(&node, stream);
            let (record, events) = bench.store.show(&id).await.unwrap().unwrap();
            assert_eq!(events.len(), 5, "{id}");
            assert_eq!(record.state, RecordState::Aborted, "{id}");
        }
        let next = take(
            &bench.store,
            vec![batch(&node, vec![event(&node, 99, 51, 0)])],
        )
        .await;
        assert_eq!((next.acknowledged[0], next.missing.len()), (51, 0));
    }
}

async fn a_record_is_read_with_the_events_that_made_it<S: Tested + Store + 'static>(
    bench: Bench<S>,
) {
    let node = node(1);
    let writer = bench.another().await;
    for stream in 0..100 {
        let begins = event(&node, stream, 2 * stream + 1, 0);
        take(&writer, vec![batch(&node, vec![begins])]).await;
        let end = batch(&node, vec![event(&node, stream, 2 * stream + 2, 4)]);
        let writer = writer.clone();
        let writing = tokio::spawn(async move { take(&writer, vec![end]).await });
        loop {
            let read = bench.store.show(&record_id(&node, stream)).await;
            let (record, events) = read.unwrap().unwrap();
            let open = record.state == RecordState::Open;
            assert_eq!(open, events.len() == 1, "{record:?} {events:?}");
            if !open {
                break;
            }
            tokio::task::yield_now().await;
        }
        writing.await.unwrap();
    }
}

async fn numbers_beyond_a_databases_are_its_largest<S: Tested + Store>(bench: Bench<S>) {
    const LARGEST: u64 = i64::MAX as u64;
    let node = node(1);
    let mut end = event(&node, 1, 1, 4);
    end.at = UnixMillis(u64::MAX);
    if let EventKind::Aborted { timings, .. } = &mut end.kind {
        timings.total_ms = u64::MAX;
    }
    take(&bench.store, vec![batch(&node, vec![end])]).await;
    let (record, _) = bench
        .store
        .show(&record_id(&node, 1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(record.received_at, UnixMillis(LARGEST));
    assert_eq!(record.attributes.ended_at, Some(UnixMillis(LARGEST)));
    assert_eq!(record.attributes.total_ms, Some(LARGEST));
    for (since, until, found) in [
        (Some(u64::MAX), None, 1),
        (Some(LARGEST), None, 1),
        (None, Some(u64::MAX), 0),
    ] {
        let query = RecordQuery {
            since: since.map(UnixMillis),
            until: until.map(UnixMillis),
            ..RecordQuery::default()
        };
        assert_eq!(ids(&bench.store, &query).await.len(), found, "{query:?}");
    }
}

async fn no_number_that_a_node_makes_up_is_too_large_to_add<S>(bench: Bench<S>)
where
    S: Tested + Store + crate::nodes::store::Store,
{
    const LARGEST: u64 = i64::MAX as u64;
    for boot in [1, 2] {
        let node = node(boot);
        let wild = batch(&node, vec![event(&node, 1, LARGEST - 1, 0)]);
        take(&bench.store, vec![wild]).await;
    }
    assert_eq!(bench.store.missing_events().await.unwrap(), LARGEST);
}

async fn taking_is_whole<S: Tested + Store>(_: Bench<S>) {
    let (one, two) = (node(1), node(2));
    // Known and unknown nodes, a gap that shrinks and one that is new, a record that goes on.
    interrupted_everywhere::<S, _, _>(
        async |store| {
            take(store, vec![batch(&one, life(&one, 1, 3)[..3].to_vec())]).await;
        },
        async |store| {
            let batches = vec![
                batch(&one, life(&one, 1, 3)[3..].to_vec()),
                batch(&one, vec![event(&one, 2, 2, 0)]),
                batch(&two, life(&two, 1, 11)),
            ];
            store.take(batches, UnixMillis(6000)).await
        },
        async |store| {
            let mut seen = Vec::new();
            for record in store
                .search(&RecordQuery::default(), None, 100)
                .await
                .unwrap()
            {
                seen.push(store.show(&record.id).await.unwrap());
            }
            seen
        },
    )
    .await;
}
