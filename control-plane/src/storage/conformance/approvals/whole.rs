//! Each transaction happens as a whole or not at all.

use super::*;

for_each_store!(
    opening_is_whole,
    spending_is_whole,
    being_let_through_by_a_window_is_whole,
    telling_of_a_denial_is_whole,
    answering_is_whole,
    expiring_is_whole,
);

async fn opening_is_whole<S: Tested + Store>(_: Bench<S>) {
    interrupted_everywhere::<S, _, _>(
        async |_| {},
        async |store| store.ask(&once(1, 1), ASKED).await,
        everything::<S>,
    )
    .await;
}

async fn spending_is_whole<S: Tested + Store>(_: Bench<S>) {
    interrupted_everywhere::<S, _, _>(
        async |store| {
            ask(store, &once(1, 1), ASKED).await;
            answer(store, "ap-1", Answer::Approve).await;
        },
        async |store| store.ask(&once(2, 1), LATER).await,
        async |store| (everything(store).await, store.told().await),
    )
    .await;
}

async fn being_let_through_by_a_window_is_whole<S: Tested + Store>(_: Bench<S>) {
    let window = || Grant::Window(Duration::from_secs(60));
    interrupted_everywhere::<S, _, _>(
        async |store| {
            ask(store, &asking(1, 1, window()), ASKED).await;
            answer(store, "ap-1", Answer::Approve).await;
        },
        async |store| store.ask(&asking(1, 1, window()), LATER).await,
        async |store| store.told().await,
    )
    .await;
}

async fn telling_of_a_denial_is_whole<S: Tested + Store>(_: Bench<S>) {
    interrupted_everywhere::<S, _, _>(
        async |store| {
            ask(store, &once(1, 1), ASKED).await;
            answer(store, "ap-1", Answer::Deny).await;
        },
        async |store| store.ask(&once(2, 1), LATER).await,
        everything::<S>,
    )
    .await;
}

async fn answering_is_whole<S: Tested + Store>(_: Bench<S>) {
    interrupted_everywhere::<S, _, _>(
        async |store| {
            ask(store, &once(1, 1), ASKED).await;
        },
        async |store| {
            store
                .answer("ap-1", &bob(), Answer::Approve, Some("go"), LATER)
                .await
        },
        everything::<S>,
    )
    .await;
}

async fn expiring_is_whole<S: Tested + Store>(_: Bench<S>) {
    interrupted_everywhere::<S, _, _>(
        async |store| {
            ask(store, &once(1, 1), ASKED).await;
            ask(store, &once(2, 2), ASKED).await;
        },
        async |store| store.expire(TOO_LATE).await,
        everything::<S>,
    )
    .await;
}
