//! Formats that count bytes.

use super::{Part, every_two_cut_holds, masked_as, text};
use crate::masking::{
    Content, KeyNames, Plan,
    tests::{
        all,
        cases::{ALNUM, filler},
        plan, replacement,
    },
};
use proptest::{prelude::*, sample};
use std::sync::Arc;

fn grpc() -> Content {
    Content::of(Some(b"application/grpc+proto"))
}

pub(super) fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut out = vec![flag];
    out.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    out.extend(message);
    out
}

/// A replacement of the secret's own length.
fn fitted(detector: &str, secret: &str) -> Vec<u8> {
    let text = replacement(detector, secret);
    text.bytes()
        .chain(std::iter::repeat(b'*'))
        .take(secret.len())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(100), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_keep_their_lengths_and_all_bytes_but_secrets(
        messages in prop::collection::vec(text(), 0..4), at in prop::collection::vec(any::<sample::Index>(), 0..12),
    ) {
        let (mut raw, mut expected, mut secrets) = (Vec::new(), Vec::new(), 0);
        for parts in &messages {
            let (mut message, mut masked) = (Vec::new(), Vec::new());
            for part in parts {
                match part {
                    Part::Harmless(text) => {
                        message.extend(text.bytes());
                        masked.extend(text.bytes());
                    }
                    Part::Secret(case) => {
                        message.extend(format!("{}{}{}", case.before, case.secret, case.after).bytes());
                        masked.extend(case.before.bytes());
                        masked.extend(fitted(case.detector, &case.secret));
                        masked.extend(case.after.bytes());
                        secrets += 1;
                    }
                }
            }
            raw.extend(frame(0, &message));
            expected.extend(frame(0, &masked));
        }
        let mut cuts: Vec<usize> = at.iter().map(|cut| cut.index(raw.len() + 1)).collect();
        cuts.sort_unstable();
        let whole = masked_as(&plan(), &grpc(), &raw, &[]);
        prop_assert_eq!(&whole.0, &expected);
        prop_assert_eq!(whole.1.total(), secrets);
        prop_assert_eq!(masked_as(&plan(), &grpc(), &raw, &cuts), whole);
    }
}

#[test]
fn every_two_cut_of_messages_gives_what_the_whole_gives() {
    let token = format!("ghp_{}", filler(36, ALNUM));
    let raw = [
        frame(0, b""),
        frame(0, token.as_bytes()),
        frame(1, token.as_bytes()),
        frame(0x80, b"grpc-status: 0\r\n"),
    ]
    .concat();
    every_two_cut_holds(&grpc(), &raw);
    // One that says it is compressed, and is not, too.
    let (out, findings) = masked_as(&plan(), &grpc(), &raw, &[]);
    assert_eq!(findings.total(), 2);
    assert_eq!(out.len(), raw.len());
    assert!(!String::from_utf8_lossy(&out).contains(&token[8..]));
}

#[test]
fn a_secret_does_not_go_on_in_the_next_message() {
    let raw = [
        frame(0, b"-----BEGIN PRIVATE KEY-----\nMIIEXAMPLE"),
        frame(0, b"hello"),
    ]
    .concat();
    let (out, _) = masked_as(&plan(), &grpc(), &raw, &[]);
    assert!(out.ends_with(&frame(0, b"hello")));
}

#[test]
fn octets_keep_their_length_and_pictures_pass() {
    let token = format!("ghp_{}", filler(36, ALNUM));
    let octets = Content::of(Some(b"application/octet-stream"));
    let raw = format!("\0\u{1}{token}\0");
    let (out, _) = masked_as(&plan(), &octets, raw.as_bytes(), &[]);
    assert_eq!(out.len(), raw.len());
    assert!(!String::from_utf8_lossy(&out).contains(&token[8..]));
    // The first field of a message: its tag and its length, which look like blanks and JSON.
    for open in ['[', '{'] {
        let raw = format!("\n{open}1 \"{token}\"");
        let (out, findings) = masked_as(&plan(), &octets, raw.as_bytes(), &[]);
        assert_eq!(findings.total(), 1);
        assert_eq!(out.len(), raw.len(), "{open}");
    }
    let picture: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let png = Content::of(Some(b"image/png"));
    assert_eq!(masked_as(&plan(), &png, &picture, &[3]).0, picture);
}

/// Types whose bodies count their bytes, if they are what they say.
const COUNTED: [&str; 6] = [
    "application/octet-stream",
    "image/png",
    "application/x-protobuf",
    "application/zip",
    "application/grpc",
    "application/grpc-web+proto",
];

fn counted(content_type: &str) -> Content {
    Content::of(Some(content_type.as_bytes()))
}

#[test]
fn keys_and_kubernetes_secrets_count_in_json_of_any_type() {
    let plan = Arc::new(Plan::masking(all()).with_keys(KeyNames::of(["password"])));
    for (body, secret) in [
        ("{\"password\": \"hunter2 hunter2\"}", "hunter2"),
        ("\u{feff}\n{ \"password\" :\"hunter2\"}", "hunter2"),
        ("[[], 1, {\"password\":\"hunter2\"}]", "hunter2"),
        (
            "{\"kind\":\"Secret\",\"data\":{\"a\":\"aHVudGVyMg==\"}}",
            "aHVudGVyMg==",
        ),
        ("{}\n{\"password\":\"hunter2\"}", "hunter2"),
    ] {
        for content_type in COUNTED {
            let content = counted(content_type);
            let (out, findings) = masked_as(&plan, &content, body.as_bytes(), &[]);
            let text = String::from_utf8_lossy(&out);
            assert!(!text.contains(secret), "{content_type}: {text}");
            assert_eq!(findings.total(), 1, "{content_type}: {text}");
            for cut in 0..=body.len() {
                let cut = masked_as(&plan, &content, body.as_bytes(), &[cut]);
                assert_eq!(cut.0, out, "{content_type}");
            }
        }
    }
}

#[test]
fn a_stream_of_events_is_followed_whatever_the_type_says() {
    let token = format!("ghp_{}", filler(36, ALNUM));
    let (head, tail) = token.split_at(20);
    let chunk = |text: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
    };
    for before in [
        "",
        "\n\n",
        ": thinking\n\n",
        "retry: 100\n\n",
        "event: x\r\nid: 1\r\n",
    ] {
        let body = format!("{before}{}{}", chunk(head), chunk(tail));
        for content_type in COUNTED
            .into_iter()
            .chain(["text/plain", "multipart/mixed; boundary=x"])
        {
            both_halves_are_masked(&counted(content_type), &body, (head, tail));
        }
    }
}

/// That neither half of a secret which two pieces of a text hold leaves, however the body is cut.
fn both_halves_are_masked(content: &Content, body: &str, (head, tail): (&str, &str)) {
    let (out, _) = masked_as(&plan(), content, body.as_bytes(), &[]);
    let text = String::from_utf8_lossy(&out);
    assert!(
        !text.contains(&head[8..16]) && !text.contains(&tail[..8]),
        "{content:?}: {text}"
    );
    every_two_cut_holds(content, body.as_bytes());
}

#[test]
fn an_array_that_is_an_answer_is_followed_whatever_the_type_says() {
    let token = format!("ghp_{}", filler(36, ALNUM));
    let (head, tail) = token.split_at(20);
    let element = |text: &str| {
        format!(
            "{{\"candidates\":[{{\"index\":0,\"content\":{{\"role\":\"model\",\"parts\":[{{\"text\":\"{text}\"}}]}}}}]}}"
        )
    };
    let body = format!("[{},\n{}]", element(head), element(tail));
    for content_type in COUNTED.into_iter().chain(["", "text/plain"]) {
        let content = counted(content_type).at_path(b"/v1/models/x:streamGenerateContent");
        both_halves_are_masked(&content, &body, (head, tail));
    }
}

/// What begins like JSON by chance: a length, a tag, the name of a file.
#[test]
fn octets_that_only_begin_like_json_keep_their_length() {
    let token = format!("ghp_{}", filler(36, ALNUM));
    for begin in [
        "{\0\0\0\u{2}",
        "[slug].tsx\0\0",
        "\n{\"\u{6}\u{2}\": ",
        "{\"",
        "[1 ",
        "{",
        "\n[",
    ] {
        for end in ["\0", "\": "] {
            let body = format!("{begin}{token}{end}");
            for content_type in COUNTED {
                let (out, findings) =
                    masked_as(&plan(), &counted(content_type), body.as_bytes(), &[]);
                let text = String::from_utf8_lossy(&out);
                assert_eq!(findings.total(), 1, "{content_type}: {text}");
                assert!(!text.contains(&token[8..]), "{content_type}: {text}");
                if begin != "{\"" {
                    assert_eq!(out.len(), body.len(), "{content_type}: {text:?}");
                }
                every_two_cut_holds(&counted(content_type), body.as_bytes());
            }
        }
    }
}

#[test]
fn a_body_that_is_no_grpc_has_no_place_in_which_a_secret_passes() {
    let plain = format!("ghp_{}", filler(36, ALNUM));
    let hidden: String = plain.chars().flat_map(|c| [c, '\u{2060}']).collect();
    for token in [&plain, &hidden] {
        let mut bodies = vec![
            token.as_bytes().to_vec(),
            [b"x ", token.as_bytes()].concat(),
            // A flag, and then no length.
            [b"\x00", token.as_bytes()].concat(),
            // A length that is a part of the secret.
            [b"\x00\x00\x00\x00".as_slice(), plain.as_bytes()].concat(),
            [b"\x01\x00\x00", token.as_bytes()].concat(),
            [b"\x80\x00", token.as_bytes()].concat(),
            [b"\x00\x1f", token.as_bytes()].concat(),
            // A name that is a part of the head.
            b"\x00\x00password=\"Tr0ub4dor&3xyz\"".to_vec(),
        ];
        // The same behind a message.
        let more: Vec<Vec<u8>> = bodies
            .iter()
            .map(|body| [frame(0, b"hello"), body.clone()].concat())
            .collect();
        bodies.extend(more);
        for body in bodies {
            let (out, findings) = masked_as(&plan(), &grpc(), &body, &[]);
            let text = String::from_utf8_lossy(&out);
            assert_eq!(findings.total(), 1, "{text}");
            assert_eq!(out.len(), body.len());
            assert!(!text.contains("ghp") && !text.contains("dor&3"), "{text}");
            every_two_cut_holds(&grpc(), &body);
        }
    }
}

/// The bytes before a message are its head even where they are letters.
#[test]
fn heads_stay_whatever_their_messages_are() {
    let email = Content::of(Some(b"application/grpc"));
    for length in 0x20_usize..0x7f {
        let token = format!("ghp_{}", filler(36, ALNUM));
        let filled =
            |text: &str| format!("{text}{}", " ".repeat(length.saturating_sub(text.len())));
        for message in [filled(&token), filled("/ghp"), filled("-----BEGIN ")] {
            let raw = [frame(0, message.as_bytes()), frame(1, b" end")].concat();
            let (out, _) = masked_as(&plan(), &email, &raw, &[]);
            let text = String::from_utf8_lossy(&out);
            assert_eq!(out.len(), raw.len());
            assert_eq!(out[..5], raw[..5], "{text}");
            assert_eq!(out[out.len() - 9..], raw[raw.len() - 9..], "{text}");
            assert!(!text.contains(&token[8..]), "{text}");
        }
    }
}

#[test]
fn what_a_head_announces_need_not_come() {
    let token = format!("ghp_{}", filler(36, ALNUM));
    let whole = frame(0, format!("{token} and more").as_bytes());
    for length in 5 + token.len()..whole.len() {
        let (out, findings) = masked_as(&plan(), &grpc(), &whole[..length], &[]);
        assert_eq!(findings.total(), 1);
        assert_eq!(out.len(), length);
        assert!(!String::from_utf8_lossy(&out).contains(&token[4..]));
    }
    for length in 0..5 {
        let body = [frame(0, token.as_bytes()), vec![0; length]].concat();
        let (out, _) = masked_as(&plan(), &grpc(), &body, &[]);
        assert_eq!(out.len(), body.len());
        assert!(!String::from_utf8_lossy(&out).contains(&token[4..]));
        every_two_cut_holds(&grpc(), &body);
    }
}
