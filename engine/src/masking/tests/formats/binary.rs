//! Formats that count bytes.

use super::{Part, every_two_cut_holds, masked_as, text};
use crate::masking::{
    Content,
    tests::{
        cases::{ALNUM, filler},
        plan, replacement,
    },
};
use proptest::{prelude::*, sample};

fn grpc() -> Content {
    Content::of(Some(b"application/grpc+proto"))
}

fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
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
