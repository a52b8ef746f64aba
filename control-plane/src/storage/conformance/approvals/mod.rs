//! The duties of a store of approvals. Which question a record gets is tested in the engine.

mod both;
mod whole;

use std::collections::BTreeMap;

use chaperone_engine::approval::{
    Answer, ApprovalState, Binding, Conflict, PendingLimits, Standing,
};
use chaperone_engine::audit::{Body, RecordId, RequestLine};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::identity::Principal;
use chaperone_engine::link::BodyPreview;
use chaperone_engine::policy::{ApproveTerms, Duration, Grant};
use chaperone_engine::upstreams::Operation;

use super::{Bench, Tested, for_each_store, interrupted_everywhere};
use crate::access::Identity;
use crate::approvals::store::{
    Answered, ApprovalQuery, Asked, Asking, Question, Store, StoredApproval,
};

for_each_store!(
    a_question_is_kept_as_it_was_asked,
    an_answer_is_told_to_whoever_asks,
    a_refused_answer_changes_nothing,
    what_ran_out_is_marked_once,
    questions_are_found_by_what_is_asked_for,
    lists_have_no_bodies,
    too_many_questions_are_refused_until_some_are_over,
    two_writers_open_no_more_than_may_be_open,
    one_time_grants_are_spent_once_by_two_writers,
    a_question_is_read_with_its_answers_and_records,
    two_people_at_once_both_count,
    one_person_at_once_counts_once,
    of_a_yes_and_a_no_at_once_one_counts,
    an_answer_counts_before_its_question_runs_out_or_not_at_all,
    an_id_is_given_to_one_question,
    what_was_asked_by_a_clock_that_ran_ahead_runs_from_the_later_reading,
    taking_back_a_wrong_clock_is_whole,
);

const ASKED: UnixMillis = UnixMillis(1_000);
/// Before which everything asked at [`ASKED`] is open.
const LATER: UnixMillis = UnixMillis(2_000);
/// When nothing of it is.
const TOO_LATE: UnixMillis = UnixMillis(10_000_000);

/// `record` wants to pass; if a question is opened it is `ap-<record>`.
fn asking(record: u64, request: u64, grant: Grant) -> Asking {
    let terms = ApproveTerms {
        by: vec!["approvers".to_owned()],
        count: 1,
        hold: Duration::from_secs(1),
        expires: Duration::from_secs(3600),
        grant,
    };
    let digest = serde_json::from_value(format!("{request:064x}").into()).unwrap();
    Asking {
        new_id: format!("ap-{record}"),
        binding: Binding::of(&digest, "ask", &terms).unwrap(),
        question: Question {
            principal: Principal {
                issuer: "https://issuer.example.com".to_owned(),
                subject: format!("user-{request}"),
                groups: vec!["dev".to_owned()],
                agent: Some("cli".to_owned()),
                session: None,
            },
            connection: "arm".to_owned(),
            operation: Operation {
                action: "Microsoft.Storage/listKeys/action".to_owned(),
                attributes: BTreeMap::from([("subscription".to_owned(), "s".to_owned())]),
            },
            request: RequestLine {
                method: "POST".to_owned(),
                host: "management.azure.com".to_owned(),
                path: format!("/{request}"),
                query: None,
            },
            content_type: Some("application/json".to_owned()),
            body: None,
            rule: "ask".to_owned(),
            reason: "Keys open everything.".to_owned(),
            terms,
            policy_version: 3,
            digest,
            node: "envoy-1".to_owned(),
            record: RecordId(format!("record-{record}")),
        },
        limits: PendingLimits {
            of_subject: 100,
            in_all: 100,
        },
    }
}

fn once(record: u64, request: u64) -> Asking {
    asking(record, request, Grant::Once)
}

fn bob() -> Identity {
    Identity {
        subject: "bob".to_owned(),
        groups: vec!["approvers".to_owned()],
    }
}

async fn ask(store: &impl Store, asking: &Asking, now: UnixMillis) -> Asked {
    store.ask(asking, now).await.unwrap()
}

async fn answer(store: &impl Store, id: &str, answer: Answer) -> Answered {
    let said = store.answer(id, &bob(), answer, Some("words"), LATER).await;
    said.unwrap()
}

/// All that a store says of its approvals.
async fn everything<S: Store>(store: &S) -> Vec<(StoredApproval, u64)> {
    let all = ApprovalQuery::default();
    store.search(&all, None, 100, ASKED).await.unwrap()
}

async fn a_question_is_kept_as_it_was_asked<S: Tested + Store>(bench: Bench<S>) {
    let asking = once(1, 1);
    let asked = ask(&bench.store, &asking, ASKED).await;
    assert!(asked.changed);
    assert_eq!(asked.answer.approval, "ap-1");
    assert_eq!(asked.answer.answer, Standing::Pending);
    // The same request shares the question, and another control plane knows of it.
    let other = bench.another().await;
    let shared = ask(&other, &once(2, 1), LATER).await;
    assert!(!shared.changed);
    assert_eq!(shared.answer, asked.answer);

    let (stored, records) = other.show("ap-1").await.unwrap().unwrap();
    assert_eq!(stored.question, asking.question);
    assert_eq!(stored.approval.asked_at, ASKED);
    assert_eq!(stored.answers, []);
    assert_eq!(records, 2);
    assert_eq!(other.pending(LATER).await.unwrap(), 1);
    assert_eq!(other.pending(TOO_LATE).await.unwrap(), 0);
    assert_eq!(other.show("ap-2").await.unwrap(), None);
}

async fn an_answer_is_told_to_whoever_asks<S: Tested + Store>(bench: Bench<S>) {
    let store = &bench.store;
    for (request, said, standing) in [
        (1, Answer::Approve, Standing::Granted),
        (2, Answer::Deny, Standing::Denied),
    ] {
        let asked = ask(store, &once(request, request), ASKED).await;
        let id = asked.answer.approval;
        assert_eq!(answer(store, &id, said).await, Answered::Done);
        let told = ask(store, &once(request, request), LATER).await;
        assert_eq!(told.answer.answer, standing);
        assert_eq!(told.answer.by.as_deref(), Some("bob"));
        assert_eq!(told.answer.comment.as_deref(), Some("words"));
        assert_eq!(
            told.changed,
            standing == Standing::Granted,
            "a grant was spent"
        );
        // Asked again, since the answer may have been lost: the same, and nothing is spent.
        let again = ask(store, &once(request, request), LATER).await;
        assert_eq!(again.answer, told.answer);
        assert!(!again.changed);

        let (stored, _) = store.show(&id).await.unwrap().unwrap();
        assert_eq!(stored.decided_at, Some(LATER));
        assert_eq!(
            (stored.answers[0].answer, stored.answers[0].at),
            (said, LATER)
        );
    }
    let ids = ["ap-2", "none", "ap-1"].map(str::to_owned);
    let states = [
        ApprovalState::Denied,
        ApprovalState::Expired,
        ApprovalState::Spent,
    ];
    let expected: Vec<_> = ids.clone().into_iter().zip(states).collect();
    assert_eq!(store.states(&ids, LATER).await.unwrap(), expected);
}

async fn a_refused_answer_changes_nothing<S: Tested + Store>(bench: Bench<S>) {
    let store = &bench.store;
    ask(store, &once(1, 1), ASKED).await;
    let before = everything(store).await;
    let own = Identity {
        subject: "user-1".to_owned(),
        groups: vec!["approvers".to_owned()],
    };
    let refused = store
        .answer("ap-1", &own, Answer::Approve, None, LATER)
        .await;
    assert_eq!(refused.unwrap(), Answered::Refused(Conflict::OwnRequest));
    assert_eq!(
        answer(store, "none", Answer::Approve).await,
        Answered::Unknown
    );
    assert_eq!(everything(store).await, before);
    assert_eq!(answer(store, "ap-1", Answer::Approve).await, Answered::Done);
}

async fn what_ran_out_is_marked_once<S: Tested + Store>(bench: Bench<S>) {
    let store = &bench.store;
    ask(store, &once(1, 1), ASKED).await;
    let window = Grant::Window(Duration::from_secs(60));
    ask(store, &asking(2, 2, window), ASKED).await;
    answer(store, "ap-2", Answer::Approve).await;
    assert_eq!(store.expire(LATER).await.unwrap(), Vec::<String>::new());
    let after_the_window = LATER.saturating_add(60_000);
    assert_eq!(store.expire(after_the_window).await.unwrap(), ["ap-2"]);
    assert_eq!(store.expire(TOO_LATE).await.unwrap(), ["ap-1"]);
    assert_eq!(store.expire(TOO_LATE).await.unwrap(), Vec::<String>::new());
}

async fn questions_are_found_by_what_is_asked_for<S: Tested + Store>(bench: Bench<S>) {
    let store = &bench.store;
    for n in 1..=5 {
        ask(store, &once(n, n), UnixMillis(1_000 + n / 2)).await;
    }
    answer(store, "ap-3", Answer::Deny).await;
    let found = async |query: ApprovalQuery, now| -> Vec<String> {
        let found = store.search(&query, None, 100, now).await.unwrap();
        found.into_iter().map(|(stored, _)| stored.id).collect()
    };
    let all = ApprovalQuery::default();
    let state = |state| ApprovalQuery {
        state: Some(state),
        ..all.clone()
    };
    assert_eq!(
        found(all.clone(), LATER).await,
        ["ap-5", "ap-4", "ap-3", "ap-2", "ap-1"]
    );
    assert_eq!(found(state(ApprovalState::Denied), LATER).await, ["ap-3"]);
    assert_eq!(found(state(ApprovalState::Pending), LATER).await.len(), 4);
    assert_eq!(
        found(state(ApprovalState::Expired), TOO_LATE).await.len(),
        4
    );
    let of = |subject: &str| ApprovalQuery {
        subject: Some(subject.to_owned()),
        ..all.clone()
    };
    assert_eq!(found(of("user-2"), LATER).await, ["ap-2"]);
    assert_eq!(found(of("user"), LATER).await, Vec::<String>::new());
    for (wanted, count) in [("arm", 5), ("other", 0)] {
        let query = ApprovalQuery {
            connection: Some(wanted.to_owned()),
            ..all.clone()
        };
        assert_eq!(found(query, LATER).await.len(), count);
    }
    for (wanted, count) in [("ask", 5), ("other", 0)] {
        let query = ApprovalQuery {
            rule: Some(wanted.to_owned()),
            ..all.clone()
        };
        assert_eq!(found(query, LATER).await.len(), count);
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.search(&all, after.as_ref(), 2, LATER).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some((last.approval.asked_at.0, last.id.clone()));
        seen.extend(page.into_iter().map(|(stored, _)| stored.id));
    }
    assert_eq!(seen, found(all.clone(), LATER).await);
}

async fn lists_have_no_bodies<S: Tested + Store>(bench: Bench<S>) {
    let mut asking = once(1, 1);
    let body = BodyPreview {
        content: Body::Text("x".repeat(16_384)),
        total_bytes: Some(20_000),
        truncated: true,
    };
    asking.question.body = Some(body.clone());
    ask(&bench.store, &asking, ASKED).await;
    let mut second = once(2, 2);
    second.question.body = None;
    ask(&bench.store, &second, ASKED).await;
    let (mut shown, _) = bench.store.show("ap-1").await.unwrap().unwrap();
    assert_eq!(shown.question.body, Some(body.clone()));
    // How much of it can be shown is said all the same.
    shown.question.body = Some(BodyPreview {
        content: Body::Text(String::new()),
        ..body
    });
    let (hidden, _) = bench.store.show("ap-2").await.unwrap().unwrap();
    assert_eq!(hidden.question.body, None);
    let listed = everything(&bench.store).await;
    assert_eq!(listed.len(), 2);
    assert!(listed.contains(&(shown, 1)) && listed.contains(&(hidden, 1)));
}

/// `record` of `subject` wants to pass with a request of its own.
fn of_subject(subject: &str, record: u64) -> Asking {
    let mut asking = once(record, record);
    asking.question.principal.subject = subject.to_owned();
    asking.limits = PendingLimits {
        of_subject: 3,
        in_all: 5,
    };
    asking
}

async fn too_many_questions_are_refused_until_some_are_over<S: Tested + Store>(bench: Bench<S>) {
    let store = &bench.store;
    let standing = async |subject: &str, record, now| {
        let asked = ask(store, &of_subject(subject, record), now).await;
        asked.answer.answer
    };
    for record in 1..=3 {
        assert_eq!(standing("alice", record, ASKED).await, Standing::Pending);
    }
    let before = everything(store).await;
    let refused = ask(store, &of_subject("alice", 4), ASKED).await;
    assert_eq!(refused, Asked::too_many(ASKED));
    assert_eq!(everything(store).await, before, "nothing was opened");
    // A question that waits already goes on waiting, and another request for the same may wait with
    // it.
    assert_eq!(standing("alice", 1, LATER).await, Standing::Pending);
    let mut shared = of_subject("alice", 1);
    shared.question.record = RecordId("another".to_owned());
    let shared = ask(store, &shared, LATER).await;
    assert_eq!(shared.answer.approval, "ap-1");
    // One subject leaves room for others, until it is full for all.
    assert_eq!(standing("bob", 5, ASKED).await, Standing::Pending);
    assert_eq!(standing("carol", 6, ASKED).await, Standing::Pending);
    let full = Standing::TooManyPending;
    assert_eq!(standing("dave", 7, ASKED).await, full);
    // An answer makes room, and so does time.
    assert_eq!(answer(store, "ap-2", Answer::Deny).await, Answered::Done);
    assert_eq!(standing("alice", 4, LATER).await, Standing::Pending);
    assert_eq!(standing("dave", 7, LATER).await, full);
    assert_eq!(standing("dave", 7, TOO_LATE).await, Standing::Pending);
}

async fn two_writers_open_no_more_than_may_be_open<S: Tested + Store + 'static>(bench: Bench<S>) {
    let stores = [bench.store.clone(), bench.another().await];
    let asks = (1..=12).map(|record| {
        let store = stores[(record % 2) as usize].clone();
        tokio::spawn(async move { ask(&store, &of_subject("alice", record), ASKED).await })
    });
    let mut open = 0;
    for asked in asks.collect::<Vec<_>>() {
        open += u64::from(asked.await.unwrap().answer.answer == Standing::Pending);
    }
    assert_eq!(open, 3);
    assert_eq!(bench.store.pending(LATER).await.unwrap(), 3);
}

async fn one_time_grants_are_spent_once_by_two_writers<S: Tested + Store + 'static>(
    bench: Bench<S>,
) {
    const RECORDS: u64 = 8;
    for request in 1..=10 {
        let first = request * 100;
        ask(&bench.store, &once(first, request), ASKED).await;
        answer(&bench.store, &format!("ap-{first}"), Answer::Approve).await;
        let stores = [bench.store.clone(), bench.another().await];
        let asks = (1..=RECORDS).map(|n| {
            let store = stores[(n % 2) as usize].clone();
            tokio::spawn(async move { ask(&store, &once(first + n, request), LATER).await })
        });
        let mut granted = 0;
        for asked in asks.collect::<Vec<_>>() {
            granted += u64::from(asked.await.unwrap().answer.answer == Standing::Granted);
        }
        assert_eq!(granted, 1, "request {request}");
    }
}

async fn a_question_is_read_with_its_answers_and_records<S: Tested + Store + 'static>(
    bench: Bench<S>,
) {
    let writer = bench.another().await;
    for n in 1..=50 {
        let id = format!("ap-{n}");
        ask(&writer, &once(n, n), ASKED).await;
        let writing = tokio::spawn({
            let (writer, id) = (writer.clone(), id.clone());
            async move {
                answer(&writer, &id, Answer::Approve).await;
                ask(&writer, &once(1000 + n, n), LATER).await
            }
        });
        loop {
            let shown = bench.store.show(&id).await.unwrap().unwrap();
            let all = ApprovalQuery::default();
            let found = bench.store.search(&all, None, 100, LATER).await.unwrap();
            let found = found.into_iter().find(|(stored, _)| stored.id == id);
            for (stored, records) in [&shown, &found.unwrap()] {
                let seen = (stored.approval.state, stored.answers.len(), *records);
                assert!(
                    [
                        (ApprovalState::Pending, 0, 1),
                        (ApprovalState::Approved, 1, 1),
                        (ApprovalState::Spent, 1, 2),
                    ]
                    .contains(&seen),
                    "{seen:?}"
                );
            }
            if shown.0.approval.state == ApprovalState::Spent {
                break;
            }
            tokio::task::yield_now().await;
        }
        writing.await.unwrap();
    }
}

async fn answer_by(store: &impl Store, who: &str, id: &str, answer: Answer) -> Answered {
    let by = Identity {
        subject: who.to_owned(),
        groups: vec!["approvers".to_owned()],
    };
    store.answer(id, &by, answer, None, LATER).await.unwrap()
}

/// Opens a question that `count` people have to say yes to; returns its id.
async fn open(store: &impl Store, n: u64, count: u32) -> String {
    let mut asking = once(n, n);
    asking.question.terms.count = count;
    ask(store, &asking, ASKED).await.answer.approval
}

/// How a question stands, and who has answered it.
async fn stands(store: &impl Store, id: &str) -> (ApprovalState, Vec<String>) {
    let (stored, _) = store.show(id).await.unwrap().unwrap();
    let by = stored.answers.into_iter().map(|given| given.by);
    (stored.approval.state, by.collect())
}

async fn two_people_at_once_both_count<S: Tested + Store>(bench: Bench<S>) {
    let (one, other) = (&bench.store, &bench.another().await);
    for n in 1..=10 {
        let id = open(one, n, 2).await;
        let (first, second) = tokio::join!(
            answer_by(one, "bob", &id, Answer::Approve),
            answer_by(other, "eve", &id, Answer::Approve),
        );
        assert_eq!((first, second), (Answered::Done, Answered::Done));
        let (state, mut by) = stands(one, &id).await;
        by.sort();
        assert_eq!(state, ApprovalState::Approved);
        assert_eq!(by, ["bob", "eve"]);
    }
}

async fn one_person_at_once_counts_once<S: Tested + Store>(bench: Bench<S>) {
    let (one, other) = (&bench.store, &bench.another().await);
    for n in 1..=10 {
        let id = open(one, n, 2).await;
        let (first, second) = tokio::join!(
            answer_by(one, "bob", &id, Answer::Approve),
            answer_by(other, "bob", &id, Answer::Approve),
        );
        let again = Answered::Refused(Conflict::AlreadyAnswered);
        assert!(
            [(&Answered::Done, &again), (&again, &Answered::Done)].contains(&(&first, &second)),
            "{first:?} {second:?}"
        );
        let pending = (ApprovalState::Pending, vec!["bob".to_owned()]);
        assert_eq!(stands(one, &id).await, pending);
    }
}

async fn of_a_yes_and_a_no_at_once_one_counts<S: Tested + Store>(bench: Bench<S>) {
    let (one, other) = (&bench.store, &bench.another().await);
    for n in 1..=10 {
        let id = open(one, n, 1).await;
        let (yes, no) = tokio::join!(
            answer_by(one, "bob", &id, Answer::Approve),
            answer_by(other, "eve", &id, Answer::Deny),
        );
        let late = |state| Answered::Refused(Conflict::NotPending(state));
        let (state, by) = match (yes, no) {
            (Answered::Done, no) => {
                assert_eq!(no, late(ApprovalState::Approved));
                (ApprovalState::Approved, "bob")
            }
            (yes, no) => {
                assert_eq!((yes, no), (late(ApprovalState::Denied), Answered::Done));
                (ApprovalState::Denied, "eve")
            }
        };
        assert_eq!(stands(one, &id).await, (state, vec![by.to_owned()]));
    }
}

async fn an_answer_counts_before_its_question_runs_out_or_not_at_all<S: Tested + Store>(
    bench: Bench<S>,
) {
    let (one, other) = (&bench.store, &bench.another().await);
    for n in 1..=10 {
        let id = open(one, n, 1).await;
        // Its clock is behind: by that of the other one, the question has run out.
        let (said, ran_out) = tokio::join!(
            answer_by(one, "bob", &id, Answer::Approve),
            other.expire(TOO_LATE),
        );
        assert_eq!(ran_out.unwrap(), [id.as_str()]);
        let by: &[&str] = match said {
            Answered::Done => &["bob"],
            said => {
                let late = Conflict::NotPending(ApprovalState::Expired);
                assert_eq!(said, Answered::Refused(late));
                &[]
            }
        };
        let (state, answers) = stands(one, &id).await;
        assert_eq!(
            (state, answers),
            (
                ApprovalState::Expired,
                by.iter().map(|by| (*by).to_owned()).collect()
            )
        );
    }
}

async fn an_id_is_given_to_one_question<S: Tested + Store>(bench: Bench<S>) {
    let store = &bench.store;
    ask(store, &once(1, 1), ASKED).await;
    let before = (everything(store).await, store.told().await);
    let mut second = once(2, 2);
    second.new_id = "ap-1".to_owned();
    assert!(store.ask(&second, ASKED).await.is_err());
    assert_eq!((everything(store).await, store.told().await), before);
    // Where no question is opened, none needs an id.
    let mut shared = once(3, 1);
    shared.new_id = "ap-1".to_owned();
    assert_eq!(ask(store, &shared, ASKED).await.answer.approval, "ap-1");
}

/// Forty days after [`ASKED`].
const AHEAD: UnixMillis = UnixMillis(ASKED.0 + 40 * 24 * 3_600_000);

/// A question and a grant of each kind, all by a clock that runs ahead.
async fn ask_ahead(store: &impl Store) {
    ask(store, &once(1, 1), AHEAD).await;
    ask(store, &once(2, 2), AHEAD).await;
    let window = asking(3, 3, Grant::Window(Duration::from_secs(60)));
    ask(store, &window, AHEAD).await;
    for id in ["ap-2", "ap-3"] {
        let said = store.answer(id, &bob(), Answer::Approve, None, AHEAD).await;
        assert_eq!(said.unwrap(), Answered::Done);
    }
}

async fn what_was_asked_by_a_clock_that_ran_ahead_runs_from_the_later_reading<S>(bench: Bench<S>)
where
    S: Tested + Store,
{
    let store = &bench.store;
    ask_ahead(store).await;
    assert_eq!(store.expire(ASKED).await.unwrap(), [] as [&str; 0]);
    for (id, lasts) in [("ap-1", 3_600_000), ("ap-2", 3_600_000), ("ap-3", 60_000)] {
        let (stored, _) = store.show(id).await.unwrap().unwrap();
        let open = stored.approval.state;
        let end = ASKED.saturating_add(lasts);
        assert_eq!(stored.approval.asked_at, ASKED, "{id}");
        assert_eq!(
            stored.approval.state_at(UnixMillis(end.0 - 1)),
            open,
            "{id}"
        );
        assert_eq!(
            stored.approval.state_at(end),
            ApprovalState::Expired,
            "{id}"
        );
    }
    let ids = ["ap-1", "ap-2", "ap-3"];
    assert_eq!(store.expire(TOO_LATE).await.unwrap(), ids);
}

async fn taking_back_a_wrong_clock_is_whole<S: Tested + Store>(_: Bench<S>) {
    interrupted_everywhere::<S, _, _>(
        ask_ahead,
        async |store| store.expire(ASKED).await,
        everything::<S>,
    )
    .await;
}
