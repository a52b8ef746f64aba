//! What a masker found, with the places: from the changes that it made.

use chaperone_engine::masking::{Change, Findings, Masker};
use serde::Serialize;

/// A secret in a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Find {
    /// The full name of what found it.
    pub(super) detector: String,
    /// The byte offsets; several where one secret stands in several places (lines of an event
    /// stream).
    pub(super) ranges: Vec<Span>,
    /// Where it begins. Both count from 1, columns in characters.
    pub(super) line: usize,
    pub(super) column: usize,
    /// What stands there after masking.
    pub(super) replacement: String,
    /// The secret as it stood there, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<String>,
}

/// Byte offsets: of the first byte, and after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// The secrets that `masker` found in `text`, in order.
pub(super) fn finds(text: &[u8], masker: &Masker, secrets: bool) -> Vec<Find> {
    let mut finds: Vec<Find> = Vec::new();
    let mut position = Position::new(text);
    for change in masker.changes() {
        let bytes = bytes_of(text, change);
        let span = Span {
            start: change.start,
            end: change.end,
        };
        match finds.last_mut() {
            Some(last) if change.replacement.is_empty() => {
                last.ranges.push(span);
                if let Some(secret) = &mut last.secret {
                    secret.push_str(&String::from_utf8_lossy(bytes));
                }
            }
            _ => {
                let replacement = String::from_utf8_lossy(&change.replacement).into_owned();
                let (line, column) = position.of(usize_of(change.start));
                finds.push(Find {
                    detector: detector(&replacement, masker.findings()),
                    ranges: vec![span],
                    line,
                    column,
                    replacement,
                    secret: secrets.then(|| String::from_utf8_lossy(bytes).into_owned()),
                });
            }
        }
    }
    finds
}

fn bytes_of<'a>(text: &'a [u8], change: &Change) -> &'a [u8] {
    text.get(usize_of(change.start)..usize_of(change.end))
        .unwrap_or_default()
}

fn usize_of(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// The full name of the detector that a replacement, `[masked:NAME:FINGERPRINT…`, names by its
/// short name. Formats write it in their own way: percent-encoded in forms, cut to the secret's
/// length in binary ones.
fn detector(replacement: &str, findings: &Findings) -> String {
    let plain = replacement
        .replace("%5B", "[")
        .replace("%3A", ":")
        .replace("%5D", "]");
    let mut parts = plain.trim_start_matches("[masked:").split([':', ']']);
    let short = parts.next().unwrap_or_default();
    let fingerprint = parts.next().unwrap_or_default();
    let found: Vec<(&str, &str, bool)> = findings
        .iter()
        .map(|(name, finding)| {
            let own = name.split_once('/').map_or(name, |(_, own)| own);
            let known = &finding.fingerprints;
            let seen = known.iter().any(|f| f.to_string() == fingerprint);
            (name, own, seen)
        })
        .collect();
    let by = |fits: &dyn Fn(&str, bool) -> bool| {
        let mut fitting = found.iter().filter(|(_, own, seen)| fits(own, *seen));
        fitting.next().map(|(name, ..)| (*name).to_owned())
    };
    by(&|own, seen| own == short && seen)
        .or_else(|| by(&|own, _| own == short))
        .or_else(|| by(&|own, _| !short.is_empty() && own.starts_with(short)))
        // A replacement of a few bytes names nothing; but if there is one detector, it is that one.
        .or_else(|| match found.as_slice() {
            [(name, ..)] => Some((*name).to_owned()),
            _ => None,
        })
        .unwrap_or_else(|| "(one of several)".to_owned())
}

/// Lines and columns of offsets that are asked in order.
struct Position<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    line_began: usize,
}

impl<'a> Position<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
            line_began: 0,
        }
    }

    fn of(&mut self, offset: usize) -> (usize, usize) {
        let offset = offset.clamp(self.at, self.text.len());
        for (n, byte) in self.text[self.at..offset].iter().enumerate() {
            if *byte == b'\n' {
                self.line += 1;
                self.line_began = self.at + n + 1;
            }
        }
        self.at = offset;
        let before = &self.text[self.line_began..offset];
        (
            self.line,
            String::from_utf8_lossy(before).chars().count() + 1,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let text = "äb\ncd\n\nx".as_bytes();
        let mut position = Position::new(text);
        let asked: Vec<(usize, usize)> = [0, 2, 4, 5, 7, 8]
            .map(|offset| position.of(offset))
            .to_vec();
        assert_eq!(asked, [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (4, 1)]);
    }
}
