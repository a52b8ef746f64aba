//! What hides a secret from a reader of bytes, and is read through; and what is out of reach.

use super::{Body, Dice, Part, every_two_cut_holds, holds, masked_as, text};
use crate::masking::{
    Content, Masker,
    tests::{
        all,
        cases::{ALNUM, filler},
        key, plan, replacement,
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use proptest::{prelude::*, sample};

fn token() -> String {
    format!("ghp_{}", filler(36, ALNUM))
}

/// Masked as text, in every two-cut.
fn masked(text: &str) -> String {
    every_two_cut_holds(&Content::text(), text.as_bytes());
    String::from_utf8(masked_as(&plan(), &Content::text(), text.as_bytes(), &[]).0).unwrap()
}

/// The token hidden in several ways.
fn hidden() -> Vec<(&'static str, String)> {
    let token = token();
    let (head, tail) = token.split_at(3);
    let each = |write: &dyn Fn(u8) -> String| token.bytes().map(write).collect::<String>();
    vec![
        (
            "a unicode escape in a text",
            format!("\\u0067{}", &token[1..]),
        ),
        (
            "an escape in JSON in JSON",
            format!("gh\\\\u0070_{}", &token[4..]),
        ),
        ("an escape of a byte", format!("{head}\\x5f{}", &tail[1..])),
        (
            "mixed case of hex digits",
            format!("{head}\\u005F{}", &tail[1..]),
        ),
        ("percent-encoding", format!("{head}%5F{}", &tail[1..])),
        (
            "percent-encoding twice",
            format!("{head}%255f{}", &tail[1..]),
        ),
        (
            "percent-encoding of everything",
            each(&|b| format!("%{b:02x}")),
        ),
        (
            "a decimal character reference",
            format!("{head}&#95;{}", &tail[1..]),
        ),
        (
            "a hexadecimal character reference",
            format!("{head}&#x05F;{}", &tail[1..]),
        ),
        (
            "a character reference by name",
            format!("{head}&lowbar;{}", &tail[1..]),
        ),
        (
            "a character reference in an escaped text",
            format!("{head}&amp;#95;{}", &tail[1..]),
        ),
        (
            "a name in an escaped text",
            format!("{head}&amp;lowbar;{}", &tail[1..]),
        ),
        (
            "a reference in a text that was escaped three times",
            format!("{head}&amp;#38;#x26;#x5f;{}", &tail[1..]),
        ),
        (
            "the same with a name",
            format!("{head}&AMP;amp;amp;lowbar;{}", &tail[1..]),
        ),
        ("another name", format!("{head}&UnderBar;{}", &tail[1..])),
        (
            "a decimal character reference without its semicolon",
            format!("{head}&#95{}", &tail[1..]),
        ),
        (
            "the same at the end",
            format!("{}&#{}", &token[..39], token.as_bytes()[39]),
        ),
        (
            "a hexadecimal one without, before what is no digit",
            format!("g&#x68p{tail}"),
        ),
        (
            "a reference with many zeros",
            format!("{head}&#x0000000000000000005f;{}", &tail[1..]),
        ),
        (
            "a reference without semicolons in an escaped text",
            format!("{head}&amp#95{}", &tail[1..]),
        ),
        (
            "an ampersand with zeros before a reference",
            format!("{head}&#00000000038;#95;{}", &tail[1..]),
        ),
        (
            "names of characters without width",
            format!("g&ZeroWidthSpace;h&zwj;p&shy;_&NoBreak;{}", &tail[1..]),
        ),
        ("the old name of one", format!("g&shyh&shy;p&amp;shy{tail}")),
        (
            "a space without width",
            token.chars().map(|c| format!("{c}\u{200b}")).collect(),
        ),
        (
            "a joiner, a mark, a soft hyphen",
            format!("g\u{200d}h\u{feff}p\u{ad}\u{2060}{tail}"),
        ),
        (
            "an escape of a character without width",
            format!("{head}\\u200B{tail}"),
        ),
        ("a variation selector", format!("{head}\u{fe0f}{tail}")),
    ]
}

#[test]
fn what_hides_a_secret_is_read_through() {
    let replacement = replacement("secrets/github-pat", &token());
    for (how, hidden) in hidden() {
        let out = masked(&format!("see: {hidden} ok"));
        assert!(
            out.starts_with(&format!("see: {replacement}")),
            "{how}: {out}"
        );
        assert!(out.ends_with(" ok"), "{how}: {out}");
        // In a JSON string, too.
        let json = serde_json::to_string(&serde_json::json!({ "a": hidden })).unwrap();
        let content = Content::of(Some(b"application/json"));
        let (out, _) = masked_as(&plan(), &content, json.as_bytes(), &[]);
        assert!(
            String::from_utf8_lossy(&out).contains(&replacement),
            "{how}"
        );
        every_two_cut_holds(&content, json.as_bytes());
    }
}

#[test]
fn every_name_of_a_character_that_hides_a_secret_is_read_through() {
    let names = [
        "ApplyFunction;",
        "InvisibleComma;",
        "InvisibleTimes;",
        "NegativeMediumSpace;",
        "NegativeThickSpace;",
        "NegativeThinSpace;",
        "NegativeVeryThinSpace;",
        "NoBreak;",
        "ZeroWidthSpace;",
        "af;",
        "ic;",
        "it;",
        "lrm;",
        "rlm;",
        "shy;",
        "shy",
        "zwj;",
        "zwnj;",
    ];
    let secret = token();
    let replaced = format!("see: {} ok", replacement("secrets/github-pat", &secret));
    for name in names {
        let hidden = format!("see: ghp&{name}_&{name}{} ok", &secret[4..]);
        assert_eq!(masked(&hidden), replaced, "{name}");
    }
    // Two letters at once.
    let secret = format!("ghp_fj{}", filler(34, ALNUM));
    let hidden = format!("see: ghp_&fjlig;{} ok", &secret[6..]);
    let replaced = format!("see: {} ok", replacement("secrets/github-pat", &secret));
    assert_eq!(masked(&hidden), replaced);
}

#[test]
fn what_only_looks_like_a_reference_stays_and_ends_a_secret() {
    let secret = token();
    let replaced = replacement("secrets/github-pat", &secret);
    for after in [
        "&",
        "&#",
        "&#x",
        "&#;",
        "&shy=c",
        "&#12345678;",
        "&ampere",
        "&zw",
    ] {
        let text = format!("see: {secret}{after}");
        assert_eq!(masked(&text), format!("see: {replaced}{after}"));
    }
    for text in [
        "a&shy=b",
        "x&#95",
        "x&#0000000000000000000000000000000000000000095;y",
    ] {
        assert_eq!(masked(text), text);
    }
}

#[test]
fn what_hides_the_word_before_a_secret_does_not_hide_the_secret() {
    let token = token();
    for before in [
        "x\u{200b}",
        "\\u0041",
        "x%41",
        "x&#65;",
        "\\n",
        "\\\"",
        "%0A",
        "%22",
        "\u{ad}\u{ad}",
        "s\u{200b}g\u{200b}",
    ] {
        let out = masked(&format!("{before}{token}"));
        assert!(!out.contains(&token[8..]), "{before}: {out}");
        assert!(out.starts_with(before), "{before}: {out}");
    }
}

#[test]
fn a_secret_that_begins_with_an_escape_behind_an_escape_is_found_wherever_it_is_cut() {
    let secret = token();
    let tail = &secret[1..];
    // After each of the first, a word may begin.
    for before in ["\\u005a", "%5A", "&#90;", "Z\u{200B}"] {
        for first in ["\\u0067", "%67", "&#103;", "\u{AD}g"] {
            let text = format!("{before}{first}{tail} ");
            let out = masked(&text);
            assert!(!out.contains(tail) && out.starts_with(before), "{out}");
            let every: Vec<_> = (1..text.len()).collect();
            let (single, _) = masked_as(&plan(), &Content::text(), text.as_bytes(), &every);
            assert_eq!(String::from_utf8(single).unwrap(), out);
        }
    }
}

#[test]
fn an_escape_behind_any_number_of_backslashes_is_read_the_same_however_they_are_cut() {
    let secret = token();
    for count in 1..50 {
        let before = "\\".repeat(count);
        let text = format!("say {before}u0067{} ", &secret[1..]);
        // Those that are more than an escape has stand for themselves.
        let stays = "\\".repeat(count.saturating_sub(16));
        let replaced = replacement("secrets/github-pat", &secret);
        assert_eq!(masked(&text), format!("say {stays}{replaced} "));
        let every: Vec<_> = (1..text.len()).collect();
        let (single, _) = masked_as(&plan(), &Content::text(), text.as_bytes(), &every);
        assert_eq!(String::from_utf8(single).unwrap(), masked(&text));
    }
}

#[test]
fn what_is_encoded_for_a_reason_does_not_end_a_secret() {
    let out = masked("postgres://app:EXAMPLE%40pass%2Fword@db.internal/app");
    assert!(
        out.starts_with("postgres://app:[masked:") && out.ends_with("]@db.internal/app"),
        "{out}"
    );
}

#[test]
fn a_secret_that_is_cut_over_the_events_of_a_channel_leaves_what_stands_between() {
    use crate::masking::{
        bodies::{desk::Desk, edit::Edits},
        offsets::RawAt,
        text::tap::{Escaping, Piece, Tap},
    };
    let token = token();
    let (mut edits, key) = (Edits::default(), crate::masking::tests::key());
    let plan = crate::masking::Plan::masking(all());
    let (mut findings, mut secrets) = Default::default();
    let mut desk = Desk {
        plan: &plan,
        key: &key,
        findings: &mut findings,
        edits: &mut edits,
        secrets: &mut secrets,
        blocked: &mut None,
        fault: &mut Default::default(),
        only_reports: false,
        judged: 0,
        work: 0,
        marks: Vec::new(),
    };
    // `%5` stands in one event, `F` in the next one.
    let mut tap = Tap::new(Escaping::Plain);
    tap.push(&mut desk, b"ghp%5", &[Piece::plain(10, 5)]);
    assert_eq!(tap.undecided(), Some(RawAt::new(10)));
    let rest = format!("F{}", &token[4..]);
    tap.push(&mut desk, rest.as_bytes(), &[Piece::plain(100, rest.len())]);
    tap.finish(&mut desk);
    let mut raw = vec![b'.'; 150];
    raw[10..15].copy_from_slice(b"ghp%5");
    raw[100..100 + rest.len()].copy_from_slice(rest.as_bytes());
    let mut out = Vec::new();
    edits.apply(&raw, RawAt::START, RawAt::new(150), &mut out);
    let expected = format!(
        "{}{}{}",
        ".".repeat(10),
        replacement("secrets/github-pat", &token),
        ".".repeat(150 - 15 - rest.len())
    );
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn what_hides_a_secret_is_held_no_longer_than_the_cap_and_masked_there() {
    let token = token();
    let blank = "\u{200b}".repeat(3000);
    let flood = |text: &str| {
        text.chars()
            .map(|c| format!("{c}{blank}"))
            .collect::<String>()
    };
    let escapes = format!("ghp_{}", "\\u0041".repeat(20_000));
    for text in [flood(&token), flood("gx and so on"), escapes] {
        let text = format!("a {text} b");
        let content = Content::text();
        let whole = masked_as(&plan(), &content, text.as_bytes(), &[]);
        let shown = String::from_utf8_lossy(&whole.0).replace('\u{200b}', "");
        assert!(
            !shown.contains("EXAMPLE") && !shown.contains("\\u0041\\u0041"),
            "{shown}"
        );
        for step in [1, 7, 1000, 70_000] {
            let cuts: Vec<usize> = (step..text.len()).step_by(step).collect();
            assert!(
                masked_as(&plan(), &content, text.as_bytes(), &cuts) == whole,
                "{step}"
            );
        }
        let mut masker = Masker::new(plan(), key(), &content);
        for chunk in text.as_bytes().chunks(1000) {
            masker.push(chunk);
            let held = masker.held();
            assert!(held < 64 * 1024, "{held} bytes held");
        }
    }
}

/// Documented in docs/masking.md, under what is out of reach.
#[test]
fn what_is_out_of_reach_passes() {
    let token = token();
    let rot13: String = token
        .chars()
        .map(|c| match c {
            'a'..='m' | 'A'..='M' => char::from(c as u8 + 13),
            'n'..='z' | 'N'..='Z' => char::from(c as u8 - 13),
            _ => c,
        })
        .collect();
    for text in [
        BASE64_STANDARD.encode(&token),
        rot13,
        token.chars().rev().collect(),
        token.replace('p', "\u{440}"),
        token.chars().map(|c| format!("{c} ")).collect(),
        token.replace("ghp_", "ghp\" + \"_"),
        token.bytes().map(|b| format!("{b:02x}")).collect(),
    ] {
        assert_eq!(masked(&text), text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(100), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_mixture_of_them_is_read_through_and_every_other_byte_is_equal(
        parts in text(), seed: u64, at in prop::collection::vec(any::<sample::Index>(), 0..12),
    ) {
        let (mut body, mut dice) = (Body::default(), Dice(seed));
        for part in &parts {
            match part {
                Part::Harmless(text) => body.push(text),
                Part::Secret(case) if case.secret.contains(['%', '\\', '&']) => {}
                Part::Secret(case) => {
                    body.push(&case.before);
                    body.replace(
                        case.secret.chars().map(|c| hide(c, &mut dice)).collect::<String>(),
                        replacement(case.detector, &case.secret),
                    );
                    body.push(&case.after);
                    body.secrets.push(case.secret.clone());
                }
            }
        }
        holds(&Content::text(), &body, &at)?;
    }

    #[test]
    fn what_hides_nothing_passes(
        shards in prop::collection::vec(sample::select(vec![
            "\\", "\\u", "\\u00", "41", "\\u0041", "\\\\u20", "0b", "%", "%2", "5", "F", "&", "&#", "&#x", "9", ";", "&am", "p;", "\u{200b}", "\u{ad}", "x", " ", "\"",
        ]), 0..60),
        at in prop::collection::vec(any::<sample::Index>(), 0..20),
    ) {
        let text = shards.concat();
        // Cut within characters, too.
        let mut cuts: Vec<usize> = at.iter().map(|at| at.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        for content in [Content::text(), Content::of(Some(b"application/x-www-form-urlencoded"))] {
            let (out, findings) = masked_as(&plan(), &content, text.as_bytes(), &cuts);
            prop_assert!(findings.is_empty());
            prop_assert_eq!(&out, text.as_bytes());
        }
    }
}

/// A character of a secret, perhaps hidden; and perhaps something without width before it.
fn hide(c: char, dice: &mut Dice) -> String {
    if !c.is_ascii_alphanumeric() && !"+/=:_-.~".contains(c) {
        return c.to_string();
    }
    let number = u32::from(c);
    match dice.roll(20) {
        2 if "+/=:".contains(c) => c.to_string(),
        0 => format!("\\u{number:04x}"),
        1 => format!("\\\\\\x{number:02X}"),
        2 => format!("%{number:02x}"),
        3 => format!("&#{number};"),
        4 => format!("&#x{number:X};"),
        _ => c.to_string(),
    }
}
