//! The promises as properties, over generated conversations.

use super::{
    super::{Content, Masker, cases::Case, key, mask_whole, plan},
    conversations::{Protocol, Spoken, spoken, texts},
    cut, read,
};
use proptest::{prelude::*, sample};
use serde_json::Value;

fn cuts(len: usize, at: &[sample::Index]) -> Vec<usize> {
    let mut cuts: Vec<_> = at.iter().map(|i| i.index(len + 1)).collect();
    cuts.sort_unstable();
    cuts
}

/// What masking a text on its own gives.
fn whole(text: &str) -> String {
    let (body, _) = mask_whole(&plan(), &key(), &Content::text(), text.as_bytes());
    String::from_utf8(body.into_bytes()).unwrap()
}

/// The event without what it says in its deltas.
fn frame(data: &str) -> Value {
    fn empty(value: &mut Value) {
        match value {
            Value::Object(members) => members.values_mut().for_each(empty),
            Value::Array(elements) => elements.iter_mut().for_each(empty),
            // Names and identifiers are short words.
            Value::String(text)
                if text.contains([' ', '"']) || text.contains("[masked:") || text.len() > 30 =>
            {
                text.clear();
            }
            _ => {}
        }
    }
    let mut value = serde_json::from_str(data).unwrap_or(Value::Null);
    for pointer in [
        "/choices/0/delta/content",
        "/choices/0/delta/reasoning_content",
        "/delta",
        "/choices/0/delta/tool_calls/0/function/arguments",
        "/delta/text",
        "/delta/thinking",
        "/delta/partial_json",
        "/candidates/0/content/parts/0/text",
    ] {
        if let Some(Value::String(text)) = value.pointer_mut(pointer) {
            text.clear();
        }
    }
    empty(&mut value);
    value
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(60), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_gives_what_the_whole_gives(
        spoken in spoken(true), at in prop::collection::vec(any::<sample::Index>(), 0..30), size in 1_usize..40,
    ) {
        let expected = cut(&spoken.stream, &[]);
        prop_assert_eq!(&cut(&spoken.stream, &cuts(spoken.stream.len(), &at)), &expected);
        let every: Vec<_> = (size..spoken.stream.len()).step_by(size).collect();
        prop_assert_eq!(cut(&spoken.stream, &every), expected);
    }

    #[test]
    fn every_text_is_masked_as_if_it_had_come_whole(spoken in spoken(true)) {
        let (out, findings) = cut(&spoken.stream, &[]);
        let found = texts(spoken.protocol, &read(&out));
        // Where a secret may begin with each event, one may swallow the next.
        prop_assert!(
            spoken.protocol == Protocol::Plain || findings.total() >= spoken.secrets.len() as u64
        );
        for (name, text) in &spoken.texts {
            let out = found.get(name).map_or("", String::as_str);
            if spoken.protocol == Protocol::Plain {
                // A secret may begin with each event there, so more may be masked; see
                // `nothing_of_a_secret_leaves`.
                continue;
            }
            prop_assert_eq!(out, whole(text), "{}", name);
        }
    }

    #[test]
    fn nothing_of_a_secret_leaves(spoken in spoken(true), size in 1_usize..400) {
        let every: Vec<_> = (size..spoken.stream.len()).step_by(size).collect();
        let (out, _) = cut(&spoken.stream, &every);
        let found: String = texts(spoken.protocol, &read(&out)).into_values().collect();
        let allowed: String = spoken.texts.values().map(|text| whole(text)).collect();
        // What names a secret in plain text may stand in an event of another name: those secrets
        // are not asked for, and others may have bytes in common with them.
        let is_asked = |case: &&Case| spoken.protocol != Protocol::Plain || case.before.is_empty();
        let others = spoken.secrets.iter().filter(|case| !is_asked(case));
        let allowed = others.fold(allowed, |all, case| all + &case.secret);
        // As it is read, and as it is written.
        let allowed = format!("{allowed}{}", serde_json::json!(allowed));
        for case in spoken.secrets.iter().filter(is_asked) {
            // Prefixes are public; what follows them is not.
            let random = &case.secret.as_bytes()[case.secret.len() / 2..];
            for window in random.windows(8) {
                let leaks = |text: &[u8]| text.windows(8).any(|w| w == window);
                prop_assert!(
                    !leaks(found.as_bytes()) && !leaks(&out) || leaks(allowed.as_bytes()),
                    "{:?} leaks: {}", String::from_utf8_lossy(window), String::from_utf8_lossy(&out)
                );
            }
        }
    }

    #[test]
    fn events_keep_their_number_order_names_and_everything_but_their_texts(spoken in spoken(true)) {
        let (before, after) = (read(&spoken.stream), read(&cut(&spoken.stream, &[]).0));
        prop_assert_eq!(before.len(), after.len());
        for (before, after) in before.iter().zip(&after) {
            prop_assert_eq!((&before.name, &before.others), (&after.name, &after.others));
            if spoken.protocol != Protocol::Plain {
                let frames = [before, after].map(|event| event.data.as_deref().map(frame));
                prop_assert_eq!(&frames[0], &frames[1]);
            }
        }
    }

    #[test]
    fn what_holds_no_secret_passes_and_an_event_leaves_with_its_last_byte(spoken in spoken(false)) {
        let mut masker = Masker::new(plan(), key(), &super::events());
        let mut out = Vec::new();
        let mut from = 0;
        for &end in &spoken.ends {
            out.extend_from_slice(masker.push(&spoken.stream[from..end]).as_bytes());
            from = end;
        }
        out.extend_from_slice(masker.finish().as_bytes());
        // In plain text a word cut by an event's end may begin like a secret.
        if spoken.protocol != Protocol::Plain || masker.findings().is_empty() {
            prop_assert!(masker.findings().is_empty());
            prop_assert_eq!(out, spoken.stream);
        }
    }

    #[test]
    fn the_output_only_ever_grows(spoken in spoken(true), size in 1_usize..100) {
        let (expected, _) = cut(&spoken.stream, &[]);
        let mut masker = Masker::new(plan(), key(), &super::events());
        let mut out = Vec::new();
        for chunk in spoken.stream.chunks(size) {
            out.extend_from_slice(masker.push(chunk).as_bytes());
            prop_assert!(expected.starts_with(&out));
        }
    }

    #[test]
    fn rubble_is_read_the_same_however_it_is_cut(
        shards in prop::collection::vec(shard(), 0..30), at in prop::collection::vec(any::<sample::Index>(), 0..20),
    ) {
        let stream = shards.concat();
        let expected = cut(&stream, &[]);
        prop_assert_eq!(cut(&stream, &cuts(stream.len(), &at)), expected);
    }
}

/// Pieces of streams, glued together anyhow.
pub(super) fn shard() -> impl Strategy<Value = Vec<u8>> {
    let token = format!("ghp_{}", "EXAMPLE1".repeat(5));
    let known: Vec<&[u8]> = vec![
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\r\r",
        b"data",
        b"data:",
        b"data: ",
        b"event: x",
        b"id",
        b":",
        b": c",
        b"{\"a\":\"",
        b"\"}",
        b"[DONE]",
        b"{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"",
        b"\"}}]}",
        b"\\u00",
        b"\\",
        b"\xEF\xBB\xBF",
        b"{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"text\":\"",
        b"{\"delta\":\"",
        b"\"type\":\"x.delta\"",
        b"finish_reason",
        b"[[[",
        b"]",
        b"-----BEGIN PRIVATE KEY-----",
        b"\xFF",
    ];
    prop_oneof![
        6 => sample::select(known).prop_map(<[u8]>::to_vec),
        2 => (any::<sample::Index>(), any::<sample::Index>()).prop_map(move |(a, b)| {
            let (a, b) = (a.index(token.len()), b.index(token.len()));
            token.as_bytes()[a.min(b)..a.max(b)].to_vec()
        }),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ]
}

#[test]
fn every_cut_of_a_conversation_gives_what_the_whole_gives() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut tried = Vec::new();
    while tried.len() < 5 {
        let spoken: Spoken = spoken(true).new_tree(&mut runner).unwrap().current();
        if spoken.stream.len() > 2500
            || spoken.secrets.is_empty()
            || tried.contains(&spoken.protocol)
        {
            continue;
        }
        let expected = cut(&spoken.stream, &[]);
        for at in 0..=spoken.stream.len() {
            assert_eq!(cut(&spoken.stream, &[at]), expected, "cut at {at}");
        }
        tried.push(spoken.protocol);
    }
}
