//! Whatever is asked, both stores answer the same.

use proptest::prelude::*;

use super::super::cases;
use super::*;
use crate::storage::memory::Memory;
use crate::storage::sqlite::Database;

/// A batch: its node, its first number, and the stream and the step of each event.
type Sent = (u64, u64, Vec<(u64, u64)>);

/// One thing that is asked of both stores.
#[derive(Debug, Clone)]
enum Asked {
    Take(Vec<Sent>),
    Search(RecordQuery, Option<(u64, String)>, u32),
    ChangedAfter(RecordQuery, u64, u32),
    Show(String),
}

fn asked() -> impl Strategy<Value = Asked> {
    let id = || (1..3u64, 0..3u64).prop_map(|(n, stream)| record_id(&node(n), stream));
    // Of few nodes, streams and numbers, so that they meet.
    let events = prop::collection::vec((0..3u64, 0..5u64), 0..5);
    let batches = prop::collection::vec((1..3u64, 1..25u64, events), 1..4);
    let page = prop::option::of((1000..1030u64, id()));
    prop_oneof![
        3 => batches.prop_map(Asked::Take),
        2 => (query(), page, 1..5u32).prop_map(|(query, after, limit)| Asked::Search(query, after, limit)),
        1 => (query(), 0..20u64, 1..5u32).prop_map(|(query, after, limit)| Asked::ChangedAfter(query, after, limit)),
        1 => id().prop_map(Asked::Show),
    ]
}

fn query() -> impl Strategy<Value = RecordQuery> {
    let attribute = prop::sample::select(vec![
        ("subject", AttributeValue::Text("user-1".into())),
        ("groups", AttributeValue::Text("ops".into())),
        ("groups", AttributeValue::Text("o".into())),
        ("effect", AttributeValue::Text("allow".into())),
        ("status", AttributeValue::Number(200)),
        ("policy_version", AttributeValue::Number(4)),
        ("approval", AttributeValue::Text("ap-1".into())),
    ]);
    let attribute = attribute.prop_map(|(name, value)| {
        let known = ATTRIBUTES.iter().find(|attribute| attribute.name == name);
        (known.unwrap(), value)
    });
    let state = prop::sample::select(vec![
        RecordState::Open,
        RecordState::Completed,
        RecordState::Aborted,
    ]);
    let instant = || prop::option::of((1000..1030u64).prop_map(UnixMillis));
    let text = prop::sample::select(vec!["CHAT/1", "example", "100%", ""]);
    (
        prop::collection::vec(attribute, 0..2),
        prop::option::weighted(0.2, state),
        prop::option::weighted(0.2, (1..3u64).prop_map(|n| node(n).name)),
        (instant(), instant()),
        prop::option::weighted(0.2, text.prop_map(str::to_owned)),
    )
        .prop_map(
            |(attributes, state, node, (since, until), text)| RecordQuery {
                attributes,
                state,
                node,
                since,
                until,
                text,
            },
        )
}

/// A store's answer, as text that can be compared.
async fn answer(store: &impl Store, asked: &Asked, now: u64) -> String {
    match asked {
        Asked::Take(batches) => {
            let batches = batches.iter().map(|(n, first, events)| {
                let node = node(*n);
                let events = (*first..).zip(events);
                let events = events.map(|(seq, (stream, step))| event(&node, *stream, seq, *step));
                batch(&node, events.collect())
            });
            format!(
                "{:?}",
                store
                    .take(batches.collect(), UnixMillis(now))
                    .await
                    .unwrap()
            )
        }
        Asked::Search(query, after, limit) => {
            format!(
                "{:?}",
                store.search(query, after.as_ref(), *limit).await.unwrap()
            )
        }
        Asked::ChangedAfter(query, after, limit) => {
            let found = store.changed_after(query, *after, *limit).await.unwrap();
            format!("{found:?} of {}", store.position().await.unwrap())
        }
        Asked::Show(id) => format!("{:?}", store.show(id).await.unwrap()),
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn whatever_is_asked_both_stores_answer_the_same(asked in prop::collection::vec(asked(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (sqlite, memory) = (Bench::<Database>::new().await, Bench::<Memory>::new().await);
            for (now, asked) in (5000..).zip(&asked) {
                prop_assert_eq!(
                    answer(&sqlite.store, asked, now).await,
                    answer(&memory.store, asked, now).await,
                    "{:?}", asked
                );
            }
            Ok(())
        })?;
    }
}
