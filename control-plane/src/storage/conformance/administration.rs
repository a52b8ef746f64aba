//! The log of administration.

use chaperone_engine::base::time::UnixMillis;

use super::{Bench, Tested, for_each_store, interrupted_everywhere};
use crate::access::store::Revoked;
use crate::access::{self, ApiToken, Identity, Role, TokenHash};
use crate::administration::store::{Act, Entry, Store};

for_each_store!(
    entries_come_back_newest_first_page_by_page,
    what_is_done_and_its_entry_are_one,
    a_token_that_was_not_revoked_has_no_entry,
);

fn entry(act: Act, object: &str) -> Entry {
    Entry {
        at: UnixMillis(7),
        by: "ada".to_owned(),
        token: Some("tk-0".to_owned()),
        act,
        object: object.to_owned(),
        details: [("name".to_owned(), "a \"quoted\" one".to_owned())].into(),
    }
}

async fn entries_come_back_newest_first_page_by_page<S: Tested + Store>(bench: Bench<S>) {
    let wanted: Vec<Entry> = ["a", "b", "c", "d", "e"]
        .map(|object| entry(Act::RecordRead, object))
        .into();
    for entry in &wanted {
        bench.store.note(entry).await.unwrap();
    }
    let other = bench.another().await;
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = other.entries(before, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2);
        before = Some(last.number);
        seen.extend(page.into_iter().map(|noted| noted.entry));
    }
    seen.reverse();
    assert_eq!(seen, wanted);
}

fn token() -> ApiToken {
    ApiToken {
        id: "tk-1".to_owned(),
        name: "of tests".to_owned(),
        identity: Identity {
            subject: "ada".to_owned(),
            groups: Vec::new(),
        },
        role: Role::Auditor,
        created_at: UnixMillis(1),
        expires_at: None,
        revoked_at: None,
    }
}

async fn what_is_done_and_its_entry_are_one<S: Tested + Store + access::store::Store>(_: Bench<S>) {
    let hash = TokenHash::of("tk-1");
    let see = async |store: &S| {
        let live = store.live_tokens().await.unwrap().len();
        (live, store.entries(None, 10).await.unwrap().len())
    };
    let made = entry(Act::TokenMade, "tk-1");
    interrupted_everywhere::<S, _, _>(
        async |_| {},
        async |store| store.add_token(&token(), &hash, &made).await,
        see,
    )
    .await;
    let revoked = entry(Act::TokenRevoked, "tk-1");
    interrupted_everywhere::<S, _, _>(
        async |store| store.add_token(&token(), &hash, &made).await.unwrap(),
        async |store| store.revoke_token("tk-1", UnixMillis(9), &revoked).await,
        see,
    )
    .await;
}

async fn a_token_that_was_not_revoked_has_no_entry<S: Tested + Store + access::store::Store>(
    bench: Bench<S>,
) {
    let store = &bench.store;
    let revoked = entry(Act::TokenRevoked, "tk-1");
    let revoke = async || {
        store
            .revoke_token("tk-1", UnixMillis(9), &revoked)
            .await
            .unwrap()
    };
    assert_eq!(revoke().await, Revoked::Unknown);
    assert_eq!(store.entries(None, 10).await.unwrap(), []);
    let made = entry(Act::TokenMade, "tk-1");
    store
        .add_token(&token(), &TokenHash::of("tk-1"), &made)
        .await
        .unwrap();
    assert_eq!(revoke().await, Revoked::Done);
    assert_eq!(revoke().await, Revoked::Unknown);
    let entries = store.entries(None, 10).await.unwrap();
    let acts: Vec<Act> = entries.into_iter().map(|noted| noted.entry.act).collect();
    assert_eq!(acts, [Act::TokenRevoked, Act::TokenMade]);
}
