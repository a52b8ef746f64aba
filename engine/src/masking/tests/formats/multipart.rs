use super::{Body, Dice, every_two_cut_holds, holds, json, masked_as, text};
use crate::masking::{
    Content,
    tests::{
        cases::{ALNUM, filler},
        plan,
    },
};
use proptest::{prelude::*, sample};

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Text(Vec<super::Part>),
    Json(json::Node),
    Picture(Vec<u8>),
    Nested(Vec<super::Part>),
}

pub(super) fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        text().prop_map(Kind::Text),
        json::node().prop_map(Kind::Json),
        prop::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), any::<u8>()],
            0..60
        )
        .prop_map(Kind::Picture),
        text().prop_map(Kind::Nested),
    ]
}

/// The body of these parts, each with `header` (nothing, or a line without its end).
pub(super) fn written(
    parts: &[Kind],
    seed: u64,
    preamble: &str,
    newline: &str,
    header: &str,
) -> Body {
    let header = if header.is_empty() {
        String::new()
    } else {
        format!("{header}{newline}")
    };
    let (mut body, mut dice) = (Body::default(), Dice(seed));
    body.push(preamble);
    for part in parts {
        body.push(format!("--b=x{newline}{header}"));
        match part {
            Kind::Text(parts) => {
                body.push(format!(
                    "content-disposition: form-data; name=a{newline}{newline}"
                ));
                body.text(parts, |text| text.as_bytes().to_vec());
            }
            Kind::Json(node) => {
                body.push(format!(
                    "X-A: b{newline}CONTENT-TYPE:application/json; charset=utf-8{newline}{newline}"
                ));
                json::write(node, &mut body, &mut dice);
            }
            Kind::Picture(bytes) => {
                body.push(format!("Content-Type: image/png{newline}{newline}"));
                body.push(bytes);
            }
            Kind::Nested(parts) => {
                body.push(format!("Content-Type: multipart/mixed; boundary=\"c d\"{newline}{newline}--c d{newline}{newline}"));
                body.text(parts, |text| text.as_bytes().to_vec());
                body.push(format!("{newline}--c d--{newline}"));
            }
        }
        body.push(newline);
    }
    body.push(format!("--b=x--{newline}"));
    body
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(100), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_part_is_masked_in_its_own_format_and_every_other_byte_is_equal(
        parts in prop::collection::vec(kind(), 0..4), seed: u64, at in prop::collection::vec(any::<sample::Index>(), 0..12),
        preamble in sample::select(vec!["", "\r\n", "This is\r\n--a multipart\r\n"]), newline in sample::select(vec!["\r\n", "\n"]),
    ) {
        let body = written(&parts, seed, preamble, newline, "");
        holds(&Content::of(Some(b"multipart/form-data; boundary=\"b=x\"")), &body, &at)?;
    }
}

#[test]
fn every_two_cut_of_parts_gives_what_the_whole_gives() {
    let token = format!("ghp_{}", filler(36, ALNUM));
    let raw = format!(
        "--x\r\nContent-Disposition: form-data; filename=\"{token}\"\r\nContent-Type: application/json\r\n\r\n[\"{token}\"]\r\n--\r\n--x\r\n\r\n\r\n--x\r\n\r\n{token}\r\n--x--\r\n{token}"
    );
    let content = Content::of(Some(b"multipart/form-data; boundary=x"));
    every_two_cut_holds(&content, raw.as_bytes());
    let (out, findings) = masked_as(&plan(), &content, raw.as_bytes(), &[]);
    assert!(!String::from_utf8_lossy(&out).contains(&token[8..]));
    assert_eq!(findings.total(), 4);
}

#[test]
fn a_body_that_is_not_what_its_type_says_is_masked_as_text() {
    let token = format!("ghp_{}", filler(36, ALNUM));
    let content = Content::of(Some(b"multipart/form-data; boundary=x"));
    for raw in [
        token.clone(),
        format!("--y\r\n\r\n{token}"),
        format!("--x {token}\r\nno header {token}"),
    ] {
        let (out, _) = masked_as(&plan(), &content, raw.as_bytes(), &[]);
        assert!(
            !String::from_utf8_lossy(&out).contains(&token[8..]),
            "{raw}"
        );
    }
}

#[test]
fn a_part_is_named_in_any_of_the_ways_that_readers_take() {
    let keys = crate::masking::KeyNames::of(["password"]);
    let plan = std::sync::Arc::new(
        crate::masking::Plan::masking(crate::masking::tests::all()).with_keys(keys),
    );
    let content = Content::of(Some(b"multipart/form-data; boundary=x"));
    let fingerprint = crate::masking::tests::key().fingerprint(b"hunter2");
    let masked = format!("[masked:password:{fingerprint}]");
    let body = |disposition: &str, value: &str| {
        format!("--x\r\nContent-Disposition: {disposition}\r\nX: y\r\n\r\n{value}\r\n--x--\r\n")
    };
    for disposition in [
        "form-data; name=password",
        "form-data; NAME = \"pass\\word\"",
        "form-data;\r\n name=\"password\"",
        "form-data;\r\n\tfilename=a;\r\n  name=password",
        "form-data; name*=UTF-8\'\'password",
        "form-data; name=\"x\"; name*=utf-8\'en\'pass%77or%64",
        "form-data; name*0=pass; name*1=\"word\"",
        "form-data; name*0*=utf-8\'\'p%61ss; name*1*=w%6Frd",
    ] {
        let raw = body(disposition, "hunter2");
        let whole = masked_as(&plan, &content, raw.as_bytes(), &[]);
        assert_eq!(
            String::from_utf8_lossy(&whole.0),
            body(disposition, &masked)
        );
        for cut in 0..=raw.len() {
            assert_eq!(
                masked_as(&plan, &content, raw.as_bytes(), &[cut]),
                whole,
                "cut at {cut}"
            );
        }
    }
    for disposition in [
        "form-data; name=user",
        "form-data\r\nname=password",
        "form-data; filename*=UTF-8\'\'password",
    ] {
        let raw = body(disposition, "hunter2");
        assert_eq!(
            masked_as(&plan, &content, raw.as_bytes(), &[]).0,
            raw.as_bytes()
        );
    }
}
