use super::{Body, Dice, Part, every_two_cut_holds, holds, masked_as, text, whole_as};
use crate::masking::{
    Content,
    tests::{
        cases::{ALNUM, filler},
        plan, replacement,
    },
};
use proptest::{prelude::*, sample};

pub(super) fn content() -> Content {
    Content::of(Some(b"application/json"))
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    Scalar(&'static str),
    Text(Vec<Part>),
    Array(Vec<Node>),
    Object(Vec<(Vec<Part>, Node)>),
}

pub(super) fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        sample::select(vec![
            "0",
            "-1.5e+10",
            "12345678901234567890",
            "true",
            "false",
            "null"
        ])
        .prop_map(Node::Scalar),
        text().prop_map(Node::Text),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Node::Array),
            prop::collection::vec((text(), inner), 0..4).prop_map(Node::Object),
        ]
    })
}

/// A string's content, each character escaped in one of the ways that there are.
pub(super) fn escaped(text: &str, dice: &mut Dice) -> Vec<u8> {
    let mut out = String::new();
    for c in text.chars() {
        let short = match c {
            '\n' => Some('n'),
            '\t' => Some('t'),
            '"' | '\\' | '/' => Some(c),
            _ => None,
        };
        let must = matches!(c, '"' | '\\') || u32::from(c) < 0x20;
        match (dice.roll(8), short) {
            (0..6, _) if !must => out.push(c),
            (0..7, Some(short)) => out.extend(['\\', short]),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let hex = format!("\\u{unit:04x}");
                    out.push_str(&if dice.roll(2) == 0 {
                        hex
                    } else {
                        hex.to_uppercase().replace('U', "u")
                    });
                }
            }
        }
    }
    out.into_bytes()
}

pub(super) fn write(node: &Node, body: &mut Body, dice: &mut Dice) {
    let space = |body: &mut Body, dice: &mut Dice| {
        body.push(["", "", " ", "\r\n\t"][dice.roll(4) as usize])
    };
    let string = |parts: &[Part], body: &mut Body, dice: &mut Dice| {
        body.push("\"");
        body.text(parts, |text| escaped(text, dice));
        body.push("\"");
    };
    space(body, dice);
    match node {
        Node::Scalar(text) => body.push(text),
        Node::Text(parts) => string(parts, body, dice),
        Node::Array(nodes) => {
            body.push("[");
            for (i, node) in nodes.iter().enumerate() {
                body.push(if i > 0 { "," } else { "" });
                write(node, body, dice);
            }
            body.push("]");
        }
        Node::Object(members) => {
            body.push("{");
            for (i, (key, node)) in members.iter().enumerate() {
                body.push(if i > 0 { "," } else { "" });
                space(body, dice);
                string(key, body, dice);
                space(body, dice);
                body.push(":");
                write(node, body, dice);
            }
            body.push("}");
        }
    }
    space(body, dice);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(150), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn secrets_in_strings_are_masked_and_every_other_byte_is_equal(
        nodes in prop::collection::vec(node(), 1..3), seed: u64, at in prop::collection::vec(any::<sample::Index>(), 0..12),
    ) {
        let (mut body, mut dice) = (Body::default(), Dice(seed));
        for node in &nodes {
            write(node, &mut body, &mut dice);
            body.push("\n");
        }
        holds(&content(), &body, &at)?;
        for value in serde_json::Deserializer::from_slice(&body.masked).into_iter::<serde_json::Value>() {
            prop_assert!(value.is_ok());
        }
    }

    #[test]
    fn what_breaks_off_or_is_no_json_is_masked_as_text(
        node in node(), seed: u64, at in any::<sample::Index>(), junk in "[a-z'}\\],:{\\[-]{0,3}",
        secret in sample::select(vec!["ghp_", "npm_"]), cuts in prop::collection::vec(any::<sample::Index>(), 0..12),
    ) {
        let (mut body, mut dice) = (Body::default(), Dice(seed));
        write(&node, &mut body, &mut dice);
        let cut = at.index(body.raw.len() + 1);
        let mut text = String::from_utf8_lossy(&body.raw[..cut]).into_owned();
        let token = format!("{secret}{}", filler(36, ALNUM));
        text.push_str(&format!("{junk} {token} \"x\": {{"));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        let whole = masked_as(&plan(), &content(), text.as_bytes(), &[]);
        prop_assert!(!String::from_utf8_lossy(&whole.0).contains(&token[8..]), "{text}");
        prop_assert_eq!(masked_as(&plan(), &content(), text.as_bytes(), &cuts), whole);
    }
}

#[test]
fn every_two_cut_of_a_document_gives_what_the_whole_gives() {
    let token = format!("ghp_{}", filler(36, ALNUM));
    let text = format!(
        "\u{feff}{{\"a\\u0067hp_\\ud83d\\ude00\": [1.5e-3, true, \"\\u0067{}\"], \"gh{}\":\"\\ud83d\\n\"}} nul",
        &token[1..],
        &token[2..]
    );
    every_two_cut_holds(&content(), text.as_bytes());
    assert!(!whole_as("application/json", &text).contains(&token[8..]));
}

#[test]
fn what_names_a_secret_may_stand_in_another_string() {
    let key = filler(40, ALNUM);
    let masked = replacement("secrets/aws-secret-access-key", &key);
    assert_eq!(
        whole_as(
            "application/json",
            format!(r#"{{"SecretAccessKey" : "{key}", "n": 1}}"#)
        ),
        format!(r#"{{"SecretAccessKey" : "{masked}", "n": 1}}"#)
    );
}

#[test]
fn a_secret_ends_where_its_string_ends() {
    // An armour that is never closed would go on over the document.
    let text = r#"{"a": "-----BEGIN PRIVATE KEY-----\nMIIEXAMPLE", "b": "hello", "c": [1, 2]}"#;
    let out = whole_as("application/json", text);
    assert!(out.ends_with(r#"", "b": "hello", "c": [1, 2]}"#), "{out}");
}

#[test]
fn numbers_that_are_none_are_text() {
    let token = format!("ghp_{}", filler(36, ALNUM));
    for before in [
        "12",
        "[12",
        "[1-",
        "{\"a\":nul",
        "[truefalse",
        "[1.",
        "[\"a\" \"",
        "{\"a\" ",
    ] {
        let out = whole_as("application/json", format!("{before} {token}"));
        assert!(!out.contains(&token[8..]), "{out}");
    }
}
