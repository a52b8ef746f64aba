//! The store of API tokens.

use chaperone_engine::base::time::UnixMillis;

use super::{Bench, Tested, for_each_store, interrupted_everywhere};
use crate::access::store::{Revoked, Store};
use crate::access::{ApiToken, Identity, Role, TokenHash};
use crate::administration::store::{Act, Entry};

fn token(id: &str, role: Role, created_at: u64) -> ApiToken {
    ApiToken {
        id: id.to_owned(),
        name: format!("{id} of tests"),
        identity: Identity {
            subject: "ada".to_owned(),
            groups: vec!["sre".to_owned(), "*".to_owned()],
        },
        role,
        created_at: UnixMillis(created_at),
        expires_at: None,
        revoked_at: None,
    }
}

/// Whatever was done: [`super::administration`] is about entries.
fn entry() -> Entry {
    Entry {
        at: UnixMillis(7),
        by: "ada".to_owned(),
        token: None,
        act: Act::TokenMade,
        object: String::new(),
        details: Default::default(),
    }
}

fn ending(id: &str, role: Role, created_at: u64) -> ApiToken {
    ApiToken {
        expires_at: Some(UnixMillis(created_at + 1000)),
        ..token(id, role, created_at)
    }
}

async fn add(store: &impl Store, token: &ApiToken) {
    let hash = TokenHash::of(&token.id);
    store.add_token(token, &hash, &entry()).await.unwrap();
}

async fn ids(store: &impl Store) -> Vec<String> {
    let mut ids: Vec<String> = store
        .live_tokens()
        .await
        .unwrap()
        .into_iter()
        .map(|(_, token)| token.id)
        .collect();
    ids.sort();
    ids
}

for_each_store!(
    a_token_comes_back_as_it_was_added,
    an_id_and_a_secret_belong_to_one_token,
    a_revoked_token_is_not_live_but_known,
    the_last_lasting_administrator_stays,
    tokens_are_listed_from_the_newest_page_by_page,
    of_two_administrators_who_revoke_each_other_one_stays,
    adding_is_whole,
    revoking_is_whole,
);

async fn a_token_comes_back_as_it_was_added<S: Tested + Store>(bench: Bench<S>) {
    let store = &bench.store;
    let (lasting, short) = (
        token("tk-1", Role::Auditor, 5),
        ending("tk-2", Role::Node, 6),
    );
    add(store, &lasting).await;
    add(store, &short).await;
    let mut live = bench.another().await.live_tokens().await.unwrap();
    live.sort_by_key(|(_, token)| token.id.clone());
    let expected = [
        (TokenHash::of("tk-1"), lasting),
        (TokenHash::of("tk-2"), short),
    ];
    assert_eq!(live, expected);
}

async fn an_id_and_a_secret_belong_to_one_token<S: Tested + Store>(bench: Bench<S>) {
    let store = &bench.store;
    let first = token("tk-1", Role::Admin, 5);
    add(store, &first).await;
    let second = token("tk-2", Role::Admin, 5);
    let same_secret = store
        .add_token(&second, &TokenHash::of("tk-1"), &entry())
        .await;
    assert!(same_secret.is_err());
    let same_id = store
        .add_token(&first, &TokenHash::of("other"), &entry())
        .await;
    assert!(same_id.is_err());
    assert_eq!(ids(store).await, ["tk-1"]);
}

async fn a_revoked_token_is_not_live_but_known<S: Tested + Store>(bench: Bench<S>) {
    let store = &bench.store;
    let hash = TokenHash::of("tk-1");
    assert!(!store.knows_token(&hash).await.unwrap());
    assert!(!store.had_role(Role::Approver).await.unwrap());
    add(store, &token("tk-1", Role::Approver, 5)).await;
    let revoked = store
        .revoke_token("tk-1", UnixMillis(9), &entry())
        .await
        .unwrap();
    assert_eq!(revoked, Revoked::Done);
    assert!(ids(store).await.is_empty());
    let listed = store.tokens(None, 10).await.unwrap();
    assert_eq!(
        listed[0].revoked_at,
        Some(UnixMillis(9)),
        "and it is still listed"
    );
    assert_eq!(store.token("tk-1").await.unwrap().as_ref(), listed.first());
    assert!(store.knows_token(&hash).await.unwrap());
    assert!(store.had_role(Role::Approver).await.unwrap());
    assert!(!store.had_role(Role::Policy).await.unwrap());
    let again = store
        .revoke_token("tk-1", UnixMillis(9), &entry())
        .await
        .unwrap();
    assert_eq!(again, Revoked::Unknown);
    let other = store
        .revoke_token("tk-2", UnixMillis(9), &entry())
        .await
        .unwrap();
    assert_eq!(other, Revoked::Unknown);
}

async fn the_last_lasting_administrator_stays<S: Tested + Store>(bench: Bench<S>) {
    let store = &bench.store;
    let revoke = async |id| {
        store
            .revoke_token(id, UnixMillis(9), &entry())
            .await
            .unwrap()
    };
    for admin in [
        token("tk-1", Role::Admin, 1),
        token("tk-2", Role::Admin, 2),
        ending("tk-3", Role::Admin, 3),
        token("tk-4", Role::Policy, 4),
    ] {
        add(store, &admin).await;
    }
    assert_eq!(revoke("tk-1").await, Revoked::Done);
    // One that ends by itself is no administrator to count on, nor is another role.
    assert_eq!(revoke("tk-2").await, Revoked::LastAdmin);
    assert_eq!(revoke("tk-3").await, Revoked::Done);
    assert_eq!(revoke("tk-4").await, Revoked::Done);
    assert_eq!(ids(store).await, ["tk-2"]);
}

async fn tokens_are_listed_from_the_newest_page_by_page<S: Tested + Store>(bench: Bench<S>) {
    let store = &bench.store;
    // Two of the same instant: the id decides.
    for (id, at) in [("tk-b", 2), ("tk-a", 2), ("tk-c", 1), ("tk-d", 3)] {
        add(store, &token(id, Role::Auditor, at)).await;
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.tokens(after.as_ref(), 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some((last.created_at.0, last.id.clone()));
        seen.extend(page.into_iter().map(|token| token.id));
    }
    assert_eq!(seen, ["tk-d", "tk-b", "tk-a", "tk-c"]);
}

async fn of_two_administrators_who_revoke_each_other_one_stays<S: Tested + Store>(bench: Bench<S>) {
    let (one, other) = (&bench.store, &bench.another().await);
    add(one, &token("tk-1", Role::Admin, 1)).await;
    add(one, &token("tk-2", Role::Admin, 2)).await;
    let entry = entry();
    let (first, second) = tokio::join!(
        one.revoke_token("tk-2", UnixMillis(9), &entry),
        other.revoke_token("tk-1", UnixMillis(9), &entry),
    );
    let mut outcomes = [first.unwrap(), second.unwrap()];
    outcomes.sort_by_key(|outcome| *outcome == Revoked::LastAdmin);
    assert_eq!(outcomes, [Revoked::Done, Revoked::LastAdmin]);
    assert_eq!(ids(one).await.len(), 1);
}

async fn adding_is_whole<S: Tested + Store>(_: Bench<S>) {
    interrupted_everywhere::<S, _, _>(
        async |store| add(store, &token("tk-1", Role::Admin, 1)).await,
        async |store| {
            let token = token("tk-2", Role::Node, 2);
            store
                .add_token(&token, &TokenHash::of("tk-2"), &entry())
                .await
        },
        async |store| (ids(store).await, store.had_role(Role::Node).await.unwrap()),
    )
    .await;
}

async fn revoking_is_whole<S: Tested + Store>(_: Bench<S>) {
    interrupted_everywhere::<S, _, _>(
        async |store| add(store, &token("tk-1", Role::Node, 1)).await,
        async |store| store.revoke_token("tk-1", UnixMillis(5), &entry()).await,
        async |store| ids(store).await,
    )
    .await;
}
