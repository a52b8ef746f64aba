use super::{ASKED, approval};
use crate::approval::*;
use crate::base::time::UnixMillis;
use crate::policy::{Duration, Grant};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn sre() -> Vec<String> {
    vec!["oncall".into(), "sre".into()]
}

fn say(
    a: &mut Approval,
    answer: Answer,
    subject: &str,
    at: u64,
) -> Result<ApprovalState, Conflict> {
    a.answer(
        answer,
        Approver {
            subject,
            groups: &sre(),
        },
        ASKED.saturating_add(at),
    )
}

#[test]
fn a_decision_is_final() {
    for (first, state) in [
        (Answer::Approve, ApprovalState::Approved),
        (Answer::Deny, ApprovalState::Denied),
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
    assert_eq!(a.state, ApprovalState::Pending);
    assert_eq!(
        say(&mut a, Answer::Deny, "ana", 10),
        Ok(ApprovalState::Denied)
    );
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
    assert_eq!(
        say(&mut a, Answer::Approve, "sam", 10),
        Ok(ApprovalState::Pending)
    );
    assert_eq!(
        say(&mut a, Answer::Approve, "sam", 20),
        Err(Conflict::AlreadyAnswered)
    );
    assert_eq!(
        say(&mut a, Answer::Approve, "kim", 30),
        Ok(ApprovalState::Approved)
    );
}

#[test]
fn silence_expires_and_a_late_answer_conflicts() {
    let mut a = approval(1, Grant::Once);
    let end = a.expires_at();
    assert_eq!(a.state_at(UnixMillis(end.0 - 1)), ApprovalState::Pending);
    assert_eq!(a.state_at(end), ApprovalState::Expired);
    assert_eq!(
        say(&mut a, Answer::Approve, "sam", 3_600_000),
        Err(Conflict::NotPending(ApprovalState::Expired))
    );
}

#[test]
fn a_window_runs_from_the_approval_and_ends() {
    let mut a = approval(1, Grant::Window(Duration::from_secs(60)));
    say(&mut a, Answer::Approve, "sam", 10_000).unwrap();
    assert_eq!(
        a.state_at(ASKED.saturating_add(69_999)),
        ApprovalState::Approved
    );
    assert_eq!(
        a.state_at(ASKED.saturating_add(70_000)),
        ApprovalState::Expired
    );
}

#[test]
fn whoever_is_in_every_group_may_answer() {
    let mut a = approval(1, Grant::Once);
    let admin = Approver {
        subject: "root",
        groups: &[EVERY_GROUP.to_owned()],
    };
    let state = a.answer(Answer::Approve, admin, ASKED);
    assert_eq!(state, Ok(ApprovalState::Approved));
}
