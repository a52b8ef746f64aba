use super::{Body, Dice, every_two_cut_holds, holds, masked_as, text, whole_as};
use crate::masking::{
    Content,
    tests::{
        cases::{ALNUM, filler},
        plan,
    },
};
use proptest::{prelude::*, sample};

const FORM: &str = "application/x-www-form-urlencoded";

/// Percent-encoded, some of it that need not be.
pub(super) fn encoded(text: &str, dice: &mut Dice) -> Vec<u8> {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' if dice.roll(2) == 0 => out.push('+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' | b':' | b'"'
                if dice.roll(6) > 0 =>
            {
                out.push(char::from(byte))
            }
            _ if dice.roll(2) == 0 => out.push_str(&format!("%{byte:02x}")),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out.into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(100), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn secrets_in_pairs_are_masked_and_every_other_byte_is_equal(
        pairs in prop::collection::vec((text(), text()), 1..5), seed: u64, at in prop::collection::vec(any::<sample::Index>(), 0..12),
    ) {
        let (mut body, mut dice) = (Body::default(), Dice(seed));
        for (i, (name, value)) in pairs.iter().enumerate() {
            body.push(if i > 0 { "&" } else { "n" });
            body.text(name, |text| encoded(text, &mut dice));
            body.push("=");
            body.text(value, |text| encoded(text, &mut dice));
        }
        let masked = std::mem::take(&mut body.masked);
        body.masked = String::from_utf8(masked).unwrap().replace("[masked:", "%5Bmasked%3A").into_bytes();
        body.masked = fingerprints_encoded(&body.masked);
        holds(&Content::of(Some(FORM.as_bytes())), &body, &at)?;
    }
}

/// Replacements as a form writes them.
fn fingerprints_encoded(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("%5Bmasked%3A") {
        let end = at + rest[at..].find(']').unwrap();
        out.push_str(&rest[..at + 12]);
        out.push_str(&rest[at + 12..end].replace(':', "%3A"));
        out.push_str("%5D");
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out.into_bytes()
}

#[test]
fn every_two_cut_of_a_form_gives_what_the_whole_gives() {
    let token = format!("gh%70%5f{}", filler(36, ALNUM));
    every_two_cut_holds(
        &Content::of(Some(FORM.as_bytes())),
        format!("a={token}&%=%4&x=+%zz&{token}=%").as_bytes(),
    );
}

#[test]
fn events_are_known_by_their_first_line_whatever_the_type_says() {
    let token = format!("ghp_{}", filler(36, ALNUM));
    let chunk = |text: &str| {
        format!(
            "data: {{\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
        )
    };
    let (head, tail) = token.split_at(20);
    let body = format!("\n{}{}", chunk(head), chunk(tail));
    for content_type in [
        "",
        "text/plain",
        "application/json",
        FORM,
        "application/octet-stream",
    ] {
        let out = whole_as(content_type, &body);
        assert!(
            !out.contains(&tail[..8]) && !out.contains(&head[8..16]),
            "{content_type}: {out}"
        );
        every_two_cut_holds(&Content::of(Some(content_type.as_bytes())), body.as_bytes());
    }
    for text in ["d", "dat", "data", "even", "evil: x"] {
        assert_eq!(whole_as("text/plain", text), text);
        every_two_cut_holds(&Content::of(None), text.as_bytes());
    }
}

#[test]
fn a_type_that_lies_opens_nothing() {
    let token = format!("ghp_{}", filler(36, ALNUM));
    let escaped = format!("\\u0067hp_{}", filler(36, ALNUM));
    for content_type in [
        FORM,
        "text/plain",
        "application/json",
        "application/octet-stream",
        "multipart/form-data; boundary=x",
        "application/grpc",
        "application/grpc-web+proto",
        "application/x-protobuf",
        "image/png",
        "nonsense",
    ] {
        for body in [
            format!("{{\"a\": \"{escaped}\"}}"),
            format!("a={token}&b=c"),
            format!(": {token}\n"),
            token.clone(),
            format!("key {token}"),
            format!("\0\0\0\0\u{2c}{token}"),
            format!("\0\0\0\0{token}"),
            format!("\u{1}\0{token}"),
        ] {
            let out = whole_as(content_type, &body);
            assert!(!out.contains(&token[8..]), "{content_type}: {out}");
        }
    }
}

#[test]
fn an_empty_chunk_inside_of_an_escape_moves_nothing() {
    let secret = ["ghp", "_EXAMPLEexampleEXAMPLEexampleEXAM012345"].concat();
    let form = Content::of(Some(b"application/x-www-form-urlencoded"));
    let text = format!("0b&am\\%241%&{secret}&b=c");
    // The `%` at 10 encodes nothing, which shows behind it.
    let whole = masked_as(&plan(), &form, text.as_bytes(), &[]).0;
    let cut = masked_as(&plan(), &form, text.as_bytes(), &[11, 11]).0;
    assert_eq!(
        String::from_utf8_lossy(&cut),
        String::from_utf8_lossy(&whole)
    );
    assert!(
        !whole
            .windows(5)
            .any(|bytes| bytes == &secret.as_bytes()[..5])
    );
}
