//! Where streams end at secrets that are blocked: the same however they were cut.

use super::{
    super::{
        cases::cases,
        ends::waits_alike,
        formats::blocking::{places, plan},
    },
    conversations::spoken,
    events,
    promises::shard,
};
use crate::masking::Content;
use proptest::{prelude::*, sample};
use serde_json::json;

/// A text with a secret, the beginning of one, or neither.
fn said() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => sample::select(cases()).prop_map(|case| format!("{}{}{}", case.before, case.secret, case.after)),
        1 => sample::select(vec!["gh", "p_", "-----BEGIN PRIVATE KEY-----"]).prop_map(str::to_owned),
        3 => "[ -~]{0,20}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(40), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn conversations_end_at_the_same_event(spoken in spoken(true), at in places(), plan in plan()) {
        waits_alike(&plan, &events(), &spoken.stream, &at)?;
    }

    #[test]
    fn rubble_ends_at_the_same_byte(
        shards in prop::collection::vec(shard(), 0..30), at in places(), plan in plan(),
    ) {
        waits_alike(&plan, &events(), &shards.concat(), &at)?;
    }

    #[test]
    fn records_end_at_the_same_one(
        records in prop::collection::vec((0..3_usize, said()), 0..10), are_lines: bool, at in places(), plan in plan(),
    ) {
        let mut body = String::new();
        for (kind, text) in &records {
            let record = match (are_lines, kind) {
                (true, 0) => json!({"response": text, "done": false}),
                (true, 1) => json!({"message": {"content": text}, "done": false}),
                (true, _) => json!({"x": text}),
                (false, n) => json!({"candidates": [{"index": n, "content": {"parts": [{"text": text}]}}]}),
            };
            body.push_str(match are_lines {
                true => "",
                false if body.is_empty() => "[",
                false => ",\n",
            });
            body.push_str(&record.to_string());
            body.push_str(if are_lines { "\n" } else { "" });
        }
        let content = match are_lines {
            true => Content::of(Some(b"application/x-ndjson")),
            false => Content::of(Some(b"application/json")).at_path(b"/v1/models/x:streamGenerateContent"),
        };
        waits_alike(&plan, &content, body.as_bytes(), &at)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(15), failure_persistence: None, ..ProptestConfig::default() })]

    /// Its lines that are data are one text, and those that are none another.
    #[test]
    fn a_long_event_ends_at_the_same_byte(
        lines in prop::collection::vec((sample::select(vec![": ", "data: ", "id: ", "data: \",\"b\":\""]), said()), 0..8),
        is_json: bool, at in places(), plan in plan(),
    ) {
        let mut stream = String::new();
        if is_json {
            let event = json!({"choices": [{"index": 0, "delta": {"content": "x gh"}}]});
            stream.push_str(&format!("data: {event}\n\n"));
        }
        let begin = if is_json { "{\"x\":\"" } else { "" };
        stream.push_str(&format!("data: {begin}{}\n", "words ".repeat(5600)));
        for (name, line) in &lines {
            stream.push_str(&format!("{name}{}\n", line.replace(['\n', '\r'], " ")));
        }
        stream.push_str("\n\ndata: x\n\n");
        waits_alike(&plan, &events(), stream.as_bytes(), &at)?;
    }
}
