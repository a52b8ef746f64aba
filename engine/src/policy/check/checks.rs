//! Checks that several parts of a document share.

use std::collections::BTreeMap;

use crate::policy::error::{Faults, Place};
use crate::policy::wording::{shorten, suggest};

/// The most entries of one list in a rule, connection or masking rule.
pub const MAX_ENTRIES: usize = 1_000;
pub(super) const MAX_NAME_BYTES: usize = 63;
pub(super) const MAX_TEXT_BYTES: usize = 1024;

pub(super) fn unique<'a>(
    place: &Place,
    key: &str,
    names: impl Iterator<Item = &'a str>,
    faults: &mut Faults,
) {
    let mut first = BTreeMap::new();
    for (index, name) in names.enumerate() {
        if !faults.unread().has(&place.index(index).key(key)) {
            continue;
        }
        if let Some(earlier) = first.insert(name, index) {
            let list = place.to_string();
            faults.at(
                place.index(index).key(key),
                format!("the name `{name}` is taken by {list}[{earlier}]; expected a unique one"),
            );
        }
    }
}

/// Names go into answers, metrics and log lines.
pub(super) fn name(place: &Place, key: &str, name: &str, faults: &mut Faults) {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let valid = name.len() <= MAX_NAME_BYTES
        && name.bytes().all(inner)
        && name
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric());
    if !valid {
        faults.at(
            place.key(key),
            "expected a name of 1 to 63 letters, digits, `.`, `_` or `-` that begins with a letter or digit",
        );
    }
}

pub(super) fn texts(place: &Place, list: &[String], faults: &mut Faults) {
    entries(place, list.len(), faults);
    for (index, text) in list.iter().enumerate() {
        self::text(&place.index(index), text, MAX_TEXT_BYTES, faults);
    }
}

pub(super) fn text(place: &Place, text: &str, most: usize, faults: &mut Faults) {
    if text.is_empty() {
        faults.at(place.clone(), "expected text, found an empty string");
    } else if text.len() > most {
        faults.at(
            place.clone(),
            format!("expected at most {most} bytes, found {}", text.len()),
        );
    } else if text.chars().any(char::is_control) {
        // A line break here is a forged line in a log or a header.
        faults.at(
            place.clone(),
            "expected one line without control characters",
        );
    } else if text.trim() != text {
        faults.at(
            place.clone(),
            "expected text without spaces at its beginning or end",
        );
    }
}

pub(super) fn entries(place: &Place, count: usize, faults: &mut Faults) {
    if count > MAX_ENTRIES {
        faults.at(
            place.clone(),
            format!("expected at most {MAX_ENTRIES} entries, found {count}"),
        );
    }
}

/// Names that something in a document has.
pub(super) struct Names<'a> {
    pub(super) known: Vec<&'a str>,
    /// Whether these are all. If not, one that is not among them may be that of something that
    /// could not be read.
    pub(super) complete: bool,
}

/// Whether each of these names leads to something.
pub(super) fn references(
    place: &Place,
    what: &str,
    names: &[String],
    targets: &Names<'_>,
    faults: &mut Faults,
) -> bool {
    entries(place, names.len(), faults);
    let mut good = true;
    for (index, name) in names.iter().enumerate() {
        if !targets.known.contains(&name.as_str()) {
            good = false;
            if targets.complete {
                let shown = shorten(name);
                faults.at(
                    place.index(index),
                    format!("unknown {what} `{shown}`{}", suggest(name, &targets.known)),
                );
            }
        }
    }
    good
}
