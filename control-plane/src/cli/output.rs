//! What commands print: tables and sentences for people, JSON for programs.
//!
//! Much of what is printed comes from agents: paths, subjects, bodies. A terminal obeys escape
//! sequences, so an agent could rewrite what its approver reads; everything goes out through
//! [`clean`].

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chaperone_engine::base::time::UnixMillis;
use serde::Serialize;

/// How a command prints its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// Tables and sentences.
    #[default]
    Text,
    /// JSON, one document; one per line where a command goes on and on.
    Json,
}

/// Standard output in the chosen format.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// The format.
    pub(crate) format: Format,
}

impl Output {
    /// Whether people read it.
    pub(crate) fn is_text(self) -> bool {
        self.format == Format::Text
    }

    /// One JSON document over several lines.
    pub(crate) fn json(self, value: &impl Serialize) -> io::Result<()> {
        let json = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        write_all(&(clean_json(&json) + "\n"))
    }

    /// One JSON document on one line.
    pub(crate) fn json_line(self, value: &impl Serialize) -> io::Result<()> {
        let json = serde_json::to_string(value).map_err(io::Error::other)?;
        write_all(&(clean_json(&json) + "\n"))
    }

    /// One line, or several, of text.
    pub(crate) fn line(self, text: impl AsRef<str>) -> io::Result<()> {
        write_all(&(clean(text.as_ref()) + "\n"))
    }

    /// Bytes as they are: a token, a policy document.
    pub(crate) fn raw(self, text: &str) -> io::Result<()> {
        write_all(text)
    }
}

fn write_all(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Tells the person at the terminal something that is no result, on standard error.
pub(crate) fn warning(text: &str) {
    let line = format!("warning: {}\n", clean(text));
    // If standard error is gone there is nobody to tell.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Text without what a terminal obeys: control characters but the line feed, and the invisible
/// characters that turn the direction of text (Trojan Source, CVE-2021-42574).
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if harmful(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The same for JSON. What is harmful can stand only within its strings, and serde_json escapes of
/// it only what is below U+0020: a terminal obeys U+009B as it obeys ESC and a bracket.
fn clean_json(json: &str) -> Cow<'_, str> {
    if !json.contains(harmful) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if harmful(c) {
            // Two of them beyond U+FFFF, as RFC 8259 §7 wants.
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// What a terminal obeys, or what a person does not see: control characters but the line feed,
/// marks of direction, characters without width, other ends of lines, and tags (Unicode 16, general
/// category Cf).
fn harmful(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Asks the person at the terminal a question that only a yes answers with yes.
pub(crate) fn confirmed(question: &str) -> io::Result<bool> {
    io::stderr().write_all(format!("{} [y/N] ", clean(question)).as_bytes())?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Text that stays on one line of a table.
fn cell(text: &str) -> String {
    clean(text).replace('\n', "\\n")
}

/// Columns, aligned. The last one is not padded, so it may be long.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new<const N: usize>(headings: [&str; N]) -> Self {
        Self {
            rows: vec![
                headings
                    .iter()
                    .map(|heading| (*heading).to_owned())
                    .collect(),
            ],
        }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows
            .push(cells.iter().map(|text| cell(text)).collect());
    }

    /// Whether it has only its headings.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() <= 1
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|c| c.chars().count())
                .max()
        };
        let widths: Vec<usize> = (0..columns).map(|c| width(c).unwrap_or_default()).collect();
        for (n, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:width$}  "));
            }
            let end = if n + 1 == self.rows.len() { "" } else { "\n" };
            write!(f, "{}{end}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Label and value under each other, for one thing in detail.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    rows: Vec<(&'static str, String)>,
}

impl Fields {
    /// Adds a line.
    pub(crate) fn add(&mut self, label: &'static str, value: impl AsRef<str>) {
        self.rows.push((label, value.as_ref().to_owned()));
    }

    /// Adds a line if there is a value.
    pub(crate) fn maybe(&mut self, label: &'static str, value: Option<impl AsRef<str>>) {
        if let Some(value) = value {
            self.add(label, value);
        }
    }
}

impl std::fmt::Display for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = self
            .rows
            .iter()
            .map(|(label, _)| label.len())
            .max()
            .unwrap_or_default();
        for (n, (label, value)) in self.rows.iter().enumerate() {
            let end = if n + 1 == self.rows.len() { "" } else { "\n" };
            write!(f, "{label:width$}  {}{end}", cell(value))?;
        }
        Ok(())
    }
}

/// Says how to see the rest of a list.
pub(crate) fn more(output: Output, next_cursor: Option<&str>) -> io::Result<()> {
    match next_cursor {
        Some(cursor) => output.line(format!("\nThere are more: add --cursor {cursor}")),
        None => Ok(()),
    }
}

/// An instant in RFC 3339, UTC.
pub(crate) fn instant(at: UnixMillis) -> String {
    let time = UNIX_EPOCH
        .checked_add(Duration::from_millis(at.0))
        .unwrap_or(UNIX_EPOCH);
    // humantime cannot print years beyond 9999.
    if at.0 > 253_402_300_799_000 {
        return "never".to_owned();
    }
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Now, in the engine's unit.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// How long ago, or until, in its largest unit: `3m`.
pub(crate) fn distance(at: UnixMillis, now: UnixMillis) -> String {
    let secs = at.since(now).max(now.since(at)) / 1000;
    let text = match secs {
        0..=119 => format!("{secs}s"),
        120..=7_199 => format!("{}m", secs / 60),
        7_200..=172_799 => format!("{}h", secs / 3_600),
        _ => format!("{}d", secs / 86_400),
    };
    if at > now {
        format!("in {text}")
    } else {
        format!("{text} ago")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        let shown = clean("GET /a\u{1b}[2K\rallow\u{202e}x");
        assert_eq!(shown, "GET /a\\u{1b}[2K\\u{d}allow\\u{202e}x");
        assert_eq!(clean("Grüße 世界"), "Grüße 世界");
    }

    #[test]
    fn json_holds_nothing_that_a_terminal_obeys_and_reads_back_as_it_was() {
        let harm = "a\n\u{1b}[2K\u{7f}\u{9b}31m\u{202e}\u{2028}\u{e0041}ü";
        for written in [
            serde_json::to_string(&[harm]).unwrap(),
            serde_json::to_string_pretty(&[harm]).unwrap(),
        ] {
            let shown = clean_json(&written);
            assert!(!shown.contains(harmful), "{shown}");
            let read: Vec<String> = serde_json::from_str(&shown).unwrap();
            assert_eq!(read, [harm]);
        }
        assert_eq!(
            clean_json("[\"\u{9b}\u{e0041}\"]"),
            "[\"\\u009b\\udb40\\udc41\"]"
        );
    }

    #[test]
    fn columns_line_up_and_a_cell_cannot_begin_a_new_row() {
        let mut table = Table::new(["ID", "WHAT"]);
        table.row(["ä", "one\ntwo"]);
        table.row(["long", ""]);
        assert_eq!(table.to_string(), "ID    WHAT\nä     one\\ntwo\nlong");
    }

    #[test]
    fn instants_and_distances_read_well() {
        assert_eq!(instant(UnixMillis(0)), "1970-01-01T00:00:00Z");
        assert_eq!(instant(UnixMillis(u64::MAX)), "never");
        let at = |secs: u64| UnixMillis(secs * 1000);
        assert_eq!(distance(at(10), at(100)), "90s ago");
        assert_eq!(distance(at(1_000), at(100)), "in 15m");
    }
}
