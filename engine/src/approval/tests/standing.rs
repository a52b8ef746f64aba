use super::{ASKED, approval};
use crate::approval::*;
use crate::audit::RecordId;
use crate::base::time::UnixMillis;
use crate::policy::{ApproveTerms, Duration, Grant};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Questions of these tests stay open for an hour, and their windows for a minute.
const WINDOW: Grant = Grant::Window(Duration::from_secs(60));

fn later(seconds: u64) -> UnixMillis {
    ASKED.saturating_add(seconds * 1000)
}

fn record(name: &str) -> RecordId {
    RecordId(name.to_owned())
}

fn answered(grant: Grant, answer: Answer) -> Approval {
    let mut question = approval(1, grant);
    let sam = Approver {
        subject: "sam",
        groups: &["sre".to_owned()],
    };
    question.answer(answer, sam, ASKED).unwrap();
    question
}

fn approved(grant: Grant) -> Approval {
    answered(grant, Answer::Approve)
}

fn denied() -> Approval {
    answered(Grant::Once, Answer::Deny)
}

fn spent_by(name: &str) -> Approval {
    let mut question = approved(Grant::Once);
    question.apply(Change::Spend, &record(name));
    question
}

fn told() -> Approval {
    let mut question = denied();
    question.apply(Change::DenialTold, &record("another"));
    question
}

const fn says(standing: Standing) -> Option<Told> {
    says_and(standing, Change::None)
}

const fn says_and(standing: Standing, change: Change) -> Option<Told> {
    Some(Told { standing, change })
}

#[test]
fn a_record_that_has_asked_before_stays_with_its_question() {
    use Change::{DenialTold, Spend};
    use Standing::{Denied, Expired, Granted, Pending};
    let now = later(30);
    let asks_again = [
        ("pending", approval(1, Grant::Once), now, says(Pending)),
        (
            "answered by nobody",
            approval(1, Grant::Once),
            later(3600),
            says(Expired),
        ),
        (
            "approved once",
            approved(Grant::Once),
            now,
            says_and(Granted, Spend),
        ),
        (
            "approved once, too late",
            approved(Grant::Once),
            later(3600),
            says(Expired),
        ),
        (
            "approved for a window",
            approved(WINDOW),
            now,
            says(Granted),
        ),
        (
            "its window is over",
            approved(WINDOW),
            later(60),
            says(Expired),
        ),
        ("denied", denied(), now, says_and(Denied, DenialTold)),
        ("denied, and that was told", told(), now, says(Denied)),
        (
            "denied, and the question is over",
            told(),
            later(3600),
            says(Denied),
        ),
        ("spent by this record", spent_by("mine"), now, says(Granted)),
        ("spent by another", spent_by("theirs"), now, None),
    ];
    for (case, question, now, expected) in asks_again {
        let says = question.tell_again(&record("mine"), false, now);
        assert_eq!(says, expected, "{case}");
    }
}

#[test]
fn what_was_let_through_stays_let_through() {
    let mine = record("mine");
    for (case, question) in [
        ("its own grant", spent_by("mine")),
        ("a window that is over", approved(WINDOW)),
    ] {
        let says = question.tell_again(&mine, true, later(3600));
        assert_eq!(
            says,
            Some(Told {
                standing: Standing::Granted,
                change: Change::None
            }),
            "{case}"
        );
    }
}

#[test]
fn a_new_record_takes_the_first_of_window_grant_pending_question_and_untold_denial() {
    use Change::{DenialTold, None, Spend};
    use Standing::{Denied, Granted, Pending};
    let now = later(30);
    // In the order in which they are taken.
    let offers = [
        ("window", approved(WINDOW), Granted, None),
        ("grant", approved(Grant::Once), Granted, Spend),
        ("pending", approval(1, Grant::Once), Pending, None),
        ("denial", denied(), Denied, DenialTold),
    ];
    for (best, (name, _, standing, change)) in offers.iter().enumerate() {
        // The best one among all that are worse, wherever it stands.
        let worse: Vec<&Approval> = offers[best..].iter().map(|(_, offer, ..)| offer).collect();
        for shift in 0..worse.len() {
            let mut candidates = worse.clone();
            candidates.rotate_left(shift);
            let place = (worse.len() - shift) % worse.len();
            let taken = take_question(candidates, now);
            let told = Told {
                standing: *standing,
                change: *change,
            };
            assert_eq!(taken, Some((place, told)), "{name} {shift}");
        }
    }
}

#[test]
fn a_new_record_takes_nothing_that_is_over() {
    for (case, question, now) in [
        ("spent", spent_by("theirs"), later(30)),
        ("denied and told", told(), later(30)),
        ("denied, and the question is over", denied(), later(3600)),
        ("answered by nobody", approval(1, Grant::Once), later(3600)),
        ("its window is over", approved(WINDOW), later(60)),
        (
            "a grant that nobody used",
            approved(Grant::Once),
            later(3600),
        ),
    ] {
        assert_eq!(take_question([&question], now), None, "{case}");
    }
    assert_eq!(take_question([], later(30)), None);
}

#[test]
fn among_equals_the_question_that_was_asked_last_is_taken() {
    let asked = |at| Approval {
        asked_at: later(at),
        ..approval(1, Grant::Once)
    };
    let (old, new) = (asked(1), asked(2));
    for (candidates, place) in [([&old, &new], 1), ([&new, &old], 0)] {
        let taken = take_question(candidates, later(30)).map(|(place, _)| place);
        assert_eq!(taken, Some(place));
    }
}

#[test]
fn a_binding_changes_with_the_request_the_rule_and_its_terms() {
    let terms = ApproveTerms::by(["sre"]);
    let stricter = ApproveTerms {
        count: 2,
        ..terms.clone()
    };
    let digest = |path| {
        BoundRequest {
            issuer: "https://issuer.example",
            subject: "ana",
            agent: None,
            connection: "arm",
            method: "DELETE",
            host: "management.azure.com",
            path,
            query: None,
            content_type: None,
            content_encoding: None,
            body: BodyBinding::Whole(body_sha256(b"")),
        }
        .digest()
    };
    let base = Binding::of(&digest("/a"), "rule", &terms).unwrap();
    for (digest, rule, terms) in [
        (digest("/b"), "rule", &terms),
        (digest("/a"), "other", &terms),
        (digest("/a"), "rule", &stricter),
    ] {
        assert_ne!(Binding::of(&digest, rule, terms).unwrap(), base);
    }
    assert_eq!(Binding::of(&digest("/a"), "rule", &terms).unwrap(), base);
}

#[cfg(not(target_arch = "wasm32"))]
mod whatever_happens {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Event {
        Ask(u8),
        Answer(Answer),
        Wait(u64),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (0..4_u8).prop_map(Event::Ask),
            2 => Just(Event::Answer(Answer::Approve)),
            1 => Just(Event::Answer(Answer::Deny)),
            1 => prop_oneof![1..90_u64, Just(3600)].prop_map(Event::Wait),
        ]
    }

    /// A store of one binding's questions, as small as can be.
    struct Store {
        now: UnixMillis,
        terms: ApproveTerms,
        questions: Vec<Approval>,
        /// For each record its question, and whether it was let through.
        records: BTreeMap<u8, (usize, bool)>,
    }

    impl Store {
        /// The record's question, the answer, and whether the record had to take another question
        /// than before.
        fn ask(&mut self, name: u8) -> (usize, Standing, bool) {
            let record = record(&name.to_string());
            let before = self.records.get(&name).copied();
            let again = before.and_then(|(place, let_through)| {
                let told = self.questions[place].tell_again(&record, let_through, self.now)?;
                Some((place, told))
            });
            let (place, told) = again
                .or_else(|| take_question(&self.questions, self.now))
                .unwrap_or_else(|| {
                    let question = Approval::open("ana".into(), self.terms.clone(), self.now);
                    self.questions.push(question);
                    let told = Told {
                        standing: Standing::Pending,
                        change: Change::None,
                    };
                    (self.questions.len() - 1, told)
                });
            self.questions[place].apply(told.change, &record);
            let granted = told.standing == Standing::Granted;
            self.records.insert(name, (place, granted));
            (place, told.standing, again.is_none())
        }

        fn answer(&mut self, answer: Answer) {
            let sam = Approver {
                subject: "sam",
                groups: &["sre".to_owned()],
            };
            let now = self.now;
            let pending = |q: &&mut Approval| q.state_at(now) == ApprovalState::Pending;
            if let Some(question) = self.questions.iter_mut().find(pending) {
                question.answer(answer, sam, now).unwrap();
            }
        }
    }

    proptest! {
        #[test]
        fn one_grant_passes_one_record_and_asking_again_changes_nothing(
            events in proptest::collection::vec(event(), 1..40),
            once in any::<bool>(),
        ) {
            let grant = if once { Grant::Once } else { WINDOW };
            let terms = approval(1, grant).terms;
            let mut store = Store { now: ASKED, terms, questions: vec![], records: BTreeMap::new() };
            let mut passed: BTreeMap<usize, BTreeSet<u8>> = BTreeMap::new();
            let mut denials: BTreeMap<usize, usize> = BTreeMap::new();
            for event in events {
                let name = match event {
                    Event::Wait(seconds) => {
                        store.now = store.now.saturating_add(seconds * 1000);
                        continue;
                    }
                    Event::Answer(answer) => {
                        store.answer(answer);
                        continue;
                    }
                    Event::Ask(name) => name,
                };
                let (place, standing, new) = store.ask(name);
                let question = &store.questions[place];
                match standing {
                    Standing::Granted => {
                        prop_assert!(question.approved_at.is_some(), "nobody said yes");
                        if new {
                            prop_assert!(question.grant_ends_at().is_some_and(|end| store.now < end));
                        }
                        passed.entry(place).or_default().insert(name);
                    }
                    Standing::Denied if new => *denials.entry(place).or_default() += 1,
                    Standing::Denied
                    | Standing::Pending
                    | Standing::Expired
                    | Standing::TooManyPending => {}
                }
                let again = store.ask(name);
                prop_assert_eq!(again, (place, standing, false), "the answer was lost and is asked for again");
                let pending = store.questions.iter().filter(|q| q.state_at(store.now) == ApprovalState::Pending);
                prop_assert!(pending.count() <= 1, "identical requests share one question");
            }
            if once {
                prop_assert!(passed.values().all(|records| records.len() == 1), "{:?}", passed);
            }
            prop_assert!(denials.values().all(|told| *told == 1), "{:?}", denials);
        }
    }
}
