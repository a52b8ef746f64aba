//! Closed sets of words: their lists are whole, so that what is made of them (documentation of
//! interfaces, say) is whole, too.

use std::collections::BTreeSet;
use std::fmt::Debug;

use chaperone_engine::approval::{Answer, ApprovalState, Standing};
use chaperone_engine::audit::{AbortCause, EventKind, RecordState};
use chaperone_engine::policy::Effect;
use chaperone_engine::upstreams::Protocol;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The words that serde reads for a type: it names them when it gets another one.
fn read_words<T: DeserializeOwned + Debug>(unknown: Value) -> BTreeSet<String> {
    let error = serde_json::from_value::<T>(unknown)
        .unwrap_err()
        .to_string();
    let (_, expected) = error.split_once("expected").unwrap();
    let words = expected.split('`').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

#[track_caller]
fn whole<T: Serialize + DeserializeOwned + Debug>(all: &[T]) {
    let listed: BTreeSet<String> = all
        .iter()
        .map(|value| json!(value).as_str().unwrap().to_owned())
        .collect();
    assert_eq!(listed, read_words::<T>(json!("?")));
    assert_eq!(listed.len(), all.len());
}

#[test]
fn the_list_of_a_closed_set_of_words_has_every_word_once() {
    whole(ApprovalState::ALL);
    whole(Answer::ALL);
    whole(Standing::ALL);
    whole(Effect::ALL);
    whole(RecordState::ALL);
    whole(AbortCause::ALL);
    whole(Protocol::ALL);
    let stages: BTreeSet<String> = EventKind::STAGES.iter().map(|s| (*s).to_owned()).collect();
    assert_eq!(stages, read_words::<EventKind>(json!({ "stage": "?" })));
    assert_eq!(stages.len(), EventKind::STAGES.len());
}
