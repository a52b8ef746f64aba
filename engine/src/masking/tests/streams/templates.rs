//! Events that are like the one before them, as those of a model's answer are: each is masked as if
//! it stood alone. In builds with debug assertions each is also read anew and compared.

use super::{
    super::{
        cases::{ALNUM, filler},
        plan, replacement,
    },
    cut, cut_with, masked,
};
use crate::masking::{
    Action, Content, CustomDetector, DetectorSet, Findings, Masker, Plan, Treatment, compile_custom,
};
use proptest::{prelude::*, sample};
use serde_json::json;
use std::sync::{Arc, OnceLock};

fn pat() -> String {
    format!("ghp_{}", filler(36, ALNUM))
}

/// An event of OpenAI's responses, with a delta, a number and padding.
fn response(number: u64, delta: &str, padding: &str) -> String {
    let data = json!({
        "type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0,
        "delta": delta, "sequence_number": number, "logprobs": [], "obfuscation": padding,
    });
    format!("event: response.output_text.delta\ndata: {data}\n\n")
}

/// Events in the words of several protocols.
fn event(protocol: usize, number: u64, delta: &str, padding: &str) -> String {
    let data = match protocol {
        0 => return response(number, delta, padding),
        1 => {
            json!({"choices": [{"index": 0, "delta": {"content": delta}, "finish_reason": null}], "obfuscation": padding})
        }
        2 => json!({"choices": [{"index": 0, "delta": {"tool_calls": [
            {"index": number % 2, "function": {"arguments": delta}}]}}]}),
        3 => {
            let data = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": delta}, "p": padding});
            return format!("event: content_block_delta\r\ndata: {data}\r\n\r\n");
        }
        4 => {
            json!({"choices": [{"index": 0, "delta": {"content": delta, "reasoning": padding}}], "created": number})
        }
        // The padding is a piece here, and what names a secret stands in the event.
        5 => json!({"delta": {"p": padding, "text": delta}, "created": number, "Password": "none"}),
        // The same names twice, of which the last counts.
        6 => {
            return format!(
                "data: {{\"text\":{0},\"text\":{0},\"created\":{number},\"created\":1}}\n\n",
                json!(delta)
            );
        }
        7 => {
            let (delta, padding) = (json!(delta), json!(padding));
            return format!(
                "id: 1\ndata: {{\"content\":{delta},\n:\ndata:\"obfuscation\":{padding},\ndata: \"created\":{number},\"p\":{padding}}}\n\n"
            );
        }
        // Names that are anchors, beside numbers, in places that lie close together.
        8 => json!({
            "choices": [{"index": 0, "delta": {"content": delta}}], "created": number,
            "tokenCount": 12, "created_at": number % 3, "secret_token": "x", "obfuscation": padding,
        }),
        9 => {
            return format!(
                "data: {{\"created\":{number},\"p\":{0},\"content\":{1},\"api_key\":\"k\",\"timestamp\":{number}1}}\n\n",
                json!(padding),
                json!(delta)
            );
        }
        // What readers of JSON take, and others do not.
        _ => {
            return format!(
                ": {padding}\ndata: {{\"content\":\"{delta}\\q\",\n data:\"created\":0{number}}}\n\n"
            );
        }
    };
    format!("data: {data}\n\n")
}

#[test]
fn a_secret_over_events_that_are_alike_is_masked_and_nothing_else_changes() {
    let secret = pat();
    let pieces: Vec<String> = [
        "it ",
        "is ",
        &secret[..3],
        &secret[3..9],
        "",
        &secret[9..],
        " he",
        " said",
    ]
    .map(str::to_owned)
    .into();
    let replaced = replacement("secrets/github-pat", &secret);
    let expected = ["it ", "is ", &replaced, "", "", "", " he", " said"];
    for protocol in 0..6 {
        let stream = |pieces: &[&str]| {
            let numbered = (95..).zip(pieces);
            let events = numbered.map(|(number, piece)| event(protocol, number, piece, "xyz"));
            events.collect::<String>()
        };
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        if protocol == 2 {
            // Two texts by turns: neither holds the secret.
            assert_eq!(masked(&stream(&pieces)), stream(&pieces));
            continue;
        }
        assert_eq!(
            masked(&stream(&pieces)),
            stream(&expected),
            "protocol {protocol}"
        );
    }
}

#[test]
fn a_secret_in_what_differs_from_event_to_event_is_masked() {
    let secret = pat();
    let replaced = replacement("secrets/github-pat", &secret);
    for (padding, expected) in [
        (secret.clone(), replaced.clone()),
        (format!("a {secret} b"), format!("a {replaced} b")),
    ] {
        let stream = |padding: &str| {
            let before = response(1, "a", "x") + &response(2, "b", "xx");
            before + &response(3, "c", padding) + &response(4, "d", "xxxx")
        };
        assert_eq!(masked(&stream(&padding)), stream(&expected));
    }
    // Escaped, so that the event does not hold its bytes.
    let stream =
        |padding: &str| response(1, "a", "x") + &response(2, "b", "x").replace("\"x\"", padding);
    let escaped = format!("\"gh\\u0070_{}\"", &secret[4..]);
    assert_eq!(
        masked(&stream(&escaped)),
        stream(&format!("\"{replaced}\""))
    );
}

#[test]
fn a_secret_that_stands_in_every_event_is_masked_in_each() {
    let secret = pat();
    let replaced = replacement("secrets/github-pat", &secret);
    let alike = |event: &dyn Fn(&str) -> String| {
        assert_eq!(
            masked(&event(&secret).repeat(4)),
            event(&replaced).repeat(4)
        );
    };
    alike(&|value| response(1, "a ", value));
    alike(&|value| response(1, "a ", "x").replace("msg_1", value));
    alike(&|value| response(1, "a ", "x").replace("data:", &format!("id: {value}\ndata:")));
}

#[test]
fn what_names_a_secret_in_the_frame_does_so_in_every_event() {
    let value = filler(40, ALNUM);
    let data = |value: &str| {
        let data = json!({"delta": {"text": "x"}, "aws_secret_access_key": "", "p": value});
        format!("data: {data}\n\n").replace(
            "\"aws_secret_access_key\":\"\",\"",
            "\"aws_secret_access_key \":\"\",\"",
        )
    };
    let alone = masked(&data(&value));
    let stream = data("x") + &data(&value);
    assert_eq!(masked(&stream), data("x") + &alone);
}

#[test]
fn an_event_of_the_frame_before_it_with_a_delta_that_is_too_long_is_read_as_it_comes() {
    let secret = pat();
    let long = format!("{}{secret}", "words ".repeat(6000));
    let before = response(1, "1 ", "x") + &response(2, "2 ", "x");
    let stream = before + &response(3, &long, "x") + &response(4, "3 ", "x");
    let (expected, findings) = cut(stream.as_bytes(), &[]);
    assert_eq!(findings.total(), 1);
    let every: Vec<_> = (997..stream.len()).step_by(997).collect();
    assert_eq!(cut(stream.as_bytes(), &every).0, expected);
}

#[test]
fn the_error_at_the_end_has_the_number_after_that_of_the_event_that_is_like_the_last() {
    let treatment = Treatment {
        action: Action::Block,
        keep: 0,
    };
    let plan = Plan::masking(super::super::all()).treating("secrets/github-pat", treatment);
    let mut masker = Masker::new(Arc::new(plan), super::super::key(), &super::events());
    let stream =
        response(8, "a", "x") + &response(9, "b", "y") + &response(10, &format!("{} ", pat()), "z");
    let out = masker.push(stream.as_bytes()).into_body();
    let out = String::from_utf8(out.into_bytes()).unwrap();
    assert!(out.contains("\"sequence_number\":11"), "{out}");
}

#[test]
fn a_number_or_a_padding_is_looked_at_alike_after_many_events() {
    let secret = pat();
    let stream = |padding: &str| {
        let before = (0..40).map(|number| response(number, "a ", &"x".repeat(number as usize % 7)));
        let after = (41..60).map(|number| response(number, "b ", "y"));
        before.collect::<String>() + &response(40, "a ", padding) + &after.collect::<String>()
    };
    let replaced = replacement("secrets/github-pat", &secret);
    assert_eq!(masked(&stream(&secret)), stream(&replaced));
    assert_eq!(masked(&stream("ghp_ no")), stream("ghp_ no"));
}

#[test]
fn an_anchor_over_the_edge_of_what_changes_is_seen_after_many_events() {
    for (regex, padding) in [
        // It begins in the padding, or ends there.
        (
            r#"zqz","output_index":0,"sequence_number":[0-9]+,"type":"([a-z]{8})"#,
            "xzqz",
        ),
        (r#"obfuscation":"zq([a-z]{4})"#, "zqabcd"),
        // It begins in the number, or goes on over it.
        (r#"77,"type":"([a-z]{8})"#, "x"),
        (r#"sequence_number":77,"type":"([a-z]{8})"#, "x"),
    ] {
        let custom = compile_custom(&[custom(0, regex)], &[]).unwrap();
        let set = DetectorSet::compile_with(&["custom/*"], &custom).unwrap();
        let plan = Arc::new(Plan::masking(Arc::new(set)));
        // Written out, so that the members stand in this order.
        let events: Vec<_> = (0..90)
            .map(|number| {
                let padding = if number == 77 { padding } else { "zq" };
                format!(
                    "event: response.output_text.delta\ndata: {{\"content_index\":0,\"delta\":\"a \",\
                     \"item_id\":\"msg_1\",\"logprobs\":[],\"obfuscation\":\"{padding}\",\"output_index\":0,\
                     \"sequence_number\":{number},\"type\":\"response.output_text.delta\"}}\n\n"
                )
            })
            .collect();
        let (out, findings) = cut_with(&plan, events.concat().as_bytes(), &[]);
        let mut total = 0;
        let alone = events.iter().flat_map(|event| {
            let (out, findings) = cut_with(&plan, event.as_bytes(), &[]);
            total += findings.total();
            out
        });
        assert_eq!(out, alone.collect::<Vec<u8>>(), "{regex}");
        assert_eq!((findings.total(), total), (1, 1), "{regex}");
    }
}

#[test]
fn what_is_named_in_the_frame_is_masked_where_it_differs() {
    for (regex, to) in [
        (r#"obfuscation"\s*:\s*"([a-z]{5,})"#, "[masked:x0:"),
        // In the frame of each event, and never a secret.
        (r#"item_id": "msg_[0-9]{20}"#, "abcdef"),
    ] {
        let custom = compile_custom(&[custom(0, regex)], &[]).unwrap();
        let set = DetectorSet::compile_with(&["custom/*"], &custom).unwrap();
        let plan = Arc::new(Plan::masking(Arc::new(set)));
        let stream = |padding: &str| {
            let before = response(1, "a", "x") + &response(2, "b", "xx");
            before + &response(3, "c", padding) + &response(4, "d", "xxx")
        };
        let (out, _) = cut_with(&plan, stream("abcdef").as_bytes(), &[]);
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out.matches(to).count(), 1, "{out}");
        assert_eq!(out.contains("abcdef"), to == "abcdef", "{out}");
    }
}

/// What stands in a delta: words, escapes, pieces of a secret, and what is not allowed in JSON.
fn delta() -> impl Strategy<Value = String> {
    let token = pat();
    prop_oneof![
        4 => "[a-z \"\\\\\n\t\u{e9}]{0,8}",
        1 => (any::<sample::Index>(), any::<sample::Index>()).prop_map(move |(a, b)| {
            let (a, b) = (a.index(token.len()), b.index(token.len()));
            token[a.min(b)..a.max(b)].to_owned()
        }),
        1 => Just(pat()),
        1 => Just("AccountKey=".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(60), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_that_are_alike_are_read_the_same_however_they_are_cut(
        protocols in prop::collection::vec(0_usize..11, 1..3),
        events in prop::collection::vec((any::<sample::Index>(), 0_u64..20, delta(), delta()), 1..24),
        damage in prop::option::of((any::<sample::Index>(), any::<u8>())),
        size in 1_usize..300,
    ) {
        let events = events.iter().map(|(protocol, number, delta, padding)| {
            event(protocols[protocol.index(protocols.len())], *number, delta, padding)
        });
        let mut stream = events.collect::<String>().into_bytes();
        if let Some((at, byte)) = damage {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        let expected = cut(&stream, &[]);
        let every: Vec<_> = (size..stream.len()).step_by(size).collect();
        prop_assert_eq!(cut(&stream, &every), expected);
    }

    #[test]
    fn events_that_are_alike_are_masked_as_if_something_stood_between_them(
        protocol in 0_usize..11, other in 0_usize..11, is_strange in any::<bool>(),
        events in prop::collection::vec((0_u8..40, 0_u64..20, delta(), delta()), 1..80), turns in 1_u8..9,
    ) {
        let plan = if is_strange { strange() } else { plan() };
        let events: Vec<_> = events.iter().map(|(which, number, delta, padding)| {
            event(if *which < turns * turns / 4 { other } else { protocol }, *number, delta, padding)
        }).collect();
        let (out, findings) = cut_with(&plan, events.concat().as_bytes(), &[]);
        // A comment is like no event, so each after one is read anew.
        let apart = format!(":7\n{}", events.join(":7\n"));
        let (apart, found) = cut_with(&plan, apart.as_bytes(), &[]);
        let apart = String::from_utf8(apart).unwrap().replace(":7\n", "");
        prop_assert_eq!(String::from_utf8(out).unwrap(), apart);
        prop_assert_eq!(findings, found);
    }
}

/// A record in the words of several protocols.
fn record(protocol: usize, number: u64, delta: &str, padding: &str) -> String {
    let data = match protocol {
        0 => json!({"model": "m", "created_at": padding, "response": delta, "done": false}),
        1 => json!({"choices": [{"index": 0, "delta": {"content": delta}}], "created": number}),
        2 => json!({
            "candidates": [{"content": {"parts": [{"text": delta}], "role": "model"}}],
            "created": number, "token": 1, "obfuscation": padding,
        }),
        _ => json!({"type": "content_block_delta", "index": number % 2,
            "delta": {"type": "text_delta", "text": delta}, "p": padding}),
    };
    data.to_string()
}

/// Masks records, as lines or as elements of an array, cut every `size` bytes.
fn records(plan: &Arc<Plan>, is_array: bool, stream: &[u8], size: usize) -> (String, Findings) {
    let content = match is_array {
        true => Content::of(Some(b"application/json"))
            .at_path(b"/v1beta/models/gemini-2.5-pro:streamGenerateContent"),
        false => Content::of(Some(b"application/x-ndjson")),
    };
    let mut masker = Masker::new(Arc::clone(plan), super::super::key(), &content);
    let chunks = stream.chunks(size);
    let mut out: Vec<u8> = chunks
        .flat_map(|chunk| masker.push(chunk).as_bytes().to_vec())
        .collect();
    out.extend_from_slice(masker.finish().as_bytes());
    (String::from_utf8(out).unwrap(), masker.findings().clone())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(60), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_that_are_alike_are_masked_as_if_something_stood_between_them(
        protocol in 0_usize..4, other in 0_usize..4, is_strange in any::<bool>(), is_array in any::<bool>(),
        records_ in prop::collection::vec((0_u8..20, 0_u64..20, delta(), delta()), 1..80), size in 1_usize..3000,
    ) {
        let plan = if is_strange { strange() } else { plan() };
        let list: Vec<_> = records_.iter().map(|(which, number, delta, padding)| {
            record(if *which == 0 { other } else { protocol }, *number, delta, padding)
        }).collect();
        let written = |between: &str| match is_array {
            true => format!("[{}\n]", list.join(&format!(",\n{between}"))),
            false => format!("{}\n", list.join(&format!("\n{between}"))),
        };
        let whole = records(&plan, is_array, written("").as_bytes(), usize::MAX);
        let cut = records(&plan, is_array, written("").as_bytes(), size);
        prop_assert_eq!(&cut, &whole);
        // A record without a text is like no other, so each after one is read anew.
        let between = if is_array { "{\"done\":7},\n" } else { "{\"done\":7}\n" };
        let (apart, found) = records(&plan, is_array, written(between).as_bytes(), usize::MAX);
        prop_assert_eq!(&whole.0, &apart.replace(between, ""));
        prop_assert_eq!(&whole.1, &found);
    }
}

/// Detectors whose anchors stand in nearly every event.
fn strange() -> Arc<Plan> {
    static PLAN: OnceLock<Arc<Plan>> = OnceLock::new();
    let plan = || {
        let regexes = [
            r#"obfuscation"\s*:\s*"([a-z]{3,})"#,
            r#"created"\s*:\s*1"#,
            r#""p"\s*:\s*"([a-z]{2,})"#,
            r#"index"[^}]{1,30}"([a-z]{3})"#,
            // Over the edges of what changes.
            r#"[a-z]{3}","p":"[a-z]"#,
            r#"[a-z" ]{2}","timestamp":[0-9]{2}"#,
            r#"[0-9]{2},"tokenCount""#,
            // In the frame of each event.
            r#"data:[ ]"#,
        ];
        let numbered = (0..).zip(regexes);
        let detectors: Vec<_> = numbered.map(|(n, regex)| custom(n, regex)).collect();
        let custom = compile_custom(&detectors, &[]).unwrap();
        let set = DetectorSet::compile_with(&["custom/*", "secrets/*"], &custom).unwrap();
        Arc::new(Plan::masking(Arc::new(set)))
    };
    Arc::clone(PLAN.get_or_init(plan))
}

fn custom(number: usize, regex: &str) -> CustomDetector {
    let detector = json!({
        "name": format!("custom/x{number}"), "description": "x", "severity": "high", "regex": regex,
    });
    serde_json::from_value(detector).unwrap()
}
