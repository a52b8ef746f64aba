//! The store of policy versions and bundles.

use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::bundle::Serial;

use super::{Bench, Tested, for_each_store, interrupted_everywhere};
use crate::policies::store::{Added, Store, StoredBundle, StoredVersion, Version};

fn version(number: u64) -> StoredVersion {
    StoredVersion {
        version: Version {
            version: number,
            digest: format!("digest {number}"),
            bundle_digest: digest(number, 0),
            published_at: UnixMillis(number),
            published_by: "ada".to_owned(),
            comment: (number > 1).then(|| "for a test".to_owned()),
            rollback_of: None,
            current: true,
        },
        document: format!("# as written\nversion: {number}"),
        policy: format!("{{\"version\":{number}}}"),
    }
}

fn bundle(number: u64, keys: u64) -> StoredBundle {
    StoredBundle {
        serial: Serial {
            policy_version: number,
            keys_revision: keys,
        },
        digest: digest(number, keys),
        envelope: format!("{{\"bundle\":\"{number}.{keys}\"}}"),
        issued_at: UnixMillis(number * 10 + keys),
    }
}

fn digest(number: u64, keys: u64) -> String {
    format!("bundle {number}.{keys}")
}

async fn publish(store: &impl Store, number: u64, on: Option<&str>) -> Added {
    let (version, bundle) = (version(number), bundle(number, 0));
    store.add_version(&version, &bundle, on).await.unwrap()
}

/// Everything that can be read.
async fn all(store: &impl Store) -> (Vec<Version>, Option<StoredVersion>, Option<StoredBundle>) {
    (
        store.versions(None, 100).await.unwrap(),
        store.version(None).await.unwrap(),
        store.latest_bundle().await.unwrap(),
    )
}

for_each_store!(
    an_empty_store_has_nothing_in_force,
    a_version_comes_back_as_it_was_added,
    the_highest_version_is_current_and_the_highest_bundle_in_force,
    versions_are_listed_from_the_newest_page_by_page,
    nothing_is_added_on_a_bundle_that_is_not_in_force_any_more,
    a_number_is_given_once,
    of_two_publishers_at_once_one_is_overtaken,
    publishing_is_whole,
    adding_a_bundle_is_whole,
);

async fn an_empty_store_has_nothing_in_force<S: Tested + Store>(bench: Bench<S>) {
    assert_eq!(all(&bench.store).await, (Vec::new(), None, None));
    assert_eq!(bench.store.version(Some(1)).await.unwrap(), None);
}

async fn a_version_comes_back_as_it_was_added<S: Tested + Store>(bench: Bench<S>) {
    assert_eq!(publish(&bench.store, 4, None).await, Added::Done);
    let mut back = version(7);
    back.version.rollback_of = Some(4);
    let added = bench
        .store
        .add_version(&back, &bundle(7, 0), Some(&digest(4, 0)))
        .await;
    assert_eq!(added.unwrap(), Added::Done);
    let other = bench.another().await;
    assert_eq!(other.version(None).await.unwrap(), Some(back.clone()));
    assert_eq!(other.version(Some(7)).await.unwrap(), Some(back));
    assert_eq!(other.latest_bundle().await.unwrap(), Some(bundle(7, 0)));
}

async fn the_highest_version_is_current_and_the_highest_bundle_in_force<S: Tested + Store>(
    bench: Bench<S>,
) {
    let store = &bench.store;
    publish(store, 1, None).await;
    let renewed = store.add_bundle(&bundle(1, 1), &digest(1, 0)).await;
    assert_eq!(renewed.unwrap(), Added::Done);
    assert_eq!(store.latest_bundle().await.unwrap(), Some(bundle(1, 1)));
    publish(store, 2, Some(&digest(1, 1))).await;
    assert_eq!(store.latest_bundle().await.unwrap(), Some(bundle(2, 0)));
    let first = store.version(Some(1)).await.unwrap().unwrap();
    assert!(!first.version.current);
    let current = store.version(None).await.unwrap().unwrap();
    assert_eq!(
        (current.version.version, current.version.current),
        (2, true)
    );
}

async fn versions_are_listed_from_the_newest_page_by_page<S: Tested + Store>(bench: Bench<S>) {
    let store = &bench.store;
    let mut on = None;
    for number in [1, 2, 3, 8] {
        publish(store, number, on.as_deref()).await;
        on = Some(digest(number, 0));
    }
    let numbers = async |before, limit| -> Vec<(u64, bool)> {
        let page = store.versions(before, limit).await.unwrap();
        page.iter().map(|v| (v.version, v.current)).collect()
    };
    assert_eq!(numbers(None, 3).await, [(8, true), (3, false), (2, false)]);
    assert_eq!(numbers(Some(2), 3).await, [(1, false)]);
    assert_eq!(numbers(Some(1), 3).await, []);
}

async fn nothing_is_added_on_a_bundle_that_is_not_in_force_any_more<S: Tested + Store>(
    bench: Bench<S>,
) {
    let store = &bench.store;
    assert_eq!(
        publish(store, 1, Some(&digest(0, 0))).await,
        Added::Overtaken { current: 0 }
    );
    publish(store, 1, None).await;
    let renewed = store.add_bundle(&bundle(1, 1), &digest(1, 0)).await;
    assert_eq!(renewed.unwrap(), Added::Done);
    let before = all(store).await;
    let overtaken = Added::Overtaken { current: 1 };
    assert_eq!(publish(store, 2, None).await, overtaken);
    assert_eq!(publish(store, 2, Some(&digest(1, 0))).await, overtaken);
    let late = store.add_bundle(&bundle(1, 2), &digest(1, 0)).await;
    assert_eq!(late.unwrap(), overtaken);
    assert_eq!(all(store).await, before);
}

async fn a_number_is_given_once<S: Tested + Store>(bench: Bench<S>) {
    let store = &bench.store;
    publish(store, 1, None).await;
    publish(store, 2, Some(&digest(1, 0))).await;
    let before = all(store).await;
    let on = digest(2, 0);
    let mut other = bundle(1, 7);
    other.digest = "of another bundle".to_owned();
    let again = store.add_version(&version(1), &other, Some(&on)).await;
    assert!(again.is_err(), "the number of a version");
    other.serial = bundle(2, 0).serial;
    let again = store.add_version(&version(3), &other, Some(&on)).await;
    assert!(again.is_err(), "the serial of a version's bundle");
    let again = store.add_bundle(&other, &on).await;
    assert!(again.is_err(), "the serial of a bundle");
    assert_eq!(all(store).await, before);
}

async fn of_two_publishers_at_once_one_is_overtaken<S: Tested + Store>(bench: Bench<S>) {
    let (one, other) = (&bench.store, &bench.another().await);
    publish(one, 1, None).await;
    let on = digest(1, 0);
    let (first, second) = tokio::join!(publish(one, 2, Some(&on)), publish(other, 3, Some(&on)));
    let numbers: Vec<u64> = all(one).await.0.iter().map(|v| v.version).collect();
    match (first, second) {
        (Added::Done, Added::Overtaken { current: 2 }) => assert_eq!(numbers, [2, 1]),
        (Added::Overtaken { current: 3 }, Added::Done) => assert_eq!(numbers, [3, 1]),
        both => panic!("{both:?}"),
    }
}

async fn publishing_is_whole<S: Tested + Store>(_: Bench<S>) {
    interrupted_everywhere::<S, _, _>(
        async |store| {
            publish(store, 1, None).await;
        },
        async |store| {
            let on = digest(1, 0);
            store
                .add_version(&version(2), &bundle(2, 0), Some(&on))
                .await
        },
        async |store| all(store).await,
    )
    .await;
}

async fn adding_a_bundle_is_whole<S: Tested + Store>(_: Bench<S>) {
    interrupted_everywhere::<S, _, _>(
        async |store| {
            publish(store, 1, None).await;
        },
        async |store| store.add_bundle(&bundle(1, 1), &digest(1, 0)).await,
        async |store| all(store).await,
    )
    .await;
}
