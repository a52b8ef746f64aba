//! What stands where a secret was masked: `[masked:NAME:FINGERPRINT]`, or
//! `[masked:NAME:FINGERPRINT:KEPT]`.
//!
//! The one place that writes it, reads it and says by which pattern it is found.

use std::borrow::Cow;

use super::findings::Fingerprint;

/// Most characters of a secret that a replacement may show.
pub const MAX_KEEP: u8 = 16;

const BEGINNING: &str = "[masked:";

/// Longest name.
const MAX_NAME: usize = 64;

/// Hexadecimal digits of a fingerprint.
const DIGITS: usize = 8;

/// A placeholder that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking) struct Placeholder<'a> {
    name: &'a str,
    kept: Option<&'a str>,
}

/// Writes a placeholder. `name` is that of a detector, or of a key, without its group; `kept` is
/// what is shown of the secret, of characters that mean nothing to any format (see [`is_shown`]).
pub(in crate::masking) fn write(
    name: &str,
    fingerprint: &Fingerprint,
    kept: Option<&str>,
) -> Vec<u8> {
    let is_written = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_named);
    let name = match is_written {
        true => Cow::Borrowed(name),
        false => Cow::Owned(written(name)),
    };
    let kept = kept.unwrap_or_default();
    let parts: [&[u8]; 7] = [
        BEGINNING.as_bytes(),
        name.as_bytes(),
        b":",
        &fingerprint.digits(),
        if kept.is_empty() { b"" } else { b":" },
        kept.as_bytes(),
        b"]",
    ];
    parts.concat()
}

/// Reads a text that is a placeholder and nothing else.
pub(in crate::masking) fn read(text: &[u8]) -> Option<Placeholder<'_>> {
    let text = std::str::from_utf8(text).ok()?;
    let inside = text.strip_prefix(BEGINNING)?.strip_suffix(']')?;
    let mut parts = inside.split(':');
    let (name, fingerprint) = (parts.next()?, parts.next()?);
    let kept = parts.next();
    let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    let is_placeholder = (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(is_named)
        && fingerprint.len() == DIGITS
        && fingerprint.bytes().all(is_hex)
        && kept.is_none_or(|kept| {
            (1..=usize::from(MAX_KEEP)).contains(&kept.len()) && kept.bytes().all(is_shown)
        })
        && parts.next().is_none();
    is_placeholder.then_some(Placeholder { name, kept })
}

/// A regular expression that finds placeholders in texts.
pub(in crate::masking) fn pattern() -> String {
    format!(
        r"\[masked:[a-z0-9._-]{{1,{MAX_NAME}}}:[0-9a-f]{{{DIGITS}}}(?::[A-Za-z0-9._~-]{{1,{MAX_KEEP}}})?\]"
    )
}

/// What every placeholder begins with.
pub(in crate::masking) const fn beginning() -> &'static str {
    BEGINNING
}

/// Whether a character of a secret may be shown.
pub(in crate::masking) fn is_shown(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}

fn is_named(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
}

/// A name as placeholders have it: those of keys may have any characters.
fn written(name: &str) -> String {
    let named = |c: char| u8::try_from(c).is_ok_and(is_named);
    let characters = name.chars().map(|c| if named(c) { c } else { '_' });
    characters.take(MAX_NAME).collect()
}

impl Placeholder<'_> {
    /// Whether it has this name, of a detector or of a key.
    pub(super) fn is_named(self, name: &str) -> bool {
        written(name) == self.name
    }

    /// How many characters of the secret it shows.
    pub(super) fn kept(self) -> usize {
        self.kept.map_or(0, str::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masking::{
        Action, Content, DetectorSet, FingerprintKey, KeyNames, Masker, Plan, Treatment,
    };
    use std::sync::Arc;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn fingerprint() -> Fingerprint {
        FingerprintKey::from_bytes([7; 32]).fingerprint(b"EXAMPLE")
    }

    fn plan() -> Plan {
        let set = DetectorSet::compile(&["secrets/github-*"]).unwrap();
        let kept = Treatment {
            action: Action::Mask,
            keep: 4,
        };
        Plan::masking(Arc::new(set))
            .treating("secrets/github-pat", kept)
            .with_keys(KeyNames::of(["acme_pin", "пароль"]))
    }

    #[test]
    fn what_is_written_is_read_and_found_in_a_text() {
        let names = [
            "github-pat",
            "acmepin",
            "пароль",
            "x.y_z-1",
            &"n".repeat(200),
        ];
        for name in names {
            for kept in [None, Some("aB3~"), Some("-._~567890123456")] {
                let text = write(name, &fingerprint(), kept);
                assert_eq!(read(&text).unwrap().kept, kept, "{name}");
                // The detector finds it, and gives back what stood there.
                let mut secrets = crate::masking::Secrets::default();
                secrets.remember(&text, b"EXAMPLE");
                let plan = Arc::new(Plan::restoring(Arc::new(secrets)).unwrap());
                let key = FingerprintKey::from_bytes([7; 32]);
                let mut masker = Masker::new(plan, key, &Content::text());
                let around = [b"x ".as_slice(), &text, b"]"].concat();
                let mut out = masker.push(&around).into_body();
                out.append(masker.finish());
                assert_eq!(out.as_bytes(), b"x EXAMPLE]", "{name}");
            }
        }
    }

    #[test]
    fn only_names_that_are_known_and_what_the_plan_shows_are_taken_for_masked() {
        let plan = plan();
        let known =
            |text: &str| read(text.as_bytes()).is_some_and(|found| plan.may_have_written(found));
        for text in [
            "[masked:github-pat:00000000]",
            "[masked:github-pat:00000000:abcd]",
            // Masked by others: in the other direction, or before.
            "[masked:openai-api-key:0123abcd]",
            "[masked:kubernetes-secret-data:00000000]",
            "[masked:password:00000000]",
            "[masked:acmepin:00000000]",
            "[masked:______:00000000]",
        ] {
            assert!(known(text), "{text}");
        }
        for text in [
            "[masked:hunter2:00000000]",
            "[masked:github-pat:00000000:hunter2]",
            "[masked:github-pat:hunter2!]",
            "[masked:password:00000000:hun2]",
            "[masked:openai-api-key:00000000:a]",
            "[masked::00000000]",
            "[masked:github-pat:00000000]x",
        ] {
            assert!(!known(text), "{text}");
        }
    }
}
