use super::*;
use crate::policy::Duration;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const ASKED: UnixMillis = UnixMillis(1_000_000);

fn approval(count: u32, grant: Grant) -> Approval {
    Approval {
        state: State::Pending,
        subject: "ana".into(),
        terms: ApproveTerms {
            count,
            grant,
            expires: Duration::from_secs(3600),
            ..ApproveTerms::by(["sre"])
        },
        asked_at: ASKED,
        approved_at: None,
        approved_by: vec![],
    }
}

fn sre() -> Vec<String> {
    vec!["oncall".into(), "sre".into()]
}

fn say(a: &mut Approval, answer: Answer, subject: &str, at: u64) -> Result<State, Conflict> {
    a.answer(
        answer,
        Approver {
            subject,
            groups: &sre(),
        },
        ASKED.saturating_add(at),
    )
}

fn request() -> BoundRequest<'static> {
    BoundRequest {
        issuer: "https://issuer.example",
        subject: "ana",
        agent: Some("copilot"),
        connection: "arm",
        method: "DELETE",
        host: "management.azure.com",
        path: "/subscriptions/1",
        query: Some("api-version=1"),
        content_type: None,
        content_encoding: None,
        body: BodyBinding::Whole(body_sha256(b"{}")),
    }
}

#[test]
fn every_part_of_a_request_changes_its_digest() {
    let base = request();
    let variants = [
        BoundRequest {
            issuer: "https://other.example",
            ..base
        },
        BoundRequest {
            subject: "bob",
            ..base
        },
        BoundRequest {
            agent: Some("codex"),
            ..base
        },
        BoundRequest {
            agent: None,
            ..base
        },
        BoundRequest {
            connection: "arm2",
            ..base
        },
        BoundRequest {
            method: "PUT",
            ..base
        },
        BoundRequest {
            host: "other.azure.com",
            ..base
        },
        BoundRequest {
            path: "/subscriptions/2",
            ..base
        },
        BoundRequest {
            query: None,
            ..base
        },
        BoundRequest {
            query: Some(""),
            ..base
        },
        BoundRequest {
            content_type: Some(b"application/json"),
            ..base
        },
        BoundRequest {
            content_encoding: Some(b"application/json"),
            ..base
        },
        BoundRequest {
            body: BodyBinding::Whole(body_sha256(b"{ }")),
            ..base
        },
        BoundRequest {
            body: BodyBinding::Unseen { record: "a-1" },
            ..base
        },
        BoundRequest {
            body: BodyBinding::Unseen { record: "a-2" },
            ..base
        },
    ];
    let mut digests: Vec<_> = variants
        .iter()
        .map(|v| v.digest().as_str().to_owned())
        .collect();
    digests.push(base.digest().as_str().to_owned());
    let all = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), all);
    assert_eq!(
        base.digest(),
        request().digest(),
        "the same request has the same digest"
    );
}

#[test]
fn text_moved_from_one_part_to_the_next_changes_the_digest() {
    let a = BoundRequest {
        subject: "ana",
        agent: Some("x"),
        path: "/ab",
        query: Some("c"),
        ..request()
    };
    let b = BoundRequest {
        subject: "anax",
        agent: Some(""),
        path: "/a",
        query: Some("bc"),
        ..request()
    };
    assert_ne!(a.digest(), b.digest());
}

#[test]
fn a_decision_is_final() {
    for (first, state) in [
        (Answer::Approve, State::Approved),
        (Answer::Deny, State::Denied),
    ] {
        let mut a = approval(1, Grant::Once);
        assert_eq!(say(&mut a, first, "sam", 10), Ok(state));
        for second in [Answer::Approve, Answer::Deny] {
            assert_eq!(
                say(&mut a, second, "kim", 20),
                Err(Conflict::NotPending(state))
            );
        }
        assert_eq!(a.state, state);
    }
}

#[test]
fn nobody_approves_their_own_request_but_anyone_may_withdraw_it() {
    let mut a = approval(1, Grant::Once);
    assert_eq!(
        say(&mut a, Answer::Approve, "ana", 10),
        Err(Conflict::OwnRequest)
    );
    assert_eq!(a.state, State::Pending);
    assert_eq!(say(&mut a, Answer::Deny, "ana", 10), Ok(State::Denied));
}

#[test]
fn only_the_rules_groups_answer() {
    let mut a = approval(1, Grant::Once);
    let outsider = Approver {
        subject: "eve",
        groups: &["dev".to_owned()],
    };
    for answer in [Answer::Approve, Answer::Deny] {
        let refused = a.answer(answer, outsider, ASKED);
        assert_eq!(
            refused,
            Err(Conflict::NotAnApprover {
                wanted: vec!["sre".into()]
            })
        );
    }
}

#[test]
fn two_approvals_take_two_people() {
    let mut a = approval(2, Grant::Once);
    assert_eq!(say(&mut a, Answer::Approve, "sam", 10), Ok(State::Pending));
    assert_eq!(
        say(&mut a, Answer::Approve, "sam", 20),
        Err(Conflict::AlreadyAnswered)
    );
    assert_eq!(say(&mut a, Answer::Approve, "kim", 30), Ok(State::Approved));
}

#[test]
fn silence_expires_and_a_late_answer_conflicts() {
    let mut a = approval(1, Grant::Once);
    let end = a.expires_at();
    assert_eq!(a.state_at(UnixMillis(end.0 - 1)), State::Pending);
    assert_eq!(a.state_at(end), State::Expired);
    assert_eq!(
        say(&mut a, Answer::Approve, "sam", 3_600_000),
        Err(Conflict::NotPending(State::Expired))
    );
}

#[test]
fn a_window_runs_from_the_approval_and_ends() {
    let mut a = approval(1, Grant::Window(Duration::from_secs(60)));
    say(&mut a, Answer::Approve, "sam", 10_000).unwrap();
    assert_eq!(a.state_at(ASKED.saturating_add(69_999)), State::Approved);
    assert_eq!(a.state_at(ASKED.saturating_add(70_000)), State::Expired);
}
