//! Whatever is asked, both stores answer the same.

use proptest::prelude::*;

use super::super::cases;
use super::*;
use crate::storage::memory::Memory;
use crate::storage::sqlite::Database;

/// One thing that is asked of both stores.
#[derive(Debug, Clone)]
enum Step {
    Ask {
        record: u64,
        request: u64,
        window: bool,
    },
    Answer {
        of: u64,
        by: u8,
        answer: Answer,
    },
    Expire,
    States,
    Search(Option<ApprovalState>),
}

fn step() -> impl Strategy<Value = (i64, Step)> {
    let said = || prop::sample::select(vec![Answer::Approve, Answer::Approve, Answer::Deny]);
    let states = prop::sample::select(vec![
        ApprovalState::Pending,
        ApprovalState::Approved,
        ApprovalState::Denied,
        ApprovalState::Expired,
        ApprovalState::Spent,
    ]);
    let step = prop_oneof![
        4 => (0..6u64, 0..2u64, any::<bool>())
            .prop_map(|(record, request, window)| Step::Ask { record, request, window }),
        3 => (0..12u64, 0..3u8, said()).prop_map(|(of, by, answer)| Step::Answer { of, by, answer }),
        1 => Just(Step::Expire),
        1 => Just(Step::States),
        1 => prop::option::of(states).prop_map(Step::Search),
    ];
    // Milliseconds that pass before it: mostly few, sometimes until a question or a window ends;
    // sometimes the clock is set back.
    let pause =
        prop_oneof![6 => 0..10i64, 1 => Just(60_000), 1 => Just(3_600_000), 1 => Just(-400_000)];
    (pause, step)
}

/// A store's answer, as text that can be compared.
async fn tell(store: &impl Store, place: u64, step: &Step, now: UnixMillis) -> String {
    let id = |n: u64| format!("ap-{n}");
    match step {
        Step::Ask {
            record,
            request,
            window,
        } => {
            let grant = if *window {
                Grant::Window(Duration::from_secs(60))
            } else {
                Grant::Once
            };
            let mut asking = asking(*record, *request, grant);
            asking.new_id = id(place);
            asking.limits = PendingLimits {
                of_subject: 2,
                in_all: 3,
            };
            format!("{:?}", store.ask(&asking, now).await.unwrap())
        }
        Step::Answer { of, by, answer } => {
            let groups: &[&str] = if *by == 2 { &["dev"] } else { &["approvers"] };
            let by = Identity {
                subject: format!("user-{by}"),
                groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            };
            let words = (of % 2 == 0).then_some("words");
            format!(
                "{:?}",
                store
                    .answer(&id(*of), &by, *answer, words, now)
                    .await
                    .unwrap()
            )
        }
        Step::Expire => format!("{:?}", store.expire(now).await.unwrap()),
        Step::States => {
            let ids: Vec<_> = (0..12).map(id).collect();
            let pending = store.pending(now).await.unwrap();
            format!("{pending} {:?}", store.states(&ids, now).await.unwrap())
        }
        Step::Search(state) => {
            let query = ApprovalQuery {
                state: *state,
                ..ApprovalQuery::default()
            };
            format!("{:?}", store.search(&query, None, 5, now).await.unwrap())
        }
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn whatever_happens_both_stores_answer_the_same(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (sqlite, memory) = (Bench::<Database>::new().await, Bench::<Memory>::new().await);
            let mut now = ASKED;
            for (place, (pause, step)) in (0..).zip(&steps) {
                now = UnixMillis(now.0.saturating_add_signed(*pause));
                prop_assert_eq!(
                    tell(&sqlite.store, place, step, now).await,
                    tell(&memory.store, place, step, now).await,
                    "{:?}", step
                );
            }
            Ok(())
        })?;
    }
}
