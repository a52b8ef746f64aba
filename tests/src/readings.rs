//! What a patient reader makes of bytes: whether a secret can still be had from them.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::Value;

/// Everything that a patient reader can make of `bytes`: each of these readings, those of what they
/// gave, and the strings of documents in all of them.
#[must_use]
pub fn readings(bytes: &[u8]) -> BTreeSet<String> {
    let utf_16: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let mut all = BTreeSet::from([
        String::from_utf8_lossy(bytes).into_owned(),
        String::from_utf16_lossy(&utf_16),
    ]);
    for _ in 0..2 {
        let new: Vec<String> = all.iter().flat_map(|text| readings_of(text)).collect();
        all.extend(new);
    }
    let new: Vec<String> = all.iter().map(|text| json_strings(text)).collect();
    all.extend(new);
    all
}

fn readings_of(text: &str) -> Vec<String> {
    if text.len() > 4096 {
        // A stream of many events, whose deltas are short.
        return vec![json_strings(text), deltas(text)];
    }
    let mut all = vec![
        json_strings(text),
        deltas(text),
        text.chars().rev().collect(),
        text.chars().filter(char::is_ascii_graphic).collect(),
        text.replace("\u{1b}[1m", ""),
        text.replace("ЕХАМРLЕ", "EXAMPLE"),
        unescaped(text, "\\u", 4, ""),
        unescaped(text, "%", 2, ""),
        unescaped(text, "&#x", 2, ";"),
        each(text, |_, c| {
            let narrow = u32::from(c).checked_sub(0xfee0).and_then(char::from_u32);
            narrow
                .filter(char::is_ascii_graphic)
                .unwrap_or(c)
                .to_string()
        }),
        each(text, |_, c| match c {
            'a'..='m' | 'A'..='M' => char::from(c as u8 + 13).to_string(),
            'n'..='z' | 'N'..='Z' => char::from(c as u8 - 13).to_string(),
            _ => c.to_string(),
        }),
    ];
    let mut decimal = text.to_owned();
    for code in 33..127_u8 {
        decimal = decimal.replace(&format!("&#{code};"), &char::from(code).to_string());
    }
    all.push(decimal);
    for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || "+/-_".contains(c))) {
        if word.len() < 16 {
            continue;
        }
        if let Ok(bytes) = STANDARD_NO_PAD.decode(word.trim_end_matches('=')) {
            all.extend(inflated(&bytes));
            all.push(String::from_utf8_lossy(&bytes).into_owned());
        }
        let pairs: Vec<u8> = (0..word.len() / 2)
            .filter_map(|at| u8::from_str_radix(&word[at * 2..at * 2 + 2], 16).ok())
            .collect();
        all.push(String::from_utf8_lossy(&pairs).into_owned());
    }
    all.retain(|reading| reading.len() > 8 && reading != text);
    all
}

/// What is in a gzip file that has a name (RFC 1952 §2.3).
fn inflated(file: &[u8]) -> Option<String> {
    let named = file.strip_prefix(b"\x1f\x8b\x08\x08")?.get(6..)?;
    let body = named.splitn(2, |byte| *byte == 0).nth(1)?;
    let bytes = miniz_oxide::inflate::decompress_to_vec(body).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// All keys and strings of a document one after the other, or of each line that is one.
fn json_strings(text: &str) -> String {
    fn collect(value: &Value, out: &mut String) {
        match value {
            Value::String(text) => out.push_str(text),
            Value::Array(items) => items.iter().for_each(|item| collect(item, out)),
            Value::Object(members) => {
                for (key, value) in members {
                    out.push_str(key);
                    collect(value, out);
                }
            }
            _ => {}
        }
    }
    let mut out = String::new();
    for text in [text].into_iter().chain(text.lines()) {
        if let Ok(value) = serde_json::from_str(text.trim_start_matches('\u{feff}')) {
            collect(&value, &mut out);
        }
    }
    out
}

/// What the deltas of a stream say together.
fn deltas(text: &str) -> String {
    let (mut out, mut data) = (String::new(), String::new());
    for line in text.lines() {
        data.push_str(line.strip_prefix("data:").unwrap_or_default());
        if !line.is_empty() {
            continue;
        }
        let event: Value = serde_json::from_str(&std::mem::take(&mut data)).unwrap_or_default();
        let delta = &event["delta"];
        for text in [
            delta,
            &delta["partial_json"],
            &delta["text"],
            &event["choices"][0]["delta"]["content"],
        ] {
            out.push_str(text.as_str().unwrap_or_default());
        }
    }
    out
}

/// `text` with every code of so many hexadecimal digits between `start` and `end` decoded.
fn unescaped(text: &str, start: &str, digits: usize, end: &str) -> String {
    let mut parts = text.split(start);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..digits)
            .and_then(|code| u32::from_str_radix(code, 16).ok());
        let rest = part.get(digits..).and_then(|rest| rest.strip_prefix(end));
        match (code.and_then(char::from_u32), rest) {
            (Some(character), Some(rest)) => {
                out.push(character);
                out.push_str(rest);
            }
            _ => out += &format!("{start}{part}"),
        }
    }
    out
}

/// Each character of `text` written by `write`, which is told which one it is.
#[must_use]
pub fn each(text: &str, write: impl Fn(usize, char) -> String) -> String {
    text.chars()
        .enumerate()
        .map(|(index, character)| write(index, character))
        .collect()
}
