//! What an automaton says of a text.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Every end at which `pattern` matches a prefix of `text`, and where it gave up (if it did).
fn run(pattern: &str, text: &str) -> (Vec<usize>, Option<usize>) {
    let automaton = Automaton::compile(pattern).unwrap();
    let mut state = automaton.start(Look::Text).unwrap();
    let mut ends = Vec::new();
    for (i, b) in text.bytes().enumerate() {
        let step = automaton.step(state, b);
        if step.matched_before {
            ends.push(i);
        }
        match step.next {
            Some(next) => state = next,
            None => return (ends, Some(i)),
        }
    }
    if automaton.matches_at_end(state) {
        ends.push(text.len());
    }
    (ends, None)
}

#[test]
fn every_end_of_a_match_is_reported() {
    assert_eq!(run("a{2,}", "aaaa"), (vec![2, 3, 4], None));
    assert_eq!(run("ab?c?", "abcd"), (vec![1, 2, 3], Some(3)));
}

#[test]
fn it_gives_up_at_the_first_byte_that_cannot_belong() {
    assert_eq!(run("ab{3}", "abbx"), (vec![], Some(3)));
    assert_eq!(run("ab{3}", "abbb  "), (vec![4], Some(4)));
}

#[test]
fn a_word_boundary_looks_at_the_next_byte_without_taking_it() {
    assert_eq!(run(r"a{3}\b", "aaa-"), (vec![3], Some(3)));
    assert_eq!(run(r"a{3}\b", "aaab"), (vec![], Some(3)));
    assert_eq!(run(r"a{3}\b", "aaa"), (vec![3], None));
}

#[test]
fn what_stands_before_decides_about_boundaries_at_the_beginning() {
    let begins = |pattern: &str, look: Look| {
        let automaton = Automaton::compile(pattern).unwrap();
        let state = automaton.start(look);
        state.is_some_and(|state| automaton.step(state, b'a').next.is_some())
    };
    for (pattern, looks) in [
        (
            r"\ba",
            vec![
                Look::Text,
                Look::LineFeed,
                Look::CarriageReturn,
                Look::Other,
            ],
        ),
        (r"\Ba", vec![Look::Word]),
        ("^a", vec![Look::Text]),
        ("(?m)^a", vec![Look::Text, Look::LineFeed]),
        ("a", Look::ALL.map(|(look, _)| look).to_vec()),
    ] {
        for (look, _) in Look::ALL {
            assert_eq!(
                begins(pattern, look),
                looks.contains(&look),
                "{pattern} {look:?}"
            );
        }
    }
}

#[test]
fn a_pattern_of_nothing_but_a_look_ahead_ends_where_it_begins() {
    assert_eq!(run(r"(?:\s|$)", ""), (vec![0], None));
    assert_eq!(run(r"(?:\s|$)", "x"), (vec![], Some(0)));
    assert_eq!(run(r"\b", "x"), (vec![0], Some(0)));
    assert!(Automaton::compile("x?").unwrap().matches_nothing());
    assert!(!Automaton::compile("x").unwrap().matches_nothing());
}

#[test]
fn an_automaton_in_use_is_not_built_again() {
    let one = Automaton::shared("shared[0-9]{3}").unwrap();
    assert!(Arc::ptr_eq(
        &one,
        &Automaton::shared("shared[0-9]{3}").unwrap()
    ));
    let weak = Arc::downgrade(&one);
    drop(one);
    assert!(weak.upgrade().is_none(), "the registry must not keep it");
    assert!(Automaton::shared("shared[0-9]{3}").is_ok());
}

#[test]
fn bytes_that_are_not_text_are_bytes_like_others() {
    let automaton = Automaton::compile("a[^b]+b").unwrap();
    let mut state = automaton.start(Look::Other).unwrap();
    for b in [b'a', 0xff, 0x00, b'b'] {
        state = automaton.step(state, b).next.unwrap();
    }
    assert!(automaton.matches_at_end(state));
}

#[test]
fn patterns_that_cannot_run_are_refused_with_a_reason() {
    assert!(Automaton::compile("a(").is_err());
    assert!(Automaton::compile(r"[^\x00-\xff]").is_err());
    assert!(Automaton::compile("[ab]*a[ab]{14}").is_err());
}

#[test]
fn a_tail_that_one_byte_decides_on_is_known_as_such() {
    let follow = |pattern: &str| Automaton::compile(pattern).unwrap().follow();
    let quoted = follow(r#"(?:$|[\s"])"#).unwrap();
    assert!(quoted.at_end && quoted.bytes.contains(b'"') && quoted.bytes.contains(b'\n'));
    assert!(!quoted.bytes.contains(b'a'));
    assert!(!follow("[@;]").unwrap().at_end);
    for longer in [
        r"(?:\\n|x)",
        "ab",
        "a?",
        "a*",
        r"\b",
        r"(?:x\b|y)",
        r"[a-z]\b",
    ] {
        assert_eq!(follow(longer), None, "{longer}");
    }
}
