//! What is left of a secret in an answer, and whether the rest is as it was.

use serde_json::Value;

/// What stands for every replacement after [`without_fingerprints`].
pub const HERE: &str = "<masked>";

/// `text` with [`HERE`] in the place of each `[masked:NAME:FINGERPRINT]`, since fingerprints differ
/// with the key. What only resembles one stays.
#[must_use]
pub fn without_fingerprints(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("[masked:") {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        match replacement(found) {
            Some(length) => {
                out.push_str(HERE);
                rest = &found[length..];
            }
            None => {
                out.push('[');
                rest = &found[1..];
            }
        }
    }
    out + rest
}

/// The length of the replacement that `text` begins with.
fn replacement(text: &str) -> Option<usize> {
    let end = text.find(']')?;
    let (name, fingerprint) = text.get("[masked:".len()..end)?.rsplit_once(':')?;
    let named = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-/_".contains(&b));
    let printed = fingerprint.len() == 8 && fingerprint.bytes().all(|b| b.is_ascii_hexdigit());
    (named && printed).then_some(end + 1)
}

/// `text` as it should arrive: [`HERE`] in the place of each secret.
#[must_use]
pub fn expected(text: &str, secrets: &[String]) -> String {
    secrets
        .iter()
        .fold(text.to_owned(), |text, secret| text.replace(secret, HERE))
}

/// A document with every key and every string changed.
#[must_use]
pub fn map_strings(value: &Value, change: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(text)),
        Value::Array(items) => items.iter().map(|item| map_strings(item, change)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| (change(key), map_strings(value, change)))
            .collect(),
        other => other.clone(),
    }
}

/// # Panics
/// When `got`, which came through the gate, is anything else than `sent` with its secrets masked.
pub fn assert_masked(sent: &Value, got: &Value, secrets: &[String], what: &str) {
    assert_nothing_of(got.to_string().as_bytes(), secrets, what);
    let sent = map_strings(sent, &|text| expected(text, secrets));
    let got = map_strings(got, &without_fingerprints);
    if got != sent {
        // Whole answers are too long to be compared by eye.
        let (got, sent) = (got.to_string(), sent.to_string());
        let same = got
            .chars()
            .zip(sent.chars())
            .take_while(|(got, sent)| got == sent);
        let from = same.count().saturating_sub(100);
        let part = |text: &str| text.chars().skip(from).take(300).collect::<String>();
        assert_eq!(part(&got), part(&sent), "{what}: from character {from} on");
    }
}

/// # Panics
/// When [`left_of`] finds something.
pub fn assert_nothing_of(bytes: &[u8], secrets: &[String], what: &str) {
    if let Some(piece) = left_of(bytes, secrets) {
        let text = String::from_utf8_lossy(bytes);
        panic!("{what}: {piece:?} of a secret came through: {text}");
    }
}

/// A piece of 8 bytes of a secret that stands anywhere in `bytes`. The first 12 bytes of a secret
/// are not looked for: they are what all secrets of its kind have in common.
#[must_use]
pub fn left_of(bytes: &[u8], secrets: &[String]) -> Option<String> {
    const PIECE: usize = 8;
    const FORM: usize = 12;
    // As text, whose search is fast in debug builds too; secrets are ASCII.
    let text = String::from_utf8_lossy(bytes);
    let bodies = secrets.iter().filter_map(|secret| secret.get(FORM..));
    let mut pieces = bodies.flat_map(|body| {
        let starts = 0..(body.len() + 1).saturating_sub(PIECE);
        starts.filter_map(move |start| body.get(start..start + PIECE))
    });
    pieces.find(|piece| text.contains(piece)).map(str::to_owned)
}
