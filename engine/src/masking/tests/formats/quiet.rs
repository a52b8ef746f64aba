//! Long JSON, of which most holds nothing: it is read without noting where strings are, and must
//! come out as it does where every byte is noted, which short chunks are.

use super::{Dice, key};
use crate::masking::{
    Action, Content, DetectorSet, Findings, KeyNames, Masker, Plan, Treatment, tests::all,
};
use std::sync::Arc;

/// Shorter than anything that is read without noting all.
const SHORT: usize = 60;

fn one_of<'a>(dice: &mut Dice, of: &[&'a str]) -> &'a str {
    let at = usize::try_from(dice.roll(of.len() as u64)).unwrap();
    of[at]
}

/// Put together here so that no complete secret stands in the source.
fn secret(dice: &mut Dice) -> String {
    let n = dice.roll(1_000_000);
    match dice.roll(6) {
        0 => format!("gh{}{n:06}", "p_EXAMPLEexampleEXAMPLEexampleEXAM"),
        1 => format!("password={}{n}", "a1!Bc2"),
        2 => format!("AKIA{}{}", "IOSFODNN7EXA", "MPLE"),
        3 => format!(
            "-----BEGIN {0}-----\nMIIEvQIBADAN{n:06}\nabcdef\n-----END {0}-----",
            "PRIVATE KEY"
        ),
        4 => format!("postgres://user:pa{n}ss@host/db"),
        _ => format!("xoxb-{n:012}-{n:012}-{}", "abcdefghijklmnopqrstuvwx"),
    }
}

/// How much of what is not quiet stands in a body: one in so many.
struct Writer {
    dice: Dice,
    rare: u64,
    /// One character in so many is an escape.
    hides: u64,
    out: String,
}

impl Writer {
    fn content(&mut self, strings: u32) -> String {
        let mut text = String::new();
        for _ in 0..=self.dice.roll(4) {
            match self.dice.roll(18) {
                0 if self.dice.roll(self.rare) == 0 => text.push_str(&secret(&mut self.dice)),
                1 => text.push_str("&self, %d %20 x&amp;y \u{2014} e.g. \\n"),
                2 if self.dice.roll(self.rare) == 0 => {
                    let half = [
                        "\\u0067hp_",
                        "%67hp",
                        "&#103;",
                        "\u{200b}",
                        "\\x41",
                        "gh",
                        "eyJ",
                    ];
                    text.push_str(one_of(&mut self.dice, &half));
                }
                3..=5 => text.push_str("fn main() {\n\tlet x = \"y\\\"z\";\n\tf(x, 'c');\n}\n"),
                6 => text.push_str(&"A9+/bQz".repeat(90)),
                7 => text.push_str("\u{e9}\u{1f600}\u{65e5}\u{2028}"),
                8 | 9 if strings < 3 && text.is_empty() => {
                    let outer = std::mem::take(&mut self.out);
                    self.value(strings + 1, 0);
                    let inner = std::mem::replace(&mut self.out, outer);
                    return format!("{}{inner}", one_of(&mut self.dice, &["", " \n"]));
                }
                10 => text.push_str(one_of(&mut self.dice, &["[", "{", " [INFO] x", "{\"a\":"])),
                _ => text.push_str("The function reads every token and checks the secret path. "),
            }
        }
        text
    }

    fn quote(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            let mut units = [0; 2];
            match c {
                '"' | '\\' => self.out.extend(['\\', c]),
                '\n' => self.out.push_str("\\n"),
                '\t' => self.out.push_str("\\t"),
                '/' if self.dice.roll(8) == 0 => self.out.push_str("\\/"),
                c if self.dice.roll(if c.is_ascii() { self.hides } else { 2 }) == 0 => {
                    for unit in c.encode_utf16(&mut units) {
                        self.out.push_str(&format!("\\u{unit:04X}"));
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn value(&mut self, strings: u32, level: u32) {
        let kind = match level {
            0 => self.dice.roll(2),
            6.. => 2 + self.dice.roll(6),
            _ => self.dice.roll(10),
        };
        match kind {
            0 => {
                self.out.push('{');
                for at in 0..self.dice.roll(9) {
                    self.out.push_str(if at > 0 { ", " } else { "" });
                    self.member(strings, level);
                }
                self.out.push('}');
            }
            1 => {
                self.out.push('[');
                for at in 0..self.dice.roll(6) {
                    self.out.push_str(if at > 0 { "," } else { "" });
                    self.value(strings, level + 1);
                }
                self.out.push(']');
            }
            2 => self.out.push_str(&self.dice.roll(1 << 30).to_string()),
            3 => self
                .out
                .push_str(one_of(&mut self.dice, &["true", "null", "-1.5e+7"])),
            _ => {
                let text = self.content(strings);
                self.quote(&text);
            }
        }
    }

    fn member(&mut self, strings: u32, level: u32) {
        let rare = [
            "password",
            "clientSecret",
            "logprobs",
            "data",
            "stringData",
            "kind",
            "items",
            "value",
        ];
        let usual = [
            "id",
            "name",
            "content",
            "kind",
            "items",
            "a\nb",
            "passwords",
            "$ref",
        ];
        let key = match self.dice.roll(self.rare * 4) {
            0 => one_of(&mut self.dice, &rare),
            _ => one_of(&mut self.dice, &usual),
        };
        self.quote(key);
        self.out.push(':');
        match key {
            "kind" => {
                let kind = one_of(&mut self.dice, &["Secret", "SecretList", "Pod"]);
                self.quote(kind);
            }
            "logprobs" => {
                let token = secret(&mut self.dice);
                self.out
                    .push_str("{\"content\":[{\"token\":\"a\",\"bytes\":[1]},{\"token\":");
                self.quote(&token);
                self.out.push_str(",\"bytes\":null,\"top_logprobs\":[]}]}");
            }
            _ => self.value(strings, level + 1),
        }
    }
}

fn body(seed: u64) -> Vec<u8> {
    let mut dice = Dice(seed);
    let rare = [1, 4, 20, 200][usize::try_from(dice.roll(4)).unwrap()];
    let hides = [200, 1_000_000][usize::try_from(dice.roll(2)).unwrap()];
    let length = [1500, 9000, 40_000][usize::try_from(dice.roll(3)).unwrap()];
    let breaks = dice.roll(6) == 0;
    let mut writer = Writer {
        dice,
        rare,
        hides,
        out: "[".to_owned(),
    };
    while writer.out.len() < length {
        writer.value(0, 0);
        writer.out.push(',');
    }
    writer.out.push_str("0]");
    let mut body = writer.out.into_bytes();
    if breaks {
        let at = usize::try_from(writer.dice.roll(body.len() as u64)).unwrap();
        body[at] = b'"';
    }
    body
}

fn masked(plan: &Arc<Plan>, body: &[u8], mut next: impl FnMut() -> usize) -> (Vec<u8>, Findings) {
    let content = Content::of(Some(b"application/json"));
    let mut masker = Masker::new(Arc::clone(plan), key(), &content);
    let (mut out, mut rest) = (Vec::new(), body);
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at(next().clamp(1, rest.len()));
        out.extend_from_slice(masker.push(chunk).as_bytes());
        rest = later;
    }
    out.extend_from_slice(&masker.finish().into_bytes());
    (out, masker.findings().clone())
}

#[test]
fn what_is_passed_over_is_what_would_have_been_noted() {
    let set = |names: &[&str]| Arc::new(DetectorSet::compile(names).unwrap());
    let personal = set(&["secrets/*", "pii/*"]);
    let plans = [
        Plan::masking(all()),
        Plan::masking(Arc::clone(&personal)).with_keys(KeyNames::common()),
        Plan::masking(set(&["secrets/github-pat"]))
            .with_keys(KeyNames::common())
            .reporting(personal),
        Plan::masking(all()).with_keys(KeyNames::common()).treating(
            "keys/password",
            Treatment {
                action: Action::Report,
                keep: 0,
            },
        ),
    ]
    .map(Arc::new);
    let mut changed = 0;
    for seed in 0..120 {
        let (body, plan) = (body(seed), &plans[usize::try_from(seed % 4).unwrap()]);
        let expected = masked(plan, &body, || SHORT);
        changed += usize::from(expected.0 != body);
        let mut dice = Dice(seed);
        let mut any = || usize::try_from(dice.roll(6000)).unwrap();
        assert_eq!(masked(plan, &body, || usize::MAX), expected, "{seed}");
        assert_eq!(masked(plan, &body, &mut any), expected, "{seed}");
    }
    assert!((20..110).contains(&changed), "{changed}");
}

/// A secret over each of the places at which a part may end.
#[test]
fn no_secret_is_lost_between_two_parts() {
    let plan = Arc::new(Plan::masking(all()));
    let secret = format!("gh{}", "p_EXAMPLEexampleEXAMPLEexampleEXAM123456");
    for hidden in [secret.clone(), secret.replace('E', "\\u0045")] {
        for before in (16 * 1024 - 400..16 * 1024 + 20).step_by(7) {
            let body = format!(
                "{{\"a\":\"{}\",\"b\":\"{hidden}\",\"c\":\"{}\"}}",
                "x y, ".repeat(before / 5),
                "z ".repeat(400)
            );
            let (masked, findings) = masked(&plan, body.as_bytes(), || usize::MAX);
            assert_eq!(findings.total(), 1, "{before}");
            assert!(
                !String::from_utf8_lossy(&masked).contains("p_EX"),
                "{before}"
            );
        }
    }
}
