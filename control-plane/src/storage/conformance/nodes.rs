//! The store of nodes. Changes by batches of events are tested with the trail.

use chaperone_engine::audit::BootId;
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::bundle::Serial;
use chaperone_engine::link::{NodeId, PolicyRequest};

use super::{Bench, Tested, for_each_store, interrupted_everywhere, trail};
use crate::nodes::store::{NodeLife, NodeRow, Store, Which};

fn request(boot: u128, enforced: Option<u64>) -> PolicyRequest {
    PolicyRequest {
        node: NodeId {
            name: format!("gateway-{boot}"),
            boot: BootId::from_random(boot),
        },
        filter_version: "0.1.0".to_owned(),
        enforced: enforced.map(|version| Serial {
            policy_version: version,
            keys_revision: 3,
        }),
        refused: None,
        unknown_keys: Vec::new(),
        reads: 2,
        pins: Vec::new(),
        wait_ms: 0,
    }
}

fn life(request: &PolicyRequest, first: u64, last: u64) -> NodeLife {
    NodeLife {
        name: request.node.name.clone(),
        boot: request.node.boot.as_str().to_owned(),
        filter_version: Some(request.filter_version.clone()),
        reads: request.reads,
        enforced: request.enforced,
        refused: request.refused.clone(),
        first_seen_at: UnixMillis(first),
        last_seen_at: UnixMillis(last),
        closed: false,
        acknowledged: 0,
        events: 0,
        dropped: 0,
        gaps: Vec::new(),
    }
}

async fn lives(store: &impl Store) -> Vec<NodeLife> {
    let listed = store.nodes(&Which::All, None, 100).await.unwrap();
    listed.into_iter().map(|(_, life)| life).collect()
}

for_each_store!(
    a_life_is_as_it_was_reported_last,
    lives_are_listed_from_the_newest_page_by_page,
    the_highest_version_that_any_node_enforces_is_known,
    only_those_lives_are_listed_that_are_asked_for,
    numbers_beyond_a_databases_are_its_largest,
    of_two_first_reports_at_once_one_row_comes,
    reporting_is_whole,
    what_a_clock_that_ran_ahead_has_said_is_taken_back,
    lives_that_never_had_an_event_are_forgotten_but_the_last_and_the_highest,
    a_life_with_events_or_gaps_is_never_forgotten,
    forgetting_is_whole,
    taking_it_back_is_whole,
);

async fn a_life_is_as_it_was_reported_last<S: Tested + Store>(bench: Bench<S>) {
    let store = &bench.store;
    let mut said = request(1, None);
    store.report(&said, UnixMillis(10)).await.unwrap();
    assert_eq!(lives(store).await, [life(&said, 10, 10)]);
    said = request(1, Some(4));
    said.refused = Some("its signature is not valid".to_owned());
    said.filter_version = "0.2.0".to_owned();
    store.report(&said, UnixMillis(20)).await.unwrap();
    // A clock that went back does not make it older.
    store.report(&said, UnixMillis(15)).await.unwrap();
    assert_eq!(lives(&bench.another().await).await, [life(&said, 10, 20)]);
}

async fn lives_are_listed_from_the_newest_page_by_page<S: Tested + Store>(bench: Bench<S>) {
    let store = &bench.store;
    for boot in [7, 3, 9, 1, 5] {
        let said = request(boot, None);
        store.report(&said, UnixMillis(10)).await.unwrap();
    }
    store
        .report(&request(3, None), UnixMillis(20))
        .await
        .unwrap();
    let mut seen = Vec::new();
    let mut before: Option<NodeRow> = None;
    loop {
        let page = store.nodes(&Which::All, before, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some((row, _)) = page.last() else { break };
        before = Some(*row);
        seen.extend(page.into_iter().map(|(_, life)| life.name));
    }
    let expected = [
        "gateway-5",
        "gateway-1",
        "gateway-9",
        "gateway-3",
        "gateway-7",
    ];
    assert_eq!(seen, expected);
}

async fn the_highest_version_that_any_node_enforces_is_known<S: Tested + Store>(bench: Bench<S>) {
    let store = &bench.store;
    assert_eq!(store.highest_enforced().await.unwrap(), 0);
    for (boot, enforced) in [(1, None), (2, Some(5)), (3, Some(2))] {
        let said = request(boot, enforced);
        store.report(&said, UnixMillis(10)).await.unwrap();
    }
    assert_eq!(store.highest_enforced().await.unwrap(), 5);
}

async fn only_those_lives_are_listed_that_are_asked_for<S: Tested + Store>(bench: Bench<S>) {
    let store = &bench.store;
    for boot in [1, 2, 3, 4] {
        let said = request(boot, None);
        store.report(&said, UnixMillis(10)).await.unwrap();
    }
    let boot = |number| request(number, None).node.boot.as_str().to_owned();
    let listed = async |boots: Vec<String>, before| {
        let gaps_since = UnixMillis(0);
        let which = Which::Listed { boots, gaps_since };
        let listed = store.nodes(&which, before, 2).await.unwrap();
        listed
            .into_iter()
            .map(|(row, life)| (row, life.boot))
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(Vec::new(), None).await, []);
    let three = vec![boot(1), boot(2), boot(4), "unknown".to_owned()];
    let first = listed(three.clone(), None).await;
    let boots: Vec<&String> = first.iter().map(|(_, boot)| boot).collect();
    assert_eq!(boots, [&boot(4), &boot(2)]);
    let rest = listed(three, first.last().map(|(row, _)| *row)).await;
    let boots: Vec<&String> = rest.iter().map(|(_, boot)| boot).collect();
    assert_eq!(boots, [&boot(1)]);
}

async fn numbers_beyond_a_databases_are_its_largest<S: Tested + Store>(bench: Bench<S>) {
    const LARGEST: u64 = i64::MAX as u64;
    let store = &bench.store;
    let mut said = request(1, Some(u64::MAX));
    said.enforced.as_mut().unwrap().keys_revision = u64::MAX;
    store.report(&said, UnixMillis(10)).await.unwrap();
    let largest = Serial {
        policy_version: LARGEST,
        keys_revision: LARGEST,
    };
    assert_eq!(lives(store).await[0].enforced, Some(largest));
    assert_eq!(store.highest_enforced().await.unwrap(), LARGEST);
}

async fn of_two_first_reports_at_once_one_row_comes<S: Tested + Store>(bench: Bench<S>) {
    let (one, other) = (&bench.store, &bench.another().await);
    let (first, second) = (request(1, Some(1)), request(1, Some(2)));
    let (a, b) = tokio::join!(
        one.report(&first, UnixMillis(10)),
        other.report(&second, UnixMillis(10)),
    );
    a.unwrap();
    b.unwrap();
    let seen = lives(one).await;
    assert!(
        seen == [life(&first, 10, 10)] || seen == [life(&second, 10, 10)],
        "{seen:?}"
    );
}

async fn reporting_is_whole<S: Tested + Store>(_: Bench<S>) {
    let first = request(1, None);
    interrupted_everywhere::<S, _, _>(
        async |store| store.report(&first, UnixMillis(10)).await.unwrap(),
        async |store| store.report(&request(2, Some(4)), UnixMillis(20)).await,
        async |store| lives(store).await,
    )
    .await;
}

/// Lives without events, heard of at 10, 20 and so on; the first enforces the highest version.
async fn idle(store: &impl Store, count: u128) {
    for boot in 1..=count {
        let said = request(boot, (boot <= 2).then_some(10 - boot as u64));
        let at = UnixMillis(10 * boot as u64);
        store.report(&said, at).await.unwrap();
    }
}

async fn names(store: &impl Store) -> Vec<String> {
    lives(store)
        .await
        .into_iter()
        .map(|life| life.name)
        .collect()
}

async fn lives_that_never_had_an_event_are_forgotten_but_the_last_and_the_highest<
    S: Tested + Store,
>(
    bench: Bench<S>,
) {
    let store = &bench.store;
    idle(store, 7).await;
    // Heard of at 60 and 70, these may live; and two more may stay.
    assert_eq!(store.forget_idle(UnixMillis(60), 2).await.unwrap(), 2);
    let left = [
        "gateway-7",
        "gateway-6",
        "gateway-5",
        "gateway-4",
        "gateway-1",
    ];
    assert_eq!(names(&bench.another().await).await, left);
    assert_eq!(store.highest_enforced().await.unwrap(), 9);
    assert_eq!(store.forget_idle(UnixMillis(60), 2).await.unwrap(), 0);
    assert_eq!(store.forget_idle(UnixMillis(100), 0).await.unwrap(), 4);
    assert_eq!(names(store).await, ["gateway-1"]);
    // One that was forgotten and was slow begins anew.
    store
        .report(&request(5, None), UnixMillis(200))
        .await
        .unwrap();
    assert_eq!(names(store).await, ["gateway-5", "gateway-1"]);
}

async fn a_life_with_events_or_gaps_is_never_forgotten<S: Tested + Store + trail::Trail>(
    bench: Bench<S>,
) {
    let store = &bench.store;
    idle(store, 4).await;
    let node = |boot| request(boot, None).node;
    trail::store_one(store, &node(3), 1).await;
    // Two before it are missing.
    trail::store_one(store, &node(4), 3).await;
    assert_eq!(store.forget_idle(UnixMillis(1000), 0).await.unwrap(), 1);
    assert_eq!(names(store).await, ["gateway-4", "gateway-3", "gateway-1"]);
}

async fn forgetting_is_whole<S: Tested + Store>(_: Bench<S>) {
    interrupted_everywhere::<S, _, _>(
        async |store| idle(store, 5).await,
        async |store| store.forget_idle(UnixMillis(60), 1).await,
        async |store| names(store).await,
    )
    .await;
}

/// A node that was heard of an hour ahead, and another one.
async fn heard_of_ahead(store: &impl Store) {
    for (boot, at) in [(1, 10), (2, 3_600_000)] {
        let said = request(boot, None);
        store.report(&said, UnixMillis(at)).await.unwrap();
    }
}

async fn what_a_clock_that_ran_ahead_has_said_is_taken_back<S: Tested + Store>(bench: Bench<S>) {
    let store = &bench.store;
    heard_of_ahead(store).await;
    store.correct_clock(UnixMillis(20)).await.unwrap();
    let expected = [
        life(&request(2, None), 20, 20),
        life(&request(1, None), 10, 10),
    ];
    assert_eq!(lives(store).await, expected);
}

async fn taking_it_back_is_whole<S: Tested + Store>(_: Bench<S>) {
    interrupted_everywhere::<S, _, _>(
        async |store| heard_of_ahead(store).await,
        async |store| store.correct_clock(UnixMillis(20)).await,
        async |store| lives(store).await,
    )
    .await;
}
