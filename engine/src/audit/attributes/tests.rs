use std::collections::BTreeSet;

use super::*;
use crate::audit::{
    AbortCause, Aggregated, ApprovalOutcome, RecordId, RefusedExample, RequestLine, Timings,
};

fn event(at: u64, kind: EventKind) -> Event {
    Event {
        seq: at,
        record: RecordId("r".to_owned()),
        at: UnixMillis(at),
        kind,
    }
}

fn decided(rule: Option<&str>, approval: Option<ApprovalOutcome>) -> EventKind {
    EventKind::Decided {
        effect: Effect::Allow,
        rule: rule.map(str::to_owned),
        reason: "because".to_owned(),
        code: None,
        approval,
    }
}

fn life() -> Vec<Event> {
    let received = EventKind::Received {
        request: RequestLine {
            method: "GET".to_owned(),
            host: "api.example.com".to_owned(),
            path: "/v1".to_owned(),
            query: Some("a=b".to_owned()),
        },
        principal: Some(crate::identity::Principal {
            issuer: "https://issuer.example.com".to_owned(),
            subject: "alice".to_owned(),
            groups: vec!["dev".to_owned(), "ops".to_owned()],
            agent: Some("cli".to_owned()),
            session: None,
        }),
        token_owner: None,
        source: Some("203.0.113.7".to_owned()),
        user_agent: Some("cli/1.0".to_owned()),
        connection: Some("models".to_owned()),
        operation: None,
        policy_version: Some(3),
        request_id: None,
        taken: vec!["x-forwarded-for".to_owned()],
    };
    let held = EventKind::Held {
        approval: "ap-1".to_owned(),
        rule: "ask".to_owned(),
    };
    let by = ApprovalOutcome {
        id: "ap-1".to_owned(),
        by: Some("bob".to_owned()),
    };
    let aborted = EventKind::Aborted {
        cause: AbortCause::Upstream,
        timings: Timings {
            decided_ms: 5,
            total_ms: 9,
            masked: BTreeMap::from([("github-pat".to_owned(), 2)]),
            refused: Some("expanded_response_too_large".to_owned()),
            ..Timings::default()
        },
    };
    vec![
        event(1, received),
        event(2, held),
        event(3, decided(None, Some(by))),
        event(4, EventKind::Forwarded {}),
        event(5, EventKind::ResponseStarted { status: 200 }),
        event(6, aborted),
    ]
}

#[test]
fn a_record_is_what_its_events_have_said() {
    let mut all = RecordAttributes::default();
    for event in life() {
        all.add(&event);
    }
    assert_eq!(
        all,
        RecordAttributes {
            ended_at: Some(UnixMillis(6)),
            issuer: Some("https://issuer.example.com".to_owned()),
            subject: Some("alice".to_owned()),
            agent: Some("cli".to_owned()),
            groups: vec!["dev".to_owned(), "ops".to_owned()],
            source: Some("203.0.113.7".to_owned()),
            user_agent: Some("cli/1.0".to_owned()),
            taken: vec!["x-forwarded-for".to_owned()],
            connection: Some("models".to_owned()),
            method: "GET".to_owned(),
            host: "api.example.com".to_owned(),
            path: "/v1".to_owned(),
            query: Some("a=b".to_owned()),
            effect: Some(Effect::Allow),
            // The verdict names none, so the rule that held it stays.
            rule: Some("ask".to_owned()),
            reason: Some("because".to_owned()),
            // It was ended after it had been let through.
            code: Some("expanded_response_too_large".to_owned()),
            status: Some(200),
            approval: Some("ap-1".to_owned()),
            approved_by: Some("bob".to_owned()),
            policy_version: Some(3),
            abort_cause: Some("upstream".to_owned()),
            decided_ms: Some(5),
            total_ms: Some(9),
            request_bytes: Some(0),
            response_bytes: Some(0),
            masked: BTreeMap::from([("github-pat".to_owned(), 2)]),
            ..RecordAttributes::default()
        }
    );
}

#[test]
fn a_refused_token_says_whom_it_was_made_for_and_nothing_else_of_them() {
    let owner = crate::identity::TokenOwner {
        issuer: "https://issuer.example.com".to_owned(),
        subject: "alice".to_owned(),
    };
    let mut all = RecordAttributes::default();
    all.add(&event(
        1,
        EventKind::Received {
            request: RequestLine::default(),
            principal: None,
            token_owner: Some(owner),
            source: None,
            user_agent: None,
            connection: None,
            operation: None,
            policy_version: None,
            request_id: None,
            taken: Vec::new(),
        },
    ));
    assert_eq!(
        all,
        RecordAttributes {
            issuer: Some("https://issuer.example.com".to_owned()),
            subject: Some("alice".to_owned()),
            ..RecordAttributes::default()
        }
    );
}

#[test]
fn a_record_of_many_refused_requests_counts_them_and_tells_of_the_first() {
    let example = |path: &str| RefusedExample {
        at: UnixMillis(3),
        request: RequestLine {
            method: "GET".to_owned(),
            host: "api.example.com".to_owned(),
            path: path.to_owned(),
            query: None,
        },
        user_agent: Some("cli/1.0".to_owned()),
        request_id: None,
    };
    let many = Aggregated {
        requests: 17_000,
        first: UnixMillis(3),
        last: UnixMillis(8),
        code: Some("token_missing".to_owned()),
        status: 401,
        source: Some("203.0.113.7".to_owned()),
        token_owner: None,
        examples: vec![example("/a"), example("/b")],
    };
    let mut all = RecordAttributes::default();
    all.add(&event(9, EventKind::Aggregated(many)));
    assert_eq!(
        all,
        RecordAttributes {
            requests: Some(17_000),
            ended_at: Some(UnixMillis(8)),
            source: Some("203.0.113.7".to_owned()),
            user_agent: Some("cli/1.0".to_owned()),
            method: "GET".to_owned(),
            host: "api.example.com".to_owned(),
            path: "/a".to_owned(),
            effect: Some(Effect::Deny),
            code: Some("token_missing".to_owned()),
            status: Some(401),
            ..RecordAttributes::default()
        }
    );
}

#[test]
fn however_the_events_are_cut_the_record_is_the_same() {
    let mut whole = RecordAttributes::default();
    for event in life() {
        whole.add(&event);
    }
    for cut in 0..=life().len() {
        let (mut before, mut after) = (RecordAttributes::default(), RecordAttributes::default());
        for (n, event) in life().iter().enumerate() {
            if n < cut {
                before.add(event)
            } else {
                after.add(event)
            }
        }
        before.merge(after);
        assert_eq!(before, whole, "cut before event {cut}");
    }
}

#[test]
fn what_a_store_keeps_is_read_back_as_it_was() {
    let mut all = RecordAttributes::default();
    for event in life() {
        all.add(&event);
    }
    let kept = all
        .values()
        .map(|value| value.map(AttributeValue::into_owned));
    let mut kept = ATTRIBUTES.iter().zip(kept);
    let read = RecordAttributes::read::<Unreadable>(|attribute| {
        let (expected, value) = kept.next().unwrap();
        assert_eq!(attribute, expected);
        Ok(value)
    });
    assert_eq!(read.unwrap(), all);
}

#[test]
fn a_value_of_another_shape_is_an_error_that_names_the_attribute() {
    let read = RecordAttributes::read::<Unreadable>(|attribute| {
        Ok((attribute.name == "status").then(|| AttributeValue::Text("two hundred".into())))
    });
    assert_eq!(read.unwrap_err().attribute, "status");
}

#[test]
fn names_are_unique() {
    let names: BTreeSet<_> = ATTRIBUTES.iter().map(|attribute| attribute.name).collect();
    assert_eq!(names.len(), ATTRIBUTES.len());
}
